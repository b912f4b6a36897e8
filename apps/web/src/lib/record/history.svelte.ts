/** A record at an earlier time: today's values with the newer changes undone. */
import type { App } from '@kith/ui/app.svelte.ts';
import type { FieldValue, HistoryEntry, Rec, Refs } from '@kith/ui/types.ts';

interface HistoryPage {
  data: HistoryEntry[];
  nextCursor: string | null;
  refs?: Refs;
}

export class RecordHistory {
  readonly #app: App;
  readonly #record: Rec;
  /** Newest first. */
  entries = $state.raw<readonly HistoryEntry[]>([]);
  complete = $state(false);
  loading = $state(false);
  #cursor: string | null = null;
  /** How many of the newest changes are undone; 0 is now. */
  back = $state(0);
  now = $state.raw<Record<string, FieldValue>>({});

  constructor(app: App, record: Rec, now: Record<string, FieldValue>) {
    this.#app = app;
    this.#record = record;
    this.now = now;
  }

  /** The time whose state is shown: that of the newest change that is not undone. */
  readonly at: string = $derived.by(() => this.entries[this.back]?.at ?? this.#record.createdAt);
  /** The change that made the state which is shown. */
  readonly entry: HistoryEntry | undefined = $derived.by(() => this.entries[this.back]);
  readonly values: Record<string, FieldValue> = $derived.by(() => {
    const values = { ...this.now };
    for (const { changes } of this.entries.slice(0, this.back)) {
      for (const [name, [old]] of Object.entries(changes)) values[name] = old;
    }
    return values;
  });
  /** Fields that were different then. */
  readonly changed: ReadonlySet<string> = $derived.by(
    () =>
      new Set(
        Object.keys(this.values).filter((name) => JSON.stringify(this.values[name] ?? null) !== JSON.stringify(this.now[name] ?? null)),
      ),
  );

  async load(): Promise<void> {
    if (this.loading || this.complete) return;
    this.loading = true;
    try {
      const page = await this.#app.api.get<HistoryPage>(`/records/${this.#record.object}/${this.#record.id}/history`, {
        limit: 200,
        refs: 1,
        cursor: this.#cursor ?? undefined,
      });
      this.#app.remember(page.refs);
      this.entries = [...this.entries, ...page.data];
      this.#cursor = page.nextCursor;
      this.complete = page.nextCursor === null;
    } finally {
      this.loading = false;
    }
  }

  /** Brings all fields, or some, back to what is shown. */
  restore(fields?: string[]): Promise<Rec> {
    return this.#app.api.post<Rec>(`/records/${this.#record.object}/${this.#record.id}/revert`, { at: this.at, ...(fields && { fields }) });
  }
}
