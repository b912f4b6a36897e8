/**
 * The model: all installed declarations resolved into one, with extensions
 * merged, names checked and defaults filled in. Server, documents and screens read this.
 */
import { mergeOf, modeOf, type Field, type FieldMode, type Merge, type MultiSelectField, type SelectField } from './field.ts';
import {
  SDK_VERSION,
  type Action,
  type AnyPlugin,
  type AnyPortal,
  type Audience,
  type Catalogue,
  type Part,
  type PortalPage,
  type PortalSelection,
  type View,
  type EventDeclaration,
} from './plugin.ts';
import { DEFAULT_ACCESS, ROLES, type Access, type Role, type Rule } from './rule.ts';
import type { Filter } from './filter.ts';
import { defaultOf, RECORDS_ONLY, SETTING_TYPES, checkSetting } from './settings.ts';
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
  /** What its plugin tells of its records, by key. */
  events: Map<string, EventDeclaration>;
  /** The object's documents; the first is `staff`. The host replaces what the declarations say by what it has stored. */
  facets: Facet[];
  /** What audiences may do here, by their key. */
  portals: Map<string, ModelPortal>;
  /** The fields that there are for anybody while plugins that added others are switched off; undefined while none is. */
  shown?: ReadonlySet<string> | undefined;
}

/** A document of a record: the fields that the same audiences may read and write. */
export interface Facet {
  /** `staff`, or its class: `supplier-rw`, `carrier-r.supplier-rw`. */
  name: string;
  num: number;
  fields: Set<string>;
}

/** What an audience may do with an object's records. */
export interface ModelPortal {
  rows: Rule;
  read: Set<string>;
  write: Set<string>;
  /** Null where the audience creates none. */
  create: Set<string> | null;
  actions: Set<string>;
  keep: Set<string>;
  /** The plugin that opens it is switched off: what is counted for the audience goes on, and nobody comes in. */
  off?: boolean;
}

export interface ModelAudience extends Audience {
  key: string;
  plugin: string;
  /** In the order of the navigation. The plugin that declares a page has its label. */
  pages: (PortalPage & { id: string; plugin: string })[];
  answer: PortalSelection[];
  late: PortalSelection[];
  changed: string[];
}

/** A named right, and who has it now. */
export interface ModelPermission {
  /** `plugin.key` */
  name: string;
  plugin: string;
  key: string;
  declared: readonly Role[];
  /** The host keeps this list to what administrators have said; rules that name the permission hold the list itself. */
  roles: Role[];
}

/**
 * While plugins are switched off, `plugins`, `objects`, `audiences` and `incoming` are without them, and so are views and
 * actions of objects; fields and portals that they added stay and are marked, since columns and documents are kept.
 */
export interface Model {
  plugins: Map<string, AnyPlugin>;
  objects: Map<string, ModelObject>;
  audiences: Map<string, ModelAudience>;
  /** By full name. In rules of objects and actions, permissions stand as roles. */
  permissions: Map<string, ModelPermission>;
  /** References into each object: who points here, by which field. */
  incoming: Map<string, { object: ModelObject; field: ModelField }[]>;
  /** All plugins of this build and all their objects, switched on or off: what is stored is theirs. */
  installed: { plugins: Map<string, AnyPlugin>; objects: Map<string, ModelObject> };
}

/** A declaration that the host cannot boot with. The message names the plugin and what to do. */
export class ModelError extends Error {
  override name = 'ModelError';
}

/** Ids of plugins, and keys of objects and fields. */
export const IDENTIFIER = /^[a-z][A-Za-z0-9]{0,40}$/;
const SYSTEM = ['id', 'version', 'object', 'fields', 'createdAt', 'createdBy', 'updatedAt', 'updatedBy', 'deletedAt'];
/** What filters and charts may look at besides fields. */
const SYSTEM_TYPES: Readonly<Record<string, Field['type']>> = {
  createdAt: 'dateTime',
  updatedAt: 'dateTime',
  deletedAt: 'dateTime',
  createdBy: 'user',
  updatedBy: 'user',
};
/** Schemas that belong to Postgres or to the host itself. */
export const RESERVED_IDS: readonly string[] = ['kith', 'public', 'information', 'pg', 'custom', 'system'];

/**
 * Resolves plugins into a model, or throws a {@link ModelError}. Order of the list does not matter.
 * @param known Permissions of another model of the same plugins: who has them is the same here.
 */
