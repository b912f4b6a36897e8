/** The server half of a plugin: guards, action handlers, migrations and demo data, named after its declaration. */
import type { AnyRef, FieldValue, ValueOf } from './field.ts';
import type { Filter } from './filter.ts';
import type { Model } from './model.ts';
import type { AnyObject, AnyPlugin, EventsOf, Fields, FieldsOf, ObjectsOf, PermissionsOf, RecordFields } from './plugin.ts';
import type { Role } from './rule.ts';
import type { SecretsOf, SettingsOf } from './settings.ts';

/** Who acts: a person of the staff, a partner, a guest, an API key, a plugin, or the system itself. */
export interface Principal {
  /** UUID of the user, guest link or key; the system has a fixed one. A plugin that follows up on a change bears the id of whoever made it. */
  id: string;
  /** What kind of actor it is. */
  kind: 'staff' | 'partner' | 'guest' | 'key' | 'plugin' | 'system';
  /** Name as people read it. */
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
  /** UUID. */
  id: string;
  /** Full name of the object. */
  object: string;
  /** Counts changes; for people from outside, changes of what they may read. */
  version: number;
  /** When it was made, in ISO 8601. */
  createdAt: string;
  /** Absent for people from outside: who of the staff did something is not for them. */
  createdBy?: string;
  /** When it was last changed, in ISO 8601. */
  updatedAt: string;
  /** Absent as `createdBy` is. */
  updatedBy?: string;
  /** Values by field; null where there is none. */
  fields: F;
}

/** Why a change was refused, for one field or (without `field`) for the record. */
export interface FieldProblem {
  /** The field at fault. */
  field?: string;
  /** Stable word for programs, as `required` or `invalid`. */
  code: string;
  /** For people, after the name of the field: “must not be empty”. */
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
  /** Values to set besides; those of derived fields too. */
  set?: Partial<F>;
  /** Why the change is refused; it is refused with one or more. */
  problems?: FieldProblem[];
}

/**
 * Pure validation, defaults and same-record derivation. Runs before the commit
 * of every write, whatever its source; it must not read a clock or the database.
 */
export type Guard<F> = (change: Change<F>) => Verdict<F> | undefined;

/** A change that was committed, at its place in the one order of all changes. */
export interface ChangeEvent {
  /** Grows with every event; gaps mean nothing. */
  position: number;
  /** Full name of the object. */
  object: string;
  /** UUID of the record. */
  record: string;
  /**
   * `settled`: what was typed into a document came to rest; the changes are those since it last was.
   * `acted`: an action was run on the record; what it changed is told besides.
   * `emitted`: a plugin told something of the record; `event` says what.
   */
  kind: 'created' | 'changed' | 'deleted' | 'restored' | 'settled' | 'acted' | 'emitted';
  /** Id of the principal that made it. */
  author: string;
  /** Version of the record after the change. */
  version: number;
  /** Old and new values; null for a long text, of which only the change is told. */
  changes: Readonly<Record<string, readonly [FieldValue, FieldValue] | null>>;
  /** When it was committed, in ISO 8601. */
  at: string;
  /** Why it was changed: `api`, `edit`, `action`, `workflow`, `job`, `consumer`, `demo`, …, and which one of these. */
  cause: { kind: string; id: string | null };
  /** Name of the action, where one was run. */
  act: string | null;
  /** Audience of whoever ran the action, if from outside. */
  audience: string | null;
  /** What a plugin told, as `example.overdue`; else null. */
  event: string | null;
  /** What it said besides; null without anything. */
  data: Readonly<Record<string, FieldValue>> | null;
  /** False while people are still typing in the document it comes from: a `settled` event follows. */
  settled: boolean;
}

export interface QueryOptions {
  /** Which records; all that the principal may see unless told. */
  filter?: Filter;
  /** Words that the search fields must hold. */
  search?: string;
  /** Sort keys, the most important first. */
  sort?: readonly string[];
  /** Fields that are read; all unless told. */
  fields?: readonly string[];
  /** How many at most, 1 to 500; 50 unless told. */
  limit?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
  /** Whether to count all that fit, and how far: `capped` stops where it would take long. Not counted unless told. */
  count?: 'none' | 'capped' | 'exact';
}

