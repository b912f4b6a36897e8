/**
 * The one door: every record is read and changed here, whoever asks. A change
 * checks the right, validates, and writes columns, document, ledger and outbox
 * in one transaction; then everybody who is looking is told.
 */
import { readField, serverUpdate, loadDoc } from '@kith/doc';
import {
  isUuid,
  sameValue,
  type ActionCall,
  type AnyServer,
  type Context,
  type AnyPlugin,
  type Effected,
  type FieldProblem,
  type FieldValue,
  type Model,
  type ModelField,
  type ModelObject,
  type Principal,
  type Rec,
  type RecordsDoor,
  type Rule,
} from '@kith/sdk';
import { sql } from 'kysely';
import type pg from 'pg';
import { can, isRowless, ruleSql } from '../access/filter.ts';
import { accessOf, actionRule, creatableFields, portalOf, readableFields, writableFields } from '../access/grant.ts';
import { quote, transaction, type Db, type Queryable } from '../database.ts';
import { conflict, forbidden, invalid, isDatabaseError, KithError, notFound, type DatabaseError } from '../errors.ts';
import { filesOn } from '../files.ts';
import { newId } from '../ids.ts';
import type { Log } from '../log.ts';
import { hasRole, SYSTEM } from '../principal.ts';
import { addJob, addJobs, dropKeyed } from '../jobs/rows.ts';
import { addNotices } from '../notices.ts';
import type { PluginSettings } from '../plugins/settings.ts';
import { foreignKeyName, sequenceName } from '../schema/migrate.ts';
import type { Query } from '../query/query.ts';
import { audienceColumns, columnList, columnType, fieldsOf, fromColumn, tableName, toLiteral, type SystemRow } from './columns.ts';
import { commit, momentAfter, type Cause, type Changes, type DocumentWrite, type LedgerWrite, type Taken, type Unit } from './commit.ts';
import { Consequences } from './consequences.ts';
import { readStored, renew, type FieldNumbers, type Stored, type StoredDocument } from './documents.ts';
import { docBit, fieldsIn, type Facet } from './facets.ts';
import { masked, requireVersion, stillIn, versionFor, writesTo } from './outsiders.ts';
import { applyGuard, checkInput, defaultsOf, guardsOf, missing, type Guards } from './prepare.ts';

/** What a commit did, for those who are looking. */
export interface Committed {
  object: string;
  record: string;
  kind: 'created' | 'changed' | 'deleted' | 'restored';
  /** New sequences of its documents, by facet number; empty when none moved. */
  seqs: Record<string, number>;
  /** Numbers of facets whose documents have begun a new life: whoever has one open leaves. */
  renewed?: readonly number[];
}

export interface DoorOptions {
  /** For the commit statement and document reads: plans are kept, values do not matter to them. */
  writePool: pg.Pool;
  db: Db;
  model: Model;
  servers: readonly AnyServer[];
  query: Query;
  settings: PluginSettings;
  /** The channels of plugins that are on. */
  channels: () => Context<AnyPlugin>['world']['channels'];
  numbers: ReadonlyMap<string, FieldNumbers>;
  /** Called after each commit. */
  told: (committed: readonly Committed[]) => void;
  /** Called after a commit that added jobs. */
  queued: () => void;
  /** Called after a commit that told something of records without changing one. */
  emitted: () => void;
  /** Called after a commit that told people something, with their ids. */
  noticed: (people: readonly string[]) => void;
  origin: () => string;
  log: Log;
  clock: () => Date;
}

/** What a transaction does, gathered until it is committed. `queued`: it adds jobs too; `noticed`: it tells these people something; `emitted`: it tells something of records. */
export type Told = Committed[] & { queued?: true; noticed?: Set<string>; emitted?: true };

/** A request to change records: who, why. */
export interface Actor {
  principal: Principal;
  cause: Cause;
}

/** Most records in one set-based statement, so that nobody waits long behind it. */
export const BULK = 1000;
const OPTIMISTIC_TRIES = 3;
/** How often a transaction that Postgres ended for the sake of another is begun anew. */
const DEADLOCK_TRIES = 6;
/** Types of fields that point at something. */
const REFERENCES = new Set(['ref', 'refs', 'anyRef', 'user']);
/** Those who may stand in a field of users. */
const STAFF_USERS = `(select id from kith."user" where kind = 'staff') u`;
/** Shapes of inserts whose plans are kept. */
const MOST_INSERTS = 200;
/** Problems named in one answer. */
const MOST_PROBLEMS = 100;

type Values = Record<string, FieldValue>;
type Input = Readonly<Record<string, unknown>>;

/** A change that was prepared, and what it does to the record's documents besides. */
interface Planned {
  unit: Unit;
  before: Values;
  /** Facets that begin a new life, since the record passes to other readers. */
  renew: readonly Facet[];
  /** Audiences whose company changes. */
  passes: readonly string[];
}

export class Records {
  readonly #o: DoorOptions;
  readonly guards: Guards;
  readonly #inserts = new Map<string, string>();
  readonly #consequences: Consequences;

  constructor(options: DoorOptions) {
    this.#o = options;
    this.guards = guardsOf(options.servers);
    this.#consequences = new Consequences(options.model, options.servers);
  }

  /** An object by its full name. @throws 404 */
  object(name: string): ModelObject {
    const object = this.#o.model.objects.get(name);
    if (!object) throw notFound('object');
    return object;
  }

