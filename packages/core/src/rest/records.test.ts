/** What the API answers about records: every row of its table, and every kind of bad input. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { canonicalDecimal, type FieldProblem, type Rec } from '@kith/sdk';
import { createTestWorld, type TestWorld } from '../testing.ts';
import { lab, labServer } from '../testing/lab.ts';
import { stateOf } from '../testing/state.ts';

interface Problem {
  type: string;
  status: number;
  code: string;
  detail: string;
  errors?: FieldProblem[];
}
interface Answer<T = Rec & { title: string }> {
  status: number;
  body: T;
  headers: Headers;
}
interface Page {
  data: (Rec & { title: string })[];
  nextCursor: string | null;
  count?: number;
  countCapped?: boolean;
  refs?: Record<string, { object: string; title: string }>;
}
interface Send {
  key?: string;
  body?: unknown;
  headers?: Record<string, string>;
}

const GONE = '01900000-0000-7000-8000-000000000000';
let world: TestWorld;
let member: string;
let admin: string;
let reader: string;

beforeAll(async () => {
  world = await createTestWorld({ plugins: [lab], servers: [labServer] });
  [member, admin, reader] = await Promise.all([world.key('member'), world.key('admin'), world.key('reader')]);
});
afterAll(() => world.close());

const send = async <T = Rec & { title: string }>(method: string, path: string, options: Send = {}): Promise<Answer<T>> =>
  (await world.request(method, path, { key: member, ...options })) as Answer<T>;

/** Sends what must be refused, and sees that nothing changed. */
async function refused(method: string, path: string, status: number, code: string, options: Send = {}): Promise<Problem> {
  const before = await stateOf(world.runtime.pool);
  const { status: got, body, headers } = await send<Problem>(method, path, options);
  expect({ status: got, code: body.code }, JSON.stringify(body)).toEqual({ status, code });
  expect(headers.get('content-type')).toBe('application/problem+json');
  expect(body.status).toBe(status);
  expect(body.detail.length).toBeGreaterThan(5);
  expect(await stateOf(world.runtime.pool)).toEqual(before);
  return body;
}

const make = async (fields: Record<string, unknown> = {}, object = 'lab.sample'): Promise<Rec & { title: string }> => {
  const { status, body } = await send('POST', `/records/${object}`, { body: { name: 'one', ...fields } });
  expect(status, JSON.stringify(body)).toBe(201);
  return body;
};
const query = (parameters: Record<string, string>): string => new URLSearchParams(parameters).toString();
const filterOf = (filter: unknown): string => query({ filter: JSON.stringify(filter) });

