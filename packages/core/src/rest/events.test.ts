/** `GET /events`: who is told what, in which order, and from where on. */
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import type { FieldValue, Filter, Rec } from '@kith/sdk';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Runtime } from '../runtime.ts';
import { createTestWorld, MessageIds, type TestWorld } from '../testing.ts';
import { lab, labServer } from '../testing/lab.ts';
import { Listener } from '../testing/listener.ts';
import { guestOfRecord, partnerOf, requestAs, type Outsider } from '../testing/outsiders.ts';
import { port, portServer } from '../testing/port.ts';
import { handleApi } from './node.ts';

const open: Listener[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

/** Opens a stream and waits for its beginning: what happens from here on is told. */
async function listen(
  runtime: Runtime,
  headers: Record<string, string>,
  { object, filter, last }: { object?: string; filter?: Filter; last?: string } = {},
): Promise<Listener> {
  const parameters = new URLSearchParams({ ...(object ? { object } : {}), ...(filter ? { filter: JSON.stringify(filter) } : {}) });
  const response = await runtime.api.handle(
    new Request(`http://kith.internal/api/v1/events?${parameters}`, {
      headers: { ...headers, ...(last ? { 'last-event-id': last } : {}) },
    }),
    { ip: '127.0.0.1' },
  );
  expect(response.status, await (response.status === 200 ? '' : response.clone().text())).toBe(200);
  const listener = new Listener(response.body!);
  open.push(listener);
  await listener.until(() => listener.last !== '');
  return listener;
}
const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` });
/** Long enough for what must not come to have come. */
/** Every change has its place in the order of all. */
const moved = async (world: TestWorld): Promise<void> => {
  for (let i = 0; i < 200; i++) {
    const { rows } = await world.runtime.pool.query<{ n: number }>('select count(*)::int as n from kith.outbox');
    if (rows[0]!.n === 0) return;
    await quiet(10);
  }
};
const quiet = (ms = 250): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('for the staff', () => {
  let world: TestWorld;
  let key: string;
  beforeAll(async () => {
    world = await createTestWorld({ plugins: [lab], servers: [labServer] });
    key = await world.key('member');
  });
  afterAll(() => world.close());

  const call = async (method: string, path: string, body?: unknown, as = key): Promise<Rec> => {
    const answer = await world.request(method, path, { key: as, ...(body === undefined ? {} : { body }) });
    expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
    return answer.body as Rec;
  };
  const sample = (fields: Record<string, FieldValue> = {}): Promise<Rec> => call('POST', '/records/lab.sample', { name: 'one', ...fields });

  it('tells what happens to a record, in order, with old and new values', async () => {
    const listener = await listen(world.runtime, bearer(key), { object: 'lab.sample' });
    const rec = await sample({ amount: 1 });
    await call('POST', '/records/lab.thing', { name: 'of no interest' });
    await call('PATCH', `/records/lab.sample/${rec.id}`, { amount: 2, memo: 'long' });
    await call('DELETE', `/records/lab.sample/${rec.id}`);
    await call('POST', `/records/lab.sample/${rec.id}/restore`);
    await listener.until((heard) => heard.length >= 4);
    await quiet();
    expect(listener.short).toEqual(['created', 'changed', 'deleted', 'restored'].map((event) => `${event} ${rec.id}`));
    const [created, changed] = listener.heard;
    expect(created!.data).toMatchObject({ object: 'lab.sample', kind: 'created', version: 1, changes: { name: [null, 'one'] } });
    expect(changed!.data).toMatchObject({ version: 2, changes: { amount: [1, 2], double: [2, 4], memo: null } });
    expect(changed!.data.at).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
    expect(changed!.data.by).toMatch(/^[0-9a-f-]{36}$/);
    expect(listener.text).toMatch(/^retry: 1000\nid: /);
  });

  it('goes on after the last message, losing and doubling nothing, on another node and after a restart', async () => {
    const other = await world.another();
    let listener = await listen(world.runtime, bearer(key), { object: 'lab.thing' });
    const made: string[] = [];
    const heard: string[] = [];
    for (let round = 0; round < 6; round++) {
      const writes = Array.from({ length: 25 }, (_, i) => call('POST', '/records/lab.thing', { name: `thing ${round}.${i}` }));
      // Cut off in the middle of it.
      await listener.until((all) => all.length > 3 + round * 2);
      await listener.close();
      heard.push(...listener.short);
      made.push(...(await Promise.all(writes)).map((rec) => `created ${rec.id}`));
      listener = await listen(round % 2 === 0 ? other : world.runtime, bearer(key), { object: 'lab.thing', last: listener.last });
    }
    await listener.until(() => heard.length + listener.heard.length >= made.length);
    await quiet();
    heard.push(...listener.short);
    expect(heard).toHaveLength(made.length);
    expect(new Set(heard)).toEqual(new Set(made));
    const again = await listen(other, bearer(key), { object: 'lab.thing', last: listener.last });
    await quiet(100);
    expect(again.heard).toEqual([]);
  });

  it('hears of what a worker that leads has moved', async () => {
    const worker = await createTestWorld({ plugins: [lab], servers: [labServer], roles: ['worker'] });
    try {
      const web = await worker.another({ roles: ['web'] });
      const listener = await listen(web, bearer(await worker.key()));
      const begun = Date.now();
      await worker.request('POST', '/records/lab.thing', { key: await worker.key(), body: { name: 'from afar' } });
      expect(await listener.until((heard) => heard.length === 1)).toBe(true);
      expect(Date.now() - begun).toBeLessThan(1_500);
      await listener.close();
    } finally {
      await worker.close();
    }
  });

  it('with a filter tells what fits, what comes to fit, and what fitted until then', async () => {
    const listener = await listen(world.runtime, bearer(key), {
      object: 'lab.sample',
      filter: {
        and: [
          { field: 'stage', op: 'eq', value: 'begun' },
          { field: 'thing.country', op: 'eq', value: 'DE' },
        ],
      },
    });
    const german = await call('POST', '/records/lab.thing', { name: 'g', country: 'DE' });
    const rec = await sample({ stage: 'tried', thing: german.id });
    const never = await sample({ stage: 'begun' });
    await call('PATCH', `/records/lab.sample/${never.id}`, { amount: 3 });
    for (const patch of [{ amount: 1 }, { stage: 'begun' }, { amount: 2 }, { stage: 'over' }, { amount: 3 }])
      await call('PATCH', `/records/lab.sample/${rec.id}`, patch);
    await listener.until((heard) => heard.length >= 3);
    await quiet();
    expect(listener.heard.map(({ data }) => data.changes)).toEqual([
      { stage: ['tried', 'begun'] },
      { amount: [1, 2], double: [2, 4] },
      { stage: ['begun', 'over'] },
    ]);
    // The same again from the beginning, when all of it is past: of what only the database can judge, as it is now.
    const late = await listen(world.runtime, bearer(key), {
      object: 'lab.sample',
      filter: { field: 'stage', op: 'eq', value: 'begun' },
      last: startOf(world).last,
    });
    await late.until((heard) => heard.some(({ data }) => data.record === rec.id && 'stage' in data.changes && data.changes.stage !== null));
    await quiet(100);
    expect(late.heard.filter(({ data }) => data.record === rec.id).map(({ data }) => data.changes)).toEqual([
      { stage: ['tried', 'begun'] },
      { amount: [1, 2], double: [2, 4] },
      { stage: ['begun', 'over'] },
    ]);
  });

  it('tells nobody of records that are not theirs, and that one is gone to whoever saw it', async () => {
    const owner = await world.person('Owner');
    const own = { cookie: (await world.runtime.sessions.open(owner.id)).split(';', 1)[0]! };
    const [mine, others] = [await listen(world.runtime, own, { object: 'lab.diary' }), await listen(world.runtime, bearer(key))];
    const write = (method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> =>
      world.request(method, path, { headers: { ...own, origin: 'http://localhost:5173' }, ...(body ? { body } : {}) });
    const secret = (await write('POST', '/records/lab.diary', { text: 'private words', open: false })).body as Rec;
    await write('PATCH', `/records/lab.diary/${secret.id}`, { text: 'still private' });
    await write('PATCH', `/records/lab.diary/${secret.id}`, { open: true });
    await mine.until((heard) => heard.length >= 3);
    await others.until((heard) => heard.length >= 1);
    await write('PATCH', `/records/lab.diary/${secret.id}`, { open: false });
    await mine.until((heard) => heard.length >= 4);
    await quiet();
    expect(mine.short).toEqual(['created', 'changed', 'changed', 'changed'].map((event) => `${event} ${secret.id}`));
    // One who reads along as it happens hears at most what was open then.
    expect(others.heard.at(-1)).toMatchObject({ event: 'gone', data: { object: 'lab.diary', record: secret.id } });
    expect(Object.keys(others.heard.at(-1)!.data)).toEqual(['object', 'record']);
    const vault = await world.request('GET', '/events?object=lab.vault', { key });
    expect(vault.status).toBe(404);
    await call('POST', '/records/lab.vault', { name: 'gold' }, await world.key('admin'));
    await quiet();
    expect(others.text).not.toContain('gold');
  });

  it('refuses what is no id, what is too old, a filter without object, and too many at once', async () => {
    const ask = (path: string, headers: Record<string, string> = {}): ReturnType<TestWorld['request']> =>
      world.request('GET', path, { key, headers });
    for (const id of ['12', randomBytes(36).toString('base64url'), 'é'])
      expect((await ask(`/events?lastEventId=${encodeURIComponent(id)}`)).status, id).toBe(400);
    expect((await ask('/events?filter=%7B%22field%22%3A%22name%22%2C%22op%22%3A%22eq%22%7D')).status).toBe(400);
    expect((await ask('/events?object=lab.sample&filter=%7B%22field%22%3A%22no%22%2C%22op%22%3A%22eq%22%7D')).status).toBe(400);
    expect((await ask('/events?object=lab.nothing')).status).toBe(404);
    const many = await Promise.all(Array.from({ length: 20 }, () => listen(world.runtime, bearer(key))));
    const refused = await ask('/events');
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).not.toBeNull();
    await many[0]!.close();
    expect((await ask('/events')).status).toBe(200);

    const small = await createTestWorld({ plugins: [lab], servers: [labServer] });
    const theirs = await small.key();
    const listener = await listen(small.runtime, bearer(theirs));
    await small.request('POST', '/records/lab.thing', { key: theirs, body: { name: 'old' } });
    await small.request('POST', '/records/lab.thing', { key: theirs, body: { name: 'older' } });
    await listener.until((heard) => heard.length === 2);
    const before = listener.heard[0]!.id;
    await small.runtime.pool.query('delete from kith.event_log');
    const { status, body } = await small.request('GET', '/events', { key: theirs, headers: { 'last-event-id': before } });
    expect([status, (body as { code: string }).code]).toEqual([410, 'events_expired']);
    expect((await small.request('GET', '/events', { key: theirs, headers: { 'last-event-id': listener.last } })).status).toBe(200);
    await listener.close();
    await small.close();
  });

  it('ends within a second when the session ends, the role changes or the key is withdrawn, and when the process stops', async () => {
    const someone = await world.person('Someone');
    const cookie = { cookie: (await world.runtime.sessions.open(someone.id)).split(';', 1)[0]! };
    const ends = async (listener: Listener): Promise<void> => {
      const begun = Date.now();
      expect(await listener.until(() => listener.ended, 2_000)).toBe(true);
      expect(Date.now() - begun).toBeLessThan(1_050);
    };
    const first = await listen(world.runtime, cookie);
    const other = await world.another();
    await other.sessions.changeUser(world.me, someone.id, { role: 'reader' });
    await ends(first);
    const second = await listen(world.runtime, cookie);
    await world.runtime.sessions.signOut(cookie.cookie);
    await ends(second);
    const lent = await world.key('member');
    const third = await listen(world.runtime, bearer(lent));
    await world.runtime.pool.query('update kith.api_key set revoked_at = now() where name = (select max(name) from kith.api_key)');
    await ends(third);
    const fourth = await listen(other, bearer(key));
    other.streams.close();
    await ends(fourth);
  });

  it('comes over a socket piece by piece, and stops reading for a client that takes nothing', async () => {
    const server = http.createServer((req, res) => void handleApi(world.runtime, req, res));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1/events?object=lab.thing`;
    try {
      const response = await fetch(url, { headers: bearer(key) });
      expect(response.headers.get('content-type')).toBe('text/event-stream');
      expect(response.headers.get('content-length')).toBeNull();
      const listener = new Listener(response.body!);
      await listener.until(() => listener.last !== '');
      const rec = await call('POST', '/records/lab.thing', { name: 'by wire' });
      expect(await listener.until((heard) => heard.length === 1)).toBe(true);
      expect(listener.short).toEqual([`created ${rec.id}`]);
      const head = await fetch(url, { method: 'HEAD', headers: bearer(key) });
      expect([head.status, await head.text()]).toEqual([200, '']);

      // Somebody who connects and never reads: the answer waits in the socket, and there is an end to it.
      const asked = http.get(url, { headers: { ...bearer(key), 'last-event-id': listener.last } });
      const idle = await new Promise<http.IncomingMessage>((resolve) => asked.on('response', resolve));
      idle.pause();
      const rows = Array.from({ length: 1_000 }, (_, i) => ({ name: `${i} ${'x'.repeat(900)}` }));
      for (let i = 0; i < 6; i++) await call('POST', '/records/lab.thing/batch', { create: rows });
      await listener.until((heard) => heard.length >= 6_001, 20_000);
      expect(listener.heard).toHaveLength(6_001);
      const late = new Listener(Readable.toWeb(idle) as ReadableStream<Uint8Array>);
      await late.until((heard) => heard.length >= 6_000, 20_000);
      expect(late.short).toEqual(listener.short.slice(1));
      await late.close();
      asked.destroy();
      await listener.close();
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }, 60_000);
});

