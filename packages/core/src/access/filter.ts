/**
 * Filters and rules, compiled twice: to SQL, which decides, and to a
 * three-valued predicate, which only spares the database needless questions.
 *
 * No leaf yields NULL where it could be negated: negation is pushed down to
 * the leaves, and a negated leaf is written so that an empty value counts as "not".
 */
import {
  checkValue,
  FILTER_DEPTH,
  FILTER_SIZE,
  fieldsOfRule,
  operatorsFor,
  OPERATORS,
  sameValue,
  type Comparison,
  type Field,
  type FieldValue,
  type Filter,
  type Model,
  type ModelField,
  type ModelObject,
  type Money,
  type Operator,
  type Principal,
  type Rule,
} from '@kith/sdk';
import { sql, type RawBuilder } from 'kysely';
import { KithError } from '../errors.ts';
import { hasRole } from '../principal.ts';
import { audienceColumns, columnType, decimal, searchPartSql, searchSql, SYSTEM_FIELDS, toLiteral } from '../records/columns.ts';
import { accessOf, mayRead, portalOf } from './grant.ts';

type Bool = RawBuilder<boolean>;

const TRUE: Bool = sql<boolean>`true`;
const FALSE: Bool = sql<boolean>`false`;

const refuse = (message: string): never => {
  throw new KithError(400, 'invalid_filter', message, { errors: [{ field: 'filter', code: 'invalid', message }] });
};

/** What a comparison compares: a field, or a system column dressed as one. */
interface Target {
  field: ModelField;
  column: string;
}

const SYSTEM_SPECS: Record<string, Field> = {
  id: { type: 'ref', to: '' },
  version: { type: 'number' },
  createdAt: { type: 'dateTime' },
  updatedAt: { type: 'dateTime' },
  createdBy: { type: 'user' },
  updatedBy: { type: 'user' },
  deletedAt: { type: 'dateTime' },
};

/** A field by its name, system fields included; undefined when the object has none. */
export function targetOf(object: ModelObject, name: string): Target | undefined {
  const field = object.fields.get(name);
  if (field) return { field, column: name };
  const system = Object.hasOwn(SYSTEM_FIELDS, name) ? SYSTEM_FIELDS[name] : undefined;
  const spec = SYSTEM_SPECS[name];
  if (!system || !spec) return undefined;
  return {
    field: { name, key: name, plugin: 'kith', type: spec.type, spec, mode: 'derived', merge: 'none', optionPlugins: {} },
    column: system.column,
  };
}

/** A field that a principal may compare, sort and search by; what they may not read is not there for them. */
export function readableTarget(object: ModelObject, principal: Principal, name: string): Target | undefined {
  const { outside } = principal;
  if (!outside) return object.shown && object.fields.has(name) && !object.shown.has(name) ? undefined : targetOf(object, name);
  const own = OUTSIDE_COLUMNS[name];
  const target = targetOf(object, name);
  if (own && target) return { ...target, column: own(outside.audience) };
  return object.fields.has(name) && mayRead(object, principal, name) ? target : undefined;
}
/** What outsiders see of the system's fields, and where it stands. Who of the staff did something is not for them. */
const OUTSIDE_COLUMNS: Partial<Record<string, (audience: string) => string>> = {
  id: () => 'id',
  createdAt: () => 'created_at',
  version: (audience) => audienceColumns(audience).version,
  updatedAt: (audience) => audienceColumns(audience).updatedAt,
};

/** Checks a filter from outside: shape, depth, size. Fields and values are checked when it is compiled. */
export function parseFilter(input: unknown): Filter {
  let size = 0;
  const visit = (node: unknown, depth: number): Filter => {
    if (depth > FILTER_DEPTH) return refuse(`The filter is nested deeper than ${FILTER_DEPTH} levels; flatten it.`);
    if (typeof node !== 'object' || node === null || Array.isArray(node)) return refuse('A filter must be an object.');
    const keys = Object.keys(node);
    const one = node as Record<string, unknown>;
    for (const kind of ['and', 'or'] as const) {
      if (!(kind in one)) continue;
      if (keys.length !== 1 || !Array.isArray(one[kind])) return refuse(`"${kind}" must stand alone and hold a list of filters.`);
      const parts = one[kind].map((part) => visit(part, depth + 1));
      return kind === 'and' ? { and: parts } : { or: parts };
    }
    if ('not' in one) {
      if (keys.length !== 1) return refuse('"not" must stand alone.');
      return { not: visit(one.not, depth + 1) };
    }
    if (++size > FILTER_SIZE) return refuse(`The filter has more than ${FILTER_SIZE} comparisons.`);
    const unknown = keys.find((key) => !['field', 'op', 'value'].includes(key));
    if (unknown !== undefined) return refuse(`A comparison has "field", "op" and "value", not "${unknown.slice(0, 40)}".`);
    if (typeof one.field !== 'string') return refuse('A comparison needs "field".');
    if (typeof one.op !== 'string' || !(OPERATORS as readonly string[]).includes(one.op)) {
      return refuse(`"op" must be one of ${OPERATORS.join(', ')}.`);
    }
    return { field: one.field, op: one.op as Operator, value: one.value as FieldValue };
  };
  return visit(input, 1);
}

