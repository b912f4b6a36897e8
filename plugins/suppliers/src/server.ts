/** What suppliers does: judging answers, the commands of suppliers and staff, and what purchase orders become of them. */
import { type Consumer, defineServer, type Rec } from '@kith/sdk';
import { suppliers } from './plugin.ts';
import { followBin, followLines, linesOf, type Ctx } from './server/follow.ts';
import { northwind } from './server/northwind.ts';
import { dueOf, figuresOf, guardLine, judged, underWay, type Line, type Order } from './server/terms.ts';

type Refuse = (message: string, field?: string) => never;

const CLOSED = 'This purchase order takes no more answers.';

function requireUnderWay(order: Rec<Order>, refuse: Refuse): void {
  if (!underWay(order.fields.status)) refuse(CLOSED, 'status');
}

/** The lines of an order in a state, of which there must be one. */
async function linesIn(
  order: Rec<Order>,
  state: NonNullable<Line['status']>,
  ctx: Ctx,
  refuse: Refuse,
  none: string,
): Promise<Rec<Line>[]> {
  requireUnderWay(order, refuse);
  const lines = (await linesOf(ctx, [order.id])).filter((line) => line.fields.status === state);
  return lines.length === 0 ? refuse(none, 'status') : lines;
}

const setLines = (ctx: Ctx, lines: readonly Rec<Line>[], fields: (line: Line) => Partial<Line>): Promise<void> =>
  ctx.asPlugin.patchMany(
    'suppliers.purchaseOrderLine',
    lines.map((line) => ({ id: line.id, fields: fields(line.fields) })),
  );

const confirmed = (fields: Line): Partial<Line> => ({
  confirmedQuantity: fields.orderedQuantity,
  confirmedDate: dueOf(fields),
  status: 'confirmed',
  reason: null,
  answer: null,
});
const rejected = (reason: string | null): Partial<Line> => ({
  confirmedQuantity: null,
  confirmedDate: null,
  status: 'rejected',
  reason,
  answer: null,
});

/** Whoever looks after an order hears that its supplier has answered: once for all that comes together. */
const answers: Consumer<typeof suppliers> = {
  objects: ['suppliers.purchaseOrderLine'],
  handle: async (events, ctx) => {
    const answered = events.filter(
      ({ kind, changes }) => kind === 'changed' && ('status' in changes || 'confirmedDate' in changes || 'confirmedQuantity' in changes),
    );
    if (answered.length === 0) return;
    const orders = await ctx.sql<{ id: string; owner: string; by: string; number: string; company: string; minute: string }>`
      select distinct po.id, po.owner, u.id as by, po.number, c.name as company, to_char(${answered.at(-1)!.at}::timestamptz, 'YYYY-MM-DD HH24:MI') as minute
      from unnest(${answered.map(({ record }) => record)}::uuid[], ${answered.map(({ author }) => author)}::uuid[]) as e (line, author)
      join kith."user" u on u.id = e.author and u.kind = 'partner'
      join suppliers."purchaseOrderLine" l on l.id = e.line
      join suppliers."purchaseOrder" po on po.id = l."purchaseOrder"
      left join contacts.company c on c.id = po.supplier
      where po.owner is not null`;
    await ctx.notify(
      orders.map(({ id, owner, by, number, company, minute }) => ({
        to: owner,
        by,
        kind: 'suppliers.answered',
        about: { object: 'suppliers.purchaseOrder', id },
        text: [company, number].filter(Boolean).join(' · '),
        key: `answered ${id} ${minute}`,
      })),
    );
  },
};

