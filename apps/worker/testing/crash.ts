/**
 * Orders come in, workflows and jobs act on them, and processes die: workers, the leader, Postgres, Redis. This process,
 * which is never killed, counts afterwards: every order has had each of its effects once, and nobody outside was called twice.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { SYSTEM } from '@kith/core';
import { startEmbedded, type EmbeddedPostgres } from '@kith/core/postgres/embedded';
import { createRuntime, migrate, type Runtime } from '@kith/core/runtime';
import { testEnv } from '@kith/core/testing';
import { randomFrom as random } from '@kith/core/testing/random';
import { startRedis, type TestRedis } from '@kith/core/testing/redis';
import type { Workflow } from '@kith/sdk';
import { plugins, servers } from './world.ts';

export interface Losses {
  kills: Record<string, number>;
  orders: number;
  effects: number;
  /** Orders that were acknowledged and are not there. */
  gone: string[];
  /** Effects that are missing, or there more than once, by order. */
  lost: string[];
  doubled: string[];
  /** Jobs that were parked or are left. */
  left: string[];
  /** Calls outside by how they ended. */
  calls: { made: number; sent: number; unknown: number; twice: number };
}

export interface CrashOptions {
  kills: number;
  seed: number;
  redis: boolean;
  /** How many orders in a round. */
  orders: number;
  log?: (line: string) => void;
}

const WORKFLOW: Workflow = {
  trigger: { on: 'created', object: 'works.order' },
  steps: [
    { id: 'first', kind: 'create', object: 'works.effect', fields: { of: { path: 'record.id' }, kind: 'first' } },
    { id: 'change', kind: 'change', fields: { note: 'seen {{steps.first.kind}}' } },
    { id: 'pause', kind: 'wait', minutes: 0.002 },
    { id: 'last', kind: 'create', object: 'works.effect', fields: { of: { path: 'record.id' }, kind: 'last' } },
  ],
};

const WORKERS = 2;
const TARGETS = ['worker', 'leader', 'postgres', 'redis'] as const;

