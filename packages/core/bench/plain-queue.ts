/** The peer of background work: BullMQ by itself, with a processor that does nothing. */
import { createPostgresBackend, createRedisBackend, Queue, Worker, type QueueBaseOptions } from 'bullmq';
import { Redis } from 'ioredis';

export interface PlainFigures {
  /** Jobs per second from the first taken to the last done, all of them added before. */
  perSecond: number;
  /** Milliseconds from adding a job to an idle queue until it is done, in the middle. */
  idleMs: number;
}

/** Measures BullMQ on Postgres, or on Redis. */
export async function plainQueue(on: { databaseUrl: string } | { redisUrl: string }, jobs: number, idle: number): Promise<PlainFigures> {
  const clients: Redis[] = [];
  const options = (): QueueBaseOptions<never> => {
    if ('databaseUrl' in on) return { connection: { connectionString: on.databaseUrl, max: 10 } } as never;
    const client = new Redis(on.redisUrl, { maxRetriesPerRequest: null });
    clients.push(client);
    return { connection: client } as never;
  };
  const backend = ('databaseUrl' in on ? createPostgresBackend : createRedisBackend) as never;
  const queue = new Queue('bench', options(), backend) as unknown as Queue;
  const keep = { removeOnComplete: true, removeOnFail: true };
  for (let i = 0; i < jobs; i += 1_000)
    await queue.addBulk(Array.from({ length: Math.min(1_000, jobs - i) }, () => ({ name: 'x', data: {}, opts: keep })));
  let done = 0;
  let finished = (): void => undefined;
  const all = new Promise<void>((resolve) => (finished = resolve));
  let began = 0;
  let last = (): void => undefined;
  const worker = new Worker(
    'bench',
    () => {
      began ||= performance.now();
      done++;
      if (done === jobs) finished();
      if (done > jobs) last();
      return Promise.resolve();
    },
    { ...options(), concurrency: 50 } as never,
    backend,
  ) as unknown as Worker;
  await all;
  const perSecond = jobs / ((performance.now() - began) / 1_000);
  const times: number[] = [];
  for (let i = 0; i < idle; i++) {
    await new Promise((resolve) => setTimeout(resolve, 120));
    const at = performance.now();
    const ended = new Promise<void>((resolve) => (last = resolve));
    await queue.add('x', {}, keep);
    await ended;
    times.push(performance.now() - at);
  }
  await worker.close();
  await queue.close();
  for (const client of clients) client.disconnect();
  return { perSecond, idleMs: times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN };
}
