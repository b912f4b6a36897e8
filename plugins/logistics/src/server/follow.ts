/** What follows from milestones and shipments: the shipment's state from its newest milestone, the order's from its shipments. */
import { sameValue, type Context, type Effected, type FieldsOf, type Filter, type ObjectsOf, type Rec } from '@kith/sdk';
import type { logistics } from '../plugin.ts';

export type Ctx = Context<typeof logistics>;
type Objects = ObjectsOf<typeof logistics>;
export type Shipment = FieldsOf<Objects['logistics.shipment']>;
export type Milestone = FieldsOf<Objects['logistics.milestone']>;
export type ShipmentStatus = NonNullable<Shipment['status']>;

const AT_ONCE = 200;
const PAGE = 500;

const STATUS: Readonly<Record<NonNullable<Milestone['kind']>, ShipmentStatus>> = {
  pickedUp: 'inTransit',
  departed: 'inTransit',
  arrived: 'inTransit',
  delivered: 'delivered',
  exception: 'exception',
};

/** Where a shipment is, by its milestones in the order of their times. */
export function whereabouts(milestones: readonly Milestone[]): Pick<Shipment, 'status' | 'lastPlace' | 'lastEventAt' | 'exceptionReason'> {
  const newest = milestones.at(-1);
  return {
    status: newest?.kind ? STATUS[newest.kind] : 'planned',
    // A report without a place leaves the shipment where it was last seen.
    lastPlace: milestones.findLast((one) => one.place !== null)?.place ?? null,
    lastEventAt: newest?.at ?? null,
    exceptionReason: newest?.kind === 'exception' ? newest.note : null,
  };
}

/** Brings the shipments of changed milestones up to date; writes only what differs. */
export async function followMilestones(changes: readonly Effected<Milestone>[], ctx: Ctx): Promise<void> {
  await locate(
    changes.flatMap(({ before, record }) => [record.shipment, before?.shipment]),
    ctx,
  );
}

async function locate(shipmentIds: readonly (string | null | undefined)[], ctx: Ctx): Promise<void> {
  for (const ids of portions(shipmentIds)) {
    const shipments = await ctx.asPlugin.query('logistics.shipment', { filter: { field: 'id', op: 'in', value: ids }, limit: AT_ONCE });
    const milestones = Map.groupBy(
      await allOf(ctx, 'logistics.milestone', { field: 'shipment', op: 'in', value: ids }, ['at']),
      (one) => one.fields.shipment,
    );
    const moved = shipments.data.map(({ id, fields }) => {
      // Another carrier begins anew: where the one before was is not told to it.
      const own = (milestones.get(id) ?? []).map((one) => one.fields).filter((one) => one.reporter === fields.carrier);
      return { id, fields: differences(fields, whereabouts(own)) };
    });
    await ctx.asPlugin.patchMany('logistics.shipment', moved.filter(differing));
  }
}

/** Milestones go with their shipment when it is thrown away, and come back with it. */
async function followBin(changes: readonly Effected<Shipment>[], ctx: Ctx): Promise<void> {
  for (const kind of ['deleted', 'restored'] as const) {
    for (const ids of portions(changes.filter((change) => change.kind === kind).map(({ id }) => id))) {
      const milestones = await allOf(ctx, 'logistics.milestone', { field: 'shipment', op: 'in', value: ids }, ['at']);
      await ctx.asPlugin.patchMany(
        'logistics.milestone',
        milestones.map(({ id }) => ({ id, fields: { withdrawn: kind === 'deleted' } })),
      );
    }
  }
}

/** Shows on the order how its shipments stand and when the last of them arrives. */
export async function followShipments(changes: readonly Effected<Shipment>[], ctx: Ctx): Promise<void> {
  await followBin(changes, ctx);
  const passed = changes.filter(({ kind, before, record }) => kind === 'changed' && before?.carrier !== record.carrier);
  await locate(
    passed.map(({ id }) => id),
    ctx,
  );
  const moved = changes.filter(
    ({ kind, before, record }) =>
      kind !== 'changed' ||
      (['order', 'status', 'estimatedArrival'] as const).some((name) => !sameValue(before?.[name] ?? null, record[name])),
  );
  for (const ids of portions(moved.flatMap(({ before, record }) => [record.order, before?.order]))) {
    const orders = await ctx.asPlugin.query('sales.order', { filter: { field: 'id', op: 'in', value: ids }, limit: AT_ONCE });
    const shipments = Map.groupBy(
      await allOf(ctx, 'logistics.shipment', { field: 'order', op: 'in', value: ids }, ['createdAt']),
      (one) => one.fields.order,
    );
    const moved = orders.data.map(({ id, fields }) => ({
      id,
      fields: differences<object, OnOrder>(fields, together((shipments.get(id) ?? []).map((one) => one.fields))),
    }));
    await ctx.asPlugin.patchMany('sales.order', moved.filter(differing));
  }
}

/** What this plugin adds to an order. */
export interface OnOrder {
  logistics__shipmentStatus: ShipmentStatus | null;
  logistics__estimatedArrival: string | null;
}

/** How several shipments stand together: by the one that gives most cause for care. */
export function together(shipments: readonly Pick<Shipment, 'status' | 'estimatedArrival'>[]): OnOrder {
  const has = (status: ShipmentStatus): boolean => shipments.some((one) => one.status === status);
  const all = (status: ShipmentStatus): boolean => shipments.every((one) => one.status === status);
  const days = shipments.map((one) => one.estimatedArrival).filter((day) => day !== null);
  return {
    logistics__shipmentStatus:
      shipments.length === 0
        ? null
        : has('exception')
          ? 'exception'
          : all('delivered')
            ? 'delivered'
            : all('planned')
              ? 'planned'
              : 'inTransit',
    logistics__estimatedArrival: days.length === 0 ? null : days.reduce((last, day) => (day > last ? day : last)),
  };
}

const differing = ({ fields }: { fields: object }): boolean => Object.keys(fields).length > 0;

function* portions(ids: readonly (string | null | undefined)[]): Generator<string[]> {
  const known = [...new Set(ids)].filter((id) => id !== null && id !== undefined);
  for (let i = 0; i < known.length; i += AT_ONCE) yield known.slice(i, i + AT_ONCE);
}

async function allOf<O extends 'logistics.shipment' | 'logistics.milestone'>(
  ctx: Ctx,
  object: O,
  filter: Filter,
  sort: readonly string[],
): Promise<Rec<FieldsOf<Objects[O]>>[]> {
  const found: Rec<FieldsOf<Objects[O]>>[] = [];
  for (let cursor: string | undefined; ;) {
    const page: { data: Rec<FieldsOf<Objects[O]>>[]; nextCursor: string | null } = await ctx.asPlugin.query(object, {
      filter,
      sort,
      limit: PAGE,
      ...(cursor === undefined ? {} : { cursor }),
    });
    found.push(...page.data);
    if (page.nextCursor === null) return found;
    cursor = page.nextCursor;
  }
}

const differences = <T extends object, N extends Partial<T>>(now: T, next: N): Partial<T> =>
  Object.fromEntries(
    Object.entries(next).filter(([name, value]) => !sameValue((now as Record<string, never>)[name] ?? null, value as never)),
  ) as Partial<T>;
