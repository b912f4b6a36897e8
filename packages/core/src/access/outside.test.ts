/** People from outside: what they see and may do, and what the database itself lets their login read. */
import {
  allOf,
  anyOf,
  company as companyRule,
  definePlugin,
  guest as guestRule,
  not,
  object,
  owner,
  role,
  text,
  type AnyPlugin,
  type FieldValue,
  type Rec,
  type Rule,
} from '@kith/sdk';
import { loadDoc } from '@kith/doc';
import fc from 'fast-check';
import { sql } from 'kysely';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../ids.ts';
import { openStored } from '../records/documents.ts';
import { createRuntime, migrate } from '../runtime.ts';
import { loginOf, readWall } from '../schema/wall.ts';
import { createTestWorld, testEnv, type TestWorld } from '../testing.ts';
import { guestOfRecord, partnerOf, requestAs, type Outsider } from '../testing/outsiders.ts';
import { port, portServer } from '../testing/port.ts';
import { stateOf } from '../testing/state.ts';
import { can, ruleSql } from './filter.ts';

const CONSIGNMENT = 'port.consignment';
type Body = Record<string, never> & { data: Rec[]; fields: Record<string, FieldValue>; version: number; updatedAt: string; id: string };

let world: TestWorld;
let admin: string;
let acme: string;
let rival: string;
let ann: Outsider;
let rob: Outsider;

const make = async (name: string, fields: Record<string, unknown>): Promise<string> => {
  const { status, body } = await world.request('POST', `/records/${name}`, { key: admin, body: fields });
  expect(status, JSON.stringify(body)).toBe(201);
  return (body as Body).id;
};
const staff = (method: string, path: string, body?: unknown): ReturnType<TestWorld['request']> =>
  world.request(method, path, { key: admin, ...(body === undefined ? {} : { body }) });
const query = (parameters: Record<string, unknown>): string =>
  new URLSearchParams(
    Object.entries(parameters).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
  ).toString();

beforeAll(async () => {
  world = await createTestWorld({ plugins: [port], servers: [portServer] });
  admin = await world.key('admin');
  acme = await make('port.company', { name: 'Acme' });
  rival = await make('port.company', { name: 'Rival' });
  ann = await partnerOf(world.runtime, 'agent', acme, 'Ann');
  rob = await partnerOf(world.runtime, 'agent', rival, 'Rob');
});
afterAll(() => world.close());

/** A consignment of Acme's with something in every field. */
const consignment = (more: Record<string, unknown> = {}): Promise<string> =>
  make(CONSIGNMENT, {
    name: 'Coffee',
    agent: acme,
    note: 'a note',
    brief: 'for you',
    secret: 'hidden-word',
    memo: 'hidden-memo',
    cost: 5,
    ...more,
  });

