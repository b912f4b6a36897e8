/** A backup is made while people type and programs write, put back elsewhere, and compared. */
import { randomBytes } from 'node:crypto';
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { createDatabase, dropDatabase } from '@kith/core/postgres/embedded';
import { backup, createRuntime, restore, type Runtime } from '@kith/core/runtime';
import { testEnv } from '@kith/core/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as Y from 'yjs';
import { columnsEqualDocument, connect, crm, liveWorld, projection, serve, server, type LiveWorld } from '../testing/world.ts';
import { CLOSE } from './protocol.ts';

let world: LiveWorld;
let folder: string;
const made: string[] = [];
const guests = { plugins: [crm], servers: [server] };
const postgres = process.env['KITH_TEST_POSTGRES']!;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'kith-backup-'));
  world = await liveWorld();
});
afterAll(async () => {
  await world.close();
  for (const name of made) await dropDatabase(postgres, name);
  await rm(folder, { recursive: true, force: true });
});

const emptyDatabase = async (): Promise<string> => {
  const name = `kith_restored_${randomBytes(4).toString('hex')}`;
  made.push(name);
  return createDatabase(postgres, name);
};
const write = (name: string) =>
  backup({ ...guests, databaseUrl: world.databaseUrl, env: { dataDir: folder }, file: path.join(folder, name) });
const read = async (name: string, databaseUrl: string, dataDir = path.join(folder, 'elsewhere')) =>
  restore({ ...guests, databaseUrl, env: { dataDir }, file: path.join(folder, name) });
const open = (databaseUrl: string): Promise<Runtime> =>
  createRuntime({ ...guests, roles: ['web'], env: testEnv(databaseUrl), databaseUrl });

