/**
 * The one statement through which every change of existing records passes:
 * rows, documents, ledger and outbox together, or not at all.
 *
 * It locks record rows in the order of their ids and then document heads, takes
 * a unit only if what it was computed from still holds, and answers what it
 * took. What is missing in the answer was stale, busy or gone.
 */
import type { FieldValue, ModelObject } from '@kith/sdk';
import type pg from 'pg';
import { quote, type Queryable } from '../database.ts';
import { newId } from '../ids.ts';
import { audienceColumns, columnType, tableName, toLiteral } from './columns.ts';

/** Old and new value of each changed field. Text fields in events carry null: that they changed is all one needs there. */
export type Changes = Record<string, [FieldValue, FieldValue] | null>;

export interface Cause {
  /** `api`, `edit` (an editing session), `action`, `demo`, `revert`, `workflow` (a run), `job`, `consumer`. */
  kind: string;
  id: string | null;
}

export interface DocumentWrite {
  facet: number;
  generation: number;
  /** The sequence that the update was computed from. */
  seq: number;
  update: Uint8Array;
  /**
   * Whether the columns show this document's large texts: `lagging` when they
   * do not follow with this unit, `caught-up` when they do.
   */
  largeText?: 'lagging' | 'caught-up';
}

export interface LedgerWrite {
  author: string;
  cause: Cause;
  changes: Changes;
  /** An entry that goes on growing: its id and the time of its first writing. */
  session?: { id: string; at: string };
}

/** A change of one record. */
export interface Unit {
  object: ModelObject;
  id: string;
  author: string;
  /** Columns to write; empty when only a document moves. */
  patch: Readonly<Record<string, FieldValue>>;
  /** The version that the row must still have. */
  version?: number;
  /** Bits of facets of which the row must have no document: the patch touches their fields and brings no update. */
  undocumented?: number;
  documents: readonly DocumentWrite[];
  ledger: readonly LedgerWrite[];
  /** What is told about it; null when nobody needs to know. */
  event: Changes | null;
  /** Why, for those who are told. */
  cause: Cause;
  /** It comes from a document in which people may still be typing. */
  typing?: boolean;
}

export interface Taken {
  /** The row's new version; null when only a document moved. */
  version: number | null;
  updatedAt: string | null;
  /** New sequence per facet. */
  seqs: Record<string, number>;
}

/**
 * Commits units and answers those that were taken, by record id.
 * @param wait Wait for rows that others hold; otherwise busy ones are left out.
 * @param flush Written into the document log, so that an unknown outcome can be looked up.
 * @param epoch The state of everybody's rights on which the units rest; if it has moved on, none is taken.
 * @throws Errors of Postgres; of class 22 and 23 when a value in one of the units is at fault.
 */
export async function commit(
  client: Queryable,
  units: readonly Unit[],
  wait: boolean,
  flush: string = newId(),
  epoch: number | null = null,
): Promise<Map<string, Taken>> {
  const objects = [...new Set(units.map((unit) => unit.object))].sort((a, b) => (a.name < b.name ? -1 : 1));
  const columns = objects.map((object) => {
    const touched = new Set(units.filter((unit) => unit.object === object).flatMap((unit) => Object.keys(unit.patch)));
    return [...object.fields.keys()].filter((name) => touched.has(name));
  });
  const { name, text } = statement(objects, columns, wait);
  const result = await client.query<{ id: string; version: number | null; updated_at: string | null; seqs: Record<string, number> | null }>(
    {
      name,
      text,
      values: parameters(units, objects, flush, epoch),
    },
  );
  return new Map(result.rows.map((row) => [row.id, { version: row.version, updatedAt: row.updated_at, seqs: row.seqs ?? {} }]));
}

const SHOWN = { lagging: 'lag', 'caught-up': 'clear' } as const;

