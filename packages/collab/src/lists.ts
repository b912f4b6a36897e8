/** `/live`: what changes in the lists that somebody looks at, and who is where in them. JSON both ways. */
import type { IncomingMessage } from 'node:http';
import { errorData, KithError, parseFilter, portalOf, type SessionUser } from '@kith/core';
import type { Runtime } from '@kith/core/runtime';
import { isUuid, type ModelObject, type Principal } from '@kith/sdk';
import type { WebSocket } from 'ws';
import { CLOSE, type Presence } from './protocol.ts';

/** What a client may ask for. The test of rights is made from this. */
export const LIST_OPS = ['watch', 'unwatch', 'here'] as const;
type Op = (typeof LIST_OPS)[number];

const WATCHES = 50;
const BUFFER_LIMIT = 16_000_000;
const HERE_MS = 60_000;

interface Place {
  id: string;
  name: string;
  color: number;
  recordId: string | null;
  field: string | null;
}

interface Socket {
  ws: WebSocket;
  principal: Principal;
  user: SessionUser | undefined;
  watches: Map<string, { stop: () => void; object: string }>;
  here: { object: string; place: Place } | null;
}

export class ListSockets {
  readonly #runtime: Runtime;
  readonly #sockets = new Set<Socket>();
  readonly #stops: (() => void)[] = [];
  /** Who is where, by the source that says so. */
  readonly #places = new Map<string, { object: string; places: Place[]; at: number; own: boolean }>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
    this.#stops.push(
      runtime.bus.hear('resync', () => {
        for (const socket of this.#sockets) for (const id of socket.watches.keys()) this.#send(socket, { op: 'stale', id });
      }),
      runtime.bus.hear('noticed', (people) => {
        const told = new Set(people);
        for (const socket of this.#sockets) if (socket.user && told.has(socket.user.id)) this.#send(socket, { op: 'notices' });
      }),
      runtime.bus.hear('switched', () => {
        for (const socket of this.#sockets) {
          for (const [id, { object, stop }] of socket.watches) {
            if (runtime.model.objects.has(object)) continue;
            stop();
            socket.watches.delete(id);
          }
          // Which screens there are is another matter now; a list that is left out is asked for anew when it is back.
          this.#send(socket, { op: 'plugins', on: runtime.plugins.onFor(socket.principal) });
        }
      }),
      runtime.bus.hear('access', (principal) => {
        for (const socket of this.#sockets)
          if (principal === '*' || socket.principal.id === principal) socket.ws.close(CLOSE.gone, 'your rights have changed');
      }),
    );
  }

  accept(ws: WebSocket, req: IncomingMessage): void {
    const early: string[] = [];
    let socket: Socket | undefined;
    ws.on('error', () => undefined);
    ws.on('message', (data: Buffer, binary: boolean) => {
      if (binary || data.byteLength > 200_000) return ws.close(CLOSE.malformed, 'messages are JSON');
      const text = data.toString();
      if (socket) this.#receive(socket, text);
      else if (early.push(text) > WATCHES) ws.close(CLOSE.overload, 'too much at once');
    });
    ws.on('close', () => {
      if (socket) this.#left(socket);
    });
    void (async () => {
      try {
        const known = await this.#runtime.sessions.authenticate({ authorization: req.headers.authorization, cookie: req.headers.cookie });
        if (!known || (known.via === 'cookie' && !this.#runtime.sessions.originAllowed(req.headers.origin)))
          return ws.close(CLOSE.unauthenticated, 'sign in');
        const as = new URL(req.url ?? '/', 'http://kith.internal').searchParams.get('as');
        const principal = as === null ? known.principal : await this.#runtime.partners.previewer(known.principal, as);
        if (ws.readyState !== ws.OPEN) return;
        socket = { ws, principal, user: known.user, watches: new Map(), here: null };
        this.#sockets.add(socket);
        this.#send(socket, { op: 'plugins', on: this.#runtime.plugins.onFor(principal) });
        for (const text of early) this.#receive(socket, text);
      } catch (error) {
        if (error instanceof KithError) return ws.close(CLOSE.forbidden, error.message.slice(0, 100));
        this.#runtime.log('debug', 'a list could not be watched', errorData(error));
        ws.close(CLOSE.overload, 'try again in a moment');
      }
    })();
  }

  #receive(socket: Socket, text: string): void {
    try {
      const message = JSON.parse(text) as Record<string, unknown>;
      const id = typeof message.id === 'string' ? message.id.slice(0, 100) : '';
      const does: Record<Op, () => void> = {
        watch: () => void this.#watch(socket, id, message).catch((error: unknown) => this.#refuse(socket, error)),
        unwatch: () => {
          socket.watches.get(id)?.stop();
          socket.watches.delete(id);
        },
        here: () => this.#here(socket, message),
      };
      const op = LIST_OPS.find((one) => one === message.op);
      if (!op) throw new Error('unknown op');
      does[op]();
    } catch (error) {
      this.#refuse(socket, error);
    }
  }

  #refuse(socket: Socket, error: unknown): void {
    // Asked for while the plugin was being switched off.
    if (error instanceof KithError && error.code === 'not_found' && !socket.principal.outside) return;
    socket.ws.close(CLOSE.malformed, error instanceof KithError ? error.message.slice(0, 100) : 'this message cannot be read');
  }

  async #watch(socket: Socket, id: string, message: Record<string, unknown>): Promise<void> {
    socket.watches.get(id)?.stop();
    if (socket.watches.size >= WATCHES) throw new KithError(429, 'too_many', 'too many lists at once');
    const object: ModelObject = this.#runtime.records.object(String(message.object));
    const { outside } = socket.principal;
    if (outside && !portalOf(object, socket.principal)) throw new KithError(404, 'not_found', 'There is no such object.');
    const filter = message.filter === undefined || message.filter === null ? undefined : parseFilter(message.filter);
    const search = typeof message.search === 'string' ? message.search : undefined;
    const stop = await this.#runtime.live.watch(socket.principal, object, filter, search, (change) =>
      this.#send(socket, { op: 'changed', id, ...change, by: change.by[0] ?? null, authors: change.by }),
    );
    if (!this.#sockets.has(socket)) return stop();
    socket.watches.get(id)?.stop();
    socket.watches.set(id, { stop, object: object.name });
    this.#send(socket, { op: 'watching', id });
    if (!outside) this.#send(socket, { op: 'here', object: object.name, people: this.#people(object.name) });
  }

