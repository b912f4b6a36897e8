/** The browser half of consent: what somebody agreed to, beside their record. */
import { defineClient } from '@kith/sdk';
import { consent } from './plugin.ts';

export const client = defineClient(consent, {
  'record.panel': [
    {
      id: 'person',
      title: 'panel.consent',
      object: 'contacts.person',
      insteadOf: 'consent.consent.person',
      load: () => import('./ui/PersonConsents.svelte'),
    },
  ],
});