/** A page of records. */
export interface QueryPage<F> {
  /** The records, in order. */
  data: Rec<F>[];
  /** What `cursor` takes for the next page; null at the end. */
  nextCursor: string | null;
  /** How many fit, where that was asked. */
  count?: number;
  /** There are more than `count`. */
  countCapped?: boolean;
}

/** The door to records, as the acting principal. `M` maps full object names to their declarations. */
export interface RecordsDoor<M> {
  /** One record. Throws `not_found` where there is none that the principal may see. */
  get<O extends keyof M & string>(object: O, id: string): Promise<Rec<FieldsOf<M[O]>>>;
  /** A page of records that fit, at most 500; `nextCursor` is null at the end. */
  query<O extends keyof M & string>(object: O, options?: QueryOptions): Promise<QueryPage<FieldsOf<M[O]>>>;
  /** Makes a record. Throws `invalid` with a problem for each field at fault, and `forbidden`. */
  create<O extends keyof M & string>(object: O, fields: Partial<FieldsOf<M[O]>>): Promise<Rec<FieldsOf<M[O]>>>;
  /** Many at once, all or nothing; answers their ids in order. `causes`: ids of what each is made for, where these differ. */
  createMany<O extends keyof M & string>(
    object: O,
    rows: readonly Partial<FieldsOf<M[O]>>[],
    causes?: readonly string[],
  ): Promise<string[]>;
  /** Changes the named fields of a record. Throws as `get` and `create` do. */
  patch<O extends keyof M & string>(object: O, id: string, fields: Partial<FieldsOf<M[O]>>): Promise<Rec<FieldsOf<M[O]>>>;
  /** Changes many at once, each named once, all or nothing; what follows is done once for all of them. */
  patchMany<O extends keyof M & string>(
    object: O,
    changes: readonly { id: string; fields: Partial<FieldsOf<M[O]>> }[],
    causes?: readonly string[],
  ): Promise<void>;
  /** Puts a record into the bin. */
  remove<O extends keyof M & string>(object: O, id: string): Promise<void>;
  /** Runs an action, with its own checks, as this door's principal. */
  act<O extends keyof M & string>(
    object: O,
    id: string,
    action: string,
    input?: Readonly<Record<string, FieldValue>>,
  ): Promise<Rec<FieldsOf<M[O]>>>;
  /**
   * Sets derived fields of many records in one statement: what a calculation found. Records that have these values already,
   * and those that are gone, are left alone. Does not move `updatedAt`. Open to plugins and the system only.
   */
  derive<O extends keyof M & string>(object: O, changes: readonly { id: string; fields: Partial<FieldsOf<M[O]>> }[]): Promise<void>;
}

/** Values into a statement as parameters, rows out of it: `` ctx.sql<{ n: number }>`select count(*)::int as n from insights.total` ``. */
export type Sql = <R extends object = Record<string, unknown>>(text: TemplateStringsArray, ...values: readonly unknown[]) => Promise<R[]>;

/** When and how a job is done. */
export interface JobOptions {
  /** Not before this time; at once unless told. */
  due?: Date | string;
  /** While a job of this name with the same key waits, another is not added. */
  key?: string;
}

/** Something that concerns a person. */
export interface Notice {
  /** Id of a user of the staff; anybody else is passed over. */
  to: string;
  /** `plugin.name`; people choose by kind what they are told. Its name is `notice.<name>` in the plugin's catalogue. */
  kind: string;
  /** The record that it is about; the notice leads there. */
  about?: AnyRef | null;
  /** Id of whoever brought it about; without it the actor. */
  by?: string;
  /** In plain words; without it the kind's own. */
  text?: string;
  /** A second notice with the same key to the same person is left out. */
  key?: string;
}

/** A file that a plugin keeps. */
export interface KeptFile {
  /** UUID. */
  id: string;
  /** Name as people read it, without a path. */
  name: string;
  /** Media type, as `application/pdf`. */
  type: string;
  /** In bytes. */
  size: number;
  /** When it was kept, in ISO 8601. */
  createdAt: string;
}

