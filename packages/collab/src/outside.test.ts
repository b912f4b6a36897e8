/** Live documents and lists of people from outside: what they may join, what reaches them, and what no socket gets past. */
import { loadDoc } from '@kith/doc';
import { readStored } from '@kith/core';
import { createTestWorld, type TestWorld } from '@kith/core/testing';
import { guestOfRecord, partnerOf, requestAs, type Outsider } from '@kith/core/testing/outsiders';
import { port, portServer } from '@kith/core/testing/port';
import { stateOf } from '@kith/core/testing/state';
import type { Rec } from '@kith/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import * as Y from 'yjs';
import { awarenessFrame, CLOSE, step1Frame, updateFrame } from './protocol.ts';
import { connectTo, serve, until, type Client, type Node } from '../testing/world.ts';

const CONSIGNMENT = 'port.consignment';
let world: TestWorld;
let node: Node;
let key: string;
let acme: string;
let rival: string;
let ann: Outsider;
let rob: Outsider;
const clients: Client[] = [];

const api = (method: string, path: string, body?: unknown): ReturnType<TestWorld['request']> =>
  world.request(method, path, { key, ...(body === undefined ? {} : { body }) });
const make = async (object: string, fields: Record<string, unknown>): Promise<string> => {
  const { status, body } = await api('POST', `/records/${object}`, fields);
  expect(status, JSON.stringify(body)).toBe(201);
  return (body as Rec).id;
};
const consignment = (more: Record<string, unknown> = {}): Promise<string> =>
  make(CONSIGNMENT, { name: 'Coffee', agent: acme, note: '', brief: 'for you', secret: 'canary-secret', memo: 'canary-memo', ...more });
const read = async (id: string): Promise<Rec> => (await api('GET', `/records/${CONSIGNMENT}/${id}`)).body as Rec;

const staffHeaders = (): Record<string, string> => ({ authorization: `Bearer ${key}` });
async function join(id: string, facet: string, headers: Record<string, string>, doc?: Y.Doc, on = node): Promise<Client> {
  // A browser's Origin carries the port that it came by.
  const own = headers.origin === undefined ? headers : { ...headers, origin: `http://localhost:${on.port}` };
  const client = connectTo(on, { object: CONSIGNMENT, id, facet, headers: own, ...(doc ? { doc } : {}) });
  clients.push(client);
  await until(() => client.provider.synced || client.closes.length > 0);
  return client;
}
/** A bare socket: the code with which it was closed, and every byte that came before. */
function knock(
  path: string,
  headers: Record<string, string>,
  send: (Uint8Array | string)[] = [],
  ms = 3_000,
): Promise<{ code: number; bytes: Buffer }> {
  return new Promise((resolve) => {
    const own = headers.origin === undefined ? headers : { ...headers, origin: `http://localhost:${node.port}` };
    const ws = new WebSocket(`${node.url}${path}`, { headers: own });
    const chunks: Buffer[] = [];
    const timer = setTimeout(() => ws.terminate(), ms);
    ws.on('open', () => {
      for (const frame of send) ws.send(frame);
    });
    ws.on('message', (data: Buffer) => chunks.push(data));
    ws.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, bytes: Buffer.concat(chunks) });
    });
    ws.on('error', () => undefined);
  });
}
const edit = (work: (doc: Y.Doc) => void, doc = new Y.Doc()): Uint8Array => {
  const updates: Uint8Array[] = [];
  const note = (update: Uint8Array): void => void updates.push(update);
  doc.on('update', note);
  work(doc);
  doc.off('update', note);
  return Y.mergeUpdates(updates);
};

beforeAll(async () => {
  world = await createTestWorld({ plugins: [port], servers: [portServer] });
  node = await serve(world.runtime);
  key = await world.key('member');
  acme = await make('port.company', { name: 'Acme' });
  rival = await make('port.company', { name: 'Rival' });
  ann = await partnerOf(world.runtime, 'agent', acme, 'Ann');
  rob = await partnerOf(world.runtime, 'agent', rival, 'Rob');
  for (const one of [ann, rob]) one.headers.origin = `http://localhost:${node.port}`;
});
afterAll(async () => {
  for (const client of clients) client.leave();
  await node.stop();
  await world.close();
});

