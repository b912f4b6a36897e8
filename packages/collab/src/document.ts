/**
 * One live document: the copy in memory of what is stored, what has come in and
 * is not committed yet, and the connections that look at it.
 *
 * The copy is always "committed up to `seq`" plus `pending`, in whatever order
 * they were integrated; Yjs makes the result the same. Nothing is relayed
 * before it is committed.
 */
import {
  applyGuard,
  claimClients,
  compact,
  errorData,
  newId,
  openStored,
  fieldsIn,
  isFromOlderLife,
  readStored,
  SYSTEM,
  type Changes,
  type DocumentWrite,
  type Facet,
  type LedgerWrite,
  type Stored,
  type StoredDocument,
  type Taken,
  type Unit,
} from '@kith/core';
import type { Runtime } from '@kith/core/runtime';
import { generationOf, isServerClient, readField, serverUpdate, touched, type ServerWrite } from '@kith/doc';
import { checkValue, sameValue, type FieldValue, type ModelField, type ModelObject, type Principal } from '@kith/sdk';
import * as Y from 'yjs';
import type { Connection } from './connection.ts';
import { clientsOf, reachOf } from './inspect.ts';
import { awarenessFrame, CLOSE, updateFrame, type Presence } from './protocol.ts';

/** Texts above this many UTF-16 units are not written to their column at every flush. */
export const LARGE_TEXT = 16_384;
/** Quiet after which large texts are written to their columns. */
export const LARGE_TEXT_QUIET_MS = 1_000;
/** An author's text changes within this much quiet are one entry of the ledger. */
const SESSION_QUIET_MS = 5 * 60_000;
/** Updates in the log after which it is folded into the snapshot, unless {@link attach} is told otherwise. */
export const COMPACT_AFTER = 500;
/** On unloading, a log of a tenth of that is folded too. */
const ON_UNLOAD = 0.1;
/** An update that says nothing; it only moves the sequence. */
const EMPTY_UPDATE = new Uint8Array([0, 0]);

/** A record's row with this document, as of one moment. */
type StoredHere = Stored & { document: StoredDocument };

/** An update that was integrated and waits for its commit. */
interface Entry {
  update: Uint8Array;
  author: Principal;
  from: Connection | null;
  /** Fields that it changed; registers with the value they then had. */
  changed: Map<ModelField, unknown>;
}

/** What a flush took from a document, until its outcome is known. */
export interface Draft {
  unit: Unit;
  entries: Entry[];
  /** Bytes that go to everybody, and the server-made part of them that the live copy lacks. */
  update: Uint8Array;
  correction: Uint8Array | null;
  patch: Record<string, FieldValue>;
  /** Entries after which connections can be told that they are saved. */
  upto: number;
  notices: { to: Connection; field: string; code: string; message: string }[];
  catchUp: boolean;
}

export class LiveDocument {
  readonly runtime: Runtime;
  readonly object: ModelObject;
  readonly id: string;
  readonly facet: Facet;
  readonly key: string;
  readonly connections = new Set<Connection>();
  /** Set while the document must not take anything in: it is being loaded, rebuilt, or read for somebody who joins. */
  gate: Promise<void> | null = null;
  seq = 0;
  generation = 0;
  /** How many updates follow the snapshot. */
  tail = 0;
  /** Committed values by field, derived ones included. */
  fields: Record<string, FieldValue> = {};
  version = 0;
  pending: Entry[] = [];
  /** Updates that came in and how many of them are durable, since loading. */
  taken = 0;
  durable = 0;
  /** The entries in flight are still at the head of `pending`. */
  flushing = false;
  misses = 0;
  closed = false;
  /** Fields whose document value Postgres refused; they are put back with the next flush. */
  readonly refused = new Map<string, { code: string; message: string }>();

  /** Called when the last connection has gone. */
  abandoned: () => void = () => undefined;

