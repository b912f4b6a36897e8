import { isServerClient } from '@kith/doc';
import type { Rec } from '@kith/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import * as Y from 'yjs';
import { CLOSE, updateFrame } from './protocol.ts';
import { columnsEqualDocument, COMPANY, liveWorld, serve, until, type LiveWorld } from '../testing/world.ts';

let world: LiveWorld;
beforeAll(async () => {
  world = await liveWorld();
});
afterAll(() => world.close());

const registers = (doc: Y.Doc): Y.Map<unknown> => doc.getMap('fields');
const equal = async (id: string): Promise<void> => {
  const [columns, document] = await columnsEqualDocument(world, id);
  expect(columns).toEqual(document);
};

describe('two people in one record', () => {
  it('sees what the row holds, once somebody opens it', async () => {
    const rec = await world.company({
      city: 'Graz',
      kind: ['supplier', 'customer'],
      summary: 'Buys cheese.',
      notes: '# Hi\n\n* a\n* b',
      revenue: { amount: '12.5', currency: 'EUR' },
    });
    const ann = await world.join(rec.id);
    expect(registers(ann.doc).toJSON()).toEqual({ name: 'Ernst Handel', city: 'Graz', revenue: { amount: '12.50', currency: 'EUR' } });
    expect([...ann.doc.getMap('kind').keys()].sort()).toEqual(['customer', 'supplier']);
    expect(ann.doc.getText('summary').toString()).toBe('Buys cheese.');
    expect(ann.doc.getXmlFragment('notes').length).toBe(2);
    await ann.saved();
    await equal(rec.id);
    ann.leave();
  });

  it('merges different fields, the same text, and a set', async () => {
    const rec = await world.company({ summary: 'middle' });
    const [ann, bob] = [await world.join(rec.id), await world.join(rec.id)];
    registers(ann.doc).set('city', 'Graz');
    registers(bob.doc).set('country', 'Austria');
    ann.doc.getText('summary').insert(0, 'left ');
    bob.doc.getText('summary').insert(6, ' right');
    ann.doc.getMap('kind').set('customer', true);
    bob.doc.getMap('kind').set('carrier', true);
    await Promise.all([ann.saved(), bob.saved()]);
    await until(() => bob.doc.getText('summary').toString() === 'left middle right');
    await until(() => registers(ann.doc).get('country') === 'Austria');
    expect((await world.read(rec.id)).fields).toMatchObject({
      city: 'Graz',
      country: 'Austria',
      summary: 'left middle right',
      kind: ['customer', 'carrier'],
    });
    await equal(rec.id);
    ann.leave();
    bob.leave();
  });

  it('keeps every character of formatted text, after which Yjs cleans up by itself', async () => {
    const rec = await world.company({ notes: 'plain' });
    const ann = await world.join(rec.id);
    const block = ann.doc.getXmlFragment('notes').get(0) as Y.XmlElement;
    const text = block.get(0) as Y.XmlText;
    for (const [at, letter] of [...'Urgent: '].entries()) {
      text.insert(at, letter, { strong: {} });
      await ann.saved();
    }
    text.format(0, 3, { strong: null });
    text.delete(0, 1);
    await ann.saved();
    expect((await world.read(rec.id)).fields.notes).toBe('rg**ent:** plain');
    const bob = await world.join(rec.id);
    expect(((bob.doc.getXmlFragment('notes').get(0) as Y.XmlElement).get(0) as Y.XmlText).toString()).toBe(text.toString());
    await equal(rec.id);
    ann.leave();
    bob.leave();
  });

  it('shows a REST write to everybody, and keeps what they typed', async () => {
    const rec = await world.company({ summary: 'one two three' });
    const ann = await world.join(rec.id);
    ann.doc.getText('summary').insert(3, ' and a half');
    await ann.saved();
    const patched = await world.request('PATCH', `/records/${COMPANY}/${rec.id}`, {
      key: world.apiKey,
      body: { city: 'Wien', summary: 'one and a half two four', quantity: 3, price: 2.5 },
    });
    expect(patched.status).toBe(200);
    expect((patched.body as Rec).fields.total).toBe(7.5);
    await until(() => registers(ann.doc).get('city') === 'Wien' && ann.doc.getText('summary').toString() === 'one and a half two four');
    registers(ann.doc).set('quantity', 4);
    await ann.saved();
    expect((await world.read(rec.id)).fields.total).toBe(10);
    await equal(rec.id);
    ann.leave();
  });

  it('writes one ledger entry per author and commit, and one per session for text', async () => {
    const rec = await world.company();
    const ann = await world.join(rec.id);
    registers(ann.doc).set('city', 'Graz');
    await ann.saved();
    for (const letter of 'hello') {
      ann.doc.getText('summary').insert(ann.doc.getText('summary').length, letter);
      await ann.saved();
    }
    const history = await world.request('GET', `/records/${COMPANY}/${rec.id}/history`, { key: world.apiKey });
    const { data } = history.body as { data: { changes: Record<string, unknown> }[] };
    expect(data.map((entry) => entry.changes)).toEqual([{ summary: [null, 'hello'] }, { city: [null, 'Graz'] }]);
    ann.leave();
  });

  it('puts an invalid value back and tells its author', async () => {
    const rec = await world.company({ email: 'ann@example.com' });
    const [ann, bob] = [await world.join(rec.id), await world.join(rec.id)];
    registers(ann.doc).set('email', 'not an address');
    registers(ann.doc).set('city', 'Graz');
    await ann.saved();
    await until(() => registers(ann.doc).get('email') === 'ann@example.com');
    await until(() => registers(bob.doc).get('city') === 'Graz');
    expect(ann.notices).toMatchObject([{ field: 'email', code: 'invalid' }]);
    registers(bob.doc).set('country', 'Atlantis');
    await bob.saved();
    expect(bob.notices).toMatchObject([{ field: 'country', code: 'sunk' }]);
    expect(registers(bob.doc).get('country')).toBeUndefined();
    registers(bob.doc).set('parent', '00000000-0000-7000-8000-00000000dead');
    registers(bob.doc).set('about', { object: COMPANY, id: '00000000-0000-7000-8000-00000000dead' });
    await bob.saved();
    expect(bob.notices.slice(1).map(({ field, code }) => [field, code])).toEqual([
      ['parent', 'unknown_reference'],
      ['about', 'unknown_reference'],
    ]);
    registers(bob.doc).delete('name');
    await bob.saved();
    await until(() => registers(bob.doc).get('name') === 'Ernst Handel');
    expect((await world.read(rec.id)).fields).toMatchObject({
      email: 'ann@example.com',
      city: 'Graz',
      country: null,
      parent: null,
      name: 'Ernst Handel',
    });
    await equal(rec.id);
    ann.leave();
    bob.leave();
  });

  it('counts empty and known messages, in order', async () => {
    const rec = await world.company();
    const ann = await world.join(rec.id);
    await ann.saved();
    const before = ann.acknowledged();
    const update = Y.encodeStateAsUpdate(ann.doc);
    ann.provider.ws!.send(updateFrame(update) as Uint8Array<ArrayBuffer>);
    ann.provider.ws!.send(updateFrame(new Uint8Array([0, 0])) as Uint8Array<ArrayBuffer>);
    await until(() => ann.acknowledged() === before + 2);
    ann.leave();
  });

  it('waits for what an update builds on', async () => {
    const rec = await world.company();
    const raw = await rawJoin(world, rec.id);
    const doc = new Y.Doc();
    const updates: Uint8Array[] = [];
    doc.on('update', (update: Uint8Array) => updates.push(update));
    doc.getMap('fields').set('city', 'A');
    doc.getMap('fields').set('city', 'B');
    doc.getMap('fields').set('city', 'C');
    raw.send(updateFrame(updates[0]!));
    raw.send(updateFrame(updates[2]!));
    await until(() => raw.saved === 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(raw.saved).toBe(1);
    raw.send(updateFrame(updates[1]!));
    await until(() => raw.saved === 3);
    expect((await world.read(rec.id)).fields.city).toBe('C');
    await equal(rec.id);
    raw.socket.close();
  });
});

describe('who may what', () => {
  it('closes 4401 without a session, 4404 without a record, 4410 for a deleted one', async () => {
    const rec = await world.company();
    expect(await closeCode(`${world.node.url}/collab/${COMPANY}/${rec.id}/staff`)).toBe(CLOSE.unauthenticated);
    const as = { authorization: `Bearer ${world.apiKey}` };
    expect(await closeCode(`${world.node.url}/collab/${COMPANY}/00000000-0000-7000-8000-00000000dead/staff`, as)).toBe(CLOSE.notFound);
    expect(await closeCode(`${world.node.url}/collab/nope/${rec.id}/staff`, as)).toBe(CLOSE.notFound);
    expect(await closeCode(`${world.node.url}/collab/${COMPANY}/${rec.id}/supplier`, as)).toBe(CLOSE.notFound);
    expect(await closeCode(`${world.node.url}/collab/${COMPANY}/%/staff`, as)).toBeGreaterThan(1000);
    const ann = await world.join(rec.id);
    await world.runtime.records.remove(world.actor, world.object(COMPANY), rec.id);
    await until(() => ann.closes.includes(CLOSE.gone));
    expect(await closeCode(`${world.node.url}/collab/${COMPANY}/${rec.id}/staff`, as)).toBe(CLOSE.gone);
    await world.runtime.records.restore(world.actor, world.object(COMPANY), rec.id);
    const again = await world.join(rec.id);
    expect(registers(again.doc).get('name')).toBe('Ernst Handel');
    again.leave();
  });

  it('opens with a ticket, once', async () => {
    const rec = await world.company();
    const { body } = await world.request('POST', '/collab/ticket', { key: world.apiKey, body: { object: COMPANY, id: rec.id } });
    const [facet] = (body as { facets: { name: string; access: string; ticket: string }[] }).facets;
    expect(facet).toMatchObject({ name: 'staff', access: 'write' });
    const raw = await rawJoin(world, rec.id, {}, facet!.ticket);
    raw.socket.close();
    expect(await closeCode(`${world.node.url}/collab/${COMPANY}/${rec.id}/staff?ticket=${facet!.ticket}`)).toBe(CLOSE.unauthenticated);
    const other = await world.company();
    const { body: second } = await world.request('POST', '/collab/ticket', { key: world.apiKey, body: { object: COMPANY, id: rec.id } });
    const stolen = (second as { facets: { ticket: string }[] }).facets[0]!.ticket;
    expect(await closeCode(`${world.node.url}/collab/${COMPANY}/${other.id}/staff?ticket=${stolen}`)).toBe(CLOSE.unauthenticated);
  });

  it('lets readers look and drops what they write, without closing', async () => {
    const rec = await world.company({ city: 'Graz' });
    const reader = await world.key('reader');
    const ann = await world.join(rec.id, { key: reader });
    await until(() => ann.acknowledged() === 1);
    registers(ann.doc).set('city', 'Wien');
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(ann.acknowledged()).toBe(1);
    expect(ann.closes).toEqual([]);
    expect((await world.read(rec.id)).fields.city).toBe('Graz');
    const bob = await world.join(rec.id);
    registers(bob.doc).set('country', 'Austria');
    await until(() => registers(ann.doc).get('country') === 'Austria');
    ann.leave();
    bob.leave();
  });

  it('closes 4403 for roots and keys that are no fields, and nobody else notices', async () => {
    const rec = await world.company();
    const ann = await world.join(rec.id);
    for (const outside of [
      (doc: Y.Doc) => doc.getMap('fields').set('stock', 5),
      (doc: Y.Doc) => doc.getMap('fields').set('summary', 'as a register'),
      (doc: Y.Doc) => doc.getMap('evil').set('a', 1),
      (doc: Y.Doc) => doc.getText('city').insert(0, 'x'),
      (doc: Y.Doc) => doc.getArray('fields').push([1]),
    ]) {
      const raw = await rawJoin(world, rec.id);
      const doc = new Y.Doc();
      outside(doc);
      raw.send(updateFrame(Y.encodeStateAsUpdate(doc)));
      await until(() => raw.code !== null, 'closed');
      expect(raw.code).toBe(CLOSE.forbidden);
    }
    registers(ann.doc).set('city', 'Graz');
    await ann.saved();
    expect(ann.closes).toEqual([]);
    expect(ann.doc.share.has('evil')).toBe(false);
    const fresh = await world.join(rec.id);
    expect(registers(fresh.doc).toJSON()).toEqual({ name: 'Ernst Handel', city: 'Graz' });
    await equal(rec.id);
    ann.leave();
    fresh.leave();
  });

  it('closes 4403 for somebody else’s client id and for the server’s', async () => {
    const rec = await world.company();
    const ann = await world.join(rec.id);
    registers(ann.doc).set('city', 'Graz');
    await ann.saved();
    const other = await world.key('member');
    for (const client of [ann.doc.clientID, 1, 2, 1000, 2 ** 32 + 5]) {
      const raw = await rawJoin(world, rec.id, { authorization: `Bearer ${other}` });
      const doc = new Y.Doc();
      Y.applyUpdate(doc, Y.encodeStateAsUpdate(ann.doc));
      const vector = Y.encodeStateVector(doc);
      doc.clientID = client;
      doc.getMap('fields').set('city', 'forged');
      raw.send(updateFrame(Y.encodeStateAsUpdate(doc, vector)));
      await until(() => raw.code !== null, `closed for ${client}`);
      expect(raw.code).toBe(CLOSE.forbidden);
      expect(isServerClient(client) || client === ann.doc.clientID).toBe(true);
    }
    expect(ann.closes).toEqual([]);
    expect((await world.read(rec.id)).fields.city).toBe('Graz');
    ann.leave();
  });

  it('closes only the sender of a broken frame', async () => {
    const rec = await world.company();
    const ann = await world.join(rec.id);
    for (const frame of [
      new Uint8Array([0, 2, 200, 1, 2]),
      new Uint8Array([0, 9, 0]),
      updateFrame(new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8, 9])),
      new Uint8Array([]),
    ]) {
      const raw = await rawJoin(world, rec.id);
      raw.send(frame);
      await until(() => raw.code !== null, 'closed');
      expect(raw.code).toBe(CLOSE.malformed);
    }
    const large = await rawJoin(world, rec.id);
    large.send(new Uint8Array(11_000_000));
    await until(() => large.code !== null, 'closed');
    expect(large.code).toBe(CLOSE.tooLarge);
    registers(ann.doc).set('city', 'Graz');
    await ann.saved();
    expect(ann.closes).toEqual([]);
    ann.leave();
  });

  it('tells of what was typed when nobody is in the field any more, as one change', async () => {
    const worker = await world.another({ roles: ['worker'] });
    const rec = await world.company({ city: 'Wien' });
    const ann = await world.join(rec.id);
    ann.provider.awareness.setLocalStateField('field', 'city');
    for (const city of ['G', 'Gra', 'Graz']) {
      registers(ann.doc).set('city', city);
      await ann.saved();
    }
    const events = async (): Promise<{ kind: string; settled: boolean; changes: unknown; at: string }[]> =>
      (await worker.pool.query('select kind, settled, changes, at from kith.event_log where record = $1 order by position', [rec.id])).rows;
    await until(async () => (await worker.pool.query('select from kith.unsettled where record = $1', [rec.id])).rowCount === 1);
    expect((await events()).filter(({ kind, settled }) => kind === 'changed' && settled)).toEqual([]);
    ann.provider.awareness.setLocalStateField('field', undefined);
    await until(async () => (await events()).some(({ kind }) => kind === 'settled'), 'it settles', 10_000);
    const all = await events();
    const told = all.find(({ kind }) => kind === 'settled')!;
    expect(told.changes).toEqual({ city: ['Wien', 'Graz'] });
    // Sooner than after five seconds of quiet.
    const last = all.findLast(({ kind }) => kind === 'changed')!;
    expect(Date.parse(told.at) - Date.parse(last.at)).toBeLessThan(5_000);
    ann.leave();
  });

  it('pins names in presence and forgets who left', async () => {
    const rec = await world.company();
    const [ann, bob] = [await world.join(rec.id), await world.join(rec.id, { key: await world.key('manager') })];
    bob.provider.awareness.setLocalState({ user: { name: 'The Queen' }, field: 'city' });
    await until(() => ann.provider.awareness.getStates().get(bob.doc.clientID)?.field === 'city');
    const shown = ann.provider.awareness.getStates().get(bob.doc.clientID) as { user: { name: string } };
    expect(shown.user.name).toMatch(/^key manager/);
    bob.leave();
    await until(() => !ann.provider.awareness.getStates().has(bob.doc.clientID));
    ann.leave();
  });

  it('ends a session’s sockets within a second of signing out', async () => {
    await world.runtime.sessions.createUser({ email: 'cid@test.example', name: 'Cid', role: 'member', password: 'long enough' });
    const rec = await world.company();
    const signedIn = await world.request('POST', '/session', { body: { email: 'cid@test.example', password: 'long enough' } });
    const cookie = signedIn.headers.get('set-cookie')!.split(';')[0]!;
    const origin = `http://localhost:${world.node.port}`;
    expect(await closeCode(`${world.node.url}/collab/${COMPANY}/${rec.id}/staff`, { cookie, origin: 'https://evil.example' })).toBe(
      CLOSE.unauthenticated,
    );
    const raw = await rawJoin(world, rec.id, { cookie, origin });
    await world.request('DELETE', '/session', { headers: { cookie, origin } });
    await until(() => raw.code !== null, 'closed', 1_500);
    expect(raw.code).toBe(CLOSE.unauthenticated);
  });
});