/** Who asks, and against what: everything that compiling needs besides the filter. */
export interface Scope {
  model: Model;
  principal: Principal;
  /** In the place of the principal's company and record: what the database itself knows of who is reading. */
  reading?: { company: RawBuilder<unknown>; guest: RawBuilder<unknown> };
  /** Set within rules, which the declarations made: they may look at fields that the principal may not read. */
  ruled?: true;
}

/** A filter on `alias`, a row of `object`, as SQL. */
export function filterSql(scope: Scope, object: ModelObject, alias: string, filter: Filter, negated = false): Bool {
  if ('and' in filter || 'or' in filter) {
    const parts = ('and' in filter ? filter.and : filter.or).map((part) => filterSql(scope, object, alias, part, negated));
    const all = 'and' in filter !== negated;
    if (parts.length === 0) return all ? TRUE : FALSE;
    return sql<boolean>`(${sql.join(parts, all ? sql` and ` : sql` or `)})`;
  }
  if ('not' in filter) return filterSql(scope, object, alias, filter.not, !negated);
  return comparisonSql(scope, object, alias, filter, negated);
}

function comparisonSql(scope: Scope, object: ModelObject, alias: string, comparison: Comparison, negated: boolean, depth = 0): Bool {
  const dot = comparison.field.indexOf('.');
  if (dot >= 0) return pathSql(scope, object, alias, comparison, dot, negated, depth);
  const target = scope.ruled ? targetOf(object, comparison.field) : readableTarget(object, scope.principal, comparison.field);
  if (!target) return refuse(`${object.name} has no field "${comparison.field.slice(0, 60)}".`);
  const { field, column } = target;
  if (!operatorsFor(field.type).includes(comparison.op)) {
    return refuse(`"${comparison.op}" does not fit ${field.name}; it takes ${operatorsFor(field.type).join(', ')}.`);
  }
  const { op, value } = comparison;
  // Whoever reads behind the second wall has no use of an index for LIKE, and may not read the search text of staff.
  if ((op === 'contains' || op === 'startsWith') && typeof value === 'string' && !scope.principal.outside) {
    const part = searchPartSql(object, alias, field.name);
    if (part !== undefined) return partSql(field, searchSql(object, alias), part, op, value, negated);
  }
  return leafSql(field, sql.ref(`${alias}.${column}`), op, value, negated);
}

/**
 * Looks for text in one of the search fields. What is in it is in the whole search text too, which has an index (trigrams
 * need three letters) and tells the planner how many to expect; coalesce keeps it from counting the same condition twice.
 */
function partSql(field: ModelField, whole: string, part: string, op: 'contains' | 'startsWith', value: string, negated: boolean): Bool {
  const text = pattern(field, op, value);
  const inPart = sql<boolean>`coalesce(${sql.raw(part)} like ${op === 'contains' ? '%' : ''} || ${text} || '%', false)`;
  // An empty field is an empty part: it contains no text, not even an empty one.
  const filled = value === '' ? sql<boolean>` and ${sql.raw(part)} <> ''` : sql<boolean>``;
  if (negated) return sql<boolean>`(not (${inPart}${filled}))`;
  return sql<boolean>`(${sql.raw(whole)} like '%' || ${text} || '%' and ${inPart}${filled})`;
}

/** Text to look for, folded, as a pattern that matches it literally. */
function pattern(field: ModelField, op: Operator, value: unknown): RawBuilder<unknown> {
  if (typeof value !== 'string') return refuse(`"${op}" of ${field.name} needs text.`);
  if (value.includes('\u0000') || value.length > 1000) return refuse(`"${op}" of ${field.name} needs text of at most 1,000 characters.`);
  return sql`kith.fold(${likeLiteral(value)})`;
}

