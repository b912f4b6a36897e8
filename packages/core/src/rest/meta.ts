/** The model as programs and screens read it: labels in a language, rights of the caller. */
import { isSortable } from '../query/query.ts';
import { accessOf, actionRule, joinOf, mayRead, portalOf, writableFields } from '../access/grant.ts';
import { searchFieldsFor } from '../records/columns.ts';
import { can, isRowless } from '../access/filter.ts';
import type { SettingState } from '../plugins/settings.ts';
import {
  operatorsFor,
  type AnyPlugin,
  type Field,
  type Model,
  type ModelField,
  type ModelObject,
  type Principal,
  type Rule,
} from '@kith/sdk';

export const LANGUAGES = ['en', 'de'] as const;

/** The language to answer in: the person's own, else the first of the request's that there is. */
export function languageOf(own: string | null | undefined, accept: string | null | undefined): string {
  if (own && (LANGUAGES as readonly string[]).includes(own)) return own;
  for (const part of (accept ?? '').split(',')) {
    const code = part.trim().slice(0, 2).toLowerCase();
    if ((LANGUAGES as readonly string[]).includes(code)) return code;
  }
  return 'en';
}

/** A text of a plugin's catalogue; English where the language lacks it, the key itself where English does. */
export function text(model: Model, plugin: string, key: string, language: string): string {
  // Options that a plugin added stay where they were chosen, and keep their names.
  const locales = model.installed.plugins.get(plugin)?.locales;
  return locales?.[language]?.[key] ?? locales?.en?.[key] ?? key;
}

const keyOf = (object: ModelObject, field: ModelField): string => `field.${object.key}.${field.key}`;

/** Everything about an object that a caller may know. */
export function objectMeta(model: Model, object: ModelObject, principal: Principal, language: string): Record<string, unknown> {
  const label = (key: string, plugin = object.plugin): string => text(model, plugin, key, language);
  const may = (rule: Rule): boolean => !isRowless(rule) || can(object, principal, rule, {}) === true;
  const access = accessOf(object, principal);
  const rights = { read: may(access.read), create: may(access.create), update: may(access.update), delete: may(access.delete) };
  const portal = portalOf(object, principal);
  const readable = (name: string): boolean => mayRead(object, principal, name);
  return {
    name: object.name,
    plugin: object.plugin,
    part: object.part,
    icon: object.icon,
    nav: object.nav,
    label: { one: label(`object.${object.key}.one`), many: label(`object.${object.key}.many`) },
    title: object.title.filter(readable),
    search: (portal ? searchFieldsFor(object, portal) : object.search).length > 0,
    fields: [...object.fields.values()]
      .filter((field) => readable(field.name))
      .map((field) => ({
        ...fieldMeta(model, object, field, language),
        writable: rights.update && isWritable(object, principal, field),
      })),
    relations: (model.incoming.get(object.name) ?? [])
      .filter(({ object: from, field }) => mayRead(from, principal, field.name))
      .map(({ object: from, field }) => ({
        object: from.name,
        field: field.name,
        label: text(model, from.plugin, `object.${from.key}.many`, language),
        listed: field.spec.type === 'ref' && field.spec.listed === true,
      })),
    actions: [...object.actions]
      .filter(([name]) => !portal || portal.actions.has(name))
      .map(([name, action]) => ({
        name,
        label: label(`action.${object.key}.${name}`, action.plugin),
        offered: action.offered ?? [],
        allowed: may(actionRule(object, principal, name)),
        input: Object.entries(action.input ?? {}).map(([input, spec]) =>
          inputMeta(model, object, name, input, spec, action.plugin, language),
        ),
      })),
    ...(!portal && object.events.size > 0
      ? { events: [...object.events.keys()].map((name) => ({ name, label: label(`event.${name}`) })) }
      : {}),
    // A portal has pages of its own.
    views: [...(portal ? [] : object.views)].map(([id, { plugin, ...view }]) => ({
      id,
      label: label(`view.${object.key}.${id.replace(`${plugin}__`, '')}`, plugin),
      ...view,
    })),
    ...(object.stages ? { stages: object.stages } : {}),
    facets: object.facets.flatMap((facet) => {
      const join = joinOf(object, principal, facet, rights.update);
      return join === null ? [] : [{ name: facet.name, fields: [...facet.fields], access: join }];
    }),
    rights,
  };
}

/** Whether a principal who may change the record may change this field of it. */
function isWritable(object: ModelObject, principal: Principal, field: ModelField): boolean {
  if (field.mode !== 'live' && field.mode !== 'restricted') return false;
  return writableFields(object, principal)?.has(field.name) ?? true;
}

function fieldMeta(model: Model, object: ModelObject, field: ModelField, language: string): Record<string, unknown> {
  return {
    name: field.name,
    ...specMeta(model, field.spec, language, text(model, field.plugin, keyOf(object, field), language), field.plugin, (option) =>
      text(model, field.optionPlugins[option] ?? field.plugin, `option.${object.key}.${field.key}.${option}`, language),
    ),
    mode: field.mode,
    merge: field.merge,
    operators: operatorsFor(field.type),
    sortable: isSortable(field),
  };
}

function inputMeta(
  model: Model,
  object: ModelObject,
  action: string,
  name: string,
  spec: Field,
  plugin: string,
  language: string,
): Record<string, unknown> {
  const key = `${object.key}.${action}.${name}`;
  return {
    name,
    ...specMeta(model, spec, language, text(model, plugin, `field.${key}`, language), plugin, (option) =>
      text(model, plugin, `option.${key}.${option}`, language),
    ),
    mode: 'live',
    merge: 'register',
    operators: [],
    sortable: false,
  };
}

/** The settings of a plugin as the form of an administrator reads them. Of a secret it says whether there is one, and no more. */
export const settingMeta = (model: Model, { id }: AnyPlugin, state: SettingState, language: string): Record<string, unknown> => {
  const { name, spec, value, ...said } = state;
  const label = text(model, id, `setting.${name}`, language);
  const helpKey = `setting.${name}.help`;
  const help = text(model, id, helpKey, language);
  return {
    name,
    ...(spec.type === 'secret'
      ? { type: spec.type, label }
      : {
          ...specMeta(model, spec, language, label, id, (option) => text(model, id, `option.setting.${name}.${option}`, language)),
          mode: 'live',
          merge: 'register',
          operators: [],
          sortable: false,
          value,
        }),
    ...(help === helpKey ? {} : { help }),
    ...said,
  };
};

function specMeta(
  model: Model,
  spec: Field,
  language: string,
  label: string,
  plugin: string,
  optionLabel: (option: string) => string,
): Record<string, unknown> {
  return {
    type: spec.type,
    label,
    required: spec.required === true,
    ...(spec.group ? { group: spec.group, groupLabel: text(model, plugin, `group.${spec.group}`, language) } : {}),
    ...('options' in spec
      ? { options: Object.entries(spec.options).map(([value, option]) => ({ value, label: optionLabel(value), ...option })) }
      : {}),
    ...('to' in spec ? { to: spec.to } : {}),
    ...('min' in spec && spec.min !== undefined ? { min: spec.min } : {}),
    ...('max' in spec && spec.max !== undefined ? { max: spec.max } : {}),
    ...('integer' in spec && spec.integer ? { integer: true } : {}),
    ...('percent' in spec && spec.percent ? { percent: true } : {}),
    ...('default' in spec && spec.default !== undefined ? { default: spec.default } : {}),
    ...('sequence' in spec && spec.sequence ? { numbered: true } : {}),
    ...(spec.hidden ? { hidden: true } : {}),
  };
}
