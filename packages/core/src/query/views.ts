/** Saved views: a person's own, and those that colleagues share. */
import { isUuid, type Model, type ModelObject, type Principal } from '@kith/sdk';
import type pg from 'pg';
import { filterSql, parseFilter, targetOf } from '../access/filter.ts';
import { invalid, notFound } from '../errors.ts';
import { newId } from '../ids.ts';
import { hasRole } from '../principal.ts';

interface Definition {
  type: 'table' | 'board';
  columns: string[];
  filter?: unknown;
  sort?: string[];
  groupBy?: string;
  sum?: string;
  /** Column widths in pixels. */
  widths?: Record<string, number>;
}

export interface SavedView extends Definition {
  id: string;
  object: string;
  name: string;
  owner: string;
  shared: boolean;
}

interface ViewRow {
  id: string;
  object: string;
  name: string;
  owner: string;
  shared: boolean;
  definition: Definition;
}

export class Views {
  readonly #pool: pg.Pool;
  readonly #model: Model;

  constructor(pool: pg.Pool, model: Model) {
    this.#pool = pool;
    this.#model = model;
  }

  async list(principal: Principal, object: ModelObject): Promise<SavedView[]> {
    const { rows } = await this.#pool.query<ViewRow>(
      'select * from kith.view where object = $1 and (owner = $2 or shared) order by name, id',
      [object.name, principal.id],
    );
    return rows.map(view);
  }

  async create(principal: Principal, input: Record<string, unknown>): Promise<SavedView> {
    const object = this.#model.objects.get(typeof input.object === 'string' ? input.object : '');
    if (!object) throw notFound('object');
    const { name, shared, definition } = this.#check(principal, object, input, undefined);
    const { rows } = await this.#pool.query<ViewRow>(
      'insert into kith.view (id, object, name, owner, shared, definition) values ($1, $2, $3, $4, $5, $6) returning *',
      [newId(), object.name, name, principal.id, shared, JSON.stringify(definition)],
    );
    return view(rows[0]!);
  }

  async change(principal: Principal, id: string, input: Record<string, unknown>): Promise<SavedView> {
    const row = await this.#own(principal, id);
    const { name, shared, definition } = this.#check(principal, this.#model.objects.get(row.object)!, input, row);
    const { rows } = await this.#pool.query<ViewRow>(
      'update kith.view set name = $2, shared = $3, definition = $4 where id = $1 returning *',
      [id, name, shared, JSON.stringify(definition)],
    );
    return view(rows[0]!);
  }

  async remove(principal: Principal, id: string): Promise<void> {
    await this.#own(principal, id);
    await this.#pool.query('delete from kith.view where id = $1', [id]);
  }

  /** A view that the principal may change: their own, or any for an administrator. */
  async #own(principal: Principal, id: string): Promise<ViewRow> {
    const { rows } = await this.#pool.query<ViewRow>('select * from kith.view where id = $1', [isUuid(id) ? id : null]);
    const row = rows[0];
    if (!row || !this.#model.objects.has(row.object) || (row.owner !== principal.id && !hasRole(principal, 'admin')))
      throw notFound('view of yours');
    return row;
  }

  #check(
    principal: Principal,
    object: ModelObject,
    input: Record<string, unknown>,
    now: ViewRow | undefined,
  ): { name: string; shared: boolean; definition: Definition } {
    const problems: { field: string; code: string; message: string }[] = [];
    const bad = (field: string, message: string): void => {
      problems.push({ field, code: 'invalid', message });
    };
    const name = input.name ?? now?.name;
    const shared = input.shared ?? now?.shared ?? false;
    const merged = { ...now?.definition, ...Object.fromEntries(Object.entries(input).filter(([key]) => KEYS.includes(key))) } as Record<
      string,
      unknown
    >;
    for (const key of KEYS) if (merged[key] === null) delete merged[key];
    const known = (field: unknown): boolean => typeof field === 'string' && targetOf(object, field) !== undefined;
    if (typeof name !== 'string' || name.trim() === '' || name.length > 100)
      bad('name', 'must not be empty and have at most 100 characters');
    if (typeof shared !== 'boolean') bad('shared', 'must be true or false');
    if (merged.type !== 'table' && merged.type !== 'board') bad('type', 'must be table or board');
    if (!Array.isArray(merged.columns) || merged.columns.length === 0 || !merged.columns.every(known))
      bad('columns', 'must name fields of the object');
    if (
      merged.sort !== undefined &&
      (!Array.isArray(merged.sort) || !merged.sort.every((key) => typeof key === 'string' && known(key.replace(/^-/, ''))))
    ) {
      bad('sort', 'must name fields of the object');
    }
    if (merged.type === 'board' && object.fields.get(merged.groupBy as string)?.type !== 'select')
      bad('groupBy', 'must name a select field');
    if (merged.sum !== undefined && !known(merged.sum)) bad('sum', 'must name a field of the object');
    if (
      merged.widths !== undefined &&
      (typeof merged.widths !== 'object' || !Object.values(merged.widths as object).every((width) => typeof width === 'number'))
    ) {
      bad('widths', 'must be numbers by field');
    }
    if (problems.length > 0) throw invalid(problems);
    if (merged.filter !== undefined) filterSql({ model: this.#model, principal }, object, 'o', parseFilter(merged.filter));
    return { name: (name as string).trim(), shared: shared as boolean, definition: merged as unknown as Definition };
  }
}

const KEYS = ['type', 'columns', 'filter', 'sort', 'groupBy', 'sum', 'widths'];

const view = (row: ViewRow): SavedView => ({
  id: row.id,
  object: row.object,
  name: row.name,
  owner: row.owner,
  shared: row.shared,
  ...row.definition,
});
