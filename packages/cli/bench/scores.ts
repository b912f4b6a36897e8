/**
 * Revenue of companies after 10,000 order lines are new, and after 10,000 old
 * ones here and there were changed: followed as the worker does, beside a full
 * recomputation from all lines. All end at the companies' own field; then every
 * sum is compared.
 */
import { SYSTEM } from '@kith/core';
import type { Runtime } from '@kith/core/runtime';
import { servers } from '@kith/installed/server';
import type { AnyPlugin, ChangeEvent, Context } from '@kith/sdk';
import { number } from './plans.ts';
import { median, printTable, quick, runtimeOn, scratchDatabase } from './scratch.ts';

const SIZES = quick ? [100_000] : process.env.KITH_LONG === '1' ? [1_000_000, 10_000_000] : [1_000_000];
const CHANGES = quick ? 1_000 : 10_000;
const ROUNDS = quick ? 1 : 3;
/** As many as the worker takes at a time. */
const BATCH = 1_000;
const PER_ORDER = 5;
const PER_COMPANY = 20;
const GOAL = 100;

const insights = servers.find((server) => server.plugin.id === 'insights')!;
const idOf = (kind: string, i: string): string => `('00000000-0000-7${kind}-8000-' || lpad(to_hex(${i}), 12, '0'))::uuid`;

/** Companies, their orders and lines; loaded as a restore would, with the indexes built afterwards. */
async function load(runtime: Runtime, lines: number): Promise<void> {
  const orders = lines / PER_ORDER;
  const companies = orders / PER_COMPANY;
  const client = await runtime.pool.connect();
  try {
    await client.query(`set statement_timeout = 0; set maintenance_work_mem = '1GB'; set synchronous_commit = off`);
    const { rows: indexes } = await client.query<{ schema: string; name: string; def: string }>(
      `select schemaname as schema, indexname as name, indexdef as def from pg_indexes
       where (schemaname, tablename) in (('contacts', 'company'), ('sales', 'order'), ('sales', 'orderLine')) and indexname not like '%pkey'`,
    );
    const { rows: keys } = await client.query<{ name: string; at: string; def: string }>(
      `select conname as name, conrelid::regclass::text as at, pg_get_constraintdef(oid) as def from pg_constraint
       where contype = 'f' and conrelid in ('sales."order"'::regclass, 'sales."orderLine"'::regclass)`,
    );
    for (const { at, name } of keys) await client.query(`alter table ${at} drop constraint "${name}"`);
    for (const { schema, name } of indexes) await client.query(`drop index "${schema}"."${name}"`);
    const who = [SYSTEM.id];
    await client.query(`insert into sales.product (id, created_by, updated_by, name) values (${idOf('002', '1')}, $1, $1, 'Chai')`, who);
    await client.query(
      `insert into contacts.company (id, created_by, updated_by, name)
       select ${idOf('000', 'i')}, $1, $1, 'Company ' || i from generate_series(1, ${companies}) i`,
      who,
    );
    // Some buy much more than others.
    await client.query(
      `insert into sales."order" (id, created_by, updated_by, number, company, "orderDate")
       select ${idOf('001', 'i')}, $1, $1, i::text, ${idOf('000', `1 + (power(random(), 3) * ${companies - 1})::integer`)}, date '2020-01-01' + i % 2500
       from generate_series(1, ${orders}) i`,
      who,
    );
    await client.query(
      `insert into sales."orderLine" (id, created_by, updated_by, "order", product, quantity, "unitPrice", discount, total)
       select ${idOf('003', 'i')}, $1, $1, ${idOf('001', `1 + i / ${PER_ORDER}`)}, ${idOf('002', '1')}, 1 + i % 50, row(12.3456, 'USD')::kith.money, 0,
         row((1 + i % 50) * 12.3456, 'USD')::kith.money from generate_series(0, ${lines - 1}) i`,
      who,
    );
    for (const { def } of indexes) await client.query(def);
    for (const { at, name, def } of keys) await client.query(`alter table ${at} add constraint "${name}" ${def} not valid`);
    for (const table of ['contacts.company', 'sales."order"', 'sales."orderLine"']) await client.query(`vacuum analyze ${table}`);
  } finally {
    client.release(true);
  }
}

const told = (object: string, record: string, kind: ChangeEvent['kind'], changes: ChangeEvent['changes']): ChangeEvent => ({
  position: 0,
  object,
  record,
  kind,
  author: SYSTEM.id,
  version: 1,
  changes,
  at: new Date().toISOString(),
  cause: { kind: 'bench', id: null },
  act: null,
  audience: null,
  event: null,
  data: null,
  settled: true,
});

/** New orders with their lines, and what is told about them. */
async function sell({ pool }: Runtime, lines: number, round: number): Promise<ChangeEvent[]> {
  const companies = lines / PER_ORDER / PER_COMPANY;
  const { rows: orders } = await pool.query<{ id: string; company: string }>(
    `insert into sales."order" (id, created_by, updated_by, number, company, "orderDate")
     select uuidv7(), $1, $1, 'N${round}-' || i, ${idOf('000', `1 + (power(random(), 3) * ${companies - 1})::integer`)}, current_date
     from generate_series(1, ${CHANGES / PER_ORDER}) i returning id, company`,
    [SYSTEM.id],
  );
  const { rows: sold } = await pool.query<{ id: string; order: string }>(
    `insert into sales."orderLine" (id, created_by, updated_by, "order", product, quantity, "unitPrice", discount, total)
     select uuidv7(), $1, $1, o, ${idOf('002', '1')}, i, row(12.3456, 'USD')::kith.money, 0, row(i * 12.3456, 'USD')::kith.money
     from unnest($2::uuid[]) o, generate_series(1, ${PER_ORDER}) i returning id, "order"`,
    [SYSTEM.id, orders.map(({ id }) => id)],
  );
  return [
    ...orders.map(({ id, company }) => told('sales.order', id, 'created', { company: [null, company] })),
    ...sold.map(({ id, order }) => told('sales.orderLine', id, 'created', { order: [null, order] })),
  ];
}

