/** E-mail: a channel of the inbox. Sends through the server that SMTP_URL names; without one, mails stay in the house. */
import { consent } from '@kith/plugin-consent/plugin';
import { contacts } from '@kith/plugin-contacts/plugin';
import { inbox } from '@kith/plugin-inbox/plugin';
import { definePlugin, need } from '@kith/sdk';
import de from '../locales/de.json' with { type: 'json' };
import en from '../locales/en.json' with { type: 'json' };

export const email = definePlugin({
  id: 'email',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'communicative',
  needs: [need(contacts, '^1.0.0'), need(consent, '^1.0.0'), need(inbox, '^1.0.0')],
  locales: { en, de },
});
