/**
 * Reading lists: filter, search, sort and access rule compiled to one SQL
 * statement with keyset pagination. Lists, boards, pickers and API use it.
 */
import {
  isUuid,
  type FieldValue,
  type Filter,
  type Model,
  type ModelField,
  type ModelObject,
  type Money,
  type Principal,
  type Rec,
} from '@kith/sdk';
import { sql, type RawBuilder } from 'kysely';
import type pg from 'pg';
import type { Db, Queryable } from '../database.ts';
import { KithError, malformed } from '../errors.ts';
import { filterSql, likeLiteral, readableTarget, ruleSql, type Scope } from '../access/filter.ts';
import { accessOf, mayRead } from '../access/grant.ts';
import type { OutsideReader } from '../access/outside.ts';
import { groupsOf, groupsSql, moneyOf, planGroups, type Grouped, type Grouping, type GroupRow } from './groups.ts';
import { audienceColumns, fromColumn, searchFieldsFor, searchSql, type SystemRow } from '../records/columns.ts';
import { MOST_FOUND, searchFunction } from '../schema/wall.ts';

export const LIMIT_DEFAULT = 50;
export const LIMIT_MAX = 500;
/** Counts stop here unless an exact one is asked for. */
export const COUNT_CAP = 10_000;

export interface ListOptions {
  filter?: Filter;
  search?: string;
  /** Field names, `-` in front for descending. */
  sort?: readonly string[];
  /** Names of the fields wanted; all unless told. */
  fields?: readonly string[];
  limit?: number;
  cursor?: string;
  count?: 'none' | 'capped' | 'exact';
  /** The bin instead of the living. */
  deleted?: boolean;
  ids?: readonly string[];
}

export interface Page {
  data: Rec[];
  nextCursor: string | null;
  count?: number;
  countCapped?: boolean;
}

interface Key {
  field: ModelField;
  column: RawBuilder<unknown>;
  nullable: boolean;
  descending: boolean;
  cast: string;
}

/** Where a page ended: the sort keys' values as Postgres wrote them, the id, and whether the empty values had begun. */
interface Cursor {
  values: (string | null)[];
  id: string;
}

const SORTABLE = new Set(['text', 'number', 'money', 'boolean', 'date', 'dateTime', 'select', 'email', 'phone', 'url']);
/** Whether lists can be sorted by a field. */
export const isSortable = (field: ModelField): boolean => SORTABLE.has(field.type);

const encodeCursor = (cursor: Cursor): string => Buffer.from(JSON.stringify([cursor.values, cursor.id])).toString('base64url');

function decodeCursor(text: string, keys: number): Cursor {
  try {
    const [values, id, ...rest] = JSON.parse(Buffer.from(text, 'base64url').toString()) as unknown[];
    if (
      rest.length === 0 &&
      Array.isArray(values) &&
      values.length === keys &&
      values.every((one) => one === null || typeof one === 'string') &&
      isUuid(id)
    ) {
      return { values: values as (string | null)[], id };
    }
  } catch {
    // Said below.
  }
  throw malformed('The cursor does not fit this list; begin again without it.');
}

/** Lists of one model, read from one database. */
export class Query {
  readonly #db: Db;
  readonly #model: Model;
  readonly #outside: OutsideReader;

  constructor(db: Db, model: Model, outside: OutsideReader) {
    this.#db = db;
    this.#model = model;
    this.#outside = outside;
  }

