/** What screens need besides values: the titles of records, and of all that they refer to. */
import { isUuid, type FieldValue, type Model, type ModelObject, type Principal, type Rec } from '@kith/sdk';
import type pg from 'pg';
import { portalOf } from '../access/grant.ts';
import { quote } from '../database.ts';
import { SYSTEM } from '../principal.ts';
import { tableName } from '../records/columns.ts';
import type { Query } from './query.ts';

/** A referenced record or user, as it is shown. */
export interface Reference {
  object: string;
  title: string;
  color?: number;
}
export type References = Record<string, Reference>;

/**
 * The titles of what these records refer to, as somebody may see them: for people from outside, of those records that
 * they may read themselves. Whoever of the staff is named there stays unnamed.
 */
export async function referencesFor(
  { pool, model, query }: { pool: pg.Pool; model: Model; query: Query },
  principal: Principal,
  recs: readonly Rec[],
  moreUsers: readonly string[] = [],
): Promise<References> {
  if (!principal.outside) return referencesOf(pool, model, recs, moreUsers);
  const references: References = {};
  for (const [name, ids] of referredBy(model, recs)) {
    const object = model.objects.get(name);
    if (!object || !portalOf(object, principal) || ids.size === 0) continue;
    const page = await query.list(principal, object, { ids: [...ids], limit: ids.size });
    for (const rec of page.data) references[rec.id] = { object: name, title: titleOf(object, rec.fields) };
  }
  return references;
}

/** The title of a record from its own values; a reference in it is named by its own title where that is known. */
export function titleOf(object: ModelObject, fields: Readonly<Record<string, FieldValue>>, refs: References = {}): string {
  const parts = object.title.map((name) => {
    const value = fields[name];
    if (value === null || value === undefined) return '';
    return object.fields.get(name)?.type === 'ref' ? (refs[value as string]?.title ?? '') : typeof value === 'object' ? '' : String(value);
  });
  return parts.filter(Boolean).join(' ');
}

/** Titles of everything that these records refer to, one statement for all objects. */
export async function referencesOf(
  pool: pg.Pool,
  model: Model,
  recs: readonly Rec[],
  moreUsers: readonly string[] = [],
): Promise<References> {
  return titlesOf(pool, model, referredBy(model, recs, moreUsers));
}

/** What records refer to, by object. */
function referredBy(model: Model, recs: readonly Rec[], moreUsers: readonly string[] = []): Map<string, Set<string>> {
  const wanted = new Map<string, Set<string>>();
  const want = (object: string, id: unknown): void => {
    if (!isUuid(id)) return;
    const ids = wanted.get(object) ?? new Set<string>();
    ids.add(id);
    wanted.set(object, ids);
  };
  for (const rec of recs) {
    want(USER, rec.createdBy);
    want(USER, rec.updatedBy);
    const object = model.objects.get(rec.object)!;
    for (const [name, value] of Object.entries(rec.fields)) {
      if (value === null) continue;
      const spec = object.fields.get(name)?.spec;
      if (spec?.type === 'ref') want(spec.to, value);
      else if (spec?.type === 'refs') for (const id of value as string[]) want(spec.to, id);
      else if (spec?.type === 'user') want(USER, value);
      else if (spec?.type === 'anyRef') want((value as { object: string }).object, (value as { id: string }).id);
    }
  }
  for (const id of moreUsers) want(USER, id);
  return wanted;
}

const USER = 'kith.user';

/** Titles of records by object and id. Unknown ones are absent. */
export async function titlesOf(pool: pg.Pool, model: Model, wanted: ReadonlyMap<string, ReadonlySet<string>>): Promise<References> {
  const parts: string[] = [];
  const values: unknown[] = [];
  for (const [name, ids] of wanted) {
    const object = model.objects.get(name);
    if (name !== USER && !object) continue;
    values.push([...ids]);
    const at = `any($${values.length}::uuid[])`;
    if (name === USER) {
      parts.push(`select 'kith.user' as object, id, name as title, color::integer as color from kith."user" where id = ${at}`);
      parts.push(`select 'kith.user' as object, id, name as title, null::integer as color from kith.api_key where id = ${at}`);
    } else if (object) {
      parts.push(
        `select '${name}' as object, o.id, ${titleSql(model, object, 'o')} as title, null::integer as color from ${tableName(object)} o where o.id = ${at}`,
      );
    }
  }
  const references: References = {};
  // What the demo or an upgrade did is by nobody of the staff.
  if (wanted.get(USER)?.has(SYSTEM.id)) references[SYSTEM.id] = { object: USER, title: SYSTEM.name };
  if (parts.length === 0) return references;
  const { rows } = await pool.query<{ object: string; id: string; title: string | null; color: number | null }>(
    parts.join(' union all '),
    values,
  );
  for (const row of rows)
    references[row.id] = { object: row.object, title: row.title ?? '', ...(row.color === null ? {} : { color: row.color }) };
  return references;
}

/** A record's title as an expression; a reference in it is followed once. */
export function titleSql(model: Model, object: ModelObject, alias: string, depth = 0): string {
  const parts = object.title.map((name) => {
    const spec = object.fields.get(name)!.spec;
    const column = `${alias}.${quote(name)}`;
    if (spec.type !== 'ref') return `${column}::text`;
    const target = model.installed.objects.get(spec.to)!;
    return depth > 1
      ? `''`
      : `(select ${titleSql(model, target, `t${depth}`, depth + 1)} from ${tableName(target)} t${depth} where t${depth}.id = ${column})`;
  });
  return `concat_ws(' ', ${parts.join(', ')})`;
}