  readonly #compactAfter: number;
  readonly #wake: (document: LiveDocument) => void;
  readonly #live: Map<string, ModelField>;
  readonly #numbers: ReadonlyMap<string, number>;
  readonly #owners = new Map<number, string>();
  readonly #sessions = new Map<string, { id: string; at: string; last: number; old: Map<string, FieldValue>; names: Set<string> }>();
  readonly #presences = new Map<number, Presence & { owner: Connection | null; at: number }>();
  #y: Y.Doc | null = null;
  /**
   * What the update that is being integrated did. An update with formatted text makes Yjs clean up in a second
   * transaction of its own: what that does belongs to the same update, and must not stand in its place.
   */
  #integrating: { touched: Map<string, Set<string | null>>; updates: Uint8Array[] } | null = null;
  #lagging = false;
  #lagTimer: NodeJS.Timeout | undefined;
  #settled: (() => void)[] = [];
  #compacting: Promise<void> | null = null;

  constructor(
    runtime: Runtime,
    object: ModelObject,
    id: string,
    facet: Facet,
    wake: (document: LiveDocument) => void,
    compactAfter = COMPACT_AFTER,
  ) {
    this.#compactAfter = compactAfter;
    this.runtime = runtime;
    this.object = object;
    this.id = id;
    this.facet = facet;
    this.key = `${object.name}/${id}/${this.facet.name}`;
    this.#wake = wake;
    this.#live = new Map(fieldsIn(object, facet).map((field) => [field.name, field]));
    this.#numbers = runtime.numbers.get(object.name)!;
  }

