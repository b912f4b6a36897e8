/** Revenue and classes: what is kept change by change is what a full recomputation finds. */
import { contacts } from '@kith/plugin-contacts/plugin';
import { server as contactsServer } from '@kith/plugin-contacts/server';
import { sales } from '@kith/plugin-sales/plugin';
import { server as salesServer } from '@kith/plugin-sales/server';
import { createTestWorld, type TestWorld } from '@kith/core/testing';
import { catalogueProblems, type AnyPlugin, type ChangeEvent, type Context, type FieldValue, type Money, type Rec } from '@kith/sdk';
import Big from 'big.js';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { insights } from './plugin.ts';
import { readReason, reasonText } from './reason.ts';
import { classify, follow, rebuild, refresh, scoreAll } from './server/scores.ts';
import { server } from './server.ts';

type Ctx = Context<typeof insights>;
const LONG = process.env.KITH_LONG === '1';
const SUMS = 'select company, currency, amount, orders from insights.revenue order by company, currency';
const COUNTED = 'select "order", company, currency, amount from insights.counted order by "order", currency';

let world: TestWorld;
let key: string;
let position = 0;
const queued: string[] = [];
let now = new Date('2026-11-22T10:00:00Z');

beforeAll(async () => {
  world = await createTestWorld({
    plugins: [contacts, sales, insights],
    servers: [contactsServer, salesServer, server],
    clock: () => now,
  });
  key = await world.key('member');
});
afterAll(() => world.close());

/** Runs something of the plugin as the host would, in a transaction. */
async function run<T>(work: (ctx: Ctx) => Promise<T>, kind = 'job'): Promise<T> {
  let result: T | undefined;
  await world.runtime.records.asSystem({ kind, id: null }, async (ctx: Context<AnyPlugin>) => {
    const queue: Ctx['queue'] = (name) => Promise.resolve(queued[queued.push(name) - 1]!);
    result = await work({ ...ctx, queue } as unknown as Ctx);
  });
  return result as T;
}