export const server = defineServer(suppliers, {
  consumers: { answers },
  demo: { northwind },
  guards: {
    purchaseOrder: ({ before, record }) => ({
      set: before === null ? { openLines: record.openLines ?? 0, lateLines: record.lateLines ?? 0, proposals: record.proposals ?? 0 } : {},
    }),
    purchaseOrderLine: guardLine,
  },
  effects: {
    purchaseOrder: followBin,
    purchaseOrderLine: followLines,
  },
  actions: {
    purchaseOrder: {
      confirmAll: async ({ record, refuse }, ctx) => {
        await setLines(ctx, await linesIn(record, 'open', ctx, refuse, 'No line waits for an answer.'), confirmed);
        return undefined;
      },
      rejectAll: async ({ record, input, refuse }, ctx) => {
        await setLines(ctx, await linesIn(record, 'open', ctx, refuse, 'No line waits for an answer.'), () => rejected(input.reason));
        return undefined;
      },
      acceptAll: async ({ record, refuse }, ctx) => {
        const proposals = await linesIn(record, 'countered', ctx, refuse, 'No proposal waits for a decision.');
        await setLines(ctx, proposals, () => ({ status: 'confirmed', answer: null }));
        return undefined;
      },
      markShipped: ({ record, refuse }, ctx) => {
        const { status, openLines, proposals } = record.fields;
        if (status === 'shipped') refuse('This purchase order has been shipped already.', 'status');
        // Lines that were rejected do not come; all others must be settled.
        const settled = status === 'confirmed' || (status === 'changed' && openLines === 0 && proposals === 0);
        if (!settled) refuse('Only a purchase order whose lines are all settled can be shipped.', 'status');
        return { status: 'shipped', shippedAt: ctx.clock().toISOString() };
      },
      close: ({ record, refuse }) => {
        if (record.fields.status === 'closed') refuse('This purchase order is closed already.', 'status');
        return { status: 'closed', openLines: 0, proposals: 0 };
      },
      reopen: async ({ record, refuse }, ctx) => {
        const { status } = record.fields;
        if (status !== 'closed' && status !== 'shipped') refuse('This purchase order is under way.', 'status');
        const lines = await linesOf(ctx, [record.id]);
        return {
          ...figuresOf(
            'open',
            lines.map((line) => line.fields),
          ),
          shippedAt: null,
        };
      },
    },
    purchaseOrderLine: {
      confirm: ({ record: { fields }, input, refuse }) => {
        if (!underWay(fields.orderStatus)) refuse(CLOSED, 'status');
        const quantity = input.confirmedQuantity ?? fields.orderedQuantity;
        const day = input.confirmedDate ?? dueOf(fields);
        return { confirmedQuantity: quantity, confirmedDate: day, status: judged(fields, quantity, day), reason: null, answer: null };
      },
      propose: ({ record: { fields }, input, refuse }) => {
        if (!underWay(fields.orderStatus)) refuse(CLOSED, 'status');
        if (input.confirmedQuantity === null && input.confirmedDate === null)
          refuse('Propose another quantity, another date, or both.', 'confirmedQuantity');
        const quantity = input.confirmedQuantity ?? fields.orderedQuantity;
        const day = input.confirmedDate ?? dueOf(fields);
        return {
          confirmedQuantity: quantity,
          confirmedDate: day,
          status: judged(fields, quantity, day),
          reason: input.reason,
          answer: null,
        };
      },
      reject: ({ record: { fields }, input, refuse }) => {
        if (!underWay(fields.orderStatus)) refuse(CLOSED, 'status');
        return rejected(input.reason);
      },
      accept: ({ record: { fields }, refuse }) => {
        if (!underWay(fields.orderStatus)) refuse(CLOSED, 'status');
        if (fields.status !== 'countered') refuse('There is no proposal to accept.', 'status');
        return { status: 'confirmed', answer: null };
      },
      counter: ({ record: { fields }, input, refuse }) => {
        // An order that was rejected whole comes back by this.
        if (!underWay(fields.orderStatus) && fields.orderStatus !== 'rejected') refuse(CLOSED, 'status');
        if (input.orderedQuantity === null && input.requiredDate === null && input.answer === null)
          refuse('Say another quantity, another date, or why the order stands.', 'orderedQuantity');
        return {
          orderedQuantity: input.orderedQuantity ?? fields.orderedQuantity,
          agreedDate: input.requiredDate ?? fields.agreedDate,
          answer: input.answer,
          confirmedQuantity: null,
          confirmedDate: null,
          status: 'open',
        };
      },
    },
  },
});