  /** The copy in memory. Only between gates. */
  get y(): Y.Doc {
    if (!this.#y) throw new Error('the document is not loaded');
    return this.#y;
  }

  /** Loads, and seeds where there is no document yet. @throws 404 when there is no such record */
  async load(): Promise<void> {
    const stored = await openStored(this.runtime.pool, this.object, this.#numbers, this.id, this.facet);
    this.#adopt(stored, stored.document.parts);
    this.#lagging = stored.document.shown !== null;
    if (this.#lagging) this.#scheduleCatchUp();
  }

  /** The row and this document as they are stored; undefined when either is gone. */
  async #stored(): Promise<StoredHere | undefined> {
    const stored = await readStored(this.runtime.pool, this.object, this.id, [this.facet]);
    const document = stored?.documents.get(this.facet.num);
    return stored && document && stored.row.deleted_at === null ? { ...stored, document } : undefined;
  }

  #adopt(stored: StoredHere, parts: readonly Uint8Array[]): void {
    const y = new Y.Doc();
    y.transact(() => {
      for (const part of parts) Y.applyUpdate(y, part);
    });
    if (y.store.pendingStructs !== null || y.store.pendingDs !== null) throw new Error(`the stored document ${this.key} has a gap`);
    y.on('afterTransaction', (transaction) => {
      if (!this.#integrating) return;
      for (const [root, keys] of touched(transaction)) {
        const known = this.#integrating.touched.get(root);
        if (!known) this.#integrating.touched.set(root, keys);
        else for (const key of keys) known.add(key);
      }
    });
    y.on('update', (update: Uint8Array) => {
      this.#integrating?.updates.push(update);
    });
    // Known roots have their type from the start, whatever a client declares them to be.
    y.getMap('fields');
    for (const field of this.#live.values()) {
      if (field.merge === 'set') y.getMap(field.name);
      else if (field.merge === 'text') y.getText(field.name);
      else if (field.merge === 'rich') y.getXmlFragment(field.name);
    }
    this.#y?.destroy();
    this.#y = y;
    this.#noteStored(stored);
  }

  #noteStored(stored: StoredHere): void {
    this.seq = stored.document.seq;
    this.generation = stored.document.generation;
    this.tail = stored.document.tail;
    this.fields = stored.fields;
    this.version = stored.row.version;
  }

  /**
   * Checks whose client ids an update carries, claiming new ones.
   * @returns false when it carries somebody else's edits as the sender's own
   */
  async owns(principal: Principal, update: Uint8Array): Promise<boolean> {
    const strange: number[] = [];
    for (const client of clientsOf(update).keys()) if (this.#owners.get(client) !== principal.id) strange.push(client);
    if (strange.length === 0) return true;
    const unknown = this.#beyond(update, strange);
    if (await isFromOlderLife(this.runtime.writePool, this.id, this.facet, this.generation, unknown)) return false;
    const claimable = unknown.filter((client) => !isServerClient(client) && !this.#owners.has(client));
    const taken =
      claimable.length > 0 ? await claimClients(this.runtime.writePool, this.id, this.facet, this.generation, claimable, principal.id) : [];
    for (const client of claimable) if (!taken.includes(client)) this.#owners.set(client, principal.id);
    const foreign = unknown.filter((client) => this.#owners.get(client) !== principal.id);
    if (foreign.length === 0) return true;
    // What the sender repeats of others' edits may have been committed by another node of which this one has not heard.
    await this.sync();
    return !this.closed && this.#beyond(update, foreign).length === 0;
  }

  /** Those of the clients of which the update carries more than the document has. */
  #beyond(update: Uint8Array, clients: readonly number[]): number[] {
    const reach = reachOf(update);
    return clients.filter((client) => (reach.get(client) ?? 0) > Y.getState(this.y.store, client));
  }

  /**
   * Integrates an update.
   * - `taken`: it waits for its commit, or was known already.
   * - `gap`: it builds on edits that have not come yet; try again with what comes next.
   * - `outside`: it changed what the document does not hold; call {@link rebuild}.
   */
  integrate(update: Uint8Array, author: Principal, from: Connection): 'taken' | 'gap' | 'outside' {
    const { y } = this;
    const done: { touched: Map<string, Set<string | null>>; updates: Uint8Array[] } = { touched: new Map(), updates: [] };
    this.#integrating = done;
    try {
      Y.applyUpdate(y, update, from);
    } finally {
      this.#integrating = null;
    }
    const gap = y.store.pendingStructs !== null || y.store.pendingDs !== null;
    y.store.pendingStructs = null;
    y.store.pendingDs = null;
    if (done.updates.length > 0) {
      const bytes = done.updates.length === 1 ? done.updates[0]! : Y.mergeUpdates(done.updates);
      const changed = this.#changedFields(done.touched);
      if (!changed) {
        this.#poisoned = true;
        return 'outside';
      }
      this.pending.push({ update: bytes, author, from, changed });
      this.taken++;
      this.#wake(this);
    }
    return gap ? 'gap' : 'taken';
  }

  /** The fields behind changed roots; null when one is no field of this document. */
  #changedFields(roots: ReadonlyMap<string, ReadonlySet<string | null>>): Map<ModelField, unknown> | null {
    const changed = new Map<ModelField, unknown>();
    for (const [root, keys] of roots) {
      if (root === 'fields') {
        for (const key of keys) {
          const field = key === null ? undefined : this.#live.get(key);
          if (field?.merge !== 'register') return null;
          changed.set(field, readField(this.y, field));
        }
        continue;
      }
      const field = this.#live.get(root);
      if (!field || field.merge === 'register') return null;
      changed.set(field, undefined);
    }
    return changed;
  }

  /** Throws away what should not have been integrated: the stored document again, and what waits on top. */
  async rebuild(): Promise<void> {
    await this.#gated(async () => {
      const stored = await this.#stored();
      if (this.closed) return;
      if (stored?.document.generation !== this.generation) return this.end(CLOSE.gone);
      if (this.outsiders) await this.rightsRead();
      if (this.closed) return;
      const before = this.seq;
      if (!this.flushing) {
        this.pending = this.pending.filter((entry) => !this.#expelled.has(entry.author.id));
        this.#expelled.clear();
      }
      this.#adopt(stored, stored.document.parts);
      if (stored.document.seq !== before) this.#relayStored(stored.document.parts);
      for (const entry of this.pending) Y.applyUpdate(this.y, entry.update);
      this.#poisoned = this.#expelled.size > 0;
      if (this.pending.length === 0) this.#resolveSettled();
    });
    this.#wake(this);
  }

  readonly #expelled = new Set<string>();
  /** Somebody may not write here any more: what of theirs is not committed never will be. */
  expel(principal: string): void {
    if (this.closed || !this.pending.some((entry) => entry.author.id === principal)) return;
    this.#expelled.add(principal);
    this.#poisoned = true;
    if (!this.flushing) void this.#rebuildSafely();
  }

  /** A flush is over, whatever came of it. */
  flushEnded(): void {
    this.flushing = false;
    if (this.#expelled.size > 0) void this.#rebuildSafely();
  }

  async #rebuildSafely(): Promise<void> {
    try {
      await this.rebuild();
    } catch (error) {
      // Whoever comes back gets the document as it is stored.
      this.runtime.log('warn', 'a document could not be rebuilt', { record: this.id, ...errorData(error) });
      this.end(CLOSE.overload);
    }
  }

  /** Whether anybody from outside is here, or has edits under way. */
  get outsiders(): boolean {
    for (const connection of this.connections) if (connection.principal.outside) return true;
    return this.pending.some((entry) => entry.author.outside !== undefined);
  }
  /** Closes whoever lost the right to be here by now; set by the server. To be called after reading what they would be shown. */
  rightsRead: () => Promise<void> = () => Promise.resolve();

  /** Brings in what others have committed since. */
  async sync(): Promise<void> {
    const stored = await this.#stored();
    if (this.closed) return;
    if (!stored) return this.end(CLOSE.gone);
    if (this.outsiders) await this.rightsRead();
    if (!this.closed) this.merge(stored);
  }

  /** Takes in a newer stored state, read at one moment. Older ones are left. */
  merge(stored: StoredHere): void {
    const { document } = stored;
    if (document.generation !== this.generation) return this.end(CLOSE.gone);
    if (document.seq < this.seq) return;
    const missing = document.seq - this.seq;
    if (missing > 0) {
      const tail = document.parts.slice(1);
      const parts = missing <= tail.length ? tail.slice(tail.length - missing) : document.parts;
      for (const part of parts) Y.applyUpdate(this.y, part);
      this.#relayStored(parts);
    }
    this.#noteStored(stored);
  }

  #relayStored(parts: readonly Uint8Array[]): void {
    for (const part of parts) this.broadcast(updateFrame(part));
  }

