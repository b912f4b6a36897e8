/**
 * The queues and workers of BullMQ, made here and nowhere else, on Postgres or (with REDIS_URL) on Redis.
 *
 * They carry ids of jobs to whichever process has a hand free. What is true about a job stands in `kith.job`: a queue may
 * lose what it carries, or bring it twice, and neither is of consequence.
 */
import type { Lane } from '@kith/sdk';
import {
  createPostgresBackend,
  createRedisBackend,
  Queue,
  runMigrations,
  Worker,
  type JobsOptions,
  type JobType,
  type WorkerOptions,
} from 'bullmq';
import { Redis } from 'ioredis';
import pg from 'pg';
import { errorData, type Log } from '../log.ts';

/** Jobs of one handler, by their ids. */
export interface Parcel {
  handler: string;
  ids: readonly string[];
}

export interface QueueOptions {
  /** Redis, or undefined for Postgres. */
  redisUrl: string | undefined;
  databaseUrl: string;
  /** Names this installation among others that share a Redis. */
  installation: string;
  log: Log;
  /** After how long a worker that says nothing is believed dead. */
  lockMs?: number;
}

const LOCK_MS = 15_000;
/** A worker's death is nobody's fault: it must not count against what was being carried. */
const ANY_NUMBER = 1_000_000;
/** How long a backend may take to answer. */
const PATIENCE_MS = 2_000;
/** How long what is under way may go on when a process ends: what is cut off is taken back, and done by another. */
const END_MS = 8_000;
/** Where BullMQ keeps its tables. */
const SCHEMA = 'bullmq';
/** How often a worker is looked at, and how many errors in that time are too many. */
const LOOK_MS = 3_000;
const MOST_ERRORS = 40;
/** Seconds for which a worker waits for work in one breath. */
const PATIENCE_S = 5;

/** What of BullMQ's classes is used here, whatever stands behind them. */
interface JobQueue {
  addBulk: (jobs: { name: string; data: Parcel; opts: JobsOptions }[]) => Promise<unknown>;
  getJobCounts: (...types: JobType[]) => Promise<Record<string, number>>;
  on: (event: 'error', listener: (error: Error) => void) => unknown;
  close: () => Promise<void>;
}
interface JobWorker {
  isRunning: () => boolean;
  on: ((event: 'error', listener: (error: Error) => void) => unknown) &
    ((event: 'failed', listener: (job: unknown, error: Error) => void) => unknown);
  close: (force?: boolean) => Promise<void>;
}
type WorkOptions = Omit<WorkerOptions, 'connection'>;
/** A connection to one of the backends, and how to let go of it. */
interface Backend {
  queue: (name: string) => JobQueue;
  worker: (name: string, process: (job: { data: Parcel }) => Promise<void>, options: WorkOptions) => JobWorker;
  release: () => void;
}

/** The queues of one process. */
export class Queues {
  readonly #o: QueueOptions;
  readonly #queues = new Map<Lane, { queue: JobQueue; release: () => void }>();
  readonly #hands: Hands[] = [];

  constructor(options: QueueOptions) {
    this.#o = options;
  }

