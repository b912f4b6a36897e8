/**
 * Jobs: handed to the queues when their time has come, done in the transaction that removes them, tried again when they
 * fail, and set aside for a person when they keep failing.
 *
 * Any number of processes may do this side by side: rows are claimed with locks that others pass over, and what a queue
 * or a process loses is handed out again.
 */
import {
  LANES,
  type AnyPlugin,
  type AnyServer,
  type CallTools,
  type ChangeEvent,
  type ExternalJob,
  type Job,
  type Json,
  type Lane,
  type Outcome,
  type QueuedJob,
  type Services,
  type TransactionalJob,
} from '@kith/sdk';
import { CronExpressionParser } from 'cron-parser';
import type pg from 'pg';
import { isDatabaseError, isOutage } from '../errors.ts';
import type { Outgoing } from '../fetch.ts';
import { errorData, withIds, type Log } from '../log.ts';
import { jobFailed, jobsDone, traced } from '../telemetry.ts';
import { SYSTEM } from '../principal.ts';
import type { NamedChannel } from '../plugins/channels.ts';
import type { PluginSettings } from '../plugins/settings.ts';
import type { Actor, Records } from '../records/door.ts';
import type { Parcel, Queues } from './queues.ts';
import { addJob } from './rows.ts';

export interface JobsOptions {
  pool: pg.Pool;
  records: Records;
  servers: readonly AnyServer[];
  /** Whether a plugin is on; the jobs of one that is off wait. */
  isOn: (plugin: string) => boolean;
  queues: Queues;
  services: Services;
  settings: PluginSettings;
  outgoing: Outgoing;
  channels: () => ReadonlyMap<string, NamedChannel>;
  log: Log;
  clock: () => Date;
  /** Milliseconds before a first repetition; doubled each time. */
  retryMs?: number;
  /** How long what a queue seems to have lost is waited for. */
  lostMs?: number;
  /** The longest time limit of a job; its own where that is shorter. */
  limitMs?: number;
}

/** How many jobs of a lane are handed over at a time: more would only wait elsewhere. */
const OUTSTANDING = 5_000;
const LOOK_MS = 1_000;
/** A queue that carries nothing although something was handed over longer ago than this has lost it. */
const LOST_MS = 5_000;
const RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 3_600_000;
const TRIES = 8;
const TIMEOUT_S = 30;
/** How long after its time limit a call is taken for lost with its process. */
const GRACE_S = 15;
/** A job that was handed over this often and never came to an end ends its process. */
const MOST_HANDED = 30;
const CONCURRENCY: Record<Lane, number> = { interactive: 4, default: 3, bulk: 2 };
/** Jobs of one parcel that are done one by one. */
const ONE_BY_ONE = 10;

/** The key of a job that waits again: where another with its key waits already, it goes without. */
const OWN_KEY = `key = case when exists (
  select from kith.job o where o.handler = j.handler and o.key = j.key and o.state = 'waiting' and o.id <> j.id) then null else j.key end`;
/** Back to waiting. */
const TO_WAIT = `state = 'waiting', lease = null, ${OWN_KEY}`;
/** And as if it had not been handed over. */
const NOT_HANDED = `${TO_WAIT}, handed = greatest(0, handed - 1)`;

type AnyJob = Job<AnyPlugin>;
interface Row extends QueuedJob {
  outcome: Outcome<Json> | null;
  /** Number of the server process whose transaction has it. */
  backend: number;
}

export class Jobs {
  readonly #o: JobsOptions;
  readonly #jobs = new Map<string, { plugin: string; job: AnyJob }>();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #again = false;
  #closed = false;
  /** By lane: since when its queue is said to be idle. */
  readonly #idle = new Map<Lane, number>();
  #checked = 0;

  constructor(options: JobsOptions) {
    this.#o = options;
    for (const server of options.servers) {
      const plugin = server.plugin.id;
      for (const [name, job] of Object.entries(server.jobs ?? {})) this.#jobs.set(`${plugin}.${name}`, { plugin, job });
      // An event that a consumer could not deal with is a job like any other.
      for (const [name, consumer] of Object.entries(server.consumers ?? {})) {
        const job: TransactionalJob<AnyPlugin> = {
          run: ([row], ctx) => consumer.handle([(row!.data as unknown as { event: ChangeEvent }).event], ctx),
        };
        this.#jobs.set(consumerJob(plugin, name), { plugin, job });
      }
    }
  }

