/**
 * People type, processes die. What a client was told is saved must be there when
 * the database is looked at before anybody reconnects; and when they have come
 * back, with old copies or new ones, everything is there once.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createRuntime, migrate, type Runtime } from '@kith/core/runtime';
import { startEmbedded, type EmbeddedPostgres } from '@kith/core/postgres/embedded';
import { testEnv } from '@kith/core/testing';
import { SYSTEM } from '@kith/core';
import type { ModelObject } from '@kith/sdk';
import * as decoding from 'lib0/decoding';
import { WebSocket } from 'ws';
import { WebsocketProvider } from 'y-websocket';
import * as Y from 'yjs';
import { columnsEqualDocument, COMPANY, crm, projection, server, until } from '../world.ts';

export interface Losses {
  kills: number;
  /** Edits that a client had been told were saved, over the whole run. */
  acknowledged: number;
  lost: string[];
  doubled: string[];
  /** Records whose columns and document differ. */
  apart: string[];
}

/** Numbers that come the same for the same seed. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

class Typist {
  readonly doc: Y.Doc;
  readonly record: string;
  /** Everything typed, in order; and how much of it was called saved. */
  readonly typed: string[] = [];
  saved = 0;
  #marks: number[] = [];
  #provider: WebsocketProvider | undefined;
  readonly #name: string;

  constructor(record: string, name: string) {
    this.record = record;
    this.#name = name;
    this.doc = new Y.Doc();
  }

  connect(port: number, key: string): void {
    const typist = this as Typist;
    class Counting extends WebSocket {
      constructor(url: string, protocols?: string | string[]) {
        super(url, protocols, { headers: { authorization: `Bearer ${key}` } });
      }
      override send(data: Buffer, ...rest: never[]): void {
        if (data[0] === 0 && data[1] !== 0) typist.#marks.push(typist.typed.length);
        super.send(data, ...rest);
      }
    }
    this.#marks = [];
    const provider = new WebsocketProvider(`ws://127.0.0.1:${port}/collab/${COMPANY}/${this.record}`, 'staff', this.doc, {
      WebSocketPolyfill: Counting as never,
      disableBc: true,
      maxBackoffTime: 100,
    });
    provider.on('status', ({ status }: { status: string }) => {
      if (status === 'connecting') this.#marks = [];
    });
    provider.messageHandlers[100] = (_encoder, decoder) => {
      const count = decoding.readVarUint(decoder);
      this.saved = Math.max(this.saved, this.#marks[count - 1] ?? 0);
    };
    this.#provider = provider;
  }

  get synced(): boolean {
    return this.#provider?.synced === true;
  }

  type(roll: number): void {
    const token = `<${this.#name}.${this.typed.length}>`;
    this.typed.push(token);
    const text = this.doc.getText('summary');
    // Only between tokens, so that each can be counted in what comes out.
    text.insert(roll < 0.5 ? 0 : text.length, token);
  }

  leave(): void {
    this.#provider?.destroy();
    this.#provider = undefined;
  }
}

export interface CrashOptions {
  kills: number;
  seed: number;
  /** `kith`, or the plain server that the harness must catch losing. */
  against: 'kith' | 'plain';
  log?: (line: string) => void;
}

