/** The Northwind demo's shipments: one for each order, where its dates say that it is. */
import { readFile } from 'node:fs/promises';
import { contacts } from '@kith/plugin-contacts/plugin';
import { server as contactsServer } from '@kith/plugin-contacts/server';
import { portals } from '@kith/plugin-portals/plugin';
import { server as portalsServer } from '@kith/plugin-portals/server';
import { sales } from '@kith/plugin-sales/plugin';
import { server as salesServer } from '@kith/plugin-sales/server';
import { seedDemo } from '@kith/core/runtime';
import { createTestWorld, type TestWorld } from '@kith/core/testing';
import type { Filter, Money } from '@kith/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { logistics } from './plugin.ts';
import { server } from './server.ts';

let world: TestWorld;
let key: string;
let orders: Record<string, string>[];

beforeAll(async () => {
  const text = await readFile(new URL('../../sales/demo/northwind/orders.csv', import.meta.url), 'utf8');
  const [head, ...lines] = text.trim().split(/\r?\n/);
  const names = head!.split(',');
  orders = lines.map((line) => Object.fromEntries(line.split(',').map((value, i) => [names[i]!, value])));
  world = await createTestWorld({
    plugins: [contacts, sales, portals, logistics],
    servers: [contactsServer, salesServer, portalsServer, server],
  });
  await seedDemo(world.runtime, 'northwind');
  key = await world.key('reader');
}, 60_000);
afterAll(() => world.close());

interface Page {
  data: { fields: Record<string, unknown> }[];
  count: number;
  totals: Record<string, { sum: Money[] }>;
}
const list = async (object: string, query: Record<string, string>, headers?: Record<string, string>): Promise<Page> => {
  const path = `/records/${object}?${new URLSearchParams({ limit: '1', count: 'exact', ...query }).toString()}`;
  const { status, body } = await world.request('GET', path, headers ? { headers } : { key });
  expect(status, JSON.stringify(body)).toBe(200);
  return body as unknown as Page;
};
const count = async (object: string, filter: Filter): Promise<number> => (await list(object, { filter: JSON.stringify(filter) })).count;

describe('the shipments of Northwind', () => {
  it('are one for each order, at its freight', async () => {
    const { count: all, totals } = await list('logistics.shipment', { totals: 'freightCharged' });
    expect(all).toBe(orders.length);
    const cents = orders.reduce((sum, row) => sum + Math.round(Number(row.freight) * 100), 0);
    expect(Math.round(Number(totals.freightCharged!.sum[0]!.amount) * 100)).toBe(cents);
    const unshipped = orders.filter((row) => !row.shippedDate).length;
    expect(await count('logistics.shipment', { field: 'status', op: 'eq', value: 'planned' })).toBe(unshipped);
    expect(await count('logistics.shipment', { field: 'estimatedArrival', op: 'isNull', value: true })).toBe(unshipped);
  });

  it('have milestones that have happened, and stand where the newest says, on the order too', async () => {
    const tomorrow = new Date(Date.now() + 86_400_000).toISOString();
    expect(await count('logistics.milestone', { field: 'at', op: 'gt', value: tomorrow })).toBe(0);
    for (const status of ['planned', 'inTransit', 'delivered', 'exception']) {
      const filter: Filter = { field: 'status', op: 'eq', value: status };
      const shipments = await count('logistics.shipment', filter);
      expect(await count('sales.order', { field: 'logistics__shipmentStatus', op: 'eq', value: status })).toBe(shipments);
      if (status === 'delivered') expect(await count('logistics.milestone', { field: 'kind', op: 'eq', value: status })).toBe(shipments);
    }
    const [shipped] = orders.filter((row) => row.shippedDate);
    const found = await list('logistics.shipment', {
      filter: JSON.stringify({ field: 'orderNumber', op: 'eq', value: shipped!.orderID! }),
    });
    expect(found.data[0]!.fields).toMatchObject({ number: `S-${shipped!.orderID!}`, status: 'delivered', lastPlace: 'Reims, France' });
  });

  it('are seen by their carrier alone', async () => {
    for (const [email, carrier] of [
      ['speedy@partners.example', '1'],
      ['united@partners.example', '2'],
    ] as const) {
      const { headers } = await world.request('POST', '/session', { body: { email, password: 'kith-demo' } });
      const cookie = { cookie: headers.get('set-cookie')!.split(';', 1)[0]! };
      const own = orders.filter((row) => row.shipVia === carrier).length;
      expect((await list('logistics.shipment', {}, cookie)).count).toBe(own);
    }
  });
});
