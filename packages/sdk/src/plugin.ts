/**
 * The plugin contract: `definePlugin` is data, cheap to import anywhere. The
 * host turns it into tables, screens and API. Names misspelt do not compile.
 */
import type { Field, Option, ValueOf } from './field.ts';
import type { Filter } from './filter.ts';
import type { Access, Role, Rule } from './rule.ts';
import type { CheckSettings, Settings } from './settings.ts';
import type { ShippedWorkflow } from './workflow.ts';

/** The four parts of a CRM; a plugin's screens stand in its part's section of the rail. */
export type Part = 'operational' | 'analytical' | 'communicative' | 'collaborative';

/** The version of this contract. A plugin names the range it was written for. */
export const SDK_VERSION = '1.0.0';

export type Fields = Record<string, Field>;
type Name<T> = Extract<keyof T, string>;
/** What every record has besides its fields; views may show and sort by them. */
export type SystemField = 'createdAt' | 'updatedAt' | 'createdBy' | 'updatedBy';

/** A sort key: a field's name, with `-` in front for descending. */
type SortKey<N extends string> = N | `-${N}`;

export interface View<N extends string = string> {
  /** A list with rows, or a board with a column for each option. */
  type: 'table' | 'board';
  /** Fields in the order of the columns; on boards, those that a card shows. */
  columns: readonly (N | SystemField)[];
  /** Which records; all unless told. */
  filter?: Filter;
  /** Sort keys, the most important first: `-due` for descending. */
  sort?: readonly SortKey<N | SystemField>[];
  /** Boards: the select field whose options are the columns. */
  groupBy?: N;
  /** Boards: the money or number field that is summed per column. */
  sum?: N;
}

/** A command on a record, the only form of a command. Its handler runs in the record's transaction and may refuse. */
export interface Action<I extends Fields = Fields> {
  /** Fields that the person fills in, by key; their values are `input` in the handler. */
  input?: I;
  /** Who may run it; unless told, whoever may update the record. */
  permission?: Rule;
  /** Where staff are offered it. The API always offers it; a portal offers what it names under `actions`. */
  offered?: readonly ('button' | 'bulk')[];
}

/** A kind of people from outside: the partners of one sort, or guests. Its key is unique among all plugins. */
export interface Audience<O extends string = string> {
  /** A Lucide icon's name. */
  icon: string;
  /** The object whose records are the companies that these partners belong to. Left out for guests, who have one record each. */
  of?: O;
  /** How staff appear to them beside what is being edited: by the organisation's name unless told. */
  staff?: 'organisation' | 'name';
}

/** What an audience may do with an object's records. Field rights are allow-lists. */
export interface PortalObject<F extends string = string, A extends string = string> {
  /** Which records. Fields named here are in no document, and never writable by the audience. */
  rows: Rule;
  /** Fields that the audience sees. Whatever is not here does not exist for it. */
  read: readonly F[];
  /** Fields that may be changed, by PATCH or in the document. All of them must be readable. */
  write?: readonly F[];
  /** Fields that may be given to a new record, which must then fit `rows`; without it the audience creates none. */
  create?: readonly F[];
  /** Actions that the audience may run. */
  actions?: readonly A[];
  /** Fields that the audience writes and that stay when the record passes to another company; the others are emptied. */
  keep?: readonly F[];
}

/** A page of a portal: a list of records. */
export interface PortalPage<O extends string = string> {
  /** Object whose records are listed; the portal must open it. */
  object: O;
  /** A Lucide icon's name. */
  icon: string;
  /** Readable fields of the object. */
  columns: readonly string[];
  /** Which of the readable records; all unless told. */
  filter?: Filter;
  /** Sort keys, the most important first. */
  sort?: readonly string[];
}

/** Records that the start page shows under a heading. */
export interface PortalSelection<O extends string = string> {
  /** Object whose records are shown; the portal must open it. */
  object: O;
  /** Which of the readable records. */
  filter: Filter;
  /** Sort keys, the most important first. */
  sort?: readonly string[];
}

