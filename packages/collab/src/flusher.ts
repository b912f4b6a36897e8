/**
 * Group commit: whatever has come in while one flush was under way goes into the
 * next, all documents and records of this node in one statement.
 */
import {
  commit,
  errorData,
  explain,
  flushed,
  traced,
  isDatabaseError,
  KithError,
  lockRecord,
  newId,
  readStored,
  transaction,
  type Taken,
} from '@kith/core';
import type { Runtime } from '@kith/core/runtime';
import type { Draft, LiveDocument } from './document.ts';
import { CLOSE } from './protocol.ts';

/** Most records in one statement, so that none waits long for the others. */
const MOST = 200;
const LOCK_AFTER_MISSES = 3;
const RETRY_MS = 100;
/**
 * When much comes in, flushes begin this far apart, per update in the last one:
 * a person who types alone is saved at once, a crowd shares its round trips.
 */
const INTERVAL_PER_UPDATE_MS = 0.4;
const INTERVAL_MOST_MS = 12;

/** On which state of everybody's rights commits for people from outside rest, and how it is brought up to date. */
export interface Rights {
  readonly epoch: number;
  refresh: () => Promise<void>;
}

export class Flusher {
  readonly #runtime: Runtime;
  readonly #rights: Rights;
  readonly #dirty = new Set<LiveDocument>();
  #running: Promise<void> | null = null;
  #began = 0;
  #interval = 0;

  constructor(runtime: Runtime, rights: Rights) {
    this.#runtime = runtime;
    this.#rights = rights;
  }

  /** Says that a document has something to commit. */
  readonly wake = (document: LiveDocument): void => {
    this.#dirty.add(document);
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
      if ([...this.#dirty].some((one) => one.needsFlush)) this.wake([...this.#dirty].find((one) => one.needsFlush)!);
    });
  };

  /** Resolves when nothing is left to commit. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async #run(): Promise<void> {
    for (;;) {
      const wait = this.#began + this.#interval - performance.now();
      await (wait > 0 ? new Promise((resolve) => setTimeout(resolve, wait)) : new Promise((resolve) => setImmediate(resolve)));
      this.#began = performance.now();
      const batch: LiveDocument[] = [];
      const records = new Set<string>();
      for (const document of this.#dirty) {
        if (document.closed) this.#dirty.delete(document);
        // One statement moves a record once: its other documents wait for the next.
        else if (document.needsFlush && records.has(document.id)) continue;
        else if (document.needsFlush) {
          batch.push(document);
          records.add(document.id);
        } else if (!document.flushing) this.#dirty.delete(document);
        if (batch.length === MOST) break;
      }
      if (batch.length === 0) return;
      for (const document of batch) this.#dirty.delete(document);
      const updates = batch.reduce((sum, document) => sum + document.pending.length, 0);
      this.#interval = Math.min(INTERVAL_MOST_MS, updates * INTERVAL_PER_UPDATE_MS);
      await this.#flush(batch);
      for (const document of batch) if (document.needsFlush) this.#dirty.add(document);
    }
  }

  async #flush(batch: readonly LiveDocument[]): Promise<void> {
    const began = performance.now();
    const updates = batch.reduce((sum, document) => sum + document.pending.length, 0);
    await traced('flush', { 'kith.documents': batch.length, 'kith.updates': updates }, () => this.#flushAll(batch));
    flushed(batch.length, updates, (performance.now() - began) / 1_000);
  }

  async #flushAll(batch: readonly LiveDocument[]): Promise<void> {
    for (const document of batch) document.flushing = true;
    try {
      const lonely = batch.filter((document) => document.misses >= LOCK_AFTER_MISSES);
      for (const document of lonely) await this.#alone(document);
      // Noted before anything is drafted: what is drafted on rights of an older state must not pass as of a newer one.
      const { epoch } = this.#rights;
      const together = batch.filter((document) => document.misses < LOCK_AFTER_MISSES);
      const drafts = new Map<LiveDocument, Draft>();
      for (const document of together) {
        const draft = await document.draft();
        if (draft) drafts.set(document, draft);
      }
      if (drafts.size > 0) await this.#commit(drafts, epoch);
    } catch (error) {
      this.#runtime.log('error', 'a flush failed', errorData(error));
      if (isUnreachable(error)) await sleep(RETRY_MS);
      // What cannot be committed must not be shown as if it could: everybody loads anew.
      else for (const document of batch) document.end(CLOSE.overload);
    } finally {
      for (const document of batch) document.flushEnded();
    }
  }

  async #commit(drafts: ReadonlyMap<LiveDocument, Draft>, current: number): Promise<void> {
    const flush = newId();
    const units = [...drafts.values()].map((draft) => draft.unit);
    // Withdrawing a right waits for commits that rest on it, and none rests on it afterwards.
    const epoch = [...drafts.keys()].some((document) => document.outsiders) ? current : null;
    let taken: Map<string, Taken>;
    try {
      taken = await commit(this.#runtime.writePool, units, false, flush, epoch);
    } catch (error) {
      if (isDatabaseError(error, '22', '23')) return this.#split(drafts, error, current);
      if (!isUnreachable(error)) throw error;
      return this.#lookUp(drafts, flush);
    }
    const committed = [];
    const missed: LiveDocument[] = [];
    for (const [document, draft] of drafts) {
      const one = taken.get(document.id);
      if (!one) {
        missed.push(document);
        continue;
      }
      document.committed(draft, one);
      committed.push({ object: document.object.name, record: document.id, kind: 'changed' as const, seqs: one.seqs });
    }
    this.#runtime.tell(committed);
    if (missed.length > 0 && epoch !== null) await this.#rights.refresh();
    // Stale or busy: take in what others have committed, and try again with the next flush.
    for (const document of missed) {
      document.misses++;
      await document.sync();
    }
  }

  /** One bad value must not hold up the others: each record by itself, and the one at fault says which field. */
  async #split(drafts: ReadonlyMap<LiveDocument, Draft>, error: unknown, current: number): Promise<void> {
    if (drafts.size > 1) {
      for (const [document, draft] of drafts) await this.#commit(new Map([[document, draft]]), current);
      return;
    }
    for (const [document, draft] of drafts) {
      const said = explain(this.#runtime.model, document.object, error);
      const problem = said instanceof KithError ? said.errors?.[0] : undefined;
      document.refuse(draft, problem?.field, problem ?? { code: 'invalid', message: 'does not fit' });
      // Nothing of it can be put back: give up on this copy rather than try for ever.
      if (document.refused.size === 0) document.end(CLOSE.overload);
    }
  }

