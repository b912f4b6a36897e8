/**
 * The queues and workers of BullMQ, made here and nowhere else, on Postgres or (with REDIS_URL) on Redis.
 *
 * They carry ids of jobs to whichever process has a hand free. What is true about a job stands in `kith.job`: a queue may
 * lose what it carries, or bring it twice, and neither is of consequence.
 */
import type { Lane } from '@kith/sdk';
import { createPostgresBackend, createRedisBackend, Queue, runMigrations, Worker, type QueueBaseOptions } from 'bullmq';
import { Redis } from 'ioredis';
import type pg from 'pg';
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
/** Seconds for which a worker waits for work in one breath. */
const PATIENCE_S = 5;

/** What a queue is attached to, in the words of one backend. */
type Attach = <T>(make: (options: QueueBaseOptions<never>, backend: never) => T) => T;

/** The queues of one process. */
export class Queues {
  readonly #o: QueueOptions;
  readonly #queues = new Map<Lane, Queue>();
  readonly #workers: Worker[] = [];
  readonly #clients: Redis[] = [];

  constructor(options: QueueOptions) {
    this.#o = options;
  }

  #attach(blocking: boolean): ReturnType<Attach> extends never ? never : Attach {
    const { redisUrl, databaseUrl, installation } = this.#o;
    if (redisUrl === undefined) {
      const connection = { connectionString: databaseUrl, max: blocking ? 3 : 2, application_name: 'kith queue' };
      return (make) => make({ connection, skipVersionCheck: true } as never, createPostgresBackend as never);
    }
    // Commands wait while Redis is away instead of failing after some tries; whoever must not wait sets a limit of his own.
    const client = new Redis(redisUrl, {
      maxRetriesPerRequest: null,
      enableReadyCheck: true,
      retryStrategy: (n) => Math.min(50 * n, 1_000),
    });
    client.on('error', (error) => this.#o.log('debug', 'Redis cannot be reached', errorData(error)));
    this.#clients.push(client);
    return (make) => make({ connection: client, prefix: `kith:${installation}` } as never, createRedisBackend as never);
  }

  #queue(lane: Lane): Queue {
    let queue = this.#queues.get(lane);
    if (!queue) {
      queue = this.#attach(false)((options, backend) => new Queue(`kith-${lane}`, options, backend) as unknown as Queue);
      queue.on('error', (error) => this.#o.log('debug', 'a queue cannot be reached', errorData(error)));
      this.#queues.set(lane, queue);
    }
    return queue;
  }

  /** Hands parcels over. Rejects when the backend does not take them in time; then it may have taken some. */
  async send(lane: Lane, parcels: readonly Parcel[]): Promise<void> {
    const options = { removeOnComplete: true, removeOnFail: true, attempts: 1 };
    await within(
      PATIENCE_MS,
      this.#queue(lane).addBulk(parcels.map((data) => ({ name: 'parcel', data, opts: options }))),
      'the queue does not take jobs',
    );
  }

  /** Whether nothing waits and nothing is being worked on. */
  async isIdle(lane: Lane): Promise<boolean> {
    const counts = await within(
      PATIENCE_MS,
      this.#queue(lane).getJobCounts('waiting', 'active', 'delayed', 'prioritized'),
      'the queue does not answer',
    );
    return Object.values(counts).every((count) => count === 0);
  }

  /** Works on a lane. `process` must not throw: what goes wrong with a job is written where the job stands. */
  work(lane: Lane, concurrency: number, process: (parcel: Parcel) => Promise<void>): void {
    const lockDuration = this.#o.lockMs ?? LOCK_MS;
    const worker = this.#attach(true)(
      (options, backend) =>
        new Worker(
          `kith-${lane}`,
          (job: { data: Parcel }) => process(job.data),
          {
            ...options,
            concurrency,
            lockDuration,
            stalledInterval: Math.max(500, lockDuration / 2),
            maxStalledCount: ANY_NUMBER,
            drainDelay: PATIENCE_S,
            runRetryDelay: 500,
            removeOnComplete: { count: 0 },
            removeOnFail: { count: 0 },
          },
          backend,
        ) as unknown as Worker,
    );
    worker.on('error', (error) => this.#o.log('debug', 'a worker cannot reach its queue', errorData(error)));
    worker.on('failed', (_job, error) => this.#o.log('warn', 'a parcel of jobs was not dealt with', errorData(error)));
    this.#workers.push(worker);
  }

  /** Takes nothing new, lets what is under way come to its end, and lets go. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#workers.map((worker) => within(END_MS, worker.close(), 'a worker does not end')));
    await Promise.allSettled([...this.#queues.values()].map((queue) => within(2_000, queue.close(), 'a queue does not close')));
    for (const client of this.#clients) client.disconnect();
  }
}

/** Makes the tables of the queues, for installations that keep them in Postgres. */
export async function migrateQueues(client: pg.PoolClient): Promise<void> {
  await runMigrations(client as never);
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