/** A stream that was opened before anything in this world happened. */
const startOf = (world: TestWorld): { last: string } => ({ last: new MessageIds(world.runtime.env.secret).write(0) });

describe('for people from outside', () => {
  let world: TestWorld;
  let [acme, rival] = ['', ''];
  let [ann, colleague, foe]: (Outsider | undefined)[] = [];
  beforeAll(async () => {
    world = await createTestWorld({ plugins: [port], servers: [portServer] });
    const company = async (name: string): Promise<string> => (await make('port.company', { name })).id;
    [acme, rival] = [await company('Acme'), await company('Rival')];
    ann = await partnerOf(world.runtime, 'agent', acme, 'Ann');
    colleague = await partnerOf(world.runtime, 'agent', acme, 'Bea');
    foe = await partnerOf(world.runtime, 'agent', rival, 'Foe');
  });
  afterAll(() => world.close());

  const make = (object: string, fields: Record<string, FieldValue>): Promise<Rec> =>
    world.runtime.records.create(world.actor, world.object(object), fields);
  const patch = (rec: Rec, fields: Record<string, FieldValue>): Promise<Rec> =>
    world.runtime.records.patch(world.actor, world.object(rec.object), rec.id, fields);

  it('tells of what is theirs, in what they read, with the version that they count, and of nobody of the staff', async () => {
    const listener = await listen(world.runtime, ann!.headers);
    const rec = await make('port.consignment', { name: 'ours', agent: acme, cost: 777_001, secret: 'hush-hush', note: 'dear agent' });
    await make('port.consignment', { name: 'theirs', agent: rival });
    await patch(rec, { cost: 777_002, secret: 'hush-again' });
    await patch(rec, { quantity: 5, memo: 'entre nous' });
    await requestAs(world, colleague!)('PATCH', `/records/port.consignment/${rec.id}`, { quantity: 6 });
    await listener.until((heard) => heard.length >= 3);
    await quiet();
    expect(listener.short).toEqual(['created', 'changed', 'changed'].map((event) => `${event} ${rec.id}`));
    const [created, staff, mate] = listener.heard;
    expect(created!.data.changes).toMatchObject({ name: [null, 'ours'], agent: [null, acme], note: null });
    expect(staff!.data.changes).toEqual({ quantity: [null, 5] });
    expect(staff!.data.by).toBeUndefined();
    expect(mate!.data).toMatchObject({ by: colleague!.principal.id, changes: { quantity: [5, 6] }, version: 3 });
    for (const word of ['hush', '777001', '777002', 'entre', 'theirs', world.me.id, 'cost', 'memo'])
      expect(listener.text).not.toContain(word);
  });

  it('tells what a plugin says of a record to the staff who may read it, and not to partners', async () => {
    const key = await world.key('reader');
    const [staff, partner, other] = [
      await listen(world.runtime, bearer(key)),
      await listen(world.runtime, ann!.headers),
      await listen(world.runtime, bearer(key), { object: 'port.consignment', filter: { field: 'name', op: 'eq', value: 'another' } }),
    ];
    const rec = await make('port.consignment', { name: 'heavy', agent: acme });
    const said = (data: object, id = rec.id): Promise<void> =>
      world.run(port, (ctx) => ctx.emit('weighed', id, data as { tons: number; by: null }));
    await said({ tons: 4 });
    await patch(rec, { name: 'another' });
    await said({ tons: 5, by: 'crane' });
    await staff.until((heard) => heard.length >= 4);
    await other.until((heard) => heard.length >= 2);
    await partner.until((heard) => heard.length >= 2);
    await quiet();
    const weighed = staff.heard.filter(({ event }) => event === 'emitted');
    expect(weighed.map(({ data }) => [data.record, data.kind, data.event, data.data])).toEqual([
      [rec.id, 'emitted', 'port.weighed', { tons: 4, by: null }],
      [rec.id, 'emitted', 'port.weighed', { tons: 5, by: 'crane' }],
    ]);
    // With a filter, what was said while it fitted.
    expect(other.short.at(-1)).toBe(`emitted ${rec.id}`);
    expect(other.short.filter((one) => one.startsWith('emitted'))).toHaveLength(1);
    expect(partner.short).toEqual([`created ${rec.id}`, `changed ${rec.id}`]);
    expect(partner.text).not.toContain('crane');

    // Names and data are checked, and what is in the bin is not spoken of.
    await expect(said({ tons: -1 })).rejects.toMatchObject({ status: 422 });
    await expect(said({})).rejects.toMatchObject({ status: 422 });
    await expect(said({ tons: 1 }, acme)).rejects.toMatchObject({ status: 404 });
    await expect(world.run(port, (ctx) => ctx.emit('wieghed' as 'weighed', rec.id, { tons: 1, by: null }))).rejects.toThrow(
      'plugin "port" has no event "wieghed"',
    );
    await world.runtime.records.remove(world.actor, world.object('port.consignment'), rec.id);
    await expect(said({ tons: 1 })).rejects.toMatchObject({ status: 404 });
    const taken = world.run(port, async (ctx) => {
      await ctx.emit('weighed', (await ctx.records.create('port.consignment', { name: 'never' })).id, { tons: 9, by: null });
      throw new Error('taken back');
    });
    await expect(taken).rejects.toThrow('taken back');
    await quiet();
    expect(staff.heard.filter(({ event }) => event === 'emitted')).toHaveLength(2);
  });

  it('tells that a record came and that it is gone, and nothing of the time between or before', async () => {
    const rec = await make('port.consignment', { name: 'wanders', agent: rival, quantity: 771_001, kept: 'of-rival' });
    // A stream begins after what has its place by then.
    await expect.poll(async () => (await world.runtime.pool.query('select from kith.outbox')).rowCount).toBe(0);
    await quiet();
    const [mine, theirs] = [await listen(world.runtime, ann!.headers), await listen(world.runtime, foe!.headers)];
    await patch(rec, { quantity: 771_002 });
    await theirs.until((heard) => heard.length >= 1);
    await patch(rec, { agent: acme });
    await patch(rec, { quantity: 771_003 });
    await mine.until((heard) => heard.length >= 2);
    await patch(rec, { phase: 'draft' });
    await patch(rec, { quantity: 771_004 });
    await mine.until((heard) => heard.length >= 3);
    await patch(rec, { phase: 'open' });
    await mine.until((heard) => heard.length >= 4);
    await world.runtime.records.remove(world.actor, world.object('port.consignment'), rec.id);
    await mine.until((heard) => heard.length >= 5);
    await quiet();
    expect(mine.heard.map(({ event }) => event)).toEqual(['created', 'changed', 'gone', 'created', 'gone']);
    expect(mine.heard[2]!.data).toEqual({ object: 'port.consignment', record: rec.id });
    expect(theirs.heard.map(({ event }) => event)).toEqual(['changed', 'gone']);
    for (const word of [rival, '771001', '771002']) expect(mine.text).not.toContain(word);
    for (const word of [acme, '771003', '771004']) expect(theirs.text).not.toContain(word);
    expect(mine.heard[3]!.data.changes).toMatchObject({ quantity: [null, 771_004] });

    // Whoever comes late is told the same end of it, and less of the middle.
    const { last } = startOf(world);
    const [lateMine, lateTheirs] = [
      await listen(world.runtime, ann!.headers, { last }),
      await listen(world.runtime, foe!.headers, { last }),
    ];
    await lateMine.until((heard) => heard.some(({ data }) => data.record === rec.id));
    await lateTheirs.until((heard) => heard.some(({ data }) => data.record === rec.id));
    await quiet(100);
    const of = (listener: Listener): string[] => listener.heard.filter(({ data }) => data.record === rec.id).map(({ event }) => event);
    expect(of(lateMine)).toEqual(['gone']);
    expect(of(lateTheirs)).toEqual(['gone']);
    for (const word of ['7710', rival]) expect(lateMine.text).not.toContain(word);
  });

  it('with a filter over what they read, and for a guest of their record alone', async () => {
    const rec = await make('port.consignment', { name: 'shown', agent: acme });
    const visitor = await guestOfRecord(world.runtime, 'visitor', 'port.consignment', rec.id);
    // That it was made has its place before they begin to listen.
    await moved(world);
    const [guest, filtered] = [
      await listen(world.runtime, visitor.headers),
      await listen(world.runtime, ann!.headers, { object: 'port.consignment', filter: { field: 'quantity', op: 'gt', value: 10 } }),
    ];
    await make('port.consignment', { name: 'another', agent: acme, quantity: 3 });
    await patch(rec, { quantity: 11 });
    await patch(rec, { name: 'renamed' });
    await patch(rec, { quantity: 1 });
    await patch(rec, { quantity: 2 });
    await guest.until((heard) => heard.length >= 1);
    await filtered.until((heard) => heard.length >= 3);
    await quiet();
    expect(guest.heard.map(({ data }) => data.changes)).toEqual([{ name: ['shown', 'renamed'] }]);
    expect(filtered.heard.map(({ data }) => data.changes)).toEqual([
      { quantity: [null, 11] },
      { name: ['shown', 'renamed'] },
      { quantity: [11, 1] },
    ]);
    const refused = await world.request(
      'GET',
      `/events?object=port.consignment&filter=${encodeURIComponent('{"field":"cost","op":"gt","value":1}')}`,
      {
        headers: ann!.headers,
      },
    );
    expect(refused.status).toBe(400);
    await world.runtime.guests.revoke(world.me, visitor.principal.id);
    expect(await guest.until(() => guest.ended, 1_000)).toBe(true);
  });

  it('tells not one change that was made after the access was withdrawn', async () => {
    const rec = await make('port.consignment', { name: 'busy', agent: acme, quantity: 0 });
    const leaver = await partnerOf(world.runtime, 'agent', acme, 'Leaver');
    const listener = await listen(world.runtime, leaver.headers);
    const other = await world.another();
    let n = 0;
    let withdrawn: number | undefined;
    while (n < 60 && !listener.ended) {
      await patch(rec, { quantity: ++n });
      if (n === 20) {
        await other.partners.change(world.me, leaver.principal.id, { active: false });
        withdrawn = n;
      }
    }
    expect(await listener.until(() => listener.ended, 1_000)).toBe(true);
    const heard = listener.heard.map(({ data }) => (data.changes.quantity as number[])[1]!);
    expect(heard.every((value) => value <= withdrawn!)).toBe(true);
    expect(heard).toEqual(heard.map((_, i) => i + 1));
  });
});
