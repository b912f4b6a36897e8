/** Purchase orders after a change of their lines: state, counts and sums, all orders of a commit at once. */
import { sameValue, type Context, type Effected, type Filter, type Rec } from '@kith/sdk';
import type { suppliers } from '../plugin.ts';
import { figuresOf, type Figures, type Line, type Order } from './terms.ts';

export type Ctx = Context<typeof suppliers>;

/** How many orders are asked for in one filter, and lines in one page. */
const AT_ONCE = 200;
const PAGE = 500;

/** Brings the purchase orders of changed lines up to date; writes only what differs. */
export async function followLines(changes: readonly Effected<Line>[], ctx: Ctx): Promise<void> {
  const ids = new Set<string>();
  for (const { before, record } of changes) {
    if (record.purchaseOrder !== null) ids.add(record.purchaseOrder);
    if (before?.purchaseOrder) ids.add(before.purchaseOrder);
  }
  const all = [...ids];
  for (let i = 0; i < all.length; i += AT_ONCE) {
    const some = all.slice(i, i + AT_ONCE);
    const [orders, lines] = [await ordersOf(ctx, some), Map.groupBy(await linesOf(ctx, some), (line) => line.fields.purchaseOrder)];
    const moved = orders.map(({ id, fields }) => {
      const own = (lines.get(id) ?? []).map((line) => line.fields);
      return { id, fields: differences(fields, figuresOf(fields.status, own)) };
    });
    await ctx.asPlugin.patchMany(
      'suppliers.purchaseOrder',
      moved.filter(({ fields }) => Object.keys(fields).length > 0),
    );
  }
}

/** Lines go with their purchase order when it is thrown away, and come back with it. */
export async function followBin(changes: readonly Effected<Order>[], ctx: Ctx): Promise<void> {
  for (const kind of ['deleted', 'restored'] as const) {
    const ids = changes.filter((change) => change.kind === kind).map(({ id }) => id);
    if (ids.length === 0) continue;
    await ctx.asPlugin.patchMany(
      'suppliers.purchaseOrderLine',
      (await linesOf(ctx, ids)).map(({ id }) => ({ id, fields: { withdrawn: kind === 'deleted' } })),
    );
  }
}

/** The lines of purchase orders, those first that were made first. */
export async function linesOf(ctx: Ctx, orders: readonly string[]): Promise<Rec<Line>[]> {
  const filter: Filter = { field: 'purchaseOrder', op: 'in', value: [...orders] };
  const found: Rec<Line>[] = [];
  for (let cursor: string | null = null; ;) {
    const page: { data: Rec<Line>[]; nextCursor: string | null } = await ctx.asPlugin.query('suppliers.purchaseOrderLine', {
      filter,
      sort: ['createdAt'],
      limit: PAGE,
      ...(cursor === null ? {} : { cursor }),
    });
    found.push(...page.data);
    cursor = page.nextCursor;
    if (cursor === null) return found;
  }
}

async function ordersOf(ctx: Ctx, ids: readonly string[]): Promise<Rec<Order>[]> {
  return (await ctx.asPlugin.query('suppliers.purchaseOrder', { filter: { field: 'id', op: 'in', value: [...ids] }, limit: AT_ONCE })).data;
}

function differences(now: Order, next: Figures): Partial<Order> {
  const names = Object.keys(next) as (keyof Figures)[];
  return Object.fromEntries(names.filter((name) => !sameValue(now[name], next[name])).map((name) => [name, next[name]]));
}