function parameters(units: readonly Unit[], objects: readonly ModelObject[], flush: string, epoch: number | null): unknown[] {
  const documents = units.flatMap((unit) => unit.documents.map((one) => ({ unit, one })));
  const ledger = units.flatMap((unit) => unit.ledger.map((one) => ({ unit, one })));
  const events = units.filter((unit) => unit.event !== null);
  return [
    units.map((unit) => unit.id),
    units.map((unit) => objects.indexOf(unit.object)),
    units.map((unit) => unit.version ?? null),
    units.map((unit) => unit.undocumented ?? 0),
    units.map((unit) => (Object.keys(unit.patch).length > 0 ? literals(unit) : null)),
    units.map((unit) => unit.author),
    documents.map(({ unit }) => unit.id),
    documents.map(({ one }) => one.facet),
    documents.map(({ one }) => one.generation),
    documents.map(({ one }) => one.seq),
    documents.map(({ one }) => Buffer.from(one.update.buffer, one.update.byteOffset, one.update.byteLength)),
    documents.map(({ one }) => (one.largeText ? SHOWN[one.largeText] : null)),
    ledger.map(({ unit }) => unit.id),
    ledger.map(({ one }) => one.session?.id ?? newId()),
    // Without a session, the time is the database's, taken under the lock: so entries of a record stand in the order of its versions.
    ledger.map(({ one }) => one.session?.at ?? null),
    ledger.map(({ one }) => one.author),
    ledger.map(({ one }) => one.cause.kind),
    ledger.map(({ one }) => one.cause.id),
    ledger.map(({ one }) => JSON.stringify(one.changes)),
    events.map((unit) => unit.id),
    events.map((unit) => JSON.stringify(unit.event)),
    flush,
    objects.map((object) => object.name),
    epoch,
    events.map((unit) => unit.cause.kind),
    events.map((unit) => unit.cause.id),
    events.map((unit) => unit.typing !== true),
  ];
}

function literals(unit: Unit): string {
  const texts: Record<string, string | null> = {};
  for (const [name, value] of Object.entries(unit.patch)) texts[name] = toLiteral(unit.object.fields.get(name)!, value);
  return JSON.stringify(texts);
}

const cache = new Map<string, { name: string; text: string }>();
/** Each connection keeps the plans of its named statements; beyond this many, columns are too various to be worth it. */
const MOST_STATEMENTS = 500;

function statement(
  objects: readonly ModelObject[],
  columns: readonly (readonly string[])[],
  wait: boolean,
): { name?: string; text: string } {
  const key = `${wait} ${objects.map((object, i) => `${object.name}(${columns[i]!.join()})`).join(' ')}`;
  const known = cache.get(key);
  if (known) return known;
  const text = write(objects, columns, wait);
  if (cache.size >= MOST_STATEMENTS) return { text };
  const made = { name: `kith_commit_${cache.size}`, text };
  cache.set(key, made);
  return made;
}

/**
 * The time of a change: to the millisecond, as it is told, and after the record's last, so that "as of" a record's
 * `updatedAt` is the record as that change left it.
 */
export const momentAfter = (last: string): string =>
  `greatest(date_trunc('milliseconds', clock_timestamp()), ${last} + interval '1 millisecond')`;

