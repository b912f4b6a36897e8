/**
 * Pages that Postgres touches when a supplier reads among a million purchase
 * order lines of forty suppliers, behind the second wall: lists, searches,
 * counts. Beside it OFFSET, and LIKE under row security.
 */
import { SYSTEM } from '@kith/core';
import { openPool } from '@kith/core/database';
import type { Runtime } from '@kith/core/runtime';
import { loginOf, readWall } from '@kith/core/wall';
import type { Filter, Principal } from '@kith/sdk';
import type pg from 'pg';
import { explain, number, type Plan } from './plans.ts';
import { FIRST, printTable, quick, runtimeOn, scratchDatabase, SECOND, THIRD } from './scratch.ts';

const LINES = quick ? 100_000 : 1_000_000;
const SUPPLIERS = 40;
const PER_ORDER = 5;
const PAGE = 50;
const LIST_GOAL = 60;
const SEARCH_GOAL = 300;

/** Suppliers with their people, orders and lines; loaded as a restore would, with the indexes built afterwards. */
async function load(runtime: Runtime): Promise<Principal> {
  const suppliers: string[] = [];
  const company = runtime.records.object('contacts.company');
  for (let i = 0; i < SUPPLIERS; i++) {
    const rec = await runtime.records.create({ principal: SYSTEM, cause: { kind: 'bench', id: null } }, company, {
      name: `Supplier ${i}`,
      kind: ['supplier'],
    });
    suppliers.push(rec.id);
  }
  const client = await runtime.pool.connect();
  try {
    await client.query('set statement_timeout = 0');
    await client.query(`set maintenance_work_mem = '1GB'`);
    const { rows: indexes } = await client.query<{ name: string; def: string }>(
      `select indexname as name, indexdef as def from pg_indexes where schemaname = 'suppliers' and indexname not like '%pkey'`,
    );
    for (const { name } of indexes) await client.query(`drop index suppliers."${name}"`);
    await client.query(
      `insert into suppliers."purchaseOrder" (id, created_by, updated_by, number, supplier, status, "requiredDate")
       select ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, $1, $1, 'P' || i, ($2::uuid[])[1 + i % ${SUPPLIERS}],
         case when (i / ${SUPPLIERS}) % 10 = 0 then 'open' else 'closed' end, date '2020-01-01' + (i % 2500)::integer
       from generate_series(1, ${LINES / PER_ORDER}) i`,
      [SYSTEM.id, suppliers],
    );
    const at = (values: readonly string[], prime: number): string =>
      `(array[${values.map((one) => `'${one}'`).join(',')}])[1 + (i * ${prime} / 101) % ${values.length}]`;
    await client.query(
      `insert into suppliers."purchaseOrderLine" (id, created_by, updated_by, "updated_at@supplier", "purchaseOrder", supplier, "orderNumber", "orderStatus",
         "requiredDate", status, "orderedQuantity", item)
       select uuidv7(), $1, $1, now() - (i % 1000003) * interval '1 minute', o.id, o.supplier, o.number, o.status, o."requiredDate",
         case when o.status = 'open' then 'open' else 'confirmed' end, 1 + i % 90,
         ${at(FIRST, 7919)} || ' ' || ${at(SECOND, 104729)} || ' ' || ${at(THIRD, 1299709)} || ' ' || i
       from generate_series(1::bigint, ${LINES}) i
       join suppliers."purchaseOrder" o on o.id = ('00000000-0000-7000-8000-' || lpad(to_hex(1 + i % ${LINES / PER_ORDER}), 12, '0'))::uuid`,
      [SYSTEM.id],
    );
    for (const { def } of indexes) await client.query(def);
    await client.query('vacuum analyze suppliers."purchaseOrder"');
    await client.query('vacuum analyze suppliers."purchaseOrderLine"');
    const { rows } = await client.query<{ id: string }>(
      `insert into kith."user" (id, email, name, kind, audience, company) values (uuidv7(), 'bench@partner.example', 'Bench', 'partner', 'supplier', $1) returning id`,
      [suppliers[7]],
    );
    return { id: rows[0]!.id, kind: 'partner', name: 'Bench', roles: [], outside: { audience: 'supplier', company: suppliers[7]! } };
  } finally {
    client.release(true);
  }
}