describe('what somebody from outside sees', () => {
  it('is their rows and fields, in lists, single records, searches, counts and descriptions', async () => {
    const id = await consignment();
    const foreign = await consignment({ agent: rival, name: 'Foreign' });
    const draft = await consignment({ phase: 'draft', name: 'Draft' });
    const as = requestAs(world, ann);
    const one = (await as('GET', `/records/${CONSIGNMENT}/${id}`)).body as Body;
    expect(Object.keys(one.fields).sort()).toEqual(['agent', 'brief', 'items', 'kept', 'name', 'note', 'phase', 'quantity', 'story']);
    expect(one).not.toHaveProperty('createdBy');
    expect(one).not.toHaveProperty('updatedBy');
    for (const other of [foreign, draft, newId()]) expect((await as('GET', `/records/${CONSIGNMENT}/${other}`)).status).toBe(404);
    const list = (await as('GET', `/records/${CONSIGNMENT}?count=exact&refs=1`)).body as Body;
    expect(list.data.map((rec) => rec.id)).toContain(id);
    expect(list.data.every((rec) => rec.fields.agent === acme && rec.fields.phase !== 'draft')).toBe(true);
    expect(JSON.stringify(list)).not.toMatch(/hidden|Foreign|Rival/);
    const search = (words: string): Promise<string[]> =>
      as('GET', `/records/${CONSIGNMENT}?${query({ search: words })}`).then(({ body }) => (body as Body).data.map((rec) => rec.id));
    expect(await search('coff')).toContain(id);
    expect(await search('co')).toContain(id);
    expect(await search('hidden-word')).toEqual([]);
    expect(await search('Foreign')).toEqual([]);
    const meta = (await as('GET', `/objects/${CONSIGNMENT}`)).body as never as {
      fields: { name: string; writable: boolean }[];
      facets: unknown;
    };
    expect(meta.fields.filter((field) => field.writable).map((field) => field.name)).toEqual(['note', 'story', 'quantity', 'kept']);
    expect(meta.facets).toEqual([
      { name: 'agent-r.broker-r.visitor-r', fields: ['name'], access: 'read' },
      { name: 'agent-rw', fields: ['note', 'story'], access: 'write' },
      { name: 'agent-r.broker-r', fields: ['brief'], access: 'read' },
    ]);
    expect((await as('GET', '/objects/port.company')).status).toBe(404);
    expect((await as('GET', '/records/port.company')).status).toBe(404);
  });

  it('cannot be asked about through what is hidden', async () => {
    const as = requestAs(world, ann);
    const path = `/records/${CONSIGNMENT}`;
    const refused = [
      { filter: { field: 'secret', op: 'contains', value: 'h' } },
      { filter: { not: { field: 'cost', op: 'gt', value: 3 } } },
      { filter: { field: 'createdBy', op: 'isNull' } },
      { filter: { field: 'agent.rating', op: 'eq', value: 'x' } },
      { filter: { field: 'broker', op: 'eq', value: rival } },
      { sort: 'secret' },
      { sort: '-cost' },
      { fields: 'name,secret' },
      { totals: 'cost' },
      { group: 'secret' },
      { group: 'phase', sum: 'cost' },
    ];
    for (const parameters of refused)
      expect((await as('GET', `${path}?${query(parameters)}`)).status, JSON.stringify(parameters)).toBe(400);
    expect((await as('GET', `/records/port.item?${query({ filter: { field: 'consignment.secret', op: 'isNull' } })}`)).status).toBe(400);
    expect(
      (await as('GET', `/records/port.item?${query({ filter: { field: 'consignment.name', op: 'eq', value: 'Coffee' } })}`)).status,
    ).toBe(200);
  });

  it('counts only what it may read: version, ETag, time, history, and the past', async () => {
    const id = await consignment();
    const as = requestAs(world, ann);
    const path = `/records/${CONSIGNMENT}/${id}`;
    const first = await as('GET', path);
    await staff('PATCH', path, { cost: 9, memo: 'other' });
    const second = await as('GET', path);
    expect(second.body).toEqual(first.body);
    expect(second.headers.get('etag')).toBe(first.headers.get('etag'));
    /** What a start page calls changed since. */
    const changed = async (): Promise<boolean> => {
      const filter = { field: 'updatedAt', op: 'gt', value: (first.body as Body).updatedAt };
      const { body } = await as('GET', `/records/${CONSIGNMENT}?limit=500&${query({ filter })}`);
      return (body as Body).data.some((rec) => rec.id === id);
    };
    expect(await changed()).toBe(false);
    await staff('PATCH', path, { cost: 10, brief: 'changed' });
    const third = await as('GET', path);
    expect(await changed()).toBe(true);
    expect((third.body as Body).version).toBe((first.body as Body).version + 1);
    const history = (await as('GET', `${path}/history?refs=1`)).body as never as { data: Record<string, unknown>[] };
    expect(history.data).toHaveLength(1);
    expect(history.data[0]).toMatchObject({ kind: 'change', changes: { brief: ['for you', 'changed'] } });
    expect(JSON.stringify(history)).not.toMatch(/cost|memo|"by"|"cause"/);
    // A precondition is about what they see.
    expect((await as('PATCH', path, { quantity: 1 }, { 'if-match': first.headers.get('etag')! })).status).toBe(412);
    expect((await as('PATCH', path, { quantity: 1 }, { 'if-match': third.headers.get('etag')! })).status).toBe(200);
    const then = (await as('GET', `${path}?asOf=${(first.body as Body).updatedAt}`)).body as Body;
    expect(then.fields).toMatchObject({ brief: 'for you', quantity: null });
    expect(then.fields).not.toHaveProperty('cost');
    const own = (await as('GET', `${path}/history?refs=1`)).body as never as {
      data: { by?: string }[];
      refs: Record<string, { title: string }>;
    };
    expect(own.data[0]!.by).toBe(ann.principal.id);
    expect(own.refs[ann.principal.id]!.title).toBe('Ann');
  });

  it('is one record for a guest, and nothing once the link is taken back', async () => {
    const id = await consignment();
    const other = await consignment();
    const visitor = await guestOfRecord(world.runtime, 'visitor', CONSIGNMENT, id);
    const as = requestAs(world, visitor);
    expect(((await as('GET', `/records/${CONSIGNMENT}`)).body as Body).data.map((rec) => [rec.id, Object.keys(rec.fields)])).toEqual([
      [id, ['name', 'phase']],
    ]);
    expect((await as('GET', `/records/${CONSIGNMENT}/${other}`)).status).toBe(404);
    expect((await as('PATCH', `/records/${CONSIGNMENT}/${id}`, { name: 'x' })).status).toBe(403);
    await world.runtime.pool.query('update kith.guest set revoked_at = now() where id = $1', [visitor.principal.id]);
    expect((await as('GET', `/records/${CONSIGNMENT}/${id}`)).status).toBe(401);
    expect((await world.runtime.query.list(visitor.principal, world.object(CONSIGNMENT), {})).data).toEqual([]);
  });
});

