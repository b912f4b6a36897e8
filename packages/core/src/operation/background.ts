/** How far work in the background is behind: what metrics tell and what `kith doctor` judges. */
import { LANES, type Lane } from '@kith/sdk';
import type pg from 'pg';

export interface Background {
  /** By lane: jobs that are due and wait, and for how many seconds the oldest of them has. */
  lanes: Record<Lane, { due: number; lag: number }>;
  parked: number;
  /** Changes that have not been given their position, and the age of the oldest in seconds. */
  outbox: { rows: number; age: number };
  /** Positions by which the last of those who follow the event log is behind. */
  behind: number;
  /** What was typed and should have come to rest by now. */
  unsettled: number;
  /** Documents with large texts that their columns do not show yet. */
  lagging: number;
}

/** Most rows that are counted: more is too many in any case. */
const MOST = 100_000;

export async function background(pool: Pick<pg.Pool, 'query'>): Promise<Background> {
  const { rows: due } = await pool.query<{ lane: number; due: number; lag: number }>(
    `select lane, count(*)::int as due, greatest(0, extract(epoch from now() - min(due)))::float8 as lag
     from (select lane, due from kith.job where lane = any($1) and state = 'waiting' and due <= now() limit ${MOST}) j group by lane`,
    [LANES.map((_, lane) => lane)],
  );
  const { rows } = await pool.query<{ parked: number; rows: number; age: number; behind: number; unsettled: number; lagging: number }>(
    `select (select count(*)::int from (select from kith.job where state = 'parked' limit ${MOST}) p) as parked,
       (select count(*)::int from (select from kith.outbox limit ${MOST}) o) as rows,
       (select coalesce(greatest(0, extract(epoch from now() - (select at from kith.outbox order by id limit 1))), 0)::float8) as age,
       (select coalesce(greatest(0, (select last from kith.event_counter) - min(position)), 0) from kith.consumer) as behind,
       (select count(*)::int from (select from kith.unsettled where due < now() - interval '1 minute' limit ${MOST}) u) as unsettled,
       (select count(*)::int from (select from kith.doc_head where shown is not null limit ${MOST}) d) as lagging`,
  );
  const { rows: outbox, age, ...rest } = rows[0]!;
  return {
    lanes: Object.fromEntries(
      LANES.map((lane, number) => {
        const one = due.find((row) => row.lane === number);
        return [lane, { due: one?.due ?? 0, lag: one?.lag ?? 0 }];
      }),
    ) as Background['lanes'],
    outbox: { rows: outbox, age },
    ...rest,
  };
}