function write(objects: readonly ModelObject[], columns: readonly (readonly string[])[], wait: boolean): string {
  const locks = objects.map(
    (object, i) => `
r${i} as materialized (
  select o.id, o.version, o.docs, o.updated_at from ${tableName(object)} o
  where o.id in (select id from rin where obj = ${i}) and o.deleted_at is null
  order by o.id for no key update${wait ? '' : ' skip locked'}),`,
  );
  const updates = objects.map((object, i) => {
    const sets = columns[i]!.map((name) => {
      const column = quote(name);
      const key = `'${name}'`;
      return `${column} = case when p.patch ? ${key} then (p.patch ->> ${key})::${columnType(object.fields.get(name)!)} else o.${column} end`;
    });
    for (const [audience, portal] of object.portals) {
      const { version, updatedAt } = audienceColumns(audience);
      // What an audience cannot read does not move what it sees of the record.
      const seen = `p.patch ?| array[${[...portal.read].map((name) => `'${name}'`).join(', ')}]::text[]`;
      sets.push(`${quote(version)} = o.${quote(version)} + case when ${seen} then 1 else 0 end`);
      sets.push(`${quote(updatedAt)} = case when ${seen} then p.at else o.${quote(updatedAt)} end`);
    }
    return `
up${i} as (
  update ${tableName(object)} o set ${[...sets, 'version = o.version + 1', 'updated_at = p.at', 'updated_by = p.author'].join(', ')}
  from ok p where p.obj = ${i} and p.patch is not null and o.id = p.id
  returning o.id, o.version, o.updated_at),`;
  });
  return `with
rin as materialized (
  select * from unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::bigint[], $5::jsonb[], $6::uuid[])
    as t (id, obj, expected, undocumented, patch, author)),
din as materialized (
  select * from unnest($7::uuid[], $8::smallint[], $9::integer[], $10::bigint[], $11::bytea[], $12::text[])
    as t (record, facet, generation, seq, upd, shown)),${locks.join('')}
ep as materialized (select $24::bigint is null or kith.rights_epoch() = $24::bigint as holds),
r as materialized (${objects.map((_, i) => `select * from r${i}`).join(' union all ')}),
h as materialized (
  select d.record, d.facet, d.seq, d.generation from kith.doc_head d
  where (d.record, d.facet) in (select record, facet from din) and d.record in (select id from r)
  order by d.record, d.facet for no key update),
ok as materialized (
  select i.*, r.version, ${momentAfter('r.updated_at')} as at from rin i join r using (id)
  where (i.expected is null or i.expected = r.version)
    and r.docs & i.undocumented = 0
    and (select holds from ep)
    and not exists (
      select from din d where d.record = i.id and not exists (
        select from h where (h.record, h.facet, h.seq, h.generation) = (d.record, d.facet, d.seq, d.generation)))),
hd as (
  update kith.doc_head d set seq = d.seq + 1,
    shown = case n.shown when 'lag' then coalesce(d.shown, d.seq) when 'clear' then null else d.shown end
  from din n join ok on ok.id = n.record
  where (d.record, d.facet) = (n.record, n.facet)
  returning d.record, d.facet, d.seq),
lg as (
  insert into kith.doc_log (record, facet, seq, flush, upd)
  select hd.record, hd.facet, hd.seq, $22::uuid, n.upd from hd join din n using (record, facet)),${updates.join('')}
up as (${objects.map((_, i) => `select * from up${i}`).join(' union all ')}),
le as (
  insert into kith.ledger (id, at, object, record, author, kind, cause_kind, cause, changes)
  select l.id, coalesce(l.at, ok.at), ($23::text[])[ok.obj + 1], l.record, l.author, 'change', l.cause_kind, l.cause, l.changes
  from unnest($13::uuid[], $14::uuid[], $15::timestamptz[], $16::uuid[], $17::text[], $18::uuid[], $19::jsonb[])
    as l (record, id, at, author, cause_kind, cause, changes)
  join ok on ok.id = l.record
  on conflict (id, at) do update set changes = excluded.changes),
ob as (
  insert into kith.outbox (object, record, kind, author, version, changes, cause_kind, cause, settled)
  select ($23::text[])[ok.obj + 1], e.record, 'changed', ok.author, ok.version + 1, e.changes, e.cause_kind, e.cause, e.settled
  from unnest($20::uuid[], $21::jsonb[], $25::text[], $26::uuid[], $27::boolean[]) as e (record, changes, cause_kind, cause, settled)
  join ok on ok.id = e.record)
select ok.id, up.version, up.updated_at,
  (select jsonb_object_agg(hd.facet, hd.seq) from hd where hd.record = ok.id) as seqs
from ok left join up using (id)`;
}

/** Whether a flush whose answer was lost has been committed. */
export async function wasCommitted(pool: pg.Pool, flush: string): Promise<boolean> {
  const { rowCount } = await pool.query('select 1 from kith.doc_log where flush = $1 limit 1', [flush]);
  return (rowCount ?? 0) > 0;
}
