/** The server half of a plugin: guards, action handlers, migrations and demo data, named after its declaration. */
import type { FieldValue, ValueOf } from './field.ts';
import type { Filter } from './filter.ts';
import type { AnyPlugin, Fields, FieldsOf, ObjectsOf, RecordFields } from './plugin.ts';
import type { Role } from './rule.ts';

/** Who acts: a person of the staff, a partner, a guest, an API key, a plugin, or the system itself. */
export interface Principal {
  /** UUID of the user, guest link or key; the system has a fixed one. A plugin that follows up on a change bears the id of whoever made it. */
  id: string;
  kind: 'staff' | 'partner' | 'guest' | 'key' | 'plugin' | 'system';
  name: string;
  /** Empty for partners and guests. */
  roles: readonly Role[];
  /** Partners and guests: where they come from, and hence what they see. */
  outside?: Outside;
}

export interface Outside {
  /** Key of the audience. */
  audience: string;
  /** Partners: id of their company's record. */
  company?: string;
  /** Partners: may invite colleagues. */
  admin?: boolean;
  /** Guests: the only record that they see. */
  record?: { object: string; id: string };
  /** A member of the staff who looks at what this partner sees: reads, never writes. The id is the staff user's. */
  preview?: true;
}

/** A record as it travels in the API. */
export interface Rec<F = Record<string, FieldValue>> {
  id: string;
  object: string;
  /** Counts changes; for people from outside, changes of what they may read. */
  version: number;
  createdAt: string;
  /** Absent for people from outside: who of the staff did something is not for them. */
  createdBy?: string;
  updatedAt: string;
  /** Absent as `createdBy` is. */
  updatedBy?: string;
  fields: F;
}

/** Why a change was refused, for one field or (without `field`) for the record. */
export interface FieldProblem {
  field?: string;
  code: string;
  message: string;
}

/** A change on its way in: what was, what shall be, and the record as it would then stand. */
export interface Change<F> {
  /** The record before; null when it is being created. */
  before: F | null;
  /** The fields that are being written. */
  patch: Partial<F>;
  /** The record as it would stand after. */
  record: F;
}

/** What a guard answers: fields to set besides (derived ones too), or problems that refuse the change. */
export interface Verdict<F> {
  set?: Partial<F>;
  problems?: FieldProblem[];
}

/**
 * Pure validation, defaults and same-record derivation. Runs before the commit
 * of every write, whatever its source; it must not read a clock or the database.
 */
export type Guard<F> = (change: Change<F>) => Verdict<F> | undefined;

export interface QueryOptions {
  filter?: Filter;
  search?: string;
  sort?: readonly string[];
  fields?: readonly string[];
  limit?: number;
  cursor?: string;
}

/** The door to records, as the acting principal. `M` maps full object names to their declarations. */
export interface RecordsDoor<M> {
  get<O extends keyof M & string>(object: O, id: string): Promise<Rec<FieldsOf<M[O]>>>;
  query<O extends keyof M & string>(object: O, options?: QueryOptions): Promise<{ data: Rec<FieldsOf<M[O]>>[]; nextCursor: string | null }>;
  create<O extends keyof M & string>(object: O, fields: Partial<FieldsOf<M[O]>>): Promise<Rec<FieldsOf<M[O]>>>;
  /** Many at once, all or nothing; answers their ids in order. */
  createMany<O extends keyof M & string>(object: O, rows: readonly Partial<FieldsOf<M[O]>>[]): Promise<string[]>;
  patch<O extends keyof M & string>(object: O, id: string, fields: Partial<FieldsOf<M[O]>>): Promise<Rec<FieldsOf<M[O]>>>;
  /** Changes many at once, each named once, all or nothing; what follows is done once for all of them. */
  patchMany<O extends keyof M & string>(object: O, changes: readonly { id: string; fields: Partial<FieldsOf<M[O]>> }[]): Promise<void>;
  remove<O extends keyof M & string>(object: O, id: string): Promise<void>;
}

/** What a handler gets. It changes records only through `records`. */
export interface Context<P> {
  actor: Principal;
  records: RecordsDoor<ObjectsOf<P>>;
  /**
   * The same door with the plugin's own right to do everything, derived and arbitrated fields included: for what follows
   * from a change that the actor was allowed. The ledger names the actor.
   */
  asPlugin: RecordsDoor<ObjectsOf<P>>;
  /** The current time; tests set it. */
  clock: () => Date;
  log: (level: 'info' | 'warn' | 'error', message: string, data?: Record<string, unknown>) => void;
}

type InputOf<A> = A extends { input?: infer I } ? { [K in keyof NonNullable<I>]: ValueOf<NonNullable<I>[K]> | null } : never;

/** What a handler of an action is given besides `ctx`. The record is locked until the transaction ends. */
export interface ActionCall<F, I> {
  record: Rec<F>;
  input: I;
  /** Refuses the action: nothing is changed and the person reads the message. */
  refuse: (message: string, field?: string) => never;
}
/** Answers the fields to change, including derived and arbitrated ones. */
export type ActionHandler<P, F, I> = (call: ActionCall<F, I>, ctx: Context<P>) => Promise<Partial<F> | undefined> | Partial<F> | undefined;

