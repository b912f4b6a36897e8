/** The browser half of insights. */
import { defineClient } from '@kith/sdk';
import { insights } from './plugin.ts';

export const client = defineClient(insights, {
  'field.value': [{ id: 'reason', object: 'contacts.company', field: 'insights__abcReason', load: () => import('./ui/Reason.svelte') }],
});
