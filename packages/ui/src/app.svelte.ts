/** What every screen shares: who is at it, the words, the formats, the schema, the API and the toasts. */
import type { Lazy } from '@kith/sdk';
import { createContext, type Component } from 'svelte';
import { SvelteMap } from 'svelte/reactivity';
import { isApiError, type Api, type ApiError } from './api.ts';
import { Format } from './format.ts';
import type { Way } from './compose.ts';
import { Words, type Key, type Messages, type Values } from './i18n.ts';
import type { LiveLists } from './live/live-lists.svelte.ts';
import { Toasts } from './toasts.svelte.ts';
import { pathOf } from './meta.ts';
import type { FieldMeta, FieldValue, Language, Me, ObjectMeta, Rec, Reference, Refs, StaffUser } from './types.ts';

export interface Organisation {
  name: string;
  language?: Language;
  currency?: string;
  /** Whether a mail server is named; without one, nothing leaves the house. Staff are told. */
  mail?: boolean;
}

export interface AppOptions {
  api: Api;
  language: Language;
  messages: Messages;
  timeZone: string;
  organisation: Organisation;
}

/** What a plugin's way of showing a field is given. */
export interface Shown {
  value: FieldValue;
  /** One line, as in a list. */
  compact?: boolean;
  /** The record as far as it is loaded. */
  record?: Rec;
}

/** What a plugin's way of showing a record on a timeline is given. */
export interface Told {
  record: Rec;
  /** There is room for little, as on a phone. */
  compact?: boolean;
}

export class App {
  api: Api;
  readonly toasts = new Toasts();
  /** Titles of everything that any answer referred to. */
  readonly refs = new SvelteMap<string, Reference>();

  /** How plugins show values of a field, by `object.field`. */
  readonly shows = new SvelteMap<string, Component<Shown>>();
  /** Ways of writing to somebody: of channels that are on. */
  ways = $state.raw<readonly Way[]>([]);
  /** Names of the channels that are on. */
  channels = $state.raw<readonly string[]>([]);
  /** Plugins' own ways of showing records on a timeline, by object. */
  readonly items = new SvelteMap<string, Component<Told>>();

  /** Whoever has something that would be lost by leaving the page says so here. */
  readonly holds = new Set<() => boolean>();

  me = $state.raw<Me | null>(null);
  language = $state<Language>('en');
  timeZone = $state('UTC');
  organisation = $state.raw<Organisation>({ name: '' });
  objects = $state.raw<ObjectMeta[]>([]);
  users = $state.raw<StaffUser[]>([]);
  /** Ids of the plugins that are on. */
  plugins = $state.raw<readonly string[]>([]);
  online = $state(true);
  /** The screens are a portal's: records open there, and not all that are named can be opened. */
  outside = $state(false);
  /** Where signing in is done. */
  signInAt = $state('/sign-in');
  /** The socket of live lists; there is none while rendering on the server. */
  live = $state.raw<LiveLists | null>(null);
  /** The dialog that {@link ask} opened. */
  dialog = $state.raw<{ view: Component<Record<string, unknown>>; props: Record<string, unknown>; close: () => void } | null>(null);

  #messages = $state.raw<Messages>({});
  readonly #words = $derived(new Words(this.language, this.#messages));
  readonly format = $derived(new Format(this.language, this.timeZone, this.organisation.currency ?? 'USD'));
  readonly #byName = $derived(new Map(this.objects.map((object) => [object.name, object])));
  readonly #userById = $derived(new Map(this.users.map((user) => [user.id, user])));

  constructor(options: AppOptions) {
    this.api = options.api;
    this.language = options.language;
    this.#messages = options.messages;
    this.timeZone = options.timeZone;
    this.organisation = options.organisation;
  }

  /** A text of the catalogues. */
  t = (key: Key, values?: Values): string => this.#words.say(key, values);
  /** Whether the catalogues have a key that was put together at run time. */
  has = (key: string): key is Key => this.#words.has(key);

  /** Changes the language of everything on screen. */
  speak(language: Language, messages: Messages): void {
    this.#messages = messages;
    this.language = language;
  }

  object(name: string): ObjectMeta | undefined {
    return this.#byName.get(name);
  }
  field(object: string, name: string): FieldMeta | undefined {
    return this.object(object)?.fields.find((field) => field.name === name);
  }
  user(id: string | null | undefined): StaffUser | undefined {
    return id ? this.#userById.get(id) : undefined;
  }
  /** The name of whoever did something; keys, plugins and the system included. */
  nameOf(id: string | null | undefined): string {
    if (!id) return this.t('person.system');
    return this.user(id)?.name ?? this.refs.get(id)?.title ?? this.t('person.system');
  }

  /** Where a record's page is, if this person has one. */
  pathTo(object: string, id: string): string | undefined {
    if (!this.outside) return pathOf(object, id);
    return this.object(object)?.rights.read ? `/portal/o/${object}/${id}` : undefined;
  }

  /** Opens a dialog over whatever page there is, and waits until it is closed. It is given the props and `onclose`. */
  async ask(load: Lazy, props: Record<string, unknown>): Promise<void> {
    const { default: view } = await load();
    await new Promise<void>((resolve) => {
      const close = (): void => {
        this.dialog = null;
        resolve();
      };
      this.dialog = { view: view as Component<Record<string, unknown>>, props: { ...props, onclose: close }, close };
    });
  }

  /** Keeps the titles that came with an answer. */
  remember(refs: Refs | undefined): void {
    for (const [id, reference] of Object.entries(refs ?? {})) {
      const known = this.refs.get(id);
      if (known?.title !== reference.title || known.object !== reference.object) this.refs.set(id, reference);
    }
  }

  /** Says what went wrong and what to do; whoever is signed out is led to sign in. */
  fail(thrown: unknown): void {
    if (!isApiError(thrown)) {
      this.toasts.say(this.t('error.unexpected'), { tone: 'bad' });
      throw thrown;
    }
    if (thrown.code === 'unauthenticated') {
      const back = `${this.signInAt}?next=${encodeURIComponent(location.pathname + location.search)}`;
      this.toasts.say(this.reason(thrown), { tone: 'bad', action: { label: this.t('do.sign_in'), run: () => location.assign(back) } });
    } else this.toasts.say(this.reason(thrown), { tone: 'bad' });
  }
  /** What a refused request means for the person. */
  reason(error: ApiError): string {
    const key = `error.code.${error.code}`;
    if (this.has(key)) return this.t(key);
    const detail = error.errors[0];
    if (detail && !detail.field) return detail.message;
    return error.message || this.t('error.unexpected');
  }
}

const [useApp, setApp] = createContext<App>();
export { setApp, useApp };