describe('joining', () => {
  it('is by document: each holds nothing that its readers may not read', async () => {
    const id = await consignment();
    const theirs = await join(id, 'agent-rw', ann.headers);
    const readOnly = await join(id, 'agent-r.broker-r', ann.headers);
    const staff = await join(id, 'agent-rw', staffHeaders());
    theirs.doc.getText('note').insert(0, 'from Ann ');
    await theirs.saved();
    staff.doc.getText('note').insert(0, 'from staff ');
    await staff.saved();
    await until(
      () => theirs.doc.getText('note').toString().includes('from staff') && staff.doc.getText('note').toString().includes('from Ann'),
    );
    expect((await read(id)).fields.note).toBe(theirs.doc.getText('note').toString());
    expect(readOnly.doc.getText('brief').toString()).toBe('for you');
    for (const { doc } of [theirs, readOnly]) expect(Buffer.from(Y.encodeStateAsUpdate(doc)).toString('latin1')).not.toContain('canary');
    // The API writes into the same document.
    expect((await requestAs(world, ann)('PATCH', `/records/${CONSIGNMENT}/${id}`, { note: 'by the API' })).status).toBe(200);
    await until(() => staff.doc.getText('note').toString() === 'by the API');
  });

  it('is refused where it should be, with the code that tells no more than it may', async () => {
    const id = await consignment();
    const foreign = await consignment({ agent: rival });
    const draft = await consignment({ phase: 'draft' });
    const item = await make('port.item', { consignment: id, label: 'x' });
    const before = await stateOf(world.runtime.pool);
    const path = (record: string, facet: string, object = CONSIGNMENT): string => `/collab/${object}/${record}/${facet}`;
    const tried: [string, Record<string, string>, number][] = [
      [path(id, 'staff'), ann.headers, CLOSE.forbidden],
      [path(id, 'nothing'), ann.headers, CLOSE.notFound],
      [path(foreign, 'agent-rw'), ann.headers, CLOSE.notFound],
      [path(foreign, 'staff'), ann.headers, CLOSE.notFound],
      [path(draft, 'agent-rw'), ann.headers, CLOSE.notFound],
      [path(acme, 'staff', 'port.company'), ann.headers, CLOSE.notFound],
      [path(item, 'staff', 'port.item'), ann.headers, CLOSE.forbidden],
      [path(item, 'staff', 'port.item'), rob.headers, CLOSE.notFound],
      [path(id, 'agent-rw'), rob.headers, CLOSE.notFound],
      [path(id, 'agent-rw'), {}, CLOSE.unauthenticated],
      [path(id, 'agent-rw'), { ...ann.headers, origin: '' }, CLOSE.unauthenticated],
      [`/collab/${CONSIGNMENT}/${id}/..%2fstaff`, ann.headers, CLOSE.notFound],
      [`/collab/${CONSIGNMENT}/${id}`, ann.headers, CLOSE.notFound],
      [`/collab/${CONSIGNMENT}/${id}'--/agent-rw`, ann.headers, CLOSE.notFound],
      [path('00000000-0000-0000-0000-000000000000', 'agent-rw'), ann.headers, CLOSE.notFound],
    ];
    for (const [to, headers, code] of tried) {
      const plain = headers.origin === '' ? { cookie: headers.cookie! } : headers;
      const { code: closed, bytes } = await knock(to, plain, [step1Frame(new Uint8Array([0]))]);
      expect([to, closed]).toEqual([to, code]);
      expect(bytes.byteLength).toBe(0);
    }
    expect(await stateOf(world.runtime.pool)).toEqual(before);
  });

  it('by ticket works once, for one document, and for nobody else’s', async () => {
    const id = await consignment();
    const other = await consignment();
    const as = requestAs(world, ann);
    const tickets = async (): Promise<Record<string, string>> => {
      const { body } = await as('POST', '/collab/ticket', { object: CONSIGNMENT, id });
      return Object.fromEntries(
        (body as never as { facets: { name: string; ticket: string }[] }).facets.map((one) => [one.name, one.ticket]),
      );
    };
    const mine = await tickets();
    expect(Object.keys(mine).sort()).toEqual(['agent-r.broker-r', 'agent-r.broker-r.visitor-r', 'agent-rw']);
    expect((await requestAs(world, rob)('POST', '/collab/ticket', { object: CONSIGNMENT, id })).status).toBe(404);
    const at = (record: string, facet: string, ticket: string): string => `/collab/${CONSIGNMENT}/${record}/${facet}?ticket=${ticket}`;
    // Another document, another facet, another record: the ticket does not fit, and there is no cookie to fall back on.
    expect((await knock(at(id, 'staff', mine['agent-rw']!), {})).code).toBe(CLOSE.unauthenticated);
    expect((await knock(at(other, 'agent-rw', mine['agent-rw']!), {})).code).toBe(CLOSE.unauthenticated);
    const client = connectTo(node, { object: CONSIGNMENT, id, facet: 'agent-rw', params: { ticket: mine['agent-rw']! } });
    clients.push(client);
    await until(() => client.provider.synced);
    expect((await knock(at(id, 'agent-rw', mine['agent-rw']!), {})).code).toBe(CLOSE.unauthenticated);
    // Whoever stole a used one is judged by who they are.
    expect((await knock(at(id, 'agent-rw', mine['agent-rw']!), rob.headers)).code).toBe(CLOSE.notFound);
    // Tickets of somebody whose access ends in between are worth nothing.
    const eve = await partnerOf(world.runtime, 'agent', acme, 'Eve');
    const { body } = await requestAs(world, { ...eve, headers: { ...eve.headers, origin: `http://localhost:${node.port}` } })(
      'POST',
      '/collab/ticket',
      { object: CONSIGNMENT, id },
    );
    const { ticket } = (body as never as { facets: { name: string; ticket: string }[] }).facets.find((one) => one.name === 'agent-rw')!;
    await world.runtime.partners.change(world.me, eve.principal.id, { active: false });
    expect((await knock(at(id, 'agent-rw', ticket), {})).code).toBe(CLOSE.unauthenticated);
  });

  it('shows a guest one record, to read', async () => {
    const id = await consignment();
    const visitor = await guestOfRecord(world.runtime, 'visitor', CONSIGNMENT, id);
    const client = await join(id, 'agent-r.broker-r.visitor-r', visitor.headers);
    expect(client.doc.getMap('fields').toJSON()).toEqual({ name: 'Coffee' });
    client.doc.getMap('fields').set('name', 'Tea');
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect((await read(id)).fields.name).toBe('Coffee');
    expect((await join(id, 'agent-rw', visitor.headers)).closes).toContain(CLOSE.forbidden);
    expect((await join(await consignment(), 'agent-r.broker-r.visitor-r', visitor.headers)).closes).toContain(CLOSE.notFound);
  });
});

