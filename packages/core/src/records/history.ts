/** The ledger of one record, page by page. */
import type { Model, ModelObject, Outside, Principal } from '@kith/sdk';
import { sql } from 'kysely';
import type pg from 'pg';
import { audienceColumns } from './columns.ts';
import { ruleSql } from '../access/filter.ts';
import { accessOf, readableFields } from '../access/grant.ts';
import type { Db } from '../database.ts';
import { malformed } from '../errors.ts';
import { isUuid } from '@kith/sdk';
import type { Changes } from './commit.ts';
import type { Records } from './door.ts';

export interface HistoryEntry {
  id: string;
  at: string;
  /** Absent where the reader may not know: of somebody of the staff, for people from outside. */
  by?: string;
  kind: 'change' | 'delete' | 'restore';
  /** Absent for people from outside. */
  cause?: { kind: string; id: string | null };
  /** Old and new value of each changed field. */
  changes: Changes;
}

/** A timestamp with all its microseconds, as text that sorts and that Postgres reads back. */
export const exactTime = (column: string): string => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

/** The time and the id in a cursor. @throws 400 */
export function momentOf(cursor: string): [at: string, id: string] {
  const [at = '', id, ...rest] = cursor.split('_');
  if (!/^\d{4,}-\d{2}-\d{2}T[\d:.]+Z$/.test(at) || Number.isNaN(Date.parse(at)) || !isUuid(id) || rest.length > 0) {
    throw malformed('The cursor does not fit this list; begin again without it.');
  }
  return [at, id];
}

/** Who changed what and when, newest first. @throws 404 when the record may not be read */
export async function history(
  { pool, db, model }: { pool: pg.Pool; db: Db; model: Model },
  records: Records,
  principal: Principal,
  object: ModelObject,
  id: string,
  limit: number,
  cursor?: string,
): Promise<{ data: HistoryEntry[]; nextCursor: string | null }> {
  await records.get(principal, object, id);
  if (principal.outside) return historyFor(db, model, principal, principal.outside, object, id, limit, cursor);
  const before = cursor === undefined ? undefined : momentOf(cursor);
  const { rows } = await pool.query<{
    id: string;
    at: string;
    exact: string;
    author: string;
    kind: HistoryEntry['kind'];
    cause_kind: string;
    cause: string | null;
    changes: Changes;
  }>(
    `select id, at, ${exactTime('at')} as exact, author, kind, cause_kind, cause, changes from kith.ledger
     where record = $1 ${before ? 'and (at, id) < ($3::timestamptz, $4::uuid)' : ''} order by at desc, id desc limit $2`,
    [id, limit + 1, ...(before ?? [])],
  );
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    data: shown.map((row) => ({
      id: row.id,
      at: row.at,
      by: row.author,
      kind: row.kind,
      cause: { kind: row.cause_kind, id: row.cause },
      changes: row.changes,
    })),
    nextCursor: rows.length > limit && last ? `${last.exact}_${last.id}` : null,
  };
}

/**
 * The same for people from outside: only the fields that they may read, only since the record is their company's, and of
 * authors only colleagues. What they may not read leaves no gap: the statement looks for entries with something for them.
 */
async function historyFor(
  db: Db,
  model: Model,
  principal: Principal,
  outside: Outside,
  object: ModelObject,
  id: string,
  limit: number,
  cursor?: string,
): Promise<{ data: HistoryEntry[]; nextCursor: string | null }> {
  const readable = [...(readableFields(object, principal) ?? [])];
  const [at, entry] = cursor === undefined ? ['infinity', '00000000-0000-0000-0000-000000000000'] : momentOf(cursor);
  // Right, since when, and what happened, as of one moment: the record may pass to somebody else at any time.
  const { rows } = await sql<{ id: string; at: string; exact: string; author: string | null; changes: Changes }>`
    select l.id, l.at, ${sql.raw(exactTime('l.at'))} as exact, u.id as author, l.changes
    from ${sql.id(object.plugin, object.key)} as o
    join kith.ledger l on l.record = o.id
    left join kith."user" u on u.id = l.author and u.kind = 'partner' and u.company = ${outside.company ?? null} and u.audience = ${outside.audience}
    where o.id = ${id} and o.deleted_at is null and ${ruleSql({ model, principal }, object, 'o', accessOf(object, principal).read)}
      and l.kind = 'change' and l.at >= ${sql.ref(`o.${audienceColumns(outside.audience).since}`)} + interval '1 millisecond'
      and l.changes ?| ${readable}::text[] and (l.at, l.id) < (${at}::timestamptz, ${entry}::uuid)
    order by l.at desc, l.id desc limit ${limit + 1}`.execute(db);
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const data = shown.map((row): HistoryEntry => ({
    id: row.id,
    at: row.at,
    ...(row.author === null ? {} : { by: row.author }),
    kind: 'change',
    changes: Object.fromEntries(Object.entries(row.changes).filter(([name]) => readable.includes(name))),
  }));
  return { data, nextCursor: rows.length > limit && last ? `${last.exact}_${last.id}` : null };
}
