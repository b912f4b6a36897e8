/** The timeline of a record: its changes, and the records of other objects that say they are about it. */
import type { FieldValue, ModelField, ModelObject, Principal, Rec } from '@kith/sdk';
import { sql } from 'kysely';
import { ruleSql } from '../access/filter.ts';
import { accessOf } from '../access/grant.ts';
import { quote } from '../database.ts';
import { anyRefText, columnList, fieldsOf, tableName, type SystemRow } from '../records/columns.ts';
import type { Changes } from '../records/commit.ts';
import { exactTime, momentOf } from '../records/history.ts';
import { referencesOf, titleOf, type References } from '../query/present.ts';
import type { Runtime } from '../runtime.ts';

type Item =
  | { kind: 'change' | 'deleted' | 'restored'; at: string; by: string; cause: { kind: string; id: string | null }; fields: Changes }
  | { kind: 'created'; at: string; by: string }
  /** A record about this one; `kind` is its object's key: `activity`, `task`. */
  | {
      kind: string;
      at: string;
      by: string;
      record: Titled;
      /** What a plugin keeps of the same thing, such as the mail that an activity tells of. */ behind?: Titled;
    };
type Titled = Rec & { title: string };

/** One page of a record's timeline, newest first. */
export async function timeline(
  runtime: Runtime,
  principal: Principal,
  object: ModelObject,
  rec: Rec,
  limit: number,
  cursor: string | null,
): Promise<{ data: Item[]; nextCursor: string | null; refs: References }> {
  const before: Moment = cursor === null ? ['9999-12-31T00:00:00Z', rec.id] : momentOf(cursor);
  const sources = [...runtime.model.objects.values()].flatMap((from) => {
    const about = [...from.fields.values()].find((field) => field.type === 'anyRef');
    return about && about.spec.hidden !== true ? [{ from, about }] : [];
  });
  const [changes, ...related] = await Promise.all([
    changesOf(runtime, rec, before, limit + 1),
    ...sources.map(({ from, about }) => relatedOf(runtime, principal, from, about, object, rec, before, limit + 1)),
  ]);
  const found = related.flat();
  const { rows: born } = await runtime.pool.query<{ exact: string }>(
    `select ${exactTime('created_at')} as exact from ${tableName(object)} where id = $1 and (created_at, id) < ($2::timestamptz, $3::uuid)`,
    [rec.id, ...before],
  );
  const created = born.map(({ exact }) => ({ kind: 'created' as const, at: rec.createdAt, by: rec.createdBy!, key: keyOf(exact, rec.id) }));
  const items = [...changes, ...found, ...created].sort((a, b) => (a.key < b.key ? 1 : a.key > b.key ? -1 : 0));
  const shown = items.slice(0, limit);
  const records = shown.flatMap((one) => ('record' in one ? [one.record] : []));
  const behind = await recordsBehind(runtime, principal, records);
  const refs = await referencesOf(
    runtime.pool,
    runtime.model,
    [rec, ...records, ...behind.values(), ...changedRefs(object, rec, changes)],
    changes.map((one) => one.by),
  );
  const titled = (one: Rec): Titled => ({ ...one, title: titleOf(runtime.model.objects.get(one.object)!, one.fields, refs) });
  const data = shown.map(({ key: _key, ...item }): Item => {
    if (!('record' in item)) return item;
    const more = behind.get(item.record.id);
    return { ...item, record: titled(item.record), ...(more && { behind: titled(more) }) };
  });
  return { data, nextCursor: items.length > limit ? shown.at(-1)!.key : null, refs };
}

/**
 * By id of a record on the timeline: the record that a plugin keeps of the same thing. The plugin says so by a derived
 * reference that it added to the object, and it is there for whoever may read it.
 */
async function recordsBehind(runtime: Runtime, principal: Principal, records: readonly Rec[]): Promise<Map<string, Rec>> {
  const pointing = records.flatMap((rec) => {
    const from = runtime.model.objects.get(rec.object)!;
    const field = [...from.fields.values()].find(
      (one) => one.plugin !== from.plugin && one.spec.type === 'ref' && one.mode === 'derived' && typeof rec.fields[one.name] === 'string',
    );
    return field?.spec.type === 'ref' ? [{ rec: rec.id, to: field.spec.to, id: rec.fields[field.name] as string }] : [];
  });
  const behind = new Map<string, Rec>();
  for (const [to, own] of Map.groupBy(pointing, (one) => one.to)) {
    const object = runtime.model.objects.get(to);
    if (!object) continue;
    const { data } = await runtime.query.list(principal, object, { ids: [...new Set(own.map(({ id }) => id))], limit: own.length });
    const byId = new Map(data.map((rec) => [rec.id, rec]));
    for (const { rec, id } of own) {
      const found = byId.get(id);
      if (found) behind.set(rec, found);
    }
  }
  return behind;
}