describe('writing', () => {
  it('on a read-only join is dropped, and counted no more', async () => {
    const id = await consignment();
    const client = await join(id, 'agent-r.broker-r', ann.headers);
    await client.saved();
    const counted = client.acknowledged();
    client.doc.getText('brief').insert(0, 'mine: ');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(client.closes).toEqual([]);
    expect(client.acknowledged()).toBe(counted);
    expect((await read(id)).fields.brief).toBe('for you');
    const staff = await join(id, 'agent-r.broker-r', staffHeaders());
    expect(staff.doc.getText('brief').toString()).toBe('for you');
  });

  it('outside of the document’s fields closes the socket and changes nothing', async () => {
    const id = await consignment({ note: 'kept' });
    const attempts: ((doc: Y.Doc) => void)[] = [
      (doc) => doc.getMap('fields').set('secret', 'x'),
      (doc) => doc.getMap('fields').set('name', 'x'),
      (doc) => doc.getMap('fields').set('note', 'x'),
      (doc) => doc.getMap('fields').set('quantity', 5),
      (doc) => doc.getText('memo').insert(0, 'x'),
      (doc) => doc.getText('brief').insert(0, 'x'),
      (doc) => doc.getMap('anything').set('a', 1),
      (doc) => doc.getArray('list').push([1]),
      (doc) => doc.getXmlFragment('story2').insert(0, [new Y.XmlText('x')]),
    ];
    const before = await stateOf(world.runtime.pool);
    for (const attempt of attempts) {
      const { code } = await knock(`/collab/${CONSIGNMENT}/${id}/agent-rw`, ann.headers, [updateFrame(edit(attempt))]);
      expect(code, attempt.toString()).toBe(CLOSE.forbidden);
    }
    const after = await stateOf(world.runtime.pool);
    // The document was made and client ids were claimed; no record, no log and no event.
    for (const name of ['kith.doc_client', 'kith.doc_head', 'kith.doc_snapshot', 'kith.session']) {
      delete after[name];
      delete before[name];
    }
    expect(after).toEqual(before);
    const fine = await join(id, 'agent-rw', ann.headers);
    expect(fine.doc.getText('note').toString()).toBe('kept');
  });

  it('under somebody else’s id, or the server’s, is refused', async () => {
    const id = await consignment();
    const staff = await join(id, 'agent-rw', staffHeaders());
    staff.doc.getText('note').insert(0, 'staff wrote this');
    await staff.saved();
    const forged = new Y.Doc();
    forged.clientID = staff.doc.clientID;
    const { code } = await knock(`/collab/${CONSIGNMENT}/${id}/agent-rw`, ann.headers, [
      updateFrame(edit((doc) => doc.getText('note').insert(0, 'and this too, says somebody else'), forged)),
    ]);
    expect(code).toBe(CLOSE.forbidden);
    const server = new Y.Doc();
    server.clientID = 5;
    expect(
      (
        await knock(`/collab/${CONSIGNMENT}/${id}/agent-rw`, ann.headers, [
          updateFrame(edit((doc) => doc.getText('note').insert(0, 'x'), server)),
        ])
      ).code,
    ).toBe(CLOSE.forbidden);
    expect((await read(id)).fields.note).toBe('staff wrote this');
  });

  it('under a guard’s rule of another field goes through the one door', async () => {
    const id = await consignment();
    const client = await join(id, 'agent-rw', ann.headers);
    client.doc.getText('note').insert(0, 'a');
    await client.saved();
    const staff = await join(id, 'staff', staffHeaders());
    staff.doc.getText('memo').insert(0, 'b');
    client.doc.getText('note').insert(1, 'c');
    await Promise.all([client.saved(), staff.saved()]);
    const rec = await read(id);
    expect(rec.fields).toMatchObject({ note: 'ac', memo: expect.stringContaining('b') as string });
    // Both documents and the row agree.
    const object = world.object(CONSIGNMENT);
    const stored = (await readStored(world.runtime.pool, object, id, object.facets))!;
    const texts = object.facets.flatMap((facet) => {
      const document = stored.documents.get(facet.num);
      const doc = document && loadDoc(document.parts);
      return doc
        ? [...facet.fields]
            .filter((name) => object.fields.get(name)!.merge === 'text')
            .map((name) => [name, doc.getText(name).toString() || null])
        : [];
    });
    for (const [name, value] of texts) expect([name, stored.fields[name as string]]).toEqual([name, value]);
  });
});

