/**
 * Staff and partners of two companies in the documents of a few records, on two
 * nodes, while records pass from one company to the other, are binned and
 * restored, and the API writes: columns stay what the documents show, and
 * nothing of one company reaches the other.
 */
import { loadDoc, readField } from '@kith/doc';
import { readStored } from '@kith/core';
import { createTestWorld, type TestWorld } from '@kith/core/testing';
import { partnerOf, type Outsider } from '@kith/core/testing/outsiders';
import { randomFrom } from '@kith/core/testing/random';
import { port, portServer } from '@kith/core/testing/port';
import type { Rec } from '@kith/sdk';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type * as Y from 'yjs';
import { connectTo, serve, until, type Client, type Node } from '../testing/world.ts';

const CONSIGNMENT = 'port.consignment';
const RECORDS = 3;
const STEPS = process.env.KITH_LONG ? 6_000 : 400;
const SEED = Number(process.env.KITH_SEED ?? 1_717);

let world: TestWorld;
let nodes: Node[];
let key: string;
const companies: string[] = [];
const people: Outsider[] = [];
beforeAll(async () => {
  world = await createTestWorld({ plugins: [port], servers: [portServer] });
  nodes = [await serve(world.runtime), await serve(await world.another())];
  key = await world.key('member');
  for (const name of ['Acme', 'Rival']) {
    const { body } = await world.request('POST', '/records/port.company', { key, body: { name } });
    companies.push((body as Rec).id);
    people.push(await partnerOf(world.runtime, 'agent', companies.at(-1)!, name));
  }
});
afterAll(async () => {
  for (const node of nodes) await node.stop();
  await world.close();
});

/** Somebody with one document open, who comes back with a new copy whenever they are shown out. */
interface Seat {
  /** What they type: capitals tell the companies apart. */
  letter: string;
  headers: Record<string, string>;
  facet: string;
  field: string;
  record: string;
  client: Client;
}

it('keeps columns and documents the same, and the companies apart', { timeout: process.env.KITH_LONG ? 900_000 : 60_000 }, async () => {
  const random = randomFrom(SEED);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const records: string[] = [];
  const object = world.object(CONSIGNMENT);
  for (let i = 0; i < RECORDS; i++) {
    const { body } = await world.request('POST', `/records/${CONSIGNMENT}`, { key, body: { name: `n${i}`, agent: companies[0] } });
    records.push((body as Rec).id);
  }
  const sit = (seat: Omit<Seat, 'client'>): Seat => {
    const node = pick(nodes);
    const headers = { ...seat.headers, ...(seat.headers.cookie ? { origin: `http://localhost:${node.port}` } : {}) };
    return { ...seat, client: connectTo(node, { object: CONSIGNMENT, id: seat.record, facet: seat.facet, headers }) };
  };
  const staff = { authorization: `Bearer ${key}` };
  const seats: Seat[] = [];
  for (const record of records) {
    for (const [letter, headers, facet, field] of [
      ['s', staff, 'staff', 'memo'],
      ['s', staff, 'agent-rw', 'note'],
      ['s', staff, 'agent-r.broker-r', 'brief'],
      ['A', people[0]!.headers, 'agent-rw', 'note'],
      ['R', people[1]!.headers, 'agent-rw', 'note'],
      ['R', people[1]!.headers, 'agent-r.broker-r', 'brief'],
    ] as const)
      seats.push(sit({ letter, headers, facet, field, record }));
  }
  const isOut = ({ client }: Seat): boolean => client.closes.some((code) => code >= 4400);
  const back = (i: number): void => {
    const { client, ...seat } = seats[i]!;
    client.leave();
    seats[i] = sit(seat);
  };
  /** Nobody's document ever shows a letter of the other company. */
  const apart = (): void => {
    for (const { letter, field, client } of seats) {
      if (letter === 's') continue;
      expect([letter, client.doc.getText(field).toString()]).toEqual([letter, expect.not.stringContaining(letter === 'A' ? 'R' : 'A')]);
    }
  };
  const api = async (method: string, path: string, body?: unknown): Promise<void> => {
    const node = pick(nodes);
    const response = await node.runtime.api.handle(
      new Request(`http://kith.internal/api/v1${path}`, {
        method,
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
      { ip: '127.0.0.1' },
    );
    expect([200, 201, 204, 404, 409], `${method} ${path} ${await response.clone().text()}`).toContain(response.status);
  };
  for (let step = 0; step < STEPS; step++) {
    const i = Math.floor(random() * seats.length);
    const seat = seats[i]!;
    const record = pick(records);
    const dice = random();
    if (isOut(seat)) back(i);
    else if (dice < 0.62) {
      const text = seat.client.doc.getText(seat.field);
      if (text.length > 5 && random() < 0.3) text.delete(Math.floor(random() * (text.length - 2)), 2);
      else text.insert(Math.floor(random() * (text.length + 1)), seat.letter);
    } else if (dice < 0.72) await api('PATCH', `/records/${CONSIGNMENT}/${record}`, { note: `s${step}`, brief: `s${step}` });
    else if (dice < 0.8) await api('PATCH', `/records/${CONSIGNMENT}/${record}`, { memo: `s${step}`, cost: step, name: `n${step}` });
    else if (dice < 0.85) await api('PATCH', `/records/${CONSIGNMENT}/${record}`, { agent: pick(companies) });
    else if (dice < 0.9) await api('POST', '/records/port.item', { consignment: record, label: `${step}` });
    else if (dice < 0.93) {
      await api('DELETE', `/records/${CONSIGNMENT}/${record}`);
      await api('POST', `/records/${CONSIGNMENT}/${record}/restore`);
    } else if (dice < 0.96) back(i);
    else await new Promise((resolve) => setTimeout(resolve, 5));
    if (step % 10 === 0) {
      apart();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
  apart();
  for (const node of nodes) await node.collab.idle();
  await until(async () => {
    for (const node of nodes) await node.collab.idle();
    return seats.every(
      (seat) => isOut(seat) || (seat.client.provider.synced && (seat.letter !== 's' || seat.client.acknowledged() >= seat.client.sent())),
    );
  });
  for (const id of records) {
    const stored = (await readStored(world.runtime.pool, object, id, object.facets))!;
    for (const facet of object.facets) {
      const document = stored.documents.get(facet.num);
      if (!document) continue;
      const doc: Y.Doc = loadDoc(document.parts);
      for (const name of facet.fields)
        expect([id, name, stored.fields[name]]).toEqual([id, name, readField(doc, object.fields.get(name)!) ?? null]);
      for (const seat of seats.filter((one) => one.record === id && one.facet === facet.name && one.letter === 's' && !isOut(one)))
        await until(
          () => seat.client.doc.getText(seat.field).toString() === (stored.fields[seat.field] ?? ''),
          `the copy of ${seat.field}`,
        );
    }
    const { rows } = await world.runtime.pool.query<{ agent: string }>('select distinct agent from port.item where consignment = $1', [id]);
    expect(rows.map((row) => row.agent)).toEqual(rows.length > 0 ? [stored.fields.agent] : []);
  }
  const { rows: gaps } = await world.runtime.pool.query(
    `select h.record from kith.doc_head h join kith.doc_snapshot s using (record, facet)
     where h.seq - s.upto <> (select count(*) from kith.doc_log l where (l.record, l.facet) = (h.record, h.facet) and l.seq > s.upto)`,
  );
  expect(gaps).toEqual([]);
  for (const { client } of seats) client.leave();
});
