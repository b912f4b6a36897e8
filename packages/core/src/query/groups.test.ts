import type { Principal } from '@kith/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SYSTEM } from '../principal.ts';
import { createTestWorld, type TestWorld } from '../testing.ts';
import { lab, labServer } from '../testing/lab.ts';
import { port, portServer } from '../testing/port.ts';
import type { Grouped, Grouping } from './groups.ts';

const actor = { principal: SYSTEM, cause: { kind: 'api', id: null } };
const eur = (amount: string): { amount: string; currency: string } => ({ amount, currency: 'EUR' });
const usd = (amount: string): { amount: string; currency: string } => ({ amount, currency: 'USD' });

describe('groups of a list', () => {
  let world: TestWorld;
  let peru: string;
  const groups = (grouping: Grouping, filter?: object): Promise<Grouped> =>
    world.runtime.query.groups(world.me, world.object('lab.sample'), filter ? { filter: filter as never } : {}, grouping);

  beforeAll(async () => {
    world = await createTestWorld({ plugins: [lab], servers: [labServer] });
    const create = (name: string, fields: Record<string, unknown>): Promise<{ id: string }> =>
      world.runtime.records.create(actor, world.object(name), fields);
    const continent = await create('lab.thing', { name: 'America', country: 'many' });
    peru = (await create('lab.thing', { name: 'Lima', country: 'Peru', parent: continent.id })).id;
    const austria = (await create('lab.thing', { name: 'Graz', country: 'Austria' })).id;
    const rows = [
      { thing: peru, day: '2026-01-31', price: eur('1.25'), amount: 1, stage: 'begun', at: '2026-01-31T23:59:59Z' },
      { thing: peru, day: '2026-02-01', price: eur('2.25'), amount: 2, stage: 'begun', who: world.me.id },
      { thing: austria, day: '2026-02-28', price: usd('100'), amount: 4, done: true },
      { thing: austria, day: '2027-02-28', price: eur('0.10'), amount: 8 },
      { thing: null, day: null, price: null, amount: null },
    ];
    for (const [i, row] of rows.entries()) await create('lab.sample', { name: `s${i}`, ...row });
  });
  afterAll(() => world.close());

  it('count and sum over references, currencies apart', async () => {
    expect((await groups({ by: 'thing.country', sum: 'price' })).groups).toEqual([
      { value: 'Austria', count: 2, sum: [eur('0.10'), usd('100.00')] },
      { value: 'Peru', count: 2, sum: [eur('3.50')] },
      { value: null, count: 1, sum: [] },
    ]);
    expect((await groups({ by: 'thing.parent.name', sum: 'amount' })).groups).toEqual([
      { value: 'America', count: 2, sum: 3 },
      { value: null, count: 3, sum: 12 },
    ]);
    expect((await groups({ by: 'done' })).groups).toEqual([
      { value: true, count: 1 },
      { value: null, count: 4 },
    ]);
  });

  it('by buckets of time', async () => {
    const of = async (bucket: string): Promise<unknown[]> =>
      (await groups({ by: `day:${bucket}` })).groups.map(({ value, count }) => [value, count]);
    expect(await of('year')).toEqual([
      ['2026', 3],
      ['2027', 1],
      [null, 1],
    ]);
    expect(await of('quarter')).toEqual([
      ['2026-Q1', 3],
      ['2027-Q1', 1],
      [null, 1],
    ]);
    expect(await of('month')).toEqual([
      ['2026-01', 1],
      ['2026-02', 2],
      ['2027-02', 1],
      [null, 1],
    ]);
    // 31 January 2026 is a Saturday, 1 February a Sunday: one week, that of Monday the 26th.
    expect(await of('week')).toEqual([
      ['2026-01-26', 2],
      ['2026-02-23', 1],
      ['2027-02-22', 1],
      [null, 1],
    ]);
    expect((await of('day'))[0]).toEqual(['2026-01-31', 1]);
    expect((await groups({ by: 'at:day' })).groups[0]).toEqual({ value: '2026-01-31', count: 1 });
  });

  it('are bounded: the largest first, of dates the latest, the rest told together', async () => {
    expect(await groups({ by: 'name', sum: 'amount', top: 2 })).toMatchObject({
      groups: [
        { value: 's3', count: 1, sum: 8 },
        { value: 's2', count: 1, sum: 4 },
      ],
      rest: { groups: 3, count: 3, sum: 3 },
    });
    // Judged in the currency that there is most of: dollars.
    expect(await groups({ by: 'thing.country', sum: 'price', top: 1 })).toMatchObject({
      groups: [{ value: 'Austria' }],
      rest: { groups: 2, count: 3, sum: [eur('3.50')] },
    });
    expect(await groups({ by: 'day:month', top: 2 }, { field: 'day', op: 'isNull', value: false })).toMatchObject({
      groups: [
        { value: '2026-02', count: 2 },
        { value: '2027-02', count: 1 },
      ],
      rest: { groups: 1, count: 1 },
    });
  });

  it('names what they refer to, when asked', async () => {
    const key = await world.key();
    const { body } = await world.request('GET', '/records/lab.sample?group=thing&top=1&limit=1&sort=-name&refs=1', { key });
    expect(body).toMatchObject({ groups: [{ count: 2 }], rest: { groups: 2, count: 3 } });
    const { groups: found, refs } = body as { groups: { value: string }[]; refs: Record<string, unknown> };
    expect(refs[found[0]!.value]).toMatchObject({ object: 'lab.thing' });
    const users = await world.request('GET', '/records/lab.sample?group=who&limit=1&sort=name&refs=1', { key });
    expect((users.body as { refs: Record<string, unknown> }).refs[world.me.id]).toMatchObject({ title: 'Me' });
  });

  it('agree with the list that a group’s filter makes, and can leave out what points into the bin', async () => {
    const { runtime } = world;
    const sample = world.object('lab.sample');
    const count = async (filter: object): Promise<number> =>
      (await runtime.query.count(world.me, sample, { filter: filter as never }, 'exact')).count;
    expect(await count({ field: 'thing.country', op: 'eq', value: 'Peru' })).toBe(2);
    expect(await count({ field: 'thing.country', op: 'isNull', value: true })).toBe(1);
    await runtime.records.remove(actor, world.object('lab.thing'), peru);
    const living = { field: 'thing.deletedAt', op: 'isNull', value: true };
    expect((await groups({ by: 'thing.country' }, living)).groups).toEqual([
      { value: 'Austria', count: 2 },
      { value: null, count: 1 },
    ]);
    expect(await count(living)).toBe(3);
    await runtime.records.restore(actor, world.object('lab.thing'), peru);
  });

  it('do not look behind a rule: what may not be read is as if it were not there', async () => {
    const diary = world.object('lab.diary');
    const nancy = await world.person('Nancy');
    await world.runtime.records.create({ ...actor, principal: nancy }, diary, { text: 'mine' });
    expect((await world.runtime.query.groups(nancy, diary, {}, { by: 'text' })).groups).toEqual([{ value: 'mine', count: 1 }]);
    expect((await world.runtime.query.groups(await world.person('Other'), diary, {}, { by: 'text' })).groups).toEqual([]);
  });
});

