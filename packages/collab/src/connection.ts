/** One socket on one live document: what it may, what it sent, and how much of that is saved. */
import { errorData, type SessionUser } from '@kith/core';
import type { Principal } from '@kith/sdk';
import * as Y from 'yjs';
import type { WebSocket } from 'ws';
import type { LiveDocument } from './document.ts';
import { isKnown } from './inspect.ts';
import { awarenessFrame, CLOSE, noticeFrame, readMessage, savedFrame, step1Frame, step2Frame, type Presence } from './protocol.ts';

/** Largest update, in bytes. */
export const UPDATE_LIMIT = 10_000_000;
/** Largest presence, in characters of its JSON. */
const PRESENCE_LIMIT = 20_000;
/** Bytes that may wait for a slow reader before it is asked to come back later. */
const BUFFER_LIMIT = 32_000_000;
/** Messages that may wait to be taken in. */
const INBOX_LIMIT = 10_000;
/** Updates with a gap that are kept until what they build on comes. */
const GAP_LIMIT = 1_000;

/** Who somebody is, as the server writes it into their presence. */
interface Identity {
  id: string;
  name: string;
  color: number;
  kind: Principal['kind'];
  /** Partners: their company's record. */
  company?: string;
}

export interface ConnectionOptions {
  socket: WebSocket;
  document: LiveDocument;
  principal: Principal;
  user: SessionUser | undefined;
  write: boolean;
  /** For people from outside: the organisation's name, and whether they are told the names of its staff. */
  hostName: string;
  staffNamed: boolean;
  /** Tells other nodes of somebody's presence. */
  present: (document: LiveDocument, presences: Presence[]) => void;
}

export class Connection {
  readonly principal: Principal;
  readonly write: boolean;
  readonly #o: ConnectionOptions;
  readonly #socket: WebSocket;
  readonly #document: LiveDocument;
  readonly #inbox: Uint8Array[] = [];
  #working = false;
  #closed = false;
  /** For each content message, in order: the number of taken updates that must be durable before it counts. */
  readonly #needs: number[] = [];
  #count = 0;
  /** Content came over a read-only join: counting has stopped for good. */
  #stalled = false;
  /** Updates that build on edits which have not come yet. Nothing after them counts before they do. */
  #gap: Uint8Array[] = [];
  readonly #mine = new Set<number>();

  constructor(options: ConnectionOptions) {
    this.#o = options;
    this.#socket = options.socket;
    this.#document = options.document;
    this.principal = options.principal;
    this.write = options.write;
  }

