/** What the screens ask that no list answers. */
import type { PluginRoute } from '@kith/sdk';
import type { example } from '../plugin.ts';

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
];
// #endregion