describe('presence', () => {
  it('shows people from outside what the audience declares about staff, and nothing of other documents', async () => {
    const id = await consignment({ broker: rival });
    const person = await world.person('Nancy');
    const cookie = (await world.runtime.sessions.open(person.id)).split(';', 1)[0]!;
    const staff = await join(id, 'agent-rw', { cookie, origin: 'own' });
    staff.provider.awareness.setLocalState({
      field: 'secret',
      draft: { field: 'cost', text: 'canary' },
      cursor: { a: 1 },
      email: 'canary@x',
      user: { id: ann.principal.id, name: 'Somebody else' },
    });
    const client = await join(id, 'agent-rw', ann.headers);
    await until(() => [...client.provider.awareness.getStates().values()].some((state) => state.user));
    const states = (): Record<string, unknown>[] =>
      [...client.provider.awareness.getStates()].filter(([at]) => at !== client.doc.clientID).map(([, state]) => state);
    expect(states()).toEqual([
      {
        cursor: { a: 1 },
        user: { id: expect.stringMatching(/^staff /) as string, name: 'Kith', color: expect.any(Number) as number, kind: 'staff' },
      },
    ]);
    expect(JSON.stringify(states())).not.toMatch(/Nancy|canary/);
    client.provider.awareness.setLocalState({ field: 'note' });
    await until(() =>
      [...staff.provider.awareness.getStates().values()].some((state) => (state.user as { name?: string } | undefined)?.name === 'Ann'),
    );
    // Another audience is told names.
    const broker = await partnerOf(world.runtime, 'broker', rival, 'Bert');
    const theirs = await join(id, 'agent-r.broker-r', broker.headers);
    const there = await join(id, 'agent-r.broker-r', { cookie, origin: 'own' });
    there.provider.awareness.setLocalState({ field: 'brief' });
    await until(() =>
      [...theirs.provider.awareness.getStates().values()].some((state) => (state.user as { name?: string } | undefined)?.name === 'Nancy'),
    );
    expect(JSON.stringify([...theirs.provider.awareness.getStates().values()])).not.toContain(person.id);
    // People of two companies in one document do not meet; colleagues do.
    const beside = await join(id, 'agent-r.broker-r', ann.headers);
    const colleague = await join(id, 'agent-r.broker-r', (await partnerOf(world.runtime, 'agent', acme, 'Carla')).headers);
    theirs.provider.awareness.setLocalState({ field: 'brief' });
    beside.provider.awareness.setLocalState({ field: 'brief' });
    const names = ({ provider }: Client): string[] =>
      [...provider.awareness.getStates().values()].flatMap((state) => (state.user as { name?: string } | undefined)?.name ?? []);
    await until(() => names(there).includes('Ann') && names(there).includes('Bert') && names(colleague).includes('Ann'));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(names(theirs)).not.toContain('Ann');
    expect([...names(beside), ...names(colleague)]).not.toContain('Bert');
  });

  it('does not let anybody speak for another', async () => {
    const id = await consignment();
    const staff = await join(id, 'agent-rw', staffHeaders());
    staff.provider.awareness.setLocalState({ field: 'note' });
    const client = await join(id, 'agent-rw', ann.headers);
    await until(() => client.provider.awareness.getStates().size > 0);
    void knock(
      `/collab/${CONSIGNMENT}/${id}/agent-rw`,
      ann.headers,
      [awarenessFrame([{ client: staff.doc.clientID, clock: 99, state: null }])],
      300,
    );
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(client.provider.awareness.getStates().has(staff.doc.clientID)).toBe(true);
  });
});

