/** A world for tests: a real database of its own, a runtime, and actors. */
import { createHash, randomBytes } from 'node:crypto';
import type { AnyPlugin, AnyServer, ModelObject, Principal, Role } from '@kith/sdk';
import { isDatabaseError } from './errors.ts';
import type { Env } from './env.ts';
import { newId } from './ids.ts';
import { createLog, type Log } from './log.ts';
import { createDatabase, databaseUrl as urlOf, dropDatabase } from './postgres/embedded.ts';
import type { Actor } from './records/door.ts';
import { EVENT_STREAM } from './rest/http.ts';
import { createRuntime, migrate, type Runtime, type RuntimeOptions } from './runtime.ts';
import { POSTGRES_VARIABLE } from './testing/globalSetup.ts';

export { routes, routesOf, type Route } from './rest/routes.ts';
export { MessageIds } from './events/streams.ts';
export { stateOf } from './testing/state.ts';

export interface TestWorld {
  runtime: Runtime;
  databaseUrl: string;
  /** The staff user that `as` asked for. */
  me: Principal;
  actor: Actor;
  /** Another member of the staff. */
  person: (name: string, role?: Role) => Promise<Principal>;
  /** An API key; its secret goes into a bearer header. */
  key: (role?: Role) => Promise<string>;
  object: (name: string) => ModelObject;
  /** A request to the API, as somebody with this key. */
  request: (
    method: string,
    path: string,
    options?: { key?: string; body?: unknown; headers?: Record<string, string> },
  ) => Promise<{ status: number; body: never; headers: Headers }>;
  /** A second runtime on the same database: another node. */
  another: (options?: Partial<RuntimeOptions>) => Promise<Runtime>;
  close: () => Promise<void>;
}

export interface TestOptions {
  plugins: readonly AnyPlugin[];
  servers?: readonly AnyServer[];
  /** Role of {@link TestWorld.me}; administrator unless told. */
  as?: Role;
  roles?: RuntimeOptions['roles'];
  clock?: () => Date;
  log?: Log;
  background?: RuntimeOptions['background'];
  smtpUrl?: string;
  /** Queues on this Redis instead of Postgres. */
  redisUrl?: string;
}

/** The environment of tests, as if read from variables. */
export const testEnv = (databaseUrl: string): Env => ({
  port: 5173,
  host: '127.0.0.1',
  origin: undefined,
  databaseUrl,
  redisUrl: undefined,
  dataDir: '/tmp',
  secret: 'test-secret-of-more-than-thirty-two-characters',
  admin: undefined,
  demo: 'none',
  smtpUrl: undefined,
  logLevel: 'error',
  healthPort: undefined,
  publicHost: false,
});

const templates = new Map<string, Promise<void>>();

/** A fresh world. Databases are copies of a template that is migrated once per set of plugins. */
export async function createTestWorld(options: TestOptions): Promise<TestWorld> {
  const server = process.env[POSTGRES_VARIABLE];
  if (!server) throw new Error(`no test server: run this through vitest, whose global setup sets ${POSTGRES_VARIABLE}`);
  const { plugins, servers = [] } = options;
  // A database's name has at most 63 bytes, so that the plugins' own do not fit.
  const template = `kith_template_${createHash('sha256')
    .update(
      plugins
        .map((one) => one.id)
        .sort()
        .join(),
    )
    .digest('hex')
    .slice(0, 16)}`;
  const made = templates.get(template) ?? makeTemplate(server, template, plugins, servers);
  templates.set(template, made);
  await made;
  const name = `kith_test_${process.pid}_${randomBytes(4).toString('hex')}`;
  const databaseUrl = await retrying(() => createDatabase(server, name, { template }));
  const env: Env = { ...testEnv(databaseUrl), redisUrl: options.redisUrl, smtpUrl: options.smtpUrl };
  const log = options.log ?? createLog('error');
  const base = {
    plugins,
    servers,
    env,
    databaseUrl,
    log,
    ...(options.clock ? { clock: options.clock } : {}),
    ...(options.background ? { background: options.background } : {}),
  };
  const runtime = await createRuntime({ roles: options.roles ?? ['web'], ...base });
  const others: Runtime[] = [];
  const person = async (who: string, role: Role = 'member'): Promise<Principal> => {
    const id = await runtime.sessions.createUser({ email: `${who.toLowerCase().replaceAll(' ', '.')}@test.example`, name: who, role });
    return { id, kind: 'staff', name: who, roles: [role] };
  };
  const me = await person('Me', options.as ?? 'admin');
  return {
    runtime,
    databaseUrl,
    me,
    actor: { principal: me, cause: { kind: 'api', id: null } },
    person,
    key: async (role = 'admin') => (await runtime.sessions.createKey({ name: `key ${role} ${newId()}`, role })).key,
    object: (full) => runtime.records.object(full),
    request: async (method, path, { key, body, headers } = {}) => {
      const response = await runtime.api.handle(
        new Request(`http://kith.internal/api/v1${path}`, {
          method,
          headers: {
            ...(key ? { authorization: `Bearer ${key}` } : {}),
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
            ...headers,
          },
          ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        }),
        { ip: '127.0.0.1' },
      );
      // A stream does not end by itself: what it begins with is its answer.
      if (response.headers.get('content-type') === EVENT_STREAM) {
        await response.body?.cancel();
        return { status: response.status, body: null as never, headers: response.headers };
      }
      const text = await response.text();
      return { status: response.status, body: (text === '' ? null : JSON.parse(text)) as never, headers: response.headers };
    },
    another: async (more = {}) => {
      const other = await createRuntime({ roles: ['web'], ...base, ...more });
      others.push(other);
      return other;
    },
    close: async () => {
      for (const other of others) await other.close();
      await runtime.close();
      await dropDatabase(server, name);
    },
  };
}

async function makeTemplate(server: string, template: string, plugins: readonly AnyPlugin[], servers: readonly AnyServer[]): Promise<void> {
  try {
    // Other test processes make the same template: the first to take the building name builds it, then renames it into place.
    await createDatabase(server, `${template}_building`);
  } catch (error) {
    if (!isDatabaseError(error, '42P04', '23505') && !(error instanceof Error && error.message.includes('already exists'))) throw error;
    await untilExists(server, template);
    return;
  }
  await migrate({ plugins, servers, databaseUrl: urlOf(server, `${template}_building`) });
  const { openPool } = await import('./database.ts');
  const pool = openPool(server, 1, 'kith tests');
  await pool.query(`alter database "${template}_building" rename to "${template}"`);
  // The name stays taken, so that nobody builds a second one.
  await pool.query(`create database "${template}_building"`);
  await pool.end();
}

async function untilExists(server: string, template: string): Promise<void> {
  const { openPool } = await import('./database.ts');
  const pool = openPool(server, 1, 'kith tests');
  try {
    for (let i = 0; i < 600; i++) {
      const { rowCount } = await pool.query('select 1 from pg_database where datname = $1', [template]);
      if (rowCount) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`the template ${template} was never finished`);
  } finally {
    await pool.end();
  }
}

/** A template that somebody copies this very moment cannot be copied by a second. */
async function retrying<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt >= 50 || !(error instanceof Error) || !/being accessed by other users/.test(error.message)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50 + Math.random() * 100));
    }
  }
}