/** The files of a plugin. They stand in the database: what is kept in a transaction is there when it commits, on every node and in backups. */
export interface Files {
  /** Keeps a file of at most 25 MB. Its name loses paths and control characters; its type is `application/octet-stream` unless told. */
  keep: (file: { name: string; type?: string; data: Uint8Array }) => Promise<KeptFile>;
  /** A file with what is in it; null where the plugin has none with this id. */
  read: (id: string) => Promise<(KeptFile & { data: Uint8Array }) | null>;
  /** Deletes a file for good. One that is not there is passed over. */
  remove: (id: string) => Promise<void>;
}

/** What a handler gets. It changes records only through `records`. */
export interface Context<P> {
  /** Who acts. */
  actor: Principal;
  /** Records as the actor: their rights decide what is there and what is refused. */
  records: RecordsDoor<ObjectsOf<P>>;
  /**
   * The same door with the plugin's own right to do everything, derived and arbitrated fields included: for what follows
   * from a change that the actor was allowed. The ledger names the actor.
   */
  asPlugin: RecordsDoor<ObjectsOf<P>>;
  /** Objects of all plugins, for plugins that work on whatever is installed. As {@link Context.asPlugin}. */
  world: {
    /** What the plugins that are on declare, together. */
    model: Model;
    /** Their records, with the plugin's own right. */
    records: RecordsDoor<Record<string, AnyObject>>;
    /** Channels of plugins that are on, by name: over these a message can be sent now. */
    channels: ReadonlyMap<string, ChannelInfo>;
  };
  /**
   * Statements on the same transaction: for reading, and for the plugin's own private tables. What records hold is written
   * through `records` alone. Throws for people from outside.
   */
  sql: Sql;
  /** Adds a job of this plugin in the same transaction: it will be done once, or not at all if the transaction fails. Answers its id. */
  queue: (job: string, data: Json, options?: JobOptions) => Promise<string>;
  /** Many at once. */
  queueAll: (job: string, data: readonly Json[], options?: Omit<JobOptions, 'key'>) => Promise<void>;
  /** Removes jobs of this plugin by their key, if they still wait. */
  unqueue: (job: string, keys: readonly string[]) => Promise<void>;
  /** Runs `work` so that, if it throws, what it did is taken back and the rest of the transaction stands. */
  attempt: <T>(work: () => Promise<T>) => Promise<T>;
  /** The same context, on the same transaction, where what is done has another cause and, through `asPlugin`, another author: whoever asked for it. */
  because: (cause: { kind: string; id: string | null }, author?: string) => Context<P>;
  /** Files of this plugin. A record keeps the id; a route answers the file to whom it decides. */
  files: Files;
  /**
   * Tells something of a record of this plugin, in the same transaction: an event that the declaration names, with its data. It
   * has its place among all changes; consumers, workflows and whoever follows `GET /events` get it. Partners do not.
   */
  emit: <K extends keyof EventsOf<P> & string>(event: K, record: string, ...data: DataOf<EventsOf<P>[K]>) => Promise<void>;
  /** Tells people something that concerns them: it stands under their bell. */
  notify: (notices: readonly Notice[]) => Promise<void>;
  /** What administrators have said to this plugin, with the defaults of what they have not. */
  settings: () => Promise<SettingsOf<P>>;
  /** The plugin's secrets; null where none was given. Throws where KITH_SECRET has changed since one was. Do not log or store them. */
  secrets: () => Promise<SecretsOf<P>>;
  /** Kith's own address, for links: `https://crm.example.com`. */
  origin: () => string;
  /** The current time; tests set it. */
  clock: () => Date;
  /** Writes a line into the log of the process. No personal data: ids do. */
  log: (level: 'info' | 'warn' | 'error', message: string, data?: Record<string, unknown>) => void;
}

/** What is said with an event: nothing, where it declares no data. */
export type DataOf<E> = E extends { data: infer D extends Fields } ? [data: { [K in keyof D]: ValueOf<D[K]> | null }] : [];

type InputOf<A> = A extends { input?: infer I } ? { [K in keyof NonNullable<I>]: ValueOf<NonNullable<I>[K]> | null } : never;

