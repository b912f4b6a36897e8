/**
 * Live lists: who watches which list, and what of a batch of changes concerns
 * whom. Affected subscriptions are found in an index by `field = value`, on old
 * and on new values, so that the cost of a change does not grow with the number
 * of people who watch something else.
 */
import {
  fieldsOfRule,
  type ChangeEvent,
  type FieldValue,
  type Filter,
  type Model,
  type ModelObject,
  type Principal,
  type Rec,
} from '@kith/sdk';
import type pg from 'pg';
import { can, equalitiesOf, matches, type Trilean } from '../access/filter.ts';
import { accessOf, readableFields } from '../access/grant.ts';
import type { ListOptions, Query } from '../query/query.ts';
import { referencesFor, referencesOf, titleOf, type References } from '../query/present.ts';
import { SYSTEM } from '../principal.ts';

export interface ListChange {
  /** Records that belong to the list, as they now are. */
  upsert: (Rec & { title: string })[];
  /** Records that belong to it no more. */
  gone: string[];
  refs: References;
  /** Who made the changes. */
  by: string[];
}

interface Subscription {
  principal: Principal;
  object: ModelObject;
  filter: Filter | undefined;
  search: string | undefined;
  tell: (change: ListChange) => void;
  /** The equality under which it is indexed, if its filter has one. */
  key: string | undefined;
}

interface Watched {
  byKey: Map<string, Set<Subscription>>;
  /** Fields by which any subscription is indexed. */
  fields: Map<string, number>;
  rest: Set<Subscription>;
}

const keyOf = (field: string, value: unknown): string => `${field}=${JSON.stringify(value)}`;

export class LiveLists {
  readonly #query: Query;
  readonly #pool: pg.Pool;
  readonly #model: Model;
  readonly #objects = new Map<string, Watched>();

  constructor(query: Query, pool: pg.Pool, model: Model) {
    this.#query = query;
    this.#pool = pool;
    this.#model = model;
  }

  /** Brings the reading of events up to now, before the first watch. Set by the runtime. */
  begin: () => Promise<void> = () => Promise.resolve();
  #watching = 0;

  /** Whether anybody watches anything. */
  readonly interested = (): boolean => this.#watching > 0;

  /** Watches a list from the moment that this resolves; call what comes back to stop. */
  async watch(
    principal: Principal,
    object: ModelObject,
    filter: Filter | undefined,
    search: string | undefined,
    tell: (change: ListChange) => void,
  ): Promise<() => void> {
    // What cannot be read as a list cannot be watched as one: compiling it refuses fields that this principal may not compare.
    this.#query.explainable(principal, object, { ...(filter ? { filter } : {}), ...(search ? { search } : {}) });
    if (this.#watching === 0) await this.begin();
    this.#watching++;
    const stop = this.#register(principal, object, filter, search, tell);
    let stopped = false;
    return () => {
      if (stopped) return;
      stopped = true;
      this.#watching--;
      stop();
    };
  }

  #register(
    principal: Principal,
    object: ModelObject,
    filter: Filter | undefined,
    search: string | undefined,
    tell: (change: ListChange) => void,
  ): () => void {
    const watched = this.#objects.get(object.name) ?? { byKey: new Map(), fields: new Map(), rest: new Set() };
    this.#objects.set(object.name, watched);
    const equality = equalitiesOf(filter).find(({ field }) => object.fields.has(field));
    const key = equality && keyOf(equality.field, equality.value);
    const one: Subscription = { principal, object, filter, search: search?.trim() || undefined, tell, key };
    if (key === undefined || !equality) watched.rest.add(one);
    else {
      const set = watched.byKey.get(key) ?? new Set();
      set.add(one);
      watched.byKey.set(key, set);
      watched.fields.set(equality.field, (watched.fields.get(equality.field) ?? 0) + 1);
    }
    return () => {
      watched.rest.delete(one);
      if (key === undefined || !equality) return;
      const set = watched.byKey.get(key);
      if (set?.delete(one)) {
        if (set.size === 0) watched.byKey.delete(key);
        const left = (watched.fields.get(equality.field) ?? 1) - 1;
        if (left > 0) watched.fields.set(equality.field, left);
        else watched.fields.delete(equality.field);
      }
    };
  }

