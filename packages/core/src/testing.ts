/** A world for tests: a real database of its own, a runtime, and actors. */
import { createHash, randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { AnyPlugin, AnyServer, ChangeEvent, Context, ModelObject, Principal, Role } from '@kith/sdk';
import { openPool } from './database.ts';
import { isDatabaseError } from './errors.ts';
import type { Env } from './env.ts';
import { newId } from './ids.ts';
import { createLog, type Log } from './log.ts';
import { createDatabase, databaseUrl as urlOf, dropDatabase } from './postgres/embedded.ts';
import type { Actor } from './records/door.ts';
import { EVENT_STREAM } from './rest/http.ts';
import { createRuntime, migrate, type Runtime, type RuntimeOptions } from './runtime.ts';
import { testClock, type TestClock } from './testing/clock.ts';
import { POSTGRES_VARIABLE } from './testing/globalSetup.ts';
import { mailServer, type CaughtMail, type MailServer } from './testing/mails.ts';
import { guestOfRecord, partnerOf, type Outsider } from './testing/outsiders.ts';
import { eventsOf, settled } from './testing/settled.ts';

export { routes, routesOf, type Route } from './rest/routes.ts';
export { MessageIds } from './events/streams.ts';
export { stateOf } from './testing/state.ts';
export type { CaughtMail, Outsider, TestClock };

/** An answer of the API. */
export interface Answer<T> {
  status: number;
  body: T;
  headers: Headers;
}

export interface TestWorld {
  /** The process under test. */
  runtime: Runtime;
  /** Address of the world's own database. */
  databaseUrl: string;
  /** The staff user that `as` asked for. */
  me: Principal;
  /** `me`, as the doors of the runtime take it. */
  actor: Actor;
  /**
   * Runs `work` in a transaction with the context that the plugin's handlers get, as {@link TestWorld.me} or somebody else:
   * `await world.run(warranty, (ctx) => ctx.records.create('warranty.claim', { … }))`.
   */
  run: <P extends AnyPlugin, T>(plugin: P, work: (ctx: Context<P>) => Promise<T>, as?: Principal) => Promise<T>;
  /** A request to the API as {@link TestWorld.me}, or as somebody else. The path begins below `/api/v1`. */
  api: <T = Record<string, unknown>>(method: string, path: string, body?: unknown, as?: Principal | Outsider) => Promise<Answer<T>>;
  /** Somebody of a partner company, signed in to the portal of this audience. */
  partner: (audience: string, company: string, name?: string) => Promise<Outsider>;
  /** Whoever has been given a link to one record. */
  guest: (audience: string, object: string, record: string) => Promise<Outsider>;
  /** The time that handlers see. */
  clock: TestClock;
  /**
   * Until all that follows has been done: events told, consumers and workflows, jobs that are due, typed text come to rest.
   * Throws the error of a job that was given up. Work in the background runs where the world has the role `worker`.
   */
  settled: () => Promise<void>;
  /** What was told so far, in order, of one object or of all; waits until it is {@link TestWorld.settled}. */
  events: (object?: string) => Promise<ChangeEvent[]>;
  /** The mails that were sent so far. They went through a mail server of this world; waits until it is {@link TestWorld.settled}. */
  mails: () => Promise<readonly CaughtMail[]>;
  /** Another member of the staff. */
  person: (name: string, role?: Role) => Promise<Principal>;
  /** An API key; its secret goes into a bearer header. */
  key: (role?: Role) => Promise<string>;
  /** An object of the model by its full name. */
  object: (name: string) => ModelObject;
  /** A request to the API, as somebody with this key. */
  request: (
    method: string,
    path: string,
    options?: { key?: string; body?: unknown; headers?: Record<string, string> },
  ) => Promise<{ status: number; body: never; headers: Headers }>;
  /** A second runtime on the same database: another node. */
  another: (options?: Partial<RuntimeOptions>) => Promise<Runtime>;
  /** Ends everything and drops the database. */
  close: () => Promise<void>;
}

export interface TestOptions {
  /**
   * The servers under test, each of which brings its plugin. What they need comes along by itself, and then the world is whole:
   * a worker runs and mail is caught. A plugin may be given alone, without its handlers.
   */
  plugins: readonly (AnyPlugin | AnyServer)[];
  /** The handlers of `plugins` said apart: then nothing else comes along. */
  servers?: readonly AnyServer[];
  /** Role of {@link TestWorld.me}; administrator unless told. */
  as?: Role;
  /** What this process does; web and worker where the world is whole, else web. */
  roles?: RuntimeOptions['roles'];
  /** A time at which the clock stands, or a clock; the machine's unless told. */
  clock?: Date | string | (() => Date);
  /** Where the log goes; errors to standard error unless told. */
  log?: Log;
  /** How impatient background work is. */
  background?: RuntimeOptions['background'];
  /** A mail server of the test's own. */
  smtpUrl?: string;
  /** Hosts and networks near by that plugins may call: `['127.0.0.1']` for a server of the test's own. */
  fetchAllow?: readonly string[];
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
  metricsPort: undefined,
  drainSeconds: 0,
  fetchAllow: [],
  publicHost: false,
});

