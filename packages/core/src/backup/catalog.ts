/** How a database's tables are built, read from Postgres itself: plugins that left are in no declaration any more. */
import type pg from 'pg';
import { quote } from '../database.ts';
import type { Column, End, Manifest, Table } from './archive.ts';

/** Tables of the host whose rows mean nothing elsewhere: who is signed in, and tickets that live for a minute. */
const WITHOUT_ROWS = new Set(['kith.session', 'kith.ticket']);

/** The schemas that are Kith's: its own, and those of plugins that are or were in the build. */
async function pluginSchemas(client: pg.ClientBase, plugins: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select nspname as name from pg_catalog.pg_namespace where nspname <> 'kith' and nspname not like 'pg\\_%' and nspname = any(
       $1::text[] || array(select distinct plugin from kith.migration) || array(select distinct split_part(object, '.', 1) from kith.field))
     order by 1`,
    [plugins],
  );
  return rows.map(({ name }) => name);
}

/** What a backup says about the structure. The client is in the transaction that reads the rows, with an empty search path. */
export async function readCatalog(
  client: pg.ClientBase,
  plugins: readonly string[],
): Promise<Pick<Manifest, 'schemas' | 'before' | 'tables' | 'after' | 'migrations'>> {
  const { rows: migrations } = await client.query<{ key: string }>(
    `select plugin || '/' || name as key from kith.migration order by applied_at, name`,
  );
  const schemas = await pluginSchemas(client, plugins);
  const all = await readTables(client, ['kith', ...schemas]);
  const statements = async (text: string): Promise<string[]> =>
    (await client.query<{ ddl: string }>(text, [schemas])).rows.map(({ ddl }) => ddl);
  const guests = all.filter(({ schema }) => schema !== 'kith');
  const before = [
    ...schemas.map((name) => `create schema if not exists ${quote(name)}`),
    ...(await statements(
      `select format('create type %I.%I as enum (%s)', n.nspname, t.typname,
           (select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid)) as ddl
         from pg_type t join pg_namespace n on n.oid = t.typnamespace where t.typtype = 'e' and n.nspname = any($1) order by 1`,
    )),
    ...(await statements(
      `select format('create type %I.%I as (%s)', n.nspname, t.typname,
           (select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum)
            from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)) as ddl
         from pg_type t join pg_class c on c.oid = t.typrelid and c.relkind = 'c' join pg_namespace n on n.oid = t.typnamespace
         where n.nspname = any($1) order by 1`,
    )),
    ...(await statements(
      `select format('create sequence %I.%I as %s start %s increment %s minvalue %s maxvalue %s cache %s%s', n.nspname, c.relname,
           format_type(s.seqtypid, null), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, case when s.seqcycle then ' cycle' else '' end) as ddl
         from pg_sequence s join pg_class c on c.oid = s.seqrelid join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = any($1) and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'i') order by 1`,
    )),
    ...(await statements(
      `select pg_get_functiondef(p.oid) as ddl from pg_proc p join pg_namespace n on n.oid = p.pronamespace
         where n.nspname = any($1) and p.prokind in ('f', 'p') order by 1`,
    )),
    ...guests.flatMap((table) => [
      `create table ${nameOf(table)} (${table.columns.map(({ name, ddl }) => `${quote(name)} ${ddl}`).join(', ')})${table.options}`,
      ...Object.values(table.partitions),
    ]),
  ];
  const constraints = (kinds: string): Promise<string[]> =>
    statements(
      `select format('alter table %s add constraint %I %s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid)) as ddl
         from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = any($1) and k.contype in (${kinds}) and k.conparentid = 0 and not c.relispartition order by k.contype desc, 1`,
    );
  const after = [
    ...(await constraints(`'p', 'u', 'c', 'x'`)),
    ...(await statements(
      `select pg_get_indexdef(i.indexrelid) as ddl from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = any($1) and i.indisvalid and not c.relispartition and c.relkind in ('r', 'p')
           and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')) order by 1`,
    )),
    ...(await constraints(`'f'`)),
    ...(await statements(
      `select format('create %sview %I.%I as %s', case when c.relkind = 'm' then 'materialized ' else '' end, n.nspname, c.relname, pg_get_viewdef(c.oid)) as ddl
         from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = any($1) and c.relkind in ('v', 'm') order by c.oid`,
    )),
    ...(await statements(
      `select pg_get_triggerdef(t.oid) as ddl from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = any($1) and not t.tgisinternal and t.tgparentid = 0 order by t.tgname`,
    )),
  ];
  return { migrations: migrations.map(({ key }) => key), schemas, before, tables: all, after };
}