describe('groups for people from outside', () => {
  let world: TestWorld;
  beforeAll(async () => {
    world = await createTestWorld({ plugins: [port], servers: [portServer] });
  });
  afterAll(() => world.close());

  it('hold what is theirs and what they may read', async () => {
    const { records, query } = world.runtime;
    const create = (name: string, fields: Record<string, unknown>): Promise<{ id: string }> =>
      records.create(actor, world.object(name), fields);
    const [mine, theirs] = [await create('port.company', { name: 'Mine', rating: 'A' }), await create('port.company', { name: 'Theirs' })];
    const [own, draft] = [
      await create('port.consignment', { name: 'own', agent: mine.id, secret: 's' }),
      await create('port.consignment', { name: 'hidden', agent: mine.id, phase: 'draft' }),
    ];
    const foreign = await create('port.consignment', { name: 'foreign', agent: theirs.id });
    for (const [consignment, weight] of [
      [own, 1],
      [own, 2],
      [draft, 4],
      [foreign, 8],
    ] as const)
      await create('port.item', { consignment: consignment.id, label: 'x', weight });
    const { rows } = await world.runtime.pool.query<{ id: string }>(
      `insert into kith."user" (id, email, name, kind, audience, company) values (uuidv7(), 'a@agent.example', 'A', 'partner', 'agent', $1) returning id`,
      [mine.id],
    );
    const agent: Principal = { id: rows[0]!.id, kind: 'partner', name: 'A', roles: [], outside: { audience: 'agent', company: mine.id } };
    const item = world.object('port.item');
    const by = (path: string): Promise<Grouped> => query.groups(agent, item, {}, { by: path, sum: 'weight' });
    // The draft is theirs and not yet for their eyes: its item counts, its name is not told.
    expect((await by('consignment.name')).groups).toEqual([
      { value: 'own', count: 2, sum: 3 },
      { value: null, count: 1, sum: 4 },
    ]);
    for (const path of [
      'consignment.secret',
      'price',
      'agent.rating',
      'agent.name',
      'consignment.deletedAt:day',
      'createdBy',
      'consignment.broker',
    ])
      await expect(by(path), path).rejects.toMatchObject({ status: 400, code: 'malformed' });
    await expect(query.groups(agent, item, {}, { by: 'label', sum: 'cost' })).rejects.toMatchObject({ status: 400 });
  });
});
