/**
 * The Northwind demo's share of logistics: each order is one shipment of its
 * carrier. Where it has been follows from the order's dates and addresses.
 */
import type { Demo, FieldsOf, ObjectsOf, Rec, RecordsDoor } from '@kith/sdk';
import type { logistics } from '../plugin.ts';
import { whereabouts, type Milestone } from './follow.ts';

type Objects = ObjectsOf<typeof logistics>;
type Order = Rec<FieldsOf<Objects['sales.order']>>;

const DAY_MS = 86_400_000;
const PAGE = 500;
/** Days on the road are from two to five, by the order's key. */
const SHORTEST_TRANSIT = 2;
const TRANSITS = 4;
/** Days before the required one on which a shipment must leave. */
const SHIP_BEFORE = 5;
const LOGINS = [
  { carrier: '1', email: 'speedy@partners.example', name: 'Speedy Express Dispatch' },
  { carrier: '2', email: 'united@partners.example', name: 'United Package Dispatch' },
];

export const northwind: Demo<typeof logistics> = {
  folder: new URL('../../demo/northwind/', import.meta.url),

  async load({ records, share, partner, clock }) {
    const orders = (await all(records)).sort((a, b) => Number(a.fields.externalId) - Number(b.fields.externalId));
    const now = clock().toISOString();
    const planned = orders.map((order) => {
      const { fields } = order;
      const milestones = milestonesOf(order, now);
      return {
        milestones,
        shipment: {
          number: `S-${fields.number}`,
          order: order.id,
          carrier: share.get('carrier')!.get(share.get('orderCarrier')!.get(fields.externalId!)!)!,
          shipBy: fields.requiredDate === null ? null : plusDays(fields.requiredDate, -SHIP_BEFORE),
          estimatedArrival: fields.shippedDate === null ? null : plusDays(fields.shippedDate, transit(order)),
          freightCharged: fields.freight,
          ...whereabouts(milestones),
        },
      };
    });
    const ids = await records.createMany(
      'logistics.shipment',
      planned.map(({ shipment }) => shipment),
    );
    await records.createMany(
      'logistics.milestone',
      planned.flatMap(({ milestones }, i) => milestones.map((one) => ({ ...one, shipment: ids[i]! }))),
    );
    share.set('shipment', new Map(orders.map((order, i) => [order.fields.externalId!, ids[i]!])));
    for (const { carrier, ...person } of LOGINS)
      await partner({ ...person, audience: 'carrier', company: share.get('carrier')!.get(carrier)!, admin: true });
  },
};

const transit = ({ fields }: Order): number => SHORTEST_TRANSIT + (Number(fields.externalId) % TRANSITS);
const plusDays = (day: string, days: number): string => new Date(Date.parse(day) + days * DAY_MS).toISOString().slice(0, 10);

/** Picked up and off on the day of shipping, delivered after some days on the road; only what has happened by now. */
function milestonesOf(order: Order, now: string): Milestone[] {
  const { shippedDate, shipTo, externalId } = order.fields;
  if (shippedDate === null) return [];
  const minute = String((Number(externalId) * 7) % 60).padStart(2, '0');
  const place = [shipTo?.city, shipTo?.country].filter(Boolean).join(', ') || null;
  const days = transit(order);
  const at = (kind: NonNullable<Milestone['kind']>, after: number, hour: string, where: string | null): Milestone => ({
    shipment: null,
    shipmentNumber: null,
    carrier: null,
    reporter: null,
    withdrawn: null,
    kind,
    at: `${plusDays(shippedDate, after)}T${hour}:${minute}:00.000Z`,
    place: where,
    note: null,
  });
  return [
    at('pickedUp', 0, '08', null),
    at('departed', 0, '16', null),
    at('arrived', days - 1, '19', place),
    at('delivered', days, '09', place),
  ].filter((one) => one.at! <= now);
}

async function all(records: RecordsDoor<Objects>): Promise<Order[]> {
  const found: Order[] = [];
  for (let cursor: string | undefined; ;) {
    const page: { data: Order[]; nextCursor: string | null } = await records.query('sales.order', {
      sort: ['createdAt'],
      limit: PAGE,
      ...(cursor === undefined ? {} : { cursor }),
    });
    found.push(...page.data);
    if (page.nextCursor === null) return found;
    cursor = page.nextCursor;
  }
}
