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

export interface ConnectionOptions {
  socket: WebSocket;
  document: LiveDocument;
  principal: Principal;
  user: SessionUser | undefined;
  write: boolean;
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
    const here = this.#document.presences();
    if (here.length > 0) this.send(awarenessFrame(here));
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
        if (this.#document.isStale(message.vector)) return this.close(CLOSE.gone, 'the document has moved on; load it anew');
        const { update } = await this.#document.committedState(message.vector);
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
        const here = this.#document.presences();
        if (here.length > 0) this.send(awarenessFrame(here));
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
    const user = this.#o.user
      ? { id: this.#o.user.id, name: this.#o.user.name, color: this.#o.user.color }
      : { id: this.principal.id, name: this.principal.name, color: 0 };
    const shown = this.#document.setPresence(this, presence, user);
    if (shown) this.#o.present(this.#document, [shown]);
    else this.#mine.delete(presence.client);
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
