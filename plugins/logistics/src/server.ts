/** What logistics does: reports of carriers, and what shipments and orders become of them. */
import { defineServer, type Consumer } from '@kith/sdk';
import { logistics } from './plugin.ts';
import { followMilestones, followShipments, type Ctx, type Milestone } from './server/follow.ts';
import { northwind } from './server/northwind.ts';

const DAY_MS = 86_400_000;
/** How far clocks may differ. */
const AHEAD_MS = 300_000;

async function report(
  ctx: Ctx,
  refuse: (message: string, field?: string) => never,
  shipment: string,
  milestone: Pick<Milestone, 'kind' | 'at' | 'place' | 'note'>,
): Promise<void> {
  const now = ctx.clock();
  const at = milestone.at ?? now.toISOString();
  if (Date.parse(at) > now.getTime() + AHEAD_MS) refuse('What is reported has happened; the time lies ahead.', 'at');
  await ctx.asPlugin.create('logistics.milestone', { ...milestone, at, shipment });
}

/** Whoever looks after an order hears of what went wrong on its way. */
const exceptions: Consumer<typeof logistics> = {
  objects: ['logistics.milestone'],
  handle: async (events, ctx) => {
    const wrong = events.filter(({ kind, changes }) => kind === 'created' && changes.kind?.[1] === 'exception');
    if (wrong.length === 0) return;
    const shipments = await ctx.sql<{
      milestone: string;
      id: string;
      owner: string;
      by: string;
      number: string | null;
      note: string | null;
    }>`
      select m.id as milestone, s.id, o.owner, u.id as by, s.number, m.note from logistics.milestone m
      join kith."user" u on u.id = m.created_by and u.kind = 'partner'
      join logistics.shipment s on s.id = m.shipment join sales."order" o on o.id = s."order"
      where m.id = any(${wrong.map(({ record }) => record)}::uuid[]) and o.owner is not null`;
    await ctx.notify(
      shipments.map(({ milestone, id, owner, by, number, note }) => ({
        to: owner,
        by,
        kind: 'logistics.exception',
        about: { object: 'logistics.shipment', id },
        text: [number, note].filter(Boolean).join(': '),
        key: `exception ${milestone}`,
      })),
    );
  },
};

export const server = defineServer(logistics, {
  consumers: { exceptions },
  demo: { northwind },
  guards: {
    /** How many days the estimate lies after the day that the customer wants it. */
    shipment: ({ record: { estimatedArrival, requiredDate } }) => ({
      set: {
        daysLate:
          estimatedArrival !== null && requiredDate !== null && estimatedArrival > requiredDate
            ? Math.round((Date.parse(estimatedArrival) - Date.parse(requiredDate)) / DAY_MS)
            : null,
      },
    }),
    milestone: ({ record }) =>
      record.kind === 'exception' && record.note === null
        ? { problems: [{ field: 'note', code: 'required', message: 'must say what went wrong' }] }
        : undefined,
  },
  effects: {
    shipment: followShipments,
    milestone: followMilestones,
  },
  actions: {
    shipment: {
      report: async ({ record, input: { estimatedArrival, ...milestone }, refuse }, ctx) => {
        await report(ctx, refuse, record.id, milestone);
        return estimatedArrival === null ? undefined : { estimatedArrival };
      },
      reportException: async ({ record, input: { reason, at, place, estimatedArrival }, refuse }, ctx) => {
        await report(ctx, refuse, record.id, { kind: 'exception', at, place, note: reason });
        return estimatedArrival === null ? undefined : { estimatedArrival };
      },
    },
  },
});