/** What a handler of an action is given besides `ctx`. The record is locked until the transaction ends. */
export interface ActionCall<F, I> {
  /** The record as it stands, locked. */
  record: Rec<F>;
  /** What the person filled in; checked against the declared fields. */
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
  /** What happened to it. */
  kind: 'created' | 'changed' | 'deleted' | 'restored';
  /** UUID of the record. */
  id: string;
  /** Null for a new record. */
  before: F | null;
  /** Its values now; of a deleted one, the last. */
  record: F;
}

/**
 * What follows from changes of an object's records: the state or the sums of others. Runs in their transaction, once for
 * all records of a commit, and may refuse by throwing. Edits in documents do not come here: what others are derived from
 * is `restricted`, `derived` or `arbitrated`.
 */
export type Effect<P, F> = (changes: readonly Effected<F>[], ctx: Context<P>) => Promise<void>;

/** Anything that JSON can carry. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/**
 * Follows all changes, in their order. `handle` runs in the transaction that also notes how far it came: its effects happen
 * once for each event. An event that keeps failing is set aside as a parked job, and the others go on.
 */
export interface Consumer<P> {
  /** Full names of the objects of interest, or how to find them among those that are installed; all unless told. */
  objects?: readonly string[] | ((model: Model) => readonly string[]);
  /** With text still being typed; otherwise only created, deleted and restored records, changes that are settled, and `settled`. */
  unsettled?: boolean;
  /** Deals with the next events. What it throws puts the batch off, then finds the one event at fault. */
  handle: (events: readonly ChangeEvent[], ctx: Context<P>) => Promise<void>;
}

/** Who waits for whom: a person for `interactive`; nobody in particular for `default`; `bulk` takes its time. */
export const LANES = ['interactive', 'default', 'bulk'] as const;
export type Lane = (typeof LANES)[number];

/** A job as its handler sees it. */
export interface QueuedJob {
  /** UUID of the job. */
  id: string;
  /** What it was queued with. */
  data: Json;
  /** How often it was tried before, and why it last failed. */
  attempts: number;
  /** Why the last attempt failed; null at the first. */
  error: string | null;
}

/** What became of a call to somebody outside. */
export type Outcome<R> =
  | { state: 'sent'; result: R }
  /** It certainly did not happen. `retry`: it may be tried again. */
  | { state: 'refused'; error: string; retry: boolean }
  /** It may have happened: the connection was lost after it was handed over, or the process died. It is not repeated. */
  | { state: 'unknown'; error: string };

interface JobCommon {
  /** Which queue it waits in; `default` unless told. */
  lane?: Lane;
  /** A cron expression in UTC: one job each time, whatever number of processes runs. Its data is `{ at }`. */
  schedule?: string;
  /** How often it is tried before it is parked for a person to look at; 8 unless told. */
  tries?: number;
  /** Seconds after which an attempt is given up; 30 unless told. */
  timeout?: number;
}
/** Work in the database: done once, for what it does and that it was done are one transaction. */
export interface TransactionalJob<P> extends JobCommon {
  /** Most jobs that are handed over at once; 1 unless told. When a batch fails, each is tried alone. */
  batch?: number;
  /** Does the jobs, as many as were handed over. What it throws is tried again later. */
  run: (jobs: readonly QueuedJob[], ctx: Context<P>) => Promise<void>;
}
/** A request to somebody outside. */
export interface FetchOptions {
  /** HTTP method; GET unless told. */
  method?: string;
  /** Headers by name. */
  headers?: Readonly<Record<string, string>>;
  /** What is sent. */
  body?: string | Uint8Array<ArrayBuffer> | URLSearchParams;
  /** `follow` unless told; each address that a redirection leads to is looked at as the first was. */
  redirect?: 'follow' | 'manual' | 'error';
  /** Ends the request earlier than the host would. */
  signal?: AbortSignal;
}
/**
 * Asks somebody outside over HTTP. Answers when the whole answer is there, whatever its status; at most 10 MB. Addresses of the
 * house's own network are refused, but for those that KITH_FETCH_ALLOW names. Throws a {@link FetchError}.
 */