/** `company.country`: a comparison on the record that a reference points at, if its reader may see it. */
function pathSql(
  scope: Scope,
  object: ModelObject,
  alias: string,
  comparison: Comparison,
  dot: number,
  negated: boolean,
  depth: number,
): Bool {
  const name = comparison.field.slice(0, dot);
  const target = behind(scope, object, name);
  if (!target || depth > 2) return refuse(`"${comparison.field.slice(0, 80)}" is not a path over references of ${object.name}.`);
  const inner = `${alias}_${name}`;
  // "is not X" over a path means "there is no X at its end": an empty reference is not X either.
  const opposite: Partial<Record<Operator, Operator>> = { ne: 'eq', nin: 'in' };
  const { op, value } =
    (comparison.op === 'eq' || comparison.op === 'ne') && (comparison.value ?? null) === null
      ? { op: 'isNull' as const, value: comparison.op === 'eq' }
      : comparison;
  const absent = op === 'isNull' && (value ?? true) !== false;
  const flipped = opposite[op];
  const positive: Comparison = {
    field: comparison.field.slice(dot + 1),
    op: flipped ?? op,
    value: absent ? false : (value ?? null),
  };
  const condition = comparisonSql(scope, target, inner, positive, false, depth + 1);
  const exists = sql<boolean>`exists (select from ${sql.id(target.plugin, target.key)} as ${sql.id(inner)}
    where ${sql.ref(`${inner}.id`)} = ${sql.ref(`${alias}.${name}`)} and ${ruleSql(scope, target, inner, accessOf(target, scope.principal).read)} and ${condition})`;
  return (absent || flipped !== undefined) !== negated ? sql<boolean>`not ${exists}` : exists;
}

/** The object that a reference leads to, for whoever may read the reference. */
function behind(scope: Scope, object: ModelObject, name: string): ModelObject | undefined {
  const field = scope.ruled || mayRead(object, scope.principal, name) ? object.fields.get(name) : undefined;
  const target = field?.spec.type === 'ref' ? scope.model.objects.get(field.spec.to) : undefined;
  const { outside } = scope.principal;
  // For people from outside nothing lies behind a reference to what is not opened to them.
  return !scope.ruled && outside !== undefined && !(target && portalOf(target, scope.principal)) ? undefined : target;
}

/** What a path over references leads to. */
export interface Reached {
  /** The object that has the field at the end. */
  object: ModelObject;
  field: ModelField;
  column: RawBuilder<unknown>;
  /** What leads there from `alias`; empty for a field of the object itself. */
  joins: RawBuilder<unknown>[];
}

/**
 * Follows `company.country` from rows called `alias`, as a filter does, but for its value: a record on the way that the
 * principal may not read is as if it were not there. Undefined where there is no such path for them.
 */
export function reach(scope: Scope, object: ModelObject, alias: string, path: string): Reached | undefined {
  const names = path.split('.');
  if (names.length > 4) return undefined;
  const joins: RawBuilder<unknown>[] = [];
  let at = object;
  let from = alias;
  for (const name of names.slice(0, -1)) {
    const target = behind(scope, at, name);
    if (!target) return undefined;
    const to = `${from}_${name}`;
    joins.push(sql`left join ${sql.id(target.plugin, target.key)} as ${sql.id(to)}
      on ${sql.ref(`${to}.id`)} = ${sql.ref(`${from}.${name}`)} and ${ruleSql(scope, target, to, accessOf(target, scope.principal).read)}`);
    at = target;
    from = to;
  }
  const target = readableTarget(at, scope.principal, names.at(-1)!);
  return target && { object: at, field: target.field, column: sql.ref(`${from}.${target.column}`), joins };
}

/** A day counted from today, as ISO 8601 has it, in UTC. */
export function relativeDay(value: unknown, now: Date = new Date()): string | undefined {
  if (typeof value !== 'object' || value === null || !('days' in value) || Object.keys(value).length !== 1) return undefined;
  const { days } = value;
  if (typeof days !== 'number' || !Number.isInteger(days) || Math.abs(days) > 36_500) return undefined;
  return new Date(now.getTime() + days * 86_400_000).toISOString().slice(0, 10);
}