describe('one record', () => {
  let thing: Rec;
  let other: Rec;
  beforeAll(async () => {
    thing = await make({ name: 'flask', country: 'Austria' }, 'lab.thing');
    other = await make({ name: 'scale', country: 'Chile' }, 'lab.thing');
  });

  it('keeps a value of every type, in its one form', async () => {
    const user = world.me.id;
    const { body, status, headers } = await send('POST', '/records/lab.sample', {
      body: {
        name: 'full',
        memo: 'two\nlines',
        story: '# Head\n\nand **bold**',
        amount: 12.5,
        pieces: 3,
        price: { amount: '012.5', currency: 'EUR' },
        done: false,
        day: '2026-11-21',
        at: '2026-11-21T10:30:00+01:00',
        stage: 'tried',
        tags: ['blue', 'red', 'blue'],
        mail: 'ann@example.com',
        tel: '+43 1 234',
        site: 'https://example.com/x',
        home: { street: 'Ring 1', city: 'Wien', country: '' },
        thing: thing.id,
        things: [other.id, thing.id],
        about: { object: 'lab.thing', id: other.id },
        who: user,
      },
    });
    expect(status, JSON.stringify(body)).toBe(201);
    expect(headers.get('location')).toBe(`/api/v1/records/lab.sample/${body.id}`);
    expect(headers.get('etag')).toBe('"1"');
    expect(body.fields).toEqual({
      name: 'full',
      code: null,
      memo: 'two\nlines',
      story: '# Head\n\nand **bold**',
      amount: 12.5,
      pieces: 3,
      price: { amount: '12.50', currency: 'EUR' },
      done: false,
      day: '2026-11-21',
      at: '2026-11-21T09:30:00.000Z',
      stage: 'tried',
      tags: ['red', 'blue'],
      mail: 'ann@example.com',
      tel: '+43 1 234',
      site: 'https://example.com/x',
      home: { street: 'Ring 1', city: 'Wien' },
      thing: thing.id,
      things: [thing.id, other.id].sort(),
      about: { object: 'lab.thing', id: other.id },
      who: user,
      double: 25,
      stock: 0,
      serial: expect.stringMatching(/^S-1\d\d$/) as unknown,
    });
    const read = await send('GET', `/records/lab.sample/${body.id}`);
    expect(read.body).toEqual(body);
    const listed = await send<Page>('GET', `/records/lab.sample?${filterOf({ field: 'id', op: 'eq', value: body.id })}`);
    expect(listed.body.data).toEqual([body]);
    expect(body).toMatchObject({ object: 'lab.sample', version: 1, createdBy: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown });
    expect(body.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(new Date(body.createdAt).toISOString()).toBe(body.createdAt);
  });

  it('is changed field by field, and empties a field with null', async () => {
    const rec = await make({ amount: 2, memo: 'x', tags: ['red'] });
    const { body, headers } = await send('PATCH', `/records/lab.sample/${rec.id}`, { body: { amount: 4, memo: null, tags: [] } });
    expect(body.fields).toMatchObject({ name: 'one', amount: 4, double: 8, memo: null, tags: null });
    expect(headers.get('etag')).toBe('"2"');
    const same = await send('PATCH', `/records/lab.sample/${rec.id}`, { body: { amount: 4 } });
    expect(same.body.version).toBe(2);
    expect(same.body.updatedAt).toBe(body.updatedAt);
  });

  it('refuses unknown fields, wrong values and fields that nobody writes, one line each', async () => {
    const rec = await make();
    const wrong: Record<string, [unknown, string]> = {
      name: [7, 'invalid'],
      code: ['two\nlines', 'invalid'],
      memo: [['x'], 'invalid'],
      story: [{ a: 1 }, 'invalid'],
      amount: ['12', 'invalid'],
      pieces: [1.5, 'invalid'],
      price: [{ amount: 12.5, currency: 'EUR' }, 'invalid'],
      done: ['yes', 'invalid'],
      day: ['2026-02-30', 'invalid'],
      at: ['2026-11-21', 'invalid'],
      stage: ['unheard', 'unknown_option'],
      tags: [['red', 'pink'], 'unknown_option'],
      mail: ['ann', 'invalid'],
      tel: ['none', 'invalid'],
      site: ['javascript:alert(1)', 'invalid'],
      home: [{ planet: 'Earth' }, 'invalid'],
      thing: ['Flask', 'invalid'],
      things: ['Flask', 'invalid'],
      about: [GONE, 'invalid'],
      who: [42, 'invalid'],
      double: [4, 'read_only'],
      stock: [4, 'read_only'],
      serial: ['S-1', 'read_only'],
      nowhere: ['x', 'unknown_field'],
      __proto__x: ['x', 'unknown_field'],
    };
    const body = Object.fromEntries(Object.entries(wrong).map(([name, [value]]) => [name, value]));
    const codes = Object.entries(wrong).map(([field, [, code]]) => ({ field, code }));
    for (const [method, path] of [
      ['POST', '/records/lab.sample'],
      ['PATCH', `/records/lab.sample/${rec.id}`],
    ] as const) {
      const problem = await refused(method, path, 422, 'invalid', { body });
      expect(problem.errors!.map(({ field, code }) => ({ field, code }))).toEqual(codes);
      for (const [name, [value]] of Object.entries(wrong))
        await refused(method, path, 422, 'invalid', { body: { name: 'x', [name]: value } });
    }
    for (const [name, value, code] of [
      ['name', 'x'.repeat(51), 'too_long'],
      ['name', '', 'required'],
      ['name', null, 'required'],
      ['name', 'a\u0000b', 'invalid'],
      ['name', '\ud800', 'invalid'],
      ['amount', 1001, 'too_large'],
      ['amount', -1001, 'too_small'],
      ['price', { amount: '-1', currency: 'EUR' }, 'too_small'],
      ['price', { amount: '1.23456', currency: 'EUR' }, 'invalid'],
      ['price', { amount: '1', currency: 'euro' }, 'invalid'],
      ['name', 'guarded', 'invalid'],
    ] as const) {
      const problem = await refused('PATCH', `/records/lab.sample/${rec.id}`, 422, 'invalid', { body: { [name]: value } });
      expect(problem.errors).toMatchObject([{ field: name, code }]);
    }
    expect((await refused('POST', '/records/lab.sample', 422, 'invalid', { body: {} })).errors).toMatchObject([
      { field: 'name', code: 'required' },
    ]);
  });

  it('refuses references to what does not exist', async () => {
    const rec = await make();
    for (const [name, value] of [
      ['thing', GONE],
      ['thing', rec.id],
      ['things', [thing.id, GONE]],
      ['about', { object: 'lab.thing', id: GONE }],
      ['about', { object: 'lab.nothing', id: thing.id }],
      ['who', GONE],
    ] as const) {
      for (const [method, path] of [
        ['POST', '/records/lab.sample'],
        ['PATCH', `/records/lab.sample/${rec.id}`],
      ] as const) {
        const problem = await refused(method, path, 422, 'invalid', { body: { name: 'x', [name]: value } });
        expect(problem.errors).toMatchObject([{ field: name, code: 'unknown_reference' }]);
      }
    }
  });

  it('refuses a second record with a unique value, and takes it once the first is in the bin', async () => {
    const first = await make({ code: 'U-1' });
    const problem = await refused('POST', '/records/lab.sample', 409, 'not_unique', { body: { name: 'x', code: 'U-1' } });
    expect(problem.errors).toMatchObject([{ field: 'code', code: 'not_unique' }]);
    const second = await make();
    await refused('PATCH', `/records/lab.sample/${second.id}`, 409, 'not_unique', { body: { code: 'U-1' } });
    await send('DELETE', `/records/lab.sample/${first.id}`);
    await make({ code: 'U-1' });
    await refused('POST', `/records/lab.sample/${first.id}/restore`, 409, 'not_unique');
  });

  it('says 404 for objects, records and paths that do not exist, and 405 for a method that does not fit', async () => {
    await refused('GET', '/records/lab.nothing', 404, 'not_found');
    await refused('POST', '/records/nothing', 404, 'not_found', { body: {} });
    await refused('GET', '/objects/constructor', 404, 'not_found');
    for (const id of [GONE, 'x', '%00', GONE.toUpperCase()]) {
      await refused('GET', `/records/lab.sample/${id}`, 404, 'not_found');
      await refused('PATCH', `/records/lab.sample/${id}`, 404, 'not_found', { body: { name: 'x' } });
      await refused('DELETE', `/records/lab.sample/${id}`, 404, 'not_found');
      await refused('POST', `/records/lab.sample/${id}/restore`, 404, 'not_found');
      await refused('GET', `/records/lab.sample/${id}/history`, 404, 'not_found');
      await refused('POST', `/records/lab.sample/${id}/actions/take`, 404, 'not_found', { body: { pieces: 1 } });
      await refused('POST', '/collab/ticket', 404, 'not_found', { body: { object: 'lab.sample', id } });
    }
    await refused('GET', '/nowhere', 404, 'not_found');
    await refused('PATCH', '/records/lab.sample', 405, 'method_not_allowed', { body: {} });
    await refused('GET', '/records/lab.sample/%E0%A4%A', 400, 'malformed');
  });

  it('refuses bodies that are not a JSON object', async () => {
    const path = '/records/lab.sample';
    await refused('POST', path, 400, 'malformed', { body: '{"name": ' });
    await refused('POST', path, 400, 'malformed', { body: '["name"]' });
    await refused('POST', path, 400, 'malformed', { body: 'null' });
    await refused('POST', path, 415, 'unsupported_media_type', {
      body: 'name=x',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    await refused('POST', path, 415, 'unsupported_media_type', { body: '{"name":"x"}', headers: { 'content-type': 'text/plain' } });
    await refused('POST', path, 413, 'too_large', { body: { name: 'x', memo: 'x'.repeat(2_000_000) } });
    const nested = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
    await refused('POST', path, 422, 'invalid', { body: `{"name":"x","tags":${nested}}` });
  });

  it('honours If-Match', async () => {
    const rec = await make();
    const path = `/records/lab.sample/${rec.id}`;
    const headers = { 'if-match': '"1"' };
    expect((await send('PATCH', path, { body: { amount: 1 }, headers })).body.version).toBe(2);
    await refused('PATCH', path, 412, 'version_mismatch', { body: { amount: 2 }, headers });
    await refused('DELETE', path, 412, 'version_mismatch', { headers });
    await refused('PATCH', path, 412, 'version_mismatch', { body: { amount: 2 }, headers: { 'if-match': '"other"' } });
    expect((await send('PATCH', path, { body: { amount: 2 }, headers: { 'if-match': '*' } })).status).toBe(200);
    const both = await Promise.all([10, 11].map((amount) => send('PATCH', path, { body: { amount }, headers: { 'if-match': '"3"' } })));
    expect(both.map((one) => one.status).sort()).toEqual([200, 412]);
  });

  it('takes all of several writers’ fields', async () => {
    const rec = await make();
    const path = `/records/lab.sample/${rec.id}`;
    const writes: Record<string, unknown>[] = [
      { amount: 1 },
      { pieces: 2 },
      { memo: 'm' },
      { tel: '1' },
      { mail: 'a@b.cd' },
      { done: true },
    ];
    const answers = await Promise.all(writes.map((body) => send('PATCH', path, { body })));
    expect(answers.map((one) => one.status)).toEqual(writes.map(() => 200));
    const { body } = await send('GET', path);
    expect(body.fields).toMatchObject(Object.assign({}, ...writes) as object);
    expect(body.version).toBe(1 + writes.length);
    const { body: page } = await send<{ data: unknown[] }>('GET', `${path}/history`);
    expect(page.data).toHaveLength(writes.length);
  });

  it('goes into the bin and out again', async () => {
    const later = await make({ name: 'binned too' });
    const rec = await make({ name: 'binned' });
    const path = `/records/lab.sample/${rec.id}`;
    expect((await send('DELETE', path)).status).toBe(204);
    await refused('GET', path, 404, 'not_found');
    await refused('PATCH', path, 404, 'not_found', { body: { amount: 1 } });
    await refused('DELETE', path, 404, 'not_found');
    await refused('POST', `${path}/actions/take`, 404, 'not_found', { body: { pieces: 1 } });
    await send('DELETE', `/records/lab.sample/${later.id}`);
    const { body: bin } = await send<Page>('GET', '/bin?object=lab.sample&limit=2');
    expect(bin.data.map((one) => one.id)).toEqual([later.id, rec.id]);
    expect(bin.data[0]).toMatchObject({
      title: 'binned too',
      deletedAt: expect.any(String) as unknown,
      deletedBy: expect.any(String) as unknown,
    });
    const next = await send<Page>(
      'GET',
      `/bin?${query({ object: 'lab.sample', limit: '1', cursor: (await send<Page>('GET', '/bin?object=lab.sample&limit=1')).body.nextCursor! })}`,
    );
    expect(next.body.data[0]!.id).toBe(rec.id);
    const restored = await send('POST', `${path}/restore`);
    expect(restored.status).toBe(200);
    expect(restored.body).toMatchObject({ id: rec.id, version: 3, fields: rec.fields });
    await refused('POST', `${path}/restore`, 404, 'not_found');
    const { body: history } = await send<{ data: { kind: string }[] }>('GET', `${path}/history`);
    expect(history.data.map((one) => one.kind)).toEqual(['restore', 'delete']);
  });

  it('runs actions with checked input, and nothing of one that is refused', async () => {
    const rec = await make();
    const path = `/records/lab.sample/${rec.id}/actions`;
    const done = await send('POST', `${path}/take`, { body: { pieces: 4, why: 'test' } });
    expect(done.body.fields).toMatchObject({ stock: -4, memo: 'test' });
    const problem = await refused('POST', `${path}/take`, 409, 'refused', { body: { pieces: 7 } });
    expect(problem).toMatchObject({ detail: 'More than ten cannot be owed.', errors: [{ field: 'pieces', code: 'refused' }] });
    expect((await refused('POST', `${path}/take`, 422, 'invalid', { body: {} })).errors).toMatchObject([
      { field: 'pieces', code: 'required' },
    ]);
    expect((await refused('POST', `${path}/take`, 422, 'invalid', { body: { pieces: 0, on: 1 } })).errors).toMatchObject([
      { field: 'pieces', code: 'too_small' },
      { field: 'on', code: 'unknown_field' },
    ]);
    await refused('POST', `${path}/vanish`, 404, 'not_found', { body: {} });
    await refused('POST', `${path}/close`, 403, 'forbidden', { body: {} });
    expect((await send('POST', `${path}/close`, { key: admin })).body.fields.stage).toBe('over');
    const both = await Promise.all([3, 3].map((pieces) => send('POST', `${path}/take`, { body: { pieces } })));
    expect(both.map((one) => one.body.fields.stock).sort()).toEqual([-10, -7]);
  });
});

describe('Idempotency-Key', () => {
  it('makes one record of two requests, one after the other or at once', async () => {
    const ask = (key: string, name: string): Promise<Answer> =>
      send('POST', '/records/lab.thing', { body: { name }, headers: { 'idempotency-key': key } });
    const first = await ask('k1', 'once');
    const again = await ask('k1', 'once');
    expect(first.status).toBe(201);
    expect(again.status).toBe(201);
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    const many = await Promise.all(Array.from({ length: 8 }, () => ask('k2', 'at once')));
    expect(new Set(many.map((one) => one.body.id)).size).toBe(1);
    expect(many.filter((one) => one.headers.get('idempotent-replayed') === null)).toHaveLength(1);
    await refused('POST', '/records/lab.thing', 422, 'idempotency_mismatch', {
      body: { name: 'other' },
      headers: { 'idempotency-key': 'k1' },
    });
    // Another caller's key is another key.
    const other = await send('POST', '/records/lab.thing', { key: admin, body: { name: 'once' }, headers: { 'idempotency-key': 'k1' } });
    expect(other.body.id).not.toBe(first.body.id);
    await refused('POST', '/records/lab.thing', 400, 'malformed', { body: { name: 'x' }, headers: { 'idempotency-key': 'k'.repeat(256) } });
  });

  it('keeps nothing of a request that was refused, so that it can be mended', async () => {
    const headers = { 'idempotency-key': 'k3' };
    await refused('POST', '/records/lab.thing', 422, 'invalid', { body: {}, headers });
    await refused('POST', '/records/lab.thing', 422, 'invalid', { body: { name: 'x', parent: GONE }, headers });
    await refused('POST', '/records/lab.thing', 403, 'forbidden', { key: reader, body: { name: 'x' }, headers });
    expect((await send('POST', '/records/lab.thing', { body: { name: 'mended' }, headers })).status).toBe(201);
  });
});

describe('batch', () => {
  const path = '/records/lab.sample/batch';
  interface Batch {
    created: Rec[];
    updated: Rec[];
    deleted: string[];
  }

  it('creates, changes and deletes together', async () => {
    const [a, b, c] = [await make(), await make(), await make()];
    const { status, body } = await send<Batch>('POST', path, {
      body: {
        create: [{ name: 'n1', amount: 1 }, { name: 'n2' }],
        update: [
          { id: a.id, fields: { amount: 3 } },
          { id: b.id, amount: 4 },
        ],
        delete: [c.id],
      },
    });
    expect(status, JSON.stringify(body)).toBe(200);
    expect(body.created.map((rec) => rec.fields.name)).toEqual(['n1', 'n2']);
    expect(body.created[0]!.fields.double).toBe(2);
    expect(body.updated.map((rec) => [rec.id, rec.fields.double])).toEqual([
      [a.id, 6],
      [b.id, 8],
    ]);
    expect(body.deleted).toEqual([c.id]);
    await refused('GET', `/records/lab.sample/${c.id}`, 404, 'not_found');
  });

  it('is all or nothing, and names the row of each problem', async () => {
    const a = await make({ code: 'B-1' });
    const rows = (body: unknown): Promise<Problem> => refused('POST', path, 422, 'invalid', { body });
    const fieldsOf = (problem: Problem): string[] => problem.errors!.map((one) => `${one.field} ${one.code}`);
    expect(fieldsOf(await rows({ create: [{ name: 'x' }, {}, { name: 'y', amount: 'z', double: 1 }] }))).toEqual([
      'create[1].name required',
      'create[2].amount invalid',
      'create[2].double read_only',
    ]);
    expect(fieldsOf(await rows({ create: [{ name: 'x' }, { name: 'y', thing: GONE }] }))).toEqual(['create[1].thing unknown_reference']);
    expect(fieldsOf(await rows({ create: [{ name: 'x' }, { name: 'y', things: [GONE] }] }))).toEqual([
      'create[1].things unknown_reference',
    ]);
    expect(
      fieldsOf(
        await rows({
          create: [{ name: 'x' }],
          update: [
            { id: a.id, fields: { amount: 1 } },
            { id: GONE, fields: { amount: 1 } },
            { id: a.id, fields: { amount: 2 } },
            { id: 'x', fields: {} },
          ],
        }),
      ),
    ).toEqual(['update[1] not_found', 'update[2] invalid', 'update[3] not_found']);
    expect(fieldsOf(await rows({ create: [{ name: 'x' }], delete: [a.id, GONE] }))).toEqual(['delete[1] not_found']);
    expect(fieldsOf(await rows({ delete: [a.id, a.id] }))).toEqual(['delete[1] invalid']);
    expect(fieldsOf(await rows({ update: [{ id: a.id, fields: { amount: 1 } }], delete: [a.id] }))).toEqual(['delete[0] invalid']);
    const problem = await refused('POST', path, 409, 'not_unique', {
      body: {
        create: [
          { name: 'x', code: 'B-2' },
          { name: 'y', code: 'B-1' },
        ],
      },
    });
    expect(fieldsOf(problem)).toEqual(['create[1].code not_unique']);
    await refused('POST', path, 409, 'not_unique', {
      body: {
        create: [
          { name: 'x', code: 'B-3' },
          { name: 'y', code: 'B-3' },
        ],
      },
    });
  });

  it('refuses what is no batch, and more than a thousand', async () => {
    await refused('POST', path, 400, 'malformed', { body: { insert: [] } });
    await refused('POST', path, 400, 'malformed', { body: { create: {} } });
    await refused('POST', path, 400, 'malformed', { body: { create: ['x'] } });
    await refused('POST', path, 400, 'malformed', { body: { update: [{ fields: {} }] } });
    await refused('POST', path, 400, 'malformed', { body: { update: [{ id: GONE, fields: [] }] } });
    await refused('POST', path, 400, 'malformed', { body: { delete: [7] } });
    await refused('POST', path, 413, 'too_large', { body: { create: Array.from({ length: 1001 }, () => ({ name: 'x' })) } });
    await refused('POST', path, 403, 'forbidden', { key: reader, body: { create: [{ name: 'x' }] } });
    const a = await make();
    const problem = await refused('POST', path, 403, 'forbidden', { key: reader, body: { update: [{ id: a.id, fields: { amount: 1 } }] } });
    expect(problem.errors).toMatchObject([{ field: 'update[0]', code: 'forbidden' }]);
  });

  it('creates a thousand at once', async () => {
    const { body } = await send<Batch>('POST', '/records/lab.thing/batch', {
      body: { create: Array.from({ length: 1000 }, (_, i) => ({ name: `bulk ${i}` })) },
    });
    expect(body.created.map((rec) => rec.fields.name)).toEqual(Array.from({ length: 1000 }, (_, i) => `bulk ${i}`));
  });
});

describe('time', () => {
  it('answers the past of a record, its changes and restores them', async () => {
    const rec = await make({ name: 'then', amount: 1, memo: 'first', tags: ['red'] });
    const path = `/records/lab.sample/${rec.id}`;
    const first = await send('PATCH', path, { body: { amount: 2, tags: ['red', 'blue'] } });
    // Times are told to the millisecond.
    await new Promise((resolve) => setTimeout(resolve, 5));
    await send('PATCH', path, { body: { name: 'now', memo: 'second', stage: 'over' } });
    const asOf = (time: string): Promise<Answer> => send('GET', `${path}?${query({ asOf: time })}`);
    expect((await asOf(rec.createdAt)).body.fields).toMatchObject({ name: 'then', amount: 1, memo: 'first', tags: ['red'], stage: null });
    const between = (await asOf(first.body.updatedAt)).body;
    expect(between.fields).toMatchObject({ name: 'then', amount: 2, memo: 'first', tags: ['red', 'blue'] });
    expect((await asOf(new Date().toISOString())).body.fields).toMatchObject({ name: 'now', amount: 2, memo: 'second' });
    await refused('GET', `${path}?${query({ asOf: '2020-01-01T00:00:00Z' })}`, 404, 'not_found');
    await refused('GET', `${path}?asOf=yesterday`, 400, 'malformed');

    interface Entry {
      id: string;
      at: string;
      by: string;
      kind: string;
      cause: { kind: string };
      changes: Record<string, unknown>;
    }
    const history = await send<{ data: Entry[]; nextCursor: string | null }>('GET', `${path}/history`);
    expect(history.body.data.map((one) => one.changes)).toEqual([
      { name: ['then', 'now'], memo: ['first', 'second'], stage: [null, 'over'] },
      { amount: [1, 2], tags: [['red'], ['red', 'blue']] },
    ]);
    expect(history.body.data[0]).toMatchObject({ kind: 'change', cause: { kind: 'api' }, by: rec.createdBy });
    const page = await send<{ data: Entry[]; nextCursor: string }>('GET', `${path}/history?limit=1`);
    const next = await send<{ data: Entry[]; nextCursor: string | null }>(
      'GET',
      `${path}/history?${query({ limit: '1', cursor: page.body.nextCursor })}`,
    );
    expect([...page.body.data, ...next.body.data]).toEqual(history.body.data);
    expect(next.body.nextCursor).toBeNull();
    await refused('GET', `${path}/history?cursor=x`, 400, 'malformed');

    const one = await send('POST', `${path}/revert`, { body: { at: rec.createdAt, fields: ['memo'] } });
    expect(one.body.fields).toMatchObject({ name: 'now', amount: 2, memo: 'first' });
    const all = await send('POST', `${path}/revert`, { body: { at: rec.createdAt } });
    expect(all.body.fields).toMatchObject({ name: 'then', amount: 1, double: 2, memo: 'first', tags: ['red'], stage: null });
    expect((await send<{ data: Entry[] }>('GET', `${path}/history?limit=1`)).body.data[0]!.cause.kind).toBe('revert');
    await refused('POST', `${path}/revert`, 400, 'malformed', { body: {} });
    await refused('POST', `${path}/revert`, 422, 'invalid', { body: { at: rec.createdAt, fields: ['nowhere'] } });
    await refused('POST', `${path}/revert`, 422, 'invalid', { body: { at: rec.createdAt, fields: ['double'] } });
    await refused('POST', `${path}/revert`, 404, 'not_found', { body: { at: '2020-01-01T00:00:00Z' } });
  });

  it('pages through a timeline without loss, even where all happened at one moment', async () => {
    const thing = await make({ name: 'busy' }, 'lab.thing');
    const about = { object: 'lab.thing', id: thing.id };
    const create = Array.from({ length: 7 }, (_, i) => ({ name: `about ${i}`, about }));
    await send('POST', '/records/lab.sample/batch', { body: { create } });
    await send('PATCH', `/records/lab.thing/${thing.id}`, { body: { country: 'Peru' } });
    interface Item {
      kind: string;
      at: string;
      record?: Rec;
    }
    const items: Item[] = [];
    for (let cursor: string | null = null, first = true; first || cursor !== null; first = false) {
      const path: string = `/records/lab.thing/${thing.id}/timeline?${query({ limit: '2', ...(cursor === null ? {} : { cursor }) })}`;
      const { body, status }: Answer<{ data: Item[]; nextCursor: string | null }> = await send('GET', path);
      expect(status).toBe(200);
      items.push(...body.data);
      cursor = body.nextCursor;
    }
    expect(items.map((one) => one.kind)).toEqual(['change', ...create.map(() => 'sample'), 'created']);
    expect(new Set(items.flatMap((one) => one.record?.id ?? [])).size).toBe(7);
    await refused('GET', `/records/lab.thing/${thing.id}/timeline?cursor=x`, 400, 'malformed');
  });
});

describe('lists', () => {
  let ids: string[];
  let flask: Rec;
  beforeAll(async () => {
    flask = await make({ name: 'flask', country: 'Österreich' }, 'lab.thing');
    ids = [];
    for (const [name, amount, extra] of [
      ['l-alpha', 3, { price: { amount: '2.5', currency: 'EUR' }, tags: ['red', 'green'], thing: flask.id, day: '2026-01-01' }],
      ['l-beta', 1, { price: { amount: '7', currency: 'USD' }, tags: ['green'], home: { city: 'Graz' } }],
      ['l-gamma', null, { price: { amount: '1.25', currency: 'EUR' }, stage: 'over' }],
      ['l-delta', 2, { memo: 'Straße', done: true, stage: 'begun' }],
    ] as const) {
      ids.push((await make({ name, ...(amount === null ? {} : { amount }), ...extra })).id);
    }
  });
  const names = async (filter: unknown, sort = 'name'): Promise<unknown[]> => {
    const where = { and: [{ field: 'name', op: 'startsWith', value: 'l-' }, filter] };
    const { status, body } = await send<Page>('GET', `/records/lab.sample?${query({ filter: JSON.stringify(where), sort })}`);
    expect(status, JSON.stringify(body)).toBe(200);
    return body.data.map((rec) => rec.fields.name);
  };
  const any = { and: [] };

  it('filter, sort, select, count and sum', async () => {
    expect(await names(any, '-amount')).toEqual(['l-alpha', 'l-delta', 'l-beta', 'l-gamma']);
    expect(await names(any, 'amount')).toEqual(['l-beta', 'l-delta', 'l-alpha', 'l-gamma']);
    expect(await names({ field: 'amount', op: 'gte', value: 2 })).toEqual(['l-alpha', 'l-delta']);
    expect(await names({ not: { field: 'amount', op: 'gte', value: 2 } })).toEqual(['l-beta', 'l-gamma']);
    expect(await names({ field: 'amount', op: 'between', value: [1, 2] })).toEqual(['l-beta', 'l-delta']);
    expect(await names({ field: 'amount', op: 'nin', value: [1, 2] })).toEqual(['l-alpha', 'l-gamma']);
    expect(await names({ field: 'price', op: 'gt', value: '2' })).toEqual(['l-alpha', 'l-beta']);
    expect(await names({ field: 'price', op: 'eq', value: { amount: '2.50', currency: 'EUR' } })).toEqual(['l-alpha']);
    expect(await names({ field: 'tags', op: 'contains', value: 'green' })).toEqual(['l-alpha', 'l-beta']);
    expect(await names({ field: 'tags', op: 'eq', value: ['green'] })).toEqual(['l-beta']);
    expect(await names({ field: 'memo', op: 'contains', value: 'strasse' })).toEqual(['l-delta']);
    expect(await names({ field: 'home', op: 'contains', value: 'graz' })).toEqual(['l-beta']);
    expect(await names({ field: 'thing.country', op: 'eq', value: 'Österreich' })).toEqual(['l-alpha']);
    expect(await names({ field: 'thing.country', op: 'ne', value: 'Österreich' })).toEqual(['l-beta', 'l-delta', 'l-gamma']);
    expect(await names({ field: 'thing.parent.name', op: 'isNull', value: true })).toHaveLength(4);
    expect(
      await names({
        or: [
          { field: 'done', op: 'eq', value: true },
          { field: 'day', op: 'lt', value: '2026-02-01' },
        ],
      }),
    ).toEqual(['l-alpha', 'l-delta']);
    const where = filterOf({ field: 'name', op: 'startsWith', value: 'l-' });
    const picked = await send<Page & { totals: unknown; groups: unknown }>(
      'GET',
      `/records/lab.sample?${where}&fields=amount&sort=name&limit=2&count=exact&totals=amount,price&group=stage&sum=amount&refs=1`,
    );
    expect(picked.body.data.map((rec) => rec.fields)).toEqual([{ amount: 3 }, { amount: 1 }]);
    // The title is made of fields that were not asked for, one of them a reference.
    expect(picked.body.data[0]!.title).toBe('l-alpha flask');
    expect(picked.body.refs![flask.id]).toMatchObject({ object: 'lab.thing', title: 'flask' });
    expect(picked.body.count).toBe(4);
    expect(picked.body.totals).toEqual({
      amount: { sum: 6, avg: 2 },
      price: {
        sum: [
          { amount: canonicalDecimal('3.75'), currency: 'EUR' },
          { amount: canonicalDecimal('7'), currency: 'USD' },
        ],
        avg: [
          { amount: '1.875', currency: 'EUR' },
          { amount: '7.00', currency: 'USD' },
        ],
      },
    });
    expect(picked.body.groups).toEqual([
      { value: 'begun', count: 1, sum: 2 },
      { value: 'over', count: 1, sum: 0 },
      { value: null, count: 2, sum: 4 },
    ]);
    const capped = await send<Page>('GET', `/records/lab.sample?${where}&count=capped`);
    expect(capped.body).toMatchObject({ count: 4, countCapped: false });
  });

  it('search by words, their beginnings and without accents', async () => {
    const search = async (words: string): Promise<unknown[]> =>
      (await send<Page>('GET', `/records/lab.thing?${query({ search: words, sort: 'name' })}`)).body.data.map((rec) => rec.fields.name);
    expect(await search('osterr')).toEqual(['flask']);
    expect(await search('FLA öst')).toEqual(['flask']);
    expect(await search('as')).toEqual([]);
    expect(await search('100%')).toEqual([]);
    expect(await search('_lask')).toEqual([]);
    const { body } = await send<{ data: { object: string; title: string }[] }>('GET', `/search?q=${encodeURIComponent('Österreich')}`);
    expect(body.data.filter((hit) => hit.object === 'lab.thing').map((hit) => hit.title)).toEqual(['flask']);
    expect((await send<{ data: unknown[] }>('GET', '/search?q=%00')).body.data).toEqual([]);
  });

  it('refuse what they cannot read, each in one line', async () => {
    const list = '/records/lab.sample';
    const bad = (filter: unknown): Promise<Problem> => refused('GET', `${list}?${filterOf(filter)}`, 400, 'invalid_filter');
    const leaf = { field: 'amount', op: 'eq', value: 1 };
    let deep: unknown = leaf;
    for (let i = 0; i < 8; i++) deep = { not: deep };
    expect((await bad(deep)).detail).toContain('8 levels');
    await bad({ or: Array.from({ length: 201 }, () => leaf) });
    await bad({ field: 'nowhere', op: 'eq', value: 1 });
    await bad({ field: 'constructor', op: 'eq', value: 1 });
    await bad({ field: 'amount.x', op: 'eq', value: 1 });
    await bad({ field: 'thing.nowhere', op: 'eq', value: 1 });
    await bad({ field: 'thing.parent.parent.parent.parent.name', op: 'eq', value: 'x' });
    await bad({ field: 'amount', op: 'like', value: 1 });
    await bad({ field: 'amount', op: 'contains', value: 1 });
    await bad({ field: 'done', op: 'lt', value: true });
    await bad({ field: 'amount', op: 'eq', value: 'x' });
    await bad({ field: 'amount', op: 'gt' });
    await bad({ field: 'amount', op: 'in', value: [] });
    await bad({ field: 'amount', op: 'in', value: [1, null] });
    await bad({ field: 'amount', op: 'between', value: [1] });
    await bad({ field: 'amount', op: 'between', value: [1, 2, 3] });
    await bad({ field: 'amount', op: 'isNull', value: 'yes' });
    await bad({ field: 'day', op: 'eq', value: '21.11.2026' });
    await bad({ field: 'at', op: 'gt', value: 'now' });
    await bad({ field: 'stage', op: 'eq', value: 'unheard' });
    await bad({ field: 'tags', op: 'contains', value: ['pink'] });
    await bad({ field: 'thing', op: 'eq', value: "' or 1=1 --" });
    await bad({ field: 'price', op: 'gt', value: '1e5' });
    await bad({ field: 'price', op: 'eq', value: { amount: '1', currency: '\u0000' } });
    await bad({ field: 'name', op: 'contains', value: 'a\u0000' });
    await bad({ field: 'name', op: 'eq', value: 1, x: 1 });
    await bad({ and: [], or: [] });
    await bad({ and: leaf });
    await bad([]);
    await bad('x');
    await refused('GET', `${list}?filter=%7B`, 400, 'invalid_filter');
    await refused('GET', `${list}?sort=nowhere`, 400, 'unknown_field');
    await refused('GET', `${list}?sort=tags`, 400, 'malformed');
    await refused('GET', `${list}?sort=name,amount,day,at,done`, 400, 'malformed');
    await refused('GET', `${list}?fields=name,nowhere`, 400, 'unknown_field');
    for (const limit of ['0', '501', '-1', '1.5', 'x']) await refused('GET', `${list}?limit=${limit}`, 400, 'malformed');
    await refused('GET', `${list}?count=all`, 400, 'malformed');
    await refused('GET', `${list}?totals=name`, 400, 'malformed');
    for (const group of ['memo', 'nowhere', 'day', 'day:hour', 'stage:month', 'thing.nowhere', 'name.thing', 'amount', 'constructor'])
      await refused('GET', `${list}?group=${group}`, 400, 'malformed');
    for (const top of ['0', '501', 'x']) await refused('GET', `${list}?group=stage&top=${top}`, 400, 'malformed');
    await refused('GET', `${list}?group=stage&sum=version`, 400, 'malformed');
    await refused('GET', `${list}?group=stage&sum=name`, 400, 'malformed');
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    for (const cursor of ['x', 'e30', encode([[], GONE, 1]), encode([['x'], GONE]), encode([[], 'x']), encode([[], '-'.repeat(36)])]) {
      await refused('GET', `${list}?cursor=${cursor}`, 400, 'malformed');
    }
    await refused('GET', `${list}?sort=amount&cursor=${encode([['x'], GONE])}`, 400, 'malformed');
    await refused('GET', `${list}?sort=amount&count=exact&cursor=${encode([['x'], GONE])}`, 400, 'malformed');
  });
});

describe('rules on rows', () => {
  let nancy: string;
  let mine: Rec;
  beforeEach(async () => {
    nancy = (await world.person(`Nancy${Math.random().toString(36).slice(2)}`)).id;
    const { body } = await send('POST', '/records/lab.diary', { key: admin, body: { text: 'private', who: nancy } });
    mine = body;
  });

  it('hide what may not be read as if it did not exist', async () => {
    const path = `/records/lab.diary/${mine.id}`;
    await refused('GET', path, 404, 'not_found');
    await refused('PATCH', path, 404, 'not_found', { body: { text: 'x' } });
    await refused('DELETE', path, 404, 'not_found');
    await refused('GET', `${path}/history`, 404, 'not_found');
    await refused('GET', `${path}/timeline`, 404, 'not_found');
    await refused('POST', '/collab/ticket', 404, 'not_found', { body: { object: 'lab.diary', id: mine.id } });
    const list = await send<Page>('GET', `/records/lab.diary?count=exact&${filterOf({ field: 'id', op: 'eq', value: mine.id })}`);
    expect(list.body).toMatchObject({ data: [], count: 0 });
    await refused('PATCH', path, 403, 'forbidden', { key: admin, body: { text: 'x' } });
    await send('DELETE', path, { key: admin });
    const { body: bin } = await send<Page>('GET', '/bin?object=lab.diary');
    expect(bin.data.map((rec) => rec.id)).not.toContain(mine.id);
    await refused('POST', `${path}/restore`, 404, 'not_found');
  });

  it('tell nothing of an object that may not be read', async () => {
    await send('POST', '/records/lab.vault', { key: admin, body: { name: 'secret plan' } });
    const objects = await send<{ data: { name: string }[] }>('GET', '/objects');
    expect(objects.body.data.map((one) => one.name)).toEqual(['lab.thing', 'lab.sample', 'lab.diary']);
    await refused('GET', '/objects/lab.vault', 404, 'not_found');
    expect((await send<Page>('GET', '/records/lab.vault?count=exact')).body).toMatchObject({ data: [], count: 0 });
    expect((await send<{ data: unknown[] }>('GET', '/search?q=secret')).body.data).toEqual([]);
    await refused('POST', '/records/lab.vault', 403, 'forbidden', { body: { name: 'x' } });
    expect((await send<{ data: unknown[] }>('GET', '/search?q=secret', { key: admin })).body.data).toHaveLength(1);
  });
});
