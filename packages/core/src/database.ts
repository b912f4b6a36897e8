/** The connection to Postgres: one pool, one Kysely on it, and how values come out. */
import { Kysely, PostgresDialect, sql, type RawBuilder } from 'kysely';
import pg from 'pg';
import { BootError } from './errors.ts';
import type { HostTables } from './schema/host.ts';

export type Db = Kysely<HostTables>;
/** A pool or one of its clients: anything that runs a query. */
export interface Queryable {
  query<R extends pg.QueryResultRow>(config: pg.QueryConfig): Promise<pg.QueryResult<R>>;
}

const DATE = 1082;
const TIMESTAMPTZ = 1184;
const INT8 = 20;
let lastText = '';
let lastIso = '';
/** Rows of one statement mostly have one time: the last is remembered. */
function iso(text: string): string {
  if (text !== lastText) {
    lastIso = new Date(text.replace(' ', 'T').replace(/([+-]\d{2})$/, '$1:00')).toISOString();
    lastText = text;
  }
  return lastIso;
}
const parsers = new Map<number, (text: string) => unknown>([
  // Dates are days of the calendar, not moments: as text they cannot shift with a time zone.
  [DATE, (text) => text],
  [TIMESTAMPTZ, iso],
  // Counters and versions stay below 2^53.
  [INT8, Number],
]);

/** Settings of every connection. Work that hangs must not hold locks for ever. */
const OPTIONS = '-c timezone=UTC -c statement_timeout=60000 -c idle_in_transaction_session_timeout=30000';

/** Opens a pool. It connects lazily; {@link checkServer} says whether it can. */
export function openPool(url: string, size: number, name: string): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: size,
    application_name: name,
    options: OPTIONS,
    connectionTimeoutMillis: 10_000,
    types: {
      getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
        parsers.get(oid) ?? pg.types.getTypeParser(oid, format ?? 'text')) as typeof pg.types.getTypeParser,
    },
  });
  // A connection that breaks, idle or lent out, is told of by the query that fails; without listeners it would end the process.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

export const openKysely = (pool: pg.Pool): Db => new Kysely<HostTables>({ dialect: new PostgresDialect({ pool }) });

/** Refuses a server that is missing or too old, in one line. */
export async function checkServer(pool: pg.Pool): Promise<void> {
  let version: number;
  try {
    const { rows } = await pool.query<{ server_version_num: string }>('show server_version_num');
    version = Number(rows[0]?.server_version_num);
  } catch (error) {
    throw new BootError(
      `The database does not answer (${error instanceof Error ? error.message : String(error)}); check DATABASE_URL and that Postgres runs.`,
    );
  }
  if (version < 180_000) {
    throw new BootError(
      `Postgres ${Math.floor(version / 10_000)} is too old: Kith needs PostgreSQL 18 or newer; upgrade the server or point DATABASE_URL elsewhere.`,
    );
  }
}

/** A table or column by its full name, quoted. */
export const table = (schema: string, name: string): RawBuilder<unknown> => sql.id(schema, name);

/** Quotes an identifier for SQL text. */
export const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** Runs `work` in a transaction on one connection. */
export async function transaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query('commit');
    return result;
  } catch (error) {
    try {
      await client.query('rollback');
    } catch (failure) {
      broken = failure instanceof Error ? failure : new Error(String(failure));
    }
    throw error;
  } finally {
    client.release(broken);
  }
}
