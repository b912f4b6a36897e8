/** Reminders to borrowers, by mail. */
import type { Context, ExternalJob } from '@kith/sdk';
import { daysOf } from '../fee.ts';
import type { example } from '../plugin.ts';

type Ctx = Context<typeof example>;

/** One job for each loan that is late and of which nobody was told in the last days. */
export async function remindAll(ctx: Ctx): Promise<void> {
  const now = ctx.clock();
  const { holdDays, board } = await ctx.settings();
  const { data } = await ctx.asPlugin.query('example.loan', {
    filter: {
      and: [
        { field: 'status', op: 'eq', value: 'out' },
        { field: 'due', op: 'lt', value: now.toISOString().slice(0, 10) },
      ],
    },
    limit: 500,
  });
  const told = await ctx.sql<{ loan: string }>`
    select loan from example.reminded where at > ${new Date(now.getTime() - holdDays * 86_400_000)}`;
  const recent = new Set(told.map(({ loan }) => loan));
  const due = data.filter(({ id }) => !recent.has(id));
  await ctx.queueAll(
    'remind',
    due.map(({ id }) => ({ loan: id })),
  );
  // #region emit
  for (const { id, fields } of due) await ctx.emit('overdue', id, { days: daysOf(fields.due!, now.toISOString().slice(0, 10)) - 1 });
  // #endregion
  if (board !== null && due.length > 0)
    await ctx.queue('board', { text: `${due.length} late`, loans: due.map(({ fields }) => fields.number) });
}

// #region external
export const reminder: ExternalJob<typeof example> = {
  lane: 'default',
  tries: 5,
  timeout: 40,
  prepare: async (job, ctx) => {
    const { loan: id } = job.data as { loan: string };
    const { fields } = await ctx.asPlugin.get('example.loan', id);
    const { fields: borrower } = await ctx.asPlugin.get('contacts.company', fields.borrower!);
    // Nobody to write to, or nothing to write about any more.
    if (fields.status !== 'out' || borrower.email === null) return null;
    return { to: borrower.email, name: borrower.name, number: fields.number, due: fields.due };
  },
  call: async (data, { services, settings, key }) => {
    const { to, name, number, due } = data as { to: string; name: string; number: string; due: string };
    const { closing } = await settings();
    return services.mail.send({
      to: { name, address: to },
      subject: `${number} was due on ${due}`,
      text: [`Please bring back ${number}, which was due on ${due}.`, closing].filter(Boolean).join('\n\n'),
      messageId: `<${key}@example.kith>`,
    });
  },
  finish: async (job, outcome, ctx) => {
    const { loan } = job.data as { loan: string };
    if (outcome.state !== 'sent') return ctx.log('warn', 'a reminder was not sent', { loan, state: outcome.state });
    await ctx.sql`
      insert into example.reminded (loan, at) values (${loan}, ${ctx.clock()})
      on conflict (loan) do update set at = excluded.at, times = reminded.times + 1`;
  },
};
// #endregion
