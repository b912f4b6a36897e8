/** Figures that plugins declare: as the dashboard reads them, against what was counted by hand. */
import { contacts } from '@kith/plugin-contacts/plugin';
import { server as contactsServer } from '@kith/plugin-contacts/server';
import { sales } from '@kith/plugin-sales/plugin';
import { server as salesServer } from '@kith/plugin-sales/server';
import { createTestWorld, type TestWorld } from '@kith/core/testing';
import { date, definePlugin, money, need, number, object, ref, role, select, text } from '@kith/sdk';
import type { Api } from '@kith/ui/api.ts';
import type { FieldMeta, ObjectMeta } from '@kith/ui/types.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { insights } from './plugin.ts';
import { server } from './server.ts';
import type { NamedMetric } from './server/metrics.ts';
import { readable, readMetric, type Knowing, type MetricFigure } from './ui/metrics.ts';

const shop = definePlugin({
  id: 'shop',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'operational',
  needs: [need(contacts, '^1.0.0')],
  locales: {
    en: { 'plugin.shop': 'Shop', 'metric.all': 'Sales', 'option.sale.state.open': 'Open', 'option.sale.state.done': 'Done' },
    de: { 'plugin.shop': 'Laden', 'metric.all': 'Verkäufe', 'option.sale.state.open': 'Offen', 'option.sale.state.done': 'Fertig' },
  },
  objects: {
    sale: object({
      icon: 'x',
      title: ['name'],
      fields: {
        name: text(),
        company: ref('contacts.company'),
        state: select({ options: { open: {}, done: {} } }),
        day: date(),
        price: money(),
        pieces: number(),
      },
    }),
    secret: object({ icon: 'x', title: ['name'], fields: { name: text() }, access: { read: role('admin') } }),
  },
  metrics: {
    all: { icon: 'x', object: 'shop.sale' },
    open: { object: 'shop.sale', filter: { field: 'state', op: 'eq', value: 'open' }, sum: 'pieces', by: 'company.country' },
    worth: { object: 'shop.sale', sum: 'price', over: 'day' },
    made: { object: 'shop.sale', over: 'createdAt' },
    states: { object: 'shop.sale', by: 'state' },
    secrets: { object: 'shop.secret' },
  },
});

let world: TestWorld;
beforeAll(async () => {
  world = await createTestWorld({ plugins: [contacts, sales, insights, shop], servers: [contactsServer, salesServer, server] });
  const { records } = world.runtime;
  const made = await records.createMany(
    world.actor,
    world.object('contacts.company'),
    [
      ['Ada', 'UK'],
      ['Bo', 'Norway'],
      ['Cy', 'UK'],
    ].map(([name, country]) => ({ name: name!, country: country! })),
  );
  const companies = made.map(({ id }) => id);
  const usd = (amount: string) => ({ amount, currency: 'USD' });
  await records.createMany(world.actor, world.object('shop.sale'), [
    { name: '1', company: companies[0]!, state: 'open', day: '2026-01-05', price: usd('10'), pieces: 2 },
    { name: '2', company: companies[1]!, state: 'open', day: '2026-01-31', price: usd('5.50'), pieces: 7 },
    { name: '3', company: companies[2]!, state: 'open', day: '2026-03-01', price: { amount: '3', currency: 'EUR' }, pieces: 1 },
    { name: '4', company: companies[0]!, state: 'done', day: '2026-03-31', price: usd('1.25'), pieces: 100 },
    { name: '5' },
  ]);
}, 60_000);
afterAll(() => world.close());