  /** The answer was lost. Whether the flush was committed stands in the log, once Postgres answers again. */
  async #lookUp(drafts: ReadonlyMap<LiveDocument, Draft>, flush: string): Promise<void> {
    for (;;) {
      await sleep(RETRY_MS);
      try {
        const { rows } = await this.#runtime.writePool.query<{ record: string; facet: number; seq: number }>(
          'select record, facet, seq from kith.doc_log where flush = $1',
          [flush],
        );
        const committed = [];
        for (const [document, draft] of drafts) {
          const row = rows.find((one) => one.record === document.id && one.facet === document.facet.num);
          if (row) {
            const seqs = { [row.facet]: row.seq };
            document.committed(draft, { version: null, updatedAt: null, seqs });
            committed.push({ object: document.object.name, record: document.id, kind: 'changed' as const, seqs });
          }
          await document.sync();
        }
        this.#runtime.tell(committed);
        return;
      } catch (error) {
        if (!isUnreachable(error)) throw error;
      }
    }
  }

  /** Others were quicker three times: lock the record first, and commit it by itself. */
  async #alone(document: LiveDocument): Promise<void> {
    const done = await transaction(this.#runtime.writePool, async (client) => {
      await lockRecord(client, document.object, document.id);
      const stored = await readStored(client, document.object, document.id, [document.facet]);
      const here = stored?.documents.get(document.facet.num);
      if (!stored || !here || stored.row.deleted_at !== null) {
        document.end(CLOSE.gone);
        return null;
      }
      if (document.outsiders) await this.#rights.refresh();
      const epoch = document.outsiders ? this.#rights.epoch : null;
      document.merge({ ...stored, document: here });
      const draft = document.closed ? null : await document.draft();
      if (!draft) return null;
      try {
        const taken = (await commit(client, [draft.unit], true, newId(), epoch)).get(document.id);
        return taken ? { draft, taken } : null;
      } catch (error) {
        if (!isDatabaseError(error, '22', '23')) throw error;
        const said = explain(this.#runtime.model, document.object, error);
        const problem = said instanceof KithError ? said.errors?.[0] : undefined;
        document.refuse(draft, problem?.field, problem ?? { code: 'invalid', message: 'does not fit' });
        throw error;
      }
    }).catch((error: unknown) => {
      if (isDatabaseError(error, '22', '23')) return null;
      throw error;
    });
    if (!done) return;
    document.committed(done.draft, done.taken);
    this.#runtime.tell([{ object: document.object.name, record: document.id, kind: 'changed', seqs: done.taken.seqs }]);
  }
}

/** Whether Postgres could not be reached or went away, rather than refused. */
export function isUnreachable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (/^(08|57P0|53|25P02|25P03|40)/.test(code) || /^E[A-Z]+$/.test(code)) return true;
  return /Connection terminated|connection timeout|Client has encountered|timeout exceeded when trying to connect|Query read timeout|server closed the connection/i.test(
    error.message,
  );
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
