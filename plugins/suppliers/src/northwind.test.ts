/** The Northwind demo's purchase orders: every order by every supplier, and the figures counted again from the published data. */
import { readFile } from 'node:fs/promises';
import { contacts } from '@kith/plugin-contacts/plugin';
import { server as contactsServer } from '@kith/plugin-contacts/server';
import { portals } from '@kith/plugin-portals/plugin';
import { server as portalsServer } from '@kith/plugin-portals/server';
import { sales } from '@kith/plugin-sales/plugin';
import { server as salesServer } from '@kith/plugin-sales/server';
import { seedDemo } from '@kith/core/runtime';
import { createTestWorld, type TestWorld } from '@kith/core/testing';
import type { Filter, Money, Rec } from '@kith/sdk';
import Big from 'big.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { suppliers } from './plugin.ts';
import { server } from './server.ts';

type Row = Record<string, string>;
const table = async (name: string): Promise<Row[]> => {
  const text = await readFile(new URL(`../../sales/demo/northwind/${name}.csv`, import.meta.url), 'utf8');
  const [head, ...lines] = text.trim().split(/\r?\n/);
  const names = head!.split(',');
  return lines.map((line) => Object.fromEntries(line.split(',').map((value, i) => [names[i]!, value])));
};
const half = (amount: Big): Big => amount.round(4, Big.roundHalfUp);

let world: TestWorld;
let key: string;
let took: number;
let orders: Row[];
let details: Row[];
let supplierOf: Map<string, string>;

beforeAll(async () => {
  const [loaded, products] = [await Promise.all(['orders', 'order_details'].map(table)), await table('products')];
  [orders, details] = loaded as [Row[], Row[]];
  supplierOf = new Map(products.map((row) => [row.productID!, row.supplierID!]));
  world = await createTestWorld({
    plugins: [contacts, sales, portals, suppliers],
    servers: [contactsServer, salesServer, portalsServer, server],
  });
  const began = performance.now();
  await seedDemo(world.runtime, 'northwind', { originalDates: true });
  took = performance.now() - began;
  key = await world.key('reader');
}, 60_000);
afterAll(() => world.close());

interface Page {
  data: Rec[];
  nextCursor: string | null;
  count: number;
}
const list = async (object: string, query: Record<string, string>, who?: Record<string, string>): Promise<Page> => {
  const path = `/records/${object}?${new URLSearchParams(query).toString()}`;
  const { status, body } = await world.request('GET', path, who ? { headers: who } : { key });
  expect(status, JSON.stringify(body)).toBe(200);
  return body as unknown as Page;
};
const all = async (object: string): Promise<Rec[]> => {
  const found: Rec[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: Page = await list(object, { limit: '500', ...(cursor ? { cursor } : {}) });
    found.push(...page.data);
    cursor = page.nextCursor;
  }
  return found;
};
const count = async (object: string, filter: Filter, who?: Record<string, string>): Promise<number> =>
  (await list(object, { limit: '1', count: 'exact', filter: JSON.stringify(filter) }, who)).count;

const groupOf = (row: Row): string => `${row.orderID!} ${supplierOf.get(row.productID!)!}`;
const unshipped = (): Set<string> => new Set(orders.filter((row) => !row.shippedDate).map((row) => row.orderID!));
async function login(email: string): Promise<Record<string, string>> {
  const { headers } = await world.request('POST', '/session', { body: { email, password: 'kith-demo' } });
  return { cookie: headers.get('set-cookie')!.split(';', 1)[0]! };
}