  /**
   * One page of records.
   * @param on A transaction's connection, to see what it has not committed yet. People from outside always read on their own.
   */
  async list(principal: Principal, object: ModelObject, options: ListOptions, on?: Queryable): Promise<Page> {
    const scope: Scope = { model: this.#model, principal };
    const limit = options.limit ?? LIMIT_DEFAULT;
    const fields = selectedFields(object, principal, options.fields);
    const keys = keysOf(object, principal, options);
    const cursor = options.cursor === undefined ? undefined : decodeCursor(options.cursor, keys.length);
    const where = this.#where(scope, object, options, pageOf(options, keys, cursor, limit));
    const columns = columnsSql(principal, fields, keys);
    const statement = pageSql(object, columns, where, keys, cursor, limit + 1);
    const [rows, counted] = await Promise.all([
      this.#run<Row>(principal, statement, on),
      options.count && options.count !== 'none' ? this.count(principal, object, options, options.count) : undefined,
    ]);
    const more = rows.length > limit;
    const shown = more ? rows.slice(0, limit) : rows;
    const last = shown.at(-1);
    return {
      data: shown.map((row) => toRec(object, fields, row, principal)),
      nextCursor: more && last ? encodeCursor({ values: keys.map((_, i) => last[`k${i}`] as string | null), id: last.id }) : null,
      ...counted,
    };
  }

  /** How many records there are; capped at {@link COUNT_CAP} unless exact. */
  async count(
    principal: Principal,
    object: ModelObject,
    options: ListOptions,
    how: 'capped' | 'exact',
  ): Promise<{ count: number; countCapped?: boolean }> {
    const scope: Scope = { model: this.#model, principal };
    const from = sql`from ${sql.id(object.plugin, object.key)} as o where ${this.#where(scope, object, options)}`;
    const statement =
      how === 'exact'
        ? sql<{ n: number }>`select count(*) as n ${from}`
        : sql<{ n: number }>`select count(*) as n from (select ${from} limit ${COUNT_CAP + 1}) as page`;
    const n = (await this.#run<{ n: number }>(principal, statement))[0]!.n;
    return how === 'capped' && n > COUNT_CAP
      ? { count: COUNT_CAP, countCapped: true }
      : { count: n, ...(how === 'capped' ? { countCapped: false } : {}) };
  }

  /** Sum and average of number and money fields over the whole list; money by currency. */
  async totals(
    principal: Principal,
    object: ModelObject,
    options: ListOptions,
    names: readonly string[],
  ): Promise<Record<string, { sum: FieldValue | Money[]; avg: FieldValue | Money[] }>> {
    const scope: Scope = { model: this.#model, principal };
    const result: Record<string, { sum: FieldValue | Money[]; avg: FieldValue | Money[] }> = {};
    for (const name of names) {
      const field = readableTarget(object, principal, name)?.field;
      if (field?.type !== 'number' && field?.type !== 'money') throw malformed(`"${name}" cannot be summed; only numbers and money can.`);
      const column = sql.ref(`o.${name}`);
      const money = field.type === 'money';
      const rows = await this.#run<{ sum: string | null; avg: string | null; currency: string | null }>(
        principal,
        sql`select sum(${money ? sql`(${column}).amount` : column})::text as sum, round(avg(${money ? sql`(${column}).amount` : column}), 4)::text as avg,
          ${money ? sql`(${column}).currency` : sql`null`} as currency
          from ${sql.id(object.plugin, object.key)} as o where ${this.#where(scope, object, options)} and ${column} is not null
          group by ${money ? sql`(${column}).currency` : sql`()`} order by 3`,
      );
      result[name] = money
        ? { sum: rows.map((row) => moneyOf(row.sum, row.currency)), avg: rows.map((row) => moneyOf(row.avg, row.currency)) }
        : { sum: Number(rows[0]?.sum ?? 0), avg: rows[0]?.avg == null ? null : Number(rows[0].avg) };
    }
    return result;
  }

  /** Counts (and sums) per value of a field, its own or one over references; see {@link groupsOf}. */
  async groups(principal: Principal, object: ModelObject, options: ListOptions, grouping: Grouping): Promise<Grouped> {
    const scope: Scope = { model: this.#model, principal };
    const plan = planGroups(scope, object, grouping);
    return groupsOf(plan, await this.#run<GroupRow>(principal, groupsSql(object, plan, this.#where(scope, object, options))));
  }

  /** The statement and its values, for looking at its plan. */
  explainable(principal: Principal, object: ModelObject, options: ListOptions): { sql: string; parameters: readonly unknown[] } {
    const keys = keysOf(object, principal, options);
    const cursor = options.cursor === undefined ? undefined : decodeCursor(options.cursor, keys.length);
    const page = pageOf(options, keys, cursor, options.limit ?? LIMIT_DEFAULT);
    const where = this.#where({ model: this.#model, principal }, object, options, page);
    return pageSql(
      object,
      columnsSql(principal, selectedFields(object, principal, options.fields), keys),
      where,
      keys,
      cursor,
      (options.limit ?? LIMIT_DEFAULT) + 1,
    ).compile(this.#db);
  }

  #where(scope: Scope, object: ModelObject, options: ListOptions, page?: FoundPage): RawBuilder<boolean> {
    const { principal } = scope;
    const parts: RawBuilder<unknown>[] = [
      options.deleted ? sql`o.deleted_at is not null` : sql`o.deleted_at is null`,
      ruleSql(scope, object, 'o', accessOf(object, principal).read),
    ];
    if (options.filter) parts.push(filterSql(scope, object, 'o', options.filter));
    if (options.ids) parts.push(sql`o.id = any(${[...options.ids]}::uuid[])`);
    if (options.search !== undefined && options.search.trim() !== '')
      parts.push(principal.outside ? foundSql(object, principal.outside.audience, options.search, page) : wordsSql(object, options.search));
    return sql<boolean>`${sql.join(parts, sql` and `)}`;
  }

  async #run<R extends pg.QueryResultRow>(principal: Principal, statement: RawBuilder<unknown>, on?: Queryable): Promise<R[]> {
    const { sql: text, parameters } = statement.compile(this.#db);
    try {
      if (principal.outside) return await this.#outside.query<R>(principal, { text, values: parameters });
      if (on) return (await on.query<R>({ text, values: [...parameters] })).rows;
      return (await (statement as RawBuilder<R>).execute(this.#db)).rows;
    } catch (error) {
      return badValue(error);
    }
  }
}

type Row = SystemRow & Record<string, unknown>;

/** Values in a cursor are cast by Postgres; one that somebody made up fails there. */
function badValue(error: unknown): never {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('22')) {
    throw malformed('The cursor or a value in the filter does not fit its field; begin again without the cursor.');
  }
  throw error;
}

function selectedFields(object: ModelObject, principal: Principal, names: readonly string[] | undefined): ModelField[] {
  const fields = [...object.fields.values()].filter((field) => mayRead(object, principal, field.name));
  return names ? names.map((name) => fields.find((field) => field.name === name) ?? unknownField(object, name)) : fields;
}
function unknownField(object: ModelObject, name: string): never {
  const message = `${object.name} has no field "${name.slice(0, 60)}".`;
  throw new KithError(400, 'unknown_field', message, { errors: [{ field: name.slice(0, 60), code: 'unknown_field', message }] });
}

/** What a list is sorted by; the bin, unless told, by when things were thrown into it. */
function keysOf(object: ModelObject, principal: Principal, options: ListOptions): Key[] {
  if (!options.deleted || options.sort?.length) return sortKeys(object, principal, options.sort ?? []);
  const [updated] = sortKeys(object, principal, ['-updatedAt']);
  return [{ ...updated!, column: sql.ref('o.deleted_at') }];
}

function sortKeys(object: ModelObject, principal: Principal, sort: readonly string[]): Key[] {
  if (sort.length > 4) throw malformed('A list is sorted by at most four fields.');
  return sort
    .map((text) => ({ name: text.replace(/^-/, ''), descending: text.startsWith('-') }))
    .map(({ name, descending }) => {
      const target = readableTarget(object, principal, name);
      if (!target) return unknownField(object, name);
      const { field, column } = target;
      if (name !== 'id' && !isSortable(field)) throw malformed(`A list cannot be sorted by "${name}".`);
      const system = !object.fields.has(name);
      const ref = sql.ref(`o.${column}`);
      return {
        field,
        column: field.type === 'money' ? sql`(${ref}).amount` : ref,
        // Even a required field is empty in records that are older than it.
        nullable: !system || name === 'deletedAt',
        descending,
        cast:
          field.type === 'money' || field.type === 'number'
            ? system
              ? 'bigint'
              : 'numeric'
            : name === 'id'
              ? 'uuid'
              : field.type === 'dateTime'
                ? 'timestamptz'
                : field.type === 'date'
                  ? 'date'
                  : field.type === 'boolean'
                    ? 'boolean'
                    : 'text',
      };
    });
}

function columnsSql({ outside }: Principal, fields: readonly ModelField[], keys: readonly Key[]): RawBuilder<unknown> {
  const own = outside && audienceColumns(outside.audience);
  return sql.join([
    ...(own
      ? [sql`o.id`, sql`${sql.ref(`o.${own.version}`)} as version`, sql`o.created_at`, sql`${sql.ref(`o.${own.updatedAt}`)} as updated_at`]
      : ['id', 'version', 'created_at', 'created_by', 'updated_at', 'updated_by', 'deleted_at', 'deleted_by'].map((name) =>
          sql.ref(`o.${name}`),
        )),
    ...fields.map((field) => sql.ref(`o.${field.name}`)),
    ...keys.map((key, i) => sql`(${key.column})::text as ${sql.id(`k${i}`)}`),
  ]);
}

/**
 * One page. Empty values come last in either direction; so that an index still
 * leads, a list sorted by a field that may be empty is two ranges after each
 * other, the second of which is not touched while the first fills the page.
 */
function pageSql(
  object: ModelObject,
  columns: RawBuilder<unknown>,
  where: RawBuilder<boolean>,
  keys: readonly Key[],
  cursor: Cursor | undefined,
  limit: number,
): RawBuilder<unknown> {
  const first = keys[0];
  const from = sql`select ${columns} from ${sql.id(object.plugin, object.key)} as o where ${where}`;
  const down = first?.descending ?? true;
  const rest = keys.slice(1);
  const orderRest = [
    ...rest.map((key) => sql`${key.column} ${sql.raw(key.descending ? 'desc nulls last' : 'asc nulls last')}`),
    sql`o.id ${sql.raw(down ? 'desc' : 'asc')}`,
  ];
  const order = (leading: boolean): RawBuilder<unknown> =>
    sql.join(leading && first ? [sql`${first.column} ${sql.raw(down ? 'desc' : 'asc')}`, ...orderRest] : orderRest);
  if (!first) {
    return sql`${from} ${cursor ? sql`and o.id < ${cursor.id}::uuid` : sql``} order by o.id desc limit ${limit}`;
  }
  const filled = sql`${from} ${first.nullable ? sql`and ${first.column} is not null` : sql``}
    ${cursor ? sql`and ${after(keys, cursor, down)}` : sql``} order by ${order(true)} limit ${limit}`;
  if (!first.nullable) return filled;
  const inEmpty = cursor?.values[0] === null;
  const empty = sql`${from} and ${first.column} is null
    ${cursor && inEmpty ? sql`and ${after(keys, cursor, down, 1)}` : sql``} order by ${order(false)} limit ${limit}`;
  return inEmpty ? empty : sql`(${filled}) union all (${empty}) limit ${limit}`;
}

/** Rows after the cursor in the order of the keys from `begin` on, the id deciding last. */
function after(keys: readonly Key[], cursor: Cursor, down: boolean, begin = 0): RawBuilder<unknown> {
  const id = sql`${cursor.id}::uuid`;
  const beyond = (descending: boolean): RawBuilder<unknown> => sql.raw(descending ? '<' : '>');
  const literal = (key: Key, i: number): RawBuilder<unknown> => sql`${cursor.values[i]}::${sql.raw(key.cast)}`;
  if (keys.length - begin === 0) return sql`o.id ${beyond(down)} ${id}`;
  if (keys.length === 1) return sql`(${keys[0]!.column}, o.id) ${beyond(down)} (${literal(keys[0]!, 0)}, ${id})`;
  const alternatives: RawBuilder<unknown>[] = [];
  const equal: RawBuilder<unknown>[] = [];
  for (let i = begin; i < keys.length; i++) {
    const key = keys[i]!;
    const value = cursor.values[i];
    if (value !== null) {
      const past = sql`${key.column} ${beyond(key.descending)} ${literal(key, i)}`;
      alternatives.push(sql`(${sql.join([...equal, i > 0 && key.nullable ? sql`(${past} or ${key.column} is null)` : past], sql` and `)})`);
    }
    equal.push(value === null ? sql`${key.column} is null` : sql`${key.column} = ${literal(key, i)}`);
  }
  alternatives.push(sql`(${sql.join([...equal, sql`o.id ${beyond(down)} ${id}`], sql` and `)})`);
  const bound =
    begin === 0 && cursor.values[0] !== null ? sql`${keys[0]!.column} ${sql.raw(down ? '<=' : '>=')} ${literal(keys[0]!, 0)} and ` : sql``;
  return sql`(${bound}(${sql.join(alternatives, sql` or `)}))`;
}

/** Every word must occur; one of fewer than three letters at the beginning of a word, since trigrams need three. */
function wordsSql(object: ModelObject, search: string): RawBuilder<boolean> {
  if (object.search.length === 0) return sql<boolean>`false`;
  if (search.includes('\u0000')) return sql<boolean>`false`;
  const text = sql.raw(searchSql(object, 'o'));
  const words = search.trim().slice(0, 200).split(/\s+/).slice(0, 8);
  return sql<boolean>`${sql.join(
    words.map((word) => {
      const folded = sql`kith.fold(${likeLiteral(word)})`;
      return word.length >= 3
        ? sql`${text} like '%' || ${folded} || '%'`
        : sql`(${text} like ${folded} || '%' or ${text} like '% ' || ${folded} || '%')`;
    }),
    sql` and `,
  )}`;
}

/** The same for people from outside: found by the function that knows their rows, since LIKE is of no use behind the second wall. */
function foundSql(
  object: ModelObject,
  audience: string,
  search: string,
  page: FoundPage = { before: null, most: MOST_FOUND },
): RawBuilder<boolean> {
  const portal = object.portals.get(audience);
  if (!portal || searchFieldsFor(object, portal).length === 0 || search.includes('\u0000')) return sql<boolean>`false`;
  const words = search.trim().slice(0, 200).split(/\s+/).slice(0, 8);
  return sql<boolean>`o.id in (select ${sql.raw(searchFunction(object, audience))}(
    array(select kith.fold(word) from unnest(${words}::text[]) as word), ${page.before}::uuid, ${page.most}))`;
}

/** How much of what a search finds is wanted, newest first. */
interface FoundPage {
  before: string | null;
  most: number;
}
/** The page of a search that is neither sorted nor filtered besides: then nothing beyond the page need be found. */
const pageOf = (options: ListOptions, keys: readonly Key[], cursor: Cursor | undefined, limit: number): FoundPage | undefined =>
  keys.length > 0 || options.filter || options.ids ? undefined : { before: cursor?.id ?? null, most: limit + 1 };

/** A row as it travels. */
export function toRec(object: ModelObject, fields: readonly ModelField[], row: Row, { outside }: Principal): Rec {
  const values: Record<string, FieldValue> = {};
  for (const field of fields) values[field.name] = fromColumn(field, row[field.name]);
  return {
    id: row.id,
    object: object.name,
    version: row.version,
    createdAt: row.created_at,
    ...(outside ? {} : { createdBy: row.created_by }),
    updatedAt: row.updated_at,
    ...(outside ? {} : { updatedBy: row.updated_by }),
    ...(row.deleted_at === null || row.deleted_at === undefined ? {} : { deletedAt: row.deleted_at, deletedBy: row.deleted_by }),
    fields: values,
  };
}