export type Fetch = (url: string | URL, options?: FetchOptions) => Promise<Response>;
/** Why there is no answer. */
export class FetchError extends Error {
  override name = 'FetchError';
  /**
   * `refused`: it may not be asked; `unreachable`: there was no connection, so that nothing was handed over; `broken`: the
   * connection broke or the time was up, and what was sent may have arrived; `too_large`: the answer is.
   */
  readonly code: 'refused' | 'unreachable' | 'broken' | 'too_large';
  constructor(code: FetchError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

/** What code gets that runs outside of transactions, where it may wait for somebody outside. */
export interface CallTools<P = AnyPlugin> {
  /** The same for every attempt at one job, for those outside who can tell a repetition by it. */
  key: string;
  /** Aborted when its time is up. */
  signal: AbortSignal;
  /** What the host lends: its mail server. */
  services: Services;
  /** Asks somebody outside over HTTP, until `signal`. */
  fetch: Fetch;
  /** As {@link Context.settings}. */
  settings: () => Promise<SettingsOf<P>>;
  /** As {@link Context.secrets}. */
  secrets: () => Promise<SecretsOf<P>>;
  /** A channel by its name; undefined while no plugin that is on has it. What it is sent over runs with the tools of the channel's own plugin. */
  channel: (name: string) => { send: (message: ChannelMessage) => Promise<Outcome<Delivered>> } | undefined;
}
/** A call to somebody outside: never made twice. It ends sent, refused or unknown. */
export interface ExternalJob<P> extends JobCommon {
  /** In a transaction that is committed before the call. Answers what the call needs; null when there is nothing to call any more. */
  prepare: (job: QueuedJob, ctx: Context<P>) => Promise<Json | null>;
  /** Outside of any transaction. Throws only where it cannot tell what happened; `key` is the same for every attempt. */
  call: (data: Json, tools: CallTools<P>) => Promise<Outcome<Json>>;
  /** In the transaction that ends the job. */
  finish: (job: QueuedJob, outcome: Outcome<Json>, ctx: Context<P>) => Promise<void>;
}
export type Job<P> = TransactionalJob<P> | ExternalJob<P>;

/** What the host lends to calls. */
export interface Services {
  /** Hands a mail to the server that SMTP_URL names. */
  mail: { configured: boolean; send: (mail: OutgoingMail) => Promise<Outcome<Json>> };
}
export interface OutgoingMail {
  /** Sender; Kith's own address unless told. */
  from?: { name: string; address?: string };
  /** Whom it is for. */
  to: { name: string; address: string };
  /** Subject, on one line. */
  subject: string;
  /** The mail as plain text. */
  text: string;
  /** The same as HTML. */
  html?: string;
  /** Its Message-ID, in angle brackets: give the same one with each attempt. */
  messageId?: string;
  /** More headers by name. */
  headers?: Readonly<Record<string, string>>;
}

/** A request to a route of a plugin. */
export interface PluginCall {
  /** Parts of the path by name. */
  params: Readonly<Record<string, string>>;
  /** What stands behind the question mark. */
  query: URLSearchParams;
  /** Parsed JSON, or the fields of a form; empty without one, and on routes that are `raw`. */
  body: Readonly<Record<string, unknown>>;
  /** The body as it came, byte for byte: what a signature is over. */
  raw: Uint8Array;
  /** Headers of the request. */
  headers: Headers;
  /** BCP 47 tag of the caller. */
  language: string;
  /** Throws a problem (RFC 9457) as the answer. */
  fail: (status: number, code: string, message: string, errors?: FieldProblem[]) => never;
}
export interface PluginAnswer {
  /** HTTP status; 200 unless told, 204 without a body. */
  status?: number;
  /** Answered as JSON. */
  body?: Json;
  /** Instead of `body`: the id of a file of this plugin, which the caller gets as a download. */
  file?: string;
  /** Instead of `body`: a page for people, in the look of the host. */
  page?: { title: string; text: string; /** A form with one button that posts back. */ button?: string };
}
/** A path of the API below `/api/v1/x/{plugin}`. */
export interface PluginRoute<P> {
  /** HTTP method. */
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** `/runs/{id}/steps` */
  path: string;
  /**
   * Who may call it before anything else is looked at: anybody (`public`: `handle` checks a signature itself), the staff, its
   * administrators and managers (`lead`), its administrators, or whoever of the staff has a permission of this plugin.
   */
  access: 'public' | 'staff' | 'lead' | 'admin' | { permission: PermissionsOf<P> };
  /** One line for the API's description. */
  summary: string;
  /** Public routes: how often one address may call it in a minute, in each process; 6,000 times unless told. Then it is answered 429. */
  perMinute?: number;
  /** Takes a body of any type, at most 2 MB, and does not parse it: it stands in the call's `raw`. */
  raw?: boolean;
  /** In one transaction, as the caller. */
  handle: (call: PluginCall, ctx: Context<P>) => Promise<PluginAnswer>;
}

/** What an importer found: a record to make, or why it cannot be made. */
export type ImportedRow<F> = {
  /** Where it stands in the file, for people: “line 3”. */
  where: string;
} & (
  | {
      /** Values by field, as for a new record. */
      fields: Partial<F>;
    }
  | {
      /** For people, after where it stands: “has no price”. */
      problem: string;
    }
);
/** Reads a kind of file into records. All of a file's records are made, as the person who brings it, or none. */
export interface Importer<P, O extends keyof ObjectsOf<P> & string = keyof ObjectsOf<P> & string> {
  /** Key of its name in the plugin's catalogue: what kind of file it reads. */
  title: P extends { locales: { en: infer L } } ? keyof L & string : string;
  /** Full name of the object whose records it makes; it is offered above their lists. */
  object: O;
  /** Ends of the names of such files, as `.csv`. */
  accepts: readonly string[];
  /** Reads a file of at most 20 MB. What it throws says why this is no such file. */
  read: (
    file: { name: string; data: Uint8Array },
    ctx: Context<P>,
  ) =>
    | Iterable<ImportedRow<FieldsOf<ObjectsOf<P>[O]>>, unknown, undefined>
    | AsyncIterable<ImportedRow<FieldsOf<ObjectsOf<P>[O]>>, unknown, undefined>;
}
/** Of each object that the plugin may name, an importer. */
export type AnyImporterOf<P> = { [O in keyof ObjectsOf<P> & string]: Importer<P, O> }[keyof ObjectsOf<P> & string];

/** A message on its way out, as a channel gets it. */
export interface ChannelMessage {
  /** UUID of the message, the same for every attempt. */
  id: string;
  /** Whom it is for: what the channel reaches them by, and their name as people read it, if it is known. */
  to: { address: string; name: string };
  /** Who writes: the member of the staff and the organisation, and where an answer reaches them; null for what the system writes. */
  from: { name: string; address: string | null };
  /** One line. */
  subject: string;
  /** The text, plain. */
  body: string;
  /** The record that it is about. */
  about: AnyRef | null;
  /** Where somebody says that they want no more of it. `visible`: the message must show it, since many get it who agreed once. */
  unsubscribe: { url: string; visible: boolean };
  /** Kith's own address. */
  origin: string;
}
/** What a channel says of a message that it has sent. */
export interface Delivered {
  /** What the message is called outside, by which an answer to it can be told. */
  messageId?: string | null;
  /** Nothing left the house: there is nobody to hand it to, and it can be looked at here. */
  kept?: boolean;
}
/** What may be known of a channel. */
export interface ChannelInfo {
  /** Id of the plugin that has it. */
  plugin: string;
  /** As {@link Channel.reach}. */
  reach: string | null;
}
/** A way by which messages (`inbox.message`) leave the house, and come in. */
export interface Channel<P> {
  /** Field of people and companies that says where it reaches them: `email`, `phone`. Without it whoever writes names the address. */
  reach?: string;
  /**
   * Sends one message, outside of any transaction. Called again for the same message only after it has answered `refused` with
   * `retry`; what it throws means that nobody knows.
   */
  send: (message: ChannelMessage, tools: CallTools<P>) => Promise<Outcome<Delivered>>;
  /**
   * What comes in: `POST /api/v1/x/{plugin}/channels/{name}`, public, its body as it came. It checks the signature itself, and
   * makes an `inbox.message` with direction `in` whose `key` is the sender's own, so that a repetition makes none.
   */
  receive?: (call: PluginCall, ctx: Context<P>) => Promise<PluginAnswer>;
}

/** What a service gets. It has no transaction until it asks for one. */
export interface ServiceTools<P = AnyPlugin> {
  /**
   * Aborted when this process is to stop, is not the owner any more, or the plugin is switched off or told something else. End
   * then, within a few seconds: another process does not wait longer.
   */
  signal: AbortSignal;
  /** Runs `work` in a transaction, as a job has one. Throws where another process has taken over: then nothing is written. */
  transaction: <T>(work: (ctx: Context<P>) => Promise<T>) => Promise<T>;
  /** Asks somebody outside over HTTP, until `signal`; for 30 seconds at most. */
  fetch: Fetch;
  /** As {@link Context.settings}. When they change, the service ends and begins anew. */
  settings: () => Promise<SettingsOf<P>>;
  /** As {@link Context.secrets}. */
  secrets: () => Promise<SecretsOf<P>>;
  /** Waits for so many milliseconds. Throws when `signal` says so, which ends the service. */
  sleep: (ms: number) => Promise<void>;
  /** The current time; tests set it. */
  clock: () => Date;
  /** Writes a line into the log of the process. No personal data: ids do. */
  log: (level: 'info' | 'warn' | 'error', message: string, data?: Record<string, unknown>) => void;
}
/**
 * Code that runs for as long as Kith does, in one of its worker processes: what watches a mailbox, or keeps a line open. When
 * that process ends or loses its database, another takes over.
 */
export interface Service<P> {
  /** Key of its name in the plugin's catalogue. */
  title: P extends { locales: { en: infer L } } ? keyof L & string : string;
  /** Runs until its `signal` is aborted. When it throws or ends before, it begins again after a pause, which grows each time. */
  run: (service: ServiceTools<P>) => Promise<void>;
}

/** A change of the database that is not additive. Runs once, in order of the list. */
export interface Migration {
  /** `0001-what-it-does`; never renamed. */
  name: string;
  /** Statements in the plugin's own schema. */
  up: readonly string[];
}

export interface Server<P> {
  /** The declaration that these handlers belong to. */
  plugin: P;
  /** By object: checks and derives before each change of a record. See Guard. */
  guards?: P extends { objects: infer O }
    ? { [K in keyof O]?: O[K] extends { fields: infer F extends Fields } ? Guard<RecordFields<F>> : never }
    : never;
  /** By object: what follows from changes, in their transaction. See Effect. */
  effects?: P extends { objects: infer O }
    ? { [K in keyof O]?: O[K] extends { fields: infer F extends Fields } ? Effect<P, RecordFields<F>> : never }
    : never;
  /** Changes of the database that the declaration does not bring by itself, in their order. */
  migrations?: readonly Migration[];
  /** By name: who follows all changes, in the background. See Consumer. */
  consumers?: Readonly<Record<string, Consumer<P>>>;
  /** By name: work that is queued with `ctx.queue`, or done on a schedule. */
  jobs?: Readonly<Record<string, Job<P>>>;
  /** Paths of the API below `/api/v1/x/{plugin}`. */
  routes?: readonly PluginRoute<P>[];
  /** By name: kinds of files that are read into records. */
  importers?: Readonly<Record<string, AnyImporterOf<P>>>;
  /** By name, unique among all plugins: ways by which messages go out and come in. */
  channels?: Readonly<Record<string, Channel<P>>>;
  /** By name: what runs all the time, in one process. */
  services?: Readonly<Record<string, Service<P>>>;
  /** Runs once in each worker process as it starts, in a transaction: what must be there, such as records that the plugin brings. */
  start?: (ctx: Context<P>) => Promise<void>;
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
  /** E-mail address, with which the person signs in. */
  email: string;
  /** Name as people read it. */
  name: string;
  /** Role in the staff. */
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
  consumers?: Readonly<Record<string, Consumer<AnyPlugin>>>;
  jobs?: Readonly<Record<string, Job<AnyPlugin>>>;
  routes?: readonly PluginRoute<AnyPlugin>[];
  importers?: Readonly<Record<string, Importer<AnyPlugin>>>;
  channels?: Readonly<Record<string, Channel<AnyPlugin>>>;
  services?: Readonly<Record<string, Service<AnyPlugin>>>;
  start?: (ctx: Context<AnyPlugin>) => Promise<void>;
  actions?: Record<string, Record<string, ActionHandler<AnyPlugin, Record<string, FieldValue>, Record<string, FieldValue>>>>;
  demo?: Record<string, Demo<AnyPlugin>>;
}
