import fs from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openPool } from '../database.ts';
import { checkDatabase, checkMachine, type Check } from '../runtime.ts';
import { createTestWorld, testEnv, type TestWorld } from '../testing.ts';
import { lab, labServer } from '../testing/lab.ts';

let world: TestWorld;
let folder: string;
beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kith-doctor-'));
  fs.chmodSync(folder, 0o700);
  world = await createTestWorld({ plugins: [lab], servers: [labServer] });
});
afterAll(async () => {
  await world.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

const look = (over: { url?: string; publicHost?: boolean; secret?: string; plugins?: never[] } = {}) =>
  checkDatabase({ plugins: [lab], servers: [labServer], url: world.databaseUrl, publicHost: false, secret: testEnv('').secret, ...over });
/** What is not well, by name; each with something to do. */
const ill = (checks: Check[]): Record<string, string> => {
  for (const one of checks) expect(one.todo !== undefined, one.name).toBe(one.verdict !== 'ok');
  return Object.fromEntries(checks.filter(({ verdict }) => verdict !== 'ok').map(({ name, verdict }) => [name, verdict]));
};

it('finds a running Kith in good health', async () => {
  await expect.poll(async () => ill(await look())).toEqual({});
});

it('names what is wrong in the database, and what to do', async () => {
  const { pool } = world.runtime;
  await pool.query(
    `insert into kith.job (id, handler, lane, data, due, state) values (gen_random_uuid(), 'x.y', 0, '{}', now() - interval '1 hour', 'waiting'),
       (gen_random_uuid(), 'x.y', 0, '{}', now(), 'parked')`,
  );
  await pool.query(`insert into kith.migration (plugin, name) values ('gone', '0001')`);
  await pool.query('create schema gone');
  await pool.query(`update pg_index set indisvalid = false where indexrelid = 'lab.sample_live'::regclass`);
  await pool.query(`insert into kith.unsettled (record, field, object, author, version, cause_kind, due)
    values (gen_random_uuid(), 'name', 'lab.thing', gen_random_uuid(), 1, 'api', now() - interval '1 hour')`);
  await world.runtime.sessions.createUser({ email: 'nancy@northwind.example', role: 'member', name: 'N' });
  expect(ill(await look({ publicHost: true }))).toEqual({
    jobs: 'broken',
    parked: 'warning',
    plugins: 'warning',
    indexes: 'warning',
    settling: 'warning',
    demo: 'broken',
  });
  await pool.query(`delete from kith.field where object = 'lab.thing'`);
  await pool.query('alter table lab.thing drop column country cascade');
  expect(ill(await look())).toMatchObject({ migrations: 'broken' });
});

it('says when the database is empty, or not there', async () => {
  const url = new URL(world.databaseUrl);
  url.pathname = '/postgres';
  expect(ill(await look({ url: url.href }))).toMatchObject({ migrations: 'broken' });
  url.pathname = '/nowhere';
  expect(ill(await look({ url: url.href }))).toEqual({ postgres: 'broken' });
  const login = openPool(world.databaseUrl, 1, 'test');
  await login.query(
    `do $$ begin if not exists (select from pg_roles where rolname = 'doctor_poor') then create role doctor_poor login password 'x'; end if; end $$`,
  );
  await login.end();
  const poor = new URL(world.databaseUrl);
  poor.username = 'doctor_poor';
  poor.password = 'x';
  expect(ill(await look({ url: poor.href }))).toMatchObject({ rights: 'broken' });
});

it('looks at the machine: rights, ports, Redis and mail', async () => {
  const taken = net.createServer((socket) => socket.end('what?'));
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as AddressInfo;
  const env = { ...testEnv(world.databaseUrl), databaseUrl: undefined, dataDir: folder, port: 0 };
  fs.writeFileSync(path.join(folder, 'secret'), 'x', { mode: 0o644 });
  expect(ill(await checkMachine(env))).toEqual({ mail: 'warning', secret: 'warning' });
  fs.chmodSync(folder, 0o755);
  expect(ill(await checkMachine({ ...env, port, redisUrl: 'redis://127.0.0.1:1', smtpUrl: 'smtp://me:secret@127.0.0.1:1' }))).toEqual({
    folder: 'warning',
    secret: 'warning',
    port: 'broken',
    redis: 'broken',
    mail: 'broken',
  });
  taken.close();
});