/** What one plugin opens to an audience. Several plugins may open something to the same one. */
export interface Portal<M = Record<string, AnyObject>> {
  /** What the audience sees and may do, by full name of the object. */
  objects: {
    [K in keyof M & string]?: M[K] extends { fields: infer F; actions?: infer A }
      ? PortalObject<(keyof F & string) | `${string}__${string}`, keyof NonNullable<A> & string>
      : never;
  };
  /** Pages by their key, in the order of the navigation. */
  pages?: Record<string, PortalPage<keyof M & string>>;
  /** What the start page of the portal shows. */
  start?: {
    /** What waits for the partner's answer. */
    answer?: readonly PortalSelection<keyof M & string>[];
    late?: readonly PortalSelection<keyof M & string>[];
    /** Objects whose changes since the last visit are shown. */
    changed?: readonly (keyof M & string)[];
  };
}

/**
 * A named figure over one object's records, for dashboards: how many there are, or the sum of a field. The host reads it as
 * whoever looks, under their rights. Its name is `metric.<key>` in the plugin's catalogue.
 */
export interface Metric<O extends string = string, S extends string = string> {
  /** A Lucide icon's name. */
  icon?: string;
  /** Full name (`plugin.object`) of an object of this plugin or of one that it needs. */
  object: O;
  /** A money or number field of the object that is summed, money by currency; without it the records are counted. */
  sum?: S;
  /** Which records count; all unless told. Days may be relative (`{ days: -30 }`). */
  filter?: Filter;
  /** Shown as bars by this field's values: a text, select, boolean, reference or user, or a dotted path to one over references. */
  by?: string;
  /** Shown as columns by month of this date field, or of one at the end of a dotted path. Not together with `by`. */
  over?: string;
}

/** A named right of a plugin, such as to waive a fee. Its name is `permission.<key>` in the catalogue. */
export interface Permission {
  /** Who has it unless an administrator says otherwise; administrators always have it. */
  roles: readonly Role[];
}

type Summable<F> = { [K in keyof F & string]: F[K] extends { type: 'money' | 'number' } ? K : never }[keyof F & string];
/** The metrics that a plugin may declare over these objects. */
export type MetricOf<M> = {
  [O in keyof M & string]: M[O] extends { fields: infer F } ? Metric<O, Summable<F> | `${string}__${string}`> : never;
}[keyof M & string];

export interface ObjectDeclaration<F extends Fields = Fields, A extends Record<string, Action> = Record<string, Action>> {
  /** A Lucide icon's name. */
  icon: string;
  /** Fields by key, each made with a builder: `text()`, `money()`, `ref(…)`. */
  fields: F;
  /** The fields that name a record to people, joined by a space. */
  title: readonly Name<F>[];
  /** Fields that the search looks into. */
  search?: readonly Name<F>[];
  /** Combinations that must be unique among records outside the bin. */
  unique?: readonly (readonly Name<F>[])[];
  /** The select field that is the record's lifecycle. Its options carry `outcome` and `probability`. */
  stages?: Name<F>;
  /** What staff may do; unless told, everyone reads, and everyone but readers writes. */
  access?: Partial<Access>;
  /** Lists and boards by key, in the order of their tabs; the first is shown at first. */
  views?: Record<string, View<Name<F>>>;
  /** Actions by key, each made with `action(…)`; each has a handler in the server half. */
  actions?: A;
  /** Show in the rail; true unless told. */
  nav?: boolean;
}

/** Something that a plugin tells of a record beyond its changes: it became overdue, it was viewed. Its name is `event.<key>` in the catalogue. */
export interface EventDeclaration<O extends string = string> {
  /** Key of the object of this plugin whose records it is told of. */
  object: O;
  /** What is said besides, by key: fields as of a record. */
  data?: Fields;
}

/** What a plugin adds to another plugin's object. Its fields become `<plugin>__<field>` there. */
export interface Extension {
  /** Fields by key. They are added and removed with this plugin. */
  fields?: Fields;
  /** More choices for the neighbour's select fields. */
  options?: Record<string, Record<string, Option>>;
  /** Views by key, behind those that the object has itself. */
  views?: Record<string, View>;
}

/** Texts of one language: ICU messages under flat keys. */
export type Catalogue = Record<string, string>;

/** A dependency on another plugin. */
export interface Need<P extends AnyPlugin = AnyPlugin> {
  plugin: P;
  range: string;
}
/** Declares that this plugin builds on another one, in the given range of versions. */
export const need = <const P extends AnyPlugin>(plugin: P, range: string): Need<P> => ({ plugin, range });

