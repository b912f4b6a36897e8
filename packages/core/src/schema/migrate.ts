/**
 * Brings the database to what the declarations say: the host's tables, each
 * plugin's numbered migrations, and the additive DDL derived from the model.
 * Never drops anything; a plugin that left keeps its schema.
 */
import { requiredCompany, type AnyServer, type Model, type ModelField, type ModelObject } from '@kith/sdk';
import { FIELD_NUMBERS } from '@kith/doc';
import type pg from 'pg';
import { quote } from '../database.ts';
import { BootError, isDatabaseError } from '../errors.ts';
import {
  audienceColumns,
  columnType,
  hashOf,
  searchColumn,
  searchColumnDdl,
  searchFieldsFor,
  searchLists,
  tableName,
} from '../records/columns.ts';
import { consumerNames } from '../jobs/consumers.ts';
import { migrateQueues } from '../jobs/queues.ts';
import { assignFacets } from './facets.ts';
import { retrying } from './retry.ts';
import { isWallBehind, raiseWall } from './wall.ts';
import { HOST_MIGRATIONS } from './host.ts';

/** Key of the advisory lock that lets one process migrate at a time. */
export const MIGRATION_LOCK = 7_001;
/** Where it is noted which migrations have been applied. */
export const MIGRATION_TABLE = `create table if not exists kith.migration (
  plugin text not null, name text not null, applied_at timestamptz not null default now(), primary key (plugin, name))`;

/** Applies whatever is missing, and answers what it did. Safe to run from several processes at once. */
export async function migrate(
  pool: pg.Pool,
  model: Model,
  servers: readonly AnyServer[],
  note: (line: string) => void = () => undefined,
): Promise<string[]> {
  const client = await pool.connect();
  const applied: string[] = [];
  try {
    // Whoever waits here waits as long as it takes.
    await client.query('set statement_timeout = 0');
    const { rows } = await client.query<{ got: boolean }>('select pg_try_advisory_lock($1) as got', [MIGRATION_LOCK]);
    if (!rows[0]!.got) {
      note('Another process is bringing the database up to date; waiting for it …');
      await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    }
    await client.query('set lock_timeout = 200');
    await client.query('create schema if not exists kith');
    await client.query(MIGRATION_TABLE);
    applied.push(...(await runLedger(client, 'kith', HOST_MIGRATIONS)));
    for (const plugin of model.plugins.values()) {
      if ([...model.objects.values()].some((object) => object.plugin === plugin.id)) {
        await client.query(`create schema if not exists ${quote(plugin.id)}`);
      }
    }
    for (const object of model.objects.values()) applied.push(...(await additive(client, model, object)));
    for (const object of model.objects.values()) applied.push(...(await foreignKeys(client, object)));
    const { numbers, fresh } = await numberFields(client, model);
    applied.push(...(await assignFacets(client, pool, model, numbers, fresh)));
    for (const server of servers) {
      if (model.plugins.has(server.plugin.id)) applied.push(...(await runLedger(client, server.plugin.id, server.migrations ?? [])));
    }
    applied.push(...(await raiseWall(client, model)));
    await ledgerPartitions(client);
    await migrateQueues(client);
    // Whoever follows from now on begins here; on an empty database, with the first event.
    await client.query(
      `insert into kith.consumer (name, position) select name, last from unnest($1::text[]) name, kith.event_counter on conflict do nothing`,
      [consumerNames(servers)],
    );
    return applied;
  } finally {
    // The lock goes with the connection, whatever state it is in.
    client.release(true);
  }
}

/** What a boot without the right to migrate needs to know: is anything missing? */
export async function pendingMigrations(pool: pg.Pool, model: Model, servers: readonly AnyServer[]): Promise<string[]> {
  const missing: string[] = [];
  let done = new Set<string>();
  try {
    const { rows } = await pool.query<{ key: string }>(`select plugin || '/' || name as key from kith.migration`);
    done = new Set(rows.map((row) => row.key));
  } catch (error) {
    if (!isDatabaseError(error, '42P01', '3F000')) throw error;
  }
  const known = [{ id: 'kith', list: HOST_MIGRATIONS }, ...servers.map((one) => ({ id: one.plugin.id, list: one.migrations ?? [] }))];
  for (const { id, list } of known) for (const one of list) if (!done.has(`${id}/${one.name}`)) missing.push(`${id}/${one.name}`);
  const { rows: columns } = await pool.query<{ key: string }>(
    `select table_schema || '.' || table_name || '.' || column_name as key from information_schema.columns where table_schema = any($1)`,
    [[...model.plugins.keys()]],
  );
  const have = new Set(columns.map((row) => row.key));
  for (const object of model.objects.values()) {
    for (const { name } of columnsOf(object)) if (!have.has(`${object.name}.${name}`)) missing.push(`${object.name}.${name}`);
  }
  if (missing.length === 0 && (await isWallBehind(pool, model))) missing.push('what partners may read');
  return missing;
}

