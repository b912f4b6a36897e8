/**
 * Sockets in: who it is, what they may, and which live document they get. One
 * copy of a document per process, loaded once whoever asks first, gone when the
 * last has left and all is stored.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  errorData,
  facetNamed,
  facetNumbered,
  hasRole,
  isDatabaseError,
  joinOf,
  KithError,
  lagging,
  readEpoch,
  readStored,
  type Facet,
  type Authenticated,
  type SessionUser,
} from '@kith/core';
import type { Runtime } from '@kith/core/runtime';
import { isUuid, type ModelObject, type Principal } from '@kith/sdk';
import { WebSocketServer, type WebSocket } from 'ws';
import { Connection, UPDATE_LIMIT } from './connection.ts';
import { LiveDocument } from './document.ts';
import { Flusher, isUnreachable } from './flusher.ts';
import { ListSockets } from './lists.ts';
import { CLOSE, type Presence } from './protocol.ts';

export interface Collab {
  /** Takes an upgrade if its path is `/collab/…` or `/live`; answers whether it did. */
  upgrade: (req: IncomingMessage, socket: Duplex, head: Buffer) => boolean;
  /** Takes a socket that was upgraded already. */
  accept: (ws: WebSocket, req: Pick<IncomingMessage, 'url' | 'headers'>) => Promise<void>;
  /** Resolves when all that came in is committed or refused. */
  idle: () => Promise<void>;
  /** Documents in memory, and their sockets. */
  stats: () => { documents: number; sockets: number };
  /** Commits what is in memory, closes every socket so that clients come back elsewhere, and ends. */
  close: () => Promise<void>;
}

export interface CollabOptions {
  /** Updates in a document's log after which it is folded into the snapshot; 500 unless told. */
  compactAfter?: number;
}

const PING_MS = 30_000;
const RECHECK_MS = 30_000;
/** A document stays this long after its last reader, since people come back. */
const LINGER_MS = 500;
const EARLY_LIMIT = 100;

/** Told in the place of a principal when the rights of whole roles changed. */
const EVERYBODY = '*';
/** To people from outside, what they may not see and what is not there are the same. */
const NOTHING: [number, string] = [CLOSE.notFound, 'no such record'];

interface Joined {
  connection: Connection;
  document: LiveDocument;
  headers: { authorization?: string | undefined; cookie?: string | undefined };
  via: 'ticket' | 'session';
}

/** Starts the live side on a runtime. Documents whose columns lag behind are caught up before it answers. */
export async function attach(runtime: Runtime, options: CollabOptions = {}): Promise<Collab> {
  const server = new Server(runtime, options);
  await server.recover();
  server.start();
  return server;
}

class Server implements Collab {
  readonly #runtime: Runtime;
  readonly #options: CollabOptions;
  readonly #flusher: Flusher;
  readonly #lists: ListSockets;
  /** Every document by its key from the moment somebody asks for it, with the promise of its loading. */
  readonly #documents = new Map<string, { document: LiveDocument; loaded: Promise<void> }>();
  readonly #open = new Map<string, LiveDocument>();
  readonly #byRecord = new Map<string, Set<LiveDocument>>();
  readonly #joined = new Map<WebSocket, Joined>();
  readonly #sockets = new WebSocketServer({ noServer: true, maxPayload: UPDATE_LIMIT * 2, perMessageDeflate: false });
  readonly #alive = new WeakSet<WebSocket>();
  readonly #stops: (() => void)[] = [];
  #closing = false;
  /** The state of everybody's rights on which all sockets of people from outside were last found to be in order. */
  epoch = 0;
  #refreshing: Promise<void> | undefined;

  constructor(runtime: Runtime, options: CollabOptions) {
    this.#runtime = runtime;
    this.#options = options;
    this.#flusher = new Flusher(runtime, this);
    this.#lists = new ListSockets(runtime);
  }