  /** One record, with all fields, as it stands or as it stood. */
  async get(principal: Principal, object: ModelObject, id: string, asOf?: string): Promise<Rec> {
    if (principal.outside) {
      // People from outside read behind the second wall, a single record as well as a list.
      const [found] = isUuid(id) ? (await this.#o.query.list(principal, object, { ids: [id], limit: 1 })).data : [];
      if (!found) throw notFound('record');
      return asOf === undefined ? found : { ...found, fields: await this.stateAt(principal, object, found, asOf) };
    }
    const stored = await this.#read(this.#o.writePool, principal, object, id);
    if (stored.row.deleted_at !== null && asOf === undefined) throw notFound('record');
    const rec = this.#rec(object, stored);
    return asOf === undefined ? rec : { ...rec, fields: await this.stateAt(principal, object, rec, asOf) };
  }

  /** Creates one record. */
  async create(actor: Actor, object: ModelObject, input: Input): Promise<Rec> {
    const [rec] = await this.createMany(actor, object, [input]);
    return rec!;
  }

  /** Creates many, all or nothing, in chunks of {@link BULK}. Problems name the row they are in. */
  async createMany(actor: Actor, object: ModelObject, inputs: readonly Input[]): Promise<Rec[]> {
    const path = inputs.length > 1 ? 'create' : undefined;
    let prepared: Values[] = [];
    const single = inputs.length <= BULK && isRowless(accessOf(object, actor.principal).create) && !this.#consequences.concern(object);
    try {
      if (single) {
        const committed: Told = [];
        prepared = this.#prepareCreates(actor, object, inputs, path);
        const made = await this.#insert(this.#o.writePool, actor, object, prepared, committed);
        this.#o.told(committed);
        return made;
      }
      return await this.#transact(async (client, committed) => {
        const filled = await this.#fill(client, object, inputs);
        prepared = this.#prepareCreates(actor, object, filled, path, inputs);
        return this.#insertAll(client, actor, object, prepared, committed);
      });
    } catch (error) {
      throw prepared.length > 1 ? await this.#explainedRow(object, prepared, error) : explain(this.#o.model, object, error);
    }
  }

  /** Inserts in chunks of {@link BULK}, and does what follows. */
  async #insertAll(
    client: pg.PoolClient,
    actor: Actor,
    object: ModelObject,
    prepared: readonly Values[],
    committed: Told,
    causes?: readonly string[],
  ): Promise<Rec[]> {
    const made: Rec[] = [];
    for (let i = 0; i < prepared.length; i += BULK) {
      const recs = await this.#insert(client, actor, object, prepared.slice(i, i + BULK), committed, causes?.slice(i, i + BULK));
      const own = committed.length;
      await this.#follow(
        client,
        actor,
        object,
        recs.map((rec, at) => ({ kind: 'created', id: rec.id, before: null, record: { ...prepared[i + at]!, ...rec.fields } })),
        committed,
      );
      made.push(...(await this.#asTheyStand(client, actor.principal, object, recs, committed.slice(own))));
    }
    return made;
  }

  /**
   * Runs `work` in a transaction and tells of what it committed. Whoever is in the way of another (what follows from a change
   * may lock records in another order than somebody else) begins anew.
   */
  async #transact<T>(work: (client: pg.PoolClient, committed: Told) => Promise<T>, pool: pg.Pool = this.#o.writePool): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const committed: Told = [];
      try {
        const result = await transaction(pool, (client) => work(client, committed));
        this.#tell(committed);
        return result;
      } catch (error) {
        if (attempt >= DEADLOCK_TRIES || !isDatabaseError(error, '40')) throw error;
      }
    }
  }

  #tell(committed: Told): void {
    this.#o.told(committed);
    if (committed.queued) this.#o.queued();
    if (committed.noticed) this.#o.noticed([...committed.noticed]);
    if (committed.emitted && committed.length === 0) this.#o.emitted();
  }

  /**
   * Runs `work` in a transaction, with the contexts of a plugin's handlers on it: jobs, consumers, routes.
   */
  async within<T>(
    plugin: string,
    actor: Actor,
    work: (ctx: Context<AnyPlugin>, client: pg.PoolClient, told: Told) => Promise<T>,
    pool: pg.Pool = this.#o.writePool,
  ): Promise<T> {
    return this.#transact((client, committed) => work(this.#context(client, actor, committed, plugin), client, committed), pool);
  }

  /** Locks records, those that they are derived from first, each kind in the order of ids: as every writer does. */
  async #lock(client: Queryable, object: ModelObject, ids: readonly string[]): Promise<void> {
    for (const { ref, target } of this.#consequences.parentsOf(object)) {
      await client.query({
        text: `select from ${tableName(target)} p where p.id in (select o.${quote(ref)} from ${tableName(object)} o where o.id = any($1)) order by p.id for no key update`,
        values: [ids],
      });
    }
    await client.query({ text: `select from ${tableName(object)} where id = any($1) order by id for no key update`, values: [ids] });
  }

  /**
   * Commits changes in a transaction with everything that follows from them: copies in other records, documents that pass to
   * other readers, effects of plugins.
   */
  async #carryOut(client: pg.PoolClient, actor: Actor, planned: readonly Planned[], committed: Told): Promise<Map<string, Taken>> {
    const taken = await commit(
      client,
      planned.map(({ unit }) => unit),
      true,
    );
    const followed = new Map<ModelObject, Effected<Values>[]>();
    for (const { unit, before, renew: facets, passes } of planned) {
      const one = taken.get(unit.id);
      if (!one) throw conflict('The record is being changed by somebody else; try again.');
      const renewed: number[] = [];
      for (const facet of facets)
        if (await renew(client, unit.object, this.#o.numbers.get(unit.object.name)!, unit.id, facet)) renewed.push(facet.num);
      if (passes.length > 0) {
        const sets = passes.map((audience) => `${quote(audienceColumns(audience).since)} = updated_at`);
        await client.query({ text: `update ${tableName(unit.object)} set ${sets.join(', ')} where id = $1`, values: [unit.id] });
      }
      committed.push({ ...told(unit, one), ...(renewed.length > 0 ? { renewed } : {}) });
      const changes = followed.get(unit.object) ?? [];
      changes.push({ kind: 'changed', id: unit.id, before, record: { ...before, ...unit.patch } });
      followed.set(unit.object, changes);
    }
    for (const [object, changes] of followed) await this.#follow(client, actor, object, changes, committed);
    return taken;
  }

  /** What follows from changes of an object's records, in their transaction. */
  async #follow(
    client: pg.PoolClient,
    actor: Actor,
    object: ModelObject,
    changes: readonly Effected<Values>[],
    committed: Told,
  ): Promise<void> {
    for (const copy of this.#consequences.copiesOf(object)) {
      const moved = changes.filter(
        ({ kind, before, record }) => kind === 'changed' && !sameValue(before?.[copy.source], record[copy.source]),
      );
      for (const { id, record } of moved) {
        const { rows } = await client.query<{ id: string }>(
          `select id from ${tableName(copy.object)} where ${quote(copy.ref)} = $1 and deleted_at is null order by id for no key update`,
          [id],
        );
        const planned: Planned[] = [];
        for (const child of rows) {
          const stored = await readStored(client, copy.object, child.id, copy.object.facets);
          const plan =
            stored && (await this.#plan(client, actor, copy.object, stored, { [copy.field]: record[copy.source] ?? null }, true));
          if (plan) planned.push(plan);
        }
        if (planned.length > 0) await this.#carryOut(client, actor, planned, committed);
      }
    }
    const effect = this.#consequences.effectOf(object);
    if (effect) await effect(changes, this.#context(client, actor, committed, object.plugin));
  }

  /** New records with what they take over from the records that they refer to. */
  async #fill(client: Queryable, object: ModelObject, inputs: readonly Input[]): Promise<Input[]> {
    const filled = inputs.map((input) => ({ ...input }) as Record<string, unknown>);
    for (const { ref, target, fields } of this.#consequences.taken(object)) {
      const ids = [...new Set(filled.map((input) => input[ref]).filter(isUuid))];
      if (ids.length === 0) continue;
      // Locked as whoever writes it would, so that a copy cannot miss a change of what it is copied from; what is taken over once may be a moment old.
      const lock = fields.some(({ kept }) => kept) ? 'for no key update' : '';
      const { rows } = await client.query<SystemRow & Record<string, unknown>>({
        text: `select ${columnList(target, 'o')} from ${tableName(target)} o where o.id = any($1) order by o.id ${lock}`,
        values: [ids],
      });
      const byId = new Map(rows.map((row) => [row.id, fieldsOf(target, row)]));
      for (const input of filled) {
        const from = byId.get(input[ref] as string);
        for (const { name, source, kept } of fields) if (from && (kept || (input[name] ?? null) === null)) input[name] = from[source];
      }
    }
    return filled;
  }

  /**
   * Writes the given fields. Retries while others write the same record.
   * @param ifVersion The version that the caller saw; 412 when the record has moved on.
   */
  async patch(
    actor: Actor,
    object: ModelObject,
    id: string,
    input: Input,
    ifVersion?: number,
    trusted = isTrusted(actor.principal),
  ): Promise<Rec> {
    if (this.#consequences.concern(object)) {
      const rec = await this.#explained(object, () =>
        this.#transact(async (client, committed) => {
          if (isUuid(id)) await this.#lock(client, object, [id]);
          return this.#patchOn(client, actor, object, id, input, ifVersion, trusted, committed);
        }),
      );
      return this.#shown(actor.principal, object, rec);
    }
    for (let attempt = 1; ; attempt++) {
      const last = attempt > OPTIMISTIC_TRIES;
      const work = async (client: Queryable): Promise<{ rec: Rec; committed: Told } | undefined> => {
        const { rec, changed } = await this.#patchUnit(client, actor, object, id, input, ifVersion, trusted);
        if (!changed) return { rec, committed: [] };
        const taken = (await commit(client, [changed.unit], true)).get(id);
        return taken && { rec: after(rec, changed.unit, taken), committed: [told(changed.unit, taken)] };
      };
      const done = await this.#explained(object, () =>
        last
          ? transaction(this.#o.writePool, async (client) => {
              await client.query(`select from ${tableName(object)} where id = $1 for no key update`, [id]);
              return work(client);
            })
          : work(this.#o.writePool),
      );
      if (done) {
        this.#o.told(done.committed);
        return done.rec;
      }
      if (last) throw conflict('The record is being changed by somebody else; try again.');
    }
  }

  /** The same on a transaction's connection, on a record that is locked, with all that follows. */
  async #patchOn(
    client: pg.PoolClient,
    actor: Actor,
    object: ModelObject,
    id: string,
    input: Input,
    ifVersion: number | undefined,
    trusted: boolean,
    committed: Told,
  ): Promise<Rec> {
    const { rec, changed } = await this.#patchUnit(client, actor, object, id, input, ifVersion, trusted);
    if (!changed) return rec;
    const own = committed.length + 1;
    const taken = (await this.#carryOut(client, actor, [changed], committed)).get(id)!;
    return (await this.#asTheyStand(client, SYSTEM, object, [after(rec, changed.unit, taken)], committed.slice(own)))[0]!;
  }

  /** Records that were just written, with what came back to them from what followed, as `reader` may see them. */
  async #asTheyStand(
    client: Queryable,
    reader: Principal,
    object: ModelObject,
    recs: readonly Rec[],
    followed: readonly Committed[],
  ): Promise<Rec[]> {
    const again = new Set(followed.map((one) => one.record));
    const now: Rec[] = [];
    for (const rec of recs) {
      const stored = again.has(rec.id) ? await readStored(client, object, rec.id, []) : undefined;
      now.push(stored ? masked(object, reader, { ...this.#rec(object, stored), version: versionFor(object, reader, stored) }) : rec);
    }
    return now;
  }

  /** A record that was just changed, as whoever changed it may see it. */
  async #shown(principal: Principal, object: ModelObject, rec: Rec): Promise<Rec> {
    if (!principal.outside) return rec;
    const [now] = (await this.#o.query.list(principal, object, { ids: [rec.id], limit: 1 })).data;
    // Their own change may have taken it out of their sight.
    return now ?? masked(object, principal, rec);
  }

  /** Puts a record into the bin. */
  async remove(actor: Actor, object: ModelObject, id: string, ifVersion?: number): Promise<void> {
    await this.#move(actor, object, id, 'delete', ifVersion);
  }

  /** Takes a record out of the bin. */
  async restore(actor: Actor, object: ModelObject, id: string): Promise<Rec> {
    await this.#move(actor, object, id, 'restore');
    return this.get(actor.principal, object, id);
  }

  /** Creates, changes and deletes, all or nothing; at most {@link BULK} in all. */
  async batch(
    actor: Actor,
    object: ModelObject,
    work: { create: readonly Input[]; update: readonly { id: string; fields: Input }[]; delete: readonly string[] },
  ): Promise<{ created: Rec[]; updated: Rec[]; deleted: string[] }> {
    let creates: Values[] = [];
    let inserting = false;
    const run = async (client: pg.PoolClient, committed: Told): Promise<{ created: Rec[]; updated: Rec[]; deleted: string[] }> => {
      const filled = await this.#fill(client, object, work.create);
      creates = work.create.length > 0 ? this.#prepareCreates(actor, object, filled, 'create', work.create) : [];
      const ids = [...new Set([...work.update.map((one) => one.id), ...work.delete])].filter(isUuid).sort();
      await this.#lock(client, object, ids);
      inserting = true;
      const created = await this.#insertAll(client, actor, object, creates, committed);
      inserting = false;
      const refusals: { path: string; error: KithError }[] = [];
      const seen = new Set<string>();
      /** One row's part; what refuses it is kept until all rows have been looked at. */
      const row = async (path: string, id: string, part: () => Promise<void>): Promise<void> => {
        try {
          if (seen.has(id)) throw invalid([{ code: 'invalid', message: 'names a record a second time' }]);
          seen.add(id);
          await part();
        } catch (error) {
          if (!(error instanceof KithError)) throw error;
          refusals.push({ path, error });
        }
      };
      const changes: { rec: Rec; changed: Planned | null }[] = [];
      for (const [i, { id, fields }] of work.update.entries()) {
        await row(`update[${i}]`, id, async () => {
          const change = await this.#patchUnit(client, actor, object, id, fields, undefined, isTrusted(actor.principal));
          const unknown = change.changed ? await this.#unknown(client, object, [change.changed.unit.patch], true) : [];
          if (unknown.length > 0) throw invalid(unknown.map(({ field }) => unknownReference(field)));
          changes.push(change);
        });
      }
      for (const [i, id] of work.delete.entries()) {
        await row(`delete[${i}]`, id, async () => {
          await this.#moveOn(client, actor, object, id, 'delete', undefined, committed);
        });
      }
      if (refusals.length > 0) throw refusedRows(refusals);
      const planned = changes.flatMap((one) => one.changed ?? []);
      const taken = planned.length > 0 ? await this.#carryOut(client, actor, planned, committed) : new Map<string, Taken>();
      const updated = changes.map(({ rec, changed }) => (changed ? after(rec, changed.unit, taken.get(changed.unit.id)!) : rec));
      return { created, updated, deleted: [...work.delete] };
    };
    try {
      const { created, updated, deleted } = await this.#transact(run);
      return { created, updated: await Promise.all(updated.map((rec) => this.#shown(actor.principal, object, rec))), deleted };
    } catch (error) {
      throw inserting ? await this.#explainedRow(object, creates, error) : explain(this.#o.model, object, error);
    }
  }

  /** Runs an action of a plugin on a record, in one transaction with everything that it changes. */
  async act(actor: Actor, object: ModelObject, id: string, name: string, input: Input): Promise<Rec> {
    const action = object.actions.get(name);
    const server = this.#o.servers.find((one) => one.plugin.id === action?.plugin);
    const handler = server?.actions?.[object.key]?.[name];
    if (!action || !handler) throw notFound('action');
    // Who may not see the record or run the action learns nothing of what it would take.
    const rule = actionRule(object, actor.principal, name);
    if (actor.principal.outside && 'nobody' in rule) {
      await this.get(actor.principal, object, id);
      throw forbidden();
    }
    const rec = await this.#explained(object, () =>
      this.#transact(async (client, committed) => {
        if (isUuid(id)) await this.#lock(client, object, [id]);
        return this.#actOn(client, actor, object, id, name, input, committed);
      }),
    );
    return this.#shown(actor.principal, object, rec);
  }

  /** The same on a transaction's connection, on a record that is locked. */
  async #actOn(
    client: pg.PoolClient,
    actor: Actor,
    object: ModelObject,
    id: string,
    name: string,
    input: Input,
    committed: Told,
  ): Promise<Rec> {
    const action = object.actions.get(name);
    const handler = this.#o.servers.find((one) => one.plugin.id === action?.plugin)?.actions?.[object.key]?.[name];
    if (!action || !handler) throw notFound('action');
    const values = checkSaid(action.input ?? {}, input);
    const stored = await this.#read(client, actor.principal, object, id);
    if (stored.row.deleted_at !== null) throw notFound('record');
    await this.#require(client, actor.principal, object, stored, actionRule(object, actor.principal, name));
    const call: ActionCall<Values, Values> = {
      record: this.#rec(object, stored),
      input: values,
      refuse: (message, field) => {
        throw new KithError(409, 'refused', message, { errors: [{ ...(field ? { field } : {}), code: 'refused', message }] });
      },
    };
    // What a workflow does stays its doing; whatever a person runs is a cause of its own.
    const cause: Cause = actor.cause.kind === 'api' ? { kind: 'action', id: newId() } : actor.cause;
    const within: Actor = { principal: actor.principal, cause };
    const fields = (await handler(call, this.#context(client, within, committed, action.plugin))) ?? {};
    await client.query({
      name: 'kith_acted',
      text: `insert into kith.outbox (object, record, kind, author, version, changes, cause_kind, cause, act, audience)
        values ($1, $2, 'acted', $3, $4, '{}', $5, $6, $7, $8)`,
      values: [
        object.name,
        id,
        actor.principal.id,
        stored.row.version,
        cause.kind,
        cause.id,
        name,
        actor.principal.outside?.audience ?? null,
      ],
    });
    // What the handler did to other records may have come back to this one.
    const now = (await readStored(client, object, id, object.facets))!;
    const plan = await this.#plan(client, within, object, now, fields, true);
    if (!plan) {
      committed.push({ object: object.name, record: id, kind: 'changed', seqs: {} });
      return this.#rec(object, now);
    }
    const own = committed.length + 1;
    const taken = (await this.#carryOut(client, within, [plan], committed)).get(id)!;
    return (await this.#asTheyStand(client, SYSTEM, object, [after(this.#rec(object, now), plan.unit, taken)], committed.slice(own)))[0]!;
  }

  /** Sets derived fields of many records at once; see {@link RecordsDoor.derive}. */
  async #derive(
    client: pg.PoolClient,
    actor: Actor,
    object: ModelObject,
    changes: readonly { id: string; fields: Input }[],
    committed: Told,
  ): Promise<void> {
    if (!isTrusted(actor.principal)) throw forbidden();
    const names = [...new Set(changes.flatMap(({ fields }) => Object.keys(fields)))];
    for (const name of names) {
      const field = object.fields.get(name);
      if (field?.mode !== 'derived') throw invalid([{ field: name, code: 'read_only', message: 'is not a derived field' }]);
      // What others copy, or decide by, goes the long way, with all that follows.
      if (this.#consequences.copiesOf(object).some(({ source }) => source === name))
        throw invalid([{ field: name, code: 'read_only', message: 'is copied elsewhere; use patchMany' }]);
    }
    const wanted = new Map(changes.map(({ id, fields }) => [id, checkInput(object, fields, true)]));
    const problems = [...wanted.values()].flatMap((one) => one.problems);
    if (problems.length > 0) throw invalid(problems.slice(0, MOST_PROBLEMS));
    const seen = [...object.portals].flatMap(([audience, portal]) =>
      names.some((name) => portal.read.has(name)) ? [audienceColumns(audience)] : [],
    );
    const ids = [...wanted.keys()].filter(isUuid);
    for (let i = 0; i < ids.length; i += BULK) {
      const { rows } = await client.query<SystemRow & Record<string, unknown>>({
        text: `select ${columnList(object, 'o', names)} from ${tableName(object)} o
          where o.id = any($1) and o.deleted_at is null order by o.id for no key update`,
        values: [ids.slice(i, i + BULK)],
      });
      const moved = rows.flatMap((row) => {
        const pairs: Record<string, [FieldValue, FieldValue]> = {};
        for (const [name, value] of Object.entries(wanted.get(row.id)!.values)) {
          const was = fromColumn(object.fields.get(name)!, row[name]);
          if (!sameValue(was, value)) pairs[name] = [was, value];
        }
        return Object.keys(pairs).length > 0 ? [{ id: row.id, pairs }] : [];
      });
      if (moved.length === 0) continue;
      const tracked = moved.map(({ pairs }) => Object.entries(pairs).filter(([name]) => object.fields.get(name)!.spec.tracked));
      const sets = names.map((name) => {
        const column = quote(name);
        return `${column} = case when i.patch ? '${name}' then (i.patch ->> '${name}')::${columnType(object.fields.get(name)!)} else o.${column} end`;
      });
      for (const { version, updatedAt } of seen)
        sets.push(`${quote(version)} = o.${quote(version)} + 1`, `${quote(updatedAt)} = ${momentAfter(`o.${quote(updatedAt)}`)}`);
      await client.query({
        text: `with i as materialized (
            select * from unnest($1::uuid[], $2::jsonb[], $3::jsonb[], $4::jsonb[], $5::uuid[]) as t (id, patch, event, entry, entry_id)),
          up as (
            update ${tableName(object)} o set ${[...sets, 'version = o.version + 1'].join(', ')} from i where o.id = i.id
            returning o.id, o.version),
          le as (
            insert into kith.ledger (id, object, record, author, kind, cause_kind, cause, changes)
            select entry_id, $6, id, $7, 'change', $8, $9, entry from i where entry is not null)
          insert into kith.outbox (object, record, kind, author, version, changes, cause_kind, cause)
          select $6, i.id, 'changed', $7, up.version, i.event, $8, $9 from i join up using (id)`,
        values: [
          moved.map(({ id }) => id),
          moved.map(({ pairs }) =>
            JSON.stringify(
              Object.fromEntries(Object.entries(pairs).map(([name, [, to]]) => [name, toLiteral(object.fields.get(name)!, to)])),
            ),
          ),
          moved.map(({ pairs }) => JSON.stringify(pairs)),
          tracked.map((pairs) => (pairs.length > 0 ? JSON.stringify(Object.fromEntries(pairs)) : null)),
          moved.map(() => newId()),
          object.name,
          actor.principal.id,
          actor.cause.kind,
          actor.cause.id,
        ],
      });
      for (const { id } of moved) committed.push({ object: object.name, record: id, kind: 'changed', seqs: {} });
    }
  }

  /**
   * Runs `work` once per principal and key: the answer is kept with what it did, in one transaction,
   * and given again to whoever repeats the request.
   */
  async once(
    principal: Principal,
    key: string,
    requestHash: string,
    work: (records: Transactional) => Promise<{ status: number; body: unknown }>,
  ): Promise<{ status: number; body: unknown; repeated: boolean }> {
    return this.#transact(async (client, committed) => {
      const { rowCount } = await client.query(
        `insert into kith.idempotency (principal, key, request_hash, status, body) values ($1, $2, $3, 0, '{}') on conflict do nothing`,
        [principal.id, key, requestHash],
      );
      if (rowCount === 0) {
        const { rows } = await client.query<{ request_hash: string; status: number; body: unknown }>(
          'select request_hash, status, body from kith.idempotency where principal = $1 and key = $2',
          [principal.id, key],
        );
        if (rows[0]?.request_hash !== requestHash) {
          throw new KithError(422, 'idempotency_mismatch', 'This Idempotency-Key was used for another request; take a new one.');
        }
        return { status: rows[0].status, body: rows[0].body, repeated: true };
      }
      const done = await work({
        create: async (actor, object, input) =>
          this.#explained(object, async () => {
            const prepared = this.#prepareCreates(actor, object, await this.#fill(client, object, [input]), undefined, [input]);
            return (await this.#insertAll(client, actor, object, prepared, committed))[0]!;
          }),
        context: (actor, plugin) => this.#context(client, actor, committed, plugin),
      });
      await client.query('update kith.idempotency set status = $3, body = $4 where principal = $1 and key = $2', [
        principal.id,
        key,
        done.status,
        JSON.stringify(done.body),
      ]);
      return { ...done, repeated: false };
    });
  }

  /** The fields of a record as they stood at a time: today's with the later changes undone. */
  async stateAt(principal: Principal, object: ModelObject, rec: Rec, at: string): Promise<Values> {
    const readable = readableFields(object, principal);
    const since = await this.#theirsSince(principal, object, rec.id);
    if (rec.createdAt > at || (since !== null && since > at)) throw notFound('record at that time');
    const { rows } = await this.#o.writePool.query<{ changes: Changes }>(
      // Times travel in milliseconds: one stands for the whole of its millisecond, so that the state after a change can be named by it.
      `select changes from kith.ledger where record = $1 and at >= $2::timestamptz + interval '1 millisecond' and kind = 'change' order by at desc, id desc`,
      [rec.id, at],
    );
    const fields: Values = { ...rec.fields };
    for (const { changes } of rows) {
      for (const [name, change] of Object.entries(changes))
        if (change && object.fields.has(name) && readable?.has(name) !== false) fields[name] = change[0];
    }
    return fields;
  }

  /** Since when a record is that of the company of somebody from outside: what was before is not for them. Null for staff. */
  async #theirsSince(principal: Principal, object: ModelObject, id: string): Promise<string | null> {
    if (!principal.outside) return null;
    const { since } = audienceColumns(principal.outside.audience);
    const { rows } = await this.#o.writePool.query<{ since: string }>(
      `select ${quote(since)} as since from ${tableName(object)} where id = $1`,
      [id],
    );
    if (!rows[0]) throw notFound('record');
    return rows[0].since;
  }

  /** Puts fields back to what they were at a time: the named ones, or all that can be written. */
  async revert(actor: Actor, object: ModelObject, id: string, at: string, names?: readonly string[]): Promise<Rec> {
    const rec = await this.get(actor.principal, object, id);
    const written = (name: string): boolean => ['live', 'restricted'].includes(object.fields.get(name)?.mode ?? '');
    const fixed = (names ?? []).filter((name) => !written(name));
    if (fixed.length > 0) throw invalid(fixed.map((field) => ({ field, code: 'read_only', message: 'is not written by people' })));
    const then = await this.stateAt(actor.principal, object, rec, at);
    const input: Values = {};
    for (const field of object.fields.values()) {
      if (!written(field.name) || (names && !names.includes(field.name))) continue;
      if (!sameValue(then[field.name], rec.fields[field.name])) input[field.name] = then[field.name] ?? null;
    }
    return this.patch({ principal: actor.principal, cause: { kind: 'revert', id: newId() } }, object, id, input);
  }

  /**
   * What a principal may do with a record, and in which life a document of it is, as of one moment: whoever reads the right in
   * one moment and the document in another may find that the record has passed to somebody else in between.
   */
  async rights(
    principal: Principal,
    object: ModelObject,
    id: string,
    facet?: Facet,
  ): Promise<{ read: boolean; update: boolean; generation: number | null }> {
    if (!isUuid(id)) return { read: false, update: false, generation: null };
    const { read, update } = accessOf(object, principal);
    const scope = { model: this.#o.model, principal };
    const { rows } = await sql<{ read: boolean | null; update: boolean | null; generation: number | null }>`
      select ${ruleSql(scope, object, 'o', read)} and ${stillIn(principal)} as read, ${ruleSql(scope, object, 'o', update)} as update,
        (select generation from kith.doc_head h where h.record = o.id and h.facet = ${facet?.num ?? null}) as generation
      from ${sql.id(object.plugin, object.key)} as o where o.id = ${id} and o.deleted_at is null`.execute(this.#o.db);
    const row = rows[0];
    return { read: row?.read === true, update: row?.read === true && row.update === true, generation: row?.generation ?? null };
  }

  /** @param filled What came in with what it takes over from other records; those are not checked again. */
  #prepareCreates(
    actor: Actor,
    object: ModelObject,
    filled: readonly Input[],
    path: string | undefined,
    inputs: readonly Input[] = filled,
  ): Values[] {
    const { principal } = actor;
    const rule = accessOf(object, principal).create;
    if (isRowless(rule) && can(object, principal, rule, {}) !== true) throw forbidden();
    const rights = { readable: readableFields(object, principal), writable: creatableFields(object, principal) };
    const problems: FieldProblem[] = [];
    const prepared = inputs.map((input, i) => {
      const checked = checkInput(object, input, isTrusted(principal), rights);
      const taken = Object.fromEntries(Object.entries(filled[i]!).filter(([name, value]) => input[name] !== value)) as Values;
      const given = { ...checked.values, ...taken };
      const record: Values = { ...defaultsOf(object, given, principal, this.#o.clock()), ...given };
      const guarded = applyGuard(this.guards, object, null, record);
      const refused = new Set(checked.problems.map((one) => one.field));
      const found = [...checked.problems, ...guarded.problems, ...missing(object, guarded.patch).filter((one) => !refused.has(one.field))];
      problems.push(
        ...(path === undefined ? found : found.map((one) => ({ ...one, field: `${path}[${i}]${one.field ? `.${one.field}` : ''}` }))),
      );
      return guarded.patch;
    });
    if (problems.length > 0) throw invalid(problems.slice(0, MOST_PROBLEMS));
    return prepared;
  }

  async #insert(
    client: Queryable,
    actor: Actor,
    object: ModelObject,
    rows: readonly Values[],
    committed: Told,
    causes?: readonly string[],
  ): Promise<Rec[]> {
    await this.#checkReferences(client, actor.principal, object, rows);
    const fields = [...object.fields.values()].filter(
      (field) => rows.some((row) => row[field.name] != null) || (field.spec.type === 'text' && field.spec.sequence),
    );
    const ids = rows.map(() => newId());
    const columns = fields.map((field) => quote(field.name));
    const selected = fields.map((field) => {
      const value = `t.${quote(field.name)}::${columnType(field)}`;
      if (field.spec.type !== 'text' || !field.spec.sequence) return value;
      const prefix = (field.spec.sequence.prefix ?? '').replaceAll("'", "''");
      return `coalesce(${value}, '${prefix}' || nextval('${sequenceName(object, field)}'))`;
    });
    const numbered = fields.filter((field) => field.spec.type === 'text' && field.spec.sequence).map((field) => quote(field.name));
    // Each value goes in in its one form and would come back in it: only what Postgres itself decides is read back.
    const text = `with ins as (
          insert into ${tableName(object)} (${['id', 'created_by', 'updated_by', 'created_cause_kind', 'created_cause', ...columns].join(', ')})
          select ${['t.id', '$2', '$2', '$3', 't.kith_cause', ...selected].join(', ')}
          from unnest($5::uuid[], $4::uuid[]${fields.map((_, i) => `, $${i + 7}::text[]`).join('')}) as t (${['id', 'kith_cause', ...columns].join(', ')})
          returning ${['id', 'version', 'created_at', 'updated_at', ...numbered].join(', ')}),
        ob as (
          insert into kith.outbox (object, record, kind, author, version, changes, cause_kind, cause)
          select $1, e.id, 'created', $2, 1, e.changes, $3, e.cause from unnest($5::uuid[], $6::jsonb[], $4::uuid[]) as e (id, changes, cause))
        select * from ins`;
    const name = this.#insertName(text);
    const result = await client.query<Pick<SystemRow, 'id' | 'version' | 'created_at' | 'updated_at'> & Record<string, unknown>>({
      ...(name === undefined ? {} : { name }),
      text,
      values: [
        object.name,
        actor.principal.id,
        actor.cause.kind,
        rows.map((_, i) => causes?.[i] ?? actor.cause.id),
        ids,
        rows.map((row) => JSON.stringify(creationEvent(object, row))),
        ...fields.map((field) => rows.map((row) => toLiteral(field, row[field.name] ?? null))),
      ],
    });
    for (const field of fields) await this.#continueSequence(client, object, field, rows);
    const byId = new Map(result.rows.map((row) => [row.id, row]));
    const rule = accessOf(object, actor.principal).create;
    if (!isRowless(rule)) await this.#requireCreated(client, actor.principal, object, rule, ids);
    for (const id of ids) committed.push({ object: object.name, record: id, kind: 'created', seqs: {} });
    return ids.map((id, i) => {
      const made = byId.get(id)!;
      const values: Values = {};
      for (const { name: field } of object.fields.values()) values[field] = rows[i]![field] ?? (made[field] as string | undefined) ?? null;
      return masked(object, actor.principal, {
        id,
        object: object.name,
        version: made.version,
        createdAt: made.created_at,
        createdBy: actor.principal.id,
        updatedAt: made.updated_at,
        updatedBy: actor.principal.id,
        fields: values,
      });
    });
  }

  /** A name under which a connection keeps the plan of an insert; none once there are too many shapes of them. */
  #insertName(text: string): string | undefined {
    const known = this.#inserts.get(text);
    if (known !== undefined || this.#inserts.size >= MOST_INSERTS) return known;
    const name = `kith_insert_${this.#inserts.size}`;
    this.#inserts.set(text, name);
    return name;
  }

  /** A sequence goes on after the highest number that was given by hand, so that it never gives that one again. */
  async #continueSequence(client: Queryable, object: ModelObject, field: ModelField, rows: readonly Values[]): Promise<void> {
    if (field.spec.type !== 'text' || !field.spec.sequence) return;
    const { prefix = '' } = field.spec.sequence;
    const highest = rows.reduce((most, row) => {
      const value = row[field.name];
      if (typeof value !== 'string' || !value.startsWith(prefix)) return most;
      const digits = value.slice(prefix.length);
      return /^\d{1,15}$/.test(digits) ? Math.max(most, Number(digits)) : most;
    }, 0);
    if (highest === 0) return;
    const sequence = sequenceName(object, field);
    // One at a time: of two, the later must not set it back.
    await client.query({ text: 'select pg_advisory_xact_lock(hashtext($1))', values: [sequence] });
    await client.query({
      text: `select setval($1::regclass, $2) from ${sequence} where last_value < $2 or (last_value = $2 and not is_called)`,
      values: [sequence, highest],
    });
  }

  /** A rule on the new row's own values is decided by SQL on the row itself; the transaction is taken back if it fails. */
  async #requireCreated(client: Queryable, principal: Principal, object: ModelObject, rule: Rule, ids: readonly string[]): Promise<void> {
    const compiled = sql`select count(*) as n from ${sql.id(object.plugin, object.key)} as o
      where o.id = any(${[...ids]}::uuid[]) and ${ruleSql({ model: this.#o.model, principal }, object, 'o', rule)} and ${stillIn(principal)}`.compile(
      this.#o.db,
    );
    const { rows } = await client.query<{ n: number }>({ text: compiled.sql, values: [...compiled.parameters] });
    if (rows[0]?.n !== ids.length) throw forbidden();
  }

  /** Sets of references and references to any object have no constraint, and that of users knows partners too: their targets are looked up. */
  async #checkReferences(client: Queryable, principal: Principal, object: ModelObject, rows: readonly Values[]): Promise<void> {
    const unknown = await this.#unknown(client, object, rows, false, principal.kind === 'staff' ? principal.id : undefined);
    if (principal.outside) unknown.push(...(await this.#unseen(principal, object, rows)));
    if (unknown.length > 0)
      throw invalid(unknown.map(({ row, field }) => unknownReference(rows.length > 1 ? `create[${row}].${field}` : field)));
  }

  /** What Postgres refused about one of several new rows, said of that row. */
  async #explainedRow(object: ModelObject, rows: readonly Values[], error: unknown): Promise<unknown> {
    const explained = explain(this.#o.model, object, error);
    if (isDatabaseError(error, '23503')) {
      const unknown = await this.#unknown(this.#o.writePool, object, rows, true);
      if (unknown.length > 0) return invalid(unknown.map(({ row, field }) => unknownReference(`create[${row}].${field}`)));
    }
    if (isDatabaseError(error, '23505') && explained instanceof KithError && explained.errors) {
      const row = rowOfDuplicate(object, rows, error);
      const errors = explained.errors.map((one) => ({ ...one, field: `create[${row}]${one.field ? `.${one.field}` : ''}` }));
      if (row >= 0) return new KithError(explained.status, explained.code, explained.message, { errors });
    }
    return explained;
  }

  /** References of somebody from outside to what they may not read: for them it does not exist. */
  async #unseen(principal: Principal, object: ModelObject, rows: readonly Values[]): Promise<{ row: number; field: string }[]> {
    const unseen: { row: number; field: string }[] = [];
    for (const { name: field, spec } of object.fields.values()) {
      // Only what they wrote themselves: the rest came with the record.
      if (spec.type !== 'ref' || !writesTo(object, principal, field)) continue;
      const target = this.#o.model.objects.get(spec.to);
      if (!target) continue;
      const ids = [...new Set(rows.map((values) => values[field]).filter(isUuid))];
      if (ids.length === 0) continue;
      // What is not opened to them at all cannot even be asked for.
      const opened = !principal.outside || portalOf(target, principal) !== undefined;
      const seen = opened ? (await this.#o.query.list(principal, target, { ids, limit: ids.length, fields: [] })).data : [];
      const have = new Set(seen.map((rec) => rec.id));
      for (const [row, values] of rows.entries()) if (isUuid(values[field]) && !have.has(values[field])) unseen.push({ row, field });
    }
    return unseen;
  }

  /** The fields of a change that refer to records or users that do not exist. */
  async unknownReferences(object: ModelObject, values: Values): Promise<string[]> {
    return (await this.#unknown(this.#o.writePool, object, [values], true)).map(({ field }) => field);
  }

  /** Which fields of which rows refer to what does not exist; at most a hundred. `staff`: somebody who is known to be of the staff. */
  async #unknown(
    client: Queryable,
    object: ModelObject,
    rows: readonly Values[],
    constrained: boolean,
    staff?: string,
  ): Promise<{ row: number; field: string }[]> {
    const wanted = new Map<string, { id: string; row: number; field: string }[]>();
    const pointing = [...object.fields.values()].filter(({ type }) => REFERENCES.has(type));
    for (const [row, values] of rows.entries()) {
      for (const { name: field, spec } of pointing) {
        const value = values[field];
        if (value === null || value === undefined) continue;
        const want = (target: string, id: string): void => {
          const list = wanted.get(target) ?? [];
          list.push({ id, row, field });
          wanted.set(target, list);
        };
        // Postgres itself refuses these; a live document wants to know before, so as not to hold up the flush it shares.
        if (constrained && spec.type === 'ref') want(spec.to, value as string);
        if (spec.type === 'user' && value !== staff) want('kith.user', value as string);
        if (spec.type === 'refs') for (const id of value as string[]) want(spec.to, id);
        if (spec.type === 'anyRef') want((value as { object: string }).object, (value as { id: string }).id);
      }
    }
    const unknown = new Map<string, { row: number; field: string }>();
    for (const [target, list] of wanted) {
      const to = this.#o.model.objects.get(target);
      const from = to ? tableName(to) : target === 'kith.user' ? STAFF_USERS : undefined;
      const found = new Set<string>();
      if (from) {
        const { rows: have } = await client.query<{ id: string }>({
          text: `select id from ${from} where id = any($1)`,
          values: [[...new Set(list.map(({ id }) => id))]],
        });
        for (const one of have) found.add(one.id);
      }
      for (const { id, row, field } of list) if (!found.has(id)) unknown.set(`${row}.${field}`, { row, field });
    }
    return [...unknown.values()].slice(0, MOST_PROBLEMS);
  }

  async #patchUnit(
    client: Queryable,
    actor: Actor,
    object: ModelObject,
    id: string,
    input: Input,
    ifVersion: number | undefined,
    trusted: boolean,
  ): Promise<{ rec: Rec; changed: Planned | null }> {
    const stored = await this.#read(client, actor.principal, object, id, object.facets);
    if (stored.row.deleted_at !== null) throw notFound('record');
    await this.#require(client, actor.principal, object, stored, accessOf(object, actor.principal).update);
    const changed = await this.#plan(client, actor, object, stored, input, trusted, ifVersion);
    return { rec: this.#rec(object, stored), changed };
  }

  /** A change of a stored record, ready to be committed; null when it changes nothing. */
  async #plan(
    client: Queryable,
    actor: Actor,
    object: ModelObject,
    stored: Stored,
    input: Input,
    trusted: boolean,
    ifVersion?: number,
  ): Promise<Planned | null> {
    const { principal } = actor;
    requireVersion(object, principal, stored, ifVersion);
    const rights = trusted ? undefined : { readable: readableFields(object, principal), writable: writableFields(object, principal) };
    const checked = checkInput(object, input, trusted, rights);
    const changed: Values = {};
    for (const [name, value] of Object.entries(checked.values)) if (!sameValue(value, stored.fields[name])) changed[name] = value;
    const passing = this.#consequences.passing(object, Object.keys(changed));
    // What the old company wrote is not the new one's to find.
    for (const name of passing.emptied) if (!(name in changed) && stored.fields[name] !== null) changed[name] = null;
    Object.assign(changed, await this.#copied(client, object, changed));
    const guarded = applyGuard(this.guards, object, stored.fields, changed);
    const problems = [...checked.problems, ...guarded.problems];
    if (problems.length > 0) throw invalid(problems);
    await this.#checkReferences(client, trusted ? SYSTEM : principal, object, [guarded.patch]);
    const { patch } = guarded;
    const renewed = new Set(passing.renew.map((facet) => facet.num));
    const documents: DocumentWrite[] = [];
    let undocumented = 0;
    for (const facet of object.facets) {
      const live = Object.keys(patch).filter((name) => facet.fields.has(name));
      const document = stored.documents.get(facet.num);
      if (renewed.has(facet.num)) {
        if (document) Object.assign(patch, textsBehind(object, document, facet, patch));
      } else if (live.length > 0 && document) {
        const write = this.#write(object, facet, document, patch, live);
        if (write) documents.push(write);
      } else if (live.length > 0) undocumented += docBit(facet);
    }
    const names = Object.keys(patch).filter((name) => !sameValue(patch[name], stored.fields[name]));
    if (names.length === 0 && documents.length === 0) return null;
    const changes: Changes = {};
    const event: Changes = {};
    for (const name of names) {
      const field = object.fields.get(name)!;
      const pair: [FieldValue, FieldValue] = [stored.fields[name] ?? null, patch[name]!];
      if (field.mode !== 'derived' || field.spec.tracked) changes[name] = pair;
      event[name] = field.type === 'longText' || field.type === 'richText' ? null : pair;
    }
    const ledger: LedgerWrite[] = Object.keys(changes).length > 0 ? [{ author: principal.id, cause: actor.cause, changes }] : [];
    const { read, update } = accessOf(object, principal);
    const ruled = !isRowless(update) || !isRowless(read);
    const unit: Unit = {
      object,
      id: stored.row.id,
      author: principal.id,
      patch: Object.fromEntries(names.map((name) => [name, patch[name]!])),
      // What was decided on the row holds only while the row is that one.
      ...(documents.length === 0 || ruled || ifVersion !== undefined || this.guards.has(object.name)
        ? { version: stored.row.version }
        : {}),
      undocumented,
      documents,
      ledger,
      event: names.length > 0 ? event : null,
      cause: actor.cause,
    };
    return { unit, before: stored.fields, renew: passing.renew, passes: passing.passes };
  }

  /** What a change of references takes over from the records that they now point at. */
  async #copied(client: Queryable, object: ModelObject, changed: Values): Promise<Values> {
    const copied: Values = {};
    for (const { ref, fields } of this.#consequences.taken(object)) {
      const kept = fields.filter((field) => field.kept);
      if (!(ref in changed) || kept.length === 0) continue;
      const [filled] = changed[ref] === null ? [{}] : await this.#fill(client, object, [{ [ref]: changed[ref] }]);
      for (const { name } of kept) copied[name] = ((filled as Values)[name] ?? null) as FieldValue;
    }
    return copied;
  }

  /** An update of one document, of the fields of `patch` that are in it. Formatted text and texts that lag behind are noted in `patch`. */
  #write(object: ModelObject, facet: Facet, document: StoredDocument, patch: Values, live: readonly string[]): DocumentWrite | null {
    const doc = loadDoc(document.parts);
    const numbers = this.#o.numbers.get(object.name)!;
    const update = serverUpdate(
      doc,
      live.map((name) => ({ field: object.fields.get(name)!, num: numbers.get(name)!, value: patch[name]! })),
      document.generation,
    );
    for (const name of live) {
      const field = object.fields.get(name)!;
      if (field.merge === 'rich') patch[name] = readField(doc, field) as string | null;
    }
    // Columns that lag behind their document are caught up by this very write.
    if (document.shown !== null) {
      for (const field of fieldsIn(object, facet))
        if (field.merge === 'text' || field.merge === 'rich') patch[field.name] = readField(doc, field) as string | null;
    }
    doc.destroy();
    if (!update) return null;
    return {
      facet: facet.num,
      generation: document.generation,
      seq: document.seq,
      update,
      ...(document.shown === null ? {} : { largeText: 'caught-up' as const }),
    };
  }

  async #move(actor: Actor, object: ModelObject, id: string, kind: 'delete' | 'restore', ifVersion?: number): Promise<void> {
    await this.#explained(object, () =>
      this.#transact((client, committed) => this.#moveOn(client, actor, object, id, kind, ifVersion, committed)),
    );
  }

  async #moveOn(
    client: pg.PoolClient,
    actor: Actor,
    object: ModelObject,
    id: string,
    kind: 'delete' | 'restore',
    ifVersion: number | undefined,
    committed: Told,
  ): Promise<void> {
    if (!isUuid(id)) throw notFound('record');
    await this.#lock(client, object, [id]);
    const stored = await this.#read(client, actor.principal, object, id);
    if ((stored.row.deleted_at === null) !== (kind === 'delete')) throw notFound(kind === 'delete' ? 'record' : 'record in the bin');
    await this.#require(client, actor.principal, object, stored, accessOf(object, actor.principal).delete);
    requireVersion(object, actor.principal, stored, ifVersion);
    const seen = [...object.portals.keys()]
      .map((key) => audienceColumns(key))
      .flatMap(({ version, updatedAt }) => [
        `${quote(version)} = ${quote(version)} + 1`,
        `${quote(updatedAt)} = ${momentAfter('updated_at')}`,
      ]);
    await client.query({
      text: `with up as (
          update ${tableName(object)} set ${[
            `deleted_at = ${kind === 'delete' ? 'clock_timestamp()' : 'null'}, deleted_by = $2, version = version + 1`,
            `updated_at = ${momentAfter('updated_at')}, updated_by = $3`,
            ...seen,
          ].join(', ')}
          where id = $1 returning id, version, updated_at),
        le as (
          insert into kith.ledger (id, at, object, record, author, kind, cause_kind, cause, changes)
          select $4, updated_at, $5, id, $3, $6, $7, $8, '{}' from up)
        insert into kith.outbox (object, record, kind, author, version, changes, cause_kind, cause)
        select $5, id, $9, $3, version, $10, $7, $8 from up`,
      values: [
        id,
        kind === 'delete' ? actor.principal.id : null,
        actor.principal.id,
        newId(),
        object.name,
        kind,
        actor.cause.kind,
        actor.cause.id,
        `${kind}d`,
        JSON.stringify(creationEvent(object, stored.fields)),
      ],
    });
    committed.push({ object: object.name, record: id, kind: `${kind}d`, seqs: {} });
    if (kind === 'restore' && this.#consequences.parentsOf(object).length > 0) {
      // What it is copied from may have changed while it was in the bin.
      const back = (await readStored(client, object, id, object.facets))!;
      const refs = Object.fromEntries(this.#consequences.parentsOf(object).map(({ ref }) => [ref, back.fields[ref] ?? null]));
      const plan = await this.#plan(client, actor, object, back, await this.#copied(client, object, refs), true);
      if (plan) await this.#carryOut(client, actor, [plan], committed);
    }
    await this.#follow(client, actor, object, [{ kind: `${kind}d`, id, before: stored.fields, record: stored.fields }], committed);
  }

  async #read(client: Queryable, principal: Principal, object: ModelObject, id: string, facets: readonly Facet[] = []): Promise<Stored> {
    const stored = isUuid(id) ? await readStored(client, object, id, facets) : undefined;
    if (!stored || !(await this.#passes(client, principal, object, stored, accessOf(object, principal).read))) throw notFound('record');
    // Whoever is from outside sees no bin.
    if (principal.outside && stored.row.deleted_at !== null) throw notFound('record');
    return stored;
  }

  async #require(
    client: Queryable,
    principal: Principal,
    object: ModelObject,
    stored: Stored,
    rule: ModelObject['access']['read'],
  ): Promise<void> {
    if (!(await this.#passes(client, principal, object, stored, rule))) throw forbidden();
  }

  async #passes(
    client: Queryable,
    principal: Principal,
    object: ModelObject,
    stored: Stored,
    rule: ModelObject['access']['read'],
  ): Promise<boolean> {
    if ('everyone' in rule) return true;
    if ('nobody' in rule) return false;
    if ('role' in rule) return hasRole(principal, ...rule.role);
    const compiled = sql`select ${ruleSql({ model: this.#o.model, principal }, object, 'o', rule)} and ${stillIn(principal)} as ok
      from ${sql.id(object.plugin, object.key)} as o where o.id = ${stored.row.id}`.compile(this.#o.db);
    const { rows } = await client.query<{ ok: boolean | null }>({ text: compiled.sql, values: [...compiled.parameters] });
    return rows[0]?.ok === true;
  }

  #rec(object: ModelObject, stored: Stored): Rec {
    const { row } = stored;
    const { shown } = object;
    const fields = shown ? Object.fromEntries(Object.entries(stored.fields).filter(([name]) => shown.has(name))) : stored.fields;
    return {
      id: row.id,
      object: object.name,
      version: row.version,
      createdAt: row.created_at,
      createdBy: row.created_by,
      updatedAt: row.updated_at,
      updatedBy: row.updated_by,
      fields,
    };
  }

  /** Turns what Postgres refuses about a value into a problem of the field it is in. */
  async #explained<T>(object: ModelObject, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw explain(this.#o.model, object, error);
    }
  }

  /** The context of a plugin's handler, on the transaction that it runs in. */
  #context(client: pg.PoolClient, actor: Actor, committed: Told, plugin: string): Context<AnyPlugin> {
    const trusted: Actor = {
      ...actor,
      principal: { id: actor.principal.id, kind: 'plugin', name: actor.principal.name, roles: ['admin'] },
    };
    const asPlugin = this.#doorOn(client, trusted, committed);
    const server = this.#o.servers.find((one) => one.plugin.id === plugin);
    return {
      actor: actor.principal,
      records: this.#doorOn(client, actor, committed),
      asPlugin,
      world: {
        model: this.#o.model,
        records: asPlugin as unknown as Context<AnyPlugin>['world']['records'],
        channels: this.#o.channels(),
      },
      sql: async (text, ...values) => {
        if (actor.principal.outside) throw forbidden();
        const { rows } = await client.query({ text: text.reduce((all, part, i) => `${all}$${i}${part}`), values: [...values] });
        return rows as never;
      },
      queue: async (name, data, options = {}) => {
        const job = server?.jobs?.[name];
        if (!job) throw new Error(`plugin "${plugin}" has no job "${name}"`);
        committed.queued = true;
        return addJob(client, `${plugin}.${name}`, job.lane ?? 'default', data, this.#o.clock(), options);
      },
      queueAll: async (name, data, options = {}) => {
        const job = server?.jobs?.[name];
        if (!job) throw new Error(`plugin "${plugin}" has no job "${name}"`);
        if (data.length === 0) return;
        committed.queued = true;
        await addJobs(client, `${plugin}.${name}`, job.lane ?? 'default', data, this.#o.clock(), options);
      },
      unqueue: (name, keys) => dropKeyed(client, `${plugin}.${name}`, keys),
      attempt: async (work) => {
        const before = committed.length;
        await client.query({ text: 'savepoint attempt' });
        try {
          const result = await work();
          await client.query({ text: 'release savepoint attempt' });
          return result;
        } catch (error) {
          await client.query({ text: 'rollback to savepoint attempt; release savepoint attempt' });
          committed.length = before;
          throw error;
        }
      },
      because: (cause, author) => {
        // Another author's rights are not lent to them: only a plugin's own doing can bear another name.
        const principal = author === undefined ? actor.principal : { ...actor.principal, id: author };
        if (author !== undefined && !isTrusted(actor.principal)) throw forbidden();
        return this.#context(client, { principal, cause }, committed, plugin);
      },
      files: filesOn(client, { plugin, by: actor.principal.id, clock: this.#o.clock }),
      emit: async (name, id, ...said) => {
        const declared = this.#o.model.installed.plugins.get(plugin)?.events?.[name];
        const object = declared && this.#o.model.objects.get(`${plugin}.${declared.object}`);
        if (!object) throw new Error(`plugin "${plugin}" has no event "${name}"`);
        const data = checkSaid(declared.data ?? {}, (said as readonly Input[])[0] ?? {});
        const { rowCount } = isUuid(id)
          ? await client.query({
              name: `kith_emit_${object.name}`,
              text: `insert into kith.outbox (object, record, kind, author, version, changes, cause_kind, cause, audience, event, data)
                select $1, id, 'emitted', $3, version, '{}', $4, $5, $6, $7, $8 from ${tableName(object)} where id = $2 and deleted_at is null`,
              values: [
                object.name,
                id,
                actor.principal.id,
                actor.cause.kind,
                actor.cause.id,
                actor.principal.outside?.audience ?? null,
                `${plugin}.${name}`,
                declared.data ? JSON.stringify(data) : null,
              ],
            })
          : { rowCount: 0 };
        if (!rowCount) throw notFound('record');
        committed.emitted = true;
      },
      notify: async (notices) => {
        const people = await addNotices(client, notices, actor.principal);
        if (people.length > 0) committed.noticed = new Set([...(committed.noticed ?? []), ...people]);
      },
      settings: () => this.#o.settings.values(plugin, client),
      secrets: () => this.#o.settings.secrets(plugin, client) as Promise<Record<never, never>>,
      origin: this.#o.origin,
      clock: this.#o.clock,
      log: (level, message, data) => this.#o.log(level, message, { plugin, ...data }),
    };
  }

  #doorOn(client: pg.PoolClient, actor: Actor, committed: Told): Context<AnyPlugin>['records'] {
    const door: RecordsDoor<Record<string, { fields: Record<string, never> }>> = {
      get: async (name, id) => {
        const object = this.object(name);
        return this.#rec(object, await this.#read(client, actor.principal, object, id)) as never;
      },
      query: async (name, options) => (await this.#o.query.list(actor.principal, this.object(name), options ?? {}, client)) as never,
      create: async (name, fields) => {
        const object = this.object(name);
        const prepared = this.#prepareCreates(actor, object, await this.#fill(client, object, [fields]), undefined, [fields]);
        return (await this.#explained(object, () => this.#insertAll(client, actor, object, prepared, committed)))[0] as never;
      },
      createMany: async (name, rows, causes) => {
        const object = this.object(name);
        const prepared = this.#prepareCreates(actor, object, await this.#fill(client, object, rows), 'create', rows);
        try {
          return (await this.#insertAll(client, actor, object, prepared, committed, causes)).map(({ id }) => id);
        } catch (error) {
          throw prepared.length > 1 ? await this.#explainedRow(object, prepared, error) : explain(this.#o.model, object, error);
        }
      },
      patch: async (name, id, fields) => {
        const object = this.object(name);
        if (isUuid(id)) await this.#lock(client, object, [id]);
        const trusted = isTrusted(actor.principal);
        return (await this.#explained(object, () =>
          this.#patchOn(client, actor, object, id, fields, undefined, trusted, committed),
        )) as never;
      },
      patchMany: async (name, changes, causes) => {
        const object = this.object(name);
        const trusted = isTrusted(actor.principal);
        for (let i = 0; i < changes.length; i += BULK) {
          const some = changes.slice(i, i + BULK);
          const ids = some.map(({ id }) => id).filter(isUuid);
          await this.#lock(client, object, ids);
          const planned: Planned[] = [];
          for (const [at, { id, fields }] of some.entries()) {
            const cause = causes?.[i + at];
            const by = cause === undefined ? actor : { ...actor, cause: { ...actor.cause, id: cause } };
            const { changed } = await this.#patchUnit(client, by, object, id, fields, undefined, trusted);
            if (changed) planned.push(changed);
          }
          if (planned.length > 0) await this.#explained(object, () => this.#carryOut(client, actor, planned, committed));
        }
      },
      remove: async (name, id) => {
        await this.#moveOn(client, actor, this.object(name), id, 'delete', undefined, committed);
      },
      act: async (name, id, action, input = {}) => {
        const object = this.object(name);
        if (isUuid(id)) await this.#lock(client, object, [id]);
        return (await this.#explained(object, () => this.#actOn(client, actor, object, id, action, input, committed))) as never;
      },
      derive: (name, changes) => this.#derive(client, actor, this.object(name), changes, committed),
    };
    return door as Context<AnyPlugin>['records'];
  }

  /**
   * Runs `work` as the system with a handler's context, in one transaction: demo data.
   * It gets the transaction's connection besides, and the context of whomever it wants to act as.
   */
  async asSystem(
    cause: Cause,
    work: (ctx: Context<AnyPlugin>, client: pg.PoolClient, as: (principal: Principal) => Context<AnyPlugin>) => Promise<void>,
  ): Promise<void> {
    const committed: Told = [];
    await transaction(this.#o.writePool, async (client) => {
      await client.query('set local statement_timeout = 0');
      const as = (principal: Principal): Context<AnyPlugin> => this.#context(client, { principal, cause }, committed, '');
      await work(as(SYSTEM), client, as);
    });
    this.#tell(committed);
  }
}

/** What may be done inside {@link Records.once}. */
export interface Transactional {
  create: (actor: Actor, object: ModelObject, input: Input) => Promise<Rec>;
  /** What a plugin's handlers get. */
  context: (actor: Actor, plugin: string) => Context<AnyPlugin>;
}

/** Whoever may write what the system computes: the system itself, and a plugin that follows up on a change. */
const isTrusted = (principal: Principal): boolean => principal.kind === 'system' || principal.kind === 'plugin';

/** Texts of a document that its columns do not show yet, besides those that are being written. */
function textsBehind(object: ModelObject, document: StoredDocument, facet: Facet, patch: Values): Values {
  const texts: Values = {};
  if (document.shown === null) return texts;
  const doc = loadDoc(document.parts);
  for (const field of fieldsIn(object, facet))
    if ((field.merge === 'text' || field.merge === 'rich') && !(field.name in patch))
      texts[field.name] = readField(doc, field) as FieldValue;
  doc.destroy();
  return texts;
}

/** What an action or an event is given, checked against its declared fields. */
function checkSaid(
  fields: NonNullable<ModelObject['actions'] extends Map<string, infer A> ? (A extends { input?: infer I } ? I : never) : never>,
  input: Input,
): Values {
  const shape = {
    name: 'the input',
    fields: new Map(
      Object.entries(fields).map(([name, spec]) => [
        name,
        { name, key: name, plugin: '', type: spec.type, spec, mode: 'live', merge: 'register', optionPlugins: {} },
      ]),
    ),
  } as unknown as ModelObject;
  const { values, problems } = checkInput(shape, input, true);
  const refused = new Set(problems.map((one) => one.field));
  problems.push(...missing(shape, values).filter((one) => !refused.has(one.field)));
  if (problems.length > 0) throw invalid(problems);
  for (const name of Object.keys(fields)) values[name] ??= null;
  return values;
}

/** A record after a commit, without reading it again. */
const after = (rec: Rec, unit: Unit, taken: Taken): Rec => ({
  ...rec,
  version: taken.version ?? rec.version,
  updatedAt: taken.updatedAt ?? rec.updatedAt,
  updatedBy: taken.version === null ? rec.updatedBy : unit.author,
  fields: { ...rec.fields, ...unit.patch },
});

const told = (unit: Unit, taken: Taken): Committed => ({ object: unit.object.name, record: unit.id, kind: 'changed', seqs: taken.seqs });

/** All that subscriptions may look at: every value but the long texts. */
function creationEvent(object: ModelObject, row: Values): Changes {
  const changes: Changes = {};
  for (const [name, value] of Object.entries(row)) {
    const type = object.fields.get(name)?.type;
    if (value !== null && type !== 'longText' && type !== 'richText') changes[name] = [null, value];
  }
  return changes;
}

const unknownReference = (field: string): FieldProblem => ({
  field,
  code: 'unknown_reference',
  message: 'refers to a record that does not exist',
});

/** The refusals of a batch's rows as one: 403 when a right was lacking, else 422. */
function refusedRows(refusals: readonly { path: string; error: KithError }[]): KithError {
  const errors = refusals.flatMap(({ path, error }) =>
    (error.errors ?? [{ code: error.code, message: error.message }]).map((one: FieldProblem): FieldProblem => ({
      ...one,
      field: `${path}${one.field ? `.${one.field}` : ''}`,
    })),
  );
  const { status, code, message } = refusals.some(({ error }) => error.status === 403) ? forbidden() : invalid(errors);
  return new KithError(status, code, message, { errors: errors.slice(0, MOST_PROBLEMS) });
}

/** Which of several new rows Postgres means by `Key (code)=(X) already exists.`; of two alike the later. */
function rowOfDuplicate(object: ModelObject, rows: readonly Values[], error: DatabaseError): number {
  const names = object.unique.find((one) => error.constraint?.startsWith(`${object.key}_${one.join('_')}`)) ?? [];
  return rows.findLastIndex((row) => {
    const key = names.map((name) => toLiteral(object.fields.get(name)!, row[name] ?? null) ?? 'null').join(', ');
    return error.detail?.includes(`=(${key}) `) ?? false;
  });
}

/** A refusal of Postgres in words: which field, and what is wrong with it. Anything else comes back as it is. */
export function explain(model: Model, object: ModelObject, error: unknown): unknown {
  if (!isDatabaseError(error, '22', '23')) return error;
  const owner = [...model.objects.values()].find((one) => one.plugin === error.schema && one.key === error.table) ?? object;
  if (error.code === '23503') {
    const field = [...owner.fields.values()].find((one) => foreignKeyName(one) === error.constraint);
    if (field) return invalid([{ field: field.name, code: 'unknown_reference', message: 'refers to a record that does not exist' }]);
  }
  if (error.code === '23505') {
    const columns = owner.unique.find((names) => error.constraint?.startsWith(`${owner.key}_${names.join('_')}`));
    const field = columns?.[0];
    return new KithError(409, 'not_unique', `There is a record with this ${columns?.join(' and ') ?? 'key'} already.`, {
      errors: [{ ...(field ? { field } : {}), code: 'not_unique', message: 'is taken already' }],
    });
  }
  return invalid([{ code: 'invalid', message: 'A value does not fit its field.' }]);
}