describe('what somebody from outside does', () => {
  it('goes by the fields that are theirs to write, and a refusal changes nothing', async () => {
    const id = await consignment();
    const foreign = await consignment({ agent: rival });
    const as = requestAs(world, ann);
    const path = `/records/${CONSIGNMENT}/${id}`;
    const before = await stateOf(world.runtime.pool);
    const attempts: [string, string, unknown, number, string?][] = [
      ['PATCH', path, { name: 'x' }, 422, 'read_only'],
      ['PATCH', path, { secret: 'x' }, 422, 'unknown_field'],
      ['PATCH', path, { agent: rival }, 422, 'read_only'],
      ['PATCH', path, { note: 'ok', cost: 1 }, 422, 'unknown_field'],
      ['PATCH', `/records/${CONSIGNMENT}/${foreign}`, { note: 'x' }, 404],
      ['DELETE', path, undefined, 403],
      ['DELETE', `/records/${CONSIGNMENT}/${foreign}`, undefined, 404],
      ['POST', `/records/${CONSIGNMENT}`, { name: 'mine', agent: acme }, 403],
      ['POST', `${path}/actions/hide`, {}, 403],
      ['POST', `/records/${CONSIGNMENT}/${foreign}/actions/hide`, {}, 404],
      ['POST', `/records/${CONSIGNMENT}/${foreign}/actions/approve`, {}, 404],
      ['POST', '/records/port.item', { consignment: foreign, label: 'x' }, 422, 'unknown_reference'],
      ['POST', '/records/port.item', { consignment: id, label: 'x', price: '3' }, 422, 'unknown_field'],
      ['POST', '/records/port.item/batch', { create: [{ consignment: foreign, label: 'x' }] }, 422],
      [
        'POST',
        `/records/${CONSIGNMENT}/batch`,
        {
          update: [
            { id, note: 'fine' },
            { id: foreign, note: 'x' },
          ],
        },
        422,
      ],
      ['POST', `${path}/revert`, { at: new Date().toISOString() }, 403],
      ['GET', '/users', undefined, 403],
      ['GET', '/bin?object=port.item', undefined, 403],
    ];
    for (const [method, to, body, status, code] of attempts) {
      const answer = await as(method, to, body);
      expect([answer.status, method, to, JSON.stringify(answer.body)], `${method} ${to}`).toEqual([status, method, to, expect.any(String)]);
      if (code) expect((answer.body as never as { errors: { code: string }[] }).errors.map((one) => one.code)).toContain(code);
    }
    expect(await stateOf(world.runtime.pool)).toEqual(before);
  });

  it('is done through the one door, with what follows', async () => {
    const id = await consignment();
    const as = requestAs(world, ann);
    const patched = await as('PATCH', `/records/${CONSIGNMENT}/${id}`, { note: 'ours', quantity: 3 });
    expect(patched.status).toBe(200);
    expect((patched.body as Body).fields).toMatchObject({ note: 'ours', quantity: 3 });
    expect((patched.body as Body).fields).not.toHaveProperty('secret');
    const made = await as('POST', '/records/port.item', { consignment: id, label: 'sack', weight: 2 });
    expect(made.status).toBe(201);
    expect((made.body as Body).fields).toEqual({ consignment: id, agent: acme, label: 'sack', title: 'Coffee', weight: 2 });
    expect(((await as('GET', `/records/${CONSIGNMENT}/${id}`)).body as Body).fields.items).toBe(1);
    const back = await as('POST', '/records/port.item', { consignment: id, label: 'boomerang' }, { 'idempotency-key': id });
    expect(back.status).toBe(201);
    expect(JSON.stringify(back.body)).not.toMatch(/price|createdBy|updatedBy/);
    expect((back.body as Body).version).toBe(1);
    expect((await as('POST', '/records/port.item/batch', { create: [{ consignment: id, label: 'boomerang' }] })).body).not.toHaveProperty(
      'created.0.fields.price',
    );
    const acted = await as('POST', `/records/${CONSIGNMENT}/${id}/actions/approve`, {});
    expect((acted.body as Body).fields).toMatchObject({ phase: 'done' });
    expect((await as('PATCH', `/records/${CONSIGNMENT}/${id}`, { quantity: 4 })).status).toBe(422);
    const items = (await staff('GET', `/records/port.item?${query({ filter: { field: 'consignment', op: 'eq', value: id } })}`))
      .body as Body;
    expect(items.data[0]!.fields).toMatchObject({ phase: 'done', agent: acme });
  });

  it('ends with their access, whatever was believed before', async () => {
    const id = await consignment();
    const eve = await partnerOf(world.runtime, 'agent', acme, 'Eve');
    const as = requestAs(world, eve);
    expect((await as('GET', `/records/${CONSIGNMENT}/${id}`)).status).toBe(200);
    const { status } = await staff('PATCH', `/partners/${eve.principal.id}`, { active: false });
    expect(status).toBe(200);
    const before = await stateOf(world.runtime.pool);
    expect((await as('PATCH', `/records/${CONSIGNMENT}/${id}`, { note: 'late' })).status).toBe(401);
    // Even a request that had got past the first question.
    await expect(
      world.runtime.records.patch({ principal: eve.principal, cause: { kind: 'api', id: null } }, world.object(CONSIGNMENT), id, {
        note: 'late',
      }),
    ).rejects.toMatchObject({ status: 404 });
    expect(await stateOf(world.runtime.pool)).toEqual(before);
  });

  it('may be looked at by those who lead, and only looked at', async () => {
    const id = await consignment();
    const boss = await world.person(`Boss${newId()}`, 'manager');
    const cookie = (await world.runtime.sessions.open(boss.id)).split(';', 1)[0]!;
    const headers = { cookie, origin: 'http://localhost:5173', 'kith-as': `agent:${acme}` };
    const seen = await world.request('GET', `/records/${CONSIGNMENT}/${id}`, { headers });
    expect(Object.keys((seen.body as Body).fields)).not.toContain('secret');
    expect((await world.request('PATCH', `/records/${CONSIGNMENT}/${id}`, { headers, body: { note: 'x' } })).status).toBe(403);
    expect((await world.request('POST', `/records/${CONSIGNMENT}/${id}/actions/approve`, { headers, body: {} })).status).toBe(403);
    const tickets = (await world.request('POST', '/collab/ticket', { headers, body: { object: CONSIGNMENT, id } })).body as never as {
      facets: { access: string }[];
    };
    expect(tickets.facets.map((one) => one.access)).toEqual(['read', 'read', 'read']);
    expect(
      (await world.request('GET', `/records/${CONSIGNMENT}/${id}`, { headers: { ...headers, 'kith-as': `agent:${rival}` } })).status,
    ).toBe(404);
    for (const wrong of ['agent', 'agent:nothing', `nobody:${acme}`, `agent:${newId()}`, `visitor:${acme}`])
      expect((await world.request('GET', `/records/${CONSIGNMENT}`, { headers: { ...headers, 'kith-as': wrong } })).status, wrong).toBe(
        404,
      );
    const member = await world.person(`Member${newId()}`, 'member');
    const theirs = { ...headers, cookie: (await world.runtime.sessions.open(member.id)).split(';', 1)[0]! };
    expect((await world.request('GET', `/records/${CONSIGNMENT}`, { headers: theirs })).status).toBe(403);
    expect((await requestAs(world, ann)('GET', `/records/${CONSIGNMENT}`, undefined, { 'kith-as': `agent:${rival}` })).status).toBe(403);
  });
});

