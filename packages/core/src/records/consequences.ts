/**
 * What a change of a record leads to elsewhere, as the declarations say: copies
 * of its fields in other records, effects of plugins, and documents that pass to
 * other readers.
 */
import {
  companiesOf,
  fieldsOfRule,
  pathOf,
  type AnyServer,
  type Effect,
  type Facet,
  type FieldValue,
  type Model,
  type ModelObject,
} from '@kith/sdk';

/** A field of another object that is kept the same as one of this object's. */
export interface Copy {
  object: ModelObject;
  field: string;
  /** The reference there that points here. */
  ref: string;
  /** The field here. */
  source: string;
}
/** What an object's new records take over from those that one of their references points at. */
export interface Taken {
  ref: string;
  target: ModelObject;
  /** `kept`: the same from then on; otherwise only where no value was given. */
  fields: { name: string; source: string; kept: boolean }[];
}

/** Other readers, because of a change of fields that decide who they are. */
export interface Passing {
  /** Audiences whose company changes. */
  passes: string[];
  /** Documents that begin a new life: those that such an audience may join. */
  renew: Facet[];
  /** Fields that the old company wrote, and that the new one must not find. */
  emptied: string[];
}

type AnyEffect = Effect<never, Record<string, FieldValue>>;

export class Consequences {
  readonly #copies = new Map<ModelObject, Copy[]>();
  readonly #taken = new Map<ModelObject, Taken[]>();
  readonly #effects = new Map<ModelObject, AnyEffect>();

  constructor(model: Model, servers: readonly AnyServer[]) {
    for (const object of model.objects.values()) {
      for (const { name, spec } of object.fields.values()) {
        const path = spec.lookup ?? spec.snapshot;
        const found = path === undefined ? undefined : pathOf(model, object, path);
        if (!found) continue;
        const { ref, target, source } = found;
        const taken = this.#taken.get(object) ?? [];
        let one = taken.find((each) => each.ref === ref.name);
        if (!one) taken.push((one = { ref: ref.name, target, fields: [] }));
        one.fields.push({ name, source: source.name, kept: spec.lookup !== undefined });
        this.#taken.set(object, taken);
        if (spec.lookup === undefined) continue;
        const copies = this.#copies.get(target) ?? [];
        copies.push({ object, field: name, ref: ref.name, source: source.name });
        this.#copies.set(target, copies);
      }
    }
    for (const server of servers) {
      for (const [key, effect] of Object.entries(server.effects ?? {})) {
        const object = model.objects.get(`${server.plugin.id}.${key}`);
        if (object && effect) this.#effects.set(object, effect as AnyEffect);
      }
    }
  }

  /** Whether a change of such a record may lead to anything: then it needs a transaction around it. */
  concern(object: ModelObject): boolean {
    return this.#copies.has(object) || this.#taken.has(object) || this.#effects.has(object) || object.portals.size > 0;
  }

  copiesOf(object: ModelObject): readonly Copy[] {
    return this.#copies.get(object) ?? [];
  }
  taken(object: ModelObject): readonly Taken[] {
    return this.#taken.get(object) ?? [];
  }
  /** The references whose targets an object's records are derived from. */
  parentsOf(object: ModelObject): { ref: string; target: ModelObject }[] {
    return this.taken(object).filter(({ fields }) => fields.some(({ kept }) => kept));
  }
  effectOf(object: ModelObject): Effect<never, Record<string, FieldValue>> | undefined {
    return this.#effects.get(object);
  }

  /** Who reads from now on, when these fields change. */
  passing(object: ModelObject, names: readonly string[]): Passing {
    const passing: Passing = { passes: [], renew: [], emptied: [] };
    for (const [audience, portal] of object.portals) {
      if (!fieldsOfRule(portal.rows).some((name) => names.includes(name))) continue;
      const theirs = object.facets.filter(({ fields }) => fields.size > 0 && [...fields].every((name) => portal.read.has(name)));
      passing.renew.push(...theirs.filter((facet) => !passing.renew.includes(facet)));
      if (!companiesOf(portal.rows).some((name) => names.includes(name))) continue;
      passing.passes.push(audience);
      passing.emptied.push(...[...portal.write].filter((name) => !portal.keep.has(name)));
    }
    return passing;
  }
}