describe('keeping', () => {
  it('unloads when the last has left, folds the log, and opens the same again', async () => {
    const rec = await world.company();
    const ann = await world.join(rec.id);
    for (let i = 0; i < 60; i++) {
      registers(ann.doc).set('city', `City ${i}`);
      await ann.saved();
    }
    await ann.saved();
    ann.leave();
    await until(async () => {
      const { rows } = await world.runtime.pool.query<{ n: number }>('select count(*) as n from kith.doc_log where record = $1', [rec.id]);
      return world.node.collab.stats().documents === 0 && rows[0]!.n === 0;
    }, 'unloaded and folded');
    const again = await world.join(rec.id);
    expect(registers(again.doc).get('city')).toBe('City 59');
    again.leave();
  });

  it('lets columns of large texts follow after quiet, and not before', async () => {
    const rec = await world.company();
    const ann = await world.join(rec.id);
    ann.doc.getText('summary').insert(0, 'x'.repeat(40_000));
    await ann.saved();
    expect((await world.read(rec.id)).fields.summary).toBe(null);
    await until(async () => (await world.read(rec.id)).fields.summary?.toString().length === 40_000, 'the column follows');
    ann.doc.getText('summary').insert(0, 'yy');
    await ann.saved();
    // A write through REST catches the column up with it.
    await world.runtime.records.patch(world.actor, world.object(COMPANY), rec.id, { city: 'Graz' });
    expect((await world.read(rec.id)).fields.summary?.toString().slice(0, 3)).toBe('yyx');
    await until(async () => {
      const { rows } = await world.runtime.pool.query<{ shown: number | null }>('select shown from kith.doc_head where record = $1', [
        rec.id,
      ]);
      return rows[0]!.shown === null;
    });
    await equal(rec.id);
    ann.leave();
  });
});