/** All events since the last time, once the outbox has been emptied. */
async function news(): Promise<ChangeEvent[]> {
  for (;;) {
    const { rows } = await world.runtime.pool.query<{ n: number }>('select count(*)::int as n from kith.outbox');
    if (rows[0]!.n === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const { rows } = await world.runtime.pool.query<ChangeEvent>('select * from kith.event_log where position > $1 order by position', [
    position,
  ]);
  position = rows.at(-1)?.position ?? position;
  return rows;
}
const catchUp = async (): Promise<void> => {
  const events = await news();
  await run((ctx) => follow(events, ctx), 'consumer');
};

/** The nightly job, as the worker runs it. */
const night = (): Promise<void> =>
  run(async (ctx) => {
    const job = server.jobs!.classify!;
    if ('run' in job) await job.run([{ id: '', data: {}, attempts: 0, error: null }], ctx as unknown as Context<AnyPlugin>);
  });

const request = async (method: string, path: string, body?: unknown): Promise<Rec> => {
  const answer = await world.request(method, `/records/${path}`, { key, ...(body === undefined ? {} : { body }) });
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
  return answer.body as Rec;
};
const company = async (name: string): Promise<string> => (await request('POST', 'contacts.company', { name })).id;
const order = async (of: string): Promise<string> => (await request('POST', 'sales.order', { company: of })).id;
let product: string;
const line = async (of: string, amount: string, currency = 'EUR', more: Record<string, FieldValue> = {}): Promise<string> => {
  product ??= (await request('POST', 'sales.product', { name: 'Chai' })).id;
  return (await request('POST', 'sales.orderLine', { order: of, product, quantity: 1, unitPrice: { amount, currency }, ...more })).id;
};
const fields = async (id: string): Promise<Rec['fields']> => (await request('GET', `contacts.company/${id}`)).fields;
const revenue = async (id: string): Promise<string | null> => ((await fields(id)).insights__revenue as Money | null)?.amount ?? null;
const rowsOf = async (text: string): Promise<unknown[]> => (await world.runtime.pool.query(text)).rows;

afterEach(async () => {
  await world.runtime.pool.query(`update sales."order" set deleted_at = now(), deleted_by = created_by where deleted_at is null`);
  await world.runtime.pool.query(`update contacts.company set deleted_at = now(), deleted_by = created_by where deleted_at is null`);
  await world.runtime.pool.query(`delete from kith.setting where name = 'organisation'`);
  await world.runtime.pool.query('truncate insights.counted, insights.revenue');
  await world.runtime.pool.query('update insights.state set currency = null');
  await news();
});

describe('revenue', () => {
  it('has all its texts in every language', () => {
    expect(catalogueProblems(insights)).toEqual([]);
  });

  it('follows lines and orders wherever they go', async () => {
    const [ernst, quick] = [await company('Ernst'), await company('Quick')];
    const [first, second] = [await order(ernst), await order(ernst)];
    const cheap = await line(first, '10.0001', 'EUR', { discount: 0.15, quantity: 3 });
    await line(second, '5');
    await catchUp();
    expect(await revenue(ernst)).toBe('30.5003');
    expect(await revenue(quick)).toBeNull();
    const { version, updatedAt } = await request('GET', `contacts.company/${ernst}`);
    await catchUp();
    expect(await request('GET', `contacts.company/${ernst}`)).toMatchObject({ version, updatedAt });

    await request('PATCH', `sales.orderLine/${cheap}`, { quantity: 1 });
    await catchUp();
    expect(await revenue(ernst)).toBe('13.5001');
    await request('PATCH', `sales.order/${first}`, { company: quick });
    await catchUp();
    expect([await revenue(ernst), await revenue(quick)]).toEqual(['5.00', '8.5001']);
    await request('PATCH', `sales.orderLine/${cheap}`, { order: second });
    await catchUp();
    expect([await revenue(ernst), await revenue(quick)]).toEqual(['13.5001', null]);

    await request('DELETE', `sales.orderLine/${cheap}`);
    await catchUp();
    expect(await revenue(ernst)).toBe('5.00');
    await request('POST', `sales.orderLine/${cheap}/restore`);
    await request('DELETE', `sales.order/${second}`);
    await catchUp();
    expect(await revenue(ernst)).toBeNull();
    await request('DELETE', `contacts.company/${ernst}`);
    await request('POST', `sales.order/${second}/restore`);
    await catchUp();
    await request('POST', `contacts.company/${ernst}/restore`);
    await catchUp();
    expect(await revenue(ernst)).toBe('13.5001');
    expect(await rowsOf('select orders from insights.revenue')).toEqual([{ orders: 1 }]);
  });

  it('keeps currencies apart, and is in the organisation’s', async () => {
    const both = await company('Both');
    const one = await order(both);
    await line(one, '7', 'USD');
    const euros = await line(one, '3', 'EUR');
    await catchUp();
    // There is no organisation yet: the currency of most revenue.
    expect((await fields(both)).insights__revenue).toEqual({ amount: '7.00', currency: 'USD' });
    await request('PATCH', `sales.orderLine/${euros}`, { quantity: 100 });
    await catchUp();
    expect((await fields(both)).insights__revenue).toEqual({ amount: '7.00', currency: 'USD' });
    await world.runtime.setup.setSetting('organisation', { name: 'Us', language: 'en', currency: 'EUR' });
    const other = await company('Other');
    await line(await order(other), '1', 'USD');
    queued.length = 0;
    await catchUp();
    expect(queued).toEqual(['refresh']);
    expect(await run((ctx) => refresh(ctx))).toBe(false);
    expect((await fields(both)).insights__revenue).toEqual({ amount: '300.00', currency: 'EUR' });
    expect(await revenue(other)).toBeNull();

    // Without any order in between, the night finds it.
    await world.runtime.setup.setSetting('organisation', { name: 'Us', language: 'en', currency: 'USD' });
    await night();
    expect((await fields(both)).insights__revenue).toEqual({ amount: '7.00', currency: 'USD' });
    expect(await fields(other)).toMatchObject({ insights__revenue: { amount: '1.00', currency: 'USD' }, insights__abcClass: 'B' });
  });

  it('is rebuilt from the orders, in parts, and finds what is wrong', async () => {
    const ids = [await company('a'), await company('b'), await company('c')];
    for (const id of ids) await line(await order(id), '2');
    await run((ctx) => rebuild(ctx));
    expect(await run((ctx) => refresh(ctx, 2))).toBe(true);
    expect(await run((ctx) => refresh(ctx, 2))).toBe(false);
    for (const id of ids) expect(await revenue(id)).toBe('2.00');
    await world.runtime.pool.query('update insights.revenue set amount = 99; update insights.counted set amount = 98');
    await run((ctx) => scoreAll(ctx));
    expect(await rowsOf(SUMS)).toEqual(ids.toSorted().map((id) => ({ company: id, currency: 'EUR', amount: '2.00', orders: 1 })));
    for (const id of ids) expect(await revenue(id)).toBe('2.00');
  });

  it('is computed: nobody writes it, everybody of the staff reads it', async () => {
    const id = await company('Closed');
    for (const role of ['admin', 'member', 'reader'] as const) {
      const bearer = await world.key(role);
      expect((await world.request('GET', `/records/contacts.company/${id}`, { key: bearer })).status).toBe(200);
      for (const [field, value] of [
        ['insights__revenue', { amount: '1', currency: 'EUR' }],
        ['insights__abcClass', 'A'],
        ['insights__abcDate', '2026-01-01'],
        ['insights__abcReason', 'x'],
      ] as const) {
        const { status, body } = await world.request('PATCH', `/records/contacts.company/${id}`, { key: bearer, body: { [field]: value } });
        expect(status).toBe(role === 'reader' ? 403 : 422);
        if (role !== 'reader') expect(body).toMatchObject({ errors: [{ field, code: 'read_only' }] });
      }
    }
  });

  it('is rebuilt once where orders are older than the plugin', async () => {
    await world.runtime.pool.query('update insights.state set rebuilt_at = null');
    queued.length = 0;
    const start = async (): Promise<void> => run((ctx) => server.start!(ctx as unknown as Context<AnyPlugin>));
    await start();
    expect(queued).toEqual(['rebuild']);
    await run((ctx) => rebuild(ctx));
    await start();
    expect(queued).toEqual(['rebuild']);
  });
});

describe('classes', () => {
  /** Companies with this revenue, as if it had been counted; their ids ascend. */
  async function worth(...amounts: (number | null)[]): Promise<string[]> {
    const ids: string[] = [];
    for (const [i, amount] of amounts.entries()) {
      ids.push(await company(`worth ${i}`));
      if (amount !== null) await world.runtime.pool.query(`insert into insights.revenue values ($1, 'EUR', $2, 1)`, [ids[i], amount]);
    }
    await run((ctx) => refresh(ctx));
    return ids;
  }
  const classes = async (ids: string[]): Promise<string> => {
    const found = await Promise.all(ids.map(async (id) => (await fields(id)).insights__abcClass ?? '-'));
    return found.join('');
  };
  const of = async (...amounts: (number | null)[]): Promise<string> => {
    const ids = await worth(...amounts);
    while (await run((ctx) => classify(ctx)));
    return classes(ids);
  };

  it.each<[string, (number | null)[], string]>([
    ['the one that reaches 80 % exactly is A, the next B', [80, 15, 5], 'ABC'],
    ['the one that crosses 80 % is A', [79.99, 14, 5.01, 1], 'AABC'],
    ['the one that reaches 95 % exactly is B, the next C', [80, 14.99, 0.01, 5], 'ABCB'],
    ['alone, the largest is A', [0.0001], 'A'],
    ['ties go by id', [1, 1, 1, 1, 1], 'AAAAB'],
    ['without revenue there is no class', [null, 10, 0], '-A-'],
    ['credit notes beyond sales give no class, and take nothing from the others', [-50, 80, 20], '-AB'],
    ['nobody has revenue', [null, 0, -1], '---'],
  ])('%s', async (_, amounts, expected) => {
    expect(await of(...amounts)).toBe(expected);
  });

  it('are stored with date and reason when they change, and only then; the ledger keeps them', async () => {
    now = new Date('2026-11-22T10:00:00Z');
    const ids = await worth(60, 30, 10);
    await run((ctx) => classify(ctx));
    const [first] = ids as [string];
    expect(await fields(first)).toMatchObject({
      insights__abcClass: 'A',
      insights__abcDate: '2026-11-22',
      insights__abcReason: '60.00 % of revenue; cumulated 60.00 %',
    });
    const { version } = await request('GET', `contacts.company/${first}`);
    now = new Date('2026-12-01T10:00:00Z');
    await world.runtime.pool.query(`update insights.revenue set amount = 70 where company = $1`, [first]);
    await run((ctx) => classify(ctx));
    // It is A as before; and the others are what they were.
    expect(await request('GET', `contacts.company/${first}`)).toMatchObject({ version });
    await world.runtime.pool.query(`update insights.revenue set amount = 1 where company = $1`, [first]);
    expect(await run((ctx) => classify(ctx))).toBe(false);
    expect(await fields(first)).toMatchObject({
      insights__abcClass: 'C',
      insights__abcDate: '2026-12-01',
      insights__abcReason: '2.44 % of revenue; cumulated 100.00 %',
    });
    const history = (await request('GET', `contacts.company/${first}/history`)) as unknown as {
      data: { cause: { kind: string }; changes: object }[];
    };
    expect(history.data[0]).toMatchObject({
      cause: { kind: 'job' },
      changes: {
        insights__abcClass: ['A', 'C'],
        insights__abcDate: ['2026-11-22', '2026-12-01'],
        insights__abcReason: ['60.00 % of revenue; cumulated 60.00 %', '2.44 % of revenue; cumulated 100.00 %'],
      },
    });
    await world.runtime.pool.query('truncate insights.revenue');
    await run((ctx) => classify(ctx));
    expect(await fields(first)).toMatchObject({ insights__abcClass: null, insights__abcDate: null, insights__abcReason: null });
  });

  it('are written in parts, and leave out what is in the bin', async () => {
    const ids = await worth(50, 30, 20, 1000);
    await request('DELETE', `contacts.company/${ids[3]}`);
    expect(await run((ctx) => classify(ctx, 2))).toBe(true);
    expect(await run((ctx) => classify(ctx, 2))).toBe(false);
    expect(await classes(ids.slice(0, 3))).toBe('AAB');
  });

  it('have a reason that can be read back', () => {
    expect(reasonText({ share: 0.12345, cumulated: 1 })).toBe('12.35 % of revenue; cumulated 100.00 %');
    const read = readReason('12.34 % of revenue; cumulated 45.10 %');
    expect(read?.share).toBeCloseTo(0.1234);
    expect(read?.cumulated).toBeCloseTo(0.451);
    expect(readReason('because')).toBeUndefined();
  });
});

describe('after any history', () => {
  const COMPANIES = 4;
  type Step = { do: string; a: number; b: number; n: number };
  const step: fc.Arbitrary<Step> = fc.record({
    do: fc.constantFrom(
      'order',
      'line',
      'line',
      'line',
      'quantity',
      'price',
      'discount',
      'moveLine',
      'moveOrder',
      'bin',
      'bin',
      'back',
      'hear',
      'hear',
      'again',
    ),
    a: fc.nat(50),
    b: fc.nat(50),
    n: fc.nat(9),
  });
  const CURRENCIES = ['EUR', 'EUR', 'USD'];

  it('the sums are those of a full recomputation, however the changes were told', { timeout: 60 * 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 45 }), async (steps) => {
        await news();
        const companies: string[] = [];
        for (let i = 0; i < COMPANIES; i++) companies.push(await company(`c${i}`));
        const orders: string[] = [];
        const lines: string[] = [];
        const heard: ChangeEvent[] = [];
        const at = <T>(list: readonly T[], i: number): T | undefined => list[i % Math.max(list.length, 1)];
        const patch = (path: string, body: unknown): Promise<unknown> => world.request('PATCH', `/records/${path}`, { key, body });
        for (const { do: what, a, b, n } of steps) {
          const [order1, line1] = [at(orders, a), at(lines, a)];
          const one =
            b % 3 === 0 ? `contacts.company/${at(companies, a)}` : b % 3 === 1 ? `sales.order/${order1}` : `sales.orderLine/${line1}`;
          if (what === 'order') orders.push(...(await tried('sales.order', { company: at(companies, a) })));
          else if (what === 'line')
            lines.push(
              ...(await tried('sales.orderLine', {
                order: order1,
                product: (product ??= (await request('POST', 'sales.product', { name: 'Chai' })).id),
                quantity: n,
                unitPrice: { amount: `${b}.${n}7`, currency: at(CURRENCIES, b) },
                discount: n / 20,
              })),
            );
          else if (what === 'quantity') await patch(`sales.orderLine/${line1}`, { quantity: n + 0.5 });
          else if (what === 'price')
            await patch(`sales.orderLine/${line1}`, { unitPrice: { amount: `${b}.3333`, currency: at(CURRENCIES, n) } });
          else if (what === 'discount') await patch(`sales.orderLine/${line1}`, { discount: n / 9 });
          else if (what === 'moveLine') await patch(`sales.orderLine/${line1}`, { order: at(orders, b) });
          else if (what === 'moveOrder') await patch(`sales.order/${order1}`, { company: at(companies, b) });
          else if (what === 'bin') await world.request('DELETE', `/records/${one}`, { key });
          else if (what === 'back') await world.request('POST', `/records/${one}/restore`, { key });
          else if (what === 'hear') {
            const events = await news();
            heard.push(...events);
            const cut = a % (events.length + 1);
            for (const part of [events.slice(0, cut), events.slice(cut)]) await run((ctx) => follow(part, ctx), 'consumer');
          } else await run((ctx) => follow(heard.filter((_, i) => (i + a) % 2 === 0).reverse(), ctx), 'consumer');
        }
        await catchUp();
        const [sums, counted] = [await rowsOf(SUMS), await rowsOf(COUNTED)];
        // By another way: every line with its order, added up here.
        const { rows } = await world.runtime.pool.query<{ id: string; amount: string }>(
          `select o.company as id, (l.total).amount::text as amount from sales."orderLine" l join sales."order" o on o.id = l."order"
           where o.deleted_at is null and l.deleted_at is null and (l.total).currency = (select currency from insights.state)`,
        );
        const expected = new Map<string, Big>();
        for (const { id, amount } of rows) expected.set(id, (expected.get(id) ?? new Big(0)).plus(amount));
        const { rows: told } = await world.runtime.pool.query<{ id: string; amount: string | null }>(
          `select id, (insights__revenue).amount::text as amount from contacts.company where deleted_at is null`,
        );
        for (const { id, amount } of told) {
          const sum = expected.get(id);
          expect(amount === null ? null : new Big(amount).toFixed(4), id).toBe(
            sum === undefined ? null : sum.round(4, Big.roundHalfUp).toFixed(4),
          );
        }
        await run((ctx) => rebuild(ctx));
        expect(await rowsOf(SUMS)).toEqual(sums);
        expect(await rowsOf(COUNTED)).toEqual(counted);
        await world.runtime.pool.query('delete from sales."orderLine"');
        await world.runtime.pool.query('delete from sales."order"');
        await world.runtime.pool.query('update contacts.company set deleted_at = now(), deleted_by = created_by where deleted_at is null');
        await world.runtime.pool.query('truncate insights.counted, insights.revenue');
        await world.runtime.pool.query('update insights.state set currency = null');
      }),
      { numRuns: LONG ? 1000 : 60 },
    );
  });

  async function tried(object: string, body: unknown): Promise<string[]> {
    const { status, body: rec } = await world.request('POST', `/records/${object}`, { key, body });
    return status === 201 ? [(rec as Rec).id] : [];
  }
});
