/**
 * A record as a portal shows it: live where the person may join its documents,
 * and following what others change. In a preview nothing is joined: it reads.
 */
import { untrack } from 'svelte';
import type { App } from '../app.svelte.ts';
import { CellField, type FieldBinding } from '../fields/binding.svelte.ts';
import type { Portal } from '../portal.ts';
import type { FieldMeta, ObjectMeta, Rec, Refs } from '../types.ts';
import type { LiveRecord, Notice, Person } from './live-record.svelte.ts';

/** Several changes in a row are read once. */
const QUIET = 150;

export class PortalLive {
  readonly object: ObjectMeta;
  readonly #app: App;
  readonly #portal: Portal;
  record = $state.raw<Rec>({} as Rec);
  live = $state.raw<LiveRecord | null>(null);
  #wait: ReturnType<typeof setTimeout> | undefined;

  constructor(app: App, portal: Portal, object: ObjectMeta, record: Rec) {
    this.#app = app;
    this.#portal = portal;
    this.object = object;
    this.record = record;
  }

  /** Joins; answers how to leave. */
  start(): () => void {
    let left = false;
    if (!this.#portal.preview && this.object.facets.some((facet) => facet.fields.length > 0)) {
      // What documents need comes after the page itself.
      void import('./live-record.svelte.ts').then(async ({ LiveRecord }) => {
        if (left) return;
        this.live = new LiveRecord(this.#app, this.object, this.record, (notice) => this.#tell(notice));
        await this.live.open();
      });
    }
    return () => {
      left = true;
      clearTimeout(this.#wait);
      void this.live?.close();
    };
  }

  #tell(notice: Notice): void {
    const { t, toasts } = this.#app;
    if (notice.kind === 'corrected') toasts.say(`${notice.field}: ${notice.text}`, { tone: 'bad' });
    else toasts.say(t(`live.${notice.kind}`) + (notice.lost ? ` ${t('live.lost')}` : ''), { tone: 'bad' });
  }

  /** Follows what others change; answers how to stop. Needs the socket of live lists. */
  follow(): () => void {
    const later = (): void => {
      clearTimeout(this.#wait);
      this.#wait = setTimeout(() => void this.refresh().catch(() => undefined), QUIET);
    };
    // An effect that follows must not begin anew with each value that it brings.
    const { id } = untrack(() => this.record);
    return (
      this.#app.live?.watch({ object: this.object.name, filter: { field: 'id', op: 'eq', value: id } }, { changed: later, stale: later }) ??
      (() => undefined)
    );
  }

  async refresh(): Promise<void> {
    const now = await this.#app.api.get<Rec & { refs?: Refs }>(`/records/${this.object.name}/${this.record.id}`, { refs: 1 });
    this.#app.remember(now.refs);
    this.record = now;
    this.live?.take(now);
  }

  /** The binding of a field's widget. */
  field(meta: FieldMeta): FieldBinding {
    if (this.live) return this.live.field(meta.name);
    return new CellField(
      meta,
      false,
      () => this.record.fields[meta.name] ?? null,
      () => undefined,
    );
  }
  get people(): Person[] {
    return this.live?.people ?? [];
  }
  /** Whether it is saved, in a word. */
  get word(): string {
    const { live } = this;
    const { t } = this.#app;
    if (!live || live.status === 'connecting') return '';
    if (live.status === 'ended' || (live.ready && !live.writable && live.status !== 'offline')) return t('state.read_only');
    return t(`state.${live.status}`);
  }
  /** Why it is live no more. */
  get ended(): string | null {
    const end = this.live?.end;
    return end ? this.#app.t(`live.end.${end}`) : null;
  }
}
