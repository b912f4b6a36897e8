/** Plugins switched on and off while processes run, and purged when they have left. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { Rec } from '@kith/sdk';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { transaction } from '../database.ts';
import { addJob } from '../jobs/rows.ts';
import { createRuntime, migrate, orphanedPlugins, purgePlugin, storedPlugins, type Runtime } from '../runtime.ts';
import { storedBy } from './stored.ts';
import { createTestWorld, testEnv, type TestWorld } from '../testing.ts';
import { partnerOf, type Outsider } from '../testing/outsiders.ts';
import { shop, shopServer, yard, yardServer } from '../testing/yard.ts';

const all = { plugins: [shop, yard], servers: [shopServer, yardServer] };
let world: TestWorld;
/** Another process, with a worker. */
let other: Runtime;
let admin: string;

beforeEach(async () => {
  world = await createTestWorld({ ...all, roles: ['web'] });
  other = await world.another({ roles: ['web', 'worker'] });
  admin = await world.key('admin');
  // Only who is known to be there is waited for.
  await until(() => Promise.resolve(world.runtime.bus.peers === 1 && other.bus.peers === 1));
});
afterEach(() => world.close());

interface Answer {
  status: number;
  body: { code?: string; detail?: string; data?: Rec[]; fields?: Record<string, unknown>; id?: string } & Record<string, unknown>;
}
const ask = async (runtime: Runtime, method: string, to: string, body?: unknown, key = admin): Promise<Answer> => {
  const response = await runtime.api.handle(
    new Request(`http://kith.internal/api/v1${to}`, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
    { ip: '127.0.0.1' },
  );
  const text = await response.text();
  return { status: response.status, body: (text === '' ? {} : JSON.parse(text)) as Answer['body'] };
};
const api = (method: string, to: string, body?: unknown): Promise<Answer> => ask(world.runtime, method, to, body);
const make = async (object: string, fields: Record<string, unknown>): Promise<Rec> => {
  const { status, body } = await api('POST', `/records/${object}`, fields);
  expect(status, JSON.stringify(body)).toBe(201);
  return body as unknown as Rec;
};
const until = async (what: () => Promise<boolean>): Promise<void> => {
  for (let i = 0; i < 400; i++) {
    if (await what()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error('it did not come to that');
};
const crates = async (name: string): Promise<number> => {
  const { rows } = await world.runtime.pool.query<{ n: number }>('select count(*)::int as n from yard.crate where name = $1', [name]);
  return rows[0]!.n;
};
/** Every path of the plugin, as somebody in each process would try it. */
const statuses = async (id: string): Promise<Record<string, number>> => {
  const paths: [string, string, unknown?][] = [
    ['GET', '/objects/yard.crate'],
    ['GET', '/records/yard.crate'],
    ['GET', `/records/yard.crate/${id}`],
    ['PATCH', `/records/yard.crate/${id}`, { name: 'other' }],
    ['POST', '/records/yard.crate', { name: 'new' }],
    ['POST', `/records/yard.crate/${id}/actions/close`, {}],
    ['GET', `/records/yard.crate/${id}/history`],
    ['POST', '/collab/ticket', { object: 'yard.crate', id }],
    ['GET', '/x/yard/count'],
  ];
  const found: Record<string, number> = {};
  for (const runtime of [world.runtime, other])
    for (const [method, to, body] of paths)
      found[`${runtime === other ? 'there' : 'here'} ${method} ${to.replace(id, '{id}')}`] = (await ask(runtime, method, to, body)).status;
  return found;
};

describe('switching', () => {
  it('takes a plugin out of every process at once, and brings all of it back', async () => {
    const item = await make('shop.item', { name: 'Lamp', yard__shelf: 'B' });
    const crate = await make('yard.crate', { name: 'one', item: item.id });
    await until(async () => (await crates('for Lamp')) === 1);
    expect(Object.values(await statuses(crate.id)).every((status) => status < 300)).toBe(true);
    const before = (await api('GET', `/records/shop.item/${item.id}`)).body.fields!;
    expect(before).toMatchObject({ yard__shelf: 'B', yard__crates: 1 });

    // Told and done in the other process when the answer is here.
    expect((await ask(other, 'POST', '/plugins/yard/disable')).body).toMatchObject({ id: 'yard', enabled: false, stored: { exact: true } });
    const gone = await statuses(crate.id);
    expect(new Set(Object.values(gone)), JSON.stringify(gone)).toEqual(new Set([404]));
    expect((await api('GET', '/records/yard.crate')).body.code).toBe('plugin_off');

    // Its fields, options to choose, views and words are gone from what others have; the values are not.
    const now = (await api('GET', `/records/shop.item/${item.id}`)).body.fields!;
    expect(Object.keys(now).sort()).toEqual(['kind', 'name', 'size']);
    const { data } = (await api('GET', '/records/shop.item?count=exact')).body;
    expect(Object.keys(data![0]!.fields)).not.toContain('yard__shelf');
    expect((await api('PATCH', `/records/shop.item/${item.id}`, { yard__shelf: 'C' })).status).toBe(422);
    for (const list of [
      '?sort=yard__shelf',
      '?fields=yard__shelf',
      `?filter=${encodeURIComponent('{"field":"yard__shelf","op":"eq","value":"B"}')}`,
    ])
      expect((await api('GET', `/records/shop.item${list}`)).status, list).toBe(400);
    const meta = (await api('GET', '/objects/shop.item')).body as unknown as {
      fields: { name: string }[];
      views: { id: string }[];
      relations: unknown[];
    };
    expect(meta.fields.map(({ name }) => name)).toEqual(['name', 'size', 'kind']);
    expect([meta.views, meta.relations]).toEqual([[], []]);
    const history = (await api('GET', `/records/shop.item/${item.id}/history`)).body;
    expect(JSON.stringify(history)).not.toContain('yard__');
    expect(JSON.stringify((await api('GET', '/openapi.json')).body)).not.toContain('yard');
    expect(JSON.stringify((await api('GET', '/search?q=one')).body)).not.toContain(crate.id);

    // Others go on as they did, a required field of the plugin notwithstanding.
    const stool = await make('shop.item', { name: 'Stool' });
    expect((await api('PATCH', `/records/shop.item/${item.id}`, { size: 3 })).status).toBe(200);

    expect((await api('POST', '/plugins/yard/enable')).status).toBe(200);
    expect(Object.values(await statuses(crate.id)).every((status) => status < 300)).toBe(true);
    expect((await api('GET', `/records/shop.item/${item.id}`)).body.fields).toEqual({ ...before, size: 3 });
    expect((await api('GET', `/records/shop.item/${stool.id}`)).body.fields).toMatchObject({ yard__shelf: 'A' });
  });

  it('lets jobs and consumers wait, and go on where they were', async () => {
    await api('POST', '/plugins/yard/disable');
    await transaction(world.runtime.pool, (client) => addJob(client, 'yard.label', 'default', 'x', new Date(), {}));
    world.runtime.bus.jobsAdded();
    await make('shop.item', { name: 'Chair' });
    await until(async () => {
      const { rows } = await world.runtime.pool.query<{ n: number }>('select count(*)::int as n from kith.event_log');
      return rows[0]!.n > 0;
    });
    // Longer than a worker takes for its look.
    await new Promise((resolve) => setTimeout(resolve, 1_300));
    expect([await crates('labelled x'), await crates('for Chair')]).toEqual([0, 0]);
    const { rows } = await world.runtime.pool.query<{ state: string }>('select state from kith.job');
    expect(rows).toEqual([{ state: 'waiting' }]);

    await api('POST', '/plugins/yard/enable');
    await until(async () => (await crates('labelled x')) === 1 && (await crates('for Chair')) === 1);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect([await crates('labelled x'), await crates('for Chair')]).toEqual([1, 1]);
  });

  it('keeps partners out, and lets them in again', async () => {
    const keeper = await make('shop.item', { name: 'Keeper' });
    const crate = await make('yard.crate', { name: 'theirs', keeper: keeper.id });
    const ann: Outsider = await partnerOf(world.runtime, 'keeper', keeper.id, 'Ann');
    const asAnn = (runtime: Runtime, to: string, fields?: object): Promise<Response> =>
      runtime.api.handle(
        new Request(`http://kith.internal/api/v1${to}`, {
          headers: { ...ann.headers, 'content-type': 'application/json' },
          ...(fields ? { method: 'PATCH', body: JSON.stringify(fields) } : {}),
        }),
        { ip: '127.0.0.1' },
      );
    const seen = async (runtime: Runtime): Promise<number> => (await asAnn(runtime, `/records/yard.crate/${crate.id}`)).status;
    expect([await seen(world.runtime), await seen(other)]).toEqual([200, 200]);
    // What is not opened to her is as if it did not exist, and cannot be named.
    const named = await asAnn(other, `/records/yard.crate/${crate.id}`, { name: 'hers', item: keeper.id });
    expect([named.status, ((await named.json()) as { errors: unknown }).errors]).toMatchObject([422, [{ field: 'item' }]]);
    expect((await api('GET', `/records/yard.crate/${crate.id}`)).body.fields).toMatchObject({ name: 'theirs', item: null });
    await api('POST', '/plugins/yard/disable');
    expect([await seen(world.runtime), await seen(other)]).toEqual([404, 404]);
    expect(((await (await asAnn(world.runtime, '/records/yard.crate')).json()) as { code: string }).code).toBe('not_found');
    await api('POST', '/plugins/yard/enable');
    expect([await seen(world.runtime), await seen(other)]).toEqual([200, 200]);
  });

  it('says what stands in the way, and changes nothing', async () => {
    const refused = await api('POST', '/plugins/shop/disable');
    expect(refused.status).toBe(409);
    expect(refused.body.detail).toBe('“shop” is needed by “yard”; switch that off first.');
    expect((await api('GET', '/records/shop.item')).status).toBe(200);
    expect((await api('POST', '/plugins/nothing/disable')).status).toBe(404);
    await api('POST', '/plugins/yard/disable');
    await api('POST', '/plugins/shop/disable');
    expect((await api('GET', '/records/shop.item')).status).toBe(404);
    expect((await api('POST', '/plugins/yard/enable')).body.detail).toBe('“yard” needs “shop”; switch that on first.');
    // A process that starts now goes by it too.
    const third = await world.another();
    expect(third.plugins.on).toEqual([]);
    await api('POST', '/plugins/shop/enable');
    expect(third.plugins.on).toEqual(['shop']);
    const { data } = (await api('GET', '/plugins')).body as unknown as {
      data: { id: string; enabled: boolean; needs: unknown; neededBy: unknown; contributes: unknown }[];
    };
    expect(data).toMatchObject([
      { id: 'shop', enabled: true, neededBy: [{ id: 'yard', on: false }] },
      {
        id: 'yard',
        label: 'Yard',
        version: '1.2.0',
        enabled: false,
        needs: [{ id: 'shop', range: '^1.0.0', on: true }],
        contributes: {
          objects: [{ name: 'yard.crate', label: 'Crates' }],
          fields: 2,
          actions: 1,
          portals: ['keeper'],
          routes: 1,
          jobs: 1,
          consumers: 1,
        },
      },
    ]);
  });

  it('ends well when two switch at the same moment', async () => {
    const answers = await Promise.all([
      ask(world.runtime, 'POST', '/plugins/yard/disable'),
      ask(other, 'POST', '/plugins/shop/disable'),
      ask(other, 'POST', '/plugins/yard/enable'),
    ]);
    expect(answers.every(({ status }) => status === 200 || status === 409)).toBe(true);
    const { rows } = await world.runtime.pool.query<{ id: string; enabled: boolean }>('select id, enabled from kith.plugin');
    const off = new Set(rows.filter(({ enabled }) => !enabled).map(({ id }) => id));
    expect(off.has('shop') && !off.has('yard')).toBe(false);
    for (const runtime of [world.runtime, other]) expect(runtime.plugins.on).toEqual(['shop', 'yard'].filter((id) => !off.has(id)));
  });
});

describe('what a plugin has stored', () => {
  it('is estimated where counting would read a large table once for each column', async () => {
    const { pool } = world.runtime;
    const before = (await storedPlugins(world.runtime, ['shop', 'yard'])).get('yard')!;
    expect(before.columns.every(({ exact }) => exact)).toBe(true);
    await pool.query(
      `insert into shop.item (id, version, created_at, created_by, updated_at, updated_by, name, yard__shelf)
       select gen_random_uuid(), 1, now(), $1, now(), $1, 'many ' || n, case when n % 4 = 0 then 'A' end from generate_series(1, 60000) n`,
      [world.me.id],
    );
    await pool.query('analyze shop.item');
    const asked: string[] = [];
    const watched = { query: (...given: Parameters<typeof pool.query>) => (asked.push(String(given[0])), pool.query(...given)) };
    const { columns } = (await storedBy(watched as unknown as typeof pool, ['yard'])).get('yard')!;
    const shelf = columns.find(({ column }) => column === 'yard__shelf')!;
    expect(shelf.exact).toBe(false);
    expect(Math.abs(shelf.rows - 15_000)).toBeLessThan(1_500);
    expect(asked.filter((text) => text.includes('shop"."item'))).toEqual([]);
    await pool.query(`delete from shop.item where name like 'many %'`);
    await pool.query('vacuum analyze shop.item');
  });
});

describe('purging', () => {
  it('is refused while the plugin is in a build, and says so', async () => {
    const refused = await api('POST', '/plugins/yard/purge', { confirm: 'yard' });
    expect([refused.status, refused.body.code]).toEqual([409, 'conflict']);
    expect((await api('POST', '/plugins/yard/purge', {})).status).toBe(422);
    await make('yard.crate', { name: 'still here' });
  });

  it('writes all of it into a file, takes all of it away, and nothing of others’', async () => {
    const item = await make('shop.item', { name: 'Lamp', yard__shelf: 'B' });
    await make('yard.crate', { name: 'one', item: item.id, note: 'a canary' });
    await until(async () => (await crates('for Lamp')) === 1);
    await world.run(yard, (ctx) => ctx.files.keep({ name: 'paper.txt', data: Buffer.from('paper') }));
    expect((await api('PATCH', '/plugins/yard/settings', { gate: 'a canary' })).status).toBe(200);
    const folder = await mkdtemp(path.join(os.tmpdir(), 'kith-purge-'));
    const rest = {
      plugins: [shop],
      servers: [shopServer],
      env: { ...testEnv(world.databaseUrl), dataDir: folder },
      databaseUrl: world.databaseUrl,
    };
    try {
      await migrate(rest);
      const small = await createRuntime({ ...rest, roles: ['web'], log: () => undefined });
      expect(await orphanedPlugins(small)).toEqual(['yard']);
      // The processes that have it are still running.
      await expect(purgePlugin(small, 'yard', path.join(folder, 'early.gz'))).rejects.toThrow(/in the build of a Kith that is running/);
      await other.close();
      await world.runtime.close();
      const { tables, columns, files } = (await storedPlugins(small, ['yard'])).get('yard')!;
      expect(files).toEqual({ count: 1, bytes: 5 });
      expect([tables, columns]).toMatchObject([
        [{ name: 'yard.crate', rows: 2 }],
        [
          { table: 'shop.item', column: 'yard__crates', rows: 1, exact: true },
          { table: 'shop.item', column: 'yard__shelf', rows: 1 },
        ],
      ]);
      const key = (await small.sessions.createKey({ name: 'after', role: 'admin' })).key;
      const answer = await ask(small, 'POST', '/plugins/yard/purge', { confirm: 'yard' }, key);
      expect([answer.status, answer.body.stored]).toMatchObject([200, { records: 2, exact: true }]);
      const file = answer.body.file as string;
      expect(file.startsWith(path.join(folder, 'purged', 'yard-'))).toBe(true);
      const lines = gunzipSync(await readFile(file))
        .toString()
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(lines[0]).toMatchObject({ format: 'kith-plugin', version: 1, plugin: 'yard' });
      expect(lines).toContainEqual(
        expect.objectContaining({ table: 'yard.crate', row: expect.objectContaining({ name: 'one', note: 'a canary' }) as unknown }),
      );
      expect(lines).toContainEqual({ table: 'shop.item', id: item.id, columns: { yard__shelf: 'B', yard__crates: 1 } });
      expect(lines).toContainEqual({ table: 'kith.file_part', row: expect.objectContaining({ data: '\\x70617065' + '72' }) as unknown });
      expect((await small.pool.query('select from kith.file union all select from kith.file_part')).rowCount).toBe(0);

      const { rows } = await small.pool.query<{ n: number }>(
        `select count(*)::int as n from information_schema.columns where table_schema = 'yard' or column_name like 'yard\\_\\_%'`,
      );
      expect(rows[0]!.n).toBe(0);
      expect((await small.pool.query('select from kith.plugin_setting')).rowCount).toBe(0);
      // Secrets stay encrypted in the file too.
      expect(lines.find(({ table }) => table === 'kith.plugin_setting')).toMatchObject({ row: { name: 'gate', value: null } });
      expect(await orphanedPlugins(small)).toEqual([]);
      expect((await ask(small, 'GET', `/records/shop.item/${item.id}`, undefined, key)).body.fields).toMatchObject({ name: 'Lamp' });
      await expect(purgePlugin(small, 'yard', file)).rejects.toThrow(/no such plugin/);
      await small.close();

      // Installed again, it begins with nothing.
      await migrate({ ...rest, ...all });
      const back = await createRuntime({ ...rest, ...all, roles: ['web'], log: () => undefined });
      expect((await ask(back, 'GET', '/records/yard.crate', undefined, key)).body.data).toEqual([]);
      expect((await ask(back, 'GET', `/records/shop.item/${item.id}`, undefined, key)).body.fields).toMatchObject({ yard__shelf: null });
      await back.close();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