describe('a record that passes to another company', () => {
  it('takes with it what staff wrote and nothing of what the old company wrote', async () => {
    const id = await consignment({ kept: null });
    await requestAs(world, ann)('PATCH', `/records/${CONSIGNMENT}/${id}`, { note: 'acme-secret', quantity: 7, kept: 'stays' });
    const item = await make('port.item', { consignment: id, label: 'acme-label', weight: 1 });
    const object = world.object(CONSIGNMENT);
    const numbers = world.runtime.numbers.get(CONSIGNMENT)!;
    const generations = async (): Promise<number[]> => {
      const opened = await Promise.all(object.facets.map((facet) => openStored(world.runtime.pool, object, numbers, id, facet)));
      return opened.map(({ document }) => document.generation);
    };
    expect(await generations()).toEqual([0, 0, 0, 0]);
    expect((await staff('PATCH', `/records/${CONSIGNMENT}/${id}`, { agent: rival })).status).toBe(200);
    const all = (await staff('GET', `/records/${CONSIGNMENT}/${id}`)).body as Body;
    expect(all.fields).toMatchObject({ note: null, quantity: null, kept: 'stays', brief: 'for you', memo: 'hidden-memo' });
    expect((await requestAs(world, ann)('GET', `/records/${CONSIGNMENT}/${id}`)).status).toBe(404);
    expect((await requestAs(world, ann)('GET', `/records/port.item/${item}`)).status).toBe(404);
    const as = requestAs(world, rob);
    expect(((await as('GET', `/records/${CONSIGNMENT}/${id}`)).body as Body).fields).toMatchObject({ note: null, brief: 'for you' });
    expect(((await as('GET', `/records/port.item/${item}`)).body as Body).fields).toMatchObject({ agent: rival, label: null });
    // Documents that partners join begin a new life; the staff's own goes on.
    const facets = object.facets.map(({ name }) => name);
    expect(Object.fromEntries((await generations()).map((generation, i) => [facets[i], generation]))).toEqual({
      staff: 0,
      'agent-r.broker-r.visitor-r': 1,
      'agent-r.broker-r': 1,
      'agent-rw': 1,
    });
    // And the past is not the new company's.
    const history = (await as('GET', `/records/${CONSIGNMENT}/${id}/history`)).body as Body;
    expect(history.data).toEqual([]);
    const created = (all as never as { createdAt: string }).createdAt;
    expect((await as('GET', `/records/${CONSIGNMENT}/${id}?asOf=${created}`)).status).toBe(404);
    expect(JSON.stringify((await staff('GET', `/records/${CONSIGNMENT}/${id}/history`)).body)).toContain('acme-secret');
  });

  it('does so whoever is quicker, with items that come meanwhile', async () => {
    const id = await consignment();
    const work = await Promise.all([
      ...Array.from({ length: 8 }, (_, i) => staff('POST', '/records/port.item', { consignment: id, label: `${i}` })),
      staff('PATCH', `/records/${CONSIGNMENT}/${id}`, { agent: rival }),
      ...Array.from({ length: 8 }, (_, i) => staff('POST', '/records/port.item', { consignment: id, label: `${i + 8}` })),
    ]);
    expect(work.every(({ status }) => status < 300)).toBe(true);
    const items = (await staff('GET', `/records/port.item?limit=100&${query({ filter: { field: 'consignment', op: 'eq', value: id } })}`))
      .body as Body;
    expect(items.data.map((rec) => rec.fields.agent)).toEqual(Array.from({ length: 16 }, () => rival));
    expect(((await staff('GET', `/records/${CONSIGNMENT}/${id}`)).body as Body).fields.items).toBe(16);
  });
});