export function buildModel(plugins: readonly AnyPlugin[], known: Model['permissions'] = new Map()): Model {
  const installed = { plugins: new Map<string, AnyPlugin>(), objects: new Map<string, ModelObject>() };
  const model: Model = {
    plugins: new Map(),
    objects: new Map(),
    audiences: new Map(),
    permissions: new Map(),
    incoming: new Map(),
    installed,
  };
  for (const plugin of inOrder(plugins)) {
    model.plugins.set(plugin.id, plugin);
    addPermissions(model, plugin, known);
    for (const [key, declared] of Object.entries(plugin.objects ?? {})) addObject(model, plugin, key, declared);
  }
  for (const plugin of model.plugins.values()) {
    for (const [target, extension] of Object.entries(plugin.extend ?? {})) extend(model, plugin, target, extension);
  }
  for (const plugin of model.plugins.values()) addAudiences(model, plugin);
  for (const plugin of model.plugins.values()) {
    for (const [audience, portal] of Object.entries(plugin.portals ?? {})) openPortal(model, plugin, audience, portal);
  }
  for (const object of model.objects.values()) {
    checkObject(model, object);
    for (const [audience, portal] of object.portals) checkPortal(model, object, audience, portal);
    object.facets = facetsByClass(object);
  }
  for (const audience of model.audiences.values()) checkPages(model, audience);
  for (const [id, plugin] of model.plugins) installed.plugins.set(id, plugin);
  for (const [name, object] of model.objects) installed.objects.set(name, object);
  for (const plugin of model.plugins.values()) {
    checkMetrics(model, plugin);
    checkSettings(plugin);
    checkEvents(plugin);
  }
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

function addPermissions(model: Model, { id, permissions = {} }: AnyPlugin, known: Model['permissions']): void {
  for (const [key, { roles }] of Object.entries(permissions)) {
    const say = (text: string): never => {
      throw new ModelError(`Plugin "${id}": permission "${key}" ${text}`);
    };
    if (!IDENTIFIER.test(key)) say('must be a word in camelCase');
    const wrong = roles.find((role) => !ROLES.includes(role));
    if (wrong !== undefined) say(`is for "${String(wrong)}", which is no role; use some of ${ROLES.join(', ')}`);
    const name = `${id}.${key}`;
    const declared = ROLES.filter((role) => role === 'admin' || roles.includes(role));
    model.permissions.set(name, known.get(name) ?? { name, plugin: id, key, declared, roles: [...declared] });
  }
}

/** A rule in which permissions are the roles that have them, now and whenever that changes. */
function resolved(model: Model, plugin: string, where: string, rule: Rule): Rule {
  const inner = (one: Rule): Rule => resolved(model, plugin, where, one);
  if ('and' in rule) return { and: rule.and.map(inner) };
  if ('or' in rule) return { or: rule.or.map(inner) };
  if ('not' in rule) return { not: inner(rule.not) };
  if (!('permission' in rule)) return rule;
  const found = model.permissions.get(`${plugin}.${rule.permission}`);
  if (!found) throw new ModelError(`Plugin "${plugin}": ${where} names the permission "${rule.permission}"; declare it under permissions`);
  return { role: found.roles };
}

/** Whether a rule asks for a permission of the staff. */
function namesPermission(rule: Rule): boolean {
  if ('and' in rule) return rule.and.some(namesPermission);
  if ('or' in rule) return rule.or.some(namesPermission);
  return 'not' in rule ? namesPermission(rule.not) : 'permission' in rule;
}

function addObject(model: Model, plugin: AnyPlugin, key: string, declared: NonNullable<AnyPlugin['objects']>[string]): void {
  const name = `${plugin.id}.${key}`;
  if (!IDENTIFIER.test(key)) throw new ModelError(`Plugin "${plugin.id}": object "${key}" must be a word in camelCase`);
  const may = (verb: keyof Access): Rule =>
    resolved(model, plugin.id, `access of ${name}`, declared.access?.[verb] ?? DEFAULT_ACCESS[verb]);
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
    access: { read: may('read'), create: may('create'), update: may('update'), delete: may('delete') },
    views: new Map(),
    actions: new Map(),
    events: new Map(Object.entries(plugin.events ?? {}).filter(([, event]) => event.object === key)),
    facets: [],
    portals: new Map(),
  };
  for (const [field, spec] of Object.entries(declared.fields)) addField(object, plugin.id, field, field, spec);
  for (const [id, view] of Object.entries(declared.views ?? {})) object.views.set(id, { ...view, plugin: plugin.id });
  for (const [id, one] of Object.entries(declared.actions ?? {})) {
    const may = one.permission && { permission: resolved(model, plugin.id, `action ${name}.${id}`, one.permission) };
    object.actions.set(id, { ...one, ...may, plugin: plugin.id });
  }
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

function addAudiences(model: Model, plugin: AnyPlugin): void {
  for (const [key, audience] of Object.entries(plugin.audiences ?? {})) {
    // Names of documents are made from it: `supplier-rw`, and `staff` is taken.
    if (!IDENTIFIER.test(key) || key === STAFF)
      throw new ModelError(`Plugin "${plugin.id}": audience "${key}" must be a free word in camelCase`);
    const other = model.audiences.get(key);
    if (other) throw new ModelError(`Plugins "${other.plugin}" and "${plugin.id}" both declare an audience "${key}"; rename one`);
    if (audience.of !== undefined && !model.objects.has(audience.of))
      throw new ModelError(`Plugin "${plugin.id}": audience "${key}" is of "${audience.of}", which no installed plugin declares`);
    model.audiences.set(key, { ...audience, key, plugin: plugin.id, pages: [], answer: [], late: [], changed: [] });
  }
}

function openPortal(model: Model, plugin: AnyPlugin, key: string, portal: AnyPortal): void {
  const say = (text: string): never => {
    throw new ModelError(`Plugin "${plugin.id}": the portal for "${key}" ${text}`);
  };
  const audience = model.audiences.get(key) ?? say('is for an audience that no installed plugin declares');
  for (const [name, declared] of Object.entries(portal.objects)) {
    const object = model.objects.get(name);
    if (!declared || !object) return say(`opens "${name}", which no installed plugin declares`);
    if (namesPermission(declared.rows)) say(`decides ${name} by a permission, which only staff have`);
    if (object.portals.has(key)) say(`opens ${name}, which another plugin has opened to it already`);
    object.portals.set(key, {
      rows: declared.rows,
      read: new Set(declared.read),
      write: new Set(declared.write),
      create: declared.create ? new Set(declared.create) : null,
      actions: new Set(declared.actions),
      keep: new Set(declared.keep),
    });
  }
  for (const [id, page] of Object.entries(portal.pages ?? {})) audience.pages.push({ ...page, id, plugin: plugin.id });
  audience.answer.push(...(portal.start?.answer ?? []));
  audience.late.push(...(portal.start?.late ?? []));
  audience.changed.push(...(portal.start?.changed ?? []));
}

/** Whether a value of these fields can be told from what a filter finds: every one must be readable. */
const fieldsOfFilter = (filter: Filter): string[] => {
  if ('and' in filter) return filter.and.flatMap(fieldsOfFilter);
  if ('or' in filter) return filter.or.flatMap(fieldsOfFilter);
  return 'not' in filter ? fieldsOfFilter(filter.not) : [filter.field];
};

function checkPortal(model: Model, object: ModelObject, key: string, portal: ModelPortal): void {
  const audience = model.audiences.get(key)!;
  const say = (text: string): never => {
    throw new ModelError(`The portal for "${key}" opens ${object.name} and ${text}`);
  };
  const named = [...portal.read, ...portal.write, ...(portal.create ?? []), ...portal.keep];
  for (const name of named) if (!object.fields.has(name)) say(`names a field "${name}" that it does not have`);
  for (const name of portal.actions) if (!object.actions.has(name)) say(`names an action "${name}" that it does not have`);
  for (const name of [...portal.write, ...(portal.create ?? [])]) {
    if (!portal.read.has(name)) say(`lets "${name}" be written but not read`);
    const mode = object.fields.get(name)!.mode;
    if (mode !== 'live' && mode !== 'restricted') say(`lets "${name}" be written, which is ${mode}`);
  }
  const ruled = fieldsOfRule(portal.rows).filter((name) => object.fields.has(name));
  for (const name of ruled) {
    if (portal.write.has(name)) say(`lets "${name}" be written, which decides what it sees`);
    if (object.fields.get(name)!.mode === 'live') say(`decides by "${name}", which is live; make it restricted, derived or arbitrated`);
  }
  for (const name of companiesOf(portal.rows)) {
    const spec = object.fields.get(name)?.spec;
    const to = name === 'id' ? object.name : spec?.type === 'ref' ? spec.to : undefined;
    if (audience.of === undefined || to !== audience.of)
      say(`compares "${name}" with the company, which is no reference to ${audience.of ?? 'one'}`);
  }
  for (const columns of object.unique) {
    // Who may write a unique value learns from the refusal which ones others have.
    const tells = columns.find((name) => portal.write.has(name) || portal.create?.has(name));
    if (tells !== undefined) say(`lets "${tells}" be written, which is unique: a refusal would tell of others' records`);
  }
}

function checkPages(model: Model, audience: ModelAudience): void {
  const selections = [
    ...audience.pages.map((page) => ({ object: page.object, columns: page.columns, filter: page.filter, sort: page.sort })),
    ...[...audience.answer, ...audience.late].map((one) => ({ ...one, columns: [] })),
    ...audience.changed.map((object) => ({ object, columns: [], filter: undefined, sort: undefined })),
  ];
  for (const { object, columns, filter, sort } of selections) {
    const portal = model.objects.get(object)?.portals.get(audience.key);
    if (!portal) throw new ModelError(`The portal for "${audience.key}" shows ${object}, which it does not open`);
    const shown = [...columns, ...(filter ? fieldsOfFilter(filter) : []), ...(sort ?? []).map((name) => name.replace(/^-/, ''))];
    const hidden = shown.find((name) => !portal.read.has(name) && !SYSTEM.includes(name));
    if (hidden !== undefined)
      throw new ModelError(`The portal for "${audience.key}" shows or sorts by "${hidden}" of ${object}, which it may not read`);
  }
}

/** What a list may be grouped by, for bars. */
const GROUPABLE: readonly Field['type'][] = ['text', 'select', 'boolean', 'ref', 'user'];

function checkMetrics(model: Model, plugin: AnyPlugin): void {
  for (const [key, metric] of Object.entries(plugin.metrics ?? {})) {
    const say = (text: string): never => {
      throw new ModelError(`Plugin "${plugin.id}": metric "${key}" ${text}`);
    };
    const object = model.objects.get(metric.object) ?? say(`is of "${metric.object}", which no installed plugin declares`);
    if (object.plugin !== plugin.id && !plugin.needs?.some((one) => one.plugin.id === object.plugin))
      say(`is of "${metric.object}"; list "${object.plugin}" under needs`);
    if (metric.sum !== undefined) {
      const type = object.fields.get(metric.sum)?.type;
      if (type !== 'money' && type !== 'number') say(`sums "${metric.sum}", which is no money or number field of ${object.name}`);
    }
    for (const path of metric.filter ? fieldsOfFilter(metric.filter) : [])
      if (!typeAt(model, object, path)) say(`filters by "${path}", which is no field of ${object.name} and no path over its references`);
    if (metric.by !== undefined && metric.over !== undefined) say('has both "by" and "over"; make two metrics of it');
    const by = metric.by === undefined ? undefined : typeAt(model, object, metric.by);
    if (metric.by !== undefined && (!by || !GROUPABLE.includes(by)))
      say(`is drawn by "${metric.by}"; name a text, select, boolean, reference or user of ${object.name}, or a path to one`);
    const over = metric.over === undefined ? undefined : typeAt(model, object, metric.over);
    if (metric.over !== undefined && over !== 'date' && over !== 'dateTime')
      say(`is drawn over "${metric.over}"; name a date of ${object.name}, or a path to one`);
  }
}

function checkSettings({ id, settings = {} }: AnyPlugin): void {
  for (const [key, spec] of Object.entries(settings)) {
    const say = (text: string): never => {
      throw new ModelError(`Plugin "${id}": setting "${key}" ${text}`);
    };
    if (!IDENTIFIER.test(key)) say('must be a word in camelCase');
    if (!SETTING_TYPES.includes(spec.type)) say(`is of type ${String(spec.type)}; use one of ${SETTING_TYPES.join(', ')}`);
    const extra = RECORDS_ONLY.find((name) => name in spec);
    if (extra !== undefined) say(`has "${extra}", which is for fields of records; leave it out`);
    if (spec.type === 'secret') continue;
    const preset = checkSetting(spec, defaultOf(spec, new Date(0)));
    if (!preset.ok) say(`has a default that ${preset.message}`);
  }
}

function checkEvents({ id, events = {}, objects = {} }: AnyPlugin): void {
  for (const [key, { object, data = {} }] of Object.entries(events)) {
    const say = (text: string): never => {
      throw new ModelError(`Plugin "${id}": event "${key}" ${text}`);
    };
    if (!IDENTIFIER.test(key)) say('must be a word in camelCase');
    if (!Object.hasOwn(objects, object)) say(`is of "${object}", which is no object of this plugin`);
    for (const name of Object.keys(data)) if (!IDENTIFIER.test(name)) say(`has data "${name}", which must be a word in camelCase`);
  }
}

/** The type of what a dotted path over references ends at; undefined where it leads nowhere. */
function typeAt(model: Model, object: ModelObject, path: string): Field['type'] | undefined {
  const [name = '', ...rest] = path.split('.');
  const field = object.fields.get(name);
  if (rest.length === 0) return field?.type ?? (Object.hasOwn(SYSTEM_TYPES, name) ? SYSTEM_TYPES[name] : undefined);
  const target = field?.spec.type === 'ref' ? model.objects.get(field.spec.to) : undefined;
  return target && typeAt(model, target, rest.join('.'));
}

/** The company references that a rule compares with. */
export function companiesOf(rule: Rule): string[] {
  if ('and' in rule) return rule.and.flatMap(companiesOf);
  if ('or' in rule) return rule.or.flatMap(companiesOf);
  if ('not' in rule) return companiesOf(rule.not);
  return 'company' in rule ? [rule.company] : [];
}

/** The reference to the company that every record which a rule admits has; undefined where there is no such one. */
export function requiredCompany(rule: Rule): string | undefined {
  if ('company' in rule) return rule.company === 'id' ? undefined : rule.company;
  return 'and' in rule ? rule.and.map(requiredCompany).find((one) => one !== undefined) : undefined;
}

/** Name of the class of fields that no audience reads. */
export const STAFF = 'staff';

/** Who else reads and writes a field: `staff` for nobody, else `carrier-r.supplier-rw`. */
export function classOf(object: ModelObject, name: string): string {
  const audiences: string[] = [];
  for (const [key, portal] of object.portals) {
    if (portal.read.has(name)) audiences.push(`${key}-${portal.write.has(name) ? 'rw' : 'r'}`);
  }
  return audiences.length === 0 ? STAFF : audiences.sort().join('.');
}

/** The documents of an object that has none yet: one for each class of its fields. */
function facetsByClass(object: ModelObject): Facet[] {
  const facets: Facet[] = [{ name: STAFF, num: 0, fields: new Set() }];
  for (const field of object.fields.values()) {
    if (field.merge === 'none') continue;
    const name = classOf(object, field.name);
    let facet = facets.find((one) => one.name === name);
    if (!facet) facets.push((facet = { name, num: facets.length, fields: new Set() }));
    facet.fields.add(field.name);
  }
  return facets;
}

/** A lookup or snapshot path: the reference, and the field of the record that it points at. */
export function pathOf(
  model: Model,
  object: ModelObject,
  path: string,
): { ref: ModelField; target: ModelObject; source: ModelField } | undefined {
  const [refName = '', sourceName = '', ...rest] = path.split('.');
  const ref = object.fields.get(refName);
  const target = ref?.spec.type === 'ref' ? model.objects.get(ref.spec.to) : undefined;
  const source = target?.fields.get(sourceName);
  return ref && target && source && rest.length === 0 ? { ref, target, source } : undefined;
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
    const { lookup, snapshot } = field.spec;
    const path = lookup ?? snapshot;
    if (path !== undefined) {
      const found = pathOf(model, object, path);
      if (!found) return say(`takes "${field.name}" from "${path}", which is no field of a record that it refers to`);
      if (found.source.type !== field.type) say(`takes "${field.name}" from "${path}", which is of another type`);
      if (lookup !== undefined && (field.mode !== 'derived' || found.ref.mode === 'live' || found.source.mode === 'live'))
        say(`keeps "${field.name}" as "${path}": it must be derived, and neither the reference nor that field live`);
    }
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
  if ('company' in rule) return [rule.company];
  if ('guest' in rule) return ['id'];
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
  for (const audience of Object.keys(plugin.audiences ?? {})) keys.push(`audience.${audience}`);
  for (const workflow of Object.keys(plugin.workflows ?? {})) keys.push(`workflow.${workflow}`);
  for (const permission of Object.keys(plugin.permissions ?? {})) keys.push(`permission.${permission}`);
  for (const event of Object.keys(plugin.events ?? {})) keys.push(`event.${event}`);
  for (const metric of Object.keys(plugin.metrics ?? {})) keys.push(`metric.${metric}`);
  for (const [name, spec] of Object.entries(plugin.settings ?? {})) {
    keys.push(`setting.${name}`);
    if ('options' in spec) for (const option of Object.keys(spec.options)) keys.push(`option.setting.${name}.${option}`);
  }
  for (const [audience, portal] of Object.entries(plugin.portals ?? {})) {
    for (const page of Object.keys(portal.pages ?? {})) keys.push(`page.${audience}.${page}`);
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
