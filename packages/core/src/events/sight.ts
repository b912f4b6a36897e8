/**
 * What of a run of changes somebody may be told: only of records that they see
 * now, only in fields that they read, and nothing of the time before a record
 * was theirs.
 */
import { type ChangeEvent, type FieldValue, type Filter, type Model, type ModelObject, type Principal, type Rec } from '@kith/sdk';
import type pg from 'pg';
import { can, isRowless, matches, type Trilean } from '../access/filter.ts';
import { accessOf, portalOf, readableFields } from '../access/grant.ts';
import { quote } from '../database.ts';
import { SYSTEM } from '../principal.ts';
import { audienceColumns, tableName } from '../records/columns.ts';
import type { Query } from '../query/query.ts';
import { QUIET } from './outbox.ts';

export interface Viewer {
  principal: Principal;
  /** The only object of interest; all unless told. */
  object: ModelObject | undefined;
  filter: Filter | undefined;
}

/** A message of the stream. */
export interface Telling {
  position: number;
  /** `gone`: the record is out of sight; nothing else is said of it. */
  event: 'created' | 'changed' | 'deleted' | 'restored' | 'settled' | 'emitted' | 'gone';
  data: Record<string, unknown>;
}

interface Sources {
  pool: pg.Pool;
  query: Query;
  model: Model;
}

type Values = Record<string, FieldValue>;
/** What is needed of an event to undo it. */
type Step = Pick<ChangeEvent, 'position' | 'record' | 'kind' | 'changes'>;

/** A record between two events: its values and whether it is out of the bin; null before it was made. */
interface State {
  fields: Values;
  living: boolean;
}

/** What of these events, in their order, somebody is told. */
export async function inSight(on: Sources, viewer: Viewer, events: readonly ChangeEvent[]): Promise<Telling[]> {
  const byObject = new Map<ModelObject, ChangeEvent[]>();
  for (const event of events) {
    if (event.kind === 'acted') continue;
    // What plugins say of records is for the house.
    if (event.kind === 'emitted' && viewer.principal.outside) continue;
    const object = on.model.objects.get(event.object);
    if (!object || (viewer.object && viewer.object !== object)) continue;
    if (viewer.principal.outside && !portalOf(object, viewer.principal)) continue;
    const list = byObject.get(object) ?? [];
    list.push(event);
    byObject.set(object, list);
  }
  const told: Telling[] = [];
  for (const [object, list] of byObject) {
    const { read } = accessOf(object, viewer.principal);
    const sure = isRowless(read) ? can(object, viewer.principal, read, {}) : undefined;
    if (sure === false) continue;
    if (sure === true && !viewer.filter) told.push(...list.map((event) => plainly(event)));
    else if (viewer.principal.outside) told.push(...(await forOutside(on, viewer, object, list)));
    else told.push(...(await forStaff(on, viewer, object, list)));
  }
  return told.sort((a, b) => a.position - b.position);
}

function plainly({ position, object, record, kind, version, at, author, changes, event, data }: ChangeEvent): Telling {
  const said = kind === 'emitted' ? { event, data: data ?? {} } : { changes };
  return { position, event: kind as Telling['event'], data: { object, record, kind, version, at, by: author, ...said } };
}

const gone = ({ position, object, record }: ChangeEvent): Telling => ({ position, event: 'gone', data: { object, record } });

async function forStaff(on: Sources, viewer: Viewer, object: ModelObject, events: readonly ChangeEvent[]): Promise<Telling[]> {
  const { principal, filter } = viewer;
  const ids = idsOf(events);
  // Staff see the bin, so that a record is as much theirs when it is deleted.
  const visible = await seenBy(on, principal, object, ids, undefined, true);
  const fitting = filter ? await seenBy(on, principal, object, ids, filter, true) : visible;
  const past = await pastOf(on, object, events, filter, fitting);
  const { read } = accessOf(object, principal);
  const sees = (state: State | null, id: string): Trilean =>
    state === null ? false : can(object, principal, read, { ...state.fields, id });
  return events.flatMap((event) => {
    const { before, after, fits } = past.around(event);
    if (fits === false) return [];
    if (visible.has(event.record)) return [plainly(event)];
    return sees(before, event.record) === true && sees(after, event.record) === false ? [gone(event)] : [];
  });
}