/** A place in the timeline: a time to the microsecond, and what decides between things of one moment. */
type Moment = readonly [at: string, id: string];
const keyOf = (exact: string, id: string): string => `${exact}_${id}`;

interface ChangeItem {
  /** Its {@link Moment}, as text that sorts. */
  key: string;
  kind: 'change' | 'deleted' | 'restored';
  at: string;
  by: string;
  cause: { kind: string; id: string | null };
  fields: Changes;
}

const KINDS: Record<string, ChangeItem['kind']> = { change: 'change', delete: 'deleted', restore: 'restored' };

async function changesOf(runtime: Runtime, rec: Rec, before: Moment, limit: number): Promise<ChangeItem[]> {
  const { rows } = await runtime.pool.query<{
    id: string;
    at: string;
    exact: string;
    author: string;
    kind: string;
    cause_kind: string;
    cause: string | null;
    changes: Changes;
  }>(
    `select id, at, ${exactTime('at')} as exact, author, kind, cause_kind, cause, changes from kith.ledger
      where record = $1 and (at, id) < ($2::timestamptz, $3::uuid) order by at desc, id desc limit $4`,
    [rec.id, ...before, limit],
  );
  return rows.map((row) => ({
    kind: KINDS[row.kind] ?? 'change',
    key: keyOf(row.exact, row.id),
    at: row.at,
    by: row.author,
    cause: { kind: row.cause_kind, id: row.cause },
    fields: row.changes,
  }));
}

async function relatedOf(
  runtime: Runtime,
  principal: Principal,
  from: ModelObject,
  about: ModelField,
  object: ModelObject,
  rec: Rec,
  before: Moment,
  limit: number,
): Promise<{ kind: string; key: string; at: string; by: string; record: Rec }[]> {
  // When it happened, where the object says so; else when it was written down.
  const when = [...from.fields.values()].find((field) => field.spec.type === 'dateTime' && field.spec.default === 'now');
  const at = when ? `coalesce(o.${quote(when.name)}, o.created_at)` : 'o.created_at';
  const rule = ruleSql({ model: runtime.model, principal }, from, 'o', accessOf(from, principal).read);
  const { rows } = await sql<SystemRow & Record<string, unknown> & { timeline_at: string; timeline_exact: string }>`
    select ${sql.raw(columnList(from, 'o'))}, ${sql.raw(at)} as timeline_at, ${sql.raw(exactTime(at))} as timeline_exact from ${sql.raw(tableName(from))} o
    where ${sql.ref(`o.${about.name}`)} = ${anyRefText({ object: object.name, id: rec.id })} and o.deleted_at is null and ${rule}
      and (${sql.raw(at)}, o.id) < (${before[0]}::timestamptz, ${before[1]}::uuid) order by ${sql.raw(at)} desc, o.id desc limit ${limit}`.execute(
    runtime.db,
  );
  return rows.map((row) => ({
    kind: from.key,
    key: keyOf(row.timeline_exact, row.id),
    at: row.timeline_at,
    by: row.created_by,
    record: {
      id: row.id,
      object: from.name,
      version: row.version,
      createdAt: row.created_at,
      createdBy: row.created_by,
      updatedAt: row.updated_at,
      updatedBy: row.updated_by,
      fields: fieldsOf(from, row),
    },
  }));
}

/** Old and new values as records of their own, so that what they refer to is named too. */
function changedRefs(object: ModelObject, rec: Rec, changes: readonly ChangeItem[]): Rec[] {
  return changes.flatMap((change) =>
    [0, 1].map((side) => {
      const fields: Record<string, FieldValue> = {};
      for (const [name, pair] of Object.entries(change.fields)) if (pair && object.fields.has(name)) fields[name] = pair[side as 0 | 1];
      return { ...rec, fields };
    }),
  );
}
