/** What the screens ask that no list answers. */
import type { Context, PluginAnswer, PluginCall, PluginRoute } from '@kith/sdk';
import { addedUp, feeOf } from '../fee.ts';
import type { example } from '../plugin.ts';
import { isSigned } from './signed.ts';

const MOST_SCANNED = 200;

// #region route
export const routes: readonly PluginRoute<typeof example>[] = [
  {
    method: 'GET',
    path: '/equipment/{id}/reminders',
    access: 'staff',
    summary: 'How often borrowers of this equipment were reminded',
    handle: async ({ params, fail }, ctx) => {
      if (!/^[0-9a-f-]{36}$/.test(params.id ?? '')) fail(400, 'malformed', 'The id of the equipment is no id.');
      // As the caller: what they may not see is not found.
      await ctx.records.get('example.equipment', params.id!);
      const [row] = await ctx.sql<{ times: number }>`
        select coalesce(sum(r.times), 0)::int as times from example.reminded r join example.loan l on l.id = r.loan
        where l.equipment = ${params.id}`;
      return { body: { times: row!.times } };
    },
  },
  // #endregion
  {
    method: 'GET',
    path: '/loans/{id}/slip',
    access: 'staff',
    summary: 'The paper that goes with a loan, as a file',
    handle: async ({ params, fail }, ctx) => {
      const { fields } = await ctx.records.get('example.loan', params.id!);
      return fields.slip === null ? fail(404, 'not_found', 'It was not handed out yet.') : { file: fields.slip };
    },
  },
  {
    // A scanner at the desk posts what it has read: a line of text for each number.
    method: 'POST',
    path: '/scans',
    access: 'staff',
    raw: true,
    summary: 'Takes back the loans whose numbers stand in the body, a line each',
    handle: (call, ctx) => takeBack(call, ctx.records),
  },
  // #region signed
  {
    // The box at the door says what lies in it. Nobody is signed in there: its signature stands for it.
    method: 'POST',
    path: '/returns',
    access: 'public',
    perMinute: 60,
    raw: true,
    summary: 'Takes back what lies in the return box; signed with its key',
    handle: async (call, ctx) => {
      const { boxKey } = await ctx.secrets();
      if (boxKey === null || !isSigned(call, boxKey)) call.fail(403, 'wrong_signature', 'The signature does not fit the body.');
      return takeBack(call, ctx.asPlugin);
    },
  },
  // #endregion
  // #region named
  {
    method: 'GET',
    path: '/waived',
    access: { permission: 'waive' },
    summary: 'How many fees were waived, and what they would have come to',
    handle: async (_call, ctx) => {
      const { data } = await ctx.records.query('example.loan', {
        filter: { field: 'waived', op: 'eq', value: true },
        fields: ['rate', 'from', 'due'],
        limit: 500,
      });
      const lost = data.flatMap(({ fields: { rate, from, due } }) => (rate && from && due ? [feeOf(rate, from, due)] : []));
      return { body: { count: data.length, lost: addedUp(lost).map((one) => ({ ...one })) } };
    },
  },
  // #endregion
  {
    method: 'GET',
    path: '/reminders',
    access: 'admin',
    summary: 'How many reminders there have been, and when the last was',
    handle: async (_call, ctx) => {
      const [row] = await ctx.sql<{ times: number; last: string | null }>`
        select coalesce(sum(times), 0)::int as times, max(at) as last from example.reminded`;
      return { body: { times: row!.times, last: row!.last } };
    },
  },
];

async function takeBack({ raw, headers, fail }: PluginCall, records: Context<typeof example>['records']): Promise<PluginAnswer> {
  if (!headers.get('content-type')?.startsWith('text/plain')) fail(415, 'unsupported_media_type', 'Send the numbers as text/plain.');
  const numbers = [...new Set(new TextDecoder().decode(raw).split(/\s+/).filter(Boolean))];
  if (numbers.length > MOST_SCANNED) fail(413, 'too_large', `Send at most ${MOST_SCANNED} numbers at a time.`);
  const { data } = await records.query('example.loan', { filter: { field: 'number', op: 'in', value: numbers }, limit: MOST_SCANNED });
  for (const loan of data) await records.act('example.loan', loan.id, 'takeBack', { fine: true });
  return { body: { back: data.length, unknown: numbers.filter((number) => !data.some(({ fields }) => fields.number === number)) } };
}
