/** The Northwind demo, loaded whole: its published figures come out of the API exactly. */
import { readFile } from 'node:fs/promises';
import { contacts } from '@kith/plugin-contacts/plugin';
import { server as contactsServer } from '@kith/plugin-contacts/server';
import { seedDemo } from '@kith/core/runtime';
import { createTestWorld, type TestWorld } from '@kith/core/testing';
import type { Filter, Money, Rec } from '@kith/sdk';
import Big from 'big.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sales } from './plugin.ts';
import { server } from './server.ts';

interface Expected {
  counts: { customers: number; suppliers: number; shippers: number; orders: number; order_details: number; products: number };
  net_after_discount: string;
  freight_total: string;
  net_by_year: Record<string, string>;
  top_customers: [string, string][];
  top_products: [string, string][];
  by_employee: [string, string][];
  by_category: [string, string][];
  by_ship_country_top5: [string, string][];
  customers_without_orders: string[];
  orders_shipped_after_required: number;
  orders_not_shipped: number;
}
interface Page {
  data: Rec[];
  nextCursor: string | null;
  count?: number;
  totals?: Record<string, { sum: Money[] }>;
}

const expected = JSON.parse(await readFile(new URL('../demo/northwind/expected.json', import.meta.url), 'utf8')) as Expected;
const demo = { plugins: [contacts, sales], servers: [contactsServer, server] };

const list = async (world: TestWorld, key: string, object: string, query: Record<string, string>): Promise<Page> => {
  const { status, body } = await world.request('GET', `/records/${object}?${new URLSearchParams(query).toString()}`, { key });
  expect(status, JSON.stringify(body)).toBe(200);
  return body as unknown as Page;
};
const all = async (world: TestWorld, key: string, object: string, query: Record<string, string> = {}): Promise<Rec[]> => {
  const found: Rec[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: Page = await list(world, key, object, { limit: '500', ...query, ...(cursor ? { cursor } : {}) });
    found.push(...page.data);
    cursor = page.nextCursor;
  }
  return found;
};
const filter = (value: Filter): { filter: string } => ({ filter: JSON.stringify(value) });
/** Four decimals, as the published figures are written. */
const four = (money: Money[] | undefined): string => new Big(money?.[0]?.amount ?? 0).toFixed(4);