/** A value that a comparison was given, checked against the field, as a literal that Postgres casts. */
function operand(field: ModelField, given: unknown): string {
  const value = (field.type === 'date' && relativeDay(given)) || given;
  const spec: Field = { ...field.spec, required: false, max: undefined, min: undefined } as Field;
  if (field.type === 'money' && (typeof value === 'number' || typeof value === 'string')) return moneyAmount(field, value);
  if (field.type === 'number' && typeof value === 'number' && Number.isFinite(value)) return decimal(value);
  const loose: Field = field.type === 'email' || field.type === 'phone' || field.type === 'url' ? { type: 'text' } : spec;
  const checked = checkValue(loose, value);
  if (!checked.ok || checked.value === null)
    return refuse(
      `${field.name} cannot be compared with ${JSON.stringify(value)?.slice(0, 60)}: ${checked.ok ? 'a value is needed' : checked.message}.`,
    );
  return toLiteral(field, checked.value)!;
}

function moneyAmount(field: ModelField, value: unknown): string {
  const amount = typeof value === 'object' && value !== null ? (value as Money).amount : value;
  const text = typeof amount === 'number' ? decimal(amount) : amount;
  if (typeof text !== 'string' || !/^-?\d{1,15}(\.\d{1,20})?$/.test(text))
    return refuse(`${field.name} is compared with an amount like "12.50".`);
  return text;
}

function currencyCode(field: ModelField, value: unknown): string {
  return typeof value === 'string' && /^[A-Z]{3}$/.test(value) ? value : refuse(`${field.name} is compared in a currency like EUR.`);
}

function list(field: ModelField, value: unknown): unknown[] {
  if (!Array.isArray(value) || value.length === 0) return refuse(`This comparison of ${field.name} needs a list of values.`);
  if (value.length > 1000) return refuse(`A list in a filter has at most 1,000 values.`);
  return value;
}

function range(field: ModelField, value: unknown): unknown[] {
  return Array.isArray(value) && value.length === 2 ? value : refuse(`"between" of ${field.name} needs a list of two values.`);
}

const LIKE_SPECIAL = /[\\%_]/g;
/** A pattern for LIKE that matches `text` literally. */
export const likeLiteral = (text: string): string => text.replace(LIKE_SPECIAL, '\\$&');

function leafSql(field: ModelField, column: RawBuilder<unknown>, op: Operator, value: unknown, negated: boolean): Bool {
  const cast = sql.raw(columnType(field));
  // Positive leaves may be NULL, which a conjunction reads as false and an index can serve; negated ones may not.
  const sign = (condition: Bool): Bool => (negated ? sql<boolean>`(${condition}) is not true` : condition);
  if (op === 'isNull') {
    const empty = (value ?? true) !== false;
    if (typeof (value ?? true) !== 'boolean') return refuse('"isNull" takes true or false.');
    return empty !== negated ? sql<boolean>`${column} is null` : sql<boolean>`${column} is not null`;
  }
  if (op === 'ne') return leafSql(field, column, 'eq', value, !negated);
  if (op === 'nin') return leafSql(field, column, 'in', value, !negated);
  if (value === null || value === undefined) {
    if (op === 'eq') return negated ? sql<boolean>`${column} is not null` : sql<boolean>`${column} is null`;
    return refuse(`"${op}" of ${field.name} needs a value.`);
  }
  if (field.type === 'multiSelect' || field.type === 'refs') return sign(setSql(field, column, op, value));
  if (op === 'contains' || op === 'startsWith') {
    const text = field.type === 'address' ? sql`${column}::text` : column;
    return sign(sql<boolean>`kith.fold(${text}) like ${op === 'contains' ? '%' : ''} || ${pattern(field, op, value)} || '%'`);
  }
  if (field.type === 'money') return sign(moneySql(field, column, op, value));
  switch (op) {
    case 'eq':
      return sign(sql<boolean>`${column} = ${operand(field, value)}::${cast}`);
    case 'in':
      return sign(sql<boolean>`${column} = any(${list(field, value).map((one) => operand(field, one))}::${cast}[])`);
    case 'between': {
      const [low, high] = range(field, value);
      return sign(sql<boolean>`${column} between ${operand(field, low)}::${cast} and ${operand(field, high)}::${cast}`);
    }
    default:
      return sign(sql<boolean>`${column} ${sql.raw(SYMBOL[op as keyof typeof SYMBOL])} ${operand(field, value)}::${cast}`);
  }
}

const SYMBOL = { lt: '<', lte: '<=', gt: '>', gte: '>=' } as const;

