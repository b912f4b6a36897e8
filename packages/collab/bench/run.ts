/**
 * Co-editing under load, side by side in one run: Kith (every update checked
 * and committed before it is shown), Hocuspocus and a y-websocket server
 * without storage, and a relay that looks at nothing.
 *
 * Usage: node packages/collab/bench/run.ts [--quick]
 */
import { fork, type ChildProcess } from 'node:child_process';
import { readFile, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider';
import { SYSTEM } from '@kith/core';
import { openPool } from '@kith/core/database';
import { createRuntime, migrate } from '@kith/core/runtime';
import { startEmbedded } from '@kith/core/postgres/embedded';
import { testEnv } from '@kith/core/testing';
import * as decoding from 'lib0/decoding';
import { WebSocket } from 'ws';
import * as Y from 'yjs';
import { readMessage, step1Frame, step2Frame, updateFrame } from '../src/protocol.ts';
import { COMPANY, crm, server } from '../testing/world.ts';

const quick = process.argv.includes('--quick');
const DOCUMENTS = quick ? 40 : 200;
const CLIENTS = 3;
const SECONDS = quick ? 4 : 10;
/** Updates a second of each client. */
const RATE = 4;

interface Peer {
  doc: Y.Doc;
  ready: () => boolean;
  /** Milliseconds from sending to message 100; Kith only. */
  onSaved?: (listener: (count: number) => void) => void;
  sent: number;
  leave: () => void;
}

interface Figures {
  name: string;
  updates: number;
  cpuMicros: number;
  propagation: number[];
  acknowledgement: number[];
  rss: number;
  /** CPU of Postgres in the same time, in µs per update. */
  postgresMicros: number | null;
}

function bare(url: string, key: string | null, syncs: boolean): Peer {
  const doc = new Y.Doc();
  const socket = new WebSocket(url, key ? { headers: { authorization: `Bearer ${key}` } } : {});
  socket.binaryType = 'nodebuffer';
  let ready = false;
  let saved: ((count: number) => void) | undefined;
  const peer: Peer = { doc, ready: () => ready, sent: 0, leave: () => socket.terminate(), onSaved: (listener) => (saved = listener) };
  socket.on('open', () => {
    socket.send(step1Frame(Y.encodeStateVector(doc)));
    if (!syncs) ready = true;
  });
  socket.on('message', (data: Buffer) => {
    if (data[0] === 100) {
      const decoder = decoding.createDecoder(new Uint8Array(data));
      decoding.readVarUint(decoder);
      saved?.(decoding.readVarUint(decoder));
      return;
    }
    const message = readMessage(new Uint8Array(data));
    if (message.kind === 'step1') {
      socket.send(step2Frame(Y.encodeStateAsUpdate(doc, message.vector)));
      peer.sent++;
    } else if (message.kind === 'step2' || message.kind === 'update') {
      Y.applyUpdate(doc, message.update, 'remote');
      if (message.kind === 'step2') ready = true;
    }
  });
  doc.on('update', (update: Uint8Array, origin: unknown) => {
    if (origin === 'remote') return;
    peer.sent++;
    socket.send(updateFrame(update));
  });
  return peer;
}

function hocuspocus(url: string, name: string): Peer {
  const doc = new Y.Doc();
  const websocketProvider = new HocuspocusProviderWebsocket({ url, WebSocketPolyfill: WebSocket as never });
  const provider = new HocuspocusProvider({ websocketProvider, name, document: doc, awareness: null });
  provider.attach();
  return { doc, ready: () => provider.isSynced, sent: 0, leave: () => (provider.destroy(), websocketProvider.destroy()) };
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const median = (values: readonly number[], at = 0.5): number => [...values].sort((a, b) => a - b)[Math.floor(values.length * at)] ?? NaN;

async function measure(
  name: string,
  url: (document: number) => string,
  key: string | null,
  environment: Record<string, string>,
  postmaster: number | null,
): Promise<Figures> {
  const child = fork(new URL('./peers.ts', import.meta.url), [name], {
    env: { ...process.env, ...environment },
    execArgv: process.env.KITH_PROFILE ? ['--cpu-prof', '--cpu-prof-dir', process.env.KITH_PROFILE] : [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const { port } = await answer<{ port: number }>(child);
  const rooms = Array.from({ length: DOCUMENTS }, (_, i) =>
    Array.from({ length: CLIENTS }, () =>
      name === 'hocuspocus'
        ? hocuspocus(`ws://127.0.0.1:${port}`, `document-${i}`)
        : bare(`ws://127.0.0.1:${port}${url(i)}`, key, name !== 'relay'),
    ),
  );
  const peers = rooms.flat();
  for (let i = 0; i < 600 && !peers.every((peer) => peer.ready()); i++) await sleep(50);
  if (!peers.every((peer) => peer.ready())) throw new Error(`${name}: not everybody got in`);
  await sleep(1_000);

  const propagation: number[] = [];
  const acknowledgement: number[] = [];
  let updates = 0;
  for (const room of rooms) {
    const [writer, reader] = [room[0]!, room[1]!];
    const times: number[] = [];
    let seen = reader.doc.getText('summary').length;
    reader.doc.getText('summary').observe(() => {
      const now = performance.now();
      for (; seen < reader.doc.getText('summary').length; seen++) if (times[seen]) propagation.push(now - times[seen]!);
    });
    const sent: number[] = [];
    writer.doc.on('beforeTransaction', (transaction: Y.Transaction) => {
      if (transaction.local) times[writer.doc.getText('summary').length] = performance.now();
    });
    writer.doc.on('update', (_update: Uint8Array, origin: unknown) => {
      if (origin !== 'remote') sent[writer.sent] = performance.now();
    });
    writer.onSaved?.((count) => {
      for (let i = count; i > 0 && sent[i] !== undefined; i--) {
        acknowledgement.push(performance.now() - sent[i]!);
        delete sent[i];
      }
    });
  }
  const before = await usage(child);
  const database = postmaster === null ? 0 : await postgresMicros(postmaster);
  const end = performance.now() + SECONDS * 1_000;
  const order = peers.map((_, i) => i);
  const slot = 1_000 / RATE / order.length;
  let next = performance.now();
  for (let i = 0; performance.now() < end; i++) {
    const index = order[i % order.length]!;
    const peer = peers[index]!;
    if (index % CLIENTS === 0) peer.doc.getText('summary').insert(peer.doc.getText('summary').length, 'x');
    else peer.doc.getMap('fields').set(index % CLIENTS === 1 ? 'city' : 'country', `value ${i}`);
    updates++;
    next += slot;
    const ahead = next - performance.now();
    if (ahead > 1) await sleep(ahead);
    else if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await sleep(1_000);
  const after = await usage(child);
  const spent = postmaster === null ? null : (await postgresMicros(postmaster)) - database;
  for (const peer of peers) peer.leave();
  if (process.env.KITH_PROFILE) child.disconnect();
  else child.kill('SIGKILL');
  return {
    name,
    updates,
    cpuMicros: (after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system) / updates,
    propagation,
    acknowledgement,
    rss: after.rss,
    postgresMicros: spent === null ? null : spent / updates,
  };
}

const answer = <T>(child: ChildProcess): Promise<T> => new Promise((resolve) => child.once('message', (message) => resolve(message as T)));
async function usage(child: ChildProcess): Promise<{ cpu: NodeJS.CpuUsage; rss: number }> {
  const reply = answer<{ cpu: NodeJS.CpuUsage; rss: number }>(child);
  child.send('usage');
  return reply;
}

/** CPU time of a server and its backends, in µs; children that have ended are counted by the postmaster. */
async function postgresMicros(postmaster: number): Promise<number> {
  const { readdir } = await import('node:fs/promises');
  let ticks = 0;
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (Number(pid) === postmaster) ticks += Number(fields[11]) + Number(fields[12]) + Number(fields[13]) + Number(fields[14]);
    else if (Number(fields[1]) === postmaster) ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * 10_000;
}

const dataDir = await mkdtemp(path.join(os.tmpdir(), 'kith-bench-'));
const postgres = await startEmbedded({ dataDir });
try {
  await migrate({ plugins: [crm], servers: [server], databaseUrl: postgres.url });
  const runtime = await createRuntime({
    roles: [],
    plugins: [crm],
    servers: [server],
    env: testEnv(postgres.url),
    databaseUrl: postgres.url,
  });
  const { key } = await runtime.sessions.createKey({ name: 'bench', role: 'member' });
  const rows = Array.from({ length: DOCUMENTS }, (_, i) => ({ name: `Company ${i}` }));
  const records = await runtime.records.createMany(
    { principal: SYSTEM, cause: { kind: 'api', id: null } },
    runtime.records.object(COMPANY),
    rows,
  );
  await runtime.close();

  process.stdout.write(`${DOCUMENTS} documents, ${CLIENTS} people in each, ${RATE} updates a second from each, for ${SECONDS} s\n\n`);
  const kith = await measure(
    'kith',
    (i) => `/collab/${COMPANY}/${records[i]!.id}/staff`,
    key,
    { DATABASE_URL: postgres.url },
    postgres.pid,
  );
  const commit = await commitMillis(postgres.url);
  const peers = [
    kith,
    await measure('hocuspocus', () => '', null, {}, null),
    await measure('plain', (i) => `/document-${i}`, null, {}, null),
    await measure('relay', (i) => `/document-${i}`, null, {}, null),
  ];
  const [, hoc, plain, relay] = peers as [Figures, Figures, Figures, Figures];
  const table = peers.map((one) => ({
    server: { kith: 'Kith, committed', hocuspocus: 'Hocuspocus, no storage', plain: 'y-websocket, no storage', relay: 'bare relay' }[
      one.name
    ],
    'CPU µs/update': Math.round(one.cpuMicros),
    'of Postgres': one.postgresMicros === null ? '' : Math.round(one.postgresMicros),
    'propagation p50 ms': median(one.propagation).toFixed(2),
    'p99 ms': median(one.propagation, 0.99).toFixed(2),
    'saved p50 ms': one.acknowledgement.length > 0 ? median(one.acknowledgement).toFixed(2) : '',
    'rss MB': Math.round(one.rss / 1e6),
  }));
  console.table(table);
  const line = (what: string, value: number, goal: number): void => {
    process.stdout.write(`${what}: ${value.toFixed(2)} (goal: at most ${goal})\n`);
  };
  line('CPU per durable update against Hocuspocus', kith.cpuMicros / hoc.cpuMicros, 0.7);
  line('CPU per durable update against y-websocket', kith.cpuMicros / plain.cpuMicros, 1);
  line(
    `acknowledgement against one commit (${commit.toFixed(2)} ms) plus the relay`,
    median(kith.acknowledgement) / (commit + median(relay.propagation)),
    3,
  );
} finally {
  await postgres.stop();
  await rm(dataDir, { recursive: true, force: true });
}
process.exit(0);

/** Median time of one small commit on the same server. */
async function commitMillis(url: string): Promise<number> {
  const pool = openPool(url, 1, 'bench');
  await pool.query('create table kith.bench (n integer)');
  const times: number[] = [];
  for (let i = 0; i < 300; i++) {
    const begin = performance.now();
    await pool.query('insert into kith.bench values (1)');
    times.push(performance.now() - begin);
  }
  await pool.end();
  return median(times);
}
