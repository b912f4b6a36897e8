/** The browser half of insights. */
import { defineClient } from '@kith/sdk';
import { insights } from './plugin.ts';

export const client = defineClient(insights, {
  'nav.page': [{ id: 'dashboard', title: 'page.dashboard', icon: 'chart-column', load: () => import('./ui/Dashboard.svelte') }],
  'record.panel': [{ id: 'revenue', title: 'panel.revenue', object: 'contacts.company', load: () => import('./ui/Revenue.svelte') }],
  'field.value': [{ id: 'reason', object: 'contacts.company', field: 'insights__abcReason', load: () => import('./ui/Reason.svelte') }],
});
