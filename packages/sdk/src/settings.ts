/**
 * Settings: what an administrator says to a plugin, such as a price, an
 * address or a key. They are fields like those of records, and secrets.
 */
import {
  checkValue,
  type BooleanField,
  type DateField,
  type EmailField,
  type Invalid,
  type LongTextField,
  type NumberField,
  type SelectField,
  type TextField,
  type UrlField,
  type ValueOf,
} from './field.ts';

/** A key or a password that a plugin needs, made with {@link secret}. It is stored encrypted, and shown to nobody. */
export interface SecretSetting {
  /** What tells it from a field. */
  type: 'secret';
}
/** The kinds of fields that a setting may be. */
export type SettingField = TextField | LongTextField | NumberField | BooleanField | SelectField | DateField | EmailField | UrlField;
/** A setting: a field, whose `default` holds while nobody has said anything else, or a secret. */
export type Setting = SettingField | SecretSetting;
export type Settings = Record<string, Setting>;
/** The value of a setting. */
export type SettingValue = string | number | boolean | null;

/** A key or a password: stored encrypted, read with `ctx.secrets()`, in no answer of the API, no log and no history. */
export const secret = (): SecretSetting => ({ type: 'secret' });

export const SETTING_TYPES: readonly Setting['type'][] = [
  'text',
  'longText',
  'number',
  'boolean',
  'select',
  'date',
  'email',
  'url',
  'secret',
];
/** What fields of records have and settings do not: nothing is said of them before somebody says it. */
export const RECORDS_ONLY = ['required', 'mode', 'sequence', 'lookup', 'snapshot', 'tracked', 'hidden', 'group', 'indexed'] as const;
/** Which of these a field was given. */
type Extra<F> = { [R in keyof F & (typeof RECORDS_ONLY)[number]]: undefined extends F[R] ? never : R }[keyof F &
  (typeof RECORDS_ONLY)[number]];

/** What is wrong with settings, as the compiler says it. */
export type CheckSettings<S> = {
  [K in keyof S]: S[K] extends { type: infer T }
    ? T extends Setting['type']
      ? Extra<S[K]> extends never
        ? unknown
        : `"${K & string}" cannot be ${Extra<S[K]>}: that is for fields of records`
      : `"${K & string}" cannot be a setting: use text, longText, number, boolean, select, date, email, url or secret`
    : unknown;
};

type Known<P> = P extends { settings?: infer S } ? NonNullable<S> : Record<never, never>;
/** The settings of a plugin as its handlers read them: with defaults, and null where there is neither value nor default. */
export type SettingsOf<P> = {
  readonly [K in keyof Known<P> as Known<P>[K] extends SecretSetting ? never : K]:
    ValueOf<Known<P>[K]> | (Known<P>[K] extends { default: string | number | boolean } ? never : null);
};
/** The secrets of a plugin as its handlers read them: null where none was given. */
export type SecretsOf<P> = {
  readonly [K in keyof Known<P> as Known<P>[K] extends SecretSetting ? K : never]: string | null;
};

/** Longest secret in UTF-16 units: enough for a certificate with its chain. */
const SECRET_MAX = 20_000;

export type CheckedSetting = { ok: true; value: SettingValue } | ({ ok: false } & Invalid);

/** Checks a value of a setting. Null and an empty text mean that nothing is said: then its default holds. */
export function checkSetting(spec: Setting, value: unknown): CheckedSetting {
  // The fields that settings may be hold nothing else.
  const checked = checkValue(spec.type === 'secret' ? { type: 'longText' } : spec, value) as CheckedSetting;
  if (spec.type !== 'secret') return checked;
  if (!checked.ok || checked.value === null) return checked;
  if ((checked.value as string).length > SECRET_MAX)
    return { ok: false, code: 'too_long', message: `must have at most ${SECRET_MAX} characters` };
  return checked;
}

/** What holds while nobody has said anything. */
export function defaultOf(spec: SettingField, now: Date): SettingValue {
  if (!('default' in spec) || spec.default === undefined) return null;
  return spec.type === 'date' ? now.toISOString().slice(0, 10) : spec.default;
}