describe('the second wall', () => {
  /** A connection as the login of an audience, reading for somebody. */
  async function login(audience: string, settings: Record<string, string>): Promise<pg.Client> {
    const wall = (await readWall(world.runtime.pool))!;
    const url = new URL(world.databaseUrl);
    url.username = loginOf(wall, audience);
    url.password = encodeURIComponent(wall.password);
    const client = new pg.Client({ connectionString: url.href });
    await client.connect();
    for (const [name, value] of Object.entries(settings)) await client.query('select set_config($1, $2, false)', [name, value]);
    return client;
  }

  it('shows a login its own rows and columns only, and nothing of the host', async () => {
    const id = await consignment();
    await consignment({ agent: rival });
    const client = await login('agent', { 'kith.partner': ann.principal.id });
    try {
      const { rows } = await client.query<{ id: string; agent: string }>('select id, agent from port.consignment');
      expect(rows.map((row) => row.id)).toContain(id);
      expect(new Set(rows.map((row) => row.agent))).toEqual(new Set([acme]));
      for (const text of [
        'select secret from port.consignment',
        'select * from port.consignment',
        'select memo from port.consignment where false',
        'select name from port.company',
        'select price from port.item',
        'select version from port.consignment',
        'select created_by from port.consignment',
        'select email from kith."user"',
        'select changes from kith.ledger',
        'select upd from kith.doc_log',
        'select value from kith.setting',
        `update port.consignment set note = 'x'`,
        'insert into port.item (id) values (gen_random_uuid())',
        'delete from port.item',
        'set role postgres',
        'set session authorization kith',
      ]) {
        await expect(client.query(text), text).rejects.toMatchObject({ code: expect.stringMatching(/42501|22023/) as string });
      }
      const { rows: member } = await client.query(
        'select 1 from pg_auth_members m join pg_roles r on r.oid = m.member where r.rolname = current_user',
      );
      expect(member).toEqual([]);
      await client.query(`select set_config('kith.partner', '', false)`);
      expect((await client.query('select id from port.consignment')).rows).toEqual([]);
      await client.query(`select set_config('kith.partner', $1, false)`, [rob.principal.id]);
      expect((await client.query<{ agent: string }>('select agent from port.consignment')).rows.every((row) => row.agent === rival)).toBe(
        true,
      );
      // Staff are nobody here.
      await client.query(`select set_config('kith.partner', $1, false)`, [world.me.id]);
      expect((await client.query('select id from port.consignment')).rows).toEqual([]);
    } finally {
      await client.end();
    }
  });

  it('goes on holding when columns come, and takes back what is opened no more', async () => {
    const database = world.databaseUrl;
    const without = (name: string): AnyPlugin => {
      const { portals, ...rest } = port as unknown as AnyPlugin;
      const agent = portals!.agent!;
      const consignmentPortal = agent.objects['port.consignment']!;
      const read = consignmentPortal.read.filter((one) => one !== name);
      return {
        ...rest,
        portals: { ...portals, agent: { ...agent, objects: { ...agent.objects, 'port.consignment': { ...consignmentPortal, read } } } },
      };
    };
    const client = await login('agent', { 'kith.partner': ann.principal.id });
    try {
      await client.query('select brief from port.consignment');
      const { applied } = await migrate({ plugins: [without('brief')], servers: [portServer], databaseUrl: database });
      expect(applied).toContain('what partners may read');
      await expect(client.query('select brief from port.consignment')).rejects.toMatchObject({ code: '42501' });
      expect((await migrate({ plugins: [without('brief')], servers: [portServer], databaseUrl: database })).applied).toEqual([]);
      await migrate({ plugins: [port], servers: [portServer], databaseUrl: database });
      await client.query('select brief from port.consignment');
    } finally {
      await client.end();
    }
  });
});

