/**
 * What every write goes through before it is committed: known fields, rights to
 * write them, values in their one form, the plugin's guard.
 */
import { normalizeMarkdown } from '@kith/doc';
import {
  checkValue,
  modeOf,
  sameValue,
  type AnyServer,
  type FieldProblem,
  type FieldValue,
  type ModelObject,
  type Principal,
} from '@kith/sdk';

/** Guards by object name. */
export type Guards = ReadonlyMap<string, NonNullable<NonNullable<AnyServer['guards']>[string]>>;

export const guardsOf = (servers: readonly AnyServer[]): Guards => {
  const guards = new Map<string, NonNullable<NonNullable<AnyServer['guards']>[string]>>();
  for (const server of servers) {
    for (const [key, guard] of Object.entries(server.guards ?? {})) if (guard) guards.set(`${server.plugin.id}.${key}`, guard);
  }
  return guards;
};

type Values = Record<string, FieldValue>;

/** The fields that somebody from outside may read, and those that they may write. */
export interface FieldRights {
  readable: ReadonlySet<string> | null;
  writable: ReadonlySet<string> | null;
}

/**
 * Checks raw input field by field. `trusted` callers (system, actions) may write derived and arbitrated fields; with
 * `rights`, a field that may not be read is as if it did not exist, and one that may not be written is refused.
 */
export function checkInput(
  object: ModelObject,
  input: Readonly<Record<string, unknown>>,
  trusted: boolean,
  rights: FieldRights = { readable: null, writable: null },
): { values: Values; problems: FieldProblem[] } {
  const values: Values = {};
  const problems: FieldProblem[] = [];
  for (const [name, raw] of Object.entries(input)) {
    const field = rights.readable?.has(name) === false ? undefined : object.fields.get(name);
    if (!field) {
      problems.push({ field: name.slice(0, 100), code: 'unknown_field', message: `is no field of ${object.name}` });
      continue;
    }
    const computed = field.mode === 'derived' || field.mode === 'arbitrated';
    if ((computed && !trusted) || rights.writable?.has(name) === false) {
      const how = !computed
        ? 'may be read by you, not written'
        : field.mode === 'derived'
          ? 'is computed and cannot be written'
          : 'is changed by an action, not written';
      problems.push({ field: name, code: 'read_only', message: how });
      continue;
    }
    const checked = checkValue(field.spec, raw);
    if (!checked.ok) problems.push({ field: name, code: checked.code, message: checked.message });
    else
      values[name] =
        field.type === 'richText' && typeof checked.value === 'string' ? normalizeMarkdown(checked.value) || null : checked.value;
  }
  return { values, problems };
}

/** Defaults of a new record, for the fields that its creator left out. */
export function defaultsOf(object: ModelObject, given: Values, principal: Principal, now: Date): Values {
  const values: Values = {};
  for (const field of object.fields.values()) {
    const { spec } = field;
    if (field.name in given || !('default' in spec) || spec.default === undefined) continue;
    if (spec.type === 'user') {
      if (principal.kind === 'staff') values[field.name] = principal.id;
    } else if (spec.type === 'date') values[field.name] = now.toISOString().slice(0, 10);
    else if (spec.type === 'dateTime') values[field.name] = now.toISOString();
    else values[field.name] = spec.default;
  }
  return values;
}

/** Fields that a record must have and would not. A number from a sequence is given later. */
export function missing(object: ModelObject, record: Values): FieldProblem[] {
  const problems: FieldProblem[] = [];
  for (const field of object.fields.values()) {
    const numbered = field.spec.type === 'text' && field.spec.sequence !== undefined;
    if (object.shown?.has(field.name) === false) continue;
    if (field.spec.required && modeOf(field.spec) !== 'derived' && !numbered && record[field.name] == null) {
      problems.push({ field: field.name, code: 'required', message: 'must not be empty' });
    }
  }
  return problems;
}

/**
 * Runs the plugin's guard on a change.
 * @returns the patch with what the guard set, only fields that really change; or the problems.
 */
export function applyGuard(
  guards: Guards,
  object: ModelObject,
  before: Values | null,
  patch: Values,
): { patch: Values; problems: FieldProblem[] } {
  const record: Values = {};
  for (const name of object.fields.keys()) record[name] = patch[name] !== undefined ? patch[name] : (before?.[name] ?? null);
  const verdict = guards.get(object.name)?.({ before, patch, record });
  const problems = [...(verdict?.problems ?? [])];
  const result: Values = { ...patch };
  for (const [name, raw] of Object.entries(verdict?.set ?? {})) {
    const field = object.fields.get(name);
    const checked = field && checkValue(field.spec, raw);
    if (!checked?.ok) problems.push({ field: name, code: 'invalid', message: 'was set by a guard to a value that does not fit' });
    else result[name] = checked.value;
  }
  if (before) for (const name of Object.keys(result)) if (sameValue(result[name], before[name])) delete result[name];
  return { patch: result, problems };
}