describe('a right that ends', () => {
  it('closes sockets within a second, on every node, and nothing follows after the withdrawal', async () => {
    const id = await consignment();
    const second = await serve(await world.another());
    try {
      const eve = await partnerOf(world.runtime, 'agent', acme, 'Eve');
      const here = await join(id, 'agent-rw', eve.headers);
      const there = await join(id, 'agent-rw', eve.headers, undefined, second);
      const staff = await join(id, 'agent-rw', staffHeaders(), undefined, second);
      there.doc.getText('note').insert(0, 'before ');
      await there.saved();
      await until(() => here.doc.getText('note').length === 7 && staff.doc.getText('note').length === 7);
      const list = new WebSocket(`${node.url}/live`, { headers: { ...eve.headers, origin: `http://localhost:${node.port}` } });
      const heard: string[] = [];
      let listClosed = 0;
      list.on('message', (data: Buffer) => heard.push(data.toString()));
      list.on('close', (code) => (listClosed = code));
      await new Promise((resolve) => list.on('open', resolve));
      list.send(JSON.stringify({ op: 'watch', id: 'w', object: CONSIGNMENT }));
      await until(() => heard.some((text) => text.includes('watching')));
      const began = Date.now();
      await world.runtime.partners.change(world.me, eve.principal.id, { active: false });
      // From this moment on: what staff write does not reach, and what is written does not count.
      const seen = heard.length;
      staff.doc.getText('note').insert(0, 'after ');
      there.doc.getText('note').insert(0, 'too late ');
      here.doc.getText('note').insert(0, 'too late ');
      await staff.saved();
      await until(() => here.closes.length > 0 && there.closes.length > 0 && listClosed > 0);
      expect(Date.now() - began).toBeLessThan(1_000);
      expect([here.closes.at(-1), there.closes.at(-1), listClosed]).toEqual([CLOSE.gone, CLOSE.gone, CLOSE.gone]);
      for (const { doc } of [here, there]) expect(doc.getText('note').toString()).not.toContain('after');
      expect(heard.slice(seen)).toEqual([]);
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect((await read(id)).fields.note).toBe('after before ');
      expect(staff.doc.getText('note').toString()).toBe('after before ');
      expect((await knock(`/collab/${CONSIGNMENT}/${id}/agent-rw`, eve.headers)).code).toBe(CLOSE.unauthenticated);
    } finally {
      await second.stop();
    }
  });

  it('holds while everybody types and people are withdrawn one after another', async () => {
    const id = await consignment();
    const second = await serve(await world.another());
    try {
      const staff = await join(id, 'agent-rw', staffHeaders(), undefined, second);
      for (let round = 0; round < 6; round++) {
        const eve = await partnerOf(world.runtime, 'agent', acme, `Eve${round}`);
        const client = await join(id, 'agent-rw', eve.headers, undefined, round % 2 ? node : second);
        let typing = true;
        const type = async (): Promise<void> => {
          for (let i = 0; typing; i++) {
            staff.doc.getText('note').insert(0, `s`);
            client.doc.getText('note').insert(0, `${round}`);
            await new Promise((resolve) => setTimeout(resolve, i % 3));
          }
        };
        const typed = type();
        await new Promise((resolve) => setTimeout(resolve, 60));
        await world.runtime.partners.change(world.me, eve.principal.id, { active: false });
        const { rows } = await world.runtime.pool.query<{ n: number }>(
          `select coalesce(length(note) - length(replace(note, $2, '')), 0) as n from port.consignment where id = $1`,
          [id, `${round}`],
        );
        await new Promise((resolve) => setTimeout(resolve, 60));
        typing = false;
        await typed;
        await staff.saved();
        await until(() => client.closes.length > 0);
        // Not one character of theirs was committed after the withdrawal.
        expect(String((await read(id)).fields.note ?? '').split(`${round}`).length - 1).toBe(rows[0]!.n);
      }
      await until(async () => (await read(id)).fields.note === staff.doc.getText('note').toString());
    } finally {
      await second.stop();
    }
  });

  it('takes the documents along when the record passes to another company', async () => {
    const id = await consignment();
    const theirs = await join(id, 'agent-rw', ann.headers);
    const staff = await join(id, 'agent-rw', staffHeaders());
    const own = await join(id, 'staff', staffHeaders());
    theirs.doc.getText('note').insert(0, 'acme-canary');
    await theirs.saved();
    await until(() => staff.doc.getText('note').length > 0);
    expect((await api('PATCH', `/records/${CONSIGNMENT}/${id}`, { agent: rival })).status).toBe(200);
    await until(() => theirs.closes.length > 0 && staff.closes.length > 0);
    expect([theirs.closes.at(-1), staff.closes.at(-1), own.closes]).toEqual([CLOSE.gone, CLOSE.gone, []]);
    const next = await join(id, 'agent-rw', rob.headers);
    expect(next.doc.getText('note').toString()).toBe('');
    next.doc.getText('note').insert(0, 'rival ');
    await next.saved();
    // A copy of the old life, in honest hands or not, does not come back in.
    const stale = await join(id, 'agent-rw', staffHeaders(), staff.doc);
    expect(stale.closes).toContain(CLOSE.gone);
    const copy = Y.encodeStateAsUpdate(staff.doc);
    expect((await knock(`/collab/${CONSIGNMENT}/${id}/agent-rw`, staffHeaders(), [updateFrame(copy)])).code).toBeGreaterThanOrEqual(4400);
    expect((await knock(`/collab/${CONSIGNMENT}/${id}/agent-rw`, ann.headers)).code).toBe(CLOSE.notFound);
    expect((await read(id)).fields.note).toBe('rival ');
    expect(Buffer.from(Y.encodeStateAsUpdate(next.doc)).toString('latin1')).not.toContain('canary');
  });
});

