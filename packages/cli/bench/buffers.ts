/**
 * Pages that Postgres touches for a page of a list and for a search: a count
 * that no machine changes. Beside it what OFFSET and a plain LIKE would touch.
 */
import { SYSTEM } from '@kith/core';
import type { Runtime } from '@kith/core/runtime';
import type { Filter } from '@kith/sdk';
import { explain, number, type Plan } from './plans.ts';
import { CITIES, FIRST, printTable, quick, runtimeOn, scratchDatabase, SECOND, THIRD } from './scratch.ts';

const SIZES = quick ? [10_000, 100_000] : [100_000, 1_000_000];
const PAGE = 50;
const LIST_GOAL = 60;
/** What trigram search needed on a million contacts when the goal was set. */
const SEARCH_GOAL = 300;

/** Adds companies up to `size` as one statement; the indexes are built after it, as a restore would. */
async function grow(runtime: Runtime, from: number, size: number, owners: readonly string[]): Promise<void> {
  const client = await runtime.pool.connect();
  try {
    await client.query('set statement_timeout = 0');
    await client.query(`set maintenance_work_mem = '1GB'`);
    const { rows } = await client.query<{ name: string; def: string }>(
      `select indexname as name, indexdef as def from pg_indexes where schemaname = 'contacts' and tablename = 'company' and indexname not like '%pkey'`,
    );
    for (const { name } of rows) await client.query(`drop index contacts."${name}"`);
    const array = (values: readonly string[]): string => `(array[${values.map((one) => `'${one}'`).join(',')}])`;
    // Products of primes spread the words without a pattern that a b-tree would notice.
    const at = (values: readonly string[], prime: number): string => `${array(values)}[1 + (i * ${prime} / 101) % ${values.length}]`;
    await client.query(
      `insert into contacts.company (id, created_by, updated_by, updated_at, name, "externalId", kind, owner, city, country, phone, website)
       select uuidv7(), $1, $1, now() - (i % 1000003) * interval '1 minute',
         ${at(FIRST, 7919)} || ' ' || ${at(SECOND, 104729)} || ' ' || i || ' ' || ${at(THIRD, 1299709)},
         'C' || i, array[${at(['customer', 'customer', 'customer', 'supplier', 'carrier'], 611953)}], ($2::uuid[])[1 + i % ${owners.length}],
         ${at(
           CITIES.map(([city]) => city),
           15485863,
         )}, ${at(
           CITIES.map(([, country]) => country),
           15485863,
         )}, '+43 1 ' || (100000 + i), 'https://www.company-' || i || '.example'
       from generate_series($3::bigint, $4::bigint) i`,
      [SYSTEM.id, owners, from + 1, size],
    );
    for (const { def } of rows) await client.query(def);
    await client.query('vacuum analyze contacts.company');
  } finally {
    client.release(true);
  }
}

