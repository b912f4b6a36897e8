/** Services: one owner of all processes, another when it is gone, again after failures, gone with their plugin. */
import { definePlugin, defineServer, number, object, text, type ServiceTools } from '@kith/sdk';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { BootError, checkDatabase, modelOf, type Runtime } from '../runtime.ts';
import { createTestWorld, testEnv, type TestWorld } from '../testing.ts';

/** What the service does, as a test wants it. */
let mood: 'works' | 'throws' | 'returns' | 'clings';
let running: number;
let most: number;
let begun: number;
let last: ServiceTools;
let fees: (number | null)[];

const mill = definePlugin({
  id: 'mill',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'operational',
  locales: { en: { 'plugin.mill': 'Mill', 'service.grind': 'Millstone' } },
  settings: { fee: number({ default: 1 }) },
  objects: { sack: object({ icon: 'x', title: ['name'], fields: { name: text() } }) },
});
const server = defineServer(mill, {
  services: {
    grind: {
      title: 'service.grind',
      run: async (service) => {
        last = service as unknown as ServiceTools;
        most = Math.max(most, ++running);
        begun++;
        fees.push((await service.settings()).fee);
        try {
          if (mood === 'throws') throw new Error('the wheel is stuck');
          if (mood === 'returns') return;
          for (;;) {
            await service.transaction((ctx) => ctx.asPlugin.create('mill.sack', { name: String(begun) }));
            if (mood === 'clings') await new Promise((resolve) => service.signal.addEventListener('abort', () => setTimeout(resolve, 150)));
            await service.sleep(10);
          }
        } finally {
          running--;
        }
      },
    },
  },
});

let world: TestWorld;
beforeEach(async () => {
  [mood, running, most, begun, fees] = ['works', 0, 0, 0, []];
  world = await createTestWorld({ plugins: [server] });
});
afterEach(() => world.close());

const until = (what: () => boolean | Promise<boolean>): Promise<void> => expect.poll(what, { timeout: 10_000, interval: 10 }).toBe(true);
interface Shown {
  name: string;
  label: string;
  state: string;
  owner: string | null;
  error: string | null;
  resumesAt: string | null;
}
const shown = async (): Promise<Shown> => (await world.api<{ services: Shown[] }>('GET', '/plugins/mill')).body.services[0]!;
const sacks = async (): Promise<number> =>
  (await world.runtime.pool.query<{ n: number }>('select count(*)::int as n from mill.sack')).rows[0]!.n;
/** Ends the connection that holds the lock, as when a machine or a network dies. */
const cut = async (): Promise<void> => {
  await world.runtime.pool.query(
    `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and classid = 7013
       and database = (select oid from pg_database where datname = current_database())`,
  );
};
const another = (): Promise<Runtime> => world.another({ roles: ['web', 'worker'] });

it('runs in one of several processes, and in another when that one ends', async () => {
  const other = await another();
  await until(async () => (await sacks()) > 2);
  const first = await shown();
  expect(first).toMatchObject({ name: 'mill.grind', label: 'Millstone', state: 'running', error: null });
  expect(first.owner).toContain(`/${process.pid}-`);
  const stopped = last;
  // Whichever has it.
  await world.runtime.close();
  const here = stopped.signal.aborted;
  if (!here) await other.close();
  const survivor = here ? other : await another();
  const before = begun;
  await until(() => survivor.ready !== undefined && running === 1 && (here ? begun >= before : true));
  const { rows } = await survivor.pool.query<{ owner: string }>('select owner from kith.plugin_service');
  if (here) expect(rows[0]!.owner).not.toBe(first.owner);
  expect([most, running]).toEqual([1, 1]);
  await expect(stopped.transaction(() => Promise.resolve())).rejects.toThrow();
});

it('passes to another when its connection is lost, never in two at once, and writes nothing any more', async () => {
  await another();
  mood = 'clings';
  for (let round = 1; round <= 3; round++) {
    await until(async () => running === 1 && (await shown()).state === 'running');
    const [owner, gone] = [(await shown()).owner, last];
    await cut();
    await until(() => gone.signal.aborted);
    await expect(gone.transaction((ctx) => ctx.asPlugin.create('mill.sack' as never, {}))).rejects.toThrow(/lost/);
    await until(async () => begun > round && (await shown()).owner !== null);
    expect(owner).not.toBeNull();
  }
  expect(most).toBe(1);
});

it('writes nothing where another has taken over without its knowing', async () => {
  await until(async () => (await sacks()) > 1);
  const held = last;
  await world.runtime.pool.query('update kith.plugin_service set epoch = epoch + 1');
  await until(() => held.signal.aborted);
  const there = await sacks();
  await expect(held.transaction((ctx) => ctx.asPlugin.create('mill.sack' as never, {}))).rejects.toThrow('Another process has taken over');
  expect(await sacks()).toBeGreaterThanOrEqual(there);
  // It asks for the lock again, and begins a new term.
  await until(() => last !== held && running === 1);
  expect(most).toBe(1);
});

it('begins again after growing pauses when it throws or returns, and says so', async () => {
  mood = 'throws';
  // Too long a pause to be over while it is looked at.
  const slow = await createTestWorld({ plugins: [server], background: { retryMs: 60_000, lostMs: 100 } });
  const look = async (): Promise<unknown> =>
    (
      await checkDatabase({ plugins: [mill], servers: [server], url: slow.databaseUrl, publicHost: false, secret: testEnv('').secret })
    ).find(({ name }) => name === 'services');
  const there = async (): Promise<Shown> => (await slow.api<{ services: Shown[] }>('GET', '/plugins/mill')).body.services[0]!;
  await until(async () => (await there()).state === 'pausing');
  expect(await there()).toMatchObject({ error: 'the wheel is stuck', resumesAt: expect.any(String) as string });
  expect(await look()).toMatchObject({ verdict: 'warning', says: 'mill.grind failed (the wheel is stuck) and is tried again.' });
  // Whoever mends its settings does not wait for the pause.
  mood = 'works';
  await slow.api('PATCH', '/plugins/mill/settings', { fee: 7 });
  await until(async () => (await there()).state === 'running');
  expect(await there()).toMatchObject({ error: 'the wheel is stuck', resumesAt: null });
  expect(await look()).toMatchObject({ verdict: 'ok' });
  expect(fees.at(-1)).toBe(7);
  await slow.close();

  mood = 'returns';
  await world.api('PATCH', '/plugins/mill/settings', { fee: 8 });
  const before = begun;
  await until(() => begun >= before + 4);
  await until(async () => (await shown()).error === 'It ended by itself.');
  mood = 'works';
  await until(() => running === 1);
});

it('goes with its plugin, and comes back with it', async () => {
  await until(() => running === 1);
  const before = last;
  await world.api('POST', '/plugins/mill/disable', {});
  expect(before.signal.aborted).toBe(true);
  await until(async () => running === 0 && (await shown()).state === 'none');
  const there = await sacks();
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(await sacks()).toBe(there);
  await world.api('POST', '/plugins/mill/enable', {});
  await until(() => running === 1);
  expect(most).toBe(1);
});

it('has a name that is a word', () => {
  const wrong = { ...server, services: { 'grind-it': server.services!.grind! } };
  expect(() => modelOf([mill], [wrong])).toThrow(BootError);
});
