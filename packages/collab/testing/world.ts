/** A server with one small plugin, and clients as the stock provider makes them. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createTestWorld, type TestOptions, type TestWorld } from '@kith/core/testing';
import type { Runtime } from '@kith/core/runtime';
import { handleApi } from '@kith/core/http';
import { readField } from '@kith/doc';
import {
  anyRef,
  checkValue,
  defineServer,
  definePlugin,
  email,
  longText,
  money,
  multiSelect,
  number,
  object,
  ref,
  richText,
  select,
  text,
  type FieldValue,
  type Rec,
} from '@kith/sdk';
import * as decoding from 'lib0/decoding';
import { WebSocket } from 'ws';
import { WebsocketProvider } from 'y-websocket';
import * as Y from 'yjs';
import { attach, type Collab } from '../src/index.ts';

export const crm = definePlugin({
  id: 'crm',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'operational',
  locales: { en: { 'plugin.crm': 'CRM' } },
  objects: {
    company: object({
      icon: 'box',
      title: ['name'],
      search: ['name'],
      fields: {
        name: text({ required: true }),
        city: text(),
        country: text(),
        kind: multiSelect({ options: { customer: {}, supplier: {}, carrier: {} } }),
        stage: select({ options: { open: {}, won: {} } }),
        email: email(),
        summary: longText(),
        notes: richText(),
        revenue: money(),
        quantity: number(),
        price: number(),
        total: number({ mode: 'derived' }),
        stock: number({ mode: 'arbitrated' }),
        parent: ref('crm.company'),
        about: anyRef(),
      },
    }),
  },
});

export const server = defineServer(crm, {
  guards: {
    company: ({ record }) => {
      if (record.country === 'Atlantis') return { problems: [{ field: 'country', code: 'sunk', message: 'lies under water' }] };
      return { set: { total: record.quantity === null || record.price === null ? null : record.quantity * record.price } };
    },
  },
});

export const COMPANY = 'crm.company';

export interface Node {
  runtime: Runtime;
  collab: Collab;
  url: string;
  port: number;
  stop: () => Promise<void>;
}

export async function serve(runtime: Runtime, options: Parameters<typeof attach>[1] = {}): Promise<Node> {
  const collab = await attach(runtime, options);
  const http: Server = createServer((req, res) => {
    if (!handleApi(runtime, req, res)) res.writeHead(404).end();
  });
  http.on('upgrade', (req, socket, head) => {
    if (!collab.upgrade(req, socket, head)) socket.destroy();
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const { port } = http.address() as AddressInfo;
  runtime.setPort(port);
  runtime.setReady(true);
  return {
    runtime,
    collab,
    port,
    url: `ws://127.0.0.1:${port}`,
    stop: async () => {
      await collab.close();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

export interface LiveWorld extends TestWorld {
  node: Node;
  apiKey: string;
  company: (fields?: Record<string, unknown>) => Promise<Rec>;
  read: (id: string) => Promise<Rec>;
  join: (id: string, options?: JoinOptions) => Promise<Client>;
}

export interface JoinOptions {
  key?: string;
  node?: Node;
  doc?: Y.Doc;
}

export interface Client {
  doc: Y.Doc;
  provider: WebsocketProvider;
  /** Resolves when the server said that all that was sent is committed. */
  saved: () => Promise<void>;
  acknowledged: () => number;
  sent: () => number;
  notices: { code: string; field: string; message: string }[];
  closes: number[];
  leave: () => void;
}

export async function liveWorld(options: Partial<TestOptions> = {}): Promise<LiveWorld> {
  const world = await createTestWorld({ plugins: [crm], servers: [server], ...options });
  const node = await serve(world.runtime);
  const apiKey = await world.key('member');
  const clients: Client[] = [];
  return {
    ...world,
    node,
    apiKey,
    company: (fields = {}) => world.runtime.records.create(world.actor, world.object(COMPANY), { name: 'Ernst Handel', ...fields }),
    read: (id) => world.runtime.records.get(world.me, world.object(COMPANY), id),
    join: async (id, join = {}) => {
      const client = connect(join.node ?? node, id, join.key ?? apiKey, join.doc);
      clients.push(client);
      await until(() => client.provider.synced || client.closes.length > 0);
      return client;
    },
    close: async () => {
      for (const client of clients) client.leave();
      await node.stop();
      await world.close();
    },
  };
}

