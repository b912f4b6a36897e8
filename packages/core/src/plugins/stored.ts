/**
 * What a plugin has stored, and how it goes for good. Purging is for plugins that are in nobody's build any more: everything
 * is written to a file first, and then all of it goes in one transaction.
 */
import { createWriteStream } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Facet, Model, ModelObject } from '@kith/sdk';
import type pg from 'pg';
import { quote } from '../database.ts';
import { conflict, notFound, type KithError } from '../errors.ts';
import { IN_USE_LOCK, type Bus } from '../events/bus.ts';
import { catchUp, lockRecord, renew, type FieldNumbers } from '../records/documents.ts';

/** Above this many rows, a count is an estimate. */
const COUNTED = 50_000;
const PAGE = 1_000;

export interface StoredTable {
  /** `logistics.shipment` */
  name: string;
  rows: number;
  /** Whether `rows` was counted; else it is Postgres' estimate. */
  exact: boolean;
  bytes: number;
}
export interface StoredColumn {
  /** Table of another plugin. */
  table: string;
  column: string;
  /** Records that have a value there. */
  rows: number;
  /** Whether `rows` was counted; else it is Postgres' estimate. */
  exact: boolean;
}
export interface StoredFiles {
  count: number;
  /** As they were kept. */
  bytes: number;
}
export interface Stored {
  tables: StoredTable[];
  files: StoredFiles;
  /** Its fields on other plugins' objects. */
  columns: StoredColumn[];
}

type Queryable = Pick<pg.Pool, 'query'>;

/** Plugins that have left something in the database and are in no build that this process knows. */
export async function orphans(pool: Queryable, installed: Iterable<string>): Promise<string[]> {
  const { rows } = await pool.query<{ id: string }>(
    `select id from (
       select split_part(object, '.', 1) as id from kith.field
       union select split_part(name, '__', 1) from kith.field where name like '%\\_\\_%'
       union select plugin from kith.migration union select id from kith.plugin
       union select plugin from kith.plugin_setting) known
     where id <> 'kith' and id <> 'custom' and id <> all($1) order by id`,
    [[...installed]],
  );
  return rows.map((row) => row.id);
}

/** What plugins have in the database, by their ids. */
export async function storedBy(pool: Queryable, ids: readonly string[]): Promise<Map<string, Stored>> {
  const stored = new Map(ids.map((id): [string, Stored] => [id, { tables: [], columns: [], files: { count: 0, bytes: 0 } }]));
  const { rows: tables } = await pool.query<{ schema: string; name: string; estimate: number; bytes: number }>(
    `select n.nspname as schema, c.relname as name, greatest(c.reltuples, 0)::bigint as estimate, pg_total_relation_size(c.oid) as bytes
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = any($1) and c.relkind in ('r', 'p') and not c.relispartition order by 1, 2`,
    [ids],
  );
  for (const { schema, name, estimate, bytes } of tables) {
    const exact = Number(estimate) <= COUNTED;
    const rows = exact
      ? (await pool.query<{ n: number }>(`select count(*)::int as n from ${quote(schema)}.${quote(name)}`)).rows[0]!.n
      : Number(estimate);
    stored.get(schema)!.tables.push({ name: `${schema}.${name}`, rows, exact, bytes: Number(bytes) });
  }
  for (const { schema, table, column, owner, estimate, filled } of await foreignColumns(pool, ids)) {
    // What was never looked at by the statistics has no estimate; counting reads the whole table once for each column.
    const exact = Number(estimate) <= COUNTED || filled === null;
    const rows = exact
      ? (await pool.query<{ n: number }>(`select count(${quote(column)})::int as n from ${quote(schema)}.${quote(table)}`)).rows[0]!.n
      : Math.round(Number(estimate) * filled);
    stored.get(owner)!.columns.push({ table: `${schema}.${table}`, column, rows, exact });
  }
  const { rows: files } = await pool.query<{ plugin: string; count: number; bytes: number }>(
    `select plugin, count(*)::int as count, sum(size)::bigint as bytes from kith.file where plugin = any($1) group by plugin`,
    [ids],
  );
  for (const { plugin, count, bytes } of files) stored.get(plugin)!.files = { count, bytes: Number(bytes) };
  return stored;
}

interface ForeignColumn {
  schema: string;
  table: string;
  column: string;
  owner: string;
  /** Rows of the table, by Postgres' estimate. */
  estimate: number;
  /** The part of them that has a value, by its statistics; null where there are none. */
  filled: number | null;
}

