/** What stands under this person's bell, kept as the server tells that it changed. */
import { goto } from '$app/navigation';
import { isApiError } from '@kith/ui/api.ts';
import type { App } from '@kith/ui/app.svelte.ts';
import type { LiveLists } from '@kith/ui/live/live-lists.svelte.ts';
import { pathOf } from '@kith/ui/meta.ts';
import { createContext } from 'svelte';

export interface Notice {
  id: string;
  /** `plugin.name` */
  kind: string;
  label: string;
  about: { object: string; id: string; title: string } | null;
  text: string | null;
  /** Who brought it about. */
  by: string | null;
  at: string;
  read: boolean;
}
interface Answer {
  data: Notice[];
  unread: number;
  nextCursor: string | null;
}

const PAGE = 30;
const MOST = 100;
/** Changes that come together are asked for together. */
const GATHER_MS = 200;
/** Toasts keep this distance: what comes in between is told as a number. */
const CALM_MS = 8000;

const ICONS: Readonly<Record<string, string>> = {
  'contacts.assigned': 'user-check',
  'contacts.mentioned': 'at-sign',
  'contacts.due': 'calendar-clock',
  'contacts.reminder': 'clock',
  'suppliers.answered': 'reply',
  'logistics.exception': 'truck',
  'automation.failed': 'triangle-alert',
  'automation.told': 'workflow',
};

export class Notices {
  unread = $state(0);
  items = $state.raw<readonly Notice[]>([]);
  /** The panel is open. */
  open = $state(false);
  onlyUnread = $state(false);
  /** The list was asked for once. */
  loaded = $state(false);
  /** Older ones are on their way. */
  busy = $state(false);
  /** Said to screen readers. */
  said = $state('');
  /** A list is on screen, be it the panel or the page: nothing needs a toast. */
  shown = $state(0);
  #cursor = $state.raw<string | null>(null);
  readonly more: boolean = $derived(this.#cursor !== null);
  readonly badge: string = $derived(this.unread > 99 ? '99+' : String(this.unread));

  readonly #app: App;
  /** The newest that this window knows; what is newer is new to whoever sits at it. */
  #newest: string | null = null;
  #wait: ReturnType<typeof setTimeout> | undefined;
  #calm: ReturnType<typeof setTimeout> | undefined;
  #toldAt = 0;
  #untold: Notice[] = [];
  #turn = 0;

  constructor(app: App) {
    this.#app = app;
  }

  /** Follows what the socket tells; answers how to stop. */
  follow(live: LiveLists): () => void {
    const stop = live.onNotices(() => {
      clearTimeout(this.#wait);
      this.#wait = setTimeout(() => void this.refresh(), GATHER_MS);
    });
    return () => {
      stop();
      clearTimeout(this.#wait);
      clearTimeout(this.#calm);
    };
  }

  /** Reads as many of the newest as are shown, and tells of those that were not there before. */
  async refresh(): Promise<void> {
    const turn = ++this.#turn;
    const { onlyUnread } = this;
    let answer: Answer;
    try {
      answer = await this.#ask(Math.min(MOST, Math.max(PAGE, this.items.length)), null);
    } catch (thrown) {
      // It is asked again when the socket is back, or the next time that something comes.
      if (!isApiError(thrown)) throw thrown;
      return;
    }
    if (turn !== this.#turn || onlyUnread !== this.onlyUnread) return;
    const fresh = answer.data.filter((notice) => !notice.read && this.#newest !== null && notice.at > this.#newest);
    this.#newest = [this.#newest ?? '', ...answer.data.map(({ at }) => at)].reduce((a, b) => (a > b ? a : b));
    this.items = answer.data;
    this.#cursor = answer.nextCursor;
    this.unread = answer.unread;
    this.loaded = true;
    if (fresh.length > 0) this.#tell(fresh);
  }

  async older(): Promise<void> {
    if (this.#cursor === null || this.busy) return;
    this.busy = true;
    const turn = this.#turn;
    try {
      const answer = await this.#ask(PAGE, this.#cursor);
      if (turn !== this.#turn) return;
      this.items = [...this.items, ...answer.data];
      this.#cursor = answer.nextCursor;
    } catch (thrown) {
      this.#app.fail(thrown);
    } finally {
      this.busy = false;
    }
  }

  async filter(onlyUnread: boolean): Promise<void> {
    this.onlyUnread = onlyUnread;
    await this.refresh();
  }

  /** Marks these as read, or all. What is shown changes at once; other windows hear of it. */
  async read(ids?: readonly string[]): Promise<void> {
    const which = ids && new Set(ids);
    const before = this.items;
    const own = this.items.filter((notice) => !notice.read && (!which || which.has(notice.id)));
    if (which && own.length === 0) return;
    this.items = this.items.map((notice) => (!which || which.has(notice.id) ? { ...notice, read: true } : notice));
    this.unread = which ? Math.max(0, this.unread - own.length) : 0;
    try {
      const { unread } = await this.#app.api.post<{ unread: number }>('/notices/read', which ? { ids: [...which] } : {});
      this.unread = unread;
    } catch (thrown) {
      this.items = before;
      this.#app.fail(thrown);
      void this.refresh();
    }
  }

  /** Opens the panel; where there is no room for it, the page. */
  show(): void {
    if (matchMedia('(max-width: 767px)').matches) void goto('/notices');
    else this.open = true;
  }

  iconOf({ kind, about }: Notice): string {
    return ICONS[kind] ?? (about && this.#app.object(about.object)?.icon) ?? 'bell';
  }
  /** What it is about in one line. */
  titleOf({ label, about }: Notice): string {
    return about?.title ? `${label}: ${about.title}` : label;
  }

  #ask(limit: number, cursor: string | null): Promise<Answer> {
    return this.#app.api.get<Answer>('/notices', { limit, cursor, unread: this.onlyUnread ? 1 : null });
  }

  #tell(fresh: readonly Notice[]): void {
    const { t } = this.#app;
    if (this.shown > 0) {
      this.said = t('notices.came', { count: fresh.length });
      return;
    }
    this.#untold.push(...fresh);
    clearTimeout(this.#calm);
    this.#calm = setTimeout(() => this.#toast(), Math.max(0, this.#toldAt + CALM_MS - Date.now()));
  }
  #toast(): void {
    const fresh = this.#untold.splice(0);
    const [first] = fresh;
    if (!first || this.shown > 0) return;
    this.#toldAt = Date.now();
    const { t, toasts } = this.#app;
    const { about } = first;
    if (fresh.length > 1)
      toasts.say(t('notices.came', { count: fresh.length }), { action: { label: t('notices.show'), run: () => this.show() } });
    else
      toasts.say(this.titleOf(first), {
        action: about
          ? {
              label: t('notices.open'),
              run: async () => {
                void this.read([first.id]);
                await goto(pathOf(about.object, about.id));
              },
            }
          : { label: t('notices.show'), run: () => this.show() },
      });
  }
}

const [useNotices, setNotices] = createContext<Notices>();
export { setNotices, useNotices };
