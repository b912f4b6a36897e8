/** A model with some of its plugins switched off, and on again: in place, since everybody who reads asks it anew. */
import { buildModel, type Model, type ModelAudience, type ModelObject } from '@kith/sdk';

/** What is taken away of a model, to be given back. */
interface Whole {
  plugins: Model['plugins'];
  objects: Model['objects'];
  permissions: Model['permissions'];
  incoming: Model['incoming'];
}

const wholes = new WeakMap<Model, Whole>();

/**
 * Leaves in a model what the plugins bring that are on. Objects, fields and portals themselves stay the same things: what is
 * under way with them ends as it began, and what is stored stays readable for whoever keeps columns and documents.
 * @param isOn Whoever is on has all that it needs on.
 */
export function showOnly(model: Model, isOn: (plugin: string) => boolean): void {
  const whole = wholes.get(model) ?? {
    plugins: new Map(model.plugins),
    objects: new Map(model.objects),
    permissions: new Map(model.permissions),
    incoming: new Map(model.incoming),
  };
  wholes.set(model, whole);
  const part = buildModel(
    [...whole.plugins.values()].filter(({ id }) => isOn(id)),
    whole.permissions,
  );
  replace(model.plugins, part.plugins);
  replace(model.audiences, part.audiences satisfies Map<string, ModelAudience>);
  replace(model.permissions, part.permissions);
  replace(
    model.objects,
    [...whole.objects].filter(([name]) => part.objects.has(name)),
  );
  replace(
    model.incoming,
    [...whole.incoming].map(([name, list]) => [name, list.filter(({ object, field }) => isOn(object.plugin) && isOn(field.plugin))]),
  );
  for (const object of whole.objects.values()) showOf(object, part.objects.get(object.name), isOn);
}

function showOf(object: ModelObject, part: ModelObject | undefined, isOn: (plugin: string) => boolean): void {
  const fields = [...object.fields.values()];
  object.shown = fields.every(({ plugin }) => plugin === object.plugin || isOn(plugin))
    ? undefined
    : new Set(fields.filter(({ plugin }) => isOn(plugin)).map(({ name }) => name));
  for (const [audience, portal] of object.portals) portal.off = part?.portals.has(audience) !== true;
  if (!part) return;
  replace(object.views, part.views);
  replace(object.actions, part.actions);
}

function replace<K, V>(map: Map<K, V>, entries: Iterable<readonly [K, V]>): void {
  const next = [...entries];
  map.clear();
  for (const [key, value] of next) map.set(key, value);
}
