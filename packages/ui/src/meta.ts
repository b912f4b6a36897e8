/** Reading the schema that the API describes. */
import { checkValue, type Field, type FieldValue, type Filter, type Operator, type Part, type RelativeDay } from '@kith/sdk';
import type { App } from './app.svelte.ts';
import type { Key } from './i18n.ts';
import type { FieldMeta, ObjectMeta, OptionMeta, Rec } from './types.ts';

/** The fields that every record has besides its own. */
export const SYSTEM_FIELDS = ['createdAt', 'updatedAt', 'createdBy', 'updatedBy'] as const;
export type SystemFieldName = (typeof SYSTEM_FIELDS)[number];

const isSystem = (name: string): name is SystemFieldName => (SYSTEM_FIELDS as readonly string[]).includes(name);

/** A field or system field of an object, by name; in a filter also one over references (`company.country`), which bears their labels. */
export function columnOf(app: App, object: ObjectMeta, name: string): FieldMeta | undefined {
  const dot = name.indexOf('.');
  if (dot >= 0) {
    const reference = object.fields.find((field) => field.name === name.slice(0, dot));
    const target = reference?.to === undefined ? undefined : app.object(reference.to);
    const end = target && columnOf(app, target, name.slice(dot + 1));
    return reference && end && { ...end, name, label: `${reference.label} › ${end.label}` };
  }
  const own = object.fields.find((field) => field.name === name);
  // Lists hold what is not in the bin; of use is the time of what they point at.
  if (own || (!isSystem(name) && name !== 'deletedAt')) return own;
  const time = name.endsWith('At');
  return {
    name,
    type: time ? 'dateTime' : 'user',
    label: app.t(`field.${name}`),
    required: false,
    mode: 'derived',
    merge: 'none',
    operators: time ? ['lt', 'gt', 'between'] : ['eq', 'ne', 'in'],
    sortable: time,
  };
}

/** The fields that generic pages, lists and filters show. */
export const shownFields = (object: ObjectMeta): FieldMeta[] => object.fields.filter((field) => !field.hidden);

/** The value of a field or system field. */
export function valueOf(record: Rec, name: string): FieldValue {
  if (isSystem(name)) return record[name] ?? null;
  return record.fields[name] ?? null;
}

/** The declaration that the checks of the contract expect. */
export function specOf(meta: FieldMeta): Field {
  const options = Object.fromEntries((meta.options ?? []).map((option) => [option.value, {}]));
  return {
    type: meta.type,
    required: meta.required,
    mode: meta.mode,
    ...(meta.min !== undefined && { min: meta.min }),
    ...(meta.max !== undefined && { max: meta.max }),
    ...(meta.integer && { integer: true }),
    ...(meta.options && { options }),
    ...(meta.to !== undefined && { to: meta.to }),
  } as Field;
}

export type Judged = { ok: true; value: FieldValue } | { ok: false; message: string };

/** Checks a value against its field; a complaint comes in the reader's language. */
export function judge(app: App, meta: FieldMeta, value: FieldValue | undefined): Judged {
  const checked = checkValue(specOf(meta), value);
  if (checked.ok) return checked;
  return { ok: false, message: complaintText(app, meta, checked.code, checked.message) };
}

/** A complaint of the server or the contract in the reader's language; its own words where no text is known. */
export function complaintText(app: App, meta: FieldMeta | undefined, code: string, message: string): string {
  const values = { min: meta?.min ?? null, max: meta?.max ?? null };
  for (const key of [`invalid.${code}.${meta?.type}`, `invalid.${code}`]) {
    if (!app.has(key)) continue;
    // Limits that the field does not tell are in the server's own sentence.
    if (code === 'too_small' && meta?.min === undefined) continue;
    if (code === 'too_large' && meta?.max === undefined) continue;
    if (code === 'too_long' && meta?.max === undefined) continue;
    return app.t(key, values);
  }
  return message.charAt(0).toLocaleUpperCase() + message.slice(1);
}

export const optionOf = (meta: FieldMeta, value: string): OptionMeta =>
  meta.options?.find((option) => option.value === value) ?? { value, label: value };

export const isNumeric = (meta: FieldMeta): boolean => meta.type === 'number' || meta.type === 'money';

