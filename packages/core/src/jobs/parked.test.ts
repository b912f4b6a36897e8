/** Parked jobs: seen, done again, dropped. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { createTestWorld, type TestWorld } from '../testing.ts';
import { works, worksServer } from '../testing/works.ts';
import { addJob } from './rows.ts';

let world: TestWorld;
let key: string;
beforeAll(async () => {
  world = await createTestWorld({ plugins: [works], servers: [worksServer], roles: ['web', 'worker'] });
  key = await world.key('admin');
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.runtime.pool.query('delete from kith.job');
});

const ask = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
  const answer = await world.request(method, path, { key, ...(body === undefined ? {} : { body }) });
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
  return answer.body as T;
};
interface Listed {
  data: { id: string; handler: string; label: string; error: string; attempts: number; data: unknown; lane: string; failedAt: string }[];
  nextCursor: string | null;
}
/** A job that has failed for good, some seconds ago. */
async function park(handler: string, data: Record<string, string>, ago = 0, more: { key?: string } = {}): Promise<string> {
  const { pool } = world.runtime;
  const id = await addJob(pool, handler, 'default', data, new Date(Date.now() + 3_600_000), more);
  await pool.query(
    `update kith.job set state = 'parked', attempts = 8, handed = 9, error = 'It broke.', failed_at = now() - $2 * interval '1 second' where id = $1`,
    [id, ago],
  );
  return id;
}
const until = async (condition: () => Promise<boolean>): Promise<void> => {
  for (let i = 0; i < 250 && !(await condition()); i++) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(await condition()).toBe(true);
};
const effects = async (of: string): Promise<number> =>
  (await world.runtime.pool.query<{ n: number }>('select count(*) as n from works.effect where "of" = $1', [of])).rows[0]!.n;

it('lists them page by page, the last to fail first, with what they were to do and why they failed', async () => {
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) ids.unshift(await park('works.make', { of: `listed ${i}` }, 100 - i));
  const first = await ask<Listed>('GET', '/jobs?state=parked&limit=3');
  const second = await ask<Listed>('GET', `/jobs?limit=3&cursor=${first.nextCursor}`);
  expect([...first.data, ...second.data].map(({ id }) => id)).toEqual(ids);
  expect(second.nextCursor).toBeNull();
  expect(first.data[0]).toMatchObject({
    handler: 'works.make',
    label: 'works.make',
    lane: 'default',
    data: { of: 'listed 4' },
    attempts: 8,
    error: 'It broke.',
  });
  expect((await world.request('GET', '/jobs?state=waiting', { key })).status).toBe(400);
  expect((await world.request('GET', '/jobs?cursor=x', { key })).status).toBe(400);
  const glance = await ask<{ lanes: { lane: string; counts: Record<string, number> }[]; parked: unknown[] }>('GET', '/jobs/summary');
  expect(glance.lanes.map(({ lane }) => lane)).toEqual(['interactive', 'default', 'bulk']);
  expect(glance.lanes[1]!.counts).toEqual({ waiting: 0, queued: 0, calling: 0, parked: 5 });
  expect(glance.parked).toEqual([{ handler: 'works.make', label: 'works.make', count: 5 }]);
});

it('does one again at once, and those of a kind, each once', async () => {
  const id = await park('works.make', { of: 'again' });
  await ask('POST', `/jobs/${id}/replay`, {});
  await until(async () => (await effects('again')) === 1);
  expect((await world.request('POST', `/jobs/${id}/replay`, { key, body: {} })).status).toBe(404);
  for (let i = 0; i < 20; i++) await park('works.make', { of: 'kind' });
  await park('works.gone', { of: 'kind' });
  expect(await ask('POST', '/jobs/replay', { handler: 'works.make' })).toEqual({ count: 20 });
  await until(async () => (await effects('kind')) === 20);
  const { data } = await ask<Listed>('GET', '/jobs');
  expect(data.map(({ handler }) => handler)).toEqual(['works.gone']);
});

it('keeps a key to one of those that wait', async () => {
  const parked = await park('works.make', { of: 'keyed' }, 0, { key: 'k' });
  const again = await park('works.make', { of: 'keyed' }, 0, { key: 'k' });
  await addJob(world.runtime.pool, 'works.make', 'default', { of: 'keyed' }, new Date(Date.now() + 3_600_000), { key: 'k' });
  expect(await ask('POST', '/jobs/replay', { ids: [parked, again] })).toEqual({ count: 2 });
  await until(async () => (await effects('keyed')) === 2);
});

it('drops one, and all of a kind, and nothing that is not parked', async () => {
  const [id, other] = [await park('works.make', { of: 'never' }), await park('works.make', { of: 'never' })];
  const waiting = await addJob(world.runtime.pool, 'works.make', 'default', { of: 'later' }, new Date(Date.now() + 3_600_000));
  await ask('DELETE', `/jobs/${id}`);
  expect(await ask('POST', '/jobs/drop', { handler: 'works.make' })).toEqual({ count: 1 });
  expect(await ask('POST', '/jobs/drop', { ids: [waiting] })).toEqual({ count: 0 });
  expect((await world.request('DELETE', `/jobs/${waiting}`, { key })).status).toBe(404);
  expect((await world.request('DELETE', `/jobs/${other}`, { key })).status).toBe(404);
  for (const body of [{}, { ids: ['x'] }, { ids: [id], handler: 'works.make' }])
    expect((await world.request('POST', '/jobs/drop', { key, body })).status).toBe(400);
  expect(await effects('never')).toBe(0);
});
