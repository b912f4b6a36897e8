/** A new version whose migration fails, beside one that serves. */
import { definePlugin, defineServer, object, text } from '@kith/sdk';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openPool } from '../database.ts';
import { createTestWorld, type TestWorld } from '../testing.ts';
import { changesMissing, createRuntime, migrate } from '../runtime.ts';
import { MIGRATION_LOCK } from './migrate.ts';

// Templates of databases are shared by the ids of plugins: no other test’s plugin may have this one.
const common = { id: 'acme', sdk: '^1.0.0', part: 'operational', locales: { en: { 'plugin.acme': 'Acme' } } } as const;
const old = definePlugin({
  ...common,
  version: '1.0.0',
  objects: { thing: object({ icon: 'box', title: ['name'], search: ['name'], fields: { name: text({ required: true }) } }) },
});
const next = definePlugin({
  ...common,
  version: '2.0.0',
  objects: {
    thing: object({
      icon: 'box',
      title: ['name'],
      search: ['name', 'nick'],
      fields: { name: text({ required: true }), nick: text({ indexed: true }) },
    }),
  },
});
const MIGRATION = ['create table acme.ours (id integer primary key)', `insert into acme.ours select n from generate_series(1, 3) n`];
const failing = defineServer(next, { migrations: [{ name: '0001-ours', up: [...MIGRATION, 'insert into acme.ours values (1)'] }] });
const mended = defineServer(next, { migrations: [{ name: '0001-ours', up: MIGRATION }] });
const oldServer = defineServer(old, {});

let world: TestWorld;
beforeAll(async () => {
  world = await createTestWorld({ plugins: [old], servers: [oldServer], roles: ['web', 'worker'] });
});
afterAll(() => world.close());

it('fails in one line, leaves nothing of the step, and the version before goes on', async () => {
  const { databaseUrl } = world;
  const thing = world.object('acme.thing');
  const before = await world.runtime.records.create(world.actor, thing, { name: 'before' });
  const told = await migrate({ plugins: [next], servers: [failing], databaseUrl }).then(
    () => '',
    (error: Error) => `${error.name}: ${error.message}`,
  );
  expect(told).toMatch(
    /^BootError: Migration acme\/0001-ours failed and was taken back: duplicate key .*\. Processes of the version before go on\. /,
  );
  expect(told).not.toContain('\n');
  const { pool } = world.runtime;
  expect((await pool.query(`select to_regclass('acme.ours') as ours`)).rows).toEqual([{ ours: null }]);
  expect((await pool.query(`select from kith.migration where plugin = 'acme'`)).rowCount).toBe(0);

  // The old one reads, writes, finds and starts anew; the new one does not start.
  await world.runtime.records.patch(world.actor, thing, before.id, { name: 'after' });
  await world.runtime.records.create(world.actor, thing, { name: 'another' });
  const { data } = await world.runtime.query.list(world.me, thing, { search: 'after' });
  expect(data.map((rec) => rec.id)).toEqual([before.id]);
  await (await world.another()).close();
  const env = world.runtime.env;
  await expect(createRuntime({ roles: [], plugins: [next], servers: [failing], env, databaseUrl })).rejects.toThrow(
    /behind by 1 change \(acme\/0001-ours\)/,
  );
  expect(await changesMissing({ plugins: [next], servers: [mended], databaseUrl })).toBe(1);

  // Mended, it goes on where it was, and the old one still serves.
  expect((await migrate({ plugins: [next], servers: [mended], databaseUrl })).applied).toContain('acme/0001-ours');
  expect(await changesMissing({ plugins: [next], servers: [mended], databaseUrl })).toBe(0);
  await world.runtime.records.patch(world.actor, thing, before.id, { name: 'still' });
});

it('lets one process migrate, and tells the others that they wait', async () => {
  const { databaseUrl } = world;
  const pool = openPool(databaseUrl, 1, 'test');
  const holder = await pool.connect();
  await holder.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
  const notes: string[] = [];
  let done = false;
  const waiting = migrate({ plugins: [next], servers: [mended], databaseUrl, note: (line) => notes.push(line) }).then(() => (done = true));
  await expect.poll(() => notes).toEqual([expect.stringContaining('Another process is bringing the database up to date')]);
  expect(done).toBe(false);
  holder.release(true);
  await waiting;
  await pool.end();
});
