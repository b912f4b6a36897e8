import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { createTestWorld, type TestWorld } from '@kith/core/testing';
import { plugins } from '@kith/installed/plugins';
import { servers } from '@kith/installed/server';
import { afterAll, beforeAll, expect, test } from 'vitest';

let world: TestWorld;
let folder: string;
beforeAll(async () => {
  world = await createTestWorld({ plugins, servers });
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kith-plugins-'));
});
afterAll(async () => {
  await world.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

/** Not waited for in one breath: the process of this test hears what commands tell. */
const kith = (...args: string[]): Promise<{ code: number; out: string; err: string }> =>
  new Promise((resolve) => {
    const env = {
      PATH: process.env['PATH'] ?? '',
      HOME: folder,
      KITH_DATA: path.join(folder, 'data'),
      DATABASE_URL: world.databaseUrl,
      KITH_SECRET: 'a secret of more than thirty-two characters',
    };
    execFile(process.execPath, [path.join(import.meta.dirname, '../main.ts'), ...args], { env }, (error, out, err) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, out, err }),
    );
  });
const until = async (what: () => boolean): Promise<void> => {
  for (let i = 0; i < 200 && !what(); i++) await new Promise((resolve) => setTimeout(resolve, 25));
  expect(what()).toBe(true);
};

test('a plugin is switched off and on beside a Kith that runs, which follows', async () => {
  expect(await kith('plugin', 'disable', 'contacts')).toMatchObject({
    code: 1,
    out: '',
    err: expect.stringMatching(/^“contacts” is needed by .*“sales”.*; switch those off first\.\n$/) as string,
  });
  expect(world.runtime.plugins.isOn('contacts')).toBe(true);
  expect(await kith('plugin', 'disable', 'logistics')).toEqual({ code: 0, out: 'logistics is off.\n', err: '' });
  await until(() => !world.runtime.plugins.isOn('logistics'));
  const listed = JSON.parse((await kith('plugin', 'list', '--json')).out) as {
    plugins: { id: string; state: string }[];
    orphans: unknown[];
  };
  expect(listed.plugins.find(({ id }) => id === 'logistics')).toMatchObject({ state: 'off', needs: ['portals', 'contacts', 'sales'] });
  expect(listed.orphans).toEqual([]);
  expect((await kith('plugin', 'enable', 'logistics')).code).toBe(0);
  await until(() => world.runtime.plugins.isOn('logistics'));
  expect(await kith('plugin', 'enable', 'nothing')).toMatchObject({ code: 1, err: 'There is no such plugin in this build.\n' });
});

test('what is in the build is not purged; what has left is, into a file, and only when somebody says so', async () => {
  expect(await kith('plugin', 'purge', 'logistics', '--yes')).toMatchObject({
    code: 1,
    err: expect.stringContaining('plugin remove logistics') as string,
  });
  await world.runtime.pool.query(`create schema gone; create table gone.thing (id uuid primary key, name text);
    insert into gone.thing values ('00000000-0000-7000-8000-000000000001', 'a canary');
    insert into kith.migration (plugin, name) values ('gone', '0001-begin')`);
  const asked = await kith('plugin', 'purge', 'gone');
  expect([asked.code, asked.err]).toEqual([1, 'This deletes 1 rows in 1 tables of “gone” for good. Say so with --yes.\n']);
  const file = path.join(folder, 'gone.gz');
  expect(await kith('plugin', 'purge', 'gone', '--yes', '--export', file)).toMatchObject({ code: 0, err: '' });
  expect(gunzipSync(fs.readFileSync(file)).toString()).toContain('a canary');
  const { rows } = await world.runtime.pool.query(`select from information_schema.schemata where schema_name = 'gone'`);
  expect(rows).toEqual([]);
});
