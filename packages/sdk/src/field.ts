/**
 * Fields: what kinds of values there are, and the shape of each.
 *
 * A field type has in one place its value type and validation (here), its Yjs
 * encoding (@kith/doc), its column (core/records) and its widget (@kith/ui).
 */

/** The field types a plugin may declare. */
export type FieldType =
  | 'text'
  | 'longText'
  | 'richText'
  | 'number'
  | 'money'
  | 'boolean'
  | 'date'
  | 'dateTime'
  | 'select'
  | 'multiSelect'
  | 'email'
  | 'phone'
  | 'url'
  | 'address'
  | 'ref'
  | 'refs'
  | 'anyRef'
  | 'user';

/** An amount with its currency. `amount` is a decimal string, so that no digit is lost; `currency` is ISO 4217. */
export interface Money {
  /** Decimal with at least two places, as `12.50`. */
  amount: string;
  /** ISO 4217 code, as `EUR`. */
  currency: string;
}

/** A postal address. Empty parts are absent. `country` is the name as the customer writes it. */
export interface Address {
  /** Street and number. */
  street?: string;
  /** City. */
  city?: string;
  /** State or province. */
  region?: string;
  /** Postal code, as it is written there. */
  postalCode?: string;
  /** Name of the country, as the customer writes it. */
  country?: string;
}

/** A reference to a record of any object. */
export interface AnyRef {
  /** Full name of the object. */
  object: string;
  /** UUID of the record. */
  id: string;
}

/** Any value that a field can hold, as it travels in JSON. */
export type FieldValue = string | number | boolean | string[] | Money | Address | AnyRef | null;

/** One choice of a select or multiSelect. */
export interface Option {
  /** Colour of its pill, from the fixed palette. */
  color?: 'grey' | 'blue' | 'green' | 'amber' | 'red' | 'indigo' | 'violet' | 'teal';
  /** In a lifecycle: whether the record is still being worked on, or how it ended. */
  outcome?: 'open' | 'won' | 'lost';
  /** In a lifecycle: how likely the record is to be won from here, 0 to 1. */
  probability?: number;
}

/**
 * How a value may change.
 * - `live`: people co-edit it in the record's document.
 * - `restricted`: written through the API by those who may, one change after another, and in no document: fields that
 *   decide who sees the record, that others are derived from, or that can be written in some states only.
 * - `derived`: computed by the system; nobody writes it.
 * - `arbitrated`: an invariant a merge cannot keep (stock, unique number); changed by an action.
 */
export type FieldMode = 'live' | 'restricted' | 'derived' | 'arbitrated';

interface FieldCommon {
  /** A record without this value is refused. */
  required?: boolean;
  /** How a value may change; `live` unless told. See FieldMode. */
  mode?: FieldMode;
  /** Derived fields only: keep their changes in the ledger. */
  tracked?: boolean;
  /** Not shown on generic pages, lists and filters: a plugin's own screens show it. The API carries it. */
  hidden?: boolean;
  /** Heading under which the record page shows the field. */
  group?: string;
  /** Give the column an index; set it where lists filter or sort by this field. */
  indexed?: boolean;
  /**
   * Derived fields only: the value of a field of the record that a reference points at, as `reference.field`, kept
   * the same whenever either changes. Neither the reference nor the field there may be live.
   */
  lookup?: string;
  /** Taken over as `reference.field` when the record is created without a value, and left alone from then on. */
  snapshot?: string;
}