  /** Greets the client: what we have, and who is here. */
  async start(early: readonly Uint8Array[]): Promise<void> {
    this.#document.connections.add(this);
    const { vector } = await this.#document.committedState(new Uint8Array([0]));
    if (this.#closed) return;
    this.send(step1Frame(vector));
    this.showPresences(this.#document.presences());
    for (const frame of early) this.receive(frame);
  }

  /** A frame came in. Frames are taken in one after another. */
  receive(frame: Uint8Array): void {
    if (this.#closed) return;
    if (frame.byteLength > UPDATE_LIMIT) return this.close(CLOSE.tooLarge, 'this edit is too large');
    if (this.#inbox.length >= INBOX_LIMIT) return this.close(CLOSE.overload, 'too much at once');
    this.#inbox.push(frame);
    if (!this.#working) void this.#work();
  }

  async #work(): Promise<void> {
    this.#working = true;
    while (this.#inbox.length > 0 && !this.#closed) {
      const frame = this.#inbox.shift()!;
      try {
        await this.#handle(frame);
      } catch (error) {
        this.#document.runtime.log('debug', 'a broken frame', { record: this.#document.id, ...errorData(error) });
        this.close(CLOSE.malformed, 'this message cannot be read');
      }
    }
    this.#working = false;
  }

  async #handle(frame: Uint8Array): Promise<void> {
    const message = readMessage(frame);
    switch (message.kind) {
      case 'step1': {
        if (await this.#document.isStale(message.vector)) return this.close(CLOSE.gone, 'the document has moved on; load it anew');
        const { update } = await this.#document.committedState(message.vector);
        if (this.principal.outside) await this.#document.rightsRead();
        if (!this.#closed) this.send(step2Frame(update));
        return;
      }
      case 'step2':
      case 'update':
        return this.#content(message.update);
      case 'awareness':
        for (const presence of message.presences) this.#present(presence);
        return;
      case 'query': {
        this.showPresences(this.#document.presences());
        return;
      }
      case 'other':
        return;
    }
  }

  async #content(update: Uint8Array): Promise<void> {
    const document = this.#document;
    if (!this.write) {
      while (document.gate) await document.gate;
      if (!document.closed && isKnown(document.y, update)) this.#note(document.taken);
      else this.#stalled = true;
      return;
    }
    const parts = [...this.#gap, update];
    const whole = parts.length === 1 ? update : Y.mergeUpdates(parts);
    if (this.#closed || document.closed) return;
    if (!(await document.owns(this.principal, whole))) return this.close(CLOSE.forbidden, 'these edits are somebody else’s');
    while (document.gate) await document.gate;
    if (this.#closed || document.closed) return;
    const result = document.integrate(whole, this.principal, this);
    if (result === 'outside') {
      this.close(CLOSE.forbidden, 'this edit is outside what you may change');
      await document.rebuild();
      return;
    }
    if (result === 'gap') {
      this.#gap = [whole];
      this.#gaps++;
      if (this.#gaps > GAP_LIMIT) this.close(CLOSE.malformed, 'edits are missing');
      return;
    }
    // With the gap closed, the messages that waited for it count too.
    for (let i = 0; i < this.#gaps; i++) this.#note(document.taken);
    this.#gap = [];
    this.#gaps = 0;
    this.#note(document.taken);
  }
  #gaps = 0;

  #note(need: number): void {
    if (this.#stalled) return;
    this.#needs.push(need);
    if (need <= this.#document.durable) this.saved();
  }

  /** Tells the client how many of its messages are durable by now, if that has grown. */
  saved(): void {
    let grown = 0;
    while (grown < this.#needs.length && this.#needs[grown]! <= this.#document.durable) grown++;
    if (grown === 0) return;
    this.#needs.splice(0, grown);
    this.#count += grown;
    this.send(savedFrame(this.#count));
  }

  notice(notice: { code: string; field: string; message: string }): void {
    this.send(noticeFrame(notice));
  }

  #present(presence: Presence): void {
    if (JSON.stringify(presence.state).length > PRESENCE_LIMIT) return;
    // The stock client repeats what it hears of others; each speaks only for itself, under one id.
    if (!this.#mine.has(presence.client)) {
      if (this.#mine.size > 0) return;
      this.#mine.add(presence.client);
    }
    // Whoever only looks at what a partner sees is not there.
    if (this.principal.outside?.preview) return;
    const { id, name, kind, outside } = this.principal;
    const company = outside?.company;
    const user = { id, name: this.#o.user?.name ?? name, color: this.#o.user?.color ?? 0, kind, ...(company ? { company } : {}) };
    const shown = this.#document.setPresence(this, presence, user);
    if (shown) this.#o.present(this.#document, [shown]);
    else this.#mine.delete(presence.client);
  }

  /** Shows who is here, as this reader may know it. `frame` is the same in bytes, for those who may know all. */
  showPresences(presences: readonly Presence[], frame?: Uint8Array): void {
    if (presences.length === 0) return;
    if (this.principal.outside) {
      const shown = presences.filter((one) => this.#mayMeet(one)).map((one) => this.#veiled(one));
      if (shown.length > 0) this.send(awarenessFrame(shown));
    } else this.send(frame ?? awarenessFrame(presences));
  }

  /** Whether somebody from outside may know that another is here: staff and colleagues, nobody of another company. */
  #mayMeet({ state }: Presence): boolean {
    const user = state?.user as Identity | undefined;
    if (!user || (user.kind !== 'partner' && user.kind !== 'guest')) return true;
    const { id, outside } = this.principal;
    return user.id === id || (user.company !== undefined && user.company === outside?.company);
  }

  /** How people from outside see somebody: staff as the audience's declaration says, and of what they do only what is in this document. */
  #veiled({ client, clock, state }: Presence): Presence {
    if (!state) return { client, clock, state };
    const { fields } = this.#document.facet;
    const user = state.user as Identity | undefined;
    const shown: Record<string, unknown> = {};
    const isHere = (name: unknown): boolean => typeof name === 'string' && fields.has(name);
    if (isHere(state.field)) shown.field = state.field;
    const draft = state.draft as { field?: unknown } | undefined;
    if (draft && isHere(draft.field)) shown.draft = draft;
    if (state.cursor !== undefined) shown.cursor = state.cursor;
    if (user) {
      const named = this.#o.staffNamed || user.kind === 'partner' || user.kind === 'guest';
      shown.user =
        user.kind === 'partner' || user.kind === 'guest'
          ? user
          : { id: `staff ${client}`, name: named ? user.name : this.#o.hostName, color: user.color, kind: 'staff' };
    }
    return { client, clock, state: shown };
  }

  send(frame: Uint8Array): void {
    if (this.#closed || this.#socket.readyState !== this.#socket.OPEN) return;
    if (this.#socket.bufferedAmount > BUFFER_LIMIT) return this.close(CLOSE.overload, 'the connection is too slow');
    this.#socket.send(frame);
  }

  close(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close(code, reason);
    this.left();
  }

  /** The socket is gone. */
  left(): void {
    this.#closed = true;
    if (!this.#document.connections.delete(this)) return;
    const gone = this.#document.clearPresence(this);
    if (gone.length > 0) this.#o.present(this.#document, gone);
    this.#document.abandoned();
  }
}
