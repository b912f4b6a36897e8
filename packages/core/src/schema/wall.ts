/**
 * The second wall: for each audience a login of its own that is a member of
 * nothing, reads only the columns that its portals name, and of each table only
 * the rows of whoever is reading. Made from the declarations, and made again
 * when they change.
 */
import { randomBytes } from 'node:crypto';
import type { Model, ModelAudience, ModelObject, ModelPortal, Principal } from '@kith/sdk';
import { fieldsOfRule, requiredCompany } from '@kith/sdk';
import { sql } from 'kysely';
import type pg from 'pg';
import { ruleSql, targetOf } from '../access/filter.ts';
import { openKysely, quote } from '../database.ts';
import { BootError, isDatabaseError } from '../errors.ts';
import { audienceColumns, hashOf, searchColumn, searchFieldsFor, tableName } from '../records/columns.ts';
import { retrying } from './retry.ts';

/** Where the logins' common name and password are kept; no audience can read that table. */
const SETTING = 'second_wall';
interface Wall {
  /** Logins are called `<name>_<audience>`: they belong to the whole server, which may hold several databases. */
  name: string;
  password: string;
  /** What was generated last. */
  hash: string;
}

/** The most ids that a search answers; whoever finds more has to say more. */
export const MOST_FOUND = 10_000;

export const loginOf = (wall: Pick<Wall, 'name'>, audience: string): string => `${wall.name}_${audience}`.toLowerCase().slice(0, 63);
/** Name of the function that searches an object for an audience. */
export const searchFunction = (object: ModelObject, audience: string): string => `kith.${quote(`find ${object.name} for ${audience}`)}`;

/** The wall of this database; undefined when there are no audiences. */
export async function readWall(pool: Pick<pg.Pool, 'query'>): Promise<Wall | undefined> {
  const { rows } = await pool.query<{ value: Wall }>('select value from kith.setting where name = $1', [SETTING]);
  return rows[0]?.value;
}

export async function isWallBehind(pool: pg.Pool, model: Model): Promise<boolean> {
  if (model.audiences.size === 0) return false;
  return (await readWall(pool))?.hash !== hashOf(statementsFor(model, 'x').join(';'));
}

/** Brings logins, grants, policies and search functions to what the portals declare. Runs under the migration lock. */
export async function raiseWall(client: pg.PoolClient, model: Model): Promise<string[]> {
  if (model.audiences.size === 0) return [];
  const hash = hashOf(statementsFor(model, 'x').join(';'));
  const known = await readWall(client);
  const wall: Wall = known ?? { name: `kith_${randomBytes(4).toString('hex')}`, password: randomBytes(24).toString('base64url'), hash: '' };
  const applied: string[] = [];
  for (const audience of model.audiences.keys()) {
    const login = loginOf(wall, audience);
    const { rowCount } = await client.query('select 1 from pg_roles where rolname = $1', [login]);
    if (rowCount) continue;
    try {
      await client.query(
        `create role ${quote(login)} login noinherit nosuperuser nocreatedb nocreaterole noreplication password '${wall.password}'`,
      );
    } catch (error) {
      if (!isDatabaseError(error, '42501')) throw error;
      throw new BootError(
        `The portals need a database login for "${audience}", and this one may not create any: run "alter role <it> createrole" as an administrator of Postgres.`,
      );
    }
    applied.push(`login for ${audience}`);
  }
  if (wall.hash === hash && applied.length === 0) return [];
  await retrying(client, 'what partners may read', async () => {
    await client.query('begin');
    // Whatever was granted before, by whatever declarations and to whatever audience, is taken back first.
    const { rows: logins } = await client.query<{ rolname: string }>('select rolname from pg_roles where starts_with(rolname, $1)', [
      loginOf(wall, ''),
    ]);
    for (const { rolname } of logins) {
      const { rows } = await client.query<{ name: string; policy: string | null }>(
        `select format('%I.%I', n.nspname, c.relname) as name, null as policy from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where c.relkind = 'r' and (exists (select from aclexplode(c.relacl) a where a.grantee = $1::regrole)
            or exists (select from pg_attribute t, aclexplode(t.attacl) a where t.attrelid = c.oid and a.grantee = $1::regrole))
         union all
         select format('%I.%I', schemaname, tablename), policyname from pg_policies where $2 = any(roles)`,
        [quote(rolname), rolname],
      );
      for (const { name, policy } of rows)
        await client.query(policy === null ? `revoke all on ${name} from ${quote(rolname)}` : `drop policy ${quote(policy)} on ${name}`);
    }
    const { rows: finds } = await client.query<{ name: string }>(
      `select oid::regprocedure::text as name from pg_proc where pronamespace = 'kith'::regnamespace and proname like 'find % for %'`,
    );
    for (const { name } of finds) await client.query(`drop function ${name}`);
    for (const statement of statementsFor(model, wall.name)) await client.query(statement);
    await client.query('insert into kith.setting (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value', [
      SETTING,
      JSON.stringify({ ...wall, hash } satisfies Wall),
    ]);
    await client.query('commit');
  });
  return [...applied, 'what partners may read'];
}

