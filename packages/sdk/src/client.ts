/** The browser half of a plugin: contributions to one typed map of slots, loaded lazily. */
import type { AnyPlugin, ObjectsOf, PermissionsOf } from './plugin.ts';

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
  /** A panel at the right of the record page. Props: `{ record }`. `insteadOf`: the reference (`suppliers.purchaseOrder.order`) whose plain list it makes needless. */
  'record.panel': Titled<P> & OnObject<P> & { insteadOf?: `${string}.${string}.${string}`; load: Lazy };
  /** A tab in the record page's centre. Props: `{ record }`. `first`: the page opens with it. */
  'record.tab': Titled<P> & OnObject<P> & { insteadOf?: `${string}.${string}.${string}`; first?: boolean; load: Lazy };
  /**
   * Entries of the menu of records' pages, of all objects unless one is named. The default export is a function of
   * {@link RecordActions} of `@kith/ui`: it answers what may be done with a record, as it stands.
   */
  'record.action': { id: string; object?: keyof ObjectsOf<P> & string; load: Lazy };
  /** Entries of the bar that appears when rows of a list are selected. The default export is a function of {@link ListActions} of `@kith/ui`. */
  'list.action': { id: string; object?: keyof ObjectsOf<P> & string; load: Lazy };
  /** How a new record is begun from its list, in the place of the form with its fields. The default export is a `ListCreate` of `@kith/ui`. */
  'list.create': OnObject<P> & { id: string; load: Lazy };
  /** What is said above a list. Nothing is shown while it is empty. Props: `{ view }`, the id of the view. */
  'list.banner': OnObject<P> & { id: string; load: Lazy };
  /**
   * A way of writing to somebody over a channel: a dialog, offered where people write (a record's page and its menu, lists of
   * people and companies) while the channel's plugin is on. `object`: only about records of this one. Props: those of
   * {@link Compose} of `@kith/ui`: to whom, about what, and `onclose`.
   */
  'compose.channel': Titled<P> & { icon: string; channel: string; object?: keyof ObjectsOf<P> & string; load: Lazy };
  /** A page for the staff, in the rail's section of its plugin's part; `permission`: for those who have it. Props: `{}`. */
  'nav.page': Titled<P> & { icon: string; permission?: PermissionsOf<P>; load: Lazy };
  /** A page of every portal, beside the lists that its declaration names. Props: `{ portal }`. `admin`: for the partners' administrators only. */
  'portal.page': Titled<P> & { icon: string; admin?: boolean; load: Lazy };
  /** What a portal shows of a record, in the place of the list of its fields. Props: `{ portal, record }`. */
  'portal.record': OnObject<P> & { id: string; load: Lazy };
  /**
   * How a record of the object looks as an item of a timeline, in the place of the host's plain one: where it is about the
   * timeline's record, or stands behind an activity there (a derived reference that the plugin added to `contacts.activity`).
   * Icon and time stand beside it. Props: `{ record, compact? }`; `compact` where there is room for little.
   */
  'timeline.item': OnObject<P> & { id: string; load: Lazy };
  /** How a field's values look, in lists and on pages, where they are not edited. Props: `{ value, compact?, record? }`. */
  'field.value': OnObject<P> & { id: string; field: string; load: Lazy };
  /**
   * What stands on *My work*, such as what waits for the person there. The host heads it with `title`; without one the component
   * brings its own heading. Neither is shown while the component shows nothing. Props: `{}`.
   */
  'home.widget': Pick<Titled<P>, 'id'> & Partial<Pick<Titled<P>, 'title'>> & { load: Lazy };
  /** A section of the plugin's page in the settings, for administrators, below the form that its declaration makes. Props: `{}`. */
  'settings.section': Titled<P> & { load: Lazy };
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