function moneySql(field: ModelField, column: RawBuilder<unknown>, op: Operator, value: unknown): Bool {
  const amount = sql`(${column}).amount`;
  const of = (one: unknown): RawBuilder<unknown> => sql`${moneyAmount(field, one)}::numeric`;
  const currency = (one: unknown): Bool =>
    typeof one === 'object' && one !== null && 'currency' in one
      ? sql<boolean>` and (${column}).currency = ${currencyCode(field, one.currency)}`
      : sql<boolean>``;
  switch (op) {
    case 'eq':
      return sql<boolean>`(${amount} = ${of(value)}${currency(value)})`;
    case 'in':
      return sql<boolean>`(${sql.join(
        list(field, value).map((one) => sql`(${amount} = ${of(one)}${currency(one)})`),
        sql` or `,
      )})`;
    case 'between': {
      const [low, high] = range(field, value);
      return sql<boolean>`(${amount} between ${of(low)} and ${of(high)}${currency(low)}${currency(high)})`;
    }
    default:
      return sql<boolean>`(${amount} ${sql.raw(SYMBOL[op as keyof typeof SYMBOL])} ${of(value)}${currency(value)})`;
  }
}

function setSql(field: ModelField, column: RawBuilder<unknown>, op: Operator, value: unknown): Bool {
  const cast = sql.raw(columnType(field));
  const members = (input: unknown): string => operand(field, Array.isArray(input) ? input : [input]);
  switch (op) {
    case 'eq':
      return sql<boolean>`(${column} @> ${members(value)}::${cast} and ${column} <@ ${members(value)}::${cast})`;
    case 'contains':
      return sql<boolean>`${column} @> ${members(value)}::${cast}`;
    default:
      return sql<boolean>`${column} && ${members(list(field, value))}::${cast}`;
  }
}

/** A rule as SQL, for the principal that asks. */
export function ruleSql(asked: Scope, object: ModelObject, alias: string, rule: Rule, negated = false): Bool {
  const scope: Scope = asked.ruled ? asked : { ...asked, ruled: true };
  if ('everyone' in rule) return negated ? FALSE : TRUE;
  if ('nobody' in rule) return negated ? TRUE : FALSE;
  if ('role' in rule) return hasRole(scope.principal, ...rule.role) !== negated ? TRUE : FALSE;
  if ('owner' in rule) {
    return leafSql(
      targetOf(object, rule.owner)!.field,
      sql.ref(`${alias}.${targetOf(object, rule.owner)!.column}`),
      'eq',
      scope.principal.id,
      negated,
    );
  }
  if ('company' in rule) {
    if (scope.reading) return isSql(object, alias, rule.company, scope.reading.company, negated);
    return identitySql(object, alias, rule.company, scope.principal.outside?.company, negated);
  }
  if ('guest' in rule) {
    if (scope.reading) return isSql(object, alias, 'id', scope.reading.guest, negated);
    const given = scope.principal.outside?.record;
    return identitySql(object, alias, 'id', given?.object === object.name ? given.id : undefined, negated);
  }
  if ('field' in rule) return filterSql(scope, object, alias, rule, negated);
  if ('not' in rule) return ruleSql(scope, object, alias, rule.not, !negated);
  if ('permission' in rule) throw unresolved(rule.permission);
  const all = 'and' in rule !== negated;
  const parts = ('and' in rule ? rule.and : rule.or).map((part) => ruleSql(scope, object, alias, part, negated));
  if (parts.length === 0) return all ? TRUE : FALSE;
  return sql<boolean>`(${sql.join(parts, all ? sql` and ` : sql` or `)})`;
}

/** The model has roles in its place. */
const unresolved = (name: string): Error => new Error(`the permission "${name}" stands in a rule that is in no model`);

/** Whether a reference, or the record's own id, is this one; nobody's is nothing. */
function identitySql(object: ModelObject, alias: string, name: string, id: string | undefined, negated: boolean): Bool {
  if (id === undefined) return negated ? TRUE : FALSE;
  const { field, column } = targetOf(object, name)!;
  return leafSql(field, sql.ref(`${alias}.${column}`), 'eq', id, negated);
}

function isSql(object: ModelObject, alias: string, name: string, who: RawBuilder<unknown>, negated: boolean): Bool {
  const same = sql<boolean>`${sql.ref(`${alias}.${targetOf(object, name)!.column}`)} = ${who}`;
  return negated ? sql<boolean>`(${same}) is not true` : same;
}

/** True, false, or unknown: only SQL can tell. */
export type Trilean = boolean | undefined;
const not = (value: Trilean): Trilean => (value === undefined ? undefined : !value);
const every = (values: Trilean[]): Trilean => (values.includes(false) ? false : values.includes(undefined) ? undefined : true);
const some = (values: Trilean[]): Trilean => (values.includes(true) ? true : values.includes(undefined) ? undefined : false);

