/** The browser half of portals. The people of a partner: on their own page of the portal, and on their company's page. */
import { defineClient } from '@kith/sdk';
import { portals } from './plugin.ts';

export const client = defineClient(portals, {
  'portal.page': [{ id: 'people', title: 'page.people', icon: 'users', admin: true, load: () => import('./ui/PortalPeople.svelte') }],
  'record.panel': [{ id: 'people', title: 'panel.people', object: 'contacts.company', load: () => import('./ui/CompanyPeople.svelte') }],
});
