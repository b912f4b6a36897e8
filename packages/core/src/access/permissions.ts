/**
 * What roles may do less than an object's declaration allows, and who has the
 * named rights of plugins. An administrator takes away and gives back; with
 * objects nobody gets more than the plugin that declares them grants, and
 * administrators keep what they have.
 */
import {
  ROLES,
  type Access,
  type FieldProblem,
  type Model,
  type ModelObject,
  type ModelPermission,
  type Principal,
  type Role,
  type Rule,
} from '@kith/sdk';
import type pg from 'pg';
import { transaction } from '../database.ts';
import { invalid } from '../errors.ts';
import { hasRole } from '../principal.ts';
import { can } from './filter.ts';

const VERBS = ['read', 'create', 'update', 'delete'] as const;
type Verb = (typeof VERBS)[number];
type May = Record<Verb, boolean>;

/** What roles may do with one object, and what the declaration allows at most. */
export interface ObjectPermissions {
  object: string;
  roles: Record<Role, May & { declared: May }>;
}

/** A named right of a plugin: who has it, and who would if nobody had said anything. */
export interface NamedPermission {
  name: string;
  plugin: string;
  key: string;
  roles: Record<Role, boolean>;
  declared: Record<Role, boolean>;
}

interface Row {
  object: string;
  role: Role;
  reads: boolean;
  creates: boolean;
  updates: boolean;
  deletes: boolean;
}

export class Permissions {
  readonly #pool: pg.Pool;
  readonly #model: Model;
  readonly #declared = new Map<ModelObject, Access>();
  readonly #changed: () => void;
  readonly #named: readonly ModelPermission[];
  #rows: readonly Row[] = [];

  /** @param changed Tells other processes, and whoever has something open. */
  constructor(pool: pg.Pool, model: Model, changed: () => void) {
    this.#pool = pool;
    this.#model = model;
    this.#changed = changed;
    for (const object of model.objects.values()) this.#declared.set(object, object.access);
    this.#named = [...model.permissions.values()];
  }