async function foreignColumns(pool: Queryable, ids: readonly string[]): Promise<ForeignColumn[]> {
  const { rows } = await pool.query<ForeignColumn>(
    `select n.nspname as schema, c.relname as "table", a.attname as column, split_part(a.attname, '__', 1) as owner,
       greatest(c.reltuples, 0)::bigint as estimate, 1 - s.null_frac as filled
     from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
     left join pg_stats s on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname and not s.inherited
     where c.relkind in ('r', 'p') and not a.attisdropped and a.attnum > 0 and a.attname like '%\\_\\_%'
       and split_part(a.attname, '__', 1) = any($1) and exists (select from kith.field f where f.object = n.nspname || '.' || c.relname)
     order by 1, 2, 3`,
    [ids],
  );
  return rows;
}

/** Rows of the host's tables that belong to a plugin, and how they are told. */
const HOST: readonly { table: string; where: string }[] = [
  { table: 'doc_head', where: `object like $1 || '.%'` },
  { table: 'doc_log', where: `record in (select record from kith.doc_head where object like $1 || '.%')` },
  { table: 'doc_snapshot', where: `record in (select record from kith.doc_head where object like $1 || '.%')` },
  { table: 'doc_client', where: `record in (select record from kith.doc_head where object like $1 || '.%')` },
  { table: 'ledger', where: `object like $1 || '.%'` },
  { table: 'view', where: `object like $1 || '.%'` },
  { table: 'permission', where: `object like $1 || '.%'` },
  { table: 'named_permission', where: `name like $1 || '.%'` },
  { table: 'job', where: `handler like $1 || '.%'` },
  { table: 'guest', where: `object like $1 || '.%'` },
  { table: 'file_part', where: `file in (select id from kith.file where plugin = $1)` },
  { table: 'file', where: `plugin = $1` },
  // Secrets as they are stored: encrypted.
  { table: 'plugin_setting', where: `plugin = $1` },
];
/** What else goes, and is worth nothing without the plugin. Documents by their heads, so these go last. */
const GOES: readonly { table: string; where: string }[] = [
  ...[
    'doc_log',
    'doc_snapshot',
    'doc_client',
    'ledger',
    'view',
    'permission',
    'named_permission',
    'job',
    'guest',
    'file_part',
    'file',
    'plugin_setting',
  ].map((name) => HOST.find(({ table }) => table === name)!),
  ...['doc_head', 'outbox', 'event_log', 'unsettled', 'notice', 'ticket'].map((table) => ({ table, where: `object like $1 || '.%'` })),
  { table: 'field', where: `object like $1 || '.%' or name like $1 || '\\_\\_%'` },
  { table: 'facet', where: `object like $1 || '.%'` },
  { table: 'schedule', where: `name like $1 || '.%'` },
  { table: 'consumer', where: `name like $1 || '.%'` },
  { table: 'plugin_service', where: `name like $1 || '.%'` },
  { table: 'notice_choice', where: `kind like $1 || '.%'` },
  { table: 'migration', where: `plugin = $1` },
  { table: 'plugin', where: `id = $1` },
];

/**
 * Everything that a plugin has stored, a line of JSON each: first what is in the file, then `{table, row}`, and for its fields
 * on other plugins' records `{table, id, columns}`. Bytes are in Postgres' own notation (`\x…`).
 */
export async function* exported(client: pg.PoolClient, id: string, at: Date): AsyncGenerator<string> {
  const { tables, columns } = (await storedBy(client, [id])).get(id)!;
  yield `${JSON.stringify({ format: 'kith-plugin', version: 1, plugin: id, at: at.toISOString(), tables, columns })}\n`;
  const sources = [
    ...tables.map(({ name }) => ({ name, sql: `select $1::text as plugin, to_jsonb(t) as row from ${qualified(name)} t` })),
    ...HOST.map(({ table, where }) => ({
      name: `kith.${table}`,
      sql: `select $1::text as plugin, to_jsonb(t) as row from kith.${quote(table)} t where ${where}`,
    })),
  ];
  for (const { name, sql } of sources) {
    for await (const { row } of rowsOf<{ row: unknown }>(client, sql, [id])) yield `${JSON.stringify({ table: name, row })}\n`;
  }
  for (const [table, own] of Map.groupBy(columns, (one) => one.table)) {
    const values = own.map(({ column }) => `'${column.replaceAll("'", "''")}', ${quote(column)}`).join(', ');
    const some = own.map(({ column }) => `${quote(column)} is not null`).join(' or ');
    const sql = `select id, jsonb_strip_nulls(jsonb_build_object(${values})) as columns from ${qualified(table)} where ${some}`;
    for await (const row of rowsOf<{ id: string; columns: unknown }>(client, sql, [])) yield `${JSON.stringify({ table, ...row })}\n`;
  }
}