export interface TextField extends FieldCommon {
  type: 'text';
  /** Longest accepted value in UTF-16 units; 1,000 unless told. */
  max?: number;
  /** Number new records from a sequence beginning here. Implies `mode: 'arbitrated'`. */
  sequence?: { start: number; prefix?: string };
  /** Value of a new record that is given none. */
  default?: string;
}
export interface LongTextField extends FieldCommon {
  type: 'longText';
}
export interface RichTextField extends FieldCommon {
  type: 'richText';
}
export interface NumberField extends FieldCommon {
  type: 'number';
  /** Least accepted value. */
  min?: number;
  /** Greatest accepted value. */
  max?: number;
  /** Whole numbers only. */
  integer?: boolean;
  /** Shown as a percentage; the value stays a fraction (0.15). */
  percent?: boolean;
  /** Value of a new record that is given none. */
  default?: number;
}
export interface MoneyField extends FieldCommon {
  type: 'money';
  /** Least accepted amount, whatever the currency. */
  min?: number;
}
export interface BooleanField extends FieldCommon {
  type: 'boolean';
  /** Value of a new record that is given none. */
  default?: boolean;
}
export interface DateField extends FieldCommon {
  type: 'date';
  /** `today`: the day in UTC on which the record is created. */
  default?: 'today';
}
export interface DateTimeField extends FieldCommon {
  type: 'dateTime';
  /** `now`: the moment in which the record is created. */
  default?: 'now';
}
export interface SelectField<O extends Record<string, Option> = Record<string, Option>> extends FieldCommon {
  type: 'select';
  /** Options by the value that is stored, in the order in which they are shown. Stored values never change; labels come from the catalogue. */
  options: O;
  /** Option of a new record that is given none. */
  default?: string;
}
export interface MultiSelectField<O extends Record<string, Option> = Record<string, Option>> extends FieldCommon {
  type: 'multiSelect';
  /** Options by the value that is stored, in the order in which they are shown. */
  options: O;
}
export interface EmailField extends FieldCommon {
  type: 'email';
}
export interface PhoneField extends FieldCommon {
  type: 'phone';
}
export interface UrlField extends FieldCommon {
  type: 'url';
}
export interface AddressField extends FieldCommon {
  type: 'address';
}
export interface RefField<To extends string = string> extends FieldCommon {
  type: 'ref';
  /** The object referred to, as `plugin.object`. */
  to: To;
  /** Show the records that point here on the target's page. */
  listed?: boolean;
}
export interface RefsField<To extends string = string> extends FieldCommon {
  type: 'refs';
  /** The object referred to, as `plugin.object`. */
  to: To;
}
export interface AnyRefField extends FieldCommon {
  type: 'anyRef';
}
export interface UserField extends FieldCommon {
  type: 'user';
  /** `creator`: whoever creates the record, when it is a person. */
  default?: 'creator';
}

export type Field =
  | TextField
  | LongTextField
  | RichTextField
  | NumberField
  | MoneyField
  | BooleanField
  | DateField
  | DateTimeField
  | SelectField
  | MultiSelectField
  | EmailField
  | PhoneField
  | UrlField
  | AddressField
  | RefField
  | RefsField
  | AnyRefField
  | UserField;

/** Options of a builder: the field without its type. */
type Spec<F extends Field> = Omit<F, 'type'>;

export const text = <const S extends Spec<TextField>>(spec?: S) => ({ type: 'text', ...spec }) as { type: 'text' } & S;
export const longText = <const S extends Spec<LongTextField>>(spec?: S) => ({ type: 'longText', ...spec }) as { type: 'longText' } & S;
export const richText = <const S extends Spec<RichTextField>>(spec?: S) => ({ type: 'richText', ...spec }) as { type: 'richText' } & S;
export const number = <const S extends Spec<NumberField>>(spec?: S) => ({ type: 'number', ...spec }) as { type: 'number' } & S;
export const money = <const S extends Spec<MoneyField>>(spec?: S) => ({ type: 'money', ...spec }) as { type: 'money' } & S;
export const boolean = <const S extends Spec<BooleanField>>(spec?: S) => ({ type: 'boolean', ...spec }) as { type: 'boolean' } & S;
export const date = <const S extends Spec<DateField>>(spec?: S) => ({ type: 'date', ...spec }) as { type: 'date' } & S;
export const dateTime = <const S extends Spec<DateTimeField>>(spec?: S) => ({ type: 'dateTime', ...spec }) as { type: 'dateTime' } & S;
export const email = <const S extends Spec<EmailField>>(spec?: S) => ({ type: 'email', ...spec }) as { type: 'email' } & S;
export const phone = <const S extends Spec<PhoneField>>(spec?: S) => ({ type: 'phone', ...spec }) as { type: 'phone' } & S;
export const url = <const S extends Spec<UrlField>>(spec?: S) => ({ type: 'url', ...spec }) as { type: 'url' } & S;
export const address = <const S extends Spec<AddressField>>(spec?: S) => ({ type: 'address', ...spec }) as { type: 'address' } & S;
export const anyRef = <const S extends Spec<AnyRefField>>(spec?: S) => ({ type: 'anyRef', ...spec }) as { type: 'anyRef' } & S;
export const user = <const S extends Spec<UserField>>(spec?: S) => ({ type: 'user', ...spec }) as { type: 'user' } & S;

