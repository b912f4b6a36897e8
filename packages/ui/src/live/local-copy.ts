/**
 * The copy of a document in this browser: it keeps what is not saved yet over a
 * reload and is cleared once everything is. Its name carries the user, so that
 * nobody sends another person's edits.
 */
import { clearDocument, IndexeddbPersistence } from 'y-indexeddb';
import type * as Y from 'yjs';

const PATIENCE = 1500;

export class LocalCopy {
  readonly #user: string;
  readonly #document: string;
  #store: IndexeddbPersistence | null = null;
  #release: (() => void) | null = null;

  constructor(user: string, document: string) {
    this.#user = user;
    this.#document = document;
  }

  get #name(): string {
    return `kith:${this.#user}:${this.#document}`;
  }

  /** Whether the copy holds edits that nobody acknowledged. */
  get unsaved(): boolean {
    return unsavedDocuments(this.#user).includes(this.#document);
  }
  mark(unsaved: boolean): void {
    const others = unsavedDocuments(this.#user).filter((one) => one !== this.#document);
    const key = `kith:unsaved:${this.#user}`;
    try {
      if (!unsaved && others.length === 0) localStorage.removeItem(key);
      else localStorage.setItem(key, JSON.stringify(unsaved ? [...others, this.#document] : others));
    } catch {
      // Storage is full or forbidden: the edits still go to the server.
    }
  }

  /** Fills the document with what was kept. Answers at once where the browser keeps nothing. */
  async open(doc: Y.Doc): Promise<void> {
    if (typeof indexedDB === 'undefined') return;
    // A saved copy that a closed tab left behind may be of an older life of the record: it must not come back.
    if (!this.unsaved) await this.#alone(() => clearDocument(this.#name));
    await this.#hold();
    try {
      this.#store = new IndexeddbPersistence(this.#name, doc);
      await Promise.race([this.#store.whenSynced, new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
    } catch {
      this.#store = null;
    }
  }

  get origin(): unknown {
    return this.#store;
  }

  /** Ends; the copy stays only where it holds unsaved edits. */
  async close(): Promise<void> {
    await this.#store?.destroy();
    this.#store = null;
    this.#release?.();
    if (!this.unsaved) await this.#alone(() => clearDocument(this.#name));
  }

  /** Throws the copy away, unsaved edits included. */
  async drop(): Promise<void> {
    this.mark(false);
    await this.close();
  }

  /** Other tabs show the same document: while one does, its store is not deleted. */
  #hold(): Promise<void> {
    if (!navigator.locks) return Promise.resolve();
    return new Promise((held) => {
      void navigator.locks.request(this.#name, { mode: 'shared' }, () => {
        held();
        return new Promise<void>((release) => {
          this.#release = release;
        });
      });
    });
  }
  async #alone(run: () => Promise<unknown>): Promise<void> {
    if (!navigator.locks) return;
    await navigator.locks.request(this.#name, { mode: 'exclusive', ifAvailable: true }, async (lock) => {
      if (lock) await Promise.race([run(), new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
    });
  }
}

/** Documents (`object/id/facet`) of which this browser keeps unsaved edits. */
export function unsavedDocuments(user: string): string[] {
  try {
    const list: unknown = JSON.parse(localStorage.getItem(`kith:unsaved:${user}`) ?? '[]');
    return Array.isArray(list) ? list.filter((one) => typeof one === 'string') : [];
  } catch {
    return [];
  }
}