const templates = new Map<string, Promise<void>>();

/** A fresh world. Databases are copies of a template that is migrated once per set of plugins. */
export async function createTestWorld(options: TestOptions): Promise<TestWorld> {
  const server = process.env[POSTGRES_VARIABLE];
  if (!server) throw new Error(`no test server: run this through vitest, whose global setup sets ${POSTGRES_VARIABLE}`);
  const whole = options.servers === undefined && options.plugins.some(isServer);
  const { plugins, servers } = whole
    ? await complete(options.plugins)
    : { plugins: options.plugins.map(pluginOf), servers: options.servers ?? [] };
  // A database's name has at most 63 bytes, so that the plugins' own do not fit.
  const template = `kith_template_${createHash('sha256')
    .update(
      // A server brings migrations.
      JSON.stringify([plugins.map((one) => one.id).sort(), servers.map((one) => one.plugin.id).sort()]),
    )
    .digest('hex')
    .slice(0, 16)}`;
  const made = templates.get(template) ?? makeTemplate(server, template, plugins, servers);
  templates.set(template, made);
  await made;
  const name = `kith_test_${process.pid}_${randomBytes(4).toString('hex')}`;
  const databaseUrl = await retrying(() => createDatabase(server, name, { template }));
  const caught: MailServer | undefined = whole && options.smtpUrl === undefined ? await mailServer() : undefined;
  const clock = testClock(options.clock);
  const env: Env = {
    ...testEnv(databaseUrl),
    redisUrl: options.redisUrl,
    smtpUrl: options.smtpUrl ?? caught?.url,
    fetchAllow: options.fetchAllow ?? [],
  };
  const log = options.log ?? createLog('error');
  const base = {
    plugins,
    servers,
    env,
    databaseUrl,
    log,
    clock,
    ...(options.background ? { background: options.background } : whole ? { background: { retryMs: 20, lostMs: 300 } } : {}),
  };
  if (whole) await switchOn(databaseUrl, plugins);
  const runtime = await createRuntime({ roles: options.roles ?? (whole ? ['web', 'worker'] : ['web']), ...base });
  const others: Runtime[] = [];
  const person = async (who: string, role: Role = 'member'): Promise<Principal> => {
    const id = await runtime.sessions.createUser({ email: `${who.toLowerCase().replaceAll(' ', '.')}@test.example`, name: who, role });
    return { id, kind: 'staff', name: who, roles: [role] };
  };
  const me = await person('Me', options.as ?? 'admin');
  const cookies = new Map<string, string>();
  const headersOf = async (who: Principal | Outsider): Promise<Record<string, string>> => {
    if ('headers' in who) return who.headers;
    const cookie = cookies.get(who.id) ?? (await runtime.sessions.open(who.id)).split(';', 1)[0]!;
    cookies.set(who.id, cookie);
    return { cookie, origin: runtime.origin() };
  };
  const world: TestWorld = {
    runtime,
    databaseUrl,
    me,
    actor: { principal: me, cause: { kind: 'api', id: null } },
    run: (plugin, work, who = me) =>
      runtime.records.within(plugin.id, { principal: who, cause: { kind: 'api', id: null } }, (ctx) =>
        // The context is the same for all plugins but for the names that its type knows.
        work(ctx as unknown as Parameters<typeof work>[0]),
      ),
    api: async (method, at, body, who = me) => {
      const answer = await world.request(method, at, { headers: await headersOf(who), ...(body === undefined ? {} : { body }) });
      return { ...answer, body: answer.body };
    },
    partner: (audience, company, name) => partnerOf(runtime, audience, company, name),
    guest: (audience, object, record) => guestOfRecord(runtime, audience, object, record),
    clock,
    settled: () => settled(runtime, clock),
    events: async (object) => {
      await settled(runtime, clock);
      return eventsOf(runtime, object);
    },
    mails: async () => {
      if (!caught) throw new Error('Mail is not caught here: give servers under “plugins”, and no “smtpUrl”.');
      await settled(runtime, clock);
      return caught.mails;
    },
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
      await caught?.close();
      await dropDatabase(server, name);
    },
  };
  return world;
}

