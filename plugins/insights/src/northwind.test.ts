/** The Northwind demo's revenue and classes, against the published figures. */
import { readFile } from 'node:fs/promises';
import { contacts } from '@kith/plugin-contacts/plugin';
import { server as contactsServer } from '@kith/plugin-contacts/server';
import { sales } from '@kith/plugin-sales/plugin';
import { server as salesServer } from '@kith/plugin-sales/server';
import { seedDemo } from '@kith/core/runtime';
import { createTestWorld, type TestWorld } from '@kith/core/testing';
import type { Money, Rec } from '@kith/sdk';
import Big from 'big.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { insights } from './plugin.ts';
import { readReason } from './reason.ts';
import { server } from './server.ts';

interface Expected {
  net_after_discount: string;
  net_by_year: Record<string, string>;
  top_customers: [string, string][];
  by_employee: [string, string][];
  by_category: [string, string][];
  customers_without_orders: string[];
}
interface Group {
  value: string | null;
  count: number;
  sum: Money[];
}

let world: TestWorld;
let key: string;
let expected: Expected;
beforeAll(async () => {
  expected = JSON.parse(await readFile(new URL('../../sales/demo/northwind/expected.json', import.meta.url), 'utf8')) as Expected;
  world = await createTestWorld({ plugins: [contacts, sales, insights], servers: [contactsServer, salesServer, server] });
  await seedDemo(world.runtime, 'northwind', { originalDates: true });
  key = await world.key('reader');
}, 60_000);
afterAll(() => world.close());

const get = async <T>(object: string, query: Record<string, string>): Promise<T> => {
  const { status, body } = await world.request('GET', `/records/${object}?${new URLSearchParams(query).toString()}`, { key });
  expect(status, JSON.stringify(body)).toBe(200);
  return body as T;
};
const money = (amount: string): string => new Big(amount).toFixed(4);

describe('Northwind', () => {
  it('has the published revenue of each customer as soon as it is there, sorted by it', async () => {
    const { data, totals } = await get<{ data: Rec[]; totals: Record<string, { sum: Money[] }> }>('contacts.company', {
      sort: '-insights__revenue',
      limit: '500',
      totals: 'insights__revenue',
    });
    const top = data.slice(0, 5).map(({ fields }) => [fields.name, money((fields.insights__revenue as Money).amount)]);
    expect(top).toEqual(expected.top_customers);
    expect(totals.insights__revenue!.sum).toEqual([{ amount: expected.net_after_discount, currency: 'USD' }]);
    const without = data.filter(({ fields }) => fields.insights__revenue === null && (fields.kind as string[]).includes('customer'));
    expect(without.map(({ fields }) => fields.externalId).sort()).toEqual(expected.customers_without_orders);
    expect(without.every(({ fields }) => fields.insights__abcClass === null)).toBe(true);
  });

  it('classes them, with reasons that fit', async () => {
    const { data } = await get<{ data: Rec[] }>('contacts.company', {
      sort: '-insights__revenue',
      limit: '500',
      filter: JSON.stringify({ field: 'insights__revenue', op: 'isNull', value: false }),
    });
    expect(data).toHaveLength(89);
    const total = new Big(expected.net_after_discount);
    let before = new Big(0);
    for (const { fields } of data) {
      const own = new Big((fields.insights__revenue as Money).amount);
      const share = before.div(total);
      expect(fields.insights__abcClass, String(fields.name)).toBe(share.lt(0.8) ? 'A' : share.lt(0.95) ? 'B' : 'C');
      expect(fields.insights__abcDate).toBe(world.runtime.clock().toISOString().slice(0, 10));
      before = before.plus(own);
      expect(readReason(String(fields.insights__abcReason))!.cumulated).toBeCloseTo(Number(before.div(total)), 4);
    }
    const { groups } = await get<{ groups: Group[] }>('contacts.company', { group: 'insights__abcClass', sum: 'insights__revenue' });
    const sum = groups.reduce((all, group) => all.plus(group.sum[0]?.amount ?? 0), new Big(0));
    expect(sum.toFixed(4)).toBe(expected.net_after_discount);
  });

  it('gives the dashboard the published figures', async () => {
    const groups = async (
      group: string,
      more: Record<string, string> = {},
    ): Promise<{ groups: Group[]; refs: Record<string, { title: string }> }> =>
      get('sales.orderLine', { group, sum: 'total', top: '100', limit: '1', refs: '1', ...more });
    const amounts = ({ groups: list }: { groups: Group[] }): [string | null, string][] =>
      list.map(({ value, sum }) => [value, money(sum[0]!.amount)]);
    expect(amounts(await groups('product.category'))).toEqual(expected.by_category);
    expect(amounts(await groups('order.orderDate:year'))).toEqual(Object.entries(expected.net_by_year));
    const byOwner = await groups('order.owner');
    const named = amounts(byOwner).map(([id, amount]) => [byOwner.refs[id!]!.title.split(' ').at(-1), amount]);
    expect(named).toEqual(expected.by_employee);
    const byCountry = await groups('order.company.country');
    expect(byCountry.groups.reduce((all, { sum }) => all.plus(sum[0]!.amount), new Big(0)).toFixed(4)).toBe(expected.net_after_discount);
    const [largest] = byCountry.groups;
    const { count } = await get<{ count: number }>('sales.orderLine', {
      filter: JSON.stringify({ field: 'order.company.country', op: 'eq', value: largest!.value }),
      count: 'exact',
      limit: '1',
    });
    expect(count).toBe(largest!.count);
  });
});
