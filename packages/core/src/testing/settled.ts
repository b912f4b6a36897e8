/** Waits until everything that follows from what was done has been done. */
import type { ChangeEvent } from '@kith/sdk';
import type { TestClock } from './clock.ts';
import { EVENT_COLUMNS } from '../events/outbox.ts';
import type { Runtime } from '../runtime.ts';

const LOOK_MS = 15;
const PATIENCE_MS = 30_000;

interface Open {
  outbox: number;
  behind: number;
  jobs: number;
  schedules: number;
}

/**
 * Until the outbox is told, consumers have followed, what was typed has come to rest and no job is due.
 * @throws where a job has been given up: its error is the reason
 */
export async function settled({ pool, model }: Pick<Runtime, 'pool' | 'model'>, clock: TestClock | (() => Date)): Promise<void> {
  const until = Date.now() + PATIENCE_MS;
  for (let quiet = 0; ;) {
    await pool.query('update kith.unsettled set due = now() where due > now()');
    // What failed is tried again at once: a clock that stands would never come to its time.
    await pool.query(`update kith.job set due = $1 where state = 'waiting' and attempts > 0 and due > $1`, [clock()]);
    const open = await openWork(pool, clock(), ['kith', ...model.plugins.keys()]);
    const { rows: parked } = await pool.query<{ handler: string; error: string | null }>(
      `select handler, error from kith.job where state = 'parked' order by failed_at limit 1`,
    );
    if (parked[0]) throw new Error(`The job ${parked[0].handler} was given up: ${parked[0].error ?? 'it says no more'}`);
    // Between two looks something may go from one place to the next.
    quiet = open.outbox + open.behind + open.jobs + open.schedules === 0 ? quiet + 1 : 0;
    if (quiet === 2) return;
    if (Date.now() > until) throw new Error(`It does not come to rest: ${JSON.stringify(open)} still open after ${PATIENCE_MS / 1_000} s`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** `on`: whose work counts; that of plugins which are off waits for them. */
async function openWork(pool: Runtime['pool'], now: Date, on: readonly string[]): Promise<Open> {
  const { rows } = await pool.query<Open>(
    `select (select count(*) from kith.outbox)::int + (select count(*) from kith.unsettled)::int as outbox,
       (select count(*) from kith.consumer where position < (select last from kith.event_counter) and split_part(name, '.', 1) = any($2))::int as behind,
       (select count(*) from kith.job where state in ('queued', 'calling') or (state = 'waiting' and due <= $1 and split_part(handler, '.', 1) = any($2)))::int as jobs,
       (select count(*) from kith.schedule where next <= $1 and split_part(name, '.', 1) = any($2))::int as schedules`,
    [now, on],
  );
  return rows[0]!;
}

/** What was told so far, in order; call {@link settled} first. */
export async function eventsOf({ pool }: Pick<Runtime, 'pool'>, object?: string): Promise<ChangeEvent[]> {
  const { rows } = await pool.query<ChangeEvent>(
    `select ${EVENT_COLUMNS} from kith.event_log e where $1::text is null or object = $1 order by position`,
    [object ?? null],
  );
  return rows;
}