describe('facets', () => {
  const plugin = (read: readonly string[], write: readonly string[], opened = true): AnyPlugin =>
    definePlugin({
      id: 'split',
      version: '1.0.0',
      sdk: '^1.0.0',
      part: 'collaborative',
      locales: { en: { 'plugin.split': 'Split' } },
      audiences: { agent: { icon: 'x', of: 'split.company' } },
      objects: {
        company: object({ icon: 'x', title: ['name'], fields: { name: text() } }),
        sheet: object({
          icon: 'x',
          title: ['a'],
          fields: { a: text(), b: text(), c: text(), d: text(), company: { type: 'ref', to: 'split.company', mode: 'restricted' } },
        }),
      },
      ...(opened
        ? {
            portals: {
              agent: { objects: { 'split.sheet': { rows: companyRule('company'), read: read as never, write: write as never } } },
            },
          }
        : {}),
    }) as unknown as AnyPlugin;

  it('are stored, split when readers part, and never join again', async () => {
    const fresh = await createTestWorld({ plugins: [plugin([], [], false)] });
    const facetsNow = async (): Promise<Record<string, string[]>> => {
      const { rows } = await fresh.runtime.pool.query<{ facet: string; fields: string[] }>(
        `select t.name as facet, array_agg(f.name order by f.name) as fields from kith.field f join kith.facet t on (t.object, t.num) = (f.object, f.facet)
         where f.object = 'split.sheet' group by 1`,
      );
      return Object.fromEntries(rows.map((row) => [row.facet, row.fields]));
    };
    try {
      expect(await facetsNow()).toEqual({ staff: ['a', 'b', 'c', 'd'] });
      const key = await fresh.key('admin');
      const made = (await fresh.request('POST', '/records/split.sheet', { key, body: { a: '1', b: '2', c: '3', d: '4' } })).body as Body;
      const sheet = fresh.object('split.sheet');
      await openStored(fresh.runtime.pool, sheet, fresh.runtime.numbers.get('split.sheet')!, made.id, sheet.facets[0]!);
      const update = async (next: AnyPlugin): Promise<void> => {
        await migrate({ plugins: [next], servers: [], databaseUrl: fresh.databaseUrl });
      };
      await update(plugin(['a', 'b'], ['b']));
      expect(await facetsNow()).toEqual({ staff: ['c', 'd'], 'agent-r': ['a'], 'agent-rw': ['b'] });
      // What a partner may read was taken out of the staff's document, in a new life of it.
      const runtime = await createRuntime({
        roles: [],
        plugins: [plugin(['a', 'b'], ['b'])],
        servers: [],
        env: testEnv(fresh.databaseUrl),
        databaseUrl: fresh.databaseUrl,
      });
      const object = runtime.model.objects.get('split.sheet')!;
      const staffDocument = await openStored(runtime.pool, object, runtime.numbers.get('split.sheet')!, made.id, object.facets[0]!);
      expect(staffDocument.document.generation).toBe(1);
      expect([...loadDoc(staffDocument.document.parts).getMap('fields').keys()].sort()).toEqual(['c', 'd']);
      expect(staffDocument.fields).toMatchObject({ a: '1', b: '2', c: '3', d: '4' });
      await runtime.close();
      await update(plugin([], [], false));
      expect(await facetsNow()).toEqual({ staff: ['c', 'd'], 'agent-r': ['a'], 'agent-rw': ['b'] });
      await update(plugin(['a', 'b', 'c'], ['b']));
      expect(await facetsNow()).toEqual({ staff: ['d'], 'agent-r': ['a', 'c'], 'agent-rw': ['b'] });
      await update(plugin(['a', 'b', 'c'], ['b', 'c']));
      expect(await facetsNow()).toEqual({ staff: ['d'], 'agent-r': ['a'], 'agent-rw': ['b', 'c'] });
    } finally {
      await fresh.close();
    }
  });
});

