/**
 * What a person sees of background work: how much waits in each lane, and the
 * jobs that were set aside because they kept failing, to be done again or dropped.
 */
import { isUuid, LANES, type Json, type Lane } from '@kith/sdk';
import type pg from 'pg';
import { exactTime, momentOf } from '../records/history.ts';

export interface ParkedJob {
  id: string;
  /** `plugin.job` */
  handler: string;
  lane: Lane;
  key: string | null;
  data: Json;
  /** How often it was tried. */
  attempts: number;
  error: string;
  failedAt: string;
  createdAt: string;
}

export const JOB_STATES = ['waiting', 'queued', 'calling', 'parked'] as const;
export type JobState = (typeof JOB_STATES)[number];

export interface JobsGlance {
  /** How many jobs of each lane are in which state. */
  lanes: { lane: Lane; counts: Record<JobState, number> }[];
  /** Parked jobs by what does them, the most first. */
  parked: { handler: string; count: number }[];
}

/** Which parked jobs are meant: these, or all of a handler. */
export type Selection = { ids: readonly string[] } | { handler: string };

/** Parked jobs, the last to fail first. @throws 400 for a cursor that is none */
export async function parkedJobs(
  pool: pg.Pool,
  limit: number,
  cursor: string | undefined,
): Promise<{ data: ParkedJob[]; nextCursor: string | null }> {
  const before = cursor === undefined ? [] : momentOf(cursor);
  const { rows } = await pool.query<{
    id: string;
    handler: string;
    lane: number;
    key: string | null;
    data: Json;
    attempts: number;
    error: string | null;
    failed_at: string;
    exact: string;
    created_at: string;
  }>(
    `select id, handler, lane, key, data, attempts, error, failed_at, ${exactTime('failed_at')} as exact, created_at from kith.job
     where state = 'parked' ${cursor === undefined ? '' : 'and (failed_at, id) < ($2::timestamptz, $3::uuid)'} order by failed_at desc, id desc limit $1`,
    [limit + 1, ...before],
  );
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    data: shown.map((row) => ({
      id: row.id,
      handler: row.handler,
      lane: LANES[row.lane]!,
      key: row.key,
      data: row.data,
      attempts: row.attempts,
      error: row.error ?? '',
      failedAt: row.failed_at,
      createdAt: row.created_at,
    })),
    nextCursor: rows.length > limit && last ? `${last.exact}_${last.id}` : null,
  };
}

/** What there is to do, at a glance. */
export async function jobsGlance(pool: pg.Pool): Promise<JobsGlance> {
  const [counted, parked] = await Promise.all([
    pool.query<{ lane: number; state: JobState; n: number }>('select lane, state, count(*) as n from kith.job group by lane, state'),
    pool.query<{ handler: string; count: number }>(
      `select handler, count(*) as count from kith.job where state = 'parked' group by handler order by count desc, handler`,
    ),
  ]);
  const count = (lane: number, state: JobState): number => counted.rows.find((row) => row.lane === lane && row.state === state)?.n ?? 0;
  return {
    lanes: LANES.map((lane, at) => ({
      lane,
      counts: { waiting: count(at, 'waiting'), queued: count(at, 'queued'), calling: count(at, 'calling'), parked: count(at, 'parked') },
    })),
    parked: parked.rows,
  };
}

/**
 * Puts parked jobs back to be done now, with all their tries before them, and answers how many. Where another job with
 * the same key waits already, or is put back with it, one keeps the key and the rest go without. A call that was made is
 * not made again: what became of it stands with its job.
 */
export async function replayJobs(pool: pg.Pool, selection: Selection, now: Date): Promise<number> {
  const { rowCount } = await pool.query(
    `with chosen as materialized (
       select j.id, j.key is null or (
           row_number() over (partition by j.handler, j.key order by j.id) = 1
           and not exists (select from kith.job o where o.handler = j.handler and o.key = j.key and o.state = 'waiting')) as keeps
       from kith.job j where j.state = 'parked' and ${chosen(selection)}),
     locked as materialized (select id from kith.job where id in (select id from chosen) order by id for update)
     update kith.job j set state = 'waiting', attempts = 0, handed = 0, due = $2, lease = null, error = null, failed_at = null,
       key = case when c.keeps then j.key end
     from chosen c join locked using (id) where j.id = c.id and j.state = 'parked'`,
    [asked(selection), now],
  );
  return rowCount ?? 0;
}

/** Removes parked jobs for good, and answers how many. */
export async function dropJobs(pool: pg.Pool, selection: Selection): Promise<number> {
  const { rowCount } = await pool.query(`delete from kith.job j where j.state = 'parked' and ${chosen(selection)}`, [asked(selection)]);
  return rowCount ?? 0;
}

const chosen = (selection: Selection): string => ('ids' in selection ? 'j.id = any($1::uuid[])' : 'j.handler = $1');
const asked = (selection: Selection): unknown => ('ids' in selection ? selection.ids.filter(isUuid) : selection.handler);
