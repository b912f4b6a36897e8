/** Insights: what customers are worth, how that is spread, and how sales have gone. */
import { contacts } from '@kith/plugin-contacts/plugin';
import { sales } from '@kith/plugin-sales/plugin';
import { date, definePlugin, money, need, select, text } from '@kith/sdk';
import de from '../locales/de.json' with { type: 'json' };
import en from '../locales/en.json' with { type: 'json' };

export const insights = definePlugin({
  id: 'insights',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'analytical',
  needs: [need(contacts, '^1.0.0'), need(sales, '^1.0.0')],
  locales: { en, de },
  extend: {
    'contacts.company': {
      fields: {
        /** What all lines of the company's orders come to, in the organisation's currency. Empty without such a line. */
        revenue: money({ mode: 'derived', indexed: true, group: 'value' }),
        /** By revenue; empty for whoever has none. */
        abcClass: select({
          options: { A: { color: 'green' }, B: { color: 'blue' }, C: { color: 'grey' } },
          mode: 'derived',
          tracked: true,
          indexed: true,
          group: 'value',
        }),
        /** Since when it has this class. */
        abcDate: date({ mode: 'derived', tracked: true, group: 'value' }),
        /** Why it has it, as of that date; see reason.ts. */
        abcReason: text({ mode: 'derived', tracked: true, group: 'value' }),
      },
      views: {
        byValue: {
          type: 'table',
          columns: ['name', 'insights__revenue', 'insights__abcClass', 'insights__abcDate', 'country', 'owner'],
          filter: { field: 'kind', op: 'contains', value: 'customer' },
          sort: ['-insights__revenue'],
        },
      },
    },
  },
});