describe('rules', () => {
  it('mean the same to the predicate, to SQL, and to the wall', async () => {
    const object = world.object(CONSIGNMENT);
    const principals = [
      world.me,
      ann.principal,
      rob.principal,
      (await guestOfRecord(world.runtime, 'visitor', CONSIGNMENT, await consignment())).principal,
    ];
    const ids: string[] = [];
    for (const agent of [acme, rival, null])
      for (const broker of [acme, null])
        for (const phase of ['draft', 'open', null])
          for (const cost of [0, 5, null]) ids.push(await make(CONSIGNMENT, { name: 'r', agent, broker, phase, cost }));
    const { data: recs } = await world.runtime.query.list(world.me, object, { ids, limit: ids.length });
    const leaf: fc.Arbitrary<Rule> = fc.oneof(
      fc.constantFrom<Rule>({ everyone: true }, { nobody: true }, role('admin'), role('member', 'reader'), guestRule, owner('createdBy')),
      fc.constantFrom<Rule>(companyRule('agent'), companyRule('broker')),
      fc.record({
        field: fc.constant('phase'),
        op: fc.constantFrom('eq', 'ne' as const),
        value: fc.constantFrom('draft', 'open', null),
      }) as fc.Arbitrary<Rule>,
      fc.record({
        field: fc.constant('phase'),
        op: fc.constantFrom('in', 'nin' as const),
        value: fc.subarray(['draft', 'open', 'done'], { minLength: 1 }),
      }) as fc.Arbitrary<Rule>,
      fc.record({
        field: fc.constant('cost'),
        op: fc.constantFrom('gt', 'lte', 'ne' as const),
        value: fc.constantFrom(0, 5),
      }) as fc.Arbitrary<Rule>,
      fc.record({
        field: fc.constantFrom('agent', 'cost', 'broker'),
        op: fc.constant('isNull' as const),
        value: fc.boolean(),
      }) as fc.Arbitrary<Rule>,
    );
    const rule = fc.letrec<{ rule: Rule }>((tie) => ({
      rule: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        leaf,
        fc.array(tie('rule'), { maxLength: 3 }).map((parts) => allOf(...parts)),
        fc.array(tie('rule'), { maxLength: 3 }).map((parts) => anyOf(...parts)),
        tie('rule').map(not),
      ),
    })).rule;
    await fc.assert(
      fc.asyncProperty(rule, fc.constantFrom(...principals), async (given, principal) => {
        const found = await sql<{ id: string }>`select o.id from ${sql.id('port', 'consignment')} as o
          where o.id = any(${ids}::uuid[]) and ${ruleSql({ model: world.runtime.model, principal }, object, 'o', given)}`.execute(
          world.runtime.db,
        );
        // The form in which the second wall asks, with what the database would find out itself.
        const { company, record } = principal.outside ?? {};
        const reading = { company: sql`${company ?? null}::uuid`, guest: sql`${record?.id ?? null}::uuid` };
        const walled = await sql<{ id: string }>`select o.id from ${sql.id('port', 'consignment')} as o
          where o.id = any(${ids}::uuid[]) and ${ruleSql({ model: world.runtime.model, principal, reading }, object, 'o', given)}`.execute(
          world.runtime.db,
        );
        const expected = recs
          .filter((rec) => can(object, principal, given, { ...rec.fields, id: rec.id, createdBy: rec.createdBy! }) === true)
          .map((rec) => rec.id);
        expect(found.rows.map((row) => row.id).sort()).toEqual([...expected].sort());
        expect(walled.rows.map((row) => row.id).sort()).toEqual([...expected].sort());
      }),
      { numRuns: Number(process.env.KITH_LONG ? 5_000 : 400) },
    );
  });
});