describe('live lists', () => {
  it('tell people from outside of their rows and fields, and of nobody’s doings', async () => {
    const id = await consignment();
    const foreign = await consignment({ agent: rival });
    // What happened before is told to nobody who comes later, once the outbox is empty.
    await until(async () => (await world.runtime.pool.query('select 1 from kith.outbox')).rowCount === 0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const heard: Record<string, unknown>[] = [];
    const ws = new WebSocket(`${node.url}/live`, { headers: { ...ann.headers, origin: `http://localhost:${node.port}` } });
    ws.on('message', (data: Buffer) => heard.push(JSON.parse(data.toString()) as Record<string, unknown>));
    await new Promise((resolve) => ws.on('open', resolve));
    ws.send(JSON.stringify({ op: 'watch', id: 'w', object: CONSIGNMENT }));
    ws.send(JSON.stringify({ op: 'here', object: CONSIGNMENT, recordId: id }));
    await until(() => heard.length > 0);
    await api('PATCH', `/records/${CONSIGNMENT}/${foreign}`, { note: 'canary' });
    await api('PATCH', `/records/${CONSIGNMENT}/${id}`, { memo: 'canary', cost: 4 });
    await api('PATCH', `/records/${CONSIGNMENT}/${id}`, { brief: 'news', cost: 5 });
    await until(() => heard.some((one) => one.op === 'changed'));
    await api('PATCH', `/records/${CONSIGNMENT}/${id}`, { agent: rival });
    await until(() => heard.some((one) => (one.gone as string[] | undefined)?.length));
    expect(heard.map((one) => one.op)).toEqual(['plugins', 'watching', 'changed', 'changed']);
    const [, , news, gone] = heard as { upsert: Rec[]; gone: string[]; by: unknown }[];
    expect(news!.upsert[0]!.fields).toMatchObject({ brief: 'news' });
    expect(gone).toMatchObject({ upsert: [], gone: [id], by: null });
    expect(JSON.stringify(heard)).not.toMatch(/canary|cost|createdBy|updatedBy/);
    expect(JSON.stringify(heard)).not.toContain(foreign);
    ws.close();
    for (const message of [
      { op: 'watch', id: 'x', object: 'port.company' },
      { op: 'watch', id: 'x', object: CONSIGNMENT, filter: { field: 'secret', op: 'contains', value: 'c' } },
      { op: 'watch', id: 'x', object: CONSIGNMENT, filter: { field: 'agent.rating', op: 'isNull' } },
    ]) {
      const { code } = await knock('/live', ann.headers, [JSON.stringify(message)]);
      expect([message, code]).toEqual([message, CLOSE.malformed]);
    }
    expect((await knock(`/live?as=agent:${rival}`, ann.headers)).code).toBe(CLOSE.forbidden);
  });
});
