/**
 * What processes tell each other through Postgres: which documents moved, that
 * the outbox has rows, that the event log has grown. Told after the commit and
 * coalesced, never inside it: a NOTIFY takes a lock that all commits share.
 */
import { EventEmitter } from 'node:events';
import pg from 'pg';
import { newId } from '../ids.ts';
import { errorData, type Log } from '../log.ts';

/** A document that moved: object, record, facet number, new sequence. */
export type Moved = [object: string, record: string, facet: number, seq: number];

export interface Closed {
  object: string;
  record: string;
  facets?: readonly number[];
}

interface BusEvents {
  /** Documents that another process moved. */
  moved: [Moved[]];
  /** Records whose documents another process ended: all of them, for the record is in the bin, or those of these facets. */
  closed: [Closed[]];
  /** The outbox has rows (for the leader). */
  wake: [];
  /** There are jobs to be handed out. */
  jobs: [];
  /** Something stands under these people's bells that was not there, or is read now. */
  noticed: [readonly string[]];
  /** The event log has grown. */
  events: [];
  /** The rights of a principal changed; `*`: of whole roles. */
  access: [string];
  /** What roles may do was changed by another process. */
  permissions: [];
  /** What people do in lists (ephemeral). */
  here: [unknown];
  /** The connection was lost and is back: whatever was told meanwhile was not heard. */
  resync: [];
  /** Another web process has come, and has not heard what was told before. */
  peer: [];
  /** Another process switched a plugin; it waits for the answer to what it asks. */
  switch: [asked: string];
  /** This process now goes by other plugins: the ids of those that were switched. */
  switched: [plugins: readonly string[]];
}

const CHANNEL = 'kith_bus';
/** First half of the key of a lock that each process holds, shared, for each plugin of its build. */
export const IN_USE_LOCK = 7_020;
/** Postgres carries at most 8,000 bytes in one notification. */
const MOST = 7_000;
const COALESCE_MS = 8;
const RECONNECT_MS = 500;
/** Processes say that they are there; one that has not for this long is not told anything any more. */
const ANNOUNCE_MS = 10_000;
const FORGET_MS = 35_000;

interface Peer {
  node: string;
  web: boolean;
}

type Message =
  | ['s', string]
  | ['k', { asked: string; node: string }]
  | ['j']
  | ['n', readonly string[]]
  | ['p', Peer]
  | ['m', Moved]
  | ['c', Closed]
  | ['w']
  | ['e']
  | ['a', string]
  | ['r']
  | ['h', unknown];

/** One process's ear and mouth. */
export class Bus extends EventEmitter<BusEvents> {
  /** Names this process in what it says, so that it does not listen to itself. */
  readonly node = newId();
  readonly #url: string;
  readonly #pool: pg.Pool;
  readonly #log: Log;
  #client: pg.Client | undefined;
  #queue: Message[] = [];
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #sending: Promise<void> = Promise.resolve();
  #announcing: NodeJS.Timeout | undefined;
  readonly #web: boolean;
  readonly #plugins: readonly string[];
  readonly #peers = new Map<string, { web: boolean; heard: number }>();
  readonly #answers = new Map<string, (node: string) => void>();

  /**
   * @param web Whether this process has live documents and lists.
   * @param plugins What is in this build: while the process is connected, nobody purges it.
   */
  constructor(url: string, pool: pg.Pool, log: Log, web: boolean, plugins: readonly string[] = []) {
    super();
    this.#web = web;
    this.#plugins = plugins;
    this.#url = url;
    this.#pool = pool;
    this.#log = log;
  }

  /** Listens until the function that comes back is called. */
  hear<K extends keyof BusEvents>(event: K, listener: (...said: BusEvents[K]) => void): () => void {
    this.on(event, listener as never);
    return () => this.off(event, listener as never);
  }

  /** Begins to listen. */
  async start(): Promise<void> {
    await this.#connect();
    this.#announce();
    this.#announcing = setInterval(() => this.#announce(), ANNOUNCE_MS);
  }

  #announce(): void {
    const oldest = Date.now() - FORGET_MS;
    for (const [node, peer] of this.#peers) if (peer.heard < oldest) this.#peers.delete(node);
    this.#say(['p', { node: this.node, web: this.#web }]);
  }

