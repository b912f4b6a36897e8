/**
 * Live lists: one socket per tab, over which the server tells which records of
 * the lists on screen changed, and who is where in them.
 */
import type { Filter, Rec, Refs } from '../types.ts';

export interface Watch {
  object: string;
  filter?: Filter;
  search?: string;
  fields?: string[];
}
export interface Changed {
  upsert: Rec[];
  /** Ids that fit no longer, or are deleted. */
  gone: string[];
  refs?: Refs;
  /** Who made the changes. */
  authors?: string[];
}
export interface Watcher {
  changed: (change: Changed) => void;
  /** Something was missed: read the list anew. */
  stale: () => void;
}
/** Somebody in a list. */
export interface Present {
  id: string;
  name: string;
  color: number;
  recordId?: string | null;
  field?: string | null;
}
interface Place {
  object: string;
  recordId?: string;
  field?: string;
}

type Incoming =
  | { op: 'watching'; id: string }
  | ({ op: 'changed'; id: string } & Changed)
  | { op: 'stale'; id: string }
  | { op: 'here'; object: string; people: Present[] }
  | { op: 'notices' }
  | { op: 'plugins'; on: string[] }
  | { op: 'error'; id?: string; message?: string };

const BACKOFF = [200, 500, 1000, 2000, 4000];

export class LiveLists {
  /** Who is in the lists of each object. */
  people = $state.raw<Record<string, Present[]>>({});
  connected = $state(false);

  #socket: WebSocket | null = null;
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #watches = new Map<string, Watch & Watcher>();
  #next = 1;
  #place: Place | null = null;
  #closed = false;
  readonly #onNotices = new Set<() => void>();
  readonly #onConnection: (connected: boolean) => void;
  readonly #onSignedOut: () => void;
  readonly #onPlugins: (on: readonly string[]) => void;
  readonly #query: string;

  /**
   * `as`: see what the partners of `audience:company` would. `onSignedOut`: the server ended this person's access. `onPlugins`:
   * told which plugins are on, at each connection and when it changes.
   */
  constructor(
    onConnection: (connected: boolean) => void,
    { as, onSignedOut, onPlugins }: { as?: string | null; onSignedOut?: () => void; onPlugins?: (on: readonly string[]) => void } = {},
  ) {
    this.#onConnection = onConnection;
    this.#onSignedOut = onSignedOut ?? (() => undefined);
    this.#onPlugins = onPlugins ?? (() => undefined);
    this.#query = as ? `?as=${encodeURIComponent(as)}` : '';
    this.#connect();
    addEventListener('online', this.#retry);
  }

  /** Follows a list; answers how to stop. */
  watch(watch: Watch, watcher: Watcher): () => void {
    const id = `w${this.#next++}`;
    this.#watches.set(id, { ...watch, ...watcher });
    this.#send({ op: 'watch', id, ...watch });
    return () => {
      this.#watches.delete(id);
      this.#send({ op: 'unwatch', id });
    };
  }

  /** Calls when what stands under this person's bell may have changed, also while nobody was listening; answers how to stop. */
  onNotices(changed: () => void): () => void {
    this.#onNotices.add(changed);
    if (this.connected) changed();
    return () => this.#onNotices.delete(changed);
  }

  /** Tells colleagues in which list, row and cell this person is. */
  here(place: Place | null): void {
    if (JSON.stringify(place) === JSON.stringify(this.#place)) return;
    const left = this.#place;
    this.#place = place;
    if (place) this.#send({ op: 'here', ...place });
    else if (left) this.#send({ op: 'here', object: null });
  }

  close(): void {
    this.#closed = true;
    removeEventListener('online', this.#retry);
    clearTimeout(this.#timer);
    this.#socket?.close();
  }

  readonly #retry = (): void => {
    if (this.connected || this.#closed) return;
    clearTimeout(this.#timer);
    this.#attempt = 0;
    this.#connect();
  };

  #connect(): void {
    const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/live${this.#query}`);
    this.#socket?.close();
    this.#socket = socket;
    socket.onopen = () => {
      this.#attempt = 0;
      this.connected = true;
      this.#onConnection(true);
      for (const [id, { changed: _changed, stale: _stale, ...watch }] of this.#watches) this.#send({ op: 'watch', id, ...watch });
      if (this.#place) this.#send({ op: 'here', ...this.#place });
      for (const changed of this.#onNotices) changed();
    };
    socket.onmessage = (event) => this.#receive(JSON.parse(String(event.data)) as Incoming);
    socket.onclose = (event) => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.connected = false;
      this.people = {};
      if (this.#closed) return;
      this.#onConnection(false);
      // Signed out, or let go: the next page or request says so too.
      if (event.code === 4401 || event.code === 4403) return this.#onSignedOut();
      this.#timer = setTimeout(() => this.#connect(), BACKOFF[Math.min(this.#attempt++, BACKOFF.length - 1)]);
    };
  }

  #receive(message: Incoming): void {
    switch (message.op) {
      case 'changed':
        this.#watches.get(message.id)?.changed(message);
        return;
      // What happened between reading the list and watching it was seen by nobody.
      case 'watching':
      case 'stale':
        this.#watches.get(message.id)?.stale();
        return;
      case 'here':
        this.people = { ...this.people, [message.object]: message.people };
        return;
      case 'notices':
        for (const changed of this.#onNotices) changed();
        return;
      case 'plugins':
        this.#onPlugins(message.on);
        return;
      case 'error':
        return;
    }
  }

  #send(message: object): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }
}
