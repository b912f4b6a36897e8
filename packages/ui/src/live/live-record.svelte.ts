/**
 * One open record, live: its documents over the stock y-websocket provider, what
 * of them is saved, who else is here, and undo.
 *
 * A record has one document per class of its fields (a facet); each field lives in
 * one of them, and this joins all that the person may. `values` starts with what the
 * page loaded; once a document has arrived, its fields come from it and the others
 * stay as {@link LiveRecord.take} last told.
 */
import { REGISTERS, readField, writeField } from '@kith/doc';
import * as decoding from 'lib0/decoding';
import { defaultDeleteFilter, defaultProtectedNodes, ySyncPluginKey } from 'y-prosemirror';
import { WebsocketProvider } from 'y-websocket';
import * as Y from 'yjs';
import { isApiError } from '../api.ts';
import type { App } from '../app.svelte.ts';
import type { Draft, FieldBinding, Remote, SharedText } from '../fields/binding.svelte.ts';
import { complaintText, isPatched, mayWrite } from '../meta.ts';
import type { FieldMeta, FieldValue, ObjectMeta, Rec, Refs } from '../types.ts';
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

const MESSAGE_SYNC = 0;
const MESSAGE_ACKNOWLEDGED = 100;
const MESSAGE_CORRECTED = 101;
/** How long a lost connection may take to come back before it is called offline. */
const GRACE = 1500;
/** And where the server said that it is being restarted: somebody else, or itself, answers soon. */
const RESTART_GRACE = 10_000;
/** The close code with which it says so. */
const RESTARTING = 1012;
/** Client ids below belong to the server. */
const SERVER_IDS = 1024;
const DRAFT_EVERY = 60;
/** How long a page that was left waits for its last edits to be saved. */
const LINGER = 3000;
/** Origin of this page's own edits. */
const LOCAL = Symbol('local edit');
/** The number of a step of undo, on its stack item. */
const STEP = Symbol('step');

interface Ticket {
  name: string;
  access: 'write' | 'read';
  ticket: string;
}
/** How asking for tickets ended where none came. */
type Refusal = 'signed-out' | 'forbidden' | 'gone' | 'unreachable';

export class LiveRecord {
  readonly object: ObjectMeta;
  readonly id: string;
  readonly #app: App;
  readonly #base: string;
  readonly #fields = new Map<string, LiveField>();
  readonly #onNotice: (notice: Notice) => void;
  /** The document of each field. */
  readonly #facetOf: ReadonlyMap<string, string>;

  status = $state<Status>('connecting');
  end = $state<End | null>(null);
  /** Every document's content is here. */
  ready = $state(false);
  values = $state.raw<Record<string, FieldValue>>({});
  complaints = $state.raw<Record<string, string>>({});
  remotes = $state.raw<readonly Remote[]>([]);
  canUndo = $state(false);
  canRedo = $state(false);
  #sessions = $state.raw<ReadonlyMap<string, Session>>(new Map());
  /** Documents whose content is here, and whether it may be changed. */
  #arrived = $state.raw<ReadonlySet<string>>(new Set());
  #access = $state.raw<Readonly<Record<string, 'write' | 'read'>>>({});
  #stopped = false;
  #drafting = false;
  #opened = false;
  /** Rejoins since the last time everything was saved, so that a server that keeps refusing is not asked for ever. */
  #rejoins = 0;
  /** Numbers the steps of undo through all documents. */
  #steps = 0;
  #asked: Promise<Ticket[] | Refusal> | null = null;
  /** Values that were sent and are not answered, by field. */
  #sending = $state.raw<Readonly<Record<string, number>>>({});
  #queue: Promise<unknown> = Promise.resolve();