describe('the Northwind demo with its own dates', () => {
  let world: TestWorld;
  let key: string;
  let took: number;
  beforeAll(async () => {
    world = await createTestWorld(demo);
    const began = performance.now();
    await seedDemo(world.runtime, 'northwind', { originalDates: true });
    took = performance.now() - began;
    key = await world.key('reader');
  });
  afterAll(() => world.close());

  const net = async (where?: Filter): Promise<string> =>
    four((await list(world, key, 'sales.orderLine', { limit: '1', totals: 'total', ...(where ? filter(where) : {}) })).totals!.total!.sum);
  const count = async (object: string, where?: Filter): Promise<number> =>
    (await list(world, key, object, { limit: '1', count: 'exact', ...(where ? filter(where) : {}) })).count!;

  it('loads in a moment', () => {
    expect(took).toBeLessThan(5_000);
  });

  it('has every record', async () => {
    const ofKind = (kind: string): Promise<number> => count('contacts.company', { field: 'kind', op: 'contains', value: kind });
    expect(await ofKind('customer')).toBe(expected.counts.customers);
    expect(await ofKind('supplier')).toBe(expected.counts.suppliers);
    expect(await ofKind('carrier')).toBe(expected.counts.shippers);
    expect(await count('contacts.person')).toBe(expected.counts.customers + expected.counts.suppliers);
    expect(await count('sales.product')).toBe(expected.counts.products);
    expect(await count('sales.order')).toBe(expected.counts.orders);
    expect(await count('sales.orderLine')).toBe(expected.counts.order_details);
  });

  it('sums up to the published sales', async () => {
    expect(await net()).toBe(expected.net_after_discount);
    const orders = await list(world, key, 'sales.order', { limit: '1', totals: 'freight' });
    expect(orders.totals!.freight!.sum).toEqual([{ amount: expected.freight_total, currency: 'USD' }]);
    for (const [year, sum] of Object.entries(expected.net_by_year)) {
      expect(await net({ field: 'order.orderDate', op: 'between', value: [`${year}-01-01`, `${year}-12-31`] }), year).toBe(sum);
    }
    for (const [category, sum] of expected.by_category)
      expect(await net({ field: 'product.category', op: 'eq', value: category })).toBe(sum);
    for (const [product, sum] of expected.top_products) expect(await net({ field: 'product.name', op: 'eq', value: product })).toBe(sum);
    for (const [customer, sum] of expected.top_customers)
      expect(await net({ field: 'order.company.name', op: 'eq', value: customer })).toBe(sum);
    const people = await world.runtime.sessions.people();
    for (const [employee, sum] of expected.by_employee) {
      const { id } = people.find((one) => one.name.endsWith(` ${employee}`))!;
      expect(await net({ field: 'order.owner', op: 'eq', value: id }), employee).toBe(sum);
    }
    const orderCountry = new Map(
      (await all(world, key, 'sales.order')).map((rec) => [rec.id, (rec.fields.shipTo as { country: string }).country]),
    );
    const byCountry = new Map<string, Big>();
    for (const line of await all(world, key, 'sales.orderLine')) {
      const country = orderCountry.get(line.fields.order as string)!;
      byCountry.set(country, (byCountry.get(country) ?? new Big(0)).plus((line.fields.total as Money).amount));
    }
    const top = [...byCountry].sort(([, a], [, b]) => b.cmp(a)).slice(0, 5);
    expect(top.map(([country, sum]) => [country, sum.toFixed(4)])).toEqual(expected.by_ship_country_top5);
  });

  it('knows which orders wait and which were late', async () => {
    expect(await count('sales.order', { field: 'shippedDate', op: 'isNull', value: true })).toBe(expected.orders_not_shipped);
    const late = (await all(world, key, 'sales.order')).filter(
      ({ fields }) => fields.shippedDate !== null && (fields.shippedDate as string) > (fields.requiredDate as string),
    );
    expect(late).toHaveLength(expected.orders_shipped_after_required);
    const ordering = new Set((await all(world, key, 'sales.order')).map((rec) => rec.fields.company));
    const customers = await all(world, key, 'contacts.company', filter({ field: 'kind', op: 'contains', value: 'customer' }));
    const without = customers.filter((rec) => !ordering.has(rec.id)).map((rec) => rec.fields.externalId as string);
    expect(without.sort()).toEqual(expected.customers_without_orders);
  });

  it('gives each customer to the employee who took most of its orders', async () => {
    const taken = new Map<string, Map<string, number>>();
    for (const { fields } of await all(world, key, 'sales.order')) {
      const counts = taken.get(fields.company as string) ?? new Map<string, number>();
      counts.set(fields.owner as string, (counts.get(fields.owner as string) ?? 0) + 1);
      taken.set(fields.company as string, counts);
    }
    for (const { id, fields } of await all(world, key, 'contacts.company', filter({ field: 'kind', op: 'contains', value: 'customer' }))) {
      expect(fields.owner, fields.name as string).not.toBeNull();
      const counts = taken.get(id);
      if (counts) expect(counts.get(fields.owner as string)).toBe(Math.max(...counts.values()));
    }
  });

  it('keeps 1996 to 1998, and what is derived stands around the last order', async () => {
    const orders = await list(world, key, 'sales.order', { sort: '-orderDate', limit: '1' });
    expect(orders.data[0]!.fields.orderDate).toBe('1998-05-06');
    const [order] = (await list(world, key, 'sales.order', filter({ field: 'externalId', op: 'eq', value: '10248' }))).data;
    expect(order!.fields).toMatchObject({
      number: '10248',
      orderDate: '1996-07-04',
      requiredDate: '1996-08-01',
      shippedDate: '1996-07-16',
      freight: { amount: '32.38', currency: 'USD' },
      shipTo: { street: "59 rue de l'Abbaye", city: 'Reims', postalCode: '51100', country: 'France' },
    });
    const deals = await all(world, key, 'sales.deal');
    for (const { fields } of deals) expect(fields.closeDate as string).toMatch(/^1998-0[3-9]/);
  });

  it('gives people logins and addresses', async () => {
    const people = await world.runtime.sessions.people();
    const roles = Object.fromEntries(people.map((one) => [one.email, one.role]));
    expect(roles).toMatchObject({
      'admin@northwind.example': 'admin',
      'andrew@northwind.example': 'manager',
      'steven@northwind.example': 'manager',
      'nancy@northwind.example': 'member',
    });
    expect(people.filter((one) => one.email.endsWith('@northwind.example'))).toHaveLength(10);
    const { status, headers } = await world.request('POST', '/session', {
      body: { email: 'nancy@northwind.example', password: 'kith-demo' },
    });
    expect(status).toBe(200);
    expect(headers.get('set-cookie')).toMatch(/^kith_session=/);
    const contactsOfFirms = await all(world, key, 'contacts.person');
    const emails = contactsOfFirms.map((rec) => rec.fields.email as string);
    expect(new Set(emails).size).toBe(emails.length);
    for (const email of emails) expect(email).toMatch(/^[a-z.-]+@[a-z0-9-]+\.example$/);
    const [castro] = contactsOfFirms.filter((rec) => rec.fields.lastName === 'de Castro');
    expect(castro!.fields).toMatchObject({ firstName: 'Isabel', title: 'Sales Representative' });
  });

  it('goes on with order numbers after the last', async () => {
    const [company] = (await list(world, key, 'contacts.company', { limit: '1' })).data;
    const { status, body } = await world.request('POST', '/records/sales.order', {
      key: await world.key('member'),
      body: { company: company!.id },
    });
    expect(status).toBe(201);
    expect((body as Rec).fields.number).toBe('11078');
  });

  it('is refused a second time, and nothing changes', async () => {
    const before = await count('sales.orderLine');
    await expect(seedDemo(world.runtime, 'northwind')).rejects.toThrow('A demo is loaded already.');
    expect(await count('sales.orderLine')).toBe(before);
  });
});