/** Values of one record by field name, system fields included where known. */
export type Values = Readonly<Record<string, FieldValue | undefined>>;

/** Whether a record fits a filter, as far as its values tell. */
export function matches(object: ModelObject, filter: Filter, values: Values): Trilean {
  if ('and' in filter) return every(filter.and.map((part) => matches(object, part, values)));
  if ('or' in filter) return some(filter.or.map((part) => matches(object, part, values)));
  if ('not' in filter) return not(matches(object, filter.not, values));
  const target = targetOf(object, filter.field);
  if (!target || !(filter.field in values)) return undefined;
  return leafMatches(target.field, values[filter.field] ?? null, filter.op, filter.value);
}

function leafMatches(field: ModelField, have: FieldValue, op: Operator, value: unknown): Trilean {
  switch (op) {
    case 'isNull':
      return (have === null) === ((value ?? true) !== false);
    case 'ne':
      return not(leafMatches(field, have, 'eq', value));
    case 'nin':
      return not(leafMatches(field, have, 'in', value));
    case 'contains':
    case 'startsWith':
      if (field.type !== 'multiSelect' && field.type !== 'refs') return have === null ? false : undefined;
      return Array.isArray(have) && (Array.isArray(value) ? value : [value]).every((one) => have.includes(one as string));
    case 'in':
      if (!Array.isArray(value)) return undefined;
      if (Array.isArray(have)) return value.some((one) => have.includes(one as string));
      return some(value.map((one) => leafMatches(field, have, 'eq', one)));
    case 'eq':
      if (value === null || value === undefined) return have === null;
      if (have === null) return false;
      if (field.type === 'money' || field.type === 'dateTime') return undefined;
      if (Array.isArray(have)) {
        const wanted = new Set<unknown>(Array.isArray(value) ? value : [value]);
        return have.length === wanted.size && have.every((one) => wanted.has(one));
      }
      return sameValue(have, ((field.type === 'date' && relativeDay(value)) || value) as FieldValue);
    case 'between':
      return Array.isArray(value)
        ? every([leafMatches(field, have, 'gte', value[0]), leafMatches(field, have, 'lte', value[1])])
        : undefined;
    default: {
      if (have === null) return false;
      // Text is ordered by the database's collation, which only the database knows.
      if (field.type !== 'number' && field.type !== 'date') return undefined;
      const than = ((field.type === 'date' && relativeDay(value)) || value) as number;
      const sign = (have as number) < than ? -1 : (have as number) > than ? 1 : 0;
      return { lt: sign < 0, lte: sign <= 0, gt: sign > 0, gte: sign >= 0 }[op];
    }
  }
}

/** Whether a principal passes a rule for a record with these values, as far as they tell. */
export function can(object: ModelObject, principal: Principal, rule: Rule, values: Values): Trilean {
  if ('everyone' in rule) return true;
  if ('nobody' in rule) return false;
  if ('role' in rule) return hasRole(principal, ...rule.role);
  if ('owner' in rule) return rule.owner in values ? values[rule.owner] === principal.id : undefined;
  if ('company' in rule) {
    const { company } = principal.outside ?? {};
    if (company === undefined) return false;
    return rule.company in values ? values[rule.company] === company : undefined;
  }
  if ('guest' in rule) {
    const given = principal.outside?.record;
    if (given?.object !== object.name) return false;
    return 'id' in values ? values.id === given.id : undefined;
  }
  if ('field' in rule) return matches(object, rule, values);
  if ('not' in rule) return not(can(object, principal, rule.not, values));
  if ('permission' in rule) throw unresolved(rule.permission);
  const parts = ('and' in rule ? rule.and : rule.or).map((part) => can(object, principal, part, values));
  return 'and' in rule ? every(parts) : some(parts);
}

/** Whether a rule can be decided without a row. */
export const isRowless = (rule: Rule): boolean => fieldsOfRule(rule).length === 0;

/** Equalities that every match of a filter has, for looking up affected subscriptions. */
export function equalitiesOf(filter: Filter | undefined): { field: string; value: string | number | boolean }[] {
  if (!filter) return [];
  if ('and' in filter) return filter.and.flatMap(equalitiesOf);
  if (!('field' in filter) || filter.field.includes('.')) return [];
  const { field, op, value } = filter;
  return op === 'eq' && (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') ? [{ field, value }] : [];
}
