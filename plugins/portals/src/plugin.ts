/** Portals: what all partners have in common, whatever they work on: their people, and links for guests. */
import { contacts } from '@kith/plugin-contacts/plugin';
import { definePlugin, need } from '@kith/sdk';
import de from '../locales/de.json' with { type: 'json' };
import en from '../locales/en.json' with { type: 'json' };

export const portals = definePlugin({
  id: 'portals',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'collaborative',
  needs: [need(contacts, '^1.0.0')],
  locales: { en, de },
});