/** Reads behind the second wall whether a record is seen; what was before is told from the changes themselves. */
async function forOutside(on: Sources, viewer: Viewer, object: ModelObject, events: readonly ChangeEvent[]): Promise<Telling[]> {
  const { principal, filter } = viewer;
  const ids = idsOf(events);
  const visible = await seenBy(on, principal, object, ids, undefined, false);
  const fitting = filter ? await seenBy(on, principal, object, ids, filter, false) : visible;
  const past = await pastOf(on, object, events, filter, fitting);
  const colleagues = await colleaguesAmong(on.pool, principal, events);
  const readable = readableFields(object, principal)!;
  const { read } = accessOf(object, principal);
  const sees = (state: State | null, id: string): Trilean =>
    state !== null && state.living ? can(object, principal, read, { ...state.fields, id }) : false;
  const open = [...visible.keys()].filter((id) => sees(past.last(id), id) === undefined);
  const since = await sinceOf(on, principal, object, open);

  const told: Telling[] = [];
  for (const id of ids) {
    const rec = visible.get(id);
    const now = sees(past.last(id), id);
    const tell = (event: ChangeEvent, kind: 'created' | 'changed' | 'settled', changes: ChangeEvent['changes']): void => {
      const by = colleagues.has(event.author) ? { by: event.author } : {};
      const data = { object: object.name, record: id, kind, version: rec!.version, at: event.at, ...by, changes };
      told.push({ position: event.position, event: kind, data });
    };
    // The last time that it came into sight or went out of it counts: of what was before nothing is told.
    for (const event of events.filter(({ record }) => record === id).reverse()) {
      const { before, after, fits } = past.around(event);
      const [was, is] = [sees(before, id), sees(after, id)];
      if (is === true && was === false) {
        if (rec && now === true && fits !== false) tell(event, 'created', asNew(object, after!, readable));
        break;
      }
      if (was === true && is === false) {
        if (!rec && fits !== false) told.push(gone(event));
        break;
      }
      // Where values alone do not decide the rule, the database's note of when the record became theirs does.
      const theirs = now === undefined ? event.at >= (since.get(id) ?? '9999') : now && is === true;
      if (!rec || !theirs || fits === false) continue;
      const changes = Object.fromEntries(Object.entries(event.changes).filter(([name]) => readable.has(name)));
      if (Object.keys(changes).length === 0) continue;
      tell(event, event.kind === 'settled' ? 'settled' : event.kind === 'changed' ? 'changed' : 'created', changes);
    }
  }
  return told;
}

/** The values with which a record came into sight; of long texts only that there is one. */
function asNew(object: ModelObject, state: State, readable: ReadonlySet<string>): ChangeEvent['changes'] {
  const changes: Record<string, [null, FieldValue] | null> = {};
  for (const [name, value] of Object.entries(state.fields)) {
    if (!readable.has(name) || value === null) continue;
    const { type } = object.fields.get(name)!;
    changes[name] = type === 'longText' || type === 'richText' ? null : [null, value];
  }
  return changes;
}

const idsOf = (events: readonly ChangeEvent[]): string[] => [...new Set(events.map((event) => event.record))];

async function seenBy(
  { query }: Sources,
  principal: Principal,
  object: ModelObject,
  ids: readonly string[],
  filter: Filter | undefined,
  bin: boolean,
): Promise<Map<string, Rec>> {
  const options = { ids, limit: ids.length, ...(filter ? { filter } : {}) };
  const pages = [await query.list(principal, object, options)];
  if (bin) pages.push(await query.list(principal, object, { ...options, deleted: true }));
  return new Map(pages.flatMap((page) => page.data.map((rec) => [rec.id, rec])));
}

/** Of whoever made changes, those whose name is for somebody from outside: themselves and their colleagues. */
async function colleaguesAmong(pool: pg.Pool, principal: Principal, events: readonly ChangeEvent[]): Promise<Set<string>> {
  const { company, audience } = principal.outside!;
  if (company === undefined) return new Set([principal.id]);
  const { rows } = await pool.query<{ id: string }>(
    `select id from kith."user" where id = any($1) and kind = 'partner' and company = $2 and audience = $3`,
    [[...new Set(events.map((event) => event.author))], company, audience],
  );
  return new Set(rows.map((row) => row.id));
}