type HandlersOf<P, D> = D extends { fields: infer F extends Fields; actions?: infer A }
  ? { [K in keyof NonNullable<A>]: ActionHandler<P, RecordFields<F>, InputOf<NonNullable<A>[K]>> }
  : never;
type ObjectsWithActions<O> = {
  [
    K in keyof O as O[K] extends { actions?: infer A }
      ? keyof NonNullable<A> extends never
        ? never
        : string extends keyof NonNullable<A>
          ? never
          : K
      : never
  ]: O[K];
};

/** A record that was created or changed outside documents, with its values before and after. */
export interface Effected<F> {
  kind: 'created' | 'changed' | 'deleted' | 'restored';
  id: string;
  /** Null for a new record. */
  before: F | null;
  record: F;
}

/**
 * What follows from changes of an object's records: the state or the sums of others. Runs in their transaction, once for
 * all records of a commit, and may refuse by throwing. Edits in documents do not come here: what others are derived from
 * is `restricted`, `derived` or `arbitrated`.
 */
export type Effect<P, F> = (changes: readonly Effected<F>[], ctx: Context<P>) => Promise<void>;

/** A change of the database that is not additive. Runs once, in order of the list. */
export interface Migration {
  /** `0001-what-it-does`; never renamed. */
  name: string;
  /** Statements in the plugin's own schema. */
  up: readonly string[];
}

export interface Server<P> {
  plugin: P;
  guards?: P extends { objects: infer O }
    ? { [K in keyof O]?: O[K] extends { fields: infer F extends Fields } ? Guard<RecordFields<F>> : never }
    : never;
  effects?: P extends { objects: infer O }
    ? { [K in keyof O]?: O[K] extends { fields: infer F extends Fields } ? Effect<P, RecordFields<F>> : never }
    : never;
  migrations?: readonly Migration[];
}

type ActionsPart<P> = P extends { objects: infer O }
  ? keyof ObjectsWithActions<O> extends never
    ? { actions?: Record<never, never> }
    : { actions: { [K in keyof ObjectsWithActions<O>]: HandlersOf<P, ObjectsWithActions<O>[K]> } }
  : { actions?: Record<never, never> };

/** Demo data of a plugin, loaded by the system through the same door as everything else. */
export interface Demo<P> {
  /** Folder of the data set's files, ending in a slash: `new URL('../demo/northwind/', import.meta.url)`. */
  folder: URL;
  /** The staff that the data set brings. They get logins, before anything is loaded. */
  staff?: (tools: Pick<DemoTools, 'table'>) => Promise<DemoPerson[]>;
  /** Everything that all plugins load is committed at once, with the staff, or not at all. */
  load?: (
    ctx: Context<P> &
      DemoTools & {
        /** The same context, acting as one of the demo's staff. */
        as: (email: string) => Context<P>;
        /** Gives somebody of a partner company a login. */
        partner: (person: { email: string; name: string; audience: string; company: string; admin?: boolean }) => Promise<void>;
      },
  ) => Promise<void>;
}
export interface DemoPerson {
  email: string;
  name: string;
  role: Role;
}
export interface DemoTools {
  /** Rows of a CSV file in the plugin's own folder, by the names in its first line. The files quote nothing; an empty field is an empty string. */
  table: (file: string) => Promise<Readonly<Record<string, string>>[]>;
  /** Ids of the demo's staff by e-mail. */
  staff: ReadonlyMap<string, string>;
  /** Moves a day of the data set (YYYY-MM-DD) to the demo's present, given the data set's last day. */
  moved: (day: string, last: string) => string;
  /** The day that the demo is about: today, or the data set's last day when its dates are kept. */
  today: (last: string) => string;
  /** Ids that earlier plugins left for later ones, by kind and the data set's own key. */
  share: Map<string, Map<string, string>>;
}

/** Gives a plugin its handlers. A declared action without handler, or a handler nobody declared, does not compile. */
export function defineServer<const P extends AnyPlugin>(
  plugin: P,
  server: Omit<Server<P>, 'plugin'> & ActionsPart<P> & { demo?: Record<string, Demo<P>> },
): AnyServer {
  return { plugin, ...server } as unknown as AnyServer;
}

/** A plugin's server of any shape, as the host reads it. */
export interface AnyServer {
  plugin: AnyPlugin;
  guards?: Record<string, Guard<Record<string, FieldValue>> | undefined>;
  effects?: Record<string, Effect<AnyPlugin, Record<string, FieldValue>> | undefined>;
  migrations?: readonly Migration[];
  actions?: Record<string, Record<string, ActionHandler<AnyPlugin, Record<string, FieldValue>, Record<string, FieldValue>>>>;
  demo?: Record<string, Demo<AnyPlugin>>;
}
