/** The browser half of a plugin: contributions to one typed map of slots, loaded lazily. */
import type { AnyPlugin, ObjectsOf } from './plugin.ts';

/** A Svelte component behind a lazy import. Typed by the package that renders it (@kith/ui). */
export type Lazy = () => Promise<{ default: unknown }>;

interface Titled<P> {
  /** Unique within the plugin. */
  id: string;
  /** Key of the title in the plugin's catalogue. */
  title: P extends { locales: { en: infer L } } ? keyof L & string : string;
}
interface OnObject<P> {
  /** The object whose pages show it. */
  object: keyof ObjectsOf<P> & string;
}

/** What a plugin may add to the screens, and where. */
export interface Slots<P> {
  /** A panel at the right of the record page. Props: `{ record }`. */
  'record.panel': Titled<P> & OnObject<P> & { load: Lazy };
  /** A tab in the record page's centre. Props: `{ record }`. */
  'record.tab': Titled<P> & OnObject<P> & { load: Lazy };
  /** A page of every portal, beside the lists that its declaration names. Props: `{ portal }`. */
  'portal.page': Titled<P> & { icon: string; load: Lazy };
  /** What a portal shows of a record, in the place of the list of its fields. Props: `{ portal, record }`. */
  'portal.record': OnObject<P> & { id: string; load: Lazy };
}

export type Contributions<P> = { [S in keyof Slots<P>]?: readonly Slots<P>[S][] };
export interface Client<P = AnyPlugin> {
  plugin: P;
  slots: Contributions<P>;
}

/** Gives a plugin its screens. A wrong slot, object or title key does not compile. */
export const defineClient = <const P extends AnyPlugin>(plugin: P, slots: Contributions<P>): Client => ({
  plugin,
  slots: slots as Contributions<AnyPlugin>,
});