  /** Reads what is stored into the model: from then on every door goes by it. */
  async load(): Promise<void> {
    const { rows } = await this.#pool.query<Row>('select object, role, reads, creates, updates, deletes from kith.permission');
    const { rows: named } = await this.#pool.query<{ name: string; role: Role; allowed: boolean }>(
      'select name, role, allowed from kith.named_permission',
    );
    this.#rows = rows;
    for (const { name, declared, roles } of this.#named) {
      const said = new Map(named.filter((one) => one.name === name).map((one) => [one.role, one.allowed]));
      // In place: rules that name the permission hold this very list.
      roles.splice(0, roles.length, ...ROLES.filter((role) => role === 'admin' || (said.get(role) ?? declared.includes(role))));
    }
    for (const [object, declared] of this.#declared) {
      const narrowed = {} as Access;
      for (const verb of VERBS) narrowed[verb] = this.#narrowed(object, verb, declared[verb]);
      object.access = narrowed;
    }
  }

  #narrowed(object: ModelObject, verb: Verb, declared: Rule): Rule {
    const allowed = ROLES.filter((role) => this.#allows(object, role, verb));
    return allowed.length === ROLES.length ? declared : { and: [declared, { role: allowed }] };
  }

  #allows(object: ModelObject, role: Role, verb: Verb): boolean {
    if (role === 'admin') return true;
    const row = this.#rows.find((one) => one.object === object.name && one.role === role);
    return row ? mayOf(row)[verb] : true;
  }

  /** All objects with what each role may do. */
  list(): ObjectPermissions[] {
    const shown = [...this.#declared].filter(([object]) => this.#model.objects.has(object.name));
    return shown.map(([object, declared]) => ({
      object: object.name,
      roles: Object.fromEntries(
        ROLES.map((role) => {
          const most = mostOf(object, declared, role);
          const may = Object.fromEntries(VERBS.map((verb) => [verb, most[verb] && this.#allows(object, role, verb)])) as May;
          return [role, { ...may, declared: most }];
        }),
      ) as ObjectPermissions['roles'],
    }));
  }

  /** The named rights of the plugins that are on. */
  named(): NamedPermission[] {
    const by = (roles: readonly Role[]): Record<Role, boolean> =>
      Object.fromEntries(ROLES.map((role) => [role, roles.includes(role)])) as Record<Role, boolean>;
    return [...this.#model.permissions.values()].map(({ name, plugin, key, roles, declared }) => ({
      name,
      plugin,
      key,
      roles: by(roles),
      declared: by(declared),
    }));
  }

  /** Whether somebody has a named right of a plugin that is on. People from outside have none. */
  has(principal: Principal, name: string): boolean {
    const found = this.#model.permissions.get(name);
    return found !== undefined && !principal.outside && hasRole(principal, ...found.roles);
  }

  /** The named rights that somebody has. */
  of(principal: Principal): string[] {
    return [...this.#model.permissions.keys()].filter((name) => this.has(principal, name));
  }

  /** Gives a role a named right, or takes it away. */
  async changeNamed(input: Record<string, unknown>): Promise<NamedPermission> {
    const { permission, role, allowed, ...rest } = input;
    const problems: FieldProblem[] = Object.keys(rest).map((name) => ({
      field: name.slice(0, 40),
      code: 'unknown_field',
      message: 'goes with an object, not with a named permission',
    }));
    if (typeof permission !== 'string' || !this.#model.permissions.has(permission))
      problems.push({ field: 'permission', code: 'unknown_option', message: 'is no named permission' });
    if (!ROLES.includes(role as Role))
      problems.push({ field: 'role', code: 'unknown_option', message: `must be one of ${ROLES.join(', ')}` });
    else if (role === 'admin') problems.push({ field: 'role', code: 'invalid', message: 'administrators keep what they may do' });
    if (typeof allowed !== 'boolean') problems.push({ field: 'allowed', code: 'invalid', message: 'must be true or false' });
    if (problems.length > 0) throw invalid(problems);
    await transaction(this.#pool, async (client) => {
      await client.query('select kith.rights_changed()');
      await client.query(
        `insert into kith.named_permission (name, role, allowed) values ($1, $2, $3)
         on conflict (name, role) do update set allowed = $3`,
        [permission, role, allowed],
      );
    });
    await this.load();
    this.#changed();
    return this.named().find((one) => one.name === permission)!;
  }

  /** Takes from a role, or gives back to it. Who may not read a record can do nothing else with it. */
  async change(input: Record<string, unknown>): Promise<ObjectPermissions> {
    const { object: name, role, ...rest } = input;
    const problems: FieldProblem[] = [];
    const object = [...this.#declared.keys()].find((one) => one.name === name && this.#model.objects.has(one.name));
    if (!object) problems.push({ field: 'object', code: 'unknown_option', message: 'is no object' });
    if (!ROLES.includes(role as Role))
      problems.push({ field: 'role', code: 'unknown_option', message: `must be one of ${ROLES.join(', ')}` });
    else if (role === 'admin') problems.push({ field: 'role', code: 'invalid', message: 'administrators keep what they may do' });
    for (const [verb, value] of Object.entries(rest)) {
      if (!(VERBS as readonly string[]).includes(verb))
        problems.push({ field: verb.slice(0, 40), code: 'unknown_field', message: `must be one of ${VERBS.join(', ')}` });
      else if (typeof value !== 'boolean') problems.push({ field: verb, code: 'invalid', message: 'must be true or false' });
      else if (value && object && ROLES.includes(role as Role) && !mostOf(object, this.#declared.get(object)!, role as Role)[verb as Verb])
        problems.push({ field: verb, code: 'invalid', message: 'is more than the object allows this role' });
    }
    if (problems.length > 0 || !object) throw invalid(problems);
    await transaction(this.#pool, async (client) => {
      await client.query('select kith.rights_changed()');
      const { rows } = await client.query<Row>(
        'select object, role, reads, creates, updates, deletes from kith.permission where object = $1 and role = $2',
        [object.name, role],
      );
      const may: May = {
        ...(rows[0] ? mayOf(rows[0]) : { read: true, create: true, update: true, delete: true }),
        ...(rest as Partial<May>),
      };
      if (rest.read === false) may.create = may.update = may.delete = false;
      if (rest.create === true || rest.update === true || rest.delete === true) may.read = true;
      await client.query(
        `insert into kith.permission (object, role, reads, creates, updates, deletes) values ($1, $2, $3, $4, $5, $6)
         on conflict (object, role) do update set reads = $3, creates = $4, updates = $5, deletes = $6`,
        [object.name, role, may.read, may.create, may.update, may.delete],
      );
    });
    await this.load();
    this.#changed();
    return this.list().find((one) => one.object === object.name)!;
  }
}

const mayOf = (row: Row): May => ({ read: row.reads, create: row.creates, update: row.updates, delete: row.deletes });

/** What a declaration allows a role at most. A rule that looks at a record may allow it. */
function mostOf(object: ModelObject, declared: Access, role: Role): May {
  const someone = { id: '', kind: 'staff' as const, name: '', roles: [role] };
  return Object.fromEntries(VERBS.map((verb) => [verb, can(object, someone, declared[verb], {}) !== false])) as May;
}
