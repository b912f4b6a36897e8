/**
 * The model: all installed declarations resolved into one, with extensions
 * merged, names checked and defaults filled in. Server, documents and screens read this.
 */
import { mergeOf, modeOf, type Field, type FieldMode, type Merge, type MultiSelectField, type SelectField } from './field.ts';
import { SDK_VERSION, type Action, type AnyPlugin, type Catalogue, type Part, type View } from './plugin.ts';
import { DEFAULT_ACCESS, type Access, type Rule } from './rule.ts';
import { isVersion, satisfies } from './version.ts';

export interface ModelField {
  name: string;
  type: Field['type'];
  spec: Field;
  /** The plugin that declared it, and the key of its texts there. */
  plugin: string;
  key: string;
  mode: FieldMode;
  merge: Merge;
  /** Catalogue key of each option, with the plugin that brings it. */
  optionPlugins: Record<string, string>;
}

export interface ModelObject {
  /** `plugin.object` */
  name: string;
  plugin: string;
  part: Part;
  key: string;
  icon: string;
  nav: boolean;
  fields: Map<string, ModelField>;
  title: readonly string[];
  search: readonly string[];
  unique: readonly (readonly string[])[];
  stages: string | undefined;
  access: Access;
  views: Map<string, View & { plugin: string }>;
  actions: Map<string, Action & { plugin: string }>;
}

export interface Model {
  plugins: Map<string, AnyPlugin>;
  objects: Map<string, ModelObject>;
  /** References into each object: who points here, by which field. */
  incoming: Map<string, { object: ModelObject; field: ModelField }[]>;
}

/** A declaration that the host cannot boot with. The message names the plugin and what to do. */
export class ModelError extends Error {
  override name = 'ModelError';
}

const IDENTIFIER = /^[a-z][A-Za-z0-9]{0,40}$/;
const SYSTEM = ['id', 'version', 'object', 'fields', 'createdAt', 'createdBy', 'updatedAt', 'updatedBy', 'deletedAt'];
/** Schemas that belong to Postgres or to the host itself. */
const RESERVED_IDS = ['kith', 'public', 'information', 'pg', 'custom', 'system'];

/** Resolves plugins into a model, or throws a {@link ModelError}. Order of the list does not matter. */
export function buildModel(plugins: readonly AnyPlugin[]): Model {
  const model: Model = { plugins: new Map(), objects: new Map(), incoming: new Map() };
  for (const plugin of inOrder(plugins)) {
    model.plugins.set(plugin.id, plugin);
    for (const [key, declared] of Object.entries(plugin.objects ?? {})) addObject(model, plugin, key, declared);
  }
  for (const plugin of model.plugins.values()) {
    for (const [target, extension] of Object.entries(plugin.extend ?? {})) extend(model, plugin, target, extension);
  }
  for (const object of model.objects.values()) checkObject(model, object);
  return model;
}

/** Sorted so that what is needed comes first. Checks ids, versions and needs. */
function inOrder(plugins: readonly AnyPlugin[]): AnyPlugin[] {
  const byId = new Map<string, AnyPlugin>();
  for (const plugin of plugins) {
    const say = (text: string): never => {
      throw new ModelError(`Plugin "${plugin.id}": ${text}`);
    };
    if (!IDENTIFIER.test(plugin.id) || RESERVED_IDS.includes(plugin.id)) {
      say('its id must be a free lower-case word of at most 41 letters and digits');
    }
    if (byId.has(plugin.id)) say('is installed twice; remove one of the two');
    if (!isVersion(plugin.version)) say(`its version "${plugin.version}" is not of the form 1.2.3`);
    if (!satisfies(SDK_VERSION, plugin.sdk)) {
      say(`was written for SDK ${plugin.sdk}, this is ${SDK_VERSION}; install a version of the plugin that fits`);
    }
    byId.set(plugin.id, plugin);
  }
  const sorted: AnyPlugin[] = [];
  const state = new Map<string, 'open' | 'done'>();
  const visit = (plugin: AnyPlugin, path: string[]): void => {
    if (state.get(plugin.id) === 'done') return;
    if (state.get(plugin.id) === 'open') {
      throw new ModelError(`Plugins need each other in a circle: ${[...path, plugin.id].join(' → ')}; break it`);
    }
    state.set(plugin.id, 'open');
    for (const { plugin: needed, range } of plugin.needs ?? []) {
      const found = byId.get(needed.id);
      if (!found) throw new ModelError(`Plugin "${plugin.id}" needs "${needed.id}" ${range}, which is not installed; add it`);
      if (!satisfies(found.version, range)) {
        throw new ModelError(
          `Plugin "${plugin.id}" needs "${needed.id}" ${range}, installed is ${found.version}; install a version that fits`,
        );
      }
      visit(found, [...path, plugin.id]);
    }
    state.set(plugin.id, 'done');
    sorted.push(plugin);
  };
  for (const plugin of [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1))) visit(plugin, []);
  return sorted;
}

