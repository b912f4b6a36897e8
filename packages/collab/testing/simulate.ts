/**
 * Schedules from a seed: people edit, connections are cut with messages under
 * way, nodes die and come back, programs write through REST, on two nodes of
 * one database. At the end everybody is connected again, and everything must be
 * the same everywhere, and there once.
 */
import { EventEmitter } from 'node:events';
import type { TestWorld } from '@kith/core/testing';
import type { Runtime } from '@kith/core/runtime';
import type { WebSocket } from 'ws';
import * as Y from 'yjs';
import { readMessage, step1Frame, step2Frame, updateFrame } from '../src/protocol.ts';
import * as decoding from 'lib0/decoding';
import { attach, type Collab } from '../src/index.ts';
import { random } from './crash/harness.ts';
import { columnsEqualDocument, COMPANY, until } from './world.ts';

/** A node that can be dropped without a word, as by kill -9. */
interface SimNode {
  runtime: Runtime;
  collab: Collab;
  dead: boolean;
}

/** Both ends of a socket in memory. What is sent waits until the schedule delivers it, or the line is cut. */
class Line {
  readonly toServer: Uint8Array[] = [];
  readonly toClient: Uint8Array[] = [];
  cut = false;
  readonly server = new EventEmitter() as EventEmitter & { readyState: number };
  code: number | null = null;

  constructor() {
    const line = this as Line;
    Object.assign(this.server, {
      OPEN: 1,
      readyState: 1,
      bufferedAmount: 0,
      binaryType: 'arraybuffer',
      send: (frame: Uint8Array) => {
        if (!line.cut) line.toClient.push(frame);
      },
      close: (code: number) => {
        line.code ??= code;
        line.drop();
      },
      terminate: () => line.drop(),
      ping: () => undefined,
    });
  }

  drop(): void {
    if (this.cut) return;
    this.cut = true;
    this.server.readyState = 3;
    this.server.emit('close', this.code ?? 1006);
  }
}

class SimClient {
  readonly doc: Y.Doc;
  readonly key: string;
  readonly name: string;
  readonly typed: string[] = [];
  line: Line | null = null;
  synced = false;
  sent = 0;
  acknowledged = 0;
  readonly closes: number[] = [];

  constructor(name: string, key: string, client: number) {
    this.name = name;
    this.key = key;
    this.doc = new Y.Doc();
    // Drawn from the seed, like everything else.
    this.doc.clientID = client;
    this.doc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin !== this && this.line && !this.line.cut) {
        this.sent++;
        this.line.toServer.push(updateFrame(update));
      }
    });
  }

  connect(node: SimNode, record: string): void {
    const line = new Line();
    this.line = line;
    this.synced = false;
    this.sent = 0;
    this.acknowledged = 0;
    line.toServer.push(step1Frame(Y.encodeStateVector(this.doc)));
    void node.collab.accept(line.server as unknown as WebSocket, {
      url: `/collab/${COMPANY}/${record}/staff`,
      headers: { authorization: `Bearer ${this.key}` },
    });
  }

  /** Takes in what the line delivers. */
  hear(frame: Uint8Array): void {
    if (frame[0] === 100) {
      const decoder = decoding.createDecoder(frame);
      decoding.readVarUint(decoder);
      this.acknowledged = decoding.readVarUint(decoder);
      return;
    }
    const message = readMessage(frame);
    if (message.kind === 'step1') {
      this.sent++;
      this.line!.toServer.push(step2Frame(Y.encodeStateAsUpdate(this.doc, message.vector)));
    } else if (message.kind === 'step2' || message.kind === 'update') {
      Y.applyUpdate(this.doc, message.update, this);
      if (message.kind === 'step2') this.synced = true;
    }
  }

  get saved(): boolean {
    return this.synced && this.line?.cut === false && this.line.toServer.length === 0 && this.sent > 0 && this.acknowledged >= this.sent;
  }
}

export interface Outcome {
  seed: number;
  /** What is wrong; empty when all held. */
  problems: string[];
  steps: string[];
}