const isServer = (one: AnyPlugin | AnyServer): one is AnyServer => 'plugin' in one;
const pluginOf = (one: AnyPlugin | AnyServer): AnyPlugin => (isServer(one) ? one.plugin : one);

/** The plugins under test with everything that they need, and the handlers of all of it. */
async function complete(given: readonly (AnyPlugin | AnyServer)[]): Promise<{ plugins: AnyPlugin[]; servers: AnyServer[] }> {
  const plugins = new Map(given.map((one) => [pluginOf(one).id, pluginOf(one)]));
  const servers = new Map(given.filter(isServer).map((one) => [one.plugin.id, one]));
  const pending = [...plugins.values()];
  for (let plugin = pending.pop(); plugin; plugin = pending.pop()) {
    for (const { plugin: needed } of plugin.needs ?? []) {
      if (plugins.has(needed.id)) continue;
      plugins.set(needed.id, needed);
      pending.push(needed);
      const server = await installedServer(needed.id);
      if (server) servers.set(needed.id, server);
    }
  }
  return { plugins: [...plugins.values()], servers: [...servers.values()] };
}

/** What is under test is on, whatever it is at first. */
async function switchOn(databaseUrl: string, plugins: readonly AnyPlugin[]): Promise<void> {
  const off = plugins.filter(({ startsDisabled }) => startsDisabled);
  if (off.length === 0) return;
  const pool = openPool(databaseUrl, 1, 'kith tests');
  for (const { id, version } of off)
    await pool.query('insert into kith.plugin (id, version, enabled) values ($1, $2, true)', [id, version]);
  await pool.end();
}

/**
 * The handlers of a plugin of this installation, found by its name as the guest list has it. By name and only here, in
 * tests: core knows no plugin.
 */
async function installedServer(id: string): Promise<AnyServer | undefined> {
  const { resolve } = createRequire(path.join(import.meta.dirname, '../../installed/package.json'));
  let file: string;
  try {
    file = resolve(`@kith/plugin-${id}/server`);
  } catch {
    return undefined;
  }
  const { server } = (await import(/* @vite-ignore */ pathToFileURL(file).href)) as { server: AnyServer };
  return server;
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
  const pool = openPool(server, 1, 'kith tests');
  await pool.query(`alter database "${template}_building" rename to "${template}"`);
  // The name stays taken, so that nobody builds a second one.
  await pool.query(`create database "${template}_building"`);
  await pool.end();
}

async function untilExists(server: string, template: string): Promise<void> {
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