async function runLedger(
  client: pg.PoolClient,
  plugin: string,
  list: readonly { name: string; up: readonly string[] }[],
): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>('select name from kith.migration where plugin = $1', [plugin]);
  const done = new Set(rows.map((row) => row.name));
  const applied: string[] = [];
  for (const one of list) {
    if (done.has(one.name)) continue;
    await retrying(client, `${plugin}/${one.name}`, async () => {
      await client.query('begin');
      for (const statement of one.up) await client.query(statement);
      await client.query('insert into kith.migration (plugin, name) values ($1, $2)', [plugin, one.name]);
      await client.query('commit');
    });
    applied.push(`${plugin}/${one.name}`);
  }
  return applied;
}

const SYSTEM_DDL = `
  id uuid primary key,
  version bigint not null default 1,
  created_at timestamptz not null default now(),
  created_by uuid not null,
  created_cause_kind text not null default 'api',
  created_cause uuid,
  updated_at timestamptz not null default now(),
  updated_by uuid not null,
  deleted_at timestamptz,
  deleted_by uuid,
  docs bigint not null default 0`;

async function additive(client: pg.PoolClient, model: Model, object: ModelObject): Promise<string[]> {
  const applied: string[] = [];
  const run = async (what: string, statement: string): Promise<void> => {
    await retrying(client, what, async () => {
      await client.query(statement);
    });
    applied.push(what);
  };
  const name = tableName(object);
  const { rows: columns } = await client.query<{ column_name: string }>(
    'select column_name from information_schema.columns where table_schema = $1 and table_name = $2',
    [object.plugin, object.key],
  );
  const have = new Set(columns.map((row) => row.column_name));
  const wanted = columnsOf(object);
  if (have.size === 0) {
    await run(`create ${object.name}`, `create table ${name} (${[SYSTEM_DDL, ...wanted.map(({ ddl }) => ddl)].join(',\n  ')})`);
  } else {
    const missing = wanted.filter((column) => !have.has(column.name));
    if (missing.length > 0) {
      await run(
        `add ${object.name}: ${missing.map((column) => column.name).join(', ')}`,
        `alter table ${name} ${missing.map(({ ddl }) => `add column ${ddl}`).join(', ')}`,
      );
    }
  }
  for (const field of object.fields.values()) {
    if (field.spec.type === 'text' && field.spec.sequence) {
      const sequence = sequenceName(object, field);
      const { rowCount } = await client.query('select 1 from pg_class where oid = to_regclass($1)', [sequence]);
      if (!rowCount) await run(`sequence ${object.name}.${field.name}`, `create sequence ${sequence} start ${field.spec.sequence.start}`);
    }
  }
  const { rows: indexes } = await client.query<{ name: string; valid: boolean }>(
    `select c.relname as name, i.indisvalid as valid from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = $1::regclass`,
    [name],
  );
  const valid = new Map(indexes.map((row) => [row.name, row.valid]));
  const empty = (await client.query(`select from ${name} limit 1`)).rowCount === 0;
  for (const [index, definition] of indexesOf(model, object)) {
    if (valid.get(index) === true) continue;
    // A build that was killed leaves an invalid index behind: it costs writes and serves no read.
    if (valid.get(index) === false)
      await run(`drop invalid index ${index}`, `drop index concurrently ${quote(object.plugin)}.${quote(index)}`);
    const [create, rest] = definition;
    // Concurrently, so that nobody waits while a large table is read; on an empty one the plain form is quicker.
    await run(`index ${index}`, `${create} ${empty ? '' : 'concurrently '}${quote(index)} on ${name} ${rest}`);
  }
  return applied;
}