/** Runs one schedule. The same seed draws the same one. */
export async function simulate(world: TestWorld, second: Runtime, seed: number): Promise<Outcome> {
  const roll = random(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(roll() * list.length)]!;
  const object = world.object(COMPANY);
  const record = (
    await world.runtime.records.create(world.actor, object, {
      name: 'Ernst Handel',
      ...(roll() < 0.5 ? { summary: 'begin', city: 'Graz' } : {}),
    })
  ).id;
  const nodes: SimNode[] = [];
  for (const runtime of [world.runtime, second])
    nodes.push({ runtime, collab: await attach(runtime, { compactAfter: 5 + Math.floor(roll() * 20) }), dead: false });
  const keys = await simulationKeys(world);
  const clients = ['a', 'b', 'c'].map((name, i) => new SimClient(name, keys[i % keys.length]!, 2_000 + Math.floor(roll() * 2 ** 31)));
  const steps: string[] = [];
  const written: string[] = [];
  const count = 20 + Math.floor(roll() * 60);
  try {
    for (let step = 0; step < count; step++) {
      const what = roll();
      const client = pick(clients);
      if (what < 0.35) {
        steps.push(`${client.name} edits`);
        edit(client, roll);
      } else if (what < 0.7) {
        const up = roll() < 0.5;
        const queue = up ? client.line?.toServer : client.line?.toClient;
        const some = Math.min(queue?.length ?? 0, 1 + Math.floor(roll() * 4));
        steps.push(`${some} ${up ? 'from' : 'to'} ${client.name}`);
        for (let i = 0; i < some; i++) deliver(client, up);
      } else if (what < 0.8) {
        if (client.line && !client.line.cut) {
          steps.push(`${client.name} is cut off`);
          client.line.drop();
        } else {
          const node = pick(nodes);
          steps.push(`${client.name} joins node ${nodes.indexOf(node)}`);
          client.connect(node, record);
        }
      } else if (what < 0.9) {
        const node = pick(nodes);
        const value = `rest ${step}`;
        steps.push(`REST writes ${value} on node ${nodes.indexOf(node)}`);
        const input = roll() < 0.5 ? { country: value } : { city: value, quantity: step };
        await node.runtime.records.patch(world.actor, node.runtime.records.object(COMPANY), record, input);
        written.push(value);
      } else if (what < 0.94) {
        const node = pick(nodes);
        steps.push(`node ${nodes.indexOf(node)} restarts`);
        for (const one of clients) one.line?.drop();
        await node.collab.close();
        node.collab = await attach(node.runtime, { compactAfter: 10 });
      } else {
        steps.push('a moment passes');
        await new Promise((resolve) => setTimeout(resolve, Math.floor(roll() * 8)));
      }
      // Sometimes the server is given the time to finish, sometimes the next thing happens meanwhile.
      if (roll() < 0.5) await new Promise((resolve) => setImmediate(resolve));
    }
    return { seed, steps, problems: await heal(world, nodes, clients, record) };
  } finally {
    for (const client of clients) client.line?.drop();
    for (const node of nodes) await node.collab.close();
    for (const client of clients) client.doc.destroy();
  }
}

let keys: string[] | undefined;
async function simulationKeys(world: TestWorld): Promise<string[]> {
  return (keys ??= [await world.key('member'), await world.key('member')]);
}

function edit(client: SimClient, roll: () => number): void {
  const kind = roll();
  if (kind < 0.5) {
    const token = `<${client.name}${client.typed.length}>`;
    client.typed.push(token);
    const text = client.doc.getText('summary');
    text.insert(roll() < 0.5 ? 0 : text.length, token);
  } else if (kind < 0.75)
    client.doc.getMap('fields').set(roll() < 0.5 ? 'city' : 'country', `${client.name} ${Math.floor(roll() * 1_000)}`);
  else if (kind < 0.8) client.doc.getMap('fields').delete('city');
  else if (kind < 0.85) client.doc.getMap('fields').set('email', roll() < 0.5 ? 'nonsense' : 'ann@example.com');
  else {
    const set = client.doc.getMap('kind');
    const member = roll() < 0.5 ? 'customer' : 'supplier';
    if (set.has(member)) set.delete(member);
    else set.set(member, true);
  }
}