  start(): void {
    const { bus } = this.#runtime;
    this.#stops.push(
      this.#runtime.onCommitted((committed) => {
        for (const one of committed) {
          if (one.kind === 'deleted') this.#end(one.record);
          if (one.renewed) this.#end(one.record, one.renewed);
          for (const [facet, seq] of Object.entries(one.seqs)) this.#moved(one.object, one.record, Number(facet), seq);
          // The record's other documents know its row too, and guards judge by it.
          if (one.kind === 'changed')
            for (const document of this.#documentsOf(one.record)) if (!(document.facet.num in one.seqs)) this.#sync(document);
        }
      }),
      bus.hear('moved', (moved) => {
        for (const [object, record, facet, seq] of moved) this.#moved(object, record, facet, seq);
      }),
      bus.hear('closed', (closed) => {
        for (const { record, facets } of closed) this.#end(record, facets);
      }),
      bus.hear('resync', () => {
        for (const document of this.#open.values()) this.#sync(document);
      }),
      bus.hear('peer', () =>
        bus.moved([...this.#open.values()].map((document) => [document.object.name, document.id, document.facet.num, document.seq])),
      ),
      bus.hear(
        'access',
        (principal) => void this.#recheck((joined) => principal === EVERYBODY || joined.connection.principal.id === principal),
      ),
      bus.hear('here', (said) => this.#heard(said)),
      bus.hear('switched', () => void this.#switched()),
    );
    const timers = [setInterval(() => this.#ping(), PING_MS), setInterval(() => void this.#recheck(() => true), RECHECK_MS)];
    this.#stops.push(() => timers.forEach((timer) => clearInterval(timer)));
  }

  /** Documents of plugins that are off are closed when all that came in is committed; what a partner sees may be less or more. */
  async #switched(): Promise<void> {
    const { model } = this.#runtime;
    const off = [...this.#open.values()].filter((document) => !model.objects.has(document.object.name));
    for (const document of off) document.catchUpNow();
    await this.#flusher.idle();
    for (const document of off) {
      // Switched on again meanwhile.
      if (model.objects.has(document.object.name)) continue;
      document.end(CLOSE.notFound, 'this part of Kith is switched off');
      this.#linger(document);
    }
    await this.#recheck(({ connection }) => connection.principal.outside !== undefined);
  }

  #end(record: string, facets?: readonly number[]): void {
    for (const document of this.#documentsOf(record)) if (facets?.includes(document.facet.num) !== false) document.end(CLOSE.gone);
  }

  /** Closes sockets of people from outside whose rights have ended since the last look, before anything more is shown or taken. */
  async refresh(): Promise<void> {
    this.#refreshing ??= (async () => {
      try {
        const epoch = await readEpoch(this.#runtime.pool);
        if (epoch === this.epoch) return;
        await this.#recheck((joined) => joined.connection.principal.outside !== undefined);
        this.epoch = epoch;
      } finally {
        this.#refreshing = undefined;
      }
    })();
    await this.#refreshing;
  }

  /** Large texts whose columns were behind when a process died. */
  async recover(): Promise<void> {
    const behind = await lagging(this.#runtime.pool);
    this.epoch = await readEpoch(this.#runtime.pool);
    for (const { object: name, record, facet: num } of behind) {
      const object = this.#runtime.model.installed.objects.get(name);
      const facet = object && facetNumbered(object, num);
      if (!facet) continue;
      try {
        const document = await this.#document(object, record, facet);
        document.catchUpNow();
        await this.#flusher.idle();
        this.#linger(document);
      } catch (error) {
        // A record that was deleted since has no columns to catch up.
        if (!(error instanceof KithError)) throw error;
      }
    }
  }

  #documentsOf(record: string): LiveDocument[] {
    return [...(this.#byRecord.get(record) ?? [])];
  }

  #moved(name: string, record: string, num: number, seq: number): void {
    const object = this.#runtime.model.installed.objects.get(name);
    const document = this.#open.get(`${name}/${record}/${object && facetNumbered(object, num)?.name}`);
    if (document && seq > document.seq && !document.flushing) this.#sync(document);
    else if (document && seq > document.seq) void document.settled().then(() => (document.seq < seq ? this.#sync(document) : undefined));
  }

  #sync(document: LiveDocument): void {
    document
      .sync()
      .catch((error: unknown) =>
        this.#runtime.log(isUnreachable(error) ? 'debug' : 'warn', 'a document could not be brought up to date', errorData(error)),
      );
  }

  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    const url = new URL(req.url ?? '/', 'http://kith.internal');
    if (url.pathname === '/live') {
      this.#sockets.handleUpgrade(req, socket, head, (ws) => this.#lists.accept(ws, req));
      return true;
    }
    if (!url.pathname.startsWith('/collab/')) return false;
    // Browsers do not see why an upgrade was refused: everything is said by a close code.
    this.#sockets.handleUpgrade(req, socket, head, (ws) => void this.accept(ws, req));
    return true;
  }

  async accept(ws: WebSocket, req: Pick<IncomingMessage, 'url' | 'headers'>): Promise<void> {
    const url = new URL(req.url ?? '/', 'http://kith.internal');
    ws.binaryType = 'arraybuffer';
    const early: Uint8Array[] = [];
    let connection: Connection | undefined;
    ws.on('message', (data: ArrayBuffer | Buffer, binary: boolean) => {
      if (!binary) return ws.close(CLOSE.malformed, 'messages are binary');
      const frame = new Uint8Array(data as ArrayBuffer);
      if (connection) connection.receive(frame);
      else if (early.push(frame) > EARLY_LIMIT) ws.close(CLOSE.overload, 'too much at once');
    });
    ws.on('error', () => undefined);
    ws.on('pong', () => this.#alive.add(ws));
    this.#alive.add(ws);
    ws.on('close', () => {
      this.#joined.delete(ws);
      connection?.left();
    });
    try {
      const headers = { authorization: req.headers.authorization, cookie: req.headers.cookie };
      const place = placeOf(url);
      const object = this.#runtime.model.objects.get(place.object);
      const who = await this.#who(url.searchParams.get('ticket'), headers, req.headers.origin, place);
      if (!who) return ws.close(CLOSE.unauthenticated, 'sign in, or use a new ticket');
      const facet = object && facetNamed(object, place.facet);
      if (!facet || !isUuid(place.id)) return ws.close(CLOSE.notFound, 'no such record');
      const { records } = this.#runtime;
      const first = await records.rights(who.principal, object, place.id, facet);
      if (!first.read) return ws.close(...(who.principal.outside ? NOTHING : await this.#whyNot(object, place.id)));
      const join = joinOf(object, who.principal, facet, first.update);
      if (join === null) return ws.close(CLOSE.forbidden, 'this part of the record is not for you');
      const organisation = who.principal.outside ? await this.#runtime.setup.organisation() : undefined;
      const document = await this.#join(object, place.id, facet);
      if (who.principal.outside) {
        // The record may have passed to somebody else while its document was being loaded: the right must be to this very life of it.
        const now = await records.rights(who.principal, object, place.id, facet);
        if (!now.read || now.update !== first.update || now.generation !== document.generation || document.closed) {
          this.#linger(document);
          return ws.close(CLOSE.overload, 'the record is changing; try again');
        }
      }
      if (ws.readyState !== ws.OPEN) return this.#linger(document);
      if (this.#closing) return ws.close(CLOSE.restart, 'restarting');
      connection = new Connection({
        socket: ws,
        document,
        principal: who.principal,
        user: who.user,
        write: join === 'write',
        hostName: organisation?.name ?? '',
        staffNamed: this.#runtime.model.audiences.get(who.principal.outside?.audience ?? '')?.staff === 'name',
        present: (...said) => this.#present(...said),
      });
      this.#joined.set(ws, { connection, document, headers, via: who.via });
      await connection.start(early.splice(0));
    } catch (error) {
      if (this.#closing) return ws.close(CLOSE.restart, 'restarting');
      if (error instanceof KithError && error.status === 404) return ws.close(CLOSE.notFound, 'no such record');
      this.#runtime.log(isUnreachable(error) ? 'debug' : 'error', 'a document could not be opened', errorData(error));
      // A failed load closes the door: the client comes back, and never gets an empty document.
      ws.close(CLOSE.overload, 'try again in a moment');
    }
  }

  async #who(
    ticket: string | null,
    headers: Joined['headers'],
    origin: string | undefined,
    place: { object: string; id: string; facet: string },
  ): Promise<{ principal: Principal; user: SessionUser | undefined; via: Joined['via'] } | null> {
    if (ticket && isUuid(place.id)) {
      const principal = await this.#runtime.tickets.redeem(ticket, place.object, place.id, place.facet);
      if (principal) {
        const person = principal.kind === 'staff' || principal.kind === 'partner';
        const user = person ? await this.#runtime.sessions.user(principal.id) : undefined;
        return {
          principal: user && !principal.outside ? { ...principal, name: user.name, roles: user.roles } : principal,
          user,
          via: 'ticket',
        };
      }
    }
    const known: Authenticated | null = await this.#runtime.sessions.authenticate(headers);
    if (!known || (known.via === 'cookie' && !this.#runtime.sessions.originAllowed(origin))) return null;
    return { principal: known.principal, user: known.user, via: 'session' };
  }

  async #whyNot(object: ModelObject, id: string): Promise<[number, string]> {
    const stored = await readStored(this.#runtime.pool, object, id, []);
    return stored && stored.row.deleted_at !== null ? [CLOSE.gone, 'the record was deleted'] : [CLOSE.notFound, 'no such record'];
  }

  /** The document of a record, with one promise for all who ask while it loads. */
  async #document(object: ModelObject, id: string, facet: Facet): Promise<LiveDocument> {
    const key = `${object.name}/${id}/${facet.name}`;
    const known = this.#documents.get(key);
    if (known) {
      await known.loaded;
      return known.document;
    }
    const document = new LiveDocument(this.#runtime, object, id, facet, this.#flusher.wake, this.#options.compactAfter);
    document.rightsRead = () => this.refresh();
    document.abandoned = () => this.#linger(document);
    const loaded = document.load().then(() => {
      this.#open.set(key, document);
      const others = this.#byRecord.get(id) ?? new Set();
      this.#byRecord.set(id, others.add(document));
    });
    this.#documents.set(key, { document, loaded });
    try {
      await loaded;
      return document;
    } catch (error) {
      this.#drop(document);
      throw error;
    }
  }

  /** A document that is not about to go. @throws when this process is about to */
  async #join(object: ModelObject, id: string, facet: Facet): Promise<LiveDocument> {
    for (;;) {
      if (this.#closing) throw new Error('this process is closing');
      const document = await this.#document(object, id, facet);
      if (!document.closed) return document;
      this.#drop(document);
    }
  }

  #drop(document: LiveDocument): void {
    if (this.#open.get(document.key) === document) this.#open.delete(document.key);
    const others = this.#byRecord.get(document.id);
    if (others?.delete(document) && others.size === 0) this.#byRecord.delete(document.id);
    if (this.#documents.get(document.key)?.document === document) this.#documents.delete(document.key);
  }

  /** Unloads a document once nobody is there and all is stored. */
  #linger(document: LiveDocument): void {
    if (document.closed) return this.#drop(document);
    if (document.connections.size > 0) return;
    setTimeout(
      () => {
        void (async () => {
          if (document.connections.size > 0 || this.#open.get(document.key) !== document) return;
          document.catchUpNow();
          await document.settled();
          await this.#flusher.idle();
          // Somebody may have come while it was being stored.
          if (document.connections.size > 0 || document.pending.length > 0 || document.lagging || document.closed) {
            if (document.closed) this.#drop(document);
            return;
          }
          this.#drop(document);
          await document.unload();
        })();
      },
      this.#closing ? 0 : LINGER_MS,
    );
  }

  /** Rights may have changed: whoever has less than they joined with is closed. */
  async #recheck(concerned: (joined: Joined) => boolean): Promise<void> {
    for (const [ws, joined] of this.#joined) {
      if (!concerned(joined)) continue;
      try {
        await this.#recheckOne(ws, joined);
      } catch (error) {
        if (!isUnreachable(error) && !isDatabaseError(error)) throw error;
      }
    }
  }

  async #recheckOne(_ws: WebSocket, { connection, document, headers, via }: Joined): Promise<void> {
    let { principal } = connection;
    const leave = (code: number, reason: string): void => {
      document.expel(principal.id);
      connection.close(code, reason);
    };
    if (via === 'session') {
      const known = await this.#runtime.sessions.authenticate(headers);
      if (!known) return leave(connection.principal.outside ? CLOSE.gone : CLOSE.unauthenticated, 'you are signed out');
      principal = known.principal;
    } else if (principal.outside?.preview) {
      const previewer = await this.#runtime.sessions.principal(principal.id);
      if (!previewer || !hasRole(previewer, 'admin', 'manager')) return leave(CLOSE.gone, 'your rights have changed');
    } else if (principal.kind === 'staff') {
      const people = await this.#runtime.sessions.people();
      const person = people.find((one) => one.id === principal.id);
      if (!person?.active) return leave(CLOSE.unauthenticated, 'you are signed out');
      principal = { ...principal, roles: [person.role as Principal['roles'][number]] };
    }
    const { read, update } = await this.#runtime.records.rights(principal, document.object, document.id);
    const join = read ? joinOf(document.object, principal, document.facet, update) : null;
    if (join === null || (join === 'write') !== connection.write) leave(CLOSE.gone, 'your rights have changed');
  }

  #present(document: LiveDocument, presences: Presence[]): void {
    this.#lists.recordPresence(document.object.name, document.id, document.presences());
    // A draft too large for a notification is seen on its own node only.
    if (JSON.stringify(presences).length < 4_000) this.#runtime.bus.here({ document: document.key, presences });
  }

  #heard(said: unknown): void {
    if (typeof said !== 'object' || said === null) return;
    if ('document' in said && 'presences' in said) {
      const { document: key, presences } = said as { document: string; presences: Presence[] };
      const document = this.#open.get(key);
      for (const presence of presences) document?.setRemotePresence(presence);
    } else this.#lists.heard(said);
  }

  #ping(): void {
    for (const ws of this.#sockets.clients) {
      if (!this.#alive.has(ws) && this.#joined.has(ws)) {
        ws.terminate();
        continue;
      }
      this.#alive.delete(ws);
      if (ws.readyState === ws.OPEN) ws.ping();
    }
  }

  idle(): Promise<void> {
    return this.#flusher.idle();
  }

  stats(): { documents: number; sockets: number } {
    return { documents: this.#open.size, sockets: this.#sockets.clients.size };
  }

  async close(): Promise<void> {
    this.#closing = true;
    for (const document of this.#open.values()) document.catchUpNow();
    await this.#flusher.idle();
    for (const stop of this.#stops.splice(0)) stop();
    this.#lists.close();
    for (const ws of this.#sockets.clients) ws.close(CLOSE.restart, 'restarting');
    await Promise.all([...this.#open.values()].map((document) => document.unload()));
    this.#open.clear();
    this.#byRecord.clear();
    this.#documents.clear();
    for (const ws of this.#sockets.clients) ws.terminate();
    this.#sockets.close();
  }
}

/** `/collab/{object}/{id}/{facet}` */
function placeOf(url: URL): { object: string; id: string; facet: string } {
  const [object = '', id = '', facet = ''] = url.pathname.slice('/collab/'.length).split('/');
  return { object, id, facet };
}