describe('two nodes on one database', () => {
  it('bring each other’s edits and presence, and REST writes of either', async () => {
    const second = await serve(await world.another());
    const rec = await world.company();
    const ann = await world.join(rec.id);
    const bob = await world.join(rec.id, { node: second });
    for (let i = 0; i < 20; i++) {
      ann.doc.getText('summary').insert(0, 'a');
      bob.doc.getText('summary').insert(bob.doc.getText('summary').length, 'b');
      registers(i % 2 ? ann.doc : bob.doc).set('city', `City ${i}`);
      if (i % 4 === 0)
        await second.runtime.records.patch(world.actor, second.runtime.records.object(COMPANY), rec.id, { country: `Country ${i}` });
    }
    await Promise.all([ann.saved(), bob.saved()]);
    const same = (): boolean =>
      JSON.stringify(Y.encodeStateAsUpdate(ann.doc).length) === JSON.stringify(Y.encodeStateAsUpdate(bob.doc).length) &&
      ann.doc.getText('summary').toString() === bob.doc.getText('summary').toString();
    await until(same, 'the same on both');
    expect(ann.doc.getText('summary').toString().split('').sort().join('')).toBe('a'.repeat(20) + 'b'.repeat(20));
    expect(registers(ann.doc).toJSON()).toEqual(registers(bob.doc).toJSON());
    ann.provider.awareness.setLocalStateField('field', 'city');
    await until(() => bob.provider.awareness.getStates().get(ann.doc.clientID)?.field === 'city', 'presence crosses');
    await equal(rec.id);
    await world.runtime.records.remove(world.actor, world.object(COMPANY), rec.id);
    await until(() => ann.closes.includes(CLOSE.gone) && bob.closes.includes(CLOSE.gone), 'both closed');
    ann.leave();
    bob.leave();
    await second.stop();
  });
});

interface Raw {
  socket: WebSocket;
  code: number | null;
  saved: number;
  send: (frame: Uint8Array) => void;
}

/** A bare socket that has been greeted. */
async function rawJoin(
  from: LiveWorld,
  id: string,
  headers: Record<string, string> = { authorization: `Bearer ${from.apiKey}` },
  ticket?: string,
): Promise<Raw> {
  const socket = new WebSocket(`${from.node.url}/collab/${COMPANY}/${id}/staff${ticket ? `?ticket=${ticket}` : ''}`, {
    headers: ticket ? {} : headers,
  });
  const raw: Raw = { socket, code: null, saved: 0, send: (frame) => socket.send(frame) };
  let greeted = false;
  socket.on('message', (data: Buffer) => {
    greeted = true;
    if (data[0] === 100) raw.saved = data[1]!;
  });
  socket.on('close', (code) => {
    raw.code = code;
  });
  await until(() => greeted || raw.code !== null);
  return raw;
}

async function closeCode(url: string, headers: Record<string, string> = {}): Promise<number> {
  const socket = new WebSocket(url, { headers });
  return new Promise((resolve, reject) => {
    socket.on('close', (code) => resolve(code));
    socket.on('error', reject);
  });
}
