/**
 * The records of a list on screen: paged, edited in place, and kept live.
 * What somebody else changes moves here, but rows stay where they are: a row
 * that fits no more is greyed until the list is read anew.
 */
import { isApiError } from '@kith/ui/api.ts';
import type { App } from '@kith/ui/app.svelte.ts';
import type { Changed } from '@kith/ui/live/live-lists.svelte.ts';
import { complaintText, valueOf, within } from '@kith/ui/meta.ts';
import type { FieldValue, ObjectMeta, Page, Rec, Total } from '@kith/ui/types.ts';
import { SvelteMap, SvelteSet } from 'svelte/reactivity';
import { filterOf } from '@kith/ui/filter/conditions.ts';
import {
  countExactly,
  fieldsOf,
  MOST,
  PAGE_SIZE,
  readBoard,
  readColumn,
  readGroups,
  readPage,
  type BoardColumn,
  type BoardPage,
  type ListQuery,
} from './query.ts';

const GLOW = 1600;

/** What table and board share. */
abstract class Records {
  readonly app: App;
  readonly object: ObjectMeta;
  query: ListQuery;
  /** Rows that changed under the reader's eyes. */
  readonly glowing = new SvelteSet<string>();
  /** Rows that fit no more. */
  readonly gone = new SvelteSet<string>();
  readonly complaints = new SvelteMap<string, string>();
  loading = $state(false);

  constructor(app: App, object: ObjectMeta, query: ListQuery) {
    this.app = app;
    this.object = object;
    this.query = query;
  }

  abstract find(id: string): Rec | undefined;
  protected abstract put(record: Rec): void;
  protected abstract drop(ids: readonly string[]): void;
  abstract reload(): Promise<void>;
  /** Counts or sums may have moved. */
  protected abstract recount(): void;

  /** Follows the list; answers how to stop. */
  follow(): () => void {
    const { live } = this.app;
    if (!live) return () => {};
    return live.watch(
      {
        object: this.object.name,
        filter: filterOf(this.query.conditions),
        search: this.query.search.trim() || undefined,
        fields: fieldsOf(this.object, this.query),
      },
      { changed: (change) => this.#changed(change), stale: () => void this.reload().catch((thrown: unknown) => this.app.fail(thrown)) },
    );
  }

  #changed({ upsert, gone, refs, authors }: Changed): void {
    this.app.remember(refs);
    const mine = authors?.length === 1 && authors[0] === this.app.me?.id;
    for (const record of upsert) {
      const before = this.find(record.id);
      if (before && before.version >= record.version) continue;
      this.gone.delete(record.id);
      this.put(record);
      if (!mine) this.glow(record.id);
    }
    for (const id of gone) if (this.find(id)) this.gone.add(id);
    this.recount();
  }

  glow(id: string): void {
    this.glowing.add(id);
    setTimeout(() => this.glowing.delete(id), GLOW);
  }