/** Since when records are theirs; a millisecond more, since what was just before may bear the same time. */
async function sinceOf(
  { pool }: Sources,
  principal: Principal,
  object: ModelObject,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (ids.length === 0) return new Map();
  const { rows } = await pool.query<{ id: string; since: string }>(
    `select id, ${quote(audienceColumns(principal.outside!.audience).since)} + interval '1 millisecond' as since from ${tableName(object)} where id = any($1)`,
    [ids],
  );
  return new Map(rows.map((row) => [row.id, row.since]));
}

/** A record around an event. */
interface Around {
  before: State | null;
  after: State | null;
  /** Whether it fitted the filter before or after; undefined where only the database could tell, and cannot any more. */
  fits: Trilean;
}

/** How records were around each of some events, and how they are. */
interface Past {
  around: (event: ChangeEvent) => Around;
  last: (id: string) => State | null;
}

/** Beyond every position: where what has none yet is put. */
const BEYOND = 2 ** 52;

/**
 * Records as of one moment, and everything that happened to them from these events to that moment, undone step by step.
 * What is committed and has no position yet is in the outbox: it is undone too.
 * @param fitting Those that fit the filter now, as the database says
 */
async function pastOf(
  { pool, query }: Sources,
  object: ModelObject,
  events: readonly ChangeEvent[],
  filter: Filter | undefined,
  fitting: ReadonlyMap<string, Rec>,
): Promise<Past> {
  const ids = idsOf(events);
  const client = await pool.connect();
  let later: Step[];
  const now = new Map<string, State>();
  try {
    await client.query('begin isolation level repeatable read read only');
    for (const deleted of [false, true]) {
      const page = await query.list(SYSTEM, object, { ids, limit: ids.length, deleted }, client);
      for (const rec of page.data) now.set(rec.id, { fields: rec.fields, living: !deleted });
    }
    const { rows } = await client.query<Step>(
      `select position, record, kind, changes from kith.event_log where position > $1 and record = any($2) and kind <> all($4)
       union all
       select $3 + id, record, kind, changes from kith.outbox where record = any($2) and kind <> all($4) order by 1`,
      [events.at(-1)!.position, ids, BEYOND, QUIET],
    );
    later = rows;
    await client.query('commit');
    client.release();
  } catch (error) {
    client.release(true);
    throw error;
  }
  const around = new Map<number, Around>();
  for (const id of ids) {
    const steps: Step[] = [...events.filter((event) => event.record === id), ...later.filter((step) => step.record === id)];
    let state = now.get(id) ?? null;
    let fitted: Trilean = !filter || fitting.has(id);
    for (const step of steps.reverse()) {
      const after = state;
      const fitsAfter: Trilean = fitted;
      state = undone(after, step);
      if (filter) {
        const found: Trilean = state === null ? false : matches(object, filter, { ...state.fields, id });
        // What the values do not tell is as it was next to it, unless the step touches what the filter looks at.
        fitted = found !== undefined || touches(step, filter) ? found : fitsAfter;
      }
      const fits = fitted === true || fitsAfter === true ? true : fitted === false && fitsAfter === false ? false : undefined;
      around.set(step.position, { before: state, after, fits });
    }
  }
  return { around: (event) => around.get(event.position)!, last: (id) => now.get(id) ?? null };
}

/** A record before a step; what is written in long texts stays as it is, for only the change of it is told. */
function undone(state: State | null, step: Step): State | null {
  if (step.kind === 'created') return null;
  if (QUIET.includes(step.kind)) return state;
  const fields: Values = { ...state?.fields };
  const values = step.kind === 'deleted' || step.kind === 'restored';
  for (const [name, change] of Object.entries(step.changes)) if (change) fields[name] = values ? change[1] : change[0];
  return { fields, living: step.kind === 'deleted' ? true : step.kind === 'restored' ? false : (state?.living ?? false) };
}

/** Whether an event changes anything that a filter looks at. */
function touches(event: Step, filter: Filter): boolean {
  if ('and' in filter || 'or' in filter) return ('and' in filter ? filter.and : filter.or).some((part) => touches(event, part));
  if ('not' in filter) return touches(event, filter.not);
  const name = filter.field.split('.', 1)[0]!;
  return name in event.changes || name === 'updatedAt' || name === 'updatedBy' || name === 'version';
}
