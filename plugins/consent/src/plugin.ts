/** Consent: for what one may write to whom, on which ground, with proof; asked before everything that is sent. */
import { contacts } from '@kith/plugin-contacts/plugin';
import { date, dateTime, definePlugin, email, everyone, need, object, ref, role, select, text } from '@kith/sdk';
import de from '../locales/de.json' with { type: 'json' };
import en from '../locales/en.json' with { type: 'json' };

const KEEPERS = role('admin', 'manager');
const EDITORS = role('admin', 'manager', 'member');

export const consent = definePlugin({
  id: 'consent',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'communicative',
  needs: [need(contacts, '^1.0.0')],
  locales: { en, de },
  objects: {
    purpose: object({
      icon: 'target',
      title: ['name'],
      search: ['name', 'key'],
      unique: [['key']],
      fields: {
        name: text({ required: true, mode: 'restricted', indexed: true }),
        // Programs name a purpose by it: `newsletter`.
        key: text({ required: true, mode: 'restricted', max: 60, indexed: true }),
        basis: select({
          options: {
            consent: { color: 'blue' },
            contract: { color: 'green' },
            legitimateInterest: { color: 'violet' },
            legalObligation: { color: 'grey' },
          },
          mode: 'restricted',
          required: true,
          default: 'consent',
          group: 'facts',
        }),
        description: text({ mode: 'restricted', group: 'facts' }),
      },
      access: { read: everyone, create: KEEPERS, update: KEEPERS, delete: KEEPERS },
      views: { all: { type: 'table', columns: ['name', 'key', 'basis', 'description'], sort: ['name'] } },
    }),
    consent: object({
      icon: 'handshake',
      title: ['purpose', 'person'],
      unique: [['person', 'purpose']],
      fields: {
        person: ref('contacts.person', { mode: 'restricted', group: 'facts', listed: true, indexed: true }),
        // For an address that belongs to nobody we know.
        address: email({ mode: 'restricted', group: 'facts', indexed: true }),
        purpose: ref('consent.purpose', { mode: 'restricted', required: true, group: 'facts', listed: true, indexed: true }),
        status: select({
          options: { granted: { color: 'green' }, withdrawn: { color: 'red' } },
          mode: 'restricted',
          required: true,
          default: 'granted',
          group: 'facts',
          indexed: true,
        }),
        since: dateTime({ mode: 'restricted', default: 'now', group: 'facts' }),
        expires: date({ mode: 'restricted', group: 'facts' }),
        source: text({ mode: 'restricted', group: 'proof' }),
        proof: text({ mode: 'restricted', group: 'proof' }),
      },
      access: { read: everyone, create: EDITORS, update: EDITORS, delete: KEEPERS },
      views: {
        all: { type: 'table', columns: ['person', 'purpose', 'status', 'since', 'expires', 'source', 'address'], sort: ['-since'] },
        withdrawn: {
          type: 'table',
          columns: ['person', 'purpose', 'since', 'source', 'address'],
          filter: { field: 'status', op: 'eq', value: 'withdrawn' },
          sort: ['-since'],
        },
      },
    }),
  },
});

export type Basis = 'consent' | 'contract' | 'legitimateInterest' | 'legalObligation';
export interface Given {
  status: 'granted' | 'withdrawn' | null;
  expires: string | null;
}
/** Why somebody may not be written to; null when they may. */
export type Refusal = 'none' | 'withdrawn' | 'expired' | 'purpose';

/** Which of what somebody has said counts, as a person and under their address: no before yes. */
export const decisive = (given: readonly (Given | undefined)[]): Given | undefined =>
  given.find((one) => one?.status === 'withdrawn') ?? given.find((one) => one !== undefined);

/**
 * The gate before everything that is sent. Where the ground is consent, there must be one that holds; on other grounds it is
 * enough that nobody objected, and what the law or a contract asks for may always be sent.
 * @param today `YYYY-MM-DD`
 */
export function refusalOf(basis: Basis | null, given: Given | undefined, today: string): Refusal | null {
  if (basis === null) return 'purpose';
  if (basis === 'contract' || basis === 'legalObligation') return null;
  if (given?.status === 'withdrawn') return 'withdrawn';
  if (basis === 'legitimateInterest') return null;
  if (given?.status !== 'granted') return 'none';
  return given.expires !== null && given.expires < today ? 'expired' : null;
}