  /** Changes fields of a record: shown at once, taken back if it is refused. */
  async patch(id: string, fields: Record<string, FieldValue>): Promise<boolean> {
    const before = this.find(id);
    if (!before) return false;
    for (const name of Object.keys(fields)) this.complaints.delete(`${id}:${name}`);
    this.put({ ...before, fields: { ...before.fields, ...fields } });
    try {
      const after = await this.app.api.patch<Rec & Pick<Page, 'refs'>>(`/records/${this.object.name}/${id}?refs=1`, fields);
      this.app.remember(after.refs);
      const now = this.find(id);
      if (now && now.version <= after.version) this.put({ ...after, fields: { ...now.fields, ...after.fields } });
      this.recount();
      return true;
    } catch (thrown) {
      const now = this.find(id);
      if (now) {
        const kept: Record<string, FieldValue> = { ...now.fields };
        for (const name of Object.keys(fields)) kept[name] = before.fields[name] ?? null;
        this.put({ ...now, fields: kept });
      }
      this.#complain(id, fields, thrown);
      return false;
    }
  }
  #complain(id: string, fields: Record<string, FieldValue>, thrown: unknown): void {
    const about = isApiError(thrown) ? thrown.errors.filter((one) => one.field !== undefined && one.field in fields) : [];
    if (about.length === 0) return this.app.fail(thrown);
    for (const { field = '', code, message } of about) {
      const meta = this.app.field(this.object.name, field);
      const text = complaintText(this.app, meta, code, message);
      this.complaints.set(`${id}:${field}`, text);
      this.app.toasts.say(`${meta?.label ?? field}: ${text}`, { tone: 'bad' });
    }
  }

  /** Into the bin, with a way back. */
  async remove(ids: readonly string[], progress: (done: number) => void = () => {}): Promise<void> {
    const { app, object } = this;
    const records = ids.flatMap((id) => this.find(id) ?? []);
    await app.api.post(`/records/${object.name}/batch`, { delete: ids });
    progress(ids.length);
    this.drop(ids);
    this.recount();
    const what =
      records.length === 1 && records[0]
        ? records[0].title
        : app.t('count.records', {
            count: ids.length,
            shown: app.format.number(ids.length),
            one: within(app, object.label.one),
            many: within(app, object.label.many),
          });
    app.toasts.say(app.t('list.deleted', { what }), {
      action: {
        label: app.t('do.undo'),
        run: async () => {
          try {
            for (const id of ids) await app.api.post(`/records/${object.name}/${id}/restore`);
            await this.reload();
          } catch (thrown) {
            app.fail(thrown);
          }
        },
      },
    });
  }

  /** Order of two records under the list's sort. */
  protected compare = (a: Rec, b: Rec): number => {
    for (const key of this.query.sort) {
      const name = key.replace(/^-/, '');
      const order = compareValues(this.app, valueOf(a, name), valueOf(b, name));
      if (order !== 0) return key.startsWith('-') ? -order : order;
    }
    return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
  };

  /** Puts a newcomer where it belongs among those that are loaded; at the end only when that is the end. */
  protected insert(rows: readonly Rec[], record: Rec, complete: boolean): readonly Rec[] {
    if (this.query.sort.length === 0) return [record, ...rows];
    const at = rows.findIndex((row) => this.compare(record, row) < 0);
    if (at < 0) return complete ? [...rows, record] : rows;
    return [...rows.slice(0, at), record, ...rows.slice(at)];
  }
}

function compareValues(app: App, a: FieldValue, b: FieldValue): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  const plain = (value: FieldValue): string | number => {
    if (typeof value === 'number') return value;
    if (typeof value === 'boolean') return value ? 1 : 0;
    if (typeof value === 'object' && value && 'amount' in value) return Number(value.amount);
    return String(value as string);
  };
  const left = plain(a);
  const right = plain(b);
  if (typeof left === 'number' && typeof right === 'number') return left - right;
  return String(left).localeCompare(String(right), app.format.locale);
}

/** A table's rows. */
export class TableRecords extends Records {
  rows = $state.raw<readonly Rec[]>([]);
  nextCursor = $state<string | null>(null);
  count = $state<number | null>(null);
  countCapped = $state(false);
  totals = $state.raw<Record<string, Total>>({});
  #byId = $derived(new Map(this.rows.map((row, index) => [row.id, index])));
  #recounting: ReturnType<typeof setTimeout> | undefined;

  constructor(app: App, object: ObjectMeta, query: ListQuery, page: Page) {
    super(app, object, query);
    this.#take(page);
  }
  #take(page: Page): void {
    this.app.remember(page.refs);
    this.rows = page.data;
    this.nextCursor = page.nextCursor;
    this.count = page.count ?? null;
    this.countCapped = page.countCapped ?? false;
    this.totals = page.totals ?? {};
    this.gone.clear();
  }

  find(id: string): Rec | undefined {
    const index = this.#byId.get(id);
    return index === undefined ? undefined : this.rows[index];
  }
  protected put(record: Rec): void {
    const index = this.#byId.get(record.id);
    if (index === undefined) this.rows = this.insert(this.rows, record, this.nextCursor === null);
    else {
      // A change carries the fields of this list; what else was loaded stays.
      const before = this.rows[index];
      this.rows = this.rows.with(index, { ...record, fields: { ...before?.fields, ...record.fields } });
    }
  }
  protected drop(ids: readonly string[]): void {
    this.rows = this.rows.filter((row) => !ids.includes(row.id));
  }
  add(record: Rec): void {
    if (!this.find(record.id)) this.rows = [record, ...this.rows];
    this.glow(record.id);
    this.recount();
  }

  async more(): Promise<void> {
    if (this.loading || !this.nextCursor) return;
    this.loading = true;
    const { query } = this;
    try {
      const page = await readPage(this.app.api, this.object, query, this.nextCursor);
      if (query !== this.query) return;
      this.app.remember(page.refs);
      const known = this.#byId;
      this.rows = [...this.rows, ...page.data.filter((row) => !known.has(row.id))];
      this.nextCursor = page.nextCursor;
    } catch (thrown) {
      // Scrolling further tries again.
      if (!isApiError(thrown) || !thrown.offline) this.app.fail(thrown);
    } finally {
      this.loading = false;
    }
  }
  /** Reads everything anew that was loaded, so that nobody loses their place. */
  async reload(): Promise<void> {
    const { query, object, app } = this;
    const wanted = Math.max(PAGE_SIZE, this.rows.length);
    const page = await readPage(app.api, object, query, undefined, Math.min(wanted, MOST));
    const rows = [...page.data];
    let { nextCursor } = page;
    while (nextCursor && rows.length < wanted) {
      const next = await readPage(app.api, object, query, nextCursor, Math.min(wanted - rows.length, MOST));
      app.remember(next.refs);
      rows.push(...next.data);
      ({ nextCursor } = next);
    }
    if (query === this.query) this.#take({ ...page, data: rows, nextCursor });
  }
  async countExactly(): Promise<void> {
    this.count = await countExactly(this.app.api, this.object, this.query);
    this.countCapped = false;
  }
  /** Counts and sums follow a moment later, for many changes at once. */
  protected recount(): void {
    clearTimeout(this.#recounting);
    this.#recounting = setTimeout(() => {
      const { query } = this;
      readPage(this.app.api, this.object, query)
        .then((page) => {
          if (query !== this.query) return;
          if (!this.countCapped || page.countCapped === false) {
            this.count = page.count ?? null;
            this.countCapped = page.countCapped ?? false;
          }
          this.totals = page.totals ?? {};
        })
        .catch(() => {
          // The next change counts again.
        });
    }, 700);
  }
}

