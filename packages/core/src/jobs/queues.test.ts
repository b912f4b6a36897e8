import { createTestWorld, type TestWorld } from '../testing.ts';
import { works, worksServer } from '../testing/works.ts';
import { Queues, type Parcel } from './queues.ts';
import pg from 'pg';
import { afterEach, expect, it } from 'vitest';

let world: TestWorld;
afterEach(() => world.close());

it('goes on after it was made while the database was away', async () => {
  world = await createTestWorld({ plugins: [works], servers: [worksServer], roles: [] });
  const admin = new pg.Client({ connectionString: world.databaseUrl.replace(/\/kith_test_[^?]*/, '/postgres') });
  await admin.connect();
  const name = new URL(world.databaseUrl).pathname.slice(1);
  // Nobody is let in: as when the server is just starting.
  await admin.query(`alter database "${name}" allow_connections false`);
  await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name]);
  const queues = new Queues({
    redisUrl: undefined,
    databaseUrl: world.databaseUrl,
    installation: 'x',
    log: () => undefined,
    lockMs: 1_500,
  });
  const got: Parcel[] = [];
  queues.work('default', 2, (parcel) => Promise.resolve(void got.push(parcel)));
  await expect(queues.send('default', [{ handler: 'a', ids: ['1'] }])).rejects.toThrow();
  // The process is not stuck: timers run.
  await new Promise((resolve) => setTimeout(resolve, 300));
  await admin.query(`alter database "${name}" allow_connections true`);
  await admin.end();
  await queues.send('default', [{ handler: 'a', ids: ['2'] }]);
  for (let i = 0; i < 400 && got.length === 0; i++) await new Promise((resolve) => setTimeout(resolve, 25));
  expect(got).toEqual([{ handler: 'a', ids: ['2'] }]);
  await queues.close();
});