  #meet({ node, web }: Peer): void {
    const known = this.#peers.has(node);
    this.#peers.set(node, { web, heard: Date.now() });
    if (known) return;
    this.#announce();
    if (web) this.emit('peer');
  }

  /** How many other processes are known to be there. */
  get peers(): number {
    return this.#peers.size;
  }

  /** Whether another web process is there. */
  get #webPeers(): boolean {
    for (const peer of this.#peers.values()) if (peer.web) return true;
    return false;
  }

  async #connect(): Promise<void> {
    const client = new pg.Client({ connectionString: this.#url, application_name: 'kith bus', keepAlive: true });
    client.on('notification', (message) => this.#hear(message.payload ?? ''));
    client.on('error', () => undefined);
    await client.connect();
    await client.query('select pg_advisory_lock_shared($1, hashtext(plugin)) from unnest($2::text[]) plugin', [IN_USE_LOCK, this.#plugins]);
    await client.query(`listen ${CHANNEL}`);
    this.#client = client;
    client.on('end', () => {
      if (this.#closed) return;
      this.#client = undefined;
      void this.#reconnect();
    });
  }

  async #reconnect(): Promise<void> {
    while (!this.#closed) {
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
      if (this.#closed) return;
      try {
        await this.#connect();
        this.emit('resync');
        return;
      } catch (error) {
        this.#log('debug', 'the bus cannot reach Postgres yet', errorData(error));
      }
    }
  }

  #hear(payload: string): void {
    const [from, messages] = JSON.parse(payload) as [string, Message[]];
    if (from === this.node) return;
    const moved: Moved[] = [];
    const closed: Closed[] = [];
    for (const message of messages) {
      if (message[0] === 'p') this.#meet(message[1]);
      else if (message[0] === 'm') moved.push(message[1]);
      else if (message[0] === 'c') closed.push(message[1]);
      else if (message[0] === 'w') this.emit('wake');
      else if (message[0] === 'j') this.emit('jobs');
      else if (message[0] === 's') this.emit('switch', message[1]);
      else if (message[0] === 'k') this.#answers.get(message[1].asked)?.(message[1].node);
      else if (message[0] === 'n') this.emit('noticed', message[1]);
      else if (message[0] === 'e') this.emit('events');
      else if (message[0] === 'a') this.emit('access', message[1]);
      else if (message[0] === 'r') this.emit('permissions');
      else this.emit('here', message[1]);
    }
    if (moved.length > 0) this.emit('moved', moved);
    if (closed.length > 0) this.emit('closed', closed);
  }

  // A process that is alone tells nobody: every notification is a round trip.

  moved(moved: readonly Moved[]): void {
    if (!this.#webPeers) return;
    for (const one of moved) this.#say(['m', one]);
  }
  recordClosed(object: string, record: string, facets?: readonly number[]): void {
    if (this.#webPeers) this.#say(['c', { object, record, ...(facets ? { facets } : {}) }]);
  }
  wake(): void {
    if (this.#peers.size > 0 && !this.#queue.some(([kind]) => kind === 'w')) this.#say(['w']);
  }
  noticed(people: readonly string[]): void {
    this.emit('noticed', people);
    if (this.#webPeers) for (let i = 0; i < people.length; i += 100) this.#say(['n', people.slice(i, i + 100)]);
  }
  /** There are jobs to be handed out, by whichever process works. */
  jobsAdded(): void {
    this.emit('jobs');
    if (this.#peers.size > 0 && !this.#queue.some(([kind]) => kind === 'j')) this.#say(['j']);
  }
  eventsGrew(): void {
    if (this.#peers.size > 0 && !this.#queue.some(([kind]) => kind === 'e')) this.#say(['e']);
  }
  accessChanged(principal: string): void {
    this.#say(['a', principal]);
  }
  permissionsChanged(): void {
    this.#say(['r']);
  }
  /** Answers a process that switched a plugin: it is done here too. */
  switched(asked: string): void {
    this.#say(['k', { asked, node: this.node }]);
  }
  /** Tells all processes that a plugin was switched; resolves when those that are known to be there have answered, or are waited for no longer. */
  async tellSwitch(patienceMs: number): Promise<void> {
    const asked = newId();
    const awaited = new Set(this.#peers.keys());
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, awaited.size > 0 ? patienceMs : 0);
    this.#answers.set(asked, (node) => {
      awaited.delete(node);
      if (awaited.size === 0) resolve();
    });
    this.#say(['s', asked]);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#answers.delete(asked);
    }
  }
  here(state: unknown): void {
    if (this.#webPeers) this.#say(['h', state]);
  }

  #say(message: Message): void {
    if (this.#closed) return;
    this.#queue.push(message);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#sending = this.#sending.then(() => this.#send());
    }, COALESCE_MS);
  }

  async #send(): Promise<void> {
    const queue = this.#queue;
    this.#queue = [];
    const payloads: string[] = [];
    let part: Message[] = [];
    let size = 0;
    for (const message of queue) {
      const length = Buffer.byteLength(JSON.stringify(message)) + 1;
      if (size + length > MOST && part.length > 0) {
        payloads.push(JSON.stringify([this.node, part]));
        part = [];
        size = 0;
      }
      part.push(message);
      size += length;
    }
    if (part.length > 0) payloads.push(JSON.stringify([this.node, part]));
    if (payloads.length === 0) return;
    try {
      await this.#pool.query({
        name: 'kith_notify',
        text: 'select pg_notify($1, payload) from unnest($2::text[]) payload',
        values: [CHANNEL, payloads],
      });
    } catch (error) {
      // Others resynchronise when Postgres is back; rows in the outbox wait for the leader's own look.
      this.#log('debug', 'a notification was not sent', errorData(error));
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    clearInterval(this.#announcing);
    await this.#sending.then(() => this.#send());
    this.#closed = true;
    await this.#client?.end().catch(() => undefined);
  }
}