type SelectSpec<O extends Record<string, Option>> = Omit<SelectField<O>, 'type' | 'default'> & {
  default?: keyof O & string;
};
/** One of the given options. The keys are the stored values and never change; labels come from the catalogue. */
export const select = <const O extends Record<string, Option>>(spec: SelectSpec<O>) =>
  ({ type: 'select', ...spec }) as { type: 'select' } & SelectSpec<O>;
/** Any of the given options, as a set: two people who each add one both succeed. */
export const multiSelect = <const O extends Record<string, Option>>(spec: Spec<MultiSelectField<O>>) =>
  ({ type: 'multiSelect', ...spec }) as { type: 'multiSelect' } & Spec<MultiSelectField<O>>;
/** A reference to one record of another object. */
export const ref = <const To extends string, const S extends Omit<Spec<RefField>, 'to'>>(to: To, spec?: S) =>
  ({ type: 'ref', to, ...spec }) as { type: 'ref'; to: To } & S;
/** References to several records of another object, as a set. */
export const refs = <const To extends string, const S extends Omit<Spec<RefsField>, 'to'>>(to: To, spec?: S) =>
  ({ type: 'refs', to, ...spec }) as { type: 'refs'; to: To } & S;

/** The JSON value of a field, never null: `ValueOf<typeof myField>`. */
export type ValueOf<F> = F extends { type: 'number' }
  ? number
  : F extends { type: 'boolean' }
    ? boolean
    : F extends { type: 'money' }
      ? Money
      : F extends { type: 'address' }
        ? Address
        : F extends { type: 'anyRef' }
          ? AnyRef
          : F extends { type: 'select'; options: infer O }
            ? keyof O & string
            : F extends { type: 'multiSelect'; options: infer O }
              ? (keyof O & string)[]
              : F extends { type: 'refs' }
                ? string[]
                : string;

/**
 * How concurrent edits of a field meet.
 * `register`: the last writer wins; `set`: additions win; `text` and `rich`: characters merge; `none`: not in a document.
 */
export type Merge = 'register' | 'set' | 'text' | 'rich' | 'none';

/** See {@link Merge}. */
export function mergeOf(field: Field): Merge {
  if (modeOf(field) !== 'live') return 'none';
  switch (field.type) {
    case 'multiSelect':
    case 'refs':
      return 'set';
    case 'longText':
      return 'text';
    case 'richText':
      return 'rich';
    default:
      return 'register';
  }
}

/** The mode of a field; a text with a sequence is arbitrated, everything else live unless it says otherwise. */
export function modeOf(field: Field): FieldMode {
  if (field.mode) return field.mode;
  return field.type === 'text' && field.sequence ? 'arbitrated' : 'live';
}

/** Why a value was refused: a stable code and a sentence for people. */
export interface Invalid {
  code: 'required' | 'invalid' | 'too_long' | 'too_small' | 'too_large' | 'unknown_option';
  message: string;
}

export type Checked = { ok: true; value: FieldValue } | ({ ok: false } & Invalid);