/** The columns that an object's declaration asks for, besides the system's. */
const columnsOf = (object: ModelObject): { name: string; ddl: string }[] => [
  ...[...object.fields.values()].map((field) => ({ name: field.name, ddl: `${quote(field.name)} ${columnType(field)}` })),
  ...searchLists(object).map(searchColumnDdl),
  ...[...object.portals.keys()].flatMap((audience) => {
    const { version, updatedAt, since } = audienceColumns(audience);
    return [
      { name: version, ddl: `${quote(version)} bigint not null default 1` },
      // To the millisecond, as it is told: what has changed since is asked by what was told.
      { name: updatedAt, ddl: `${quote(updatedAt)} timestamptz not null default date_trunc('milliseconds', now())` },
      { name: since, ddl: `${quote(since)} timestamptz not null default to_timestamp(0)` },
    ];
  }),
];

/** Full quoted name of the sequence that numbers a field. */
export const sequenceName = (object: ModelObject, field: ModelField): string =>
  `${quote(object.plugin)}.${quote(`${object.key}_${field.name}_seq`)}`;

/** Index names are at most 63 bytes in Postgres; longer ones would be cut and collide. */
const short = (name: string): string => (name.length <= 60 ? name : `${name.slice(0, 48)}_${hashOf(name)}`);

/** The indexes of an object: `[create …, (columns) …]` by name. */
function indexesOf(model: Model, object: ModelObject): Map<string, [string, string]> {
  const indexes = new Map<string, [string, string]>();
  const live = 'where deleted_at is null';
  // Read backwards; both columns in one direction, since records changed together have one time.
  indexes.set(short(`${object.key}_updated_at`), ['create index', `(updated_at, id) ${live}`]);
  indexes.set(short(`${object.key}_live`), ['create index', `(id) ${live}`]);
  indexes.set(short(`${object.key}_deleted_at`), ['create index', `(deleted_at, id) where deleted_at is not null`]);
  for (const field of object.fields.values()) {
    if (!field.spec.indexed && field.type !== 'ref') continue;
    const column = quote(field.name);
    const name = short(`${object.key}_${field.name}`);
    if (field.type === 'multiSelect' || field.type === 'refs') indexes.set(name, ['create index', `using gin (${column}) ${live}`]);
    else if (field.type === 'money') indexes.set(name, ['create index', `(((${column}).amount), id) ${live}`]);
    else indexes.set(name, ['create index', `(${column}, id) ${live}`]);
    // People write the same address in many ways: whoever looks for it compares it so.
    if (field.type === 'email') indexes.set(short(`${object.key}_${field.name}_lower`), ['create index', `(lower(${column}), id) ${live}`]);
    if (field.type === 'phone')
      indexes.set(short(`${object.key}_${field.name}_digits`), [
        'create index',
        `(ltrim(regexp_replace(${column}, '\\D', '', 'g'), '0'), id) ${live}`,
      ]);
  }
  for (const columns of object.unique) {
    indexes.set(short(`${object.key}_${columns.join('_')}_unique`), ['create unique index', `(${columns.map(quote).join(', ')}) ${live}`]);
  }
  // A search reads the list of what is not yet sorted in from end to end: it must stay short.
  const options = 'with (gin_pending_list_limit = 512)';
  if (object.search.length > 0) {
    const name = searchColumn(object.search);
    indexes.set(short(`${object.key}_${name}_trgm`), ['create index', `using gin (${quote(name)} public.gin_trgm_ops) ${options} ${live}`]);
  }
  const sorted = leadingSorts(model, object);
  for (const [audience, portal] of object.portals) {
    // What an audience searches is first of all its company's: both in one index, so that others' records cost nothing.
    const company = requiredCompany(portal.rows);
    const fields = searchFieldsFor(object, portal);
    if (company === undefined) continue;
    if (fields.length > 0) {
      const name = searchColumn(fields);
      indexes.set(short(`${object.key}_${company}_${name}_tokens`), [
        'create index',
        `using gin ((kith.search_tokens(${quote(company)}, ${quote(name)}))) ${options} ${live}`,
      ]);
    }
    const sorts = new Set([quote(audienceColumns(audience).updatedAt), ...(sorted.get(audience) ?? [])]);
    for (const column of sorts)
      indexes.set(short(`${object.key}_${company}_by_${column.replaceAll('"', '')}`), [
        'create index',
        `(${quote(company)}, ${column}, id) ${live}`,
      ]);
  }
  return indexes;
}