/** Changes lines here and there, and answers what is told about it. */
async function change({ pool }: Runtime, lines: number): Promise<ChangeEvent[]> {
  const { rows } = await pool.query<{ record: string; was: string; is: string }>(
    `update sales."orderLine" set quantity = quantity + 1, total = row((quantity + 1) * 12.3456, 'USD')::kith.money, version = version + 1
     where id in (select ${idOf('003', `(random() * ${lines - 1})::integer`)} from generate_series(1, ${CHANGES}))
     returning id as record, (old.total).amount::text as was, (new.total).amount::text as is`,
  );
  const usd = (amount: string): { amount: string; currency: string } => ({ amount, currency: 'USD' });
  return rows.map(({ record, was, is }) => told('sales.orderLine', record, 'changed', { total: [usd(was), usd(is)] }));
}

/** Runs a handler of the plugin in a transaction, as the worker would. What it queues is answered. */
async function run(runtime: Runtime, work: (ctx: Context<AnyPlugin>) => Promise<unknown>): Promise<string[]> {
  const queued: string[] = [];
  await runtime.records.asSystem({ kind: 'bench', id: null }, async (ctx) => {
    await work({ ...ctx, queue: (name) => Promise.resolve(`${queued.push(name)}`) });
  });
  return queued;
}

/** Runs a job, and those that it queues, until one of another name is left. */
async function job(runtime: Runtime, first: string, upTo: string): Promise<void> {
  const waiting = [first];
  for (let name = waiting.shift(); name !== undefined && name !== upTo; name = waiting.shift()) {
    const handler = insights.jobs?.[name];
    if (!handler || !('run' in handler)) throw new Error(`insights has no job "${name}"`);
    waiting.push(...(await run(runtime, (ctx) => handler.run([{ id: '', data: {}, attempts: 0, error: null }], ctx))));
  }
}

/** How many sums are not what all lines come to, counted another way. */
async function wrong({ pool }: Runtime): Promise<number> {
  const client = await pool.connect();
  try {
    await client.query('set statement_timeout = 0');
    const { rows } = await client.query<{ n: number }>(
      `with truth as (
         select o.company as id, sum((l.total).amount) as amount from sales."orderLine" l join sales."order" o on o.id = l."order"
         where l.deleted_at is null and o.deleted_at is null group by o.company)
       select count(*)::integer as n from contacts.company c left join truth t on t.id = c.id left join insights.revenue r on r.company = c.id
       where t.amount is distinct from r.amount or round(t.amount, 4) is distinct from (c.insights__revenue).amount`,
    );
    return rows[0]!.n;
  } finally {
    client.release(true);
  }
}

const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const began = performance.now();
  await work();
  return performance.now() - began;
};
const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;

const rows: string[][] = [];
let failed = false;
for (const size of SIZES) {
  const database = await scratchDatabase();
  try {
    const runtime = await runtimeOn(database.url);
    await load(runtime, size);
    const first = await timed(() => job(runtime, 'rebuild', 'classify'));
    const classes = await timed(() => job(runtime, 'classify', ''));
    const sold: number[] = [];
    const changed: number[] = [];
    const recomputed: number[] = [];
    let mistakes = 0;
    const follow = async (events: readonly ChangeEvent[]): Promise<number> => {
      const took = await timed(async () => {
        for (let i = 0; i < events.length; i += BATCH)
          await run(runtime, (ctx) => insights.consumers!.revenue!.handle(events.slice(i, i + BATCH), ctx));
      });
      mistakes += await wrong(runtime);
      return took;
    };
    for (let round = 0; round < ROUNDS; round++) {
      sold.push(await follow(await sell(runtime, size, round)));
      changed.push(await follow(await change(runtime, size)));
      await change(runtime, size);
      recomputed.push(await timed(() => job(runtime, 'rebuild', 'classify')));
      mistakes += await wrong(runtime);
    }
    const full = median(recomputed);
    for (const [what, own] of [
      ['new', median(sold)],
      ['changed here and there', median(changed)],
    ] as const)
      rows.push([
        `${number(size)} order lines, ${number(CHANGES)} ${what}`,
        seconds(own),
        seconds(full),
        `${(full / own).toFixed(1)}×`,
        `${GOAL}×`,
        full / own >= GOAL ? 'reached' : 'short',
        mistakes === 0 ? 'equal' : `${number(mistakes)} wrong`,
        `${seconds(first)} / ${seconds(classes)}`,
      ]);
    failed ||= mistakes > 0;
    await runtime.close();
  } finally {
    await database.close();
  }
}
console.log(`Medians of ${ROUNDS}`);
printTable(['', 'followed', 'recomputed', 'ratio', 'goal', '', 'sums', 'at first: revenue / classes'], rows);
// A speed may be short; a wrong sum may not be.
process.exitCode = failed ? 1 : 0;