  /** Tells everybody concerned about a batch of changes. */
  readonly handle = async (events: readonly ChangeEvent[]): Promise<void> => {
    const byObject = new Map<string, ChangeEvent[]>();
    for (const event of events) {
      if (!this.#objects.has(event.object)) continue;
      const list = byObject.get(event.object) ?? [];
      list.push(event);
      byObject.set(event.object, list);
    }
    for (const [name, list] of byObject) await this.#handleObject(this.#objects.get(name)!, list);
  };

  async #handleObject(watched: Watched, events: readonly ChangeEvent[]): Promise<void> {
    if (watched.rest.size === 0 && watched.byKey.size === 0) return;
    const object = this.#model.objects.get(events[0]!.object)!;
    const ids = [...new Set(events.map((event) => event.record))];
    // Read once for all who watch; whether each of them may see it is decided below.
    const page = await this.#query.list(SYSTEM, object, { ids, limit: ids.length });
    const now = new Map(page.data.map((rec) => [rec.id, rec]));
    const staffWatch = [...watched.rest, ...[...watched.byKey.values()].flatMap((set) => [...set])].some((one) => !one.principal.outside);
    const refs = staffWatch ? await referencesOf(this.#pool, this.#model, page.data) : {};
    const concerned = new Map<Subscription, Map<string, { now: Trilean; was: Trilean }>>();
    for (const id of ids) {
      const mine = events.filter((event) => event.record === id);
      const rec = now.get(id);
      const current = rec?.fields ?? {};
      const before = undone(current, mine);
      for (const one of this.#candidates(watched, current, before)) {
        const verdict = {
          now: rec ? this.#fits(one, { ...rec.fields, id }) : false,
          was: mine.some((event) => event.kind === 'created' || event.kind === 'restored') ? false : this.#fits(one, { ...before, id }),
        };
        if (verdict.now === false && verdict.was === false) continue;
        const list = concerned.get(one) ?? new Map<string, { now: Trilean; was: Trilean }>();
        list.set(id, verdict);
        concerned.set(one, list);
      }
    }
    await Promise.all(
      [...concerned].map(([one, verdicts]) =>
        one.principal.outside ? this.#tellOutside(one, object, verdicts, events) : this.#tell(one, object, verdicts, now, refs, events),
      ),
    );
  }

  #candidates(
    watched: Watched,
    current: Readonly<Record<string, FieldValue>>,
    before: Readonly<Record<string, FieldValue>>,
  ): Set<Subscription> {
    const found = new Set(watched.rest);
    for (const field of watched.fields.keys()) {
      for (const value of [current[field], before[field]]) for (const one of watched.byKey.get(keyOf(field, value)) ?? []) found.add(one);
    }
    return found;
  }

  #fits(one: Subscription, fields: Readonly<Record<string, FieldValue>>): Trilean {
    const readable = can(one.object, one.principal, accessOf(one.object, one.principal).read, fields);
    if (readable === false) return false;
    const fits = one.filter ? matches(one.object, one.filter, fields) : true;
    if (fits === false) return false;
    return readable === undefined || fits === undefined || one.search !== undefined ? undefined : true;
  }

  /**
   * People from outside are told what they read themselves, behind the second wall, after the change: never what was read
   * for others. Of what they may not read any more only that it is gone, and only if they could have had it.
   */
  async #tellOutside(
    one: Subscription,
    object: ModelObject,
    verdicts: ReadonlyMap<string, { now: Trilean; was: Trilean }>,
    events: readonly ChangeEvent[],
  ): Promise<void> {
    const seen = [...verdicts.keys()].filter((id) => events.some((event) => event.record === id && concerns(object, one.principal, event)));
    if (seen.length === 0) return;
    const { data } = await this.#query.list(one.principal, object, {
      ids: seen,
      limit: seen.length,
      ...(one.filter ? { filter: one.filter } : {}),
      ...(one.search ? { search: one.search } : {}),
    });
    const have = new Set(data.map((rec) => rec.id));
    const gone = seen.filter((id) => !have.has(id) && verdicts.get(id)!.was !== false);
    if (data.length + gone.length === 0) return;
    const refs = await referencesFor({ pool: this.#pool, model: this.#model, query: this.#query }, one.principal, data);
    one.tell({ upsert: data.map((rec) => ({ ...rec, title: titleOf(object, rec.fields, refs) })), gone, refs, by: [] });
  }

  async #tell(
    one: Subscription,
    object: ModelObject,
    verdicts: ReadonlyMap<string, { now: Trilean; was: Trilean }>,
    now: ReadonlyMap<string, Rec>,
    refs: References,
    events: readonly ChangeEvent[],
  ): Promise<void> {
    const open = [...verdicts].filter(([, verdict]) => verdict.now === undefined).map(([id]) => id);
    const options: ListOptions = {
      ids: open,
      limit: open.length,
      ...(one.filter ? { filter: one.filter } : {}),
      ...(one.search ? { search: one.search } : {}),
    };
    const sure = new Set(open.length > 0 ? (await this.#query.list(one.principal, object, options)).data.map((rec) => rec.id) : []);
    const upsert: (Rec & { title: string })[] = [];
    const gone: string[] = [];
    for (const [id, verdict] of verdicts) {
      const rec = now.get(id);
      if (rec && (verdict.now === true || sure.has(id))) upsert.push({ ...rec, title: titleOf(object, rec.fields, refs) });
      else if (verdict.was !== false) gone.push(id);
    }
    if (upsert.length + gone.length === 0) return;
    const told = new Set([...upsert.map((rec) => rec.id), ...gone]);
    one.tell({ upsert, gone, refs, by: [...new Set(events.filter((event) => told.has(event.record)).map((event) => event.author))] });
  }
}

/** Whether there is anything in an event for somebody from outside: something that they read, or that decides whether they do. */
function concerns(object: ModelObject, principal: Principal, event: ChangeEvent): boolean {
  if (event.kind !== 'changed') return true;
  const readable = readableFields(object, principal);
  const deciding = fieldsOfRule(accessOf(object, principal).read);
  return Object.keys(event.changes).some((name) => readable?.has(name) !== false || deciding.includes(name));
}

/** A record's values before a run of changes. */
function undone(current: Readonly<Record<string, FieldValue>>, events: readonly ChangeEvent[]): Record<string, FieldValue> {
  const fields: Record<string, FieldValue> = { ...current };
  for (const event of [...events].reverse()) {
    for (const [name, change] of Object.entries(event.changes)) {
      if (!change) continue;
      // A deleted record is not among the living; its values came with the event.
      fields[name] = event.kind === 'deleted' || event.kind === 'restored' ? change[1] : change[0];
    }
  }
  return fields;
}