/** A board's columns. */
export class BoardRecords extends Records {
  columns = $state.raw<readonly BoardColumn[]>([]);
  #recounting: ReturnType<typeof setTimeout> | undefined;

  constructor(app: App, object: ObjectMeta, query: ListQuery, page: BoardPage) {
    super(app, object, query);
    this.#take(page);
  }
  #take(page: BoardPage): void {
    this.app.remember(page.refs);
    this.columns = page.columns;
    this.gone.clear();
  }
  groupOf(record: Rec): string | null {
    return (record.fields[this.query.groupBy ?? ''] as string | null | undefined) ?? null;
  }

  find(id: string): Rec | undefined {
    for (const column of this.columns) {
      const found = column.data.find((one) => one.id === id);
      if (found) return found;
    }
    return undefined;
  }
  protected put(record: Rec): void {
    const before = this.find(record.id);
    const next = { ...record, fields: { ...before?.fields, ...record.fields } };
    const group = this.groupOf(next);
    if (before && this.groupOf(before) === group) {
      this.columns = this.columns.map((column) =>
        column.value === group ? { ...column, data: column.data.map((one) => (one.id === next.id ? next : one)) } : column,
      );
      return;
    }
    this.columns = this.columns.map((column) => {
      const data = column.data.filter((one) => one.id !== next.id);
      const count = column.count - (column.data.length - data.length);
      if (column.value !== group) return data.length === column.data.length ? column : { ...column, data, count };
      return { ...column, data: [...this.insert(data, next, column.nextCursor === null)], count: count + 1 };
    });
  }
  protected drop(ids: readonly string[]): void {
    this.columns = this.columns.map((column) => ({ ...column, data: column.data.filter((one) => !ids.includes(one.id)) }));
  }
  add(record: Rec): void {
    this.put(record);
    this.glow(record.id);
    this.recount();
  }

  async more(value: string | null): Promise<void> {
    const column = this.columns.find((one) => one.value === value);
    if (!column?.nextCursor || this.loading) return;
    this.loading = true;
    try {
      const page = await readColumn(this.app.api, this.object, this.query, value, column.nextCursor);
      this.app.remember(page.refs);
      this.columns = this.columns.map((one) =>
        one.value === value
          ? { ...one, data: [...one.data, ...page.data.filter((row) => !this.find(row.id))], nextCursor: page.nextCursor }
          : one,
      );
    } catch (thrown) {
      if (!isApiError(thrown) || !thrown.offline) this.app.fail(thrown);
    } finally {
      this.loading = false;
    }
  }
  async reload(): Promise<void> {
    this.#take(await readBoard(this.app.api, this.object, this.query));
  }
  protected recount(): void {
    clearTimeout(this.#recounting);
    this.#recounting = setTimeout(() => {
      const { query } = this;
      readGroups(this.app.api, this.object, query)
        .then((groups) => {
          if (query !== this.query) return;
          this.columns = this.columns.map((column) => {
            const group = groups.find((one) => (one.value ?? null) === column.value);
            return { ...column, count: group?.count ?? 0, sum: group?.sum ?? null };
          });
        })
        .catch(() => {
          // The next change counts again.
        });
    }, 500);
  }
}