  #attach(connections: number): Backend {
    const { redisUrl, databaseUrl, installation, log } = this.#o;
    if (redisUrl === undefined) {
      // A pool of our own making: of one that BullMQ makes, a connection that breaks while it is lent out ends the process.
      const pool = new pg.Pool({
        connectionString: databaseUrl,
        // One more, which listens.
        max: connections + 1,
        application_name: 'kith queue',
        options: `-c search_path=${SCHEMA}`,
        keepAlive: true,
        connectionTimeoutMillis: 10_000,
      });
      pool.on('error', () => undefined);
      pool.on('connect', (client) => client.on('error', () => undefined));
      const on = { connection: pool, skipVersionCheck: true };
      return {
        queue: (name) => new Queue(name, on, createPostgresBackend),
        worker: (name, process, options) => new Worker(name, process, { ...options, ...on }, createPostgresBackend),
        release: () => void pool.end().catch(() => undefined),
      };
    }
    // Commands wait while Redis is away instead of failing after some tries; whoever must not wait sets a limit of his own.
    const client = new Redis(redisUrl, {
      maxRetriesPerRequest: null,
      enableReadyCheck: true,
      retryStrategy: (n) => Math.min(50 * n, 1_000),
    });
    client.on('error', (error) => log('debug', 'Redis cannot be reached', errorData(error)));
    const on = { connection: client, prefix: `kith:${installation}` };
    return {
      queue: (name) => new Queue(name, on, createRedisBackend),
      worker: (name, process, options) => new Worker(name, process, { ...options, ...on }, createRedisBackend),
      release: () => client.disconnect(),
    };
  }

  #queue(lane: Lane): JobQueue {
    const known = this.#queues.get(lane);
    if (known) return known.queue;
    const backend = this.#attach(2);
    const queue = backend.queue(`kith-${lane}`);
    queue.on('error', (error) => this.#o.log('debug', 'a queue cannot be reached', errorData(error)));
    this.#queues.set(lane, { queue, release: backend.release });
    return queue;
  }

  /** Asks a queue. One that failed is made anew for the next question: it may have been made while the database was away, and remembers that. */
  async #ask<T>(lane: Lane, work: (queue: JobQueue) => Promise<T>, otherwise: string): Promise<T> {
    try {
      return await within(PATIENCE_MS, work(this.#queue(lane)), otherwise);
    } catch (error) {
      const failed = this.#queues.get(lane);
      this.#queues.delete(lane);
      if (failed)
        void failed.queue
          .close()
          .catch(() => undefined)
          .finally(failed.release);
      throw error;
    }
  }

  /** Hands parcels over. Rejects when the backend does not take them in time; then it may have taken some. */
  async send(lane: Lane, parcels: readonly Parcel[]): Promise<void> {
    const opts = { removeOnComplete: true, removeOnFail: true, attempts: 1 };
    await this.#ask(
      lane,
      (queue) => queue.addBulk(parcels.map((data) => ({ name: 'parcel', data, opts }))),
      'the queue does not take jobs',
    );
  }

  /** Whether nothing waits and nothing is being worked on. */
  async isIdle(lane: Lane): Promise<boolean> {
    const counts = await this.#ask(
      lane,
      (queue) => queue.getJobCounts('waiting', 'active', 'delayed', 'prioritized'),
      'the queue does not answer',
    );
    return Object.values(counts).every((count) => count === 0);
  }

  /** Works on a lane. `process` must not throw: what goes wrong with a job is written where the job stands. */
  work(lane: Lane, concurrency: number, process: (parcel: Parcel) => Promise<void>): void {
    const lockDuration = this.#o.lockMs ?? LOCK_MS;
    const make = (): Held => {
      const backend = this.#attach(3);
      const worker = backend.worker(`kith-${lane}`, (job) => process(job.data), {
        concurrency,
        lockDuration,
        stalledInterval: Math.max(500, lockDuration / 2),
        maxStalledCount: ANY_NUMBER,
        drainDelay: PATIENCE_S,
        runRetryDelay: 500,
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
      });
      return { worker, release: backend.release };
    };
    this.#hands.push(new Hands(make, this.#o.log));
  }

  /** Takes nothing new, lets what is under way come to its end, and lets go. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#hands.map((one) => one.close()));
    await Promise.allSettled([...this.#queues.values()].map(({ queue }) => within(2_000, queue.close(), 'a queue does not close')));
    for (const { release } of this.#queues.values()) release();
  }
}

interface Held {
  worker: JobWorker;
  release: () => void;
}

/**
 * A worker that is replaced when it is beyond help. One that is made while the database goes away fails from then on at
 * every step, without a pause and without letting anything else run; another has never begun.
 */
class Hands {
  readonly #make: () => Held;
  readonly #log: Log;
  #current: Held | undefined;
  #errors = 0;
  #since = 0;
  #closed = false;
  #again: NodeJS.Timeout | undefined;
  readonly #looking: NodeJS.Timeout;

  constructor(make: () => Held, log: Log) {
    this.#make = make;
    this.#log = log;
    this.#begin();
    this.#looking = setInterval(() => {
      if (this.#current && !this.#current.worker.isRunning()) this.#replace();
    }, LOOK_MS);
    this.#looking.unref();
  }

  #begin(): void {
    if (this.#closed) return;
    const made = this.#make();
    this.#current = made;
    made.worker.on('error', (error) => this.#erred(made.worker, error));
    made.worker.on('failed', (_job, error) => this.#log('warn', 'a parcel of jobs was not dealt with', errorData(error)));
  }

  #erred(worker: JobWorker, error: Error): void {
    if (worker !== this.#current?.worker) return;
    const now = Date.now();
    if (now - this.#since > LOOK_MS) {
      this.#since = now;
      this.#errors = 0;
      this.#log('debug', 'a worker cannot reach its queue', errorData(error));
    }
    if (++this.#errors >= MOST_ERRORS) this.#replace();
  }

  #replace(): void {
    const old = this.#current;
    if (!old || this.#closed) return;
    this.#current = undefined;
    this.#errors = 0;
    this.#log('info', 'a worker is replaced', {});
    // Asked to close, it stops its loop at once, whatever becomes of the rest.
    void within(END_MS, old.worker.close(true), 'a worker does not end')
      .catch(() => undefined)
      .finally(old.release);
    this.#again = setTimeout(() => this.#begin(), 500);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#looking);
    clearTimeout(this.#again);
    const last = this.#current;
    if (!last) return;
    await within(END_MS, last.worker.close(), 'a worker does not end').catch(() => undefined);
    last.release();
  }
}

/** What a Redis says of itself. @throws when it does not answer */
export async function askRedis(url: string, ms: number): Promise<{ version: string; policy: string }> {
  const client = new Redis(url, { lazyConnect: true, connectTimeout: ms, maxRetriesPerRequest: 0, retryStrategy: () => null });
  client.on('error', () => undefined);
  try {
    await within(ms, client.connect(), 'it took too long');
    const said = await within(ms, client.info(), 'it took too long');
    return {
      version: /redis_version:(\S+)/.exec(said)?.[1] ?? '?',
      policy: /maxmemory_policy:(\S+)/.exec(said)?.[1] ?? 'noeviction',
    };
  } finally {
    client.disconnect();
  }
}

/** Makes the tables of the queues, for installations that keep them in Postgres. */
export async function migrateQueues(client: pg.PoolClient): Promise<void> {
  await runMigrations(client);
}

async function within<T>(ms: number, work: Promise<T>, otherwise: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      work,
      new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(otherwise)), ms);
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}