/** Runs the whole thing. */
export async function crashTest(options: CrashOptions): Promise<Losses> {
  const roll = random(options.seed);
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'kith-worker-crash-'));
  let postgres: EmbeddedPostgres = await startEmbedded({ dataDir });
  const redis: TestRedis | undefined = options.redis ? await startRedis() : undefined;
  const calls = new Map<string, number>();
  const outside = http.createServer((req, res) => {
    const key = new URL(req.url ?? '/', 'http://outside').searchParams.get('key') ?? '';
    calls.set(key, (calls.get(key) ?? 0) + 1);
    setTimeout(() => res.end('ok'), 5);
  });
  await new Promise<void>((resolve) => outside.listen(0, '127.0.0.1', resolve));
  const env = {
    ...process.env,
    NODE_OPTIONS: '',
    DATABASE_URL: postgres.url,
    KITH_TEST_OUTSIDE: `http://127.0.0.1:${(outside.address() as AddressInfo).port}`,
    ...(redis ? { REDIS_URL: redis.url } : {}),
  };
  await migrate({ plugins, servers, databaseUrl: postgres.url });
  const watch = await createRuntime({
    roles: [],
    plugins,
    servers,
    env: { ...testEnv(postgres.url), logLevel: 'silent' },
    databaseUrl: postgres.url,
  });
  const actor = { principal: SYSTEM, cause: { kind: 'api', id: null } };
  await watch.records.create(actor, watch.records.object('automation.workflow'), {
    name: 'w',
    enabled: true,
    definition: JSON.stringify(WORKFLOW),
  });
  const workers: ChildProcess[] = [];
  const kills: Record<string, number> = {};
  const acknowledged: string[] = [];
  let named = 0;
  try {
    for (let i = 0; i < WORKERS; i++) workers.push(await spawnWorker(env));
    for (let round = 0; round < options.kills; round++) {
      const until = performance.now() + 50 + roll() * 500;
      const parts = Math.ceil(options.orders / 20);
      for (let part = 0; part < parts; part++) {
        const rows = Array.from({ length: 20 }, () => ({ name: `${roll() < 0.1 ? 'call' : 'order'} ${named++}` }));
        const made = await watch.records.createMany(actor, watch.records.object('works.order'), rows);
        acknowledged.push(...made.map(({ id }) => id));
        await sleep(Math.max(0, (until - performance.now()) / (parts - part)));
      }
      const targets = TARGETS.filter((one) => one !== 'redis' || redis);
      const target = targets[Math.floor(roll() * targets.length)]!;
      kills[target] = (kills[target] ?? 0) + 1;
      if (target === 'postgres') {
        process.kill(postgres.pid, 'SIGKILL');
        postgres = await startEmbedded({ dataDir });
        await answering(watch);
      } else if (target === 'redis') {
        await redis!.kill();
        await sleep(roll() * 300);
        await redis!.start();
      } else {
        const at = target === 'leader' ? await leaderOf(workers) : Math.floor(roll() * workers.length);
        await killed(workers[at]!);
        workers[at] = await spawnWorker(env);
      }
      if (round % 25 === 24)
        options.log?.(
          `${round + 1} kills, ${acknowledged.length} orders, ${await count(watch, 'select count(*)::int as n from kith.job')} jobs to do`,
        );
      // What comes in must not run ahead of what can be done for ever.
      for (let i = 0; i < 600 && (await count(watch, 'select count(*)::int as n from kith.job')) > 2_000; i++) await sleep(50);
    }
    await rested(watch, options);
    return await counted(watch, acknowledged, calls, kills);
  } finally {
    for (const worker of workers) worker.kill('SIGKILL');
    await watch.close();
    await postgres.stop();
    await redis?.stop();
    outside.closeAllConnections();
    outside.close();
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** Waits until there is nothing left to do. */
async function rested(watch: Runtime, options: CrashOptions): Promise<void> {
  const busy = `select (select count(*) from kith.outbox)::int + (select count(*) from kith.job where state <> 'parked')::int
    + (select count(*) from kith.consumer where position < (select last from kith.event_counter))::int
    + (select count(*) from automation.run where status in ('waiting', 'running'))::int as n`;
  for (let i = 0, calm = 0; calm < 5; i++) {
    if (i > 6_000) {
      options.log?.('it did not come to rest');
      return;
    }
    // A schedule may add a job any minute: that is not what is waited for.
    calm = (await count(watch, busy)) === 0 ? calm + 1 : 0;
    await sleep(50);
  }
}

async function counted(
  watch: Runtime,
  acknowledged: readonly string[],
  calls: ReadonlyMap<string, number>,
  kills: Record<string, number>,
): Promise<Losses> {
  const { rows: orders } = await watch.pool.query<{
    id: string;
    name: string;
    note: string | null;
    kinds: string[];
    runs: number;
    steps: number;
  }>(
    // Each table is read once: there may be hundreds of thousands.
    `with e as (select of, array_agg(kind order by kind) as kinds from works.effect group by of),
       r as (select id, about from automation.run where status = 'done'),
       n as (select about, count(*)::int as runs from r group by about),
       s as (select r.about, count(*)::int as steps from r join automation.step s on s.run = r.id and s.status = 'done' group by r.about)
     select o.id, o.name, o.note, coalesce(e.kinds, '{}') as kinds, coalesce(n.runs, 0) as runs, coalesce(s.steps, 0) as steps
     from works."order" o left join e on e.of = o.id::text
       left join n on n.about = 'works.order/' || o.id left join s on s.about = 'works.order/' || o.id`,
  );
  const there = new Set(orders.map(({ id }) => id));
  const losses: Losses = {
    kills,
    orders: orders.length,
    effects: 0,
    gone: acknowledged.filter((id) => !there.has(id)),
    lost: [],
    doubled: [],
    left: [],
    calls: { made: 0, sent: 0, unknown: 0, twice: [...calls.values()].filter((n) => n > 1).length },
  };
  for (const { name, note, kinds, runs, steps } of orders) {
    losses.effects += kinds.length + 1;
    const wanted = ['first', 'followed', 'last'];
    for (const kind of wanted) {
      const times = kinds.filter((one) => one === kind).length;
      if (times === 0) losses.lost.push(`${name}: ${kind}`);
      if (times > 1) losses.doubled.push(`${name}: ${kind} × ${times}`);
    }
    if (note !== 'seen first') losses.lost.push(`${name}: change`);
    if (runs !== 1 || steps !== 4) losses[runs < 1 || steps < 4 ? 'lost' : 'doubled'].push(`${name}: ${runs} runs, ${steps} steps`);
    if (!name.startsWith('call')) continue;
    const ends = kinds.filter((kind) => kind === 'sent' || kind === 'unknown' || kind === 'refused');
    if (ends.length === 0) losses.lost.push(`${name}: call`);
    if (ends.length > 1) losses.doubled.push(`${name}: call × ${ends.length}`);
    losses.calls.sent += ends.filter((kind) => kind === 'sent').length;
    losses.calls.unknown += ends.filter((kind) => kind === 'unknown').length;
  }
  losses.calls.made = [...calls.values()].reduce((sum, n) => sum + n, 0);
  const { rows: left } = await watch.pool.query<{ handler: string; state: string; error: string | null }>(
    'select handler, state, error from kith.job',
  );
  losses.left = left
    .filter(({ handler }) => handler !== 'automation.tick')
    .map(({ handler, state, error }) => `${handler} ${state} ${error}`);
  return losses;
}

async function count(watch: Runtime, text: string): Promise<number> {
  for (let i = 0; ; i++) {
    try {
      return (await watch.pool.query<{ n: number }>(text)).rows[0]!.n;
    } catch (error) {
      if (i > 100) throw error;
      await sleep(50);
    }
  }
}
const answering = (watch: Runtime): Promise<number> => count(watch, 'select 1 as n');

async function leaderOf(workers: readonly ChildProcess[]): Promise<number> {
  for (let i = 0; i < 100; i++) {
    const leading = await Promise.all(workers.map((worker) => askLeading(worker)));
    const at = leading.indexOf(true);
    if (at >= 0) return at;
    await sleep(50);
  }
  return 0;
}
const askLeading = (worker: ChildProcess): Promise<boolean> =>
  new Promise((resolve) => {
    worker.once('message', (message) => resolve((message as { leading?: boolean }).leading === true));
    worker.send('leading?');
  });

async function killed(worker: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => worker.once('exit', resolve));
  worker.kill('SIGKILL');
  await gone;
}

function spawnWorker(env: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const child = fork(new URL('./node.ts', import.meta.url), { env, execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  return new Promise((resolve, reject) => {
    child.once('message', () => resolve(child));
    child.once('exit', (code) => reject(new Error(`a worker ended with ${code} before it was ready`)));
  });
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
