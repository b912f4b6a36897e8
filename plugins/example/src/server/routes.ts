/** What the screens ask that no list answers. */
import type { PluginRoute } from '@kith/sdk';
import type { example } from '../plugin.ts';

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
    handle: async ({ raw, headers, fail }, ctx) => {
      if (!headers.get('content-type')?.startsWith('text/plain')) fail(415, 'unsupported_media_type', 'Send the numbers as text/plain.');
      const numbers = [...new Set(new TextDecoder().decode(raw).split(/\s+/).filter(Boolean))];
      if (numbers.length > MOST_SCANNED) fail(413, 'too_large', `Send at most ${MOST_SCANNED} numbers at a time.`);
      const { data } = await ctx.records.query('example.loan', {
        filter: { field: 'number', op: 'in', value: numbers },
        limit: MOST_SCANNED,
      });
      for (const loan of data) await ctx.records.act('example.loan', loan.id, 'takeBack', { fine: true });
      return { body: { back: data.length, unknown: numbers.filter((number) => !data.some(({ fields }) => fields.number === number)) } };
    },
  },
];
