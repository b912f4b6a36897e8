/** A field's column: its type, how a value is written as a Postgres literal, and how it is read back. */
import {
  canonicalDecimal,
  type Address,
  type AnyRef,
  type FieldValue,
  type ModelField,
  type ModelObject,
  type ModelPortal,
  type Money,
} from '@kith/sdk';
import { quote } from '../database.ts';

/** System columns of every record table, in the order of {@link systemColumns}. */
export interface SystemRow {
  id: string;
  version: number;
  created_at: string;
  created_by: string;
  updated_at: string;
  updated_by: string;
  deleted_at: string | null;
  deleted_by: string | null;
  /** Bit per facet that has a document. */
  docs: number;
}

export const SYSTEM_COLUMNS = [
  'id',
  'version',
  'created_at',
  'created_by',
  'updated_at',
  'updated_by',
  'deleted_at',
  'deleted_by',
  'docs',
] as const;

/** The columns that tell an audience how often and when what it may read has changed, and since when the record is theirs. */
export const audienceColumns = (audience: string): { version: string; updatedAt: string; since: string } => ({
  version: `version@${audience}`,
  updatedAt: `updated_at@${audience}`,
  since: `since@${audience}`,
});

/** System fields of the API and the columns behind them. */
export const SYSTEM_FIELDS: Record<string, { column: string; type: 'dateTime' | 'user' | 'number' | 'id' }> = {
  id: { column: 'id', type: 'id' },
  version: { column: 'version', type: 'number' },
  createdAt: { column: 'created_at', type: 'dateTime' },
  createdBy: { column: 'created_by', type: 'user' },
  updatedAt: { column: 'updated_at', type: 'dateTime' },
  updatedBy: { column: 'updated_by', type: 'user' },
  /** Of use over references: what points at a record in the bin. */
  deletedAt: { column: 'deleted_at', type: 'dateTime' },
};

/** SQL type of a field's column. */
export function columnType(field: ModelField): string {
  switch (field.type) {
    case 'number':
      return 'numeric';
    case 'money':
      return 'kith.money';
    case 'boolean':
      return 'boolean';
    case 'date':
      return 'date';
    case 'dateTime':
      return 'timestamptz';
    case 'multiSelect':
      return 'text[]';
    case 'ref':
    case 'user':
      return 'uuid';
    case 'refs':
      return 'uuid[]';
    case 'address':
      return 'jsonb';
    default:
      return 'text';
  }
}

const arrayLiteral = (items: readonly string[]): string => `{${items.map((item) => `"${item.replace(/[\\"]/g, '\\$&')}"`).join(',')}}`;

/** A value as text that Postgres casts to the column's type; null stays null. */
export function toLiteral(field: ModelField, value: FieldValue): string | null {
  if (value === null) return null;
  switch (field.type) {
    case 'number':
      return decimal(value as number);
    case 'money':
      return `(${(value as Money).amount},${(value as Money).currency})`;
    case 'boolean':
      return value ? 't' : 'f';
    case 'multiSelect':
    case 'refs':
      return arrayLiteral(value as string[]);
    case 'address':
      return JSON.stringify(value);
    case 'anyRef':
      return anyRefText(value as AnyRef);
    default:
      return value as string;
  }
}

/** A reference to any object as its column holds it. */
export const anyRefText = (ref: AnyRef): string => `${ref.object}/${ref.id}`;

/** A JSON number without exponent, as numeric reads it. */
export const decimal = (value: number): string => (Number.isInteger(value) && Math.abs(value) < 1e21 ? value.toFixed(0) : String(value));

/** A column's value as it travels in JSON. */
export function fromColumn(field: ModelField, raw: unknown): FieldValue {
  if (raw === null || raw === undefined) return null;
  switch (field.type) {
    case 'number':
      return Number(raw);
    case 'money': {
      const match = /^\(([^,]*),"?([^,"]*)"?\)$/.exec(raw as string);
      return match ? { amount: canonicalDecimal(match[1]!), currency: match[2]! } : null;
    }
    case 'anyRef': {
      const text = raw as string;
      const slash = text.indexOf('/');
      return { object: text.slice(0, slash), id: text.slice(slash + 1) };
    }
    case 'address':
      return raw as Address as FieldValue;
    default:
      return raw as FieldValue;
  }
}

/** `"sales"."order"` */
export const tableName = (object: ModelObject): string => `${quote(object.plugin)}.${quote(object.key)}`;

/** All field values of a row. */
export function fieldsOf(object: ModelObject, row: Record<string, unknown>): Record<string, FieldValue> {
  const fields: Record<string, FieldValue> = {};
  for (const field of object.fields.values()) fields[field.name] = fromColumn(field, row[field.name]);
  return fields;
}

/** System columns and fields of a row, named one by one: with `*`, a column added meanwhile would break plans that are kept. */
export const columnList = (object: ModelObject, alias: string, fields: Iterable<string> = object.fields.keys()): string =>
  [...SYSTEM_COLUMNS, ...[...object.portals.keys()].flatMap((key) => Object.values(audienceColumns(key))), ...fields]
    .map((name) => `${alias}.${quote(name)}`)
    .join(', ');

/** A short name for a list of names. */
export function hashOf(text: string): string {
  let value = 2166136261;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 16777619) >>> 0;
  return value.toString(36);
}

/**
 * The column that search looks into. Postgres computes it from the search fields as the row is written: a search that
 * folds each candidate again costs twenty times as much, and without statistics of its own the planner guesses wrong.
 * The name carries the fields: other search fields are another column, beside the old one.
 */
export const searchColumn = (fields: readonly string[]): string => `search_${hashOf(fields.join(','))}`;
export const searchColumnDdl = (fields: readonly string[]): { name: string; ddl: string } => ({
  name: searchColumn(fields),
  ddl: `${quote(searchColumn(fields))} text generated always as (kith.search_text(${fields.map(quote).join(', ')})) stored`,
});
/** The search fields that an audience may read: what it finds records by. */
export const searchFieldsFor = (object: ModelObject, portal: ModelPortal): string[] =>
  object.search.filter((name) => portal.read.has(name));
/** The lists of fields by which an object's records are found: by staff, and by audiences that read fewer. */
export const searchLists = (object: ModelObject): string[][] => {
  const lists = [[...object.search], ...[...object.portals.values()].map((portal) => searchFieldsFor(object, portal))];
  return [...new Map(lists.filter((list) => list.length > 0).map((list) => [list.join(), list])).values()];
};
/** One field's part of the search text, counted from 1; undefined where a field before it may hold line breaks. */
export function searchPartSql(object: ModelObject, alias: string, name: string): string | undefined {
  const at = object.search.indexOf(name);
  const oneLine = object.search.slice(0, at + 1).every((one) => ['text', 'email', 'phone', 'url'].includes(object.fields.get(one)!.type));
  return at >= 0 && oneLine ? `split_part(${searchSql(object, alias)}, E' \\n ', ${at + 1})` : undefined;
}
export const searchSql = (object: ModelObject, alias: string): string => `${quote(alias)}.${quote(searchColumn(object.search))}`;