const ok = (value: FieldValue): Checked => ({ ok: true, value });
const bad = (code: Invalid['code'], message: string): Checked => ({ ok: false, code, message });

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const EMAIL = /^[^\s@<>()",;:\\]+@[^\s@<>()",;:\\]+\.[^\s@<>()",;:\\.]+$/u;
const DECIMAL = /^-?\d{1,15}(\.\d{1,20})?$/;
const OBJECT = /^[a-z][A-Za-z0-9]*\.[a-z][A-Za-z0-9]*$/;
const ADDRESS_PARTS = ['street', 'city', 'region', 'postalCode', 'country'] as const;
/** Longest longText or richText, in UTF-16 units. */
export const LARGE_TEXT_MAX = 1_000_000;

/** Whether a string is a UUID in lower case, as ids travel. */
export const isUuid = (value: unknown): value is string => typeof value === 'string' && UUID.test(value);

/** A decimal string in one form: no leading zeros, at least two places, none needless beyond. */
export function canonicalDecimal(amount: string): string {
  const negative = amount.startsWith('-');
  const [whole = '0', fraction = ''] = (negative ? amount.slice(1) : amount).split('.');
  const places = fraction.replace(/0+$/, '').padEnd(2, '0');
  const digits = `${whole.replace(/^0+(?=\d)/, '')}.${places}`;
  return negative && /[1-9]/.test(digits) ? `-${digits}` : digits;
}

function checkString(value: unknown, max: number): Checked {
  if (typeof value !== 'string') return bad('invalid', 'must be a string');
  if (value.length > max) return bad('too_long', `must have at most ${max} characters`);
  // Postgres stores neither NUL nor half a surrogate pair; such a value would differ between column and document.
  if (value.includes('\u0000') || !value.isWellFormed()) return bad('invalid', 'must be well-formed text without NUL');
  return value === '' ? ok(null) : ok(value);
}

function checkOneLine(value: unknown, max: number): Checked {
  const checked = checkString(value, max);
  if (checked.ok && typeof checked.value === 'string' && /[\r\n\u2028\u2029]/.test(checked.value)) {
    return bad('invalid', 'must be one line');
  }
  return checked;
}

function checkDate(value: unknown): Checked {
  if (typeof value !== 'string' || !/^\d{4}-\d{2}-\d{2}$/.test(value) || value < '0001') {
    return bad('invalid', 'must be a date like 2026-11-21');
  }
  const parsed = new Date(`${value}T00:00:00Z`);
  if (Number.isNaN(parsed.getTime()) || parsed.toISOString().slice(0, 10) !== value) {
    return bad('invalid', `${value} is not a day of the calendar`);
  }
  return ok(value);
}

function checkDateTime(value: unknown): Checked {
  const message = 'must be a time like 2026-11-21T09:30:00Z';
  if (typeof value !== 'string') return bad('invalid', message);
  const match = /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2})(:\d{2}(\.\d{1,9})?)?([Zz]|[+-]\d{2}:\d{2})$/.exec(value);
  if (!match || !checkDate(match[1]).ok) return bad('invalid', message);
  const parsed = new Date(value.replace(' ', 'T').toUpperCase());
  const year = parsed.getUTCFullYear();
  if (Number.isNaN(parsed.getTime()) || year < 1 || year > 9999) return bad('invalid', message);
  return ok(parsed.toISOString());
}

function checkMoney(value: unknown, field: MoneyField): Checked {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return bad('invalid', 'must be an object like {"amount": "12.50", "currency": "EUR"}');
  }
  const { amount, currency, ...rest } = value as Record<string, unknown>;
  if (Object.keys(rest).length > 0) return bad('invalid', 'must have amount and currency only');
  if (typeof amount !== 'string' || !DECIMAL.test(amount)) {
    return bad('invalid', 'amount must be a decimal string like "12.50", at most 15 digits before the point');
  }
  if (typeof currency !== 'string' || !/^[A-Z]{3}$/.test(currency)) {
    return bad('invalid', 'currency must be an ISO 4217 code like EUR');
  }
  const decimal = canonicalDecimal(amount);
  const places = decimal.length - decimal.indexOf('.') - 1;
  if (places > 4 && modeOf(field) === 'live') return bad('invalid', 'amount may have at most four decimals');
  if (field.min !== undefined && Number(decimal) < field.min) return bad('too_small', `must be at least ${field.min}`);
  return ok({ amount: decimal, currency });
}

function checkAddress(value: unknown): Checked {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return bad('invalid', `must be an object with ${ADDRESS_PARTS.join(', ')}`);
  }
  const parts = value as Record<string, unknown>;
  const address: Address = {};
  for (const key of Object.keys(parts)) {
    if (!(ADDRESS_PARTS as readonly string[]).includes(key)) {
      return bad('invalid', `has an unknown part "${key.slice(0, 40)}"; known are ${ADDRESS_PARTS.join(', ')}`);
    }
  }
  for (const part of ADDRESS_PARTS) {
    if (parts[part] === undefined || parts[part] === null) continue;
    const checked = checkString(parts[part], 500);
    if (!checked.ok) return bad(checked.code, `${part} ${checked.message}`);
    if (typeof checked.value === 'string') address[part] = checked.value;
  }
  return ok(Object.keys(address).length > 0 ? address : null);
}

function checkSet(value: unknown, check: (item: unknown) => Checked): Checked {
  if (!Array.isArray(value)) return bad('invalid', 'must be a list');
  if (value.length > 1000) return bad('too_large', 'must have at most 1,000 entries');
  const items = new Set<string>();
  for (const item of value) {
    const checked = check(item);
    if (!checked.ok) return checked;
    items.add(checked.value as string);
  }
  return ok(items.size > 0 ? [...items] : null);
}

