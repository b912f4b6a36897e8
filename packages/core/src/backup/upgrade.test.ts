/** A backup of the version before goes into a newer one; one that cannot be upgraded leaves nothing behind. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { definePlugin, defineServer, number, object, text } from '@kith/sdk';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openPool } from '../database.ts';
import { createDatabase, dropDatabase } from '../postgres/embedded.ts';
import { backup, createRuntime, restore } from '../runtime.ts';
import { createTestWorld, type TestWorld } from '../testing.ts';
import { RESTORING } from './restore.ts';

// Templates of databases are shared by the ids of plugins: no other test’s plugin may have this one.
const common = { id: 'smithy', sdk: '^1.0.0', part: 'operational', locales: { en: { 'plugin.smithy': 'Smithy' } } } as const;
const old = definePlugin({
  ...common,
  version: '1.0.0',
  objects: {
    thing: object({
      icon: 'box',
      title: ['name'],
      search: ['name'],
      fields: { name: text({ required: true }), code: text({ sequence: { prefix: 'T-', start: 100 } }), size: number() },
    }),
  },
});
const next = definePlugin({
  ...common,
  version: '2.0.0',
  objects: {
    thing: object({
      icon: 'box',
      title: ['name'],
      search: ['name', 'nick'],
      fields: {
        name: text({ required: true }),
        code: text({ sequence: { prefix: 'T-', start: 100 } }),
        size: number(),
        nick: text({ indexed: true }),
      },
    }),
  },
});
const before = defineServer(old, {
  migrations: [{ name: '0001-ours', up: ['create table smithy.ours (id integer primary key, n integer)'] }],
});
const ours = before.migrations![0]!;
const after = defineServer(next, { migrations: [ours, { name: '0002-double', up: ['update smithy.ours set n = n * 2'] }] });
const broken = defineServer(next, { migrations: [ours, { name: '0002-double', up: ['update smithy.ours set n = n / 0'] }] });

let world: TestWorld;
let folder: string;
let file: string;
const postgres = process.env['KITH_TEST_POSTGRES']!;
const made: string[] = [];
beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kith-upgrade-'));
  file = path.join(folder, 'old.backup');
  world = await createTestWorld({ plugins: [old], servers: [before] });
  fs.mkdirSync(path.join(folder, 'files/deep'), { recursive: true });
  fs.writeFileSync(path.join(folder, 'files/deep/large'), Buffer.alloc(9_000_000, 'x'));
  fs.writeFileSync(path.join(folder, 'files/empty'), '');
  await world.runtime.records.create(world.actor, world.object('smithy.thing'), { name: 'One', size: 3 });
  await world.runtime.pool.query('insert into smithy.ours values (1, 21)');
  await backup({ plugins: [old], databaseUrl: world.databaseUrl, env: { dataDir: folder }, file });
});
afterAll(async () => {
  await world.close();
  for (const name of made) await dropDatabase(postgres, name);
  fs.rmSync(folder, { recursive: true, force: true });
});
const empty = async (): Promise<string> => {
  const name = `kith_upgraded_${process.pid}_${made.length}`;
  made.push(name);
  return createDatabase(postgres, name);
};

it('goes through the migrations that it has not been through, with its rows', async () => {
  const databaseUrl = await empty();
  const dataDir = path.join(folder, 'new');
  const done = await restore({ plugins: [next], servers: [after], databaseUrl, env: { dataDir }, file });
  expect(done.files).toBe(2);
  expect(fs.readFileSync(path.join(dataDir, 'files/deep/large')).equals(Buffer.alloc(9_000_000, 'x'))).toBe(true);
  expect(fs.readFileSync(path.join(dataDir, 'files/empty'), 'utf8')).toBe('');
  const runtime = await createRuntime({ roles: [], plugins: [next], servers: [after], env: world.runtime.env, databaseUrl });
  try {
    expect((await runtime.pool.query('select n from smithy.ours')).rows).toEqual([{ n: 42 }]);
    const thing = runtime.records.object('smithy.thing');
    const another = await runtime.records.create(world.actor, thing, { name: 'Two', nick: 'second' });
    // Numbers go on where they were.
    const { rows } = await runtime.pool.query<{ code: string; id: string }>('select code, id from smithy.thing order by code');
    expect(rows.map(({ code }) => code)).toEqual(['T-100', 'T-101']);
    expect(rows[1]!.id).toBe(another.id);
    const { data } = await runtime.query.list(world.me, thing, { search: 'one' });
    expect(data).toHaveLength(1);
  } finally {
    await runtime.close();
  }
});

it('takes back what cannot be brought up to date, and lets nobody start on half of it', async () => {
  const databaseUrl = await empty();
  const dataDir = path.join(folder, 'failed');
  await expect(restore({ plugins: [next], servers: [broken], databaseUrl, env: { dataDir }, file })).rejects.toThrow(
    /smithy\/0002-double failed/,
  );
  expect(fs.existsSync(path.join(dataDir, 'files'))).toBe(false);
  await restore({ plugins: [next], servers: [after], databaseUrl, env: { dataDir }, file });
  const pool = openPool(databaseUrl, 1, 'test');
  // As a restore leaves it that was killed.
  await pool.query(`insert into kith.setting (name, value) values ($1, '{}')`, [RESTORING]);
  await pool.end();
  await expect(createRuntime({ roles: [], plugins: [next], servers: [after], env: world.runtime.env, databaseUrl })).rejects.toThrow(
    /broken off/,
  );
});