/** Whether a filter's value is a day counted from today. */
export const isRelative = (value: Extract<Filter, { op: unknown }>['value']): value is RelativeDay =>
  typeof value === 'object' && value !== null && 'days' in value;

/** Objects whose fields know where they belong, so that plugins may show them in their own way. */
export const withOwners = (objects: readonly ObjectMeta[]): ObjectMeta[] =>
  objects.map((object) => ({ ...object, fields: object.fields.map((field) => ({ ...field, of: object.name })) }));

/** Fields in no document: whoever may, changes them by PATCH. */
export const isPatched = (meta: FieldMeta): boolean => meta.mode === 'restricted';

/** Whether the person may change the field, as far as the schema tells. */
export function mayWrite(object: ObjectMeta, meta: FieldMeta): boolean {
  if (isPatched(meta)) return meta.writable ?? object.rights.update;
  return meta.mode === 'live' && (meta.writable ?? object.rights.update);
}

/** Whether the field may be edited in a list or on a page. */
export function isEditable(object: ObjectMeta, meta: FieldMeta): boolean {
  if (!mayWrite(object, meta)) return false;
  return isPatched(meta) || object.facets.some((facet) => facet.access === 'write' && facet.fields.includes(meta.name));
}

export const PARTS: readonly Part[] = ['operational', 'analytical', 'communicative', 'collaborative'];

export const operatorText = (app: App, meta: FieldMeta, op: Operator): string => {
  const special = `op.${op}.${kindOf(meta)}`;
  return app.has(special) ? app.t(special) : app.t(`op.${op}` as Key);
};

function kindOf(meta: FieldMeta): 'time' | 'number' | 'set' | 'text' | 'one' {
  switch (meta.type) {
    case 'date':
    case 'dateTime':
      return 'time';
    case 'number':
    case 'money':
      return 'number';
    case 'multiSelect':
    case 'refs':
      return 'set';
    case 'select':
    case 'boolean':
    case 'ref':
    case 'anyRef':
    case 'user':
      return 'one';
    default:
      return 'text';
  }
}

/** A value as one line of text. */
export function textOf(app: App, meta: FieldMeta, value: FieldValue): string {
  if (value === null || value === undefined) return '';
  const { format } = app;
  switch (meta.type) {
    case 'number':
      return meta.percent ? format.percent(value as number) : format.number(value as number);
    case 'money':
      return typeof value === 'object' && 'amount' in value ? format.money(value) : String(value as string);
    case 'boolean':
      return value ? app.t('value.yes') : app.t('value.no');
    case 'date':
      return format.day(value as string);
    case 'dateTime':
      return format.time(value as string);
    case 'select':
      return optionOf(meta, value as string).label;
    case 'multiSelect':
      return (value as string[]).map((one) => optionOf(meta, one).label).join(', ');
    case 'address':
      return typeof value === 'object' && !Array.isArray(value) ? format.address(value as object) : '';
    case 'user':
      return app.nameOf(value as string);
    case 'ref':
      return app.refs.get(value as string)?.title ?? '…';
    case 'refs':
      return (value as string[]).map((id) => app.refs.get(id)?.title ?? '…').join(', ');
    case 'anyRef':
      return app.refs.get((value as { id: string }).id)?.title ?? '…';
    default:
      return typeof value === 'string' ? value : JSON.stringify(value);
  }
}

/** The exact value, for hovering over a shortened one. */
export function exactText(app: App, meta: FieldMeta, value: FieldValue): string | undefined {
  if (value === null) return undefined;
  if (meta.type === 'date') return app.format.dayExact(value as string);
  if (meta.type === 'dateTime') return app.format.timeExact(value as string);
  return textOf(app, meta, value);
}

/** The name of an object within a sentence: German nouns keep their capital, abbreviations too. */
export const within = (app: App, noun: string): string =>
  app.language === 'de' || /^\p{Lu}{2}/u.test(noun) ? noun : noun.charAt(0).toLowerCase() + noun.slice(1);

/** Where a record's page is. */
export const pathOf = (object: string, id: string): string => (object === 'kith.user' ? '/settings/people' : `/o/${object}/${id}`);
