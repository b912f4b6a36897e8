/** The ledger of one record, page by page. */
import type { ModelObject, Principal } from '@kith/sdk';
import type pg from 'pg';
import { malformed } from '../errors.ts';
import { isUuid } from '@kith/sdk';
import type { Changes } from './commit.ts';
import type { Records } from './door.ts';

export interface HistoryEntry {
  id: string;
  at: string;
  by: string;
  kind: 'change' | 'delete' | 'restore';
  cause: { kind: string; id: string | null };
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
  pool: pg.Pool,
  records: Records,
  principal: Principal,
  object: ModelObject,
  id: string,
  limit: number,
  cursor?: string,
): Promise<{ data: HistoryEntry[]; nextCursor: string | null }> {
  await records.get(principal, object, id);
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