function addObject(model: Model, plugin: AnyPlugin, key: string, declared: NonNullable<AnyPlugin['objects']>[string]): void {
  const name = `${plugin.id}.${key}`;
  if (!IDENTIFIER.test(key)) throw new ModelError(`Plugin "${plugin.id}": object "${key}" must be a word in camelCase`);
  const object: ModelObject = {
    name,
    plugin: plugin.id,
    part: plugin.part,
    key,
    icon: declared.icon,
    nav: declared.nav ?? true,
    fields: new Map(),
    title: declared.title,
    search: declared.search ?? [],
    unique: declared.unique ?? [],
    stages: declared.stages,
    access: { ...DEFAULT_ACCESS, ...declared.access },
    views: new Map(),
    actions: new Map(),
  };
  for (const [field, spec] of Object.entries(declared.fields)) addField(object, plugin.id, field, field, spec);
  for (const [id, view] of Object.entries(declared.views ?? {})) object.views.set(id, { ...view, plugin: plugin.id });
  for (const [id, one] of Object.entries(declared.actions ?? {})) object.actions.set(id, { ...one, plugin: plugin.id });
  model.objects.set(name, object);
}

function addField(object: ModelObject, plugin: string, name: string, key: string, spec: Field): void {
  if (!IDENTIFIER.test(key) || SYSTEM.includes(key)) {
    throw new ModelError(
      `Plugin "${plugin}": field "${key}" of ${object.name} must be a word in camelCase and none of ${SYSTEM.join(', ')}`,
    );
  }
  const optionPlugins: Record<string, string> = {};
  if (spec.type === 'select' || spec.type === 'multiSelect') {
    for (const option of Object.keys(spec.options)) optionPlugins[option] = plugin;
  }
  // A copy: extensions add options, and a declaration may be shared by several models.
  const copy = 'options' in spec ? { ...spec, options: { ...spec.options } } : { ...spec };
  object.fields.set(name, { name, key, plugin, type: spec.type, spec: copy, mode: modeOf(spec), merge: mergeOf(spec), optionPlugins });
}

function extend(model: Model, plugin: AnyPlugin, target: string, extension: NonNullable<AnyPlugin['extend']>[string]): void {
  const object = model.objects.get(target);
  if (!object) throw new ModelError(`Plugin "${plugin.id}" extends "${target}", which no installed plugin declares`);
  if (object.plugin !== plugin.id && !plugin.needs?.some((one) => one.plugin.id === object.plugin)) {
    throw new ModelError(`Plugin "${plugin.id}" extends "${target}" and must list "${object.plugin}" under needs`);
  }
  for (const [key, spec] of Object.entries(extension.fields ?? {})) {
    addField(object, plugin.id, `${plugin.id}__${key}`, key, spec);
  }
  for (const [name, options] of Object.entries(extension.options ?? {})) {
    const field = object.fields.get(name);
    if (field?.type !== 'select' && field?.type !== 'multiSelect') {
      throw new ModelError(`Plugin "${plugin.id}" adds options to ${target}.${name}, which is no select field`);
    }
    for (const [option, spec] of Object.entries(options)) {
      const known = (field.spec as SelectField | MultiSelectField).options;
      if (known[option]) throw new ModelError(`Plugin "${plugin.id}": option "${option}" of ${target}.${name} exists already`);
      known[option] = spec;
      field.optionPlugins[option] = plugin.id;
    }
  }
  for (const [id, view] of Object.entries(extension.views ?? {})) {
    object.views.set(`${plugin.id}__${id}`, { ...view, plugin: plugin.id });
  }
}