/** Runs the whole thing. */
export async function crashTest(options: CrashOptions): Promise<Losses> {
  const roll = random(options.seed);
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'kith-crash-'));
  let postgres: EmbeddedPostgres = await startEmbedded({ dataDir });
  await migrate({ plugins: [crm], servers: [server], databaseUrl: postgres.url });
  // This process looks at the database through a runtime without roles, which has no live side.
  const watch = await createRuntime({
    roles: [],
    plugins: [crm],
    servers: [server],
    env: testEnv(postgres.url),
    databaseUrl: postgres.url,
  });
  const object = watch.records.object(COMPANY);
  const { key } = await watch.sessions.createKey({ name: 'crash', role: 'member' });
  const losses: Losses = { kills: 0, acknowledged: 0, lost: [], doubled: [], apart: [] };
  let child: { process: ChildProcess; port: number } | undefined;
  try {
    let records: string[] = [];
    let typists: Typist[] = [];
    for (let kill = 0; kill < options.kills; kill++) {
      child ??= await spawnNode(options.against, postgres.url);
      // New records every time, so that some die while they are being seeded.
      if (kill % 5 === 0) {
        for (const typist of typists) typist.leave();
        records = [];
        typists = [];
        for (let i = 0; i < 3; i++) records.push(await newRecord(watch, object));
        typists = records.flatMap((record, i) => [new Typist(record, `${kill}a${i}`), new Typist(record, `${kill}b${i}`)]);
      }
      for (const typist of typists) typist.connect(child.port, key);
      const typing = setInterval(() => {
        for (const typist of typists) if (typist.synced || roll() < 0.05) typist.type(roll());
      }, 4);
      await sleep(30 + roll() * (kill % 3 === 0 ? 150 : 600));
      const target = options.against === 'kith' && roll() < 0.4 ? 'postgres' : 'web';
      if (target === 'postgres') process.kill(postgres.pid, 'SIGKILL');
      else child.process.kill('SIGKILL');
      clearInterval(typing);
      // Nobody may come back before the database has been looked at: they would bring what was lost.
      for (const typist of typists) typist.leave();
      losses.kills++;
      if (target === 'postgres') {
        postgres = await startEmbedded({ dataDir });
      } else {
        await exited(child.process);
        child = await spawnNode(options.against, postgres.url);
      }
      await until(async () => (await fetch(`http://127.0.0.1:${child!.port}/readyz`)).ok, 'the node answers', 30_000);
      await inspect(options.against, watch, object, child.port, key, records, typists, losses, false);
      // Half of them come back with what they had, half start anew.
      typists = typists.map((typist) => {
        if (roll() < 0.5) return typist;
        const fresh = new Typist(typist.record, `${kill}n${Math.floor(roll() * 1e9)}`);
        return fresh;
      });
      for (const typist of typists) typist.connect(child.port, key);
      await until(
        () => typists.every((typist) => typist.synced && typist.saved >= typist.typed.length),
        'all saved after coming back',
        30_000,
      );
      for (const typist of typists) typist.leave();
      await inspect(options.against, watch, object, child.port, key, records, typists, losses, true);
      options.log?.(
        `kill ${kill + 1} (${target}): ${losses.acknowledged} acknowledged, ${losses.lost.length} lost, ${losses.doubled.length} doubled, ${losses.apart.length} apart`,
      );
    }
    for (const typist of typists) losses.acknowledged += typist.saved;
    return losses;
  } finally {
    child?.process.kill('SIGKILL');
    await watch.close();
    await postgres.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function inspect(
  against: 'kith' | 'plain',
  watch: Runtime,
  object: ModelObject,
  port: number,
  key: string,
  records: readonly string[],
  typists: readonly Typist[],
  losses: Losses,
  settled: boolean,
): Promise<void> {
  const world = { runtime: watch, object: () => object };
  for (const record of records) {
    let text: string;
    if (against === 'plain') text = await (await fetch(`http://127.0.0.1:${port}/${record}`)).text();
    else {
      const opened = typists.some((typist) => typist.record === record && typist.saved > 0);
      const { rowCount } = await watch.pool.query('select from kith.doc_head where record = $1', [record]);
      if (!rowCount) {
        if (opened) losses.lost.push(`the whole document of ${record}`);
        continue;
      }
      await settledColumns(port, key, record, world, losses);
      text = ((await projection(world, record)).summary as string | null) ?? '';
    }
    for (const typist of typists) {
      if (typist.record !== record) continue;
      for (const [i, token] of typist.typed.entries()) {
        const times = text.split(token).length - 1;
        if (times > 1) losses.doubled.push(token);
        if (times === 0 && (i < typist.saved || settled)) losses.lost.push(token);
      }
      losses.acknowledged += settled ? 0 : typist.saved;
    }
  }
}

/** Columns equal the document; edits that a surviving process still commits get a moment. */
async function settledColumns(
  _port: number,
  _key: string,
  record: string,
  world: Parameters<typeof columnsEqualDocument>[0],
  losses: Losses,
): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const { rows } = await world.runtime.pool.query<{ shown: number | null }>('select shown from kith.doc_head where record = $1', [
      record,
    ]);
    const [columns, document] = await columnsEqualDocument(world, record);
    if (rows[0]?.shown === null && JSON.stringify(columns) === JSON.stringify(document)) return;
    if (attempt === 100) {
      losses.apart.push(`${record}: ${JSON.stringify(columns).slice(0, 200)} ≠ ${JSON.stringify(document).slice(0, 200)}`);
      return;
    }
    await sleep(50);
  }
}

async function newRecord(watch: Runtime, object: ModelObject): Promise<string> {
  return (await watch.records.create({ principal: SYSTEM, cause: { kind: 'api', id: null } }, object, { name: 'Ernst Handel' })).id;
}

async function spawnNode(against: 'kith' | 'plain', databaseUrl: string): Promise<{ process: ChildProcess; port: number }> {
  const file = new URL(against === 'kith' ? './node.ts' : './plain.ts', import.meta.url);
  const child = fork(file, {
    env: { ...process.env, DATABASE_URL: databaseUrl, NODE_OPTIONS: '' },
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const port = await new Promise<number>((resolve, reject) => {
    child.once('message', (message) => resolve((message as { port: number }).port));
    child.once('exit', (code) => reject(new Error(`the node ended with ${code} before it was ready`)));
  });
  return { process: child, port };
}

const exited = (child: ChildProcess): Promise<void> =>
  child.exitCode !== null || child.signalCode !== null ? Promise.resolve() : new Promise((resolve) => child.once('exit', () => resolve()));
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