  /** Begins to hand out and to work. */
  async start(): Promise<void> {
    await this.#plan();
    for (const lane of LANES) this.#o.queues.work(lane, CONCURRENCY[lane], (parcel) => this.#process(parcel));
    this.#timer = setInterval(() => this.wake(), LOOK_MS);
    this.wake();
  }

  /** Says that there may be something to hand out. */
  wake(): void {
    if (this.#closed) return;
    this.#again = true;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
      if (this.#again && !this.#closed) this.wake();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#looking;
  }

  async #look(): Promise<void> {
    this.#again = false;
    try {
      if (Date.now() - this.#checked >= LOOK_MS) {
        this.#checked = Date.now();
        await this.#keepSchedules();
        await this.#takeBack();
      }
      for (const lane of LANES) while (!this.#closed && (await this.#handOut(lane)));
    } catch (error) {
      this.#o.log('debug', 'jobs cannot be handed out', errorData(error));
    }
  }

  /** Hands over what is due; answers whether there may be more. */
  async #handOut(lane: Lane): Promise<boolean> {
    const { rows } = await this.#o.pool.query<{ id: string; handler: string }>({
      name: 'kith_job_hand_out',
      // By their places, as the outbox is emptied: the table is empty when this is planned, and full a moment later.
      text: `with room as (select $3 - count(*) as n from (select from kith.job where lane = $1 and state = 'queued' limit $3) q),
        ready as materialized (
          select ctid from kith.job where lane = $1 and state = 'waiting' and due <= $2 and split_part(handler, '.', 1) <> all($4) order by due, id
          limit greatest(0, (select n from room)) for update skip locked)
        update kith.job j set state = 'queued', lease = now() + interval '10 minutes', handed = handed + 1
        where j.ctid = any(array(select ctid from ready)) returning j.id, j.handler`,
      // What plugins that are off have to do waits for them.
      values: [LANES.indexOf(lane), this.#o.clock(), OUTSTANDING, this.#off()],
    });
    if (rows.length === 0) return false;
    this.#idle.delete(lane);
    const parcels: Parcel[] = [];
    for (const [handler, own] of Map.groupBy(rows, (row) => row.handler)) {
      const ids = own.map(({ id }) => id);
      const size = batchOf(this.#jobs.get(handler)?.job);
      for (let i = 0; i < ids.length; i += size) parcels.push({ handler, ids: ids.slice(i, i + size) });
    }
    try {
      await this.#o.queues.send(lane, parcels);
      return true;
    } catch (error) {
      this.#o.log('warn', 'a queue does not take jobs; they wait', errorData(error));
      await this.#release(rows.map(({ id }) => id));
      return false;
    }
  }

  #off(): string[] {
    return [...new Set([...this.#jobs.values()].map(({ plugin }) => plugin))].filter((plugin) => !this.#o.isOn(plugin));
  }

  /** Jobs that were handed over and not begun wait again. */
  async #release(ids: readonly string[]): Promise<void> {
    await this.#back(`id = any($1) and state = 'queued'`, [ids], NOT_HANDED);
  }

  /** Jobs go back to waiting; answers how many. */
  async #back(which: string, values: readonly unknown[], set = TO_WAIT): Promise<number> {
    const statement = (most: number): string =>
      `with held as (select id from kith.job where ${which} limit ${most} for update skip locked)
       update kith.job j set ${set} from held where j.id = held.id`;
    try {
      return (await this.#o.pool.query(statement(OUTSTANDING), [...values])).rowCount ?? 0;
    } catch (error) {
      if (!isDatabaseError(error, '23505')) throw error;
    }
    // Two with one key: the first keeps it, and the other must see that it does.
    for (let count = 0; ; count++) if (!(await this.#o.pool.query(statement(1), [...values])).rowCount) return count;
  }

  /** What a queue or a process has lost comes back. */
  async #takeBack(): Promise<void> {
    const { pool } = this.#o;
    const { rows: calls } = await pool.query<{ id: string; handler: string }>(
      `select id, handler from kith.job where state = 'calling' and lease < now() limit 100`,
    );
    for (const { id, handler } of calls) if (this.#o.isOn(this.#jobs.get(handler)?.plugin ?? '')) await this.#finishLost(handler, id);
    await this.#back(`state = 'queued' and lease < now()`, []);
    await pool.query(
      `update kith.job set state = 'parked', failed_at = now(), lease = null,
         error = 'It was handed to a worker ' || handed || ' times and never came to an end: it may end the process that does it.'
       where lane = any($1) and state = 'waiting' and due <= now() and handed >= ${MOST_HANDED}`,
      [LANES.map((_, lane) => lane)],
    );
    const lostMs = this.#o.lostMs ?? LOST_MS;
    const { rows: handed } = await pool.query<{ lane: number }>(
      `select distinct lane from kith.job where state = 'queued' and lease < now() + interval '10 minutes' - $1 * interval '1 millisecond'`,
      [lostMs],
    );
    for (const { lane: number } of handed) {
      const lane = LANES[number]!;
      if (!(await this.#o.queues.isIdle(lane))) {
        this.#idle.delete(lane);
        continue;
      }
      const since = this.#idle.get(lane) ?? Date.now();
      this.#idle.set(lane, since);
      // Idle at two looks, so that it is not just between one and the next.
      if (Date.now() - since < LOOK_MS / 2) continue;
      const lost = await this.#back(
        `lane = $1 and state = 'queued' and lease < now() + interval '10 minutes' - $2 * interval '1 millisecond'`,
        [number, lostMs],
        NOT_HANDED,
      );
      if (lost > 0) this.#o.log('info', 'jobs that a queue had lost are handed out again', { lane, jobs: lost });
    }
  }

  // Schedules

  async #plan(): Promise<void> {
    for (const [name, { job }] of this.#jobs) {
      if (job.schedule === undefined) continue;
      await this.#o.pool.query(
        `insert into kith.schedule (name, expression, next) values ($1, $2, $3)
         on conflict (name) do update set expression = excluded.expression, next = excluded.next where schedule.expression <> excluded.expression`,
        [name, job.schedule, nextTime(job.schedule, this.#o.clock())],
      );
    }
  }

  /** Each time of a schedule becomes one job, whoever comes first. */
  async #keepSchedules(): Promise<void> {
    const now = this.#o.clock();
    const { rows } = await this.#o.pool.query<{ name: string; expression: string; next: string }>(
      'select name, expression, next from kith.schedule where next <= $1',
      [now],
    );
    for (const { name, expression, next } of rows) {
      const known = this.#jobs.get(name);
      if (!known || !this.#o.isOn(known.plugin)) continue;
      const { job } = known;
      await this.#o.records.within('', SYSTEM_ACTOR, async (_ctx, client) => {
        const { rowCount } = await client.query('update kith.schedule set next = $3 where name = $1 and next <= $2', [
          name,
          now,
          nextTime(expression, now),
        ]);
        if (rowCount) await addJob(client, name, job.lane ?? 'default', { at: next }, now, { key: 'schedule' });
      });
    }
  }

  // Work

  readonly #process = async (parcel: Parcel): Promise<void> => {
    const { handler, ids } = parcel;
    const began = performance.now();
    const named = { handler, ...(ids.length === 1 ? { job: ids[0]! } : {}) };
    await withIds(named, () =>
      traced(`job ${handler}`, { 'kith.job.handler': handler, 'kith.job.count': ids.length }, () => this.#deal(parcel), 'consumer'),
    );
    jobsDone(handler, (performance.now() - began) / 1_000);
  };

  async #deal(parcel: Parcel): Promise<void> {
    const { handler, ids } = parcel;
    const known = this.#jobs.get(handler);
    try {
      if (!known) {
        await this.#park(
          ids,
          `Nothing does this any more: the plugin that did (“${handler.split('.')[0]}”) is not there. Install it again, or drop the job.`,
        );
      } else if (!this.#o.isOn(known.plugin)) {
        await this.#release(ids);
      } else if ('call' in known.job) {
        for (const id of ids) if (!this.#closed) await this.#call(known.plugin, handler, known.job, id);
      } else {
        const size = known.job.batch ?? 1;
        for (let i = 0; i < ids.length && !this.#closed; i += size) await this.#doAll(known.plugin, known.job, ids.slice(i, i + size));
      }
      if (this.#closed) await this.#release(ids);
    } catch (error) {
      // The database is away: what is not done stands there still and is handed out again.
      this.#o.log('debug', 'jobs were interrupted', errorData(error));
    }
    this.wake();
  }

  /** Together if that works; what fails together is tried one by one. */
  async #doAll(plugin: string, job: TransactionalJob<AnyPlugin>, ids: readonly string[]): Promise<void> {
    try {
      await this.#inTransaction(plugin, ids, (rows, ctx) => this.#timed(job, rows[0]!.backend, job.run(rows, ctx)));
    } catch (error) {
      if (isOutage(error)) throw error;
      if (ids.length > 1) for (const id of ids) await this.#doAll(plugin, job, [id]);
      else await this.#failed(job, ids[0]!, error);
    }
  }

  /** Does something with the jobs that are still to be done, and removes them in the same transaction. */
  async #inTransaction(
    plugin: string,
    ids: readonly string[],
    work: (rows: Row[], ctx: Parameters<AnyServerStart>[0]) => Promise<void>,
    state = 'queued',
  ): Promise<void> {
    const actor = ids.length === 1 ? { ...SYSTEM_ACTOR, cause: { kind: 'job', id: ids[0]! } } : SYSTEM_ACTOR;
    await this.#o.records.within(plugin, actor, async (ctx, client) => {
      const rows = await take(client, ids, state);
      if (rows.length === 0) return;
      await work(rows, ctx);
      await client.query({ name: 'kith_job_done', text: 'delete from kith.job where id = any($1)', values: [rows.map(({ id }) => id)] });
    });
  }

  /** Seconds that an attempt may take. */
  #limitOf(job: AnyJob): number {
    return Math.min(job.timeout ?? TIMEOUT_S, (this.#o.limitMs ?? Infinity) / 1_000);
  }

  /** Gives up on work that takes too long. Its transaction is ended from outside, so that nothing of it can come later. */
  async #timed(job: AnyJob, backend: number, work: Promise<void>): Promise<void> {
    const seconds = this.#limitOf(job);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new TookTooLong(seconds)), seconds * 1_000);
    });
    try {
      await Promise.race([work, late]);
    } catch (error) {
      if (error instanceof TookTooLong) {
        work.catch(() => undefined);
        await this.#o.pool.query('select pg_terminate_backend($1)', [backend]);
      }
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #failed(job: AnyJob, id: string, error: unknown): Promise<void> {
    const message = error instanceof Error ? error.message : String(error);
    const { rows } = await this.#o.pool.query<{ state: string; attempts: number; handler: string }>(
      `update kith.job j set attempts = attempts + 1, error = $2, failed_at = now(), lease = null,
         state = case when attempts + 1 >= $3 then 'parked' else 'waiting' end, ${OWN_KEY},
         due = $4::timestamptz + least($5 * power(2, attempts), ${LONGEST_RETRY_MS}) * (0.75 + random() / 2) * interval '1 millisecond'
       where id = $1 and state in ('queued', 'calling') returning state, attempts, handler`,
      [id, message.slice(0, 2_000), job.tries ?? TRIES, this.#o.clock(), this.#o.retryMs ?? RETRY_MS],
    );
    const row = rows[0];
    if (row) jobFailed(row.handler);
    if (row)
      this.#o.log(row.state === 'parked' ? 'error' : 'warn', `a job failed${row.state === 'parked' ? ' and is parked' : ''}`, {
        handler: row.handler,
        attempts: row.attempts,
        ...errorData(error),
      });
  }

  async #park(ids: readonly string[], error: string): Promise<void> {
    await this.#o.pool.query(
      `update kith.job set state = 'parked', error = $2, failed_at = now(), lease = null where id = any($1) and state = 'queued'`,
      [ids, error],
    );
  }

  // Calls to somebody outside

  async #call(plugin: string, handler: string, job: ExternalJob<AnyPlugin>, id: string): Promise<void> {
    const seconds = this.#limitOf(job);
    let prepared: { data: Json; row: Row } | undefined;
    try {
      await this.#o.records.within(plugin, { ...SYSTEM_ACTOR, cause: { kind: 'job', id } }, async (ctx, client) => {
        prepared = undefined;
        const [row] = await take(client, [id], 'queued');
        if (!row) return;
        if (row.outcome) {
          // The call was made before; only what follows from it failed.
          await job.finish(row, row.outcome, ctx);
          await client.query('delete from kith.job where id = $1', [id]);
          return;
        }
        const data = await job.prepare(row, ctx);
        if (data === null) {
          await client.query('delete from kith.job where id = $1', [id]);
          return;
        }
        await client.query(`update kith.job set state = 'calling', lease = now() + $2 * interval '1 second' where id = $1`, [
          id,
          seconds + GRACE_S,
        ]);
        prepared = { data, row };
      });
    } catch (error) {
      if (isOutage(error)) throw error;
      await this.#failed(job, id, error);
      return;
    }
    if (!prepared) return;
    const { data, row } = prepared;
    const outcome = await this.#outcomeOf(plugin, job, id, data, seconds);
    if (outcome.state === 'refused' && outcome.retry && row.attempts + 1 < (job.tries ?? TRIES)) {
      await this.#failed(job, id, new Error(outcome.error));
      return;
    }
    await this.#finish(plugin, handler, job, id, outcome);
  }

  async #outcomeOf(plugin: string, job: ExternalJob<AnyPlugin>, key: string, data: Json, seconds: number): Promise<Outcome<Json>> {
    const signal = AbortSignal.timeout(seconds * 1_000);
    try {
      return await Promise.race([
        job.call(data, this.#toolsOf(plugin, key, signal)),
        new Promise<never>((_, reject) => {
          signal.addEventListener('abort', () => reject(new TookTooLong(seconds)), { once: true });
        }),
      ]);
    } catch (error) {
      return { state: 'unknown', error: error instanceof Error ? error.message : String(error) };
    }
  }

  #toolsOf(plugin: string, key: string, signal: AbortSignal): CallTools {
    const { services, settings, outgoing } = this.#o;
    return {
      key,
      signal,
      services,
      fetch: outgoing.until(signal),
      settings: () => settings.values(plugin),
      secrets: () => settings.secrets(plugin),
      channel: (name) => {
        const found = this.#o.channels().get(name);
        return found && { send: (message) => found.channel.send(message, this.#toolsOf(found.plugin, key, signal)) };
      },
    };
  }

  async #finish(plugin: string, handler: string, job: ExternalJob<AnyPlugin>, id: string, outcome: Outcome<Json>): Promise<void> {
    try {
      await this.#inTransaction(plugin, [id], ([row], ctx) => job.finish(row!, outcome, ctx), 'calling');
    } catch (error) {
      // The call was made and must not be made again: what became of it is kept, for whoever replays the job.
      this.#o.log('error', 'what a call came to could not be noted', { handler, outcome: outcome.state, ...errorData(error) });
      await this.#o.pool.query(
        `update kith.job set state = 'parked', outcome = $2, error = $3, failed_at = now(), lease = null where id = $1 and state = 'calling'`,
        [id, JSON.stringify(outcome), error instanceof Error ? error.message : String(error)],
      );
    }
  }

  /** A call whose process died: nobody knows what became of it. */
  async #finishLost(handler: string, id: string): Promise<void> {
    const known = this.#jobs.get(handler);
    if (!known || !('call' in known.job)) return;
    const outcome: Outcome<Json> = { state: 'unknown', error: 'The process that made the call ended before it knew what became of it.' };
    await this.#finish(known.plugin, handler, known.job, id, outcome);
  }
}