/** Every row of every table as text, in order. */
async function rowsOf({ pool }: Pick<Runtime, 'pool'>, leave: (table: string) => boolean): Promise<Record<string, string[]>> {
  const { rows: tables } = await pool.query<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('kith', 'crm', 'gone') and c.relkind in ('r', 'p') and not c.relispartition order by 1`,
  );
  const all: Record<string, string[]> = {};
  for (const { name } of tables) {
    if (leave(name)) continue;
    const { rows } = await pool.query<{ row: string }>(`select t::text as row from ${name} t order by 1`);
    all[name] = rows.map(({ row }) => row);
  }
  return all;
}

it('puts everything back row by row and document by document', async () => {
  const { pool } = world.runtime;
  const some = [];
  for (let i = 0; i < 20; i++) {
    const rec = await world.company({
      city: `Graz\\t${i}`,
      summary: 'tab\tline\n\\N end',
      notes: '# One\n\n* two',
      revenue: { amount: '1.50', currency: 'EUR' },
    });
    some.push(rec.id);
    if (i % 2) continue;
    const typist = await world.join(rec.id);
    typist.doc.getText('summary').insert(0, `typed ${i} `);
    typist.doc.getMap('fields').set('country', 'Österreich');
    await typist.saved();
    typist.leave();
  }
  // What a plugin left behind: a table with a type, a sequence, a computed column, an index, a reference, a column at a neighbour's.
  await pool.query(`create schema gone;
    create type gone.mood as enum ('up', 'down');
    create table gone.thing (id bigint generated always as identity primary key, mood gone.mood not null default 'up', n integer check (n > 0),
      twice integer generated always as (n * 2) stored, company uuid references crm.company (id));
    create index thing_n on gone.thing (n) where n > 1;
    create function gone.half(n integer) returns integer language sql immutable return n / 2;
    create view gone.halves as select gone.half(twice) as n from gone.thing;
    alter table crm.company add column gone__rating integer default 3`);
  await pool.query(`insert into gone.thing (n, company) select n, $1 from generate_series(1, 3) n`, [some[0]]);
  await pool.query(`insert into kith.migration (plugin, name) values ('gone', '0001-things')`);
  // Work in each of its states.
  await pool.query(
    `insert into kith.job (id, handler, lane, key, data, due, state, lease) select gen_random_uuid(), 'crm.' || s, 0, 'k', '{}', now(), s,
       case when s in ('queued', 'calling') then now() + interval '1 hour' end from unnest(array['waiting', 'queued', 'calling', 'parked']) s`,
  );
  await writeFile(path.join(folder, 'README'), '');
  await world.node.collab.idle();
  await new Promise((resolve) => setTimeout(resolve, 300));

  const result = await write('quiet.backup');
  expect(result.documents).toBe(10);
  const elsewhere = await emptyDatabase();
  const back = await read('quiet.backup', elsewhere);
  expect(back.orphans).toEqual(['gone']);
  const there = await open(elsewhere);
  try {
    // Documents begin new lives; who is signed in, the installation’s name and the wall’s logins are of one place; jobs are handed out anew.
    const leave = (table: string): boolean =>
      /^kith\.(doc_.*|session|ticket|setting|job|field|migration|consumer|outbox|event_log|event_counter)$/.test(table);
    expect(await rowsOf(there, leave)).toEqual(await rowsOf(world.runtime, leave));
    for (const id of some.filter((_, i) => i % 2 === 0)) {
      const [columns, document] = await columnsEqualDocument({ runtime: there, object: world.object }, id);
      expect(document).toEqual(columns);
      expect(document).toEqual(await projection(world, id));
    }
    const { rows: jobs } = await there.pool.query(
      `select handler, state, key, lease < now() as over from kith.job where handler like 'crm.%' order by 1`,
    );
    expect(jobs).toEqual([
      { handler: 'crm.calling', state: 'calling', key: 'k', over: true },
      { handler: 'crm.parked', state: 'parked', key: 'k', over: null },
      { handler: 'crm.queued', state: 'waiting', key: null, over: null },
      { handler: 'crm.waiting', state: 'waiting', key: 'k', over: null },
    ]);
    const { rows: events } = await there.pool.query(
      `select (select last from kith.event_counter) >= coalesce((select max(position) from kith.event_log), 0) as counter`,
    );
    expect(events).toEqual([{ counter: true }]);
    // What left works as before: its identity goes on, its check holds, its view computes.
    await there.pool.query('insert into gone.thing (n) values (9)');
    expect((await there.pool.query('select id, twice from gone.thing where n = 9')).rows).toEqual([{ id: 4, twice: 18 }]);
    await expect(there.pool.query('insert into gone.thing (n) values (0)')).rejects.toThrow(/check/);
    expect((await there.pool.query('select sum(n)::int as n from gone.halves')).rows).toEqual([{ n: 15 }]);
    const { rowCount: invalid } = await there.pool.query('select from pg_index where not indisvalid');
    expect(invalid).toBe(0);
    const indexes = `select schemaname || '.' || indexname || ': ' || indexdef as i from pg_indexes where schemaname in ('kith', 'crm', 'gone') order by 1`;
    expect((await there.pool.query(indexes)).rows).toEqual((await world.runtime.pool.query(indexes)).rows);
  } finally {
    await there.close();
  }
});

it('is of one moment, while people type and programs write', async () => {
  const before = await world.company({ name: 'Before', summary: '' });
  const typists = [await world.join(before.id), await world.join(before.id)];
  const created: string[] = [];
  let typed = 0;
  for (; typed < 40; typed++) typists[typed % 2]!.doc.getText('summary').insert(0, `<${typed}>`);
  await Promise.all(typists.map((one) => one.saved()));
  let going = true;
  const programs = (async () => {
    while (going) created.push((await world.company({ name: `Live ${created.length}`, city: 'x' })).id);
  })();
  const people = (async () => {
    while (going) {
      for (const { doc } of typists) doc.getText('summary').insert(0, `<${typed++}>`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  })();
  while (created.length < 20 || typed < 60) await new Promise((resolve) => setTimeout(resolve, 5));
  const sure = created.length;
  await write('live.backup');
  going = false;
  await Promise.all([programs, people]);

  const elsewhere = await emptyDatabase();
  await read('live.backup', elsewhere);
  const there = await open(elsewhere);
  try {
    const [columns, document] = await columnsEqualDocument({ runtime: there, object: world.object }, before.id);
    expect(document).toEqual(columns);
    // All that was acknowledged before, nothing twice.
    const tokens = [...String(columns['summary']).matchAll(/<\d+>/g)].map(([token]) => token);
    expect(new Set(tokens).size).toBe(tokens.length);
    expect(tokens.length).toBeGreaterThanOrEqual(40);
    // Written one after another, they are a beginning of the row without a hole, each with its one event.
    const { rows } = await there.pool.query<{ id: string; events: number }>(
      `select c.id, (select count(*) from kith.outbox o where o.record = c.id and o.kind = 'created')
         + (select count(*) from kith.event_log l where l.record = c.id and l.kind = 'created') as events from crm.company c where c.name like 'Live %'`,
    );
    const got = new Set(rows.map(({ id }) => id));
    expect(got.size).toBeGreaterThanOrEqual(sure);
    expect(created.slice(0, got.size).every((id) => got.has(id))).toBe(true);
    expect(rows.every(({ events }) => events === 1)).toBe(true);
  } finally {
    await there.close();
    typists.forEach((one) => one.leave());
  }
});

it('closes who comes with a copy of what was put back, also of a document made since', async () => {
  const [old, later] = [await world.company({ name: 'Old' }), await world.company({ name: 'Later', summary: 'seed' })];
  const first = await world.join(old.id);
  first.doc.getText('summary').insert(0, 'once');
  await first.saved();
  await write('copies.backup');
  // After the backup: more text, and a document that it does not know.
  first.doc.getText('summary').insert(4, ' more');
  await first.saved();
  const second = await world.join(later.id);
  second.doc.getText('summary').insert(4, ' more');
  await second.saved();
  const copies = [first, second].map(({ doc }) => Y.encodeStateAsUpdate(doc));
  first.leave();
  second.leave();

  const elsewhere = await emptyDatabase();
  await read('copies.backup', elsewhere);
  const there = await open(elsewhere);
  const node = await serve(there);
  try {
    for (const [i, id] of [old.id, later.id].entries()) {
      const doc = new Y.Doc();
      Y.applyUpdate(doc, copies[i]!);
      const stale = connect(node, id, world.apiKey, doc);
      await expect.poll(() => stale.closes).toContain(CLOSE.gone);
      stale.leave();
      const fresh = connect(node, id, world.apiKey);
      await expect.poll(() => fresh.provider.synced).toBe(true);
      expect(fresh.doc.getText('summary').toString()).toBe(i === 0 ? 'once' : 'seed');
      fresh.leave();
    }
  } finally {
    await node.stop();
    await there.close();
  }
});

it('refuses what is no backup, not whole, newer, or would go on top of something, and writes nothing', async () => {
  await write('good.backup');
  const good = await readFile(path.join(folder, 'good.backup'));
  const change = (from: string, to: string): Buffer =>
    zstdCompressSync(Buffer.from(zstdDecompressSync(good).toString('latin1').replace(from, to), 'latin1'));
  const cases: [name: string, bytes: Buffer, code: string][] = [
    ['garbage', randomBytes(5_000), 'backup_unreadable'],
    ['empty', Buffer.alloc(0), 'backup_unreadable'],
    ['another tar', zstdCompressSync(Buffer.alloc(2_048, 'x')), 'backup_unreadable'],
    ['cut', good.subarray(0, Math.floor(good.length / 2)), 'backup_damaged'],
    ['cut at its end', zstdCompressSync(zstdDecompressSync(good).subarray(0, -4_096)), 'backup_damaged'],
    ['altered', change('Later', 'Laxer'), 'backup_damaged'],
    ['newer format', change('"format": 1', '"format": 9'), 'backup_newer'],
  ];
  const target = await emptyDatabase();
  for (const [name, bytes, code] of cases) {
    await writeFile(path.join(folder, name), bytes);
    await expect(read(name, target), name).rejects.toMatchObject({ code });
  }
  await expect(read('missing', target)).rejects.toMatchObject({ code: 'backup_unreadable' });
  const newer = { ...crm, version: '0.9.0' };
  await expect(
    restore({ ...guests, plugins: [newer], databaseUrl: target, env: { dataDir: folder }, file: path.join(folder, 'good.backup') }),
  ).rejects.toMatchObject({ code: 'backup_newer' });
  await expect(read('good.backup', world.databaseUrl)).rejects.toMatchObject({ code: 'not_empty' });
  await expect(write('good.backup')).rejects.toMatchObject({ code: 'backup_exists' });
  await appendFile(path.join(folder, 'good.backup'), '');
  // Nothing of all that is in the database, and a whole one still goes in.
  await read('good.backup', target);
  const there = await open(target);
  await there.close();
});