  #here(socket: Socket, message: Record<string, unknown>): void {
    // Who of the staff looks at what is not told to people from outside, and they are not asked.
    if (socket.principal.outside) return;
    if (message.object === null) return this.#gone(socket);
    const object = this.#runtime.records.object(String(message.object)).name;
    const place: Place = {
      id: socket.principal.id,
      name: socket.principal.name,
      color: socket.user?.color ?? 0,
      recordId: isUuid(message.recordId) ? message.recordId : null,
      field: typeof message.field === 'string' ? message.field.slice(0, 100) : null,
    };
    const before = socket.here?.object;
    socket.here = { object, place };
    if (before !== undefined && before !== object) this.#tell(before);
    this.#tell(object);
    this.#runtime.bus.here({ list: object, source: `${this.#runtime.bus.node} ${socket.principal.id}`, places: [place] });
  }

  /** Who has a record's page open. */
  recordPresence(object: string, record: string, presences: readonly Presence[]): void {
    const places = presences.flatMap((one): Place[] => {
      const user = one.state?.user as { id: string; name: string; color: number } | undefined;
      const field = one.state?.field;
      return user ? [{ ...user, recordId: record, field: typeof field === 'string' ? field : null }] : [];
    });
    const source = `record ${record}`;
    if (places.length === 0) this.#places.delete(source);
    else this.#places.set(source, { object, places, at: Date.now(), own: true });
    this.#tell(object);
    this.#runtime.bus.here({ list: object, source: `${this.#runtime.bus.node} ${source}`, places });
  }

  /** What another node says of people in lists. */
  heard(said: object): void {
    if (!('list' in said) || !('source' in said) || !('places' in said)) return;
    const { list, source, places } = said as { list: string; source: string; places: Place[] };
    if (places.length === 0) this.#places.delete(source);
    else this.#places.set(source, { object: list, places, at: Date.now(), own: false });
    this.#tell(list);
  }

  #people(object: string): Place[] {
    const oldest = Date.now() - HERE_MS;
    const found = new Map<string, Place>();
    const add = (place: Place): void => {
      if (place.recordId !== null) found.set(`${place.id} ${place.recordId}`, place);
      else if (!found.has(place.id)) found.set(place.id, place);
    };
    for (const [source, one] of this.#places) {
      if (!one.own && one.at < oldest) this.#places.delete(source);
      else if (one.object === object) one.places.forEach(add);
    }
    for (const socket of this.#sockets) if (socket.here?.object === object) add(socket.here.place);
    return [...found.values()];
  }

  readonly #due = new Set<string>();
  /** Presence is told at most ten times a second. */
  #tell(object: string): void {
    if (this.#due.has(object)) return;
    this.#due.add(object);
    setTimeout(() => {
      this.#due.delete(object);
      const message = { op: 'here', object, people: this.#people(object) };
      for (const socket of this.#sockets)
        if (!socket.principal.outside && [...socket.watches.values()].some((one) => one.object === object)) this.#send(socket, message);
    }, 100);
  }

  #send(socket: Socket, message: unknown): void {
    if (socket.ws.readyState !== socket.ws.OPEN) return;
    if (socket.ws.bufferedAmount > BUFFER_LIMIT) return socket.ws.close(CLOSE.overload, 'the connection is too slow');
    socket.ws.send(JSON.stringify(message));
  }

  #left(socket: Socket): void {
    this.#sockets.delete(socket);
    for (const { stop } of socket.watches.values()) stop();
    this.#gone(socket);
  }

  /** Somebody is in no list any more. */
  #gone(socket: Socket): void {
    if (!socket.here) return;
    const { object } = socket.here;
    socket.here = null;
    this.#runtime.bus.here({ list: object, source: `${this.#runtime.bus.node} ${socket.principal.id}`, places: [] });
    this.#tell(object);
  }

  close(): void {
    for (const stop of this.#stops.splice(0)) stop();
    for (const socket of this.#sockets) socket.ws.close(CLOSE.restart, 'restarting');
  }
}