  /** Runs `work` while nothing is taken in. */
  async #gated(work: () => Promise<void>): Promise<void> {
    while (this.gate) await this.gate;
    let open = (): void => undefined;
    this.gate = new Promise((resolve) => {
      open = resolve;
    });
    try {
      await work();
    } finally {
      this.gate = null;
      open();
    }
  }

  /** The state that somebody lacks, of committed edits only. */
  async committedState(vector: Uint8Array): Promise<{ update: Uint8Array; vector: Uint8Array }> {
    let result: { update: Uint8Array; vector: Uint8Array } = { update: EMPTY_UPDATE, vector: EMPTY_UPDATE };
    await this.#gated(async () => {
      await this.settled();
      result = { update: Y.encodeStateAsUpdate(this.y, vector), vector: Y.encodeStateVector(this.y) };
    });
    return result;
  }

  /** Whether a client's state vector comes from an older life of this document. */
  async isStale(vector: Uint8Array): Promise<boolean> {
    const clients = [...Y.decodeStateVector(vector).keys()];
    for (const client of clients) {
      const generation = generationOf(client);
      if (generation !== undefined && generation !== this.generation) return true;
    }
    const strange = clients.filter((client) => !isServerClient(client) && !this.#owners.has(client));
    return isFromOlderLife(this.runtime.pool, this.id, this.facet, this.generation, strange);
  }

  /** Resolves when all that was taken in by now is committed. */
  settled(): Promise<void> {
    if (this.pending.length === 0 || this.closed) return Promise.resolve();
    return new Promise((resolve) => this.#settled.push(resolve));
  }

  get needsFlush(): boolean {
    return !this.closed && !this.flushing && !this.#poisoned && (this.pending.length > 0 || this.#dueToCatchUp);
  }
  #dueToCatchUp = false;
  /** The live copy holds an update that was not allowed: nothing is read from it until it is rebuilt. */
  #poisoned = false;

  /** What is to be committed now. Null when there is nothing. */
  async draft(): Promise<Draft | null> {
    if (this.#poisoned) return null;
    const entries = [...this.pending];
    const upto = this.taken;
    const catchUp = this.#dueToCatchUp;
    if (entries.length === 0 && !catchUp) return null;
    const touchedFields = new Set<ModelField>();
    for (const entry of entries) for (const field of entry.changed.keys()) touchedFields.add(field);
    if (catchUp) for (const field of this.#live.values()) if (field.merge === 'text' || field.merge === 'rich') touchedFields.add(field);

    const values: Record<string, FieldValue> = {};
    const wrong = new Map<ModelField, { code: string; message: string }>();
    let large = false;
    for (const field of touchedFields) {
      const refused = this.refused.get(field.name);
      if (refused !== undefined) {
        wrong.set(field, refused);
        continue;
      }
      if (!catchUp && this.#isLarge(field)) {
        large = true;
        continue;
      }
      const raw = readField(this.y, field);
      const checked = checkValue(field.spec, raw);
      if (!checked.ok) wrong.set(field, { code: checked.code, message: checked.message });
      else if (!sameValue(checked.value, this.fields[field.name])) values[field.name] = checked.value;
    }
    const references = this.#referencesIn(values);
    let state: Uint8Array | null = null;
    if (references.length > 0) {
      // What comes in while the database is asked is not part of this flush, and a correction must not build on it.
      state = Y.encodeStateAsUpdate(this.y);
      const unknown = await this.runtime.records.unknownReferences(
        this.object,
        Object.fromEntries(references.map((field) => [field.name, values[field.name]!])),
      );
      for (const field of references) {
        if (!unknown.includes(field.name)) continue;
        wrong.set(field, { code: 'unknown_reference', message: 'refers to a record that does not exist' });
        delete values[field.name];
      }
    }
    const guarded = applyGuard(this.runtime.records.guards, this.object, this.fields, values);
    for (const problem of guarded.problems) {
      const field = this.#live.get(problem.field ?? '');
      // A refusal that names no field of ours is one of the whole change.
      for (const one of field && field.name in values ? [field] : [...touchedFields].filter((each) => each.name in values)) {
        wrong.set(one, { code: problem.code, message: problem.message });
      }
    }
    const patch = guarded.problems.length > 0 ? without(values, wrong) : guarded.patch;
    const writes: ServerWrite[] = [...wrong.keys()].map((field) => this.#write(field, this.fields[field.name] ?? null));
    for (const [name, value] of Object.entries(patch)) {
      const field = this.#live.get(name);
      if (field && !sameValue(values[name], value)) writes.push(this.#write(field, value));
    }
    // Sets and values in another than their stored form are left as the client wrote them: reading them gives the same.
    const correction = writes.length > 0 ? this.#correct(writes, state ?? Y.encodeStateAsUpdate(this.y)) : null;
    const parts = [...entries.map((entry) => entry.update), ...(correction ? [correction] : [])];
    const update = parts.length === 0 ? EMPTY_UPDATE : parts.length === 1 ? parts[0]! : Y.mergeUpdates(parts);
    const elsewhere = await this.#elsewhere(patch);
    if (!elsewhere) return null;
    const document: DocumentWrite = {
      facet: this.facet.num,
      generation: this.generation,
      seq: this.seq,
      update,
      ...(large ? { largeText: 'lagging' as const } : catchUp ? { largeText: 'caught-up' as const } : {}),
    };
    if (large) this.#lagging = true;
    const last = entries.at(-1)?.author;
    const author = last?.id ?? this.#lastAuthor;
    const names = Object.keys(patch);
    const notices = [...wrong].flatMap(([field, problem]) => {
      const to = [...entries].reverse().find((entry) => entry.changed.has(field))?.from;
      return to ? [{ to, field: field.name, ...problem }] : [];
    });
    return {
      entries,
      update,
      correction,
      patch,
      upto,
      notices,
      catchUp,
      unit: {
        object: this.object,
        id: this.id,
        author,
        patch,
        ...(this.runtime.records.guards.has(this.object.name) ? { version: this.version } : {}),
        documents: [document, ...elsewhere],
        ledger: this.#ledger(entries, patch, author),
        event: names.length > 0 ? this.#event(patch) : null,
        cause: { kind: 'edit', id: null },
        typing: true,
      },
    };
  }

  /**
   * What a guard sets in other documents of the record. They are read now and written only if they are still as read.
   * Null when this copy of the record's other documents is not to be had just now.
   */
  async #elsewhere(patch: Readonly<Record<string, FieldValue>>): Promise<DocumentWrite[] | null> {
    const writes: DocumentWrite[] = [];
    for (const facet of this.object.facets) {
      const names = facet === this.facet ? [] : Object.keys(patch).filter((name) => facet.fields.has(name));
      if (names.length === 0) continue;
      const stored = await readStored(this.runtime.pool, this.object, this.id, [facet]);
      if (!stored) {
        this.end(CLOSE.gone);
        return null;
      }
      const document = stored.documents.get(facet.num);
      if (!document) continue;
      const doc = new Y.Doc();
      for (const part of document.parts) Y.applyUpdate(doc, part);
      const fields = names.map((name) => this.#write(this.object.fields.get(name)!, patch[name] ?? null));
      const update = serverUpdate(doc, fields, document.generation);
      doc.destroy();
      if (update) writes.push({ facet: facet.num, generation: document.generation, seq: document.seq, update });
    }
    return writes;
  }

  #isLarge(field: ModelField): boolean {
    // Markdown is dear to make of a long text; its length is about that of the fragment's.
    if (field.merge === 'text') return this.y.getText(field.name).length > LARGE_TEXT;
    return field.merge === 'rich' && fragmentLength(this.y.getXmlFragment(field.name)) > LARGE_TEXT;
  }

  #write(field: ModelField, value: FieldValue): ServerWrite {
    return { field, num: this.#numbers.get(field.name)!, value };
  }

  /** A server-made update, on a scratch copy: the live one must not have it before it is committed. */
  #correct(writes: readonly ServerWrite[], state: Uint8Array): Uint8Array | null {
    const scratch = new Y.Doc();
    Y.applyUpdate(scratch, state);
    const update = serverUpdate(scratch, writes, this.generation);
    scratch.destroy();
    return update;
  }

  /** Whose edits the columns have yet to show, when large texts catch up. */
  #lastAuthor = SYSTEM.id;

  /** Registers and sets: an entry per author and commit. Texts: one that grows through an author's session. */
  #ledger(entries: readonly Entry[], patch: Readonly<Record<string, FieldValue>>, fallback: string): LedgerWrite[] {
    const writes: LedgerWrite[] = [];
    const now = Date.now();
    const cause = { kind: 'edit', id: null };
    const before = new Map<string, FieldValue>();
    const was = (name: string): FieldValue => before.get(name) ?? this.fields[name] ?? null;
    const lastAuthor = new Map<string, string>();
    for (const entry of entries) for (const field of entry.changed.keys()) lastAuthor.set(field.name, entry.author.id);
    // Somebody whose value was overwritten within the same flush is on record all the same.
    for (const [i, entry] of entries.entries()) {
      for (const [field, raw] of entry.changed) {
        if (field.merge !== 'register' || lastAuthor.get(field.name) === entry.author.id) continue;
        const next = entries.slice(i + 1).find((later) => later.changed.has(field));
        if (!next || next.author.id === entry.author.id) continue;
        const checked = checkValue(field.spec, raw);
        if (!checked.ok || sameValue(checked.value, was(field.name))) continue;
        writes.push({ author: entry.author.id, cause, changes: { [field.name]: [was(field.name), checked.value] } });
        before.set(field.name, checked.value);
      }
    }
    const perAuthor = new Map<string, Changes>();
    const texts = new Map<string, Set<string>>();
    for (const [name, value] of Object.entries(patch)) {
      const field = this.object.fields.get(name)!;
      if (field.mode === 'derived' && !field.spec.tracked) continue;
      if (field.merge === 'text' || field.merge === 'rich') {
        for (const entry of entries) {
          if (!entry.changed.has(field)) continue;
          const names = texts.get(entry.author.id) ?? new Set<string>();
          names.add(name);
          texts.set(entry.author.id, names);
        }
        if (!lastAuthor.has(name)) texts.set(fallback, (texts.get(fallback) ?? new Set<string>()).add(name));
        continue;
      }
      const author = lastAuthor.get(name) ?? fallback;
      const changes = perAuthor.get(author) ?? {};
      changes[name] = [was(name), value];
      perAuthor.set(author, changes);
    }
    for (const [author, changes] of perAuthor) writes.push({ author, cause, changes });
    for (const [author, names] of texts) {
      const known = this.#sessions.get(author);
      const session =
        known && now - known.last < SESSION_QUIET_MS
          ? known
          : { id: newId(), at: new Date(now).toISOString(), last: now, old: new Map<string, FieldValue>(), names: new Set<string>() };
      session.last = now;
      this.#sessions.set(author, session);
      for (const name of names) {
        if (!session.old.has(name)) session.old.set(name, this.fields[name] ?? null);
        session.names.add(name);
      }
      const changes: Changes = {};
      for (const name of session.names)
        changes[name] = [session.old.get(name) ?? null, name in patch ? patch[name]! : (this.fields[name] ?? null)];
      writes.push({ author, cause: { kind: 'edit', id: session.id }, changes, session: { id: session.id, at: session.at } });
    }
    return writes;
  }

  #event(patch: Readonly<Record<string, FieldValue>>): Changes {
    const event: Changes = {};
    for (const [name, value] of Object.entries(patch)) {
      const merge = this.object.fields.get(name)!.merge;
      event[name] = merge === 'text' || merge === 'rich' ? null : [this.fields[name] ?? null, value];
    }
    return event;
  }

  #referencesIn(values: Readonly<Record<string, FieldValue>>): ModelField[] {
    return Object.keys(values)
      .map((name) => this.#live.get(name)!)
      .filter(
        (field) =>
          values[field.name] !== null &&
          (field.type === 'refs' || field.type === 'anyRef' || field.type === 'ref' || field.type === 'user'),
      );
  }

  /** A draft was committed: the live copy gets its correction, and everybody gets the update. */
  committed(draft: Draft, taken: Taken): void {
    if (this.#expelled.size === 0) this.pending.splice(0, draft.entries.length);
    else {
      const done = new Set(draft.entries);
      this.pending = this.pending.filter((entry) => !done.has(entry));
    }
    this.durable = draft.upto;
    this.seq = taken.seqs[String(this.facet.num)] ?? this.seq + 1;
    this.tail++;
    if (taken.version !== null) this.version = taken.version;
    this.fields = { ...this.fields, ...draft.patch };
    this.misses = 0;
    const author = draft.entries.at(-1)?.author.id;
    if (author) this.#lastAuthor = author;
    if (draft.correction) Y.applyUpdate(this.y, draft.correction);
    for (const { field } of draft.notices) this.refused.delete(field);
    if (draft.update !== EMPTY_UPDATE) {
      const sources = new Set(draft.entries.map((entry) => entry.from));
      // Who sent all of it has it already, unless it was corrected.
      const only = sources.size === 1 && !draft.correction ? [...sources][0] : undefined;
      const frame = updateFrame(draft.update);
      for (const connection of this.connections) if (connection !== only) connection.send(frame);
    }
    for (const { to, ...notice } of draft.notices) to.notice(notice);
    for (const connection of this.connections) connection.saved();
    if (draft.catchUp) {
      this.#dueToCatchUp = false;
      this.#lagging = false;
    } else if (this.#lagging) this.#scheduleCatchUp();
    if (this.tail >= this.#compactAfter) void this.compact();
    if (this.pending.length === 0) this.#resolveSettled();
  }

  /** Postgres refused a draft's values: those fields are put back with the next flush. */
  refuse(draft: Draft, field: string | undefined, problem: { code: string; message: string }): void {
    const names = field !== undefined && field in draft.patch ? [field] : Object.keys(draft.patch);
    for (const name of names) if (this.#live.has(name)) this.refused.set(name, problem);
  }

  #resolveSettled(): void {
    const waiting = this.#settled;
    this.#settled = [];
    for (const resolve of waiting) resolve();
  }

  #scheduleCatchUp(): void {
    clearTimeout(this.#lagTimer);
    this.#lagTimer = setTimeout(() => {
      if (this.closed) return;
      this.#dueToCatchUp = true;
      this.#wake(this);
    }, LARGE_TEXT_QUIET_MS);
  }

  /** Whether the columns lag behind large texts. */
  get lagging(): boolean {
    return this.#lagging;
  }

  /** Makes the large texts due now, before unloading. */
  catchUpNow(): void {
    if (!this.#lagging) return;
    clearTimeout(this.#lagTimer);
    this.#dueToCatchUp = true;
    this.#wake(this);
  }

  /** Folds the log into the snapshot. One at a time. */
  async compact(): Promise<void> {
    this.#compacting ??= compact(this.runtime.pool, this.id, this.facet)
      .then((folded) => {
        this.tail = Math.max(0, this.tail - folded);
      })
      .catch((error: unknown) => this.runtime.log('warn', 'a document could not be compacted', { record: this.id, ...errorData(error) }))
      .finally(() => {
        this.#compacting = null;
      });
    await this.#compacting;
  }

  /** After the last connection has gone and all is stored. */
  async unload(): Promise<void> {
    clearTimeout(this.#lagTimer);
    if (this.tail >= this.#compactAfter * ON_UNLOAD) await this.compact();
    this.destroy();
  }

  destroy(): void {
    this.closed = true;
    clearTimeout(this.#lagTimer);
    this.#resolveSettled();
    this.#y?.destroy();
    this.#y = null;
  }

  /** The record is gone, or moved to a new life: everybody leaves. */
  end(code: number, reason = 'the record was deleted or moved'): void {
    if (this.closed) return;
    this.closed = true;
    for (const connection of [...this.connections]) connection.close(code, reason);
    this.#resolveSettled();
  }

  broadcast(frame: Uint8Array): void {
    for (const connection of this.connections) connection.send(frame);
  }

  // Presence.

  /** Everybody's states, for somebody who joins or asks. */
  presences(): Presence[] {
    const oldest = Date.now() - PRESENCE_MS;
    for (const [client, one] of this.#presences) if (one.owner === null && one.at < oldest) this.#presences.delete(client);
    return [...this.#presences.values()].filter((one) => one.state !== null).map(({ client, clock, state }) => ({ client, clock, state }));
  }

  #showPresences(presences: readonly Presence[]): void {
    if (presences.length === 0) return;
    const frame = awarenessFrame(presences);
    for (const connection of this.connections) connection.showPresences(presences, frame);
  }

  /** A client's own state, with the name and colour that the server knows. */
  setPresence(owner: Connection, presence: Presence, user: Record<string, unknown>): Presence | null {
    const known = this.#presences.get(presence.client);
    // An id belongs to whoever shows it first; nobody speaks for another.
    if (known?.owner && known.owner !== owner) return null;
    const state = presence.state && { ...presence.state, user };
    const shown: Presence = { client: presence.client, clock: presence.clock, state };
    this.#presences.set(presence.client, { ...shown, owner, at: Date.now() });
    this.#showPresences([shown]);
    this.#leftField(known?.state?.field, presence.state?.field);
    return shown;
  }

  /** A state that another node tells of. */
  setRemotePresence(presence: Presence): void {
    const known = this.#presences.get(presence.client);
    if (known?.owner) return;
    if (presence.state === null) this.#presences.delete(presence.client);
    else this.#presences.set(presence.client, { ...presence, owner: null, at: Date.now() });
    this.#showPresences([presence]);
  }

  /** Somebody left. */
  clearPresence(owner: Connection): Presence[] {
    const gone: Presence[] = [];
    for (const [client, one] of this.#presences) {
      if (one.owner !== owner) continue;
      this.#presences.delete(client);
      gone.push({ client, clock: one.clock + 1, state: null });
      this.#leftField(one.state?.field, undefined);
    }
    this.#showPresences(gone);
    return gone;
  }

  /** A field that nobody is in any more is at rest, without waiting for quiet. */
  #leftField(before: unknown, now: unknown): void {
    if (typeof before !== 'string' || before === now || !this.object.fields.has(before)) return;
    setTimeout(() => {
      // Whoever comes back to it meanwhile goes on.
      for (const { state } of this.#presences.values()) if (state?.field === before) return;
      this.runtime.settled(this.id, before);
    }, LEFT_MS).unref();
  }
}

/** How long what was typed last may take until it is known that it was typed. */
const LEFT_MS = 400;

/** Another node's people are forgotten when nothing was heard of them for this long; clients repeat themselves every 15 s. */
const PRESENCE_MS = 40_000;

function without(values: Readonly<Record<string, FieldValue>>, wrong: ReadonlyMap<ModelField, unknown>): Record<string, FieldValue> {
  const names = new Set([...wrong.keys()].map((field) => field.name));
  return Object.fromEntries(Object.entries(values).filter(([name]) => !names.has(name)));
}

/** Characters in a fragment, as far as it takes to call it large. */
function fragmentLength(fragment: Y.XmlFragment): number {
  let length = 0;
  for (const node of fragment.createTreeWalker(() => true)) {
    if (node instanceof Y.XmlText) length += node.length;
    else length += 2;
    if (length > LARGE_TEXT) break;
  }
  return length;
}