function checkObject(model: Model, object: ModelObject): void {
  const say = (text: string): never => {
    throw new ModelError(`Plugin "${object.plugin}": object ${object.name} ${text}`);
  };
  const known = (name: string): boolean => object.fields.has(name) || SYSTEM.includes(name);
  if (object.title.length === 0) say('has no title; name the field that people know its records by');
  for (const name of [...object.title, ...object.search, ...object.unique.flat()]) {
    if (!object.fields.has(name)) say(`names a field "${name}" that it does not have`);
  }
  for (const rule of Object.values(object.access)) {
    for (const name of fieldsOfRule(rule)) if (!known(name)) say(`has a rule on a field "${name}" that it does not have`);
  }
  for (const [id, view] of object.views) {
    const named = [...view.columns, ...(view.sort ?? []).map((key) => key.replace(/^-/, '')), view.groupBy, view.sum];
    for (const name of named) if (name !== undefined && !known(name)) say(`has a view "${id}" of a field "${name}" that it does not have`);
    if (view.type === 'board' && object.fields.get(view.groupBy ?? '')?.type !== 'select') {
      say(`has a board "${id}" that is not grouped by a select field`);
    }
  }
  if (object.stages !== undefined && object.fields.get(object.stages)?.type !== 'select') {
    say(`has stages in "${object.stages}", which is no select field`);
  }
  for (const field of object.fields.values()) {
    if (field.spec.type !== 'ref' && field.spec.type !== 'refs') continue;
    if (!model.objects.has(field.spec.to)) say(`refers in "${field.name}" to "${field.spec.to}", which no installed plugin declares`);
    const list = model.incoming.get(field.spec.to) ?? [];
    list.push({ object, field });
    model.incoming.set(field.spec.to, list);
  }
}

/** The fields that a rule looks at. */
export function fieldsOfRule(rule: Rule): string[] {
  if ('and' in rule) return rule.and.flatMap(fieldsOfRule);
  if ('or' in rule) return rule.or.flatMap(fieldsOfRule);
  if ('not' in rule) return fieldsOfRule(rule.not);
  if ('owner' in rule) return [rule.owner];
  if ('field' in rule) return [rule.field];
  return [];
}

/** Keys that a plugin's catalogue must have for what it declares. */
export function labelKeys(plugin: AnyPlugin): string[] {
  const keys = [`plugin.${plugin.id}`];
  const ofField = (object: string, name: string, spec: Field): void => {
    keys.push(`field.${object}.${name}`);
    if (spec.group) keys.push(`group.${spec.group}`);
    if ('options' in spec) for (const option of Object.keys(spec.options)) keys.push(`option.${object}.${name}.${option}`);
  };
  for (const [key, object] of Object.entries(plugin.objects ?? {})) {
    keys.push(`object.${key}.one`, `object.${key}.many`);
    for (const [name, spec] of Object.entries(object.fields)) ofField(key, name, spec);
    for (const view of Object.keys(object.views ?? {})) keys.push(`view.${key}.${view}`);
    for (const [name, one] of Object.entries(object.actions ?? {})) {
      keys.push(`action.${key}.${name}`);
      for (const [input, spec] of Object.entries(one.input ?? {})) ofField(`${key}.${name}`, input, spec);
    }
  }
  for (const [target, extension] of Object.entries(plugin.extend ?? {})) {
    const key = target.slice(target.indexOf('.') + 1);
    for (const [name, spec] of Object.entries(extension.fields ?? {})) ofField(key, name, spec);
    for (const [field, options] of Object.entries(extension.options ?? {})) {
      for (const option of Object.keys(options)) keys.push(`option.${key}.${field}.${option}`);
    }
    for (const view of Object.keys(extension.views ?? {})) keys.push(`view.${key}.${view}`);
  }
  return [...new Set(keys)];
}

/** What is missing or superfluous in a plugin's catalogues, as sentences; empty when all is well. */
export function catalogueProblems(plugin: AnyPlugin): string[] {
  const problems: string[] = [];
  const english: Catalogue = plugin.locales.en ?? {};
  for (const key of labelKeys(plugin)) if (!(key in english)) problems.push(`${plugin.id}: en lacks "${key}"`);
  for (const [language, catalogue] of Object.entries(plugin.locales)) {
    for (const key of Object.keys(english)) if (!(key in catalogue)) problems.push(`${plugin.id}: ${language} lacks "${key}"`);
    for (const key of Object.keys(catalogue))
      if (!(key in english)) problems.push(`${plugin.id}: ${language} has "${key}", which en lacks`);
  }
  return problems;
}
