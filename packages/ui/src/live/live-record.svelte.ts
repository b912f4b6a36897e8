/**
 * One open record, live: its document over the stock y-websocket provider, what
 * of it is saved, who else is here, and undo.
 *
 * `values` starts with what the page loaded; once the document has arrived, live
 * fields come from it and the others stay as {@link LiveRecord.take} last told.
 */
import { REGISTERS, readField, writeField } from '@kith/doc';
import * as decoding from 'lib0/decoding';
import { defaultDeleteFilter, defaultProtectedNodes, ySyncPluginKey } from 'y-prosemirror';
import { WebsocketProvider } from 'y-websocket';
import * as Y from 'yjs';
import { isApiError } from '../api.ts';
import type { App } from '../app.svelte.ts';
import type { Draft, FieldBinding, Remote, SharedText } from '../fields/binding.svelte.ts';
import { complaintText, isEditable } from '../meta.ts';
import type { FieldMeta, FieldValue, ObjectMeta, Rec } from '../types.ts';
import { LocalCopy } from './local-copy.ts';

export type Status = 'connecting' | 'saving' | 'saved' | 'offline' | 'ended';
/** Why a record is live no more. */
export type End = 'deleted' | 'gone' | 'forbidden' | 'signed-out' | 'closed';

export interface Person {
  id: string;
  name: string;
  color: number;
  /** The field they are in. */
  field?: string;
}

const FACET = 'staff';
const MESSAGE_SYNC = 0;
const MESSAGE_ACKNOWLEDGED = 100;
const MESSAGE_CORRECTED = 101;
/** How long a lost connection may take to come back before it is called offline. */
const GRACE = 1500;
/** Client ids below belong to the server. */
const SERVER_IDS = 1024;
const DRAFT_EVERY = 60;
/** How long a page that was left waits for its last edits to be saved. */
const LINGER = 3000;
/** Origin of this page's own edits. */
const LOCAL = Symbol('local edit');

interface Ticket {
  facets: { name: string; access: 'write' | 'read'; ticket: string }[];
}

export class LiveRecord {
  readonly object: ObjectMeta;
  readonly id: string;
  readonly #app: App;
  readonly #base: string;
  readonly #fields = new Map<string, LiveField>();
  readonly #onNotice: (notice: Notice) => void;

  status = $state<Status>('connecting');
  end = $state<End | null>(null);
  /** The document's content is here: fields may be edited. */
  ready = $state(false);
  writable = $state(false);
  values = $state.raw<Record<string, FieldValue>>({});
  complaints = $state.raw<Record<string, string>>({});
  remotes = $state.raw<readonly Remote[]>([]);
  canUndo = $state(false);
  canRedo = $state(false);
  #session = $state.raw<Session | null>(null);
  #stopped = false;
  #drafting = false;
  /** Rejoins since the last time everything was saved, so that a server that keeps refusing is not asked for ever. */
  #rejoins = 0;