const qualified = (name: string): string => {
  const [schema = '', table = ''] = name.split('.');
  return `${quote(schema)}.${quote(table)}`;
};

/** Rows through a cursor: however many, only a page is in memory. */
async function* rowsOf<R extends object>(client: pg.PoolClient, sql: string, values: readonly unknown[]): AsyncGenerator<R> {
  await client.query(`declare kith_export no scroll cursor for ${sql}`, [...values]);
  for (;;) {
    const { rows } = await client.query<R>(`fetch ${PAGE} from kith_export`);
    yield* rows;
    if (rows.length < PAGE) break;
  }
  await client.query('close kith_export');
}

/** What purging needs of a process. */
interface Host {
  pool: pg.Pool;
  model: Model;
  numbers: ReadonlyMap<string, FieldNumbers>;
  clock: () => Date;
  bus: Pick<Bus, 'recordClosed'>;
}

/**
 * Writes all that a plugin has stored into a new gzipped file and then takes it out of the database. Nothing goes before the
 * file is whole and on the disk.
 * @param file Must not exist.
 * @throws 404 where it has stored nothing, 409 while it is in the build of a process that runs
 */
export async function purge({ pool, model, numbers, clock, bus }: Host, id: string, file: string): Promise<Stored> {
  if (model.installed.plugins.has(id)) throw inUse(id);
  const client = await pool.connect();
  const part = `${file}.part`;
  try {
    await client.query('begin');
    await client.query(`set local statement_timeout = 0`);
    await client.query(`set local idle_in_transaction_session_timeout = 0`);
    const { rows } = await client.query<{ free: boolean }>('select pg_try_advisory_xact_lock($1, hashtext($2)) as free', [IN_USE_LOCK, id]);
    if (!rows[0]!.free) throw inUse(id);
    const known = await orphans(client, []);
    if (!known.includes(id)) throw notFound('plugin that has stored anything');
    const stored = (await storedBy(client, [id])).get(id)!;
    await mkdir(path.dirname(file), { recursive: true });
    await pipeline(Readable.from(exported(client, id, clock())), createGzip(), createWriteStream(part, { flags: 'wx', mode: 0o600 }));
    const handle = await open(part, 'r+');
    await handle.sync();
    await handle.close();
    await rename(part, file);
    const renewed = await documentsWithFieldsOf(client, model, id);
    for (const { schema, table, column } of await foreignColumns(client, [id]))
      await client.query(`alter table ${quote(schema)}.${quote(table)} drop column ${quote(column)} cascade`);
    for (const { table, where } of GOES) await client.query(`delete from kith.${quote(table)} where ${where}`, [id]);
    await client.query(`drop schema if exists ${quote(id)} cascade`);
    // Its fields leave the documents that others still edit: they begin anew without them.
    for (const { object, facets, records } of renewed) {
      for (const record of records) {
        await lockRecord(client, object, record);
        await catchUp(client, object, record);
        for (const facet of facets) await renew(client, object, numbers.get(object.name)!, record, facet);
      }
    }
    await client.query('commit');
    for (const { object, facets, records } of renewed)
      for (const record of records)
        bus.recordClosed(
          object.name,
          record,
          facets.map(({ num }) => num),
        );
    return stored;
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    await rm(part, { force: true });
    throw error;
  } finally {
    client.release();
  }
}

const inUse = (id: string): KithError =>
  conflict(
    `“${id}” is in the build of a Kith that is running. Take it out (npm run kith -- plugin remove ${id}) and start that again; then purge it.`,
  );

interface Renewed {
  object: ModelObject;
  facets: Facet[];
  records: string[];
}

/** Documents of others' records in which fields of a plugin live. */
async function documentsWithFieldsOf(client: pg.PoolClient, model: Model, id: string): Promise<Renewed[]> {
  const { rows } = await client.query<{ object: string; facets: number[]; records: string[] }>(
    `select f.object, array_agg(distinct f.facet)::int[] as facets, array_agg(distinct d.record order by d.record)::text[] as records
     from kith.field f join kith.doc_head d on d.object = f.object and d.facet = f.facet
     where f.name like $1 || '\\_\\_%' group by f.object`,
    [id],
  );
  return rows.flatMap(({ object: name, facets, records }) => {
    const object = model.installed.objects.get(name);
    return object ? [{ object, facets: object.facets.filter(({ num }) => facets.includes(num)), records }] : [];
  });
}

/** Where what is purged is kept. */
export const purgedFile = (dataDir: string, id: string, at: Date): string =>
  path.join(dataDir, 'purged', `${id}-${at.toISOString().replace(/[:.]/g, '-')}.jsonl.gz`);
