/** The timeline of a record: its changes, and the records of other objects that say they are about it. */
import type { FieldValue, ModelField, ModelObject, Principal, Rec } from '@kith/sdk';
import { sql } from 'kysely';
import { ruleSql } from '../access/filter.ts';
import { quote } from '../database.ts';
import { malformed } from '../errors.ts';
import { anyRefText, fieldsOf, tableName, type SystemRow } from '../records/columns.ts';
import type { Changes } from '../records/commit.ts';
import { referencesOf, titleOf, type References } from '../query/present.ts';
import type { Runtime } from '../runtime.ts';

type Item =
  | { kind: 'change' | 'deleted' | 'restored'; at: string; by: string; cause: { kind: string; id: string | null }; fields: Changes }
  | { kind: 'created'; at: string; by: string }
  /** A record about this one; `kind` is its object's key: `activity`, `task`. */
  | { kind: string; at: string; by: string; record: Rec & { title: string } };

/** One page of a record's timeline, newest first. */
export async function timeline(
  runtime: Runtime,
  principal: Principal,
  object: ModelObject,
  rec: Rec,
  limit: number,
  cursor: string | null,
): Promise<{ data: Item[]; nextCursor: string | null; refs: References }> {
  if (cursor !== null && Number.isNaN(new Date(cursor).getTime()))
    throw malformed('The cursor does not fit this list; begin again without it.');
  const before = cursor ?? '9999-12-31T00:00:00Z';
  const sources = [...runtime.model.objects.values()].flatMap((from) => {
    const about = [...from.fields.values()].find((field) => field.type === 'anyRef');
    return about ? [{ from, about }] : [];
  });
  const [changes, ...related] = await Promise.all([
    changesOf(runtime, rec, before, limit + 1),
    ...sources.map(({ from, about }) => relatedOf(runtime, principal, from, about, object, rec, before, limit + 1)),
  ]);
  const found = related.flat();
  const created: (Item & { key: string })[] =
    rec.createdAt < before ? [{ kind: 'created', at: rec.createdAt, by: rec.createdBy, key: rec.createdAt }] : [];
  const refs = await referencesOf(
    runtime.pool,
    runtime.model,
    [rec, ...found.map((one) => one.record), ...changedRefs(object, rec, changes)],
    changes.map((one) => one.by),
  );
  const items = [
    ...changes.map((one) => ({ ...one, key: one.at })),
    ...found.map((one) => ({
      ...one,
      record: { ...one.record, title: titleOf(runtime.model.objects.get(one.record.object)!, one.record.fields, refs) },
      key: one.at,
    })),
    ...created,
  ].sort((a, b) => (a.key < b.key ? 1 : a.key > b.key ? -1 : 0));
  const shown = items.slice(0, limit);
  return { data: shown.map(({ key: _key, ...item }) => item as Item), nextCursor: items.length > limit ? shown.at(-1)!.key : null, refs };
}

interface ChangeItem {
  kind: 'change' | 'deleted' | 'restored';
  at: string;
  by: string;
  cause: { kind: string; id: string | null };
  fields: Changes;
}

const KINDS: Record<string, ChangeItem['kind']> = { change: 'change', delete: 'deleted', restore: 'restored' };

async function changesOf(runtime: Runtime, rec: Rec, before: string, limit: number): Promise<ChangeItem[]> {
  const { rows } = await runtime.pool.query<{
    at: string;
    author: string;
    kind: string;
    cause_kind: string;
    cause: string | null;
    changes: Changes;
  }>(
    `select at, author, kind, cause_kind, cause, changes from kith.ledger where record = $1 and at < $2 order by at desc, id desc limit $3`,
    [rec.id, before, limit],
  );
  return rows.map((row) => ({
    kind: KINDS[row.kind] ?? 'change',
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
  before: string,
  limit: number,
): Promise<{ kind: string; at: string; by: string; record: Rec }[]> {
  // When it happened, where the object says so; else when it was written down.
  const when = [...from.fields.values()].find((field) => field.spec.type === 'dateTime' && field.spec.default === 'now');
  const at = when ? `coalesce(o.${quote(when.name)}, o.created_at)` : 'o.created_at';
  const rule = ruleSql({ model: runtime.model, principal }, from, 'o', from.access.read);
  const { rows } = await sql<SystemRow & Record<string, unknown> & { timeline_at: string }>`
    select o.*, ${sql.raw(at)} as timeline_at from ${sql.raw(tableName(from))} o
    where ${sql.ref(`o.${about.name}`)} = ${anyRefText({ object: object.name, id: rec.id })} and o.deleted_at is null and ${rule}
      and ${sql.raw(at)} < ${before} order by ${sql.raw(at)} desc, o.id desc limit ${limit}`.execute(runtime.db);
  return rows.map((row) => ({
    kind: from.key,
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