/** Jobs that are still to be done, held for the time of a transaction. */
async function take(client: pg.PoolClient, ids: readonly string[], state: string): Promise<Row[]> {
  const { rows } = await client.query<Row>({
    name: 'kith_job_take',
    text: `select id, data, attempts, error, outcome, pg_backend_pid() as backend from kith.job
      where id = any($1) and state = $2 order by id for update skip locked`,
    values: [ids, state],
  });
  return rows;
}

type AnyServerStart = NonNullable<AnyServer['start']>;

/** Who does what is done in the background. */
export const SYSTEM_ACTOR: Actor = {
  principal: { id: SYSTEM.id, kind: 'plugin', name: SYSTEM.name, roles: ['admin'] },
  cause: { kind: 'job', id: null },
};

/** Under which name an event stands that a consumer could not deal with. */
export const consumerJob = (plugin: string, consumer: string): string => `${plugin}.on:${consumer}`;

/** The first time of a schedule after a moment. @throws when the expression is none */
export const nextTime = (expression: string, after: Date): Date =>
  CronExpressionParser.parse(expression, { currentDate: after, tz: 'UTC' }).next().toDate();

/** Whether a text is a cron expression. */
export function isSchedule(expression: unknown): expression is string {
  if (typeof expression !== 'string') return false;
  try {
    nextTime(expression, new Date());
    return true;
  } catch {
    return false;
  }
}

const batchOf = (job: AnyJob | undefined): number => (job && !('call' in job) && (job.batch ?? 1) > 1 ? job.batch! : ONE_BY_ONE);

class TookTooLong extends Error {
  constructor(seconds: number) {
    super(`It took longer than ${seconds} seconds and was given up.`);
  }
}
