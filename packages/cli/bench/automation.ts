/**
 * Events to finished steps: orders are created, and a workflow of one step acts on each. Beside it, in the same run, BullMQ
 * by itself with jobs that do nothing. And how long one step takes on a Kith that has nothing else to do.
 */
import { SYSTEM } from '@kith/core';
import { createRuntime, migrate, type Runtime } from '@kith/core/runtime';
import { plainQueue } from '@kith/core/bench/plain-queue';
import { testEnv } from '@kith/core/testing';
import { hasRedis, startRedis } from '@kith/core/testing/redis';
import { works, worksServer } from '@kith/core/testing/works';
import { plugins as installed } from '@kith/installed/plugins';
import { servers as installedServers } from '@kith/installed/server';
import type { Step } from '@kith/sdk';
import { median, printTable, quick, scratchDatabase } from './scratch.ts';

const EVENTS = quick ? 4_000 : 20_000;
const IDLE = quick ? 10 : 40;
const WANTED = ['contacts', 'automation'];
const plugins = [...installed.filter(({ id }) => WANTED.includes(id)), works];
// Only the workflow acts: what the plugin for tests does besides is left out.
const servers = [...installedServers.filter(({ plugin }) => WANTED.includes(plugin.id)), { ...worksServer, consumers: {}, jobs: {} }];

const STEPS: Readonly<Record<string, Step>> = {
  'a step that decides': { id: 's', kind: 'branch', condition: { field: 'name', op: 'startsWith', value: 'x' }, then: [] },
  'a step that makes a record': { id: 's', kind: 'create', object: 'works.effect', fields: { of: { path: 'record.id' }, kind: 'made' } },
};

const actor = { principal: SYSTEM, cause: { kind: 'api', id: null } };
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function counted(runtime: Runtime): Promise<number> {
  const { rows } = await runtime.pool.query<{ n: number }>(`select count(*)::int as n from automation.run where status = 'done'`);
  return rows[0]!.n;
}

async function measure(databaseUrl: string, redisUrl: string | undefined, step: Step): Promise<{ perSecond: number; idleMs: number }> {
  const env = { ...testEnv(databaseUrl), redisUrl, logLevel: 'error' as const };
  const writer = await createRuntime({ roles: [], plugins, servers, env, databaseUrl });
  const order = writer.records.object('works.order');
  const flow = writer.records.object('automation.workflow');
  const definition = JSON.stringify({ trigger: { on: 'created', object: 'works.order' }, steps: [step] });
  const { id } = await writer.records.create(actor, flow, { name: 'bench', enabled: true, definition });
  const before = await counted(writer);
  for (let i = 0; i < EVENTS; i += 1_000)
    await writer.records.createMany(
      actor,
      order,
      Array.from({ length: 1_000 }, (_, n) => ({ name: `o${i + n}` })),
    );
  const worker = await createRuntime({ roles: ['worker'], plugins, servers, env, databaseUrl });
  const began = performance.now();
  while ((await counted(writer)) - before < EVENTS) await sleep(100);
  const perSecond = EVENTS / ((performance.now() - began) / 1_000);
  // Idle: the same process commits and works, as on one machine.
  const times: number[] = [];
  for (let i = 0; i < IDLE; i++) {
    await sleep(150);
    const now = await counted(worker);
    const at = performance.now();
    await worker.records.create(actor, order, { name: 'idle' });
    while ((await counted(worker)) === now) await sleep(1);
    times.push(performance.now() - at);
  }
  await writer.records.patch(actor, flow, id, { enabled: false });
  await worker.close();
  await writer.close();
  return { perSecond, idleMs: median(times) };
}

const database = await scratchDatabase();
const redis = hasRedis() ? await startRedis() : undefined;
try {
  await migrate({ plugins, servers, databaseUrl: database.url });
  const rows: string[][] = [];
  for (const [name, url] of [['Postgres', undefined], ...(redis ? [['Redis', redis.url] as const] : [])] as const) {
    const plain = await plainQueue(url === undefined ? { databaseUrl: database.url } : { redisUrl: url }, EVENTS, IDLE);
    rows.push([`BullMQ alone on ${name}`, plain.perSecond.toFixed(0), '1.00', `${plain.idleMs.toFixed(1)} ms`]);
    for (const [what, step] of Object.entries(STEPS)) {
      const ours = await measure(database.url, url, step);
      rows.push([`  ${what}`, ours.perSecond.toFixed(0), (ours.perSecond / plain.perSecond).toFixed(2), `${ours.idleMs.toFixed(1)} ms`]);
    }
  }
  printTable([`${EVENTS} events`, 'per second', 'ratio', 'one, idle'], rows);
  console.log(
    'Goal: 4 times BullMQ alone on Postgres, 0.7 on Redis. From the commit of the event to the step’s result, run and effect committed.',
  );
} finally {
  await redis?.stop();
  await database.close();
}
process.disconnect?.();