/** The stock provider on a company's document of staff. */
export const connect = (node: Node, id: string, key: string, doc = new Y.Doc()): Client =>
  connectTo(node, { object: COMPANY, id, facet: 'staff', headers: { authorization: `Bearer ${key}` }, doc });

export interface Place {
  object: string;
  id: string;
  facet: string;
  headers?: Record<string, string>;
  params?: Record<string, string>;
  doc?: Y.Doc;
}

/** The stock provider, with headers in its upgrade and the message 100 counted. */
export function connectTo(node: Node, { object, id, facet, headers = {}, params = {}, doc = new Y.Doc() }: Place): Client {
  class Keyed extends WebSocket {
    constructor(url: string, protocols?: string | string[]) {
      super(url, protocols, { headers });
    }
    override send(data: Buffer, ...rest: never[]): void {
      // Step 2 and updates are what is counted.
      if (data[0] === 0 && data[1] !== 0) state.sent++;
      super.send(data, ...rest);
    }
  }
  const state = { sent: 0, acknowledged: 0, waiting: [] as (() => void)[] };
  const notices: Client['notices'] = [];
  const closes: number[] = [];
  const provider = new WebsocketProvider(`${node.url}/collab/${object}/${id}`, facet, doc, {
    params,
    WebSocketPolyfill: Keyed as never,
    disableBc: true,
    maxBackoffTime: 200,
  });
  provider.messageHandlers[100] = (_encoder, decoder) => {
    state.acknowledged = decoding.readVarUint(decoder);
    if (state.acknowledged >= state.sent) state.waiting.splice(0).forEach((resolve) => resolve());
  };
  provider.messageHandlers[101] = (_encoder, decoder) => {
    notices.push(JSON.parse(decoding.readVarString(decoder)) as Client['notices'][number]);
  };
  provider.on('status', ({ status }: { status: string }) => {
    if (status === 'connecting') {
      state.sent = 0;
      state.acknowledged = 0;
    }
  });
  provider.on('connection-close', (event: CloseEvent | null) => {
    if (event) closes.push(event.code);
  });
  return {
    doc,
    provider,
    notices,
    closes,
    sent: () => state.sent,
    acknowledged: () => state.acknowledged,
    saved: async () => {
      await until(() => provider.synced && state.sent > 0 && state.acknowledged >= state.sent);
    },
    leave: () => {
      provider.destroy();
      doc.destroy();
    },
  };
}

export async function until(condition: () => boolean | Promise<boolean>, what = 'the condition', ms = 10_000): Promise<void> {
  const end = Date.now() + ms;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`${what} did not come true within ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What the stored document shows, field by field, in stored form. */
export async function projection(world: Pick<TestWorld, 'runtime' | 'object'>, id: string): Promise<Record<string, FieldValue>> {
  const { loadDoc } = await import('@kith/doc');
  const { readStored } = await import('@kith/core');
  const { facets } = world.object(COMPANY);
  const stored = await readStored(world.runtime.pool, world.object(COMPANY), id, facets);
  const doc = loadDoc(stored!.documents.get(0)!.parts);
  const values: Record<string, FieldValue> = {};
  for (const field of world.object(COMPANY).fields.values()) {
    if (field.merge === 'none') continue;
    const checked = checkValue({ ...field.spec, required: false }, readField(doc, field));
    if (!checked.ok) throw new Error(`${field.name}: ${checked.message}`);
    values[field.name] = checked.value;
  }
  return values;
}

/** The invariant: columns equal the projection of the document. */
export async function columnsEqualDocument(
  world: Pick<TestWorld, 'runtime' | 'object'>,
  id: string,
): Promise<[Record<string, FieldValue>, Record<string, FieldValue>]> {
  const { readStored } = await import('@kith/core');
  const stored = (await readStored(world.runtime.pool, world.object(COMPANY), id, []))!;
  const columns: Record<string, FieldValue> = {};
  for (const field of world.object(COMPANY).fields.values())
    if (field.merge !== 'none') columns[field.name] = stored.fields[field.name] ?? null;
  return [columns, await projection(world, id)];
}