/** The tables, those that others of the host's refer to first: their references hold while rows come in. */
async function readTables(client: pg.ClientBase, schemas: readonly string[]): Promise<Table[]> {
  const { rows } = await client.query<{
    schema: string;
    name: string;
    options: string;
    columns: Column[];
    partitions: Record<string, string> | null;
    refers: string[];
  }>(
    `select n.nspname as schema, c.relname as name,
       case when c.relkind = 'p' then ' partition by ' || pg_get_partkeydef(c.oid) else '' end
         || case when c.reloptions is not null then ' with (' || array_to_string(c.reloptions, ', ') || ')' else '' end as options,
       (select json_agg(json_build_object('name', a.attname, 'generated', a.attgenerated <> '', 'ddl',
           format_type(a.atttypid, a.atttypmod)
           || case when a.attcollation <> t.typcollation then ' collate ' || quote_ident(cn.nspname) || '.' || quote_ident(co.collname) else '' end
           || case when a.attgenerated = 's' then ' generated always as (' || pg_get_expr(d.adbin, d.adrelid) || ') stored'
                   when a.attgenerated = 'v' then ' generated always as (' || pg_get_expr(d.adbin, d.adrelid) || ') virtual'
                   when a.attidentity = 'a' then ' generated always as identity'
                   when a.attidentity = 'd' then ' generated by default as identity'
                   when d.adbin is not null then ' default ' || pg_get_expr(d.adbin, d.adrelid) else '' end
           || case when a.attnotnull then ' not null' else '' end) order by a.attnum)
         from pg_attribute a join pg_type t on t.oid = a.atttypid
         left join pg_attrdef d on (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
         left join pg_collation co on co.oid = a.attcollation left join pg_namespace cn on cn.oid = co.collnamespace
         where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
       (select json_object_agg(p.relname, format('create table %I.%I partition of %I.%I %s', pn.nspname, p.relname, n.nspname, c.relname,
           pg_get_expr(p.relpartbound, p.oid)))
         from pg_inherits i join pg_class p on p.oid = i.inhrelid join pg_namespace pn on pn.oid = p.relnamespace
         where i.inhparent = c.oid and p.relispartition) as partitions,
       array(select rn.nspname || '.' || r.relname from pg_constraint k join pg_class r on r.oid = k.confrelid join pg_namespace rn on rn.oid = r.relnamespace
         where k.conrelid = c.oid and k.contype = 'f' and r.oid <> c.oid) as refers
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = any($1) and c.relkind in ('r', 'p') and not c.relispartition order by n.nspname <> 'kith', n.nspname, c.relname`,
    [schemas],
  );
  const done: Table[] = [];
  const waiting = rows.map(({ refers, ...row }) => ({
    table: { ...row, columns: row.columns ?? [], partitions: row.partitions ?? {} },
    refers,
  }));
  while (waiting.length > 0) {
    // Those that refer in a circle are plugins', whose references are made after the rows.
    const next = waiting.findIndex(({ refers }) => !waiting.some(({ table }) => refers.includes(`${table.schema}.${table.name}`)));
    done.push(waiting.splice(Math.max(next, 0), 1)[0]!.table);
  }
  return done;
}

/** How far the sequences have come. Asked after the rows were read, they are never behind them. */
export async function readSequences(client: pg.ClientBase, schemas: readonly string[]): Promise<End['sequences']> {
  const { rows } = await client.query<{ name: string; value: string }>(
    `select format('%I.%I', schemaname, sequencename) as name, last_value::text as value from pg_sequences
       where schemaname = any($1) and last_value is not null order by 1`,
    [['kith', ...schemas]],
  );
  return rows.map(({ name, value }) => ({ name, value: Number(value), called: true }));
}

/** A table's name for SQL. */
export const nameOf = ({ schema, name }: Pick<Table, 'schema' | 'name'>): string => `${quote(schema)}.${quote(name)}`;

const listOf = (table: Table): string =>
  table.columns
    .filter(({ generated }) => !generated)
    .map(({ name }) => quote(name))
    .join(', ');

/** The statement that reads a table's rows. */
export function copyOut(table: Table): string | undefined {
  const full = `${table.schema}.${table.name}`;
  if (WITHOUT_ROWS.has(full)) return undefined;
  const from = nameOf(table);
  // The logins of the second wall belong to a server, the name of the installation to one of its copies: each makes its own.
  if (full === 'kith.setting')
    return `copy (select ${listOf(table)} from ${from} where name not in ('second_wall', 'installation')) to stdout`;
  return `copy (select ${listOf(table)} from ${from}) to stdout`;
}

/** The statement that takes a table's rows in. */
export const copyIn = (table: Table): string => `copy ${nameOf(table)} (${listOf(table)}) from stdin`;