const database = await scratchDatabase();
try {
  const runtime = await runtimeOn(database.url);
  const company = runtime.records.object('contacts.company');
  const owners: string[] = [];
  for (let i = 0; i < 40; i++) owners.push(await runtime.sessions.createUser({ email: `user${i}@bench.example`, role: 'member' }));
  const { query } = runtime;
  const page = async (sort: string[], filter: Filter | undefined, cursor?: string): Promise<Plan> => {
    const options = { limit: PAGE, sort, ...(filter ? { filter } : {}), ...(cursor ? { cursor } : {}) };
    const { sql, parameters } = query.explainable(SYSTEM, company, options);
    return explain(runtime.pool, sql, parameters);
  };
  const rows: string[][] = [];
  let have = 0;
  for (const size of SIZES) {
    await grow(runtime, have, size, owners);
    have = size;
    for (const { name, sort, filter, share, order, where, led = true } of listsOf(owners[3]!)) {
      const depth = Math.floor(size * share * 0.9);
      const first = await page(sort, filter);
      const naive = `from contacts.company o where o.deleted_at is null and ${where} order by ${order} offset ${depth}`;
      const deep = await page(sort, filter, await cursorAt(runtime, order, naive, sort.length > 0));
      const offset = await explain(runtime.pool, `select o.* ${naive} limit ${PAGE}`, []);
      const worst = Math.max(first.buffers, deep.buffers);
      rows.push([
        `${number(size)}: ${name}`,
        number(first.buffers),
        `${number(deep.buffers)} at ${number(depth)}`,
        number(offset.buffers),
        led ? `${LIST_GOAL}` : '',
        led ? (worst <= LIST_GOAL ? 'reached' : 'short') : '',
        `${first.ms.toFixed(1)} / ${deep.ms.toFixed(1)} / ${offset.ms.toFixed(0)}`,
      ]);
      if (worst > LIST_GOAL && first.text) console.log(`${name}\n${first.buffers > LIST_GOAL ? first.text : deep.text}\n`);
    }
    for (const words of [`riverside ${size - 7}`, 'quartz optics 999', 'riverside glass', 'falcon', 'nowhere']) {
      const { sql, parameters } = query.explainable(SYSTEM, company, { limit: PAGE, search: words });
      const found = await explain(runtime.pool, sql, parameters);
      const { count: hits } = await query.count(SYSTEM, company, { search: words }, 'exact');
      const like = await explain(
        runtime.pool,
        `select id from contacts.company o where o.deleted_at is null and ${words
          .split(' ')
          .map((_, i) => `concat_ws(' ', o.name, o.city, o.country, o.phone, o."externalId") ilike $${i + 1}`)
          .join(' and ')} order by id desc limit ${PAGE + 1}`,
        words.split(' ').map((word) => `%${word}%`),
      );
      rows.push([
        `${number(size)}: search “${words}”, ${number(hits)} found`,
        number(found.buffers),
        '',
        `${number(like.buffers)} (ILIKE)`,
        `${SEARCH_GOAL}`,
        found.buffers <= SEARCH_GOAL ? 'reached' : 'short',
        `${found.ms.toFixed(1)} / ${like.ms.toFixed(0)}`,
      ]);
      if (found.text && found.buffers > SEARCH_GOAL) console.log(`search ${words}\n${found.text}\n`);
    }
  }
  printTable(['buffers', 'first page', 'deep', 'OFFSET', 'goal', '', 'ms'], rows);
  await runtime.close();
} finally {
  await database.close();
}

interface List {
  name: string;
  sort: string[];
  filter?: Filter;
  /** The part of all records that is in it. */
  share: number;
  /** The same in plain SQL, for OFFSET. */
  order: string;
  where: string;
  /** Whether an index leads with what it filters and sorts by. */
  led?: boolean;
}

/** Lists as people keep them. The last two have no index that leads with filter and order at once; they are here to be seen. */
function listsOf(owner: string): List[] {
  return [
    { name: 'the newest', sort: [], share: 1, order: 'o.id desc', where: 'true' },
    { name: 'by name', sort: ['name'], share: 1, order: 'o.name, o.id', where: 'true' },
    { name: 'by name, descending', sort: ['-name'], share: 1, order: 'o.name desc, o.id desc', where: 'true' },
    { name: 'by country', sort: ['country'], share: 1, order: 'o.country, o.id', where: 'true' },
    { name: 'last changed', sort: ['-updatedAt'], share: 1, order: 'o.updated_at desc, o.id desc', where: 'true' },
    {
      name: 'mine, the newest',
      sort: [],
      filter: { field: 'owner', op: 'eq', value: owner },
      share: 1 / 40,
      order: 'o.id desc',
      where: `o.owner = '${owner}'`,
    },
    {
      name: 'of one country, by name',
      sort: ['name'],
      filter: { field: 'country', op: 'eq', value: 'Austria' },
      share: 1 / 6,
      order: 'o.name, o.id',
      where: `o.country = 'Austria'`,
      led: false,
    },
    {
      name: 'customers, by name',
      sort: ['name'],
      filter: { field: 'kind', op: 'contains', value: 'customer' },
      share: 3 / 5,
      order: 'o.name, o.id',
      where: `o.kind @> array['customer']`,
      led: false,
    },
  ];
}

/** The cursor of a list after so many rows. */
async function cursorAt(runtime: Runtime, order: string, naive: string, sorted: boolean): Promise<string> {
  const { rows } = await runtime.pool.query<{ id: string; key: string }>(
    `select o.id, (${order.split(/[ ,]/, 1)[0]})::text as key ${naive} limit 1`,
  );
  const { id, key } = rows[0]!;
  return Buffer.from(JSON.stringify([sorted ? [key] : [], id])).toString('base64url');
}