function deliver(client: SimClient, up: boolean): void {
  const { line } = client;
  if (!line || line.cut) return;
  if (up) {
    const frame = line.toServer.shift();
    if (frame) line.server.emit('message', frame, true);
  } else {
    const frame = line.toClient.shift();
    if (frame) client.hear(frame);
  }
}

/** Everybody connects and everything is delivered; then the invariants. */
async function heal(world: TestWorld, nodes: readonly SimNode[], clients: readonly SimClient[], record: string): Promise<string[]> {
  const problems: string[] = [];
  for (const [i, client] of clients.entries()) {
    client.line?.drop();
    client.connect(nodes[i % nodes.length]!, record);
  }
  const settled = (): boolean => {
    for (const client of clients) {
      if (client.line?.cut) {
        if (client.line.code !== null) client.closes.push(client.line.code);
        if (client.closes.length < 20) client.connect(nodes[0]!, record);
      }
      while (client.line && !client.line.cut && client.line.toServer.length > 0) deliver(client, true);
      while (client.line && !client.line.cut && client.line.toClient.length > 0) deliver(client, false);
    }
    return clients.every((client) => client.saved) && same(clients);
  };
  try {
    await until(settled, 'everybody saved and the same', 8_000);
  } catch {
    for (const client of clients)
      if (!client.saved)
        problems.push(
          `${client.name} is not saved (${client.acknowledged} of ${client.sent}, synced ${client.synced}, closed ${client.closes.join()})`,
        );
    if (!same(clients)) problems.push(`clients differ: ${clients.map((client) => JSON.stringify(content(client.doc))).join(' | ')}`);
  }
  for (const node of nodes) await node.collab.idle();
  const [columns, document] = await columnsEqualDocument(world, record);
  if (JSON.stringify(columns) !== JSON.stringify(document))
    problems.push(`columns ${JSON.stringify(columns)} differ from the document ${JSON.stringify(document)}`);
  const text = String(document.summary ?? '');
  for (const client of clients) {
    for (const token of client.typed) {
      const times = text.split(token).length - 1;
      if (times !== 1) problems.push(`${token} is there ${times} times`);
    }
  }
  if (text !== clients[0]!.doc.getText('summary').toString()) problems.push('the stored text is not what people see');
  problems.push(...(await brokenChains(world, record, columns)));
  return problems;
}

const content = (doc: Y.Doc): unknown => [
  doc.getMap('fields').toJSON(),
  doc.getText('summary').toString(),
  [...doc.getMap('kind').keys()].sort(),
];
const same = (clients: readonly SimClient[]): boolean =>
  new Set(clients.map((client) => JSON.stringify(content(client.doc), sortedKeys))).size === 1;
const sortedKeys = (_key: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value;

/** In the ledger, what a register became is what it next was. */
async function brokenChains(world: TestWorld, record: string, columns: Readonly<Record<string, unknown>>): Promise<string[]> {
  const { rows } = await world.runtime.pool.query<{ changes: Record<string, [unknown, unknown]> }>(
    'select changes from kith.ledger where record = $1 order by at, id',
    [record],
  );
  const problems: string[] = [];
  const now = new Map<string, string>();
  for (const { changes } of rows) {
    for (const [name, [was, is]] of Object.entries(changes)) {
      if (name === 'summary' || name === 'notes') continue;
      if (now.has(name) && now.get(name) !== JSON.stringify(was))
        problems.push(`the ledger of ${name} jumps from ${now.get(name)} to ${JSON.stringify(was)}`);
      now.set(name, JSON.stringify(is));
    }
  }
  for (const [name, value] of now)
    if (value !== JSON.stringify(columns[name] ?? null) && name in columns)
      problems.push(`the ledger of ${name} ends with ${value}, its column is ${JSON.stringify(columns[name])}`);
  return problems;
}
