/** A short list of records that follows every change: the lines of an order, a panel, a page of a portal. */
import { untrack } from 'svelte';
import { isApiError } from '../api.ts';
import type { App } from '../app.svelte.ts';
import type { Filter, Page, Rec } from '../types.ts';
import type { Changed } from './live-lists.svelte.ts';

export interface RowsQuery {
  object: string;
  filter?: Filter;
  search?: string;
  sort?: readonly string[];
  fields?: readonly string[];
  limit?: number;
  count?: boolean;
}

const GLOW = 1600;
/** Many changes at once are read once. */
const QUIET = 150;

export class Rows {
  rows = $state.raw<readonly Rec[]>([]);
  count = $state<number | null>(null);
  countCapped = $state(false);
  nextCursor = $state<string | null>(null);
  /** The first answer is here. */
  loaded = $state(false);
  /** Nothing could be read: it does not exist, or not for this person. */
  refused = $state(false);
  /** Rows that somebody else changed a moment ago. */
  glowing = $state.raw<ReadonlySet<string>>(new Set());
  loading = $state(false);

  readonly #app: App;
  readonly #query: RowsQuery;
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #again: ReturnType<typeof setTimeout> | undefined;
  #asked = 0;

  constructor(app: App, query: RowsQuery, first?: Page) {
    this.#app = app;
    this.#query = query;
    if (first) this.#take(first);
  }

  /** Reads the list unless it was given, and follows it; answers how to stop. */
  follow(): () => void {
    // An effect that follows must not begin anew with each answer that it brings.
    untrack(() => {
      if (!this.loaded) void this.reload();
    });
    const { object, filter, search, fields } = this.#query;
    const stop = this.#app.live?.watch(
      { object, filter, search: search?.trim() || undefined, ...(fields && { fields: [...fields] }) },
      { changed: (change) => this.#changed(change), stale: () => void this.reload() },
    );
    return () => {
      stop?.();
      clearTimeout(this.#again);
      for (const timer of this.#timers) clearTimeout(timer);
    };
  }

  /** Reads what is shown anew. */
  async reload(): Promise<void> {
    const asked = ++this.#asked;
    try {
      const page = await this.#read(undefined, Math.max(this.#limit, Math.min(this.rows.length, 500)));
      if (asked === this.#asked) this.#take(page);
    } catch (thrown) {
      if (!isApiError(thrown)) throw thrown;
      // What was read stays on screen while the server is away.
      if (thrown.offline) return;
      this.refused = true;
      this.loaded = true;
    }
  }

  async more(): Promise<void> {
    if (!this.nextCursor || this.loading) return;
    this.loading = true;
    try {
      const page = await this.#read(this.nextCursor, this.#limit);
      this.#app.remember(page.refs);
      const known = new Set(this.rows.map((row) => row.id));
      this.rows = [...this.rows, ...page.data.filter((row) => !known.has(row.id))];
      this.nextCursor = page.nextCursor;
    } catch (thrown) {
      this.#app.fail(thrown);
    } finally {
      this.loading = false;
    }
  }

  /** Puts an answer of the server, or a value that was only just sent, where it belongs. */
  put(record: Rec): void {
    this.rows = this.rows.map((row) => (row.id === record.id ? { ...record, fields: { ...row.fields, ...record.fields } } : row));
  }
  find(id: string): Rec | undefined {
    return this.rows.find((row) => row.id === id);
  }

  get #limit(): number {
    return this.#query.limit ?? 50;
  }
  #read(cursor: string | undefined, limit: number): Promise<Page> {
    const { object, filter, search, sort, fields, count } = this.#query;
    return this.#app.api.get<Page>(`/records/${object}`, {
      filter: filter && JSON.stringify(filter),
      search: search?.trim() || undefined,
      sort: sort?.join() || undefined,
      fields: fields?.join() || undefined,
      limit,
      cursor,
      refs: 1,
      count: count && !cursor ? 'capped' : undefined,
    });
  }
  #take(page: Page): void {
    this.#app.remember(page.refs);
    this.rows = page.data;
    this.nextCursor = page.nextCursor;
    this.count = page.count ?? null;
    this.countCapped = page.countCapped ?? false;
    this.loaded = true;
    this.refused = false;
  }

  #changed({ upsert, gone, refs, authors }: Changed): void {
    this.#app.remember(refs);
    const mine = authors?.length === 1 && authors[0] === this.#app.me?.id;
    let unknown = gone.some((id) => this.find(id));
    for (const record of upsert) {
      const before = this.find(record.id);
      if (!before) unknown = true;
      else if (before.version < record.version) {
        this.put(record);
        if (!mine) this.#glow(record.id);
      }
    }
    // Newcomers and leavers move the order and the count: the server knows both.
    if (unknown || this.#query.count) {
      clearTimeout(this.#again);
      this.#again = setTimeout(() => void this.reload(), QUIET);
    }
  }
  #glow(id: string): void {
    this.glowing = new Set(this.glowing).add(id);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.glowing = new Set([...this.glowing].filter((one) => one !== id));
    }, GLOW);
    this.#timers.add(timer);
  }
}