function statementsFor(model: Model, wall: string): string[] {
  const statements: string[] = [];
  for (const audience of model.audiences.values()) {
    const login = quote(loginOf({ name: wall }, audience.key));
    statements.push(`grant usage on schema kith to ${login}`);
    const schemas = new Set<string>();
    for (const object of model.objects.values()) {
      const portal = object.portals.get(audience.key);
      if (!portal) continue;
      if (!schemas.has(object.plugin)) statements.push(`grant usage on schema ${quote(object.plugin)} to ${login}`);
      schemas.add(object.plugin);
      statements.push(...statementsOf(model, audience, object, portal, login));
    }
  }
  return statements;
}

function statementsOf(model: Model, audience: ModelAudience, object: ModelObject, portal: ModelPortal, login: string): string[] {
  const name = tableName(object);
  const columns = new Set(['id', 'created_at', 'deleted_at', ...Object.values(audienceColumns(audience.key)), ...portal.read]);
  // The first wall compares these in the same statement.
  for (const field of fieldsOfRule(portal.rows)) columns.add(targetOf(object, field)!.column);
  const statements = [
    `grant select (${[...columns].map(quote).join(', ')}) on ${name} to ${login}`,
    `alter table ${name} enable row level security`,
    `create policy ${quote(`kith ${audience.key}`)} on ${name} for select to ${login}
       using (deleted_at is null and ${ruleText(model, object, object.key, portal, '(select kith.reading_company())', '(select kith.reading_guest())')})`,
  ];
  const search = searchFieldsFor(object, portal);
  if (search.length > 0) {
    const text = `o.${quote(searchColumn(search))}`;
    const rule = ruleText(model, object, 'o', portal, '$1', '$2').replaceAll("'", "''");
    const find = searchFunction(object, audience.key);
    const company = requiredCompany(portal.rows);
    statements.push(
      // The row rule comes before the limit: of three hundred found and then looked through, one might be left.
      `create function ${find}(words text[], before uuid, most integer) returns setof uuid language plpgsql stable security definer set search_path = pg_catalog, public as $$
       declare
         statement text := 'select o.id from ${name} o where o.deleted_at is null and ${rule}';
         tokens bigint[] := '{}';
         reader uuid := kith.reading_company();
         word text;
         pattern text;
       begin
         foreach word in array words loop
           pattern := replace(replace(replace(word, '\\', '\\\\'), '%', '\\%'), '_', '\\_');
           -- Three letters stand anywhere; a shorter word is one at the beginning of a word.
           if length(word) >= 3 then
             statement := statement || format(' and ${text} like %L', '%' || pattern || '%');
             tokens := tokens || array(select hashtextextended(reader::text || substr(word, i, 3), 0) from generate_series(1, length(word) - 2) i);
           else
             statement := statement || format(' and (${text} like %L or ${text} like %L)', pattern || '%', '% ' || pattern || '%');
             tokens := tokens || hashtextextended(reader::text || ' ' || word, 0);
           end if;
         end loop;
         ${
           company === undefined
             ? ''
             : `statement := statement || format(' and kith.search_tokens(o.${quote(company)}, ${text}) @> %L', tokens);`
         }
         -- A page of the newest, or (without an order, since somebody else sorts them) all of them.
         if before is not null then statement := statement || format(' and o.id < %L', before); end if;
         if most < ${MOST_FOUND} then statement := statement || ' order by o.id desc'; end if;
         return query execute statement || format(' limit %s', least(most, ${MOST_FOUND})) using reader, kith.reading_guest();
       end $$`,
      `revoke all on function ${find}(text[], uuid, integer) from public`,
      `grant execute on function ${find}(text[], uuid, integer) to ${login}`,
    );
  }
  return statements;
}

/** A portal's row rule as SQL text without parameters, on a row called `alias`. */
function ruleText(model: Model, object: ModelObject, alias: string, portal: ModelPortal, company: string, guest: string): string {
  const principal: Principal = { id: '', kind: 'partner', name: '', roles: [], outside: { audience: '' } };
  const rule = ruleSql({ model, principal, reading: { company: sql.raw(COMPANY), guest: sql.raw(GUEST) } }, object, alias, portal.rows);
  const { sql: text, parameters } = rule.compile(compiler);
  return text
    .replace(/\$(\d+)/g, (_, n: string) => literal(parameters[Number(n) - 1]))
    .replaceAll(COMPANY, () => company)
    .replaceAll(GUEST, () => guest);
}
/** Stand for who is reading until the values beside them are in their places. */
const COMPANY = '"who reads: company"';
const GUEST = '"who reads: guest"';
/** Only compiles; it never connects. */
const compiler = openKysely({} as pg.Pool);

function literal(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return literal(`{${value.map((one) => `"${String(one).replace(/[\\"]/g, '\\$&')}"`).join(',')}}`);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return `'${String(value as string).replaceAll("'", "''")}'`;
}