describe('permissions of roles', () => {
  it('narrow what a declaration allows, at once and on every node', async () => {
    const reader = await world.key('reader');
    const member = await world.key('member');
    const id = await make('port.company', { name: 'Third' });
    const other = await world.another();
    const patch = { object: 'port.company', role: 'member', update: false };
    expect((await world.request('PATCH', '/permissions', { key: member, body: patch })).status).toBe(403);
    expect((await staff('PATCH', '/permissions', { object: 'port.company', role: 'admin', update: false })).status).toBe(422);
    expect((await staff('PATCH', '/permissions', { object: 'port.company', role: 'reader', update: true })).status).toBe(422);
    expect((await staff('PATCH', '/permissions', patch)).status).toBe(200);
    expect((await world.request('PATCH', `/records/port.company/${id}`, { key: member, body: { name: 'x' } })).status).toBe(403);
    expect((await staff('PATCH', '/permissions', { object: 'port.company', role: 'reader', read: false })).status).toBe(200);
    expect((await world.request('GET', `/records/port.company/${id}`, { key: reader })).status).toBe(404);
    expect(((await world.request('GET', '/records/port.company', { key: reader })).body as Body).data).toEqual([]);
    await expect
      .poll(
        async () =>
          (await other.records.rights({ id, kind: 'key', name: '', roles: ['reader'] }, other.records.object('port.company'), id)).read,
      )
      .toBe(false);
    expect((await staff('PATCH', '/permissions', { object: 'port.company', role: 'reader', read: true })).status).toBe(200);
    expect((await staff('PATCH', '/permissions', { ...patch, update: true })).status).toBe(200);
    expect((await world.request('PATCH', `/records/port.company/${id}`, { key: member, body: { name: 'y' } })).status).toBe(200);
  });
});