/** What the dashboard shows to somebody with this key. */
async function shown(key: string): Promise<Map<string, MetricFigure>> {
  const get = async <T>(path: string, query: Record<string, unknown> = {}): Promise<T> => {
    const search = new URLSearchParams(
      Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
    );
    const { status, body } = await world.request('GET', `${path}?${search.toString()}`, { key });
    expect(status, JSON.stringify(body)).toBe(200);
    return body;
  };
  const objects = new Map((await get<{ data: ObjectMeta[] }>('/objects')).data.map((one) => [one.name, one]));
  const knowing: Knowing = {
    mayRead: (name) => objects.get(name)?.rights.read === true,
    field: (name, field): FieldMeta | undefined => objects.get(name)?.fields.find((one) => one.name === field),
    months: 'Month',
    none: 'Not given',
    yes: 'Yes',
    no: 'No',
    month: (month) => month,
    currency: 'USD',
  };
  const { data } = await get<{ data: NamedMetric[] }>('/x/insights/metrics');
  const own = readable(data, knowing).filter(({ id }) => id.startsWith('shop.'));
  const figures = await Promise.all(own.map((metric) => readMetric({ get } as unknown as Api, metric, knowing)));
  return new Map(figures.map(({ figure }) => [figure.id, figure]));
}
const bars = (figure: MetricFigure): [string, number, number][] => figure.bars!.map(({ label, amount, count }) => [label, amount, count]);

/** How many records a link's list has. */
async function behind(href: string, key: string): Promise<number> {
  const url = new URL(href, 'http://kith');
  const conditions = JSON.parse(url.searchParams.get('filter')!) as unknown[];
  const search = new URLSearchParams({
    count: 'exact',
    limit: '1',
    ...(conditions.length > 0 && { filter: JSON.stringify({ and: conditions }) }),
  });
  const { body } = await world.request('GET', `/records/${url.pathname.slice(3)}?${search.toString()}`, { key });
  return (body as { count: number }).count;
}

describe('metrics', () => {
  it('have the figures that a hand counts, and lead to as many records', async () => {
    const key = await world.key('admin');
    const figures = await shown(key);
    expect([...figures.keys()]).toEqual(['shop.all', 'shop.open', 'shop.worth', 'shop.made', 'shop.states', 'shop.secrets']);
    const { all, open, worth, made, states } = Object.fromEntries([...figures].map(([id, one]) => [id.slice(5), one]));
    expect([all!.label, all!.count, all!.sum, all!.bars]).toEqual(['Sales', 5, null, undefined]);
    expect([open!.count, open!.sum, bars(open!)]).toEqual([
      3,
      10,
      [
        ['Norway', 7, 1],
        ['UK', 3, 2],
      ],
    ]);
    expect(worth!.sum).toEqual([
      { amount: '3.00', currency: 'EUR' },
      { amount: '16.75', currency: 'USD' },
    ]);
    expect(bars(worth!)).toEqual([
      ['2026-01', 15.5, 2],
      ['2026-02', 0, 0],
      ['2026-03', 1.25, 2],
    ]);
    expect(worth!.bars![2]!.others).toEqual([{ amount: '3.00', currency: 'EUR' }]);
    expect(bars(made!)).toEqual([[new Date().toISOString().slice(0, 7), 5, 5]]);
    expect(bars(states!)).toEqual([
      ['Open', 3, 3],
      ['Done', 1, 1],
      ['Not given', 1, 1],
    ]);
    for (const figure of figures.values()) {
      expect(await behind(figure.href, key), figure.id).toBe(figure.count);
      for (const bar of figure.bars ?? []) expect(await behind(bar.href, key), `${figure.id} ${bar.label}`).toBe(bar.count);
    }
  });

  it('are shown to those who may read what they are of, in their language', async () => {
    expect([...(await shown(await world.key('reader'))).keys()]).not.toContain('shop.secrets');
    const { body } = await world.request('GET', '/x/insights/metrics', {
      key: await world.key('reader'),
      headers: { 'accept-language': 'de' },
    });
    const labels = (body as { data: NamedMetric[] }).data.map(({ id, label }) => [id, label]);
    expect(labels).toContainEqual(['shop.all', 'Verkäufe']);
    expect(labels).toContainEqual(['sales.openDeals', 'Offene Abschlüsse']);
  });
});