  /** The others, each once. */
  readonly people: Person[] = $derived.by(() => {
    const found = new Map<string, Person>();
    for (const { id, name, color, field } of this.remotes) {
      if (id === this.#app.me?.id) continue;
      const known = found.get(id);
      if (!known) found.set(id, { id, name, color, ...(field !== undefined && { field }) });
      else if (field !== undefined) known.field = field;
    }
    return [...found.values()];
  });

  constructor(app: App, object: ObjectMeta, record: Rec, onNotice: (notice: Notice) => void) {
    this.#app = app;
    this.object = object;
    this.id = record.id;
    this.values = record.fields;
    this.#onNotice = onNotice;
    this.#base = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/collab/${object.name}`;
  }

  /** Joins. Call once. */
  async open(): Promise<void> {
    const user = this.#app.me?.id;
    if (!user || this.#stopped) return;
    const copy = new LocalCopy(user, `${this.object.name}/${this.id}/${FACET}`);
    const doc = new Y.Doc();
    while (doc.clientID < SERVER_IDS) doc.clientID = Math.floor(Math.random() * 2 ** 32);
    const kept = copy.unsaved;
    await copy.open(doc);
    if (this.#stopped) return void copy.close();
    const session = new Session(this.#base, this.id, doc, copy, kept, {
      changed: (names) => this.#read(names),
      status: () => this.#judge(),
      remotes: (remotes) => (this.remotes = remotes),
      corrected: (code, field, message) => this.#corrected(code, field, message),
      closed: (code) => void this.#closed(session, code),
      ticket: () => this.#ticket({ renewal: true }),
      fields: this.object.fields,
    });
    this.#session = session;
    session.undo.on('stack-item-added', this.#stack);
    session.undo.on('stack-item-popped', this.#stack);
    session.undo.on('stack-cleared', this.#stack);
    const ticket = await this.#ticket();
    if (this.#stopped || this.end) return;
    session.connect(ticket);
    // Without a server, what was kept is worked on.
    if (kept) setTimeout(() => this.#session === session && !this.ready && this.#arrived(), GRACE);
  }

  /** Leaves. What is saved is kept nowhere; what is not waits in the browser. */
  async close(): Promise<void> {
    this.#stopped = true;
    await this.#session?.end();
    this.#session = null;
  }

  /** New values of what does not live in the document. */
  take(record: Rec): void {
    const next = { ...this.values };
    for (const field of this.object.fields) {
      if (this.ready && field.merge !== 'none') continue;
      if (field.name in record.fields) next[field.name] = record.fields[field.name] ?? null;
    }
    this.values = next;
  }

  /** The binding of a field's widget. */
  field(name: string): LiveField {
    let field = this.#fields.get(name);
    if (!field) {
      const meta = this.object.fields.find((one) => one.name === name);
      if (!meta) throw new Error(`${this.object.name} has no field ${name}`);
      field = new LiveField(this, meta);
      this.#fields.set(name, field);
    }
    return field;
  }

  undo(): void {
    this.#session?.undo.undo();
  }
  redo(): void {
    this.#session?.undo.redo();
  }

  // What fields ask of the record.

  shared(meta: FieldMeta): SharedText | null {
    const session = this.#session;
    if (!session || !this.ready || (meta.merge !== 'text' && meta.merge !== 'rich')) return null;
    return {
      doc: session.doc,
      awareness: session.awareness,
      origin: LOCAL,
      text: meta.merge === 'text' ? session.doc.getText(meta.name) : null,
      rich: meta.merge === 'rich' ? session.doc.getXmlFragment(meta.name) : null,
    };
  }
  write(meta: FieldMeta, value: FieldValue): void {
    const session = this.#session;
    if (!session || !this.ready || !this.writable) return;
    this.complain(meta.name, null);
    // Each value set is one step back.
    session.undo.stopCapturing();
    writeField(session.doc, { name: meta.name, merge: meta.merge }, value, LOCAL);
  }
  complain(field: string, message: string | null): void {
    if ((this.complaints[field] ?? null) === message) return;
    const rest = { ...this.complaints };
    if (message === null) delete rest[field];
    else rest[field] = message;
    this.complaints = rest;
  }
  present(field: string | null): void {
    this.#session?.say({ field: field ?? undefined, draft: undefined });
  }
  draft(draft: Draft | null): void {
    this.#drafting = draft !== null;
    this.#session?.sayDraft(draft);
  }
  /** Whether something is being typed that is not a value yet. */
  get typing(): boolean {
    return this.#drafting;
  }

  // What the session reports.

  readonly #stack = (): void => {
    this.canUndo = (this.#session?.undo.undoStack.length ?? 0) > 0;
    this.canRedo = (this.#session?.undo.redoStack.length ?? 0) > 0;
  };

  #arrived(): void {
    this.ready = true;
    this.#read(null);
  }

  /** Takes values out of the document; all of them for null. */
  #read(names: ReadonlySet<string> | null): void {
    const session = this.#session;
    if (!session || !this.ready) return;
    const next = { ...this.values };
    for (const meta of this.object.fields) {
      // Rich text is shown by its editor, which binds to the document itself.
      if (meta.merge === 'none' || meta.merge === 'rich' || (names && !names.has(meta.name))) continue;
      next[meta.name] = (readField(session.doc, { name: meta.name, merge: meta.merge }) ?? null) as FieldValue;
    }
    this.values = next;
  }

  #judge(): void {
    const session = this.#session;
    if (!session || this.end) return;
    if (session.arrived && !this.ready) this.#arrived();
    const next = session.status;
    if (next === 'saved') this.#rejoins = 0;
    this.status = next;
  }

  #corrected(code: string, field: string, message: string): void {
    const meta = this.object.fields.find((one) => one.name === field);
    const text = complaintText(this.#app, meta, code, message);
    this.complain(field, text);
    this.#onNotice({ kind: 'corrected', field: meta?.label ?? field, text });
  }

  /** A renewal only prepares for coming back: why a door is shut is said by the socket. */
  async #ticket({ renewal = false } = {}): Promise<string | null> {
    try {
      const { facets } = await this.#app.api.post<Ticket>('/collab/ticket', { object: this.object.name, id: this.id });
      const facet = facets.find((one) => one.name === FACET);
      if (!facet) {
        if (!renewal) this.#finish('forbidden');
        return null;
      }
      this.writable = facet.access === 'write';
      return facet.ticket;
    } catch (thrown) {
      if (!isApiError(thrown)) throw thrown;
      if (renewal) return null;
      if (thrown.status === 401) this.#finish('signed-out');
      else if (thrown.status === 403) this.#finish('forbidden');
      else if (thrown.status === 404) this.#finish('gone');
      // Offline: the session cookie opens the door when the server is back.
      return null;
    }
  }

  /** The server closed for good. */
  async #closed(session: Session, code: number): Promise<void> {
    if (this.#stopped || session !== this.#session) return;
    switch (code) {
      case 4401: {
        if (++this.#rejoins > 3) return this.#finish('signed-out');
        const ticket = await this.#ticket();
        if (ticket) session.connect(ticket);
        return;
      }
      case 4404:
        return this.#finish('gone');
      case 4403:
        return this.#rejoin('refused', 'forbidden');
      case 4413:
        return this.#rejoin('too-large', 'closed');
      case 4410: {
        const record = await this.#app.api
          .get<Rec>(`/records/${this.object.name}/${this.id}`)
          .catch((thrown: unknown) => (isApiError(thrown) && thrown.offline ? undefined : null));
        if (record === null || record?.deletedAt) {
          await session.end({ drop: true });
          return this.#finish('deleted');
        }
        return this.#rejoin('moved', 'closed');
      }
      default:
        return this.#finish('closed');
    }
  }

  /** Drops the copy and joins anew, once; `end` when it did not help. */
  async #rejoin(notice: 'refused' | 'too-large' | 'moved', end: End): Promise<void> {
    const unsaved = this.#session?.unsaved ?? false;
    await this.#session?.end({ drop: true });
    this.#session = null;
    this.ready = false;
    if (++this.#rejoins > 1) return this.#finish(end);
    this.#onNotice({ kind: notice, lost: unsaved });
    await this.open();
  }

  #finish(end: End): void {
    this.end = end;
    this.status = end === 'signed-out' ? 'offline' : 'ended';
    this.remotes = [];
    if (end !== 'signed-out') this.writable = false;
  }
}

/** What the person is told. */
export type Notice = { kind: 'corrected'; field: string; text: string } | { kind: 'refused' | 'too-large' | 'moved'; lost: boolean };

/** A field of a live record, as its widget sees it. */
export class LiveField implements FieldBinding {
  readonly meta: FieldMeta;
  readonly #record: LiveRecord;

  constructor(record: LiveRecord, meta: FieldMeta) {
    this.#record = record;
    this.meta = meta;
  }
  get value(): FieldValue {
    return this.#record.values[this.meta.name] ?? null;
  }
  get editable(): boolean {
    return this.#record.ready && this.#record.writable && isEditable(this.#record.object, this.meta);
  }
  get complaint(): string | null {
    return this.#record.complaints[this.meta.name] ?? null;
  }
  get others(): readonly Remote[] {
    return this.#record.remotes.filter((remote) => remote.field === this.meta.name);
  }
  get shared(): SharedText | null {
    return this.#record.shared(this.meta);
  }
  set(value: FieldValue): void {
    this.#record.write(this.meta, value);
  }
  complain(message: string | null): void {
    this.#record.complain(this.meta.name, message);
  }
  draft(draft: Omit<Draft, 'field'> | null): void {
    this.#record.draft(draft && { field: this.meta.name, ...draft });
  }
  enter(): void {
    this.#record.present(this.meta.name);
  }
  leave(): void {
    this.#record.present(null);
  }
}

interface Reports {
  changed: (names: ReadonlySet<string>) => void;
  status: () => void;
  remotes: (remotes: Remote[]) => void;
  corrected: (code: string, field: string, message: string) => void;
  closed: (code: number) => void;
  ticket: () => Promise<string | null>;
  fields: readonly FieldMeta[];
}

/** One life of the document: from joining to leaving or being thrown out. */
class Session {
  readonly doc: Y.Doc;
  readonly undo: Y.UndoManager;
  readonly #provider: WebsocketProvider;
  readonly #copy: LocalCopy;
  readonly #reports: Reports;
  readonly #params: Record<string, string> = {};
  /** Messages of this connection that the server will count, and how many it has. */
  #sent = 0;
  #acknowledged = 0;
  /** Our answer to the server's first question is out: before it, the count says nothing about older edits. */
  #answered = false;
  #unsaved: boolean;
  #late = false;
  #grace: ReturnType<typeof setTimeout> | undefined;
  #draftTimer: ReturnType<typeof setTimeout> | undefined;
  #draft: Draft | null = null;
  #draftAt = 0;
  #ended = false;

  constructor(base: string, id: string, doc: Y.Doc, copy: LocalCopy, unsaved: boolean, reports: Reports) {
    this.doc = doc;
    this.#copy = copy;
    this.#reports = reports;
    this.#unsaved = unsaved;
    this.#provider = new WebsocketProvider(`${base}/${id}`, FACET, doc, {
      connect: false,
      params: this.#params,
      // Tabs meet through the server, which knows what is saved.
      disableBc: true,
      WebSocketPolyfill: this.#countingSocket(),
    });
    this.#provider.messageHandlers[MESSAGE_ACKNOWLEDGED] = (_encoder, decoder) => {
      this.#acknowledged = decoding.readVarUint(decoder);
      this.#settle();
    };
    this.#provider.messageHandlers[MESSAGE_CORRECTED] = (_encoder, decoder) => this.#correct(decoding.readVarString(decoder));
    this.#provider.on('status', ({ status }) => this.#connection(status));
    this.#provider.on('sync', () => this.#settle());
    this.#provider.on('connection-close', () => this.#settle());
    this.#provider.on('closed', ({ code }) => reports.closed(code));
    this.awareness.setLocalState({});
    this.awareness.on('change', () => this.#tellRemotes());
    doc.on('update', (_update: Uint8Array, origin: unknown) => this.#edited(origin));
    doc.on('afterTransaction', (transaction: Y.Transaction) => this.#touched(transaction));

    const roots = reports.fields.flatMap((field): (Y.Map<unknown> | Y.Text | Y.XmlFragment)[] => {
      if (field.merge === 'set') return [doc.getMap(field.name)];
      if (field.merge === 'text') return [doc.getText(field.name)];
      if (field.merge === 'rich') return [doc.getXmlFragment(field.name)];
      return [];
    });
    this.undo = new Y.UndoManager([doc.getMap(REGISTERS), ...roots], {
      trackedOrigins: new Set([LOCAL, ySyncPluginKey]),
      captureTimeout: 500,
      deleteFilter: (item) => defaultDeleteFilter(item, defaultProtectedNodes),
    });
  }

  get awareness(): WebsocketProvider['awareness'] {
    return this.#provider.awareness;
  }
  get unsaved(): boolean {
    return this.#unsaved;
  }
  /** The server has told us everything it has. */
  get arrived(): boolean {
    return this.#provider.synced;
  }
  get status(): Status {
    if (this.#provider.wsconnected && this.#provider.synced) return this.#unsaved ? 'saving' : 'saved';
    if (this.#late) return 'offline';
    return this.#unsaved ? 'saving' : this.#answered ? 'saved' : 'connecting';
  }

  connect(ticket: string | null): void {
    if (this.#ended) return;
    if (ticket) this.#params.ticket = ticket;
    this.#provider.connect();
    this.#waitForConnection();
  }

  async end({ drop = false } = {}): Promise<void> {
    if (this.#ended) return;
    if (!drop) await this.#lastWords();
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#grace);
    clearTimeout(this.#draftTimer);
    this.undo.destroy();
    this.#provider.destroy();
    await (drop ? this.#copy.drop() : this.#copy.close());
    this.doc.destroy();
  }

  /** Whoever leaves is gone for the others at once; what is on its way may still arrive. */
  async #lastWords(): Promise<void> {
    this.awareness.setLocalState(null);
    const until = Date.now() + LINGER;
    while (this.#unsaved && this.#provider.wsconnected && Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  say(state: { field: string | undefined; draft: undefined }): void {
    clearTimeout(this.#draftTimer);
    this.#draftTimer = undefined;
    const { draft: _draft, field: _field, ...rest } = this.awareness.getLocalState() ?? {};
    this.awareness.setLocalState(state.field === undefined ? {} : { ...rest, field: state.field });
  }

  /** Shows others what is being typed, at most every 60 ms. */
  sayDraft(draft: Draft | null): void {
    this.#draft = draft;
    if (this.#draftTimer) return;
    const send = (): void => {
      this.#draftTimer = undefined;
      this.#draftAt = Date.now();
      const { draft: _draft, ...rest } = this.awareness.getLocalState() ?? {};
      this.awareness.setLocalState(this.#draft ? { ...rest, draft: this.#draft } : rest);
    };
    const wait = this.#draftAt + DRAFT_EVERY - Date.now();
    if (wait <= 0) send();
    else this.#draftTimer = setTimeout(send, wait);
  }

  #connection(status: 'connected' | 'disconnected' | 'connecting'): void {
    if (status === 'connected') {
      // Others forgot us while we were away, and take us back only under a newer clock.
      this.awareness.setLocalState(this.awareness.getLocalState());
    } else if (status === 'disconnected') {
      // Their old clocks would make us ignore the others for 15 seconds after the return.
      for (const client of [...this.awareness.meta.keys()]) {
        if (client !== this.doc.clientID) this.awareness.meta.delete(client);
      }
      this.#waitForConnection();
      void this.#renewTicket();
    }
    this.#settle();
  }

  /** A ticket opens once. Where none can be had, the session cookie opens. */
  async #renewTicket(): Promise<void> {
    delete this.#params.ticket;
    const ticket = await this.#reports.ticket();
    if (ticket && !this.#ended) this.#params.ticket = ticket;
  }

  #waitForConnection(): void {
    clearTimeout(this.#grace);
    this.#grace = setTimeout(() => {
      this.#late = !this.#provider.synced;
      this.#settle();
    }, GRACE);
  }

  #edited(origin: unknown): void {
    if (origin === this.#provider || origin === this.#copy.origin) return;
    if (!this.#unsaved) {
      this.#unsaved = true;
      this.#copy.mark(true);
    }
    this.#reports.status();
  }

  /** Everything that was sent is committed: saved. */
  #settle(): void {
    if (this.#ended) return;
    const connected = this.#provider.wsconnected && this.#provider.synced;
    if (connected) this.#late = false;
    if (connected && this.#answered && this.#acknowledged >= this.#sent && this.#unsaved) {
      this.#unsaved = false;
      this.#copy.mark(false);
    }
    this.#reports.status();
  }

  #touched(transaction: Y.Transaction): void {
    const names = new Set<string>();
    for (const [type, keys] of transaction.changed) {
      for (const [root, shared] of this.doc.share) {
        if ((shared as unknown) !== type) continue;
        if (root === REGISTERS) {
          for (const key of keys) if (key !== null) names.add(key);
        } else names.add(root);
      }
    }
    if (names.size > 0) this.#reports.changed(names);
  }

  #tellRemotes(): void {
    const remotes: Remote[] = [];
    for (const [client, state] of this.awareness.getStates()) {
      const user = (state as { user?: { id?: string; name?: string; color?: number } }).user;
      if (client === this.doc.clientID || !user?.id) continue;
      const { field, draft, cursor } = state as Pick<Remote, 'field' | 'draft' | 'cursor'>;
      remotes.push({ client, id: user.id, name: user.name ?? '', color: user.color ?? 0, field, draft, cursor });
    }
    this.#reports.remotes(remotes);
  }

  #correct(json: string): void {
    try {
      const { code, field, message } = JSON.parse(json) as { code?: string; field?: string; message?: string };
      this.#reports.corrected(code ?? 'invalid', field ?? '', message ?? '');
    } catch {
      // Not ours to read.
    }
  }

  /** A WebSocket that counts what the server will acknowledge: sync messages of step 2 and updates. */
  #countingSocket(): typeof WebSocket {
    const opened = (): void => {
      this.#sent = 0;
      this.#acknowledged = 0;
      this.#answered = false;
    };
    const sending = (data: Uint8Array): void => {
      if (data[0] !== MESSAGE_SYNC || (data[1] !== 1 && data[1] !== 2)) return;
      this.#sent++;
      if (data[1] === 1) this.#answered = true;
    };
    return class extends WebSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols);
        opened();
      }
      override send(data: Parameters<WebSocket['send']>[0]): void {
        if (data instanceof Uint8Array) sending(data);
        super.send(data);
      }
    };
  }
}