/** A plugin of any shape. */
export interface AnyPlugin {
  id: string;
  version: string;
  sdk: string;
  part: Part;
  startsDisabled?: boolean;
  needs?: readonly { plugin: AnyPlugin; range: string }[];
  objects?: Record<string, AnyObject>;
  extend?: Record<string, Extension>;
  audiences?: Record<string, Audience>;
  portals?: Record<string, AnyPortal>;
  workflows?: Record<string, ShippedWorkflow>;
  metrics?: Record<string, Metric>;
  permissions?: Record<string, Permission>;
  settings?: Settings;
  events?: Record<string, EventDeclaration>;
  locales: Record<string, Catalogue>;
}

/** A portal of any shape, as the host reads it. */
export interface AnyPortal {
  objects: Record<string, PortalObject | undefined>;
  pages?: Record<string, PortalPage>;
  start?: { answer?: readonly PortalSelection[]; late?: readonly PortalSelection[]; changed?: readonly string[] };
}

/** An object of any shape, as the host reads it. */
export interface AnyObject {
  icon: string;
  fields: Fields;
  title: readonly string[];
  search?: readonly string[];
  unique?: readonly (readonly string[])[];
  stages?: string;
  access?: Partial<Access>;
  views?: Record<string, View>;
  actions?: Record<string, Action>;
  nav?: boolean;
}

/** Declares an object; within it, fields may be named only if they exist. */
export const object = <const F extends Fields, const A extends Record<string, Action> = Record<never, never>>(
  declaration: ObjectDeclaration<F, A>,
): ObjectDeclaration<F, A> => declaration;

/** Declares an action of an object. */
export function action<const I extends Fields>(declaration: Action<I> & { input: I }): Action<I>;
/** Declares an action that takes no input. Said apart, since TypeScript would otherwise take any input for possible. */
export function action(declaration: Omit<Action, 'input'>): Action<Record<never, never>>;
export function action(declaration: Action): Action {
  return declaration;
}

/** The full names (`plugin.object`) that a plugin's declarations may refer to. */
export type ObjectNames<Id extends string, O, N extends readonly Need[]> =
  | `${Id}.${keyof O & string}`
  | (N[number]['plugin'] extends infer P
      ? P extends { id: infer I extends string; objects?: infer Q }
        ? `${I}.${keyof NonNullable<Q> & string}`
        : never
      : never);

type CheckFields<F, Names extends string> = {
  [K in keyof F]: F[K] extends { to: infer To extends string }
    ? To extends Names
      ? unknown
      : { to: `"${To}" is no object of this plugin or of one under needs` }
    : unknown;
};
type CheckObjects<O, Names extends string> = {
  [K in keyof O]: O[K] extends { fields: infer F } ? { fields: CheckFields<F, Names> } : unknown;
};
type CheckExtensions<E, Names extends string> = {
  [K in keyof E]: K extends Names ? unknown : `"${K & string}" is no object of a plugin under needs`;
};

/**
 * Declares a plugin. The result is the argument itself, typed: handlers
 * (`defineServer`) and screens (`defineClient`) take their names from it.
 */
export function definePlugin<
  const Id extends string,
  const O extends Record<string, AnyObject> = Record<never, never>,
  const N extends readonly Need[] = readonly [],
  const E extends Record<string, Extension> = Record<never, never>,
  const L extends Catalogue = Catalogue,
  const S extends Record<string, { type: string }> = Record<never, never>,
  const R extends Record<string, Permission> = Record<never, never>,
  const V extends Record<string, EventDeclaration<NoInfer<keyof O & string>>> = Record<never, never>,