interface List {
  name: string;
  sort: string[];
  filter?: Filter;
  order: string;
  where?: string;
  led?: boolean;
}
const LISTS: readonly List[] = [
  { name: 'last changed', sort: ['-updatedAt'], order: 'o."updated_at@supplier" desc, o.id desc' },
  { name: 'by the required date', sort: ['requiredDate'], order: 'o."requiredDate", o.id' },
  { name: 'by the required date, descending', sort: ['-requiredDate'], order: 'o."requiredDate" desc, o.id desc' },
  {
    name: 'open, by the required date',
    sort: ['requiredDate'],
    filter: { field: 'status', op: 'eq', value: 'open' },
    order: 'o."requiredDate", o.id',
    where: `and o.status = 'open'`,
    led: false,
  },
];

const database = await scratchDatabase();
try {
  const runtime = await runtimeOn(database.url);
  const line = runtime.records.object('suppliers.purchaseOrderLine');
  const partner = await load(runtime);
  const wall = (await readWall(runtime.pool))!;
  const url = new URL(database.url);
  url.username = loginOf(wall, 'supplier');
  url.password = wall.password;
  const theirs = openPool(url.href, 1, 'bench');
  const reads = (client: pg.PoolClient): Promise<unknown> => client.query(`select set_config('kith.partner', $1, false)`, [partner.id]);
  const ask = (sql: string, parameters: readonly unknown[] = []): Promise<Plan> => explain(theirs, sql, parameters, reads);
  const page = (options: Parameters<typeof runtime.query.explainable>[2]): Promise<Plan> => {
    const { sql, parameters } = runtime.query.explainable(partner, line, { limit: PAGE, ...options });
    return ask(sql, parameters);
  };
  const rows: string[][] = [];
  for (const { name, sort, filter, order, where = '', led = true } of LISTS) {
    const options = { sort, ...(filter ? { filter } : {}) };
    const first = await page(options);
    const depth = Math.floor((LINES / SUPPLIERS) * (led ? 0.9 : 0.05));
    const naive = `from suppliers."purchaseOrderLine" o where o.deleted_at is null ${where} order by ${order} offset ${depth}`;
    const client = await theirs.connect();
    await reads(client);
    const key = order.split(/[ ,]/, 1)[0];
    const { rows: found } = await client.query<{ id: string; key: string }>(`select o.id, (${key})::text as key ${naive} limit 1`);
    client.release();
    const cursor = Buffer.from(JSON.stringify([[found[0]!.key], found[0]!.id])).toString('base64url');
    const deep = await page({ ...options, cursor });
    const offset = await ask(`select o.id, o.item ${naive} limit ${PAGE}`);
    const worst = Math.max(first.buffers, deep.buffers);
    rows.push([
      `a supplier’s lines, ${name}`,
      number(first.buffers),
      `${number(deep.buffers)} at ${number(depth)}`,
      number(offset.buffers),
      led ? `${LIST_GOAL}` : '',
      led ? (worst <= LIST_GOAL ? 'reached' : 'short') : '',
      `${first.ms.toFixed(1)} / ${deep.ms.toFixed(1)} / ${offset.ms.toFixed(0)}`,
    ]);
    if (first.text && worst > LIST_GOAL) console.log(`${name}\n${first.buffers > LIST_GOAL ? first.text : deep.text}\n`);
  }
  for (const words of ['riverside 77', 'quartz optics 999', 'falcon glass', 'falcon', `P${LINES / PER_ORDER / 2 + 7}`, 'ri', 'nowhere']) {
    const found = await page({ search: words });
    const { count } = await runtime.query.count(partner, line, { search: words }, 'exact');
    const like = await ask(
      `select id from suppliers."purchaseOrderLine" o where o.deleted_at is null and ${words
        .split(' ')
        .map((_, i) => `o.item ilike $${i + 1}`)
        .join(' and ')} limit ${PAGE + 1}`,
      words.split(' ').map((word) => `%${word}%`),
    );
    rows.push([
      `a supplier’s search “${words}”, ${number(count)} found`,
      number(found.buffers),
      '',
      `${number(like.buffers)} (LIKE under row security)`,
      `${SEARCH_GOAL}`,
      found.buffers <= SEARCH_GOAL ? 'reached' : 'short',
      `${found.ms.toFixed(1)} / ${like.ms.toFixed(0)}`,
    ]);
    if (found.text && found.buffers > SEARCH_GOAL) console.log(`search ${words}\n${found.text}\n`);
  }
  console.log(`${number(LINES)} purchase order lines of ${SUPPLIERS} suppliers`);
  printTable(['buffers', 'first page', 'deep', 'naive', 'goal', '', 'ms'], rows);
  await theirs.end();
  await runtime.close();
} finally {
  await database.close();
}