/**
 * Checks one value against its field and brings it into its one stored form.
 * Null, an empty string and an empty list all mean "no value" and come back as null.
 * Whether a reference's target exists is not known here; the server checks that.
 */
export function checkValue(field: Field, value: unknown): Checked {
  if (value === undefined || value === null) return empty(field);
  const checked = checkPresent(field, value);
  return checked.ok && checked.value === null ? empty(field) : checked;
}

function empty(field: Field): Checked {
  return field.required ? bad('required', 'must not be empty') : ok(null);
}

function checkPresent(field: Field, value: unknown): Checked {
  switch (field.type) {
    case 'text':
      return checkOneLine(value, field.max ?? 1000);
    case 'longText':
    case 'richText':
      return checkString(value, LARGE_TEXT_MAX);
    case 'email': {
      const checked = checkOneLine(value, 254);
      if (!checked.ok || checked.value === null) return checked;
      return EMAIL.test(checked.value as string) ? checked : bad('invalid', 'must be an e-mail address like ann@example.com');
    }
    case 'phone': {
      const checked = checkOneLine(value, 60);
      if (!checked.ok || checked.value === null) return checked;
      return /\d/.test(checked.value as string) ? checked : bad('invalid', 'must contain a digit');
    }
    case 'url': {
      const checked = checkOneLine(value, 2000);
      if (!checked.ok || checked.value === null) return checked;
      return URL.canParse(checked.value as string) && /^https?:/i.test(checked.value as string)
        ? checked
        : bad('invalid', 'must be an address that begins with https:// or http://');
    }
    case 'number':
      if (typeof value !== 'number' || !Number.isFinite(value)) return bad('invalid', 'must be a number');
      if (field.integer && !Number.isInteger(value)) return bad('invalid', 'must be a whole number');
      if (field.min !== undefined && value < field.min) return bad('too_small', `must be at least ${field.min}`);
      if (field.max !== undefined && value > field.max) return bad('too_large', `must be at most ${field.max}`);
      return ok(value === 0 ? 0 : value);
    case 'money':
      return checkMoney(value, field);
    case 'boolean':
      return typeof value === 'boolean' ? ok(value) : bad('invalid', 'must be true or false');
    case 'date':
      return checkDate(value);
    case 'dateTime':
      return checkDateTime(value);
    case 'address':
      return checkAddress(value);
    case 'select':
      return checkOption(field, value);
    case 'multiSelect': {
      const checked = checkSet(value, (item) => checkOption(field, item));
      if (!checked.ok || checked.value === null) return checked;
      const order = Object.keys(field.options);
      // One order for one set, so that equal sets are equal columns.
      return ok((checked.value as string[]).sort((a, b) => order.indexOf(a) - order.indexOf(b)));
    }
    case 'ref':
    case 'user':
      return isUuid(value) ? ok(value) : bad('invalid', 'must be an id');
    case 'refs': {
      const checked = checkSet(value, (item) => (isUuid(item) ? ok(item) : bad('invalid', 'must be a list of ids')));
      return checked.ok && checked.value !== null ? ok((checked.value as string[]).sort()) : checked;
    }
    case 'anyRef': {
      const target = value as Record<string, unknown>;
      if (typeof value !== 'object' || !isUuid(target.id) || typeof target.object !== 'string' || !OBJECT.test(target.object)) {
        return bad('invalid', 'must be an object like {"object": "contacts.company", "id": "…"}');
      }
      return ok({ object: target.object, id: target.id });
    }
  }
}

function checkOption(field: SelectField | MultiSelectField, value: unknown): Checked {
  if (typeof value === 'string' && Object.hasOwn(field.options, value)) return ok(value);
  return bad('unknown_option', `must be one of ${Object.keys(field.options).join(', ')}`);
}

/** Whether two values of one field are the same. */
export function sameValue(a: FieldValue | undefined, b: FieldValue | undefined): boolean {
  if (a === b) return true;
  if (a === null || a === undefined || b === null || b === undefined) return (a ?? null) === (b ?? null);
  if (typeof a !== 'object' || typeof b !== 'object') return false;
  const left = a as unknown as Record<string, unknown>;
  const right = b as unknown as Record<string, unknown>;
  const keys = Object.keys(left);
  return keys.length === Object.keys(right).length && keys.every((key) => left[key] === right[key]);
}