>(declaration: {
  /** Name of the plugin in code, and of its schema in the database: a word of letters and digits that begins with a small letter. Never changed later. */
  id: Id;
  /** Version of the plugin, as `1.2.3`. */
  version: string;
  /** Range of {@link SDK_VERSION} that this plugin was written for. */
  sdk: string;
  /** Part of the CRM in whose section of the rail its screens stand. */
  part: Part;
  /** Off until somebody switches it on; on unless told. */
  startsDisabled?: boolean;
  /** Plugins that this one builds on, each by `need(plugin, range)`: their objects may be named here, and they are there whenever this one runs. */
  needs?: N;
  /** Objects by key, each made with `object(…)`. Object `claim` of plugin `warranty` is `warranty.claim`. */
  objects?: O & CheckObjects<O, ObjectNames<Id, O, N>>;
  /** What is added to objects of needed plugins, by their full name. */
  extend?: E & CheckExtensions<E, ObjectNames<Id, O, N>>;
  /** People from outside to whom this plugin, or one that needs it, opens a portal. */
  audiences?: Record<string, Audience<NoInfer<ObjectNames<Id, O, N>>>>;
  /** What is opened to whom, by the audience's key. */
  portals?: Record<string, Portal<OwnObjects<{ id: Id; objects: O }> & NeededObjects<{ needs: N }>>>;
  /** Workflows that come with the plugin, by key; each can be switched on and off. */
  workflows?: Record<string, ShippedWorkflow>;
  /** Figures that dashboards show, by key. */
  metrics?: Record<string, MetricOf<OwnObjects<{ id: Id; objects: O }> & NeededObjects<{ needs: N }>>>;
  /**
   * Named rights, by key: for rules (`permission('waive')`), routes and pages. Administrators give them to roles and take them
   * away. A permission's name is `permission.<key>` in the catalogue.
   */
  permissions?: R;
  /** What the plugin tells of its records beyond their changes, by key: with `ctx.emit`, to consumers, workflows and `GET /events`. */
  events?: V;
  /**
   * What administrators say to the plugin, by key: fields, whose `default` holds until somebody says otherwise, and secrets.
   * A setting's name is `setting.<key>` in the catalogue, and what it is for `setting.<key>.help`, where that is said.
   */
  settings?: S & CheckSettings<NoInfer<S>>;
  /** Texts per language; English is complete, the others have the same keys. */
  locales: { en: L } & Record<string, { [K in keyof L]: string }>;
}): Plugin<Id, O, N, L, S, R, V> {
  return declaration as unknown as Plugin<Id, O, N, L, S, R, V>;
}

/** A declared plugin, with its names in its type. */
export interface Plugin<
  Id extends string = string,
  O extends Record<string, AnyObject> = Record<string, AnyObject>,
  N extends readonly Need[] = readonly Need[],
  L extends Catalogue = Catalogue,
  S = Settings,
  R = Record<string, Permission>,
  V = Record<string, EventDeclaration>,
> {
  id: Id;
  version: string;
  sdk: string;
  part: Part;
  startsDisabled?: boolean;
  needs: N;
  objects: O;
  extend?: Record<string, Extension>;
  audiences?: Record<string, Audience>;
  portals?: Record<string, AnyPortal>;
  workflows?: Record<string, ShippedWorkflow>;
  metrics?: Record<string, Metric>;
  permissions?: R;
  events?: V;
  settings?: S;
  locales: { en: L } & Record<string, Catalogue>;
}

/** The events of a plugin, by key. */
export type EventsOf<P> = P extends { events?: infer V } ? NonNullable<V> : Record<never, never>;

/** The names of a plugin's own permissions. */
export type PermissionsOf<P> = P extends { permissions?: infer R } ? keyof NonNullable<R> & string : never;

/** Fields of one object as a record carries them. */
export type RecordFields<F extends Fields> = { [K in keyof F]: ValueOf<F[K]> | null };

type OwnObjects<P> = P extends { id: infer Id extends string; objects?: infer O }
  ? { [K in keyof NonNullable<O> & string as `${Id}.${K}`]: NonNullable<O>[K] }
  : Record<never, never>;
type UnionToIntersection<U> = (U extends unknown ? (u: U) => void : never) extends (i: infer I) => void ? I : never;
type NeededObjects<P> = P extends { needs?: infer N }
  ? NonNullable<N> extends readonly Need[]
    ? NonNullable<N>[number] extends infer M
      ? [M] extends [never]
        ? Record<never, never>
        : UnionToIntersection<M extends { plugin: infer Q } ? OwnObjects<Q> : never>
      : never
    : Record<never, never>
  : Record<never, never>;
/** Every object that a plugin's code may name: its own and those of the plugins it needs. */
export type ObjectsOf<P> = OwnObjects<P> & NeededObjects<P>;
/** The fields of an object among {@link ObjectsOf}. */
export type FieldsOf<D> = D extends { fields: infer F extends Fields } ? RecordFields<F> : never;
