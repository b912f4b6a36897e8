/** The browser half of contacts: the generic screens serve its objects well; tasks are remembered with one press. */
import { defineClient } from '@kith/sdk';
import { contacts } from './plugin.ts';

export const client = defineClient(contacts, {
  'record.action': [{ id: 'remind', object: 'contacts.task', load: () => import('./ui/remind.ts') }],
});