describe('the Northwind demo today', () => {
  const NOW = new Date('2026-11-20T10:00:00Z');
  let world: TestWorld;
  let key: string;
  beforeAll(async () => {
    world = await createTestWorld({ ...demo, clock: () => NOW });
    await seedDemo(world.runtime, 'northwind');
    key = await world.key('reader');
  });
  afterAll(() => world.close());

  it('moves all dates by the same whole weeks, so that the last order is this week', async () => {
    const [latest] = (await list(world, key, 'sales.order', { sort: '-orderDate', limit: '1' })).data;
    // 6 May 1998 was a Wednesday.
    expect(latest!.fields.orderDate).toBe('2026-11-18');
    const [first] = (await list(world, key, 'sales.order', filter({ field: 'number', op: 'eq', value: '10248' }))).data;
    const days = (a: string, b: string): number => (Date.parse(b) - Date.parse(a)) / 86_400_000;
    expect(days('1996-07-04', first!.fields.orderDate as string)).toBe(days('1998-05-06', '2026-11-18'));
    expect(days(first!.fields.orderDate as string, first!.fields.shippedDate as string)).toBe(12);
  });

  it('brings deals in every stage, tasks for today and a past of calls and meetings', async () => {
    const deals = await all(world, key, 'sales.deal');
    expect(deals.length).toBeGreaterThanOrEqual(25);
    const stages = new Set(deals.map((rec) => rec.fields.stage));
    expect(stages.size).toBe(6);
    for (const { fields } of deals) {
      const over = fields.stage === 'won' || fields.stage === 'lost';
      expect((fields.closeDate as string) < '2026-11-20', fields.name as string).toBe(over);
      expect(Number((fields.amount as Money).amount)).toBeGreaterThan(0);
      expect(fields.lostReason !== null).toBe(fields.stage === 'lost');
    }
    const tasks = await all(world, key, 'contacts.task');
    const open = tasks.filter((rec) => rec.fields.status === 'open');
    const owners = Map.groupBy(open, (rec) => rec.fields.owner as string);
    const people = (await world.runtime.sessions.people()).filter((one) => one.email.endsWith('@northwind.example'));
    for (const email of ['nancy', 'andrew', 'janet', 'margaret']) {
      const id = people.find((one) => one.email.startsWith(email))!.id;
      expect(owners.get(id)?.length ?? 0, email).toBeGreaterThanOrEqual(2);
    }
    expect(open.some((rec) => rec.fields.due === '2026-11-20')).toBe(true);
    expect(open.some((rec) => (rec.fields.due as string) < '2026-11-20')).toBe(true);
    const activities = await all(world, key, 'contacts.activity');
    expect(activities.length).toBeGreaterThan(100);
    for (const rec of activities) expect(Date.parse(rec.fields.at as string)).toBeLessThan(NOW.getTime());
    expect(new Set(activities.map((rec) => rec.fields.kind))).toEqual(new Set(['call', 'email', 'meeting', 'note']));
  });

  it('lets a load that fails leave nothing', async () => {
    const empty = await createTestWorld(demo);
    try {
      const broken = { ...server, demo: { northwind: { ...server.demo!.northwind!, load: () => Promise.reject(new Error('killed')) } } };
      const other = await empty.another({ servers: [contactsServer, broken] });
      await expect(seedDemo(other, 'northwind')).rejects.toThrow('killed');
      const { rows } = await empty.runtime.pool.query<{ n: number }>(
        `select (select count(*) from contacts.company) + (select count(*) from kith."user" where email like '%@northwind.example')
          + (select count(*) from kith.setting) + (select count(*) from kith.outbox) as n`,
      );
      expect(Number(rows[0]!.n)).toBe(0);
      await seedDemo(empty.runtime, 'northwind');
    } finally {
      await empty.close();
    }
  });
});