/** The columns by which the pages of portals sort an object's records, by audience. */
function leadingSorts(model: Model, object: ModelObject): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const audience of model.audiences.values()) {
    const selections = [...audience.pages, ...audience.answer, ...audience.late].filter((one) => one.object === object.name);
    const columns = selections.flatMap(({ sort }) => {
      const field = object.fields.get(sort?.[0]?.replace(/^-/, '') ?? '');
      if (!field) return [];
      // An expression in an index stands in brackets of its own.
      return field.type === 'money' ? [`((${quote(field.name)}).amount)`] : [quote(field.name)];
    });
    found.set(audience.key, columns);
  }
  return found;
}

/** References are real: what points at a record that does not exist is refused by Postgres itself. */
async function foreignKeys(client: pg.PoolClient, object: ModelObject): Promise<string[]> {
  const { rows } = await client.query<{ conname: string }>(
    `select conname from pg_constraint where conrelid = $1::regclass and contype = 'f'`,
    [tableName(object)],
  );
  const have = new Set(rows.map((row) => row.conname));
  const applied: string[] = [];
  for (const field of object.fields.values()) {
    const name = foreignKeyName(field);
    if ((field.spec.type !== 'ref' && field.spec.type !== 'user') || have.has(name)) continue;
    const [plugin, key] = field.spec.type === 'ref' ? (field.spec.to.split('.') as [string, string]) : (['kith', 'user'] as const);
    await retrying(client, name, async () => {
      await client.query(
        `alter table ${tableName(object)} add constraint ${quote(name)} foreign key (${quote(field.name)}) references ${quote(plugin)}.${quote(key)} (id)`,
      );
    });
    applied.push(`${object.name}.${field.name} refers to ${plugin}.${key}`);
  }
  return applied;
}

/** Name of a reference's constraint; from it an error tells which field was wrong. */
export const foreignKeyName = (field: ModelField): string => short(`ref_${field.name}`);

/** Every field gets a number that stays: documents write under client ids made from it. */
async function numberFields(
  client: pg.PoolClient,
  model: Model,
): Promise<{ numbers: Map<string, Map<string, number>>; fresh: Map<string, Set<string>> }> {
  const numbers = new Map<string, Map<string, number>>();
  const fresh = new Map<string, Set<string>>();
  for (const object of model.objects.values()) {
    const { rows } = await client.query<{ name: string; num: number }>('select name, num from kith.field where object = $1', [object.name]);
    const known = new Map(rows.map((row) => [row.name, row.num]));
    numbers.set(object.name, known);
    fresh.set(object.name, new Set());
    let next = rows.reduce((most, row) => Math.max(most, row.num + 1), 0);
    for (const field of object.fields.values()) {
      if (known.has(field.name)) continue;
      if (next >= FIELD_NUMBERS)
        throw new BootError(`Object ${object.name} has had more than ${FIELD_NUMBERS} fields, the most that documents can hold.`);
      // In no document yet; where it belongs is decided next.
      await client.query('insert into kith.field (object, name, num, facet) values ($1, $2, $3, -1)', [object.name, field.name, next]);
      fresh.get(object.name)!.add(field.name);
      known.set(field.name, next++);
    }
  }
  return { numbers, fresh };
}

/** Months of the ledger: this one and the two ahead. What falls between goes to the default partition. */
async function ledgerPartitions(client: pg.PoolClient): Promise<void> {
  const now = new Date();
  for (let ahead = 0; ahead < 3; ahead++) {
    const from = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead, 1));
    const to = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead + 1, 1));
    const name = `ledger_${from.getUTCFullYear()}_${String(from.getUTCMonth() + 1).padStart(2, '0')}`;
    const { rowCount } = await client.query('select 1 from pg_class where oid = to_regclass($1)', [`kith.${name}`]);
    if (rowCount) continue;
    const { rowCount: taken } = await client.query('select 1 from kith.ledger_default where at >= $1 and at < $2 limit 1', [from, to]);
    if (taken) continue;
    await retrying(client, name, async () => {
      await client.query(
        `create table kith.${name} partition of kith.ledger for values from ('${from.toISOString()}') to ('${to.toISOString()}')`,
      );
    });
  }
}