describe('the purchase orders of Northwind', () => {
  it('load in a moment', () => {
    expect(took).toBeLessThan(20_000);
  });

  it('are one for each order and supplier, open until the order ships', async () => {
    const open = unshipped();
    const groups = new Set(details.map(groupOf));
    expect(groups.size).toBe(2081);
    const of = (keep: (order: string) => boolean): number => [...groups].filter((one) => keep(one.split(' ')[0]!)).length;
    const lines = (keep: (order: string) => boolean): number => details.filter((row) => keep(row.orderID!)).length;
    for (const [object, status, wanted] of [
      ['suppliers.purchaseOrder', 'open', of((one) => open.has(one))],
      ['suppliers.purchaseOrder', 'closed', of((one) => !open.has(one))],
      ['suppliers.purchaseOrderLine', 'open', lines((one) => open.has(one))],
      ['suppliers.purchaseOrderLine', 'confirmed', lines((one) => !open.has(one))],
    ] as const)
      expect(await count(object, { field: 'status', op: 'eq', value: status }), `${object} ${status}`).toBe(wanted);
    expect(await count('suppliers.purchaseOrder', { field: 'status', op: 'nin', value: ['open', 'closed'] })).toBe(0);
    expect(await count('suppliers.purchaseOrderLine', { field: 'status', op: 'nin', value: ['open', 'confirmed'] })).toBe(0);
  });

  it('cost what they should, line by line, and leave what is left', async () => {
    const [purchases, lines, sold] = [
      await all('suppliers.purchaseOrder'),
      await all('suppliers.purchaseOrderLine'),
      await all('sales.orderLine'),
    ];
    const [soldBy, numberOf] = [
      new Map(sold.map((one) => [one.id, one])),
      new Map(purchases.map((one) => [one.id, one.fields.orderNumber as string])),
    ];
    const productKey = new Map((await all('sales.product')).map((one) => [one.id, one.fields.externalId as string]));
    const net = (row: Row): Big => new Big(row.unitPrice!).times(row.quantity!).times(new Big(1).minus(row.discount!));
    const [byKey, freight] = [
      new Map(details.map((row) => [`${row.orderID!} ${row.productID!}`, row])),
      new Map(orders.map((row) => [row.orderID!, row.freight!])),
    ];
    const netOf = new Map<string, Big>();
    for (const row of details) netOf.set(row.orderID!, net(row).plus(netOf.get(row.orderID!) ?? 0));
    const margins = new Map<string, Big>();
    for (const { fields } of lines) {
      const number = numberOf.get(fields.purchaseOrder as string)!;
      const row = byKey.get(`${number} ${productKey.get(fields.product as string)!}`)!;
      const cost = new Big(row.unitPrice!).times('0.7');
      const share = new Big(freight.get(number)!).times(net(row)).div(netOf.get(number)!).div(row.quantity!);
      const internal = half(cost.plus(share));
      expect((fields.unitCost as Money).amount).toBe(cost.toFixed(Math.max(2, cost.toString().split('.')[1]?.length ?? 0)));
      expect(new Big((fields.internalCost as Money).amount).eq(internal), `${number} ${row.productID!}`).toBe(true);
      expect(fields.orderedQuantity).toBe(Number(row.quantity));
      expect(soldBy.get(fields.orderLine as string)!.fields.total).toEqual(fields.netSales);
      const purchase = fields.purchaseOrder as string;
      margins.set(purchase, (margins.get(purchase) ?? new Big(0)).plus(net(row)).minus(internal.times(row.quantity!)));
    }
    expect(lines).toHaveLength(details.length);
    for (const { id, fields } of purchases) {
      expect(new Big((fields.margin as Money).amount).eq(half(margins.get(id)!)), fields.number as string).toBe(true);
      expect(fields.requiredDate).toBe(orders.find((row) => row.orderID === fields.orderNumber)!.requiredDate);
    }
  });

  it('give each rival its own and nothing else', async () => {
    for (const [email, supplier] of [
      ['exotic@partners.example', '1'],
      ['tokyo@partners.example', '4'],
    ] as const) {
      const who = await login(email);
      const own = new Set(details.filter((row) => supplierOf.get(row.productID!) === supplier).map(groupOf));
      const everything: Filter = { field: 'number', op: 'isNull', value: false };
      expect(await count('suppliers.purchaseOrder', everything, who)).toBe(own.size);
      const lines = details.filter((row) => supplierOf.get(row.productID!) === supplier);
      expect(await count('suppliers.purchaseOrderLine', { field: 'item', op: 'isNull', value: false }, who)).toBe(lines.length);
      const { body } = await world.request('GET', '/partners', { headers: who });
      expect((body as { data: { email: string }[] }).data.map((one) => one.email)).toEqual([email]);
    }
  });
});
