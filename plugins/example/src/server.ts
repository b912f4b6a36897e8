/** What the desk does: checks, follows up, reminds. Every key of `defineServer` is here once. */
import { defineServer } from '@kith/sdk';
import { feeOf } from './fee.ts';
import { example } from './plugin.ts';
import { board } from './server/board.ts';
import { box } from './server/box.ts';
import { load } from './server/demo.ts';
import { equipmentList } from './server/list.ts';
import { remindAll, reminder } from './server/reminders.ts';
import { routes } from './server/routes.ts';
import { texts } from './server/texts.ts';
import { keepSlip } from './server/slip.ts';

export const server = defineServer(example, {
  // #region guard
  guards: {
    loan: ({ record }) => {
      if (record.from !== null && record.due !== null && record.due < record.from)
        return { problems: [{ field: 'due', code: 'invalid', message: 'must not be before the first day' }] };
      const { rate, from, due, waived } = record;
      return { set: { fee: rate && from && due && !waived ? feeOf(rate, from, due) : null } };
    },
  },
  // #endregion
  // #region actions
  actions: {
    loan: {
      handOut: async ({ record, refuse }, ctx) => {
        const { status, equipment } = record.fields;
        if (status !== 'reserved') refuse('Only what is reserved can be handed out.');
        const { fields } = await ctx.asPlugin.get('example.equipment', equipment!);
        if (fields.lent) refuse(`${fields.name} is with somebody else; take it back first.`, 'equipment');
        return { status: 'out', slip: await keepSlip(record.fields, fields.name!, ctx) };
      },
      takeBack: ({ record, input, refuse }) => {
        if (record.fields.status !== 'out') refuse('This is not out.');
        if (input.fine === false && !input.remark) refuse('Say what is wrong with it.', 'remark');
        return { status: 'back', ...(input.remark ? { note: [record.fields.note, input.remark].filter(Boolean).join('\n') } : {}) };
      },
      extend: ({ record, input, refuse }) => {
        if (record.fields.status === 'back') refuse('It is back already.');
        if (input.due! <= record.fields.due!) refuse('Choose a later day.', 'due');
        return { due: input.due };
      },
      waive: ({ record, input, refuse }) => {
        if (record.fields.waived) refuse('Its fee is waived already.');
        return { waived: true, note: [record.fields.note, input.why].filter(Boolean).join('\n') };
      },
      remind: async ({ record }, ctx) => {
        await ctx.queue('remind', { loan: record.id }, { key: record.id });
        return undefined;
      },
    },
  },
  // #endregion
  // #region effect
  effects: {
    loan: async (changes, ctx) => {
      const touched = changes.flatMap(({ before, record }) => [before, record]);
      const unique = (ids: (string | null | undefined)[]): string[] => [...new Set(ids.filter((id) => id != null))];
      const loansOf = async (field: 'equipment' | 'borrower', value: string) =>
        (await ctx.asPlugin.query('example.loan', { filter: { field, op: 'eq', value }, fields: ['status'], limit: 500 })).data;
      for (const id of unique(touched.map((loan) => loan?.equipment))) {
        const loans = await loansOf('equipment', id);
        await ctx.asPlugin.patch('example.equipment', id, {
          loans: loans.length,
          lent: loans.some(({ fields }) => fields.status === 'out'),
        });
      }
      for (const id of unique(touched.map((loan) => loan?.borrower))) {
        const open = (await loansOf('borrower', id)).filter(({ fields }) => fields.status !== 'back').length;
        // A field that this plugin added to somebody else's object.
        await ctx.world.records.derive('contacts.company', [{ id, fields: { example__openLoans: open } }]);
      }
    },
  },
  // #endregion
  migrations: [
    {
      name: '0001-reminders',
      up: ['create table example.reminded (loan uuid primary key, at timestamptz not null, times int not null default 1)'],
    },
  ],
  // #region consumer
  consumers: {
    welcome: {
      objects: ['example.wish'],
      unsettled: false,
      handle: async (events, ctx) => {
        for (const event of events) {
          if (event.kind !== 'created') continue;
          const admins = await ctx.sql<{ id: string }>`select id from kith."user" where role = 'admin' and kind = 'staff' and active`;
          await ctx.notify(
            admins.map(({ id }) => ({
              to: id,
              kind: 'example.wish',
              about: { object: event.object, id: event.record },
              by: event.author,
              key: event.record,
            })),
          );
        }
      },
    },
  },
  // #endregion
  // #region jobs
  jobs: {
    /** Every morning: whoever is late is reminded, one job for each. */
    morning: { schedule: '0 6 * * *', lane: 'bulk', tries: 3, timeout: 60, batch: 1, run: (_jobs, ctx) => remindAll(ctx) },
    /** A mail to the borrower. It is a call to the outside: never made twice. */
    remind: reminder,
    /** What the board is told. */
    board,
  },
  // #endregion
  routes,
  importers: { equipmentList },
  channels: { text: texts },
  services: { box },
  // #region start
  start: async (ctx) => {
    const { data } = await ctx.asPlugin.query('example.equipment', { limit: 1 });
    ctx.log('info', data.length > 0 ? 'the desk is open' : 'the desk has nothing to lend yet');
  },
  // #endregion
  demo: { desk: { folder: new URL('../demo/desk/', import.meta.url), load, staff: () => Promise.resolve([]) } },
});