  /** The others, each once. */
  readonly people: Person[] = $derived.by(() => {
    const found = new Map<string, Person>();
    for (const { id, name, color, field } of this.remotes) {
      if (id === this.#app.me?.id) continue;
      // People from outside are not told who of the staff it is: the name is all there is.
      const key = this.#app.outside ? name : id;
      const known = found.get(key);
      if (!known) found.set(key, { id, name, color, ...(field !== undefined && { field }) });
      else if (field !== undefined) known.field = field;
    }
    return [...found.values()];
  });

  /** Whether anything may be changed here. */
  readonly writable: boolean = $derived.by(() => {
    if (this.end && this.end !== 'signed-out') return false;
    return this.object.fields.some((meta) => this.mayEdit(meta));
  });

  constructor(app: App, object: ObjectMeta, record: Rec, onNotice: (notice: Notice) => void) {
    this.#app = app;
    this.object = object;
    this.id = record.id;
    this.values = record.fields;
    this.#onNotice = onNotice;
    this.#base = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/collab/${object.name}`;
    this.#facetOf = new Map(object.facets.flatMap((facet) => facet.fields.map((field): [string, string] => [field, facet.name])));
  }

  /** Joins. Call once. */
  async open(): Promise<void> {
    // Where no field lives in a document, one is joined all the same: people meet in it.
    const filled = this.object.facets.filter((facet) => facet.fields.length > 0);
    await this.#join((filled.length > 0 ? filled : this.object.facets.slice(0, 1)).map((facet) => facet.name));
    this.#opened = true;
    this.#judge();
  }

  async #join(facets: readonly string[]): Promise<void> {
    const user = this.#app.me?.id;
    if (!user || this.#stopped) return;
    await Promise.all(facets.map((facet) => this.#prepare(user, facet)));
    const tickets = await this.#tickets();
    if (this.#stopped || this.end) return;
    if (typeof tickets === 'string' && tickets !== 'unreachable') return this.#finish(tickets);
    for (const facet of facets) {
      const session = this.#sessions.get(facet);
      if (!session) continue;
      // Offline: the session cookie opens the door when the server is back.
      const own = typeof tickets === 'string' ? undefined : tickets.find((one) => one.name === facet);
      if (typeof tickets === 'string' || own) session.connect(own?.ticket ?? null);
      else await this.#drop(session);
    }
    if (this.#sessions.size === 0 && facets.length > 0) this.#finish('forbidden');
  }

  /** The document as this browser kept it. */
  async #prepare(user: string, facet: string): Promise<void> {
    const copy = new LocalCopy(user, `${this.object.name}/${this.id}/${facet}`);
    const doc = new Y.Doc();
    while (doc.clientID < SERVER_IDS) doc.clientID = Math.floor(Math.random() * 2 ** 32);
    const kept = copy.unsaved;
    await copy.open(doc);
    if (this.#stopped) return void copy.close();
    const session: Session = new Session(this.#base, this.id, facet, doc, copy, kept, {
      changed: (names) => this.#read(facet, names),
      status: () => this.#judge(),
      remotes: () => this.#tellRemotes(),
      corrected: (code, field, message) => this.#corrected(code, field, message),
      closed: (code) => void this.#closed(session, code),
      ticket: () => this.#renew(facet),
      fields: this.object.fields.filter((meta) => this.#facetOf.get(meta.name) === facet),
    });
    this.#sessions = new Map(this.#sessions).set(facet, session);
    session.undo.on('stack-item-added', ({ stackItem, type }) => {
      stackItem.meta.set(STEP, ++this.#steps);
      // A new edit ends what could be done again, in every document; what follows in another one is a step of its own.
      if (type === 'undo' && !session.undo.redoing) {
        for (const other of this.#sessions.values()) {
          if (other === session) continue;
          other.undo.clear(false, true);
          other.undo.stopCapturing();
        }
      }
      this.#stack();
    });
    session.undo.on('stack-item-popped', this.#stack);
    session.undo.on('stack-cleared', this.#stack);
    // Without a server, what was kept is worked on.
    if (kept) setTimeout(() => this.#sessions.get(facet) === session && !this.#arrived.has(facet) && this.#arrive(facet), GRACE);
  }

  /** Leaves. What is saved is kept nowhere; what is not waits in the browser. */
  async close(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#sessions.values()].map((session) => session.end()));
    this.#sessions = new Map();
  }

  /** New values of what does not live in a document. */
  take(record: Rec): void {
    const next = { ...this.values };
    for (const field of this.object.fields) {
      if (this.#isHere(field) || this.#sending[field.name]) continue;
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

  /** Takes back the last step of this page, whichever document it was in. */
  undo(): void {
    this.#latest((session) => session.undo.undoStack)?.undo.undo();
  }
  redo(): void {
    this.#latest((session) => session.undo.redoStack)?.undo.redo();
  }
  #latest(stackOf: (session: Session) => readonly { meta: Map<unknown, unknown> }[]): Session | undefined {
    let found: { session: Session; step: number } | undefined;
    for (const session of this.#sessions.values()) {
      const top = stackOf(session).at(-1);
      const step = top ? Number(top.meta.get(STEP) ?? 0) : -1;
      if (top && step > (found?.step ?? -1)) found = { session, step };
    }
    return found?.session;
  }

  // What fields ask of the record.

  #sessionOf(meta: FieldMeta): Session | undefined {
    const facet = this.#facetOf.get(meta.name);
    return facet === undefined || meta.merge === 'none' ? undefined : this.#sessions.get(facet);
  }
  /** Whether the field's value comes from its document by now. */
  #isHere(meta: FieldMeta): boolean {
    const facet = this.#facetOf.get(meta.name);
    return meta.merge !== 'none' && facet !== undefined && this.#arrived.has(facet);
  }
  /** Whether the person may change the field now. */
  mayEdit(meta: FieldMeta): boolean {
    if (!mayWrite(this.object, meta) || (this.end && this.end !== 'signed-out')) return false;
    if (isPatched(meta)) return true;
    return this.#isHere(meta) && this.#access[this.#facetOf.get(meta.name) ?? ''] !== 'read';
  }
  shared(meta: FieldMeta): SharedText | null {
    const session = this.#sessionOf(meta);
    if (!session || !this.#isHere(meta) || (meta.merge !== 'text' && meta.merge !== 'rich')) return null;
    return {
      doc: session.doc,
      awareness: session.awareness,
      origin: LOCAL,
      text: meta.merge === 'text' ? session.doc.getText(meta.name) : null,
      rich: meta.merge === 'rich' ? session.doc.getXmlFragment(meta.name) : null,
    };
  }
  write(meta: FieldMeta, value: FieldValue): void {
    if (!this.mayEdit(meta)) return;
    this.complain(meta.name, null);
    if (isPatched(meta)) return void this.#patch(meta, value);
    const session = this.#sessionOf(meta);
    if (!session) return;
    // Each value set is one step back.
    session.undo.stopCapturing();
    writeField(session.doc, { name: meta.name, merge: meta.merge }, value, LOCAL);
  }

  /** Fields outside of documents: shown at once, sent in order, put back if refused. */
  async #patch(meta: FieldMeta, value: FieldValue): Promise<void> {
    const { name } = meta;
    const before = this.values[name] ?? null;
    this.values = { ...this.values, [name]: value };
    this.#count(name, 1);
    const sent = this.#queue.then(() =>
      this.#app.api.patch<Rec & { refs?: Refs }>(`/records/${this.object.name}/${this.id}?refs=1`, { [name]: value }),
    );
    this.#queue = sent.catch(() => undefined);
    try {
      const record = await sent;
      this.#count(name, -1);
      this.#app.remember(record.refs);
      this.take(record);
    } catch (thrown) {
      this.#count(name, -1);
      if (!this.#sending[name]) this.values = { ...this.values, [name]: before };
      if (!isApiError(thrown)) throw thrown;
      const about = thrown.errors.find((one) => one.field === name);
      if (thrown.status === 401) this.#finish('signed-out');
      const text = about ? complaintText(this.#app, meta, about.code, about.message) : this.#app.reason(thrown);
      this.complain(name, text);
    }
  }
  #count(name: string, by: 1 | -1): void {
    const { [name]: now = 0, ...rest } = this.#sending;
    this.#sending = now + by > 0 ? { ...rest, [name]: now + by } : rest;
    this.#judge();
  }

  complain(field: string, message: string | null): void {
    if ((this.complaints[field] ?? null) === message) return;
    const rest = { ...this.complaints };
    if (message === null) delete rest[field];
    else rest[field] = message;
    this.complaints = rest;
  }
  /** Tells others which field this person is in: only those who share its document learn of it. */
  present(meta: FieldMeta | null): void {
    const own = meta && this.#sessionOf(meta);
    for (const session of this.#sessions.values()) session.say({ field: session === own ? meta?.name : undefined, draft: undefined });
  }
  draft(meta: FieldMeta, draft: Omit<Draft, 'field'> | null): void {
    this.#drafting = draft !== null;
    this.#sessionOf(meta)?.sayDraft(draft && { field: meta.name, ...draft });
  }
  /** Whether something is being typed that is not a value yet. */
  get typing(): boolean {
    return this.#drafting;
  }

  // What the sessions report.

  readonly #stack = (): void => {
    const all = [...this.#sessions.values()];
    this.canUndo = all.some((session) => session.undo.undoStack.length > 0);
    this.canRedo = all.some((session) => session.undo.redoStack.length > 0);
  };

  #arrive(facet: string): void {
    this.#arrived = new Set(this.#arrived).add(facet);
    this.#read(facet, null);
  }

  /** Takes values out of a document; all of them for null. */
  #read(facet: string, names: ReadonlySet<string> | null): void {
    const session = this.#sessions.get(facet);
    if (!session || !this.#arrived.has(facet)) return;
    const next = { ...this.values };
    for (const meta of this.object.fields) {
      if (this.#facetOf.get(meta.name) !== facet) continue;
      // Rich text is shown by its editor, which binds to the document itself.
      if (meta.merge === 'none' || meta.merge === 'rich' || (names && !names.has(meta.name))) continue;
      next[meta.name] = (readField(session.doc, { name: meta.name, merge: meta.merge }) ?? null) as FieldValue;
    }
    this.values = next;
  }

  #tellRemotes(): void {
    this.remotes = [...this.#sessions.values()].flatMap((session) => session.remotes);
  }

  #judge(): void {
    if (this.end) return;
    const all = [...this.#sessions];
    for (const [facet, session] of all) if (session.arrived && !this.#arrived.has(facet)) this.#arrive(facet);
    this.ready = (this.#opened || all.length > 0) && all.every(([facet]) => this.#arrived.has(facet));
    const states = new Set<Status>(all.map(([, session]) => session.status));
    if (Object.keys(this.#sending).length > 0) states.add('saving');
    const next = (['offline', 'saving', 'connecting'] as const).find((one) => states.has(one)) ?? (this.ready ? 'saved' : 'connecting');
    if (next === 'saved') this.#rejoins = 0;
    this.status = next;
  }

  #corrected(code: string, field: string, message: string): void {
    const meta = this.object.fields.find((one) => one.name === field);
    const text = complaintText(this.#app, meta, code, message);
    this.complain(field, text);
    this.#onNotice({ kind: 'corrected', field: meta?.label ?? field, text });
  }

  /** One ticket for each document; those who ask at the same time share the answer. */
  #tickets(): Promise<Ticket[] | Refusal> {
    this.#asked ??= this.#ask().finally(() => (this.#asked = null));
    return this.#asked;
  }
  async #ask(): Promise<Ticket[] | Refusal> {
    try {
      const { facets } = await this.#app.api.post<{ facets: Ticket[] }>('/collab/ticket', { object: this.object.name, id: this.id });
      this.#access = Object.fromEntries(facets.map(({ name, access }) => [name, access]));
      return facets;
    } catch (thrown) {
      if (!isApiError(thrown)) throw thrown;
      if (thrown.status === 401) return 'signed-out';
      if (thrown.status === 403) return 'forbidden';
      return thrown.status === 404 ? 'gone' : 'unreachable';
    }
  }
  /** A renewal only prepares for coming back: why a door is shut is said by the socket. */
  async #renew(facet: string): Promise<string | null> {
    const tickets = await this.#tickets();
    return typeof tickets === 'string' ? null : (tickets.find((one) => one.name === facet)?.ticket ?? null);
  }

  /** The server closed a document for good. */
  async #closed(session: Session, code: number): Promise<void> {
    if (this.#stopped || this.#sessions.get(session.facet) !== session) return;
    switch (code) {
      case 4401: {
        if (++this.#rejoins > 3 * this.#sessions.size) return this.#finish('signed-out');
        const tickets = await this.#tickets();
        if (typeof tickets === 'string') return tickets === 'unreachable' ? undefined : this.#finish(tickets);
        const own = tickets.find((one) => one.name === session.facet);
        if (own) session.connect(own.ticket);
        else await this.#drop(session);
        return;
      }
      case 4404:
        return this.#finish('gone');
      case 4403:
        return this.#rejoin(session, 'refused', 'forbidden');
      case 4413:
        return this.#rejoin(session, 'too-large', 'closed');
      case 4410: {
        const record = await this.#app.api
          .get<Rec>(`/records/${this.object.name}/${this.id}`)
          .catch((thrown: unknown) => (isApiError(thrown) ? thrown : null));
        if (this.end) return;
        if (isApiError(record) && record.status === 401) return this.#finish('signed-out');
        if (record === null || (isApiError(record) ? !record.offline : record.deletedAt)) {
          await this.#drop(session);
          return this.#finish(this.#app.outside ? 'gone' : 'deleted');
        }
        return this.#rejoin(session, 'moved', 'closed');
      }
      default:
        return this.#finish('closed');
    }
  }

  /** Leaves a document and throws its copy away. */
  async #drop(session: Session): Promise<void> {
    const { facet } = session;
    await session.end({ drop: true });
    if (this.#sessions.get(facet) !== session) return;
    const rest = new Map(this.#sessions);
    rest.delete(facet);
    this.#sessions = rest;
    this.#arrived = new Set([...this.#arrived].filter((one) => one !== facet));
    this.#stack();
    this.#tellRemotes();
  }

  /** Drops the copy of a document and joins anew, once; `end` when it did not help. */
  async #rejoin(session: Session, notice: 'refused' | 'too-large' | 'moved', end: End): Promise<void> {
    const { unsaved, facet } = session;
    await this.#drop(session);
    this.ready = false;
    if (++this.#rejoins > Math.max(1, this.object.facets.length)) return this.#finish(end);
    this.#onNotice({ kind: notice, lost: unsaved });
    await this.#join([facet]);
    this.#judge();
  }

  #finish(end: End | Refusal): void {
    if (end === 'unreachable') return;
    this.end = end;
    this.status = end === 'signed-out' ? 'offline' : 'ended';
    this.remotes = [];
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
    return this.#record.mayEdit(this.meta);
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
    this.#record.draft(this.meta, draft);
  }
  enter(): void {
    this.#record.present(this.meta);
  }
  leave(): void {
    this.#record.present(null);
  }
}

interface Reports {
  changed: (names: ReadonlySet<string>) => void;
  status: () => void;
  remotes: () => void;
  corrected: (code: string, field: string, message: string) => void;
  closed: (code: number) => void;
  ticket: () => Promise<string | null>;
  fields: readonly FieldMeta[];
}

/** One life of a document: from joining to leaving or being thrown out. */
class Session {
  readonly facet: string;
  /** Whoever else is in it. */
  remotes: readonly Remote[] = [];
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
  /** The last connection ended because the server is being restarted. */
  #sentAway = false;
  #draftTimer: ReturnType<typeof setTimeout> | undefined;
  #draft: Draft | null = null;
  #draftAt = 0;
  #ended = false;

  constructor(base: string, id: string, facet: string, doc: Y.Doc, copy: LocalCopy, unsaved: boolean, reports: Reports) {
    this.facet = facet;
    this.doc = doc;
    this.#copy = copy;
    this.#reports = reports;
    this.#unsaved = unsaved;
    this.#provider = new WebsocketProvider(`${base}/${id}`, facet, doc, {
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
    this.#provider.on('connection-close', (event) => {
      if (this.#provider.wsconnected) this.#sentAway = event?.code === RESTARTING;
      this.#settle();
    });
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
    this.#grace = setTimeout(
      () => {
        this.#late = !this.#provider.synced;
        this.#settle();
      },
      this.#sentAway ? RESTART_GRACE : GRACE,
    );
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
    this.remotes = remotes;
    this.#reports.remotes();
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
