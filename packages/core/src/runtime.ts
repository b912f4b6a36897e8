/** One process of Kith: its connections and services, made for the roles that it has. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  buildModel,
  IDENTIFIER,
  ModelError,
  type AnyPlugin,
  type AnyServer,
  type Model,
  type ModelObject,
  type Principal,
} from '@kith/sdk';
import type pg from 'pg';
import { checkServer, openKysely, openPool, type Db } from './database.ts';
import { allowedOrigins, type Env } from './env.ts';
import { BootError, isDatabaseError, KithError } from './errors.ts';
import { backup as backupTo, type BackupResult } from './backup/backup.ts';
import { restore as restoreFrom, RESTORING, type RestoreResult } from './backup/restore.ts';
import { OutsideReader } from './access/outside.ts';
import { Permissions } from './access/permissions.ts';
import { Bus } from './events/bus.ts';
import { Consumers } from './jobs/consumers.ts';
import { Jobs, SYSTEM_ACTOR } from './jobs/jobs.ts';
import { Queues } from './jobs/queues.ts';
import { ServiceRunner } from './jobs/services.ts';
import { EventTail, OutboxRelay } from './events/outbox.ts';
import { Outgoing } from './fetch.ts';
import { newId } from './ids.ts';
import { EventStreams } from './events/streams.ts';
import { LiveLists } from './live/lists.ts';
import { checkChannels } from './plugins/channels.ts';
import { Plugins } from './plugins/plugins.ts';
import { PluginSettings } from './plugins/settings.ts';
import { orphans, purge, purgedFile as purgedFileOf, storedBy, type Stored } from './plugins/stored.ts';
import { createLog, errorData, withIds, type Log } from './log.ts';
import { Mailer } from './mail.ts';
import { Query } from './query/query.ts';
import { Views } from './query/views.ts';
import { Records, type Committed } from './records/door.ts';
import type { FieldNumbers } from './records/documents.ts';
import { history, type HistoryEntry } from './records/history.ts';
import { checkDatabase as check, type Check } from './operation/doctor.ts';
import { isNear, problem, requestId } from './rest/http.ts';
import { Limits } from './rest/limits.ts';
import { dispatch, type Seen } from './rest/routes.ts';
import { readFacets } from './schema/facets.ts';
import { migrate as migrateSchema, pendingMigrations } from './schema/migrate.ts';
import { Guests } from './sessions/guests.ts';
import { Partners } from './sessions/partners.ts';
import { Sessions } from './sessions/sessions.ts';
import { Tickets } from './sessions/tickets.ts';
import { Setup } from './setup.ts';
import { nameSpan, requestAnswered, traced } from './telemetry.ts';

export { demoLoaded, demoLogins, seedDemo, type DemoLogin } from './demo.ts';
export { BootError, KithError } from './errors.ts';
export type { PluginState } from './plugins/plugins.ts';
export type { Stored as StoredData } from './plugins/stored.ts';
export { checkMachine, type Check } from './operation/doctor.ts';
export type { Env } from './env.ts';

export interface RuntimeOptions {
  roles: readonly ('web' | 'worker')[];
  plugins: readonly AnyPlugin[];
  servers: readonly AnyServer[];
  env: Env;
  databaseUrl: string;
  log?: Log;
  clock?: () => Date;
  /** For tests and figures: how impatient background work is. */
  background?: { lockMs?: number; retryMs?: number; lostMs?: number; limitMs?: number };
}

export interface Runtime {
  readonly roles: readonly ('web' | 'worker')[];
  readonly model: Model;
  /** Handlers of the plugins that are on. */
  readonly servers: readonly AnyServer[];
  readonly plugins: Plugins;
  /** What administrators have said to plugins. */
  readonly settings: PluginSettings;
  readonly env: Env;
  readonly databaseUrl: string;
  readonly pool: pg.Pool;
  /** Connections whose plans are kept whatever the values: for the commit statement and documents. */
  readonly writePool: pg.Pool;
  readonly db: Db;
  readonly log: Log;
  readonly clock: () => Date;
  readonly bus: Bus;
  readonly query: Query;
  readonly records: Records;
  readonly numbers: ReadonlyMap<string, FieldNumbers>;
  readonly sessions: Sessions;
  readonly permissions: Permissions;
  readonly partners: Partners;
  readonly guests: Guests;
  readonly mailer: Mailer;
  readonly tickets: Tickets;
  readonly views: Views;
  readonly setup: Setup;
  readonly live: LiveLists;
  /** How often what is open to everybody is asked. */
  readonly limits: Limits;
  readonly streams: EventStreams;
  readonly api: { handle: (request: Request, context: { ip: string }) => Promise<Response> };
  /** Own commits, at once; those of other processes come over the bus. Call what comes back to stop. */
  onCommitted: (listener: (committed: readonly Committed[]) => void) => () => void;
  history: (
    principal: Principal,
    object: ModelObject,
    id: string,
    limit: number,
    cursor?: string,
  ) => Promise<{ data: HistoryEntry[]; nextCursor: string | null }>;
  /** Tells everybody about commits that did not go through the door's own methods: flushes of documents. */
  tell: (committed: readonly Committed[]) => void;
  /** Public address, for links. */
  origin: () => string;
  /** The port that the web listens on, once it is known. */
  setPort: (port: number) => void;
  /** What was typed into a field is at rest: whoever acts on it need not wait for quiet. */
  settled: (record: string, field: string) => void;
  /** Whether this process moves the outbox now. */
  leading: () => boolean;
  ready: () => boolean;
  setReady: (ready: boolean) => void;
  close: () => Promise<void>;
}

const WRITE_POOL = 6;
const READ_POOL = 10;

/** The model of these plugins, or a boot error that names the one at fault. */
export function modelOf(plugins: readonly AnyPlugin[], servers: readonly AnyServer[]): Model {
  let model: Model;
  try {
    model = buildModel(plugins);
  } catch (error) {
    if (error instanceof ModelError) throw new BootError(error.message);
    throw error;
  }
  for (const object of model.objects.values()) {
    for (const [name, action] of object.actions) {
      const server = servers.find((one) => one.plugin.id === action.plugin);
      if (!server?.actions?.[object.key]?.[name]) {
        throw new BootError(
          `Plugin "${action.plugin}": action ${object.name}.${name} is declared and has no handler; add it under actions in defineServer`,
        );
      }
    }
  }
  checkChannels(servers);
  for (const { plugin, importers = {} } of servers)
    for (const [name, { object }] of Object.entries(importers))
      if (!model.objects.has(object))
        throw new BootError(
          `Plugin "${plugin.id}": importer "${name}" makes records of "${object}", which no plugin of this build declares`,
        );
  for (const { plugin, services = {} } of servers)
    for (const name of Object.keys(services))
      if (!IDENTIFIER.test(name)) throw new BootError(`Plugin "${plugin.id}": service "${name}" must be a word in camelCase`);
  for (const { plugin, routes = [] } of servers) {
    for (const { access, method, path, perMinute } of routes) {
      if (perMinute !== undefined && (access !== 'public' || !Number.isInteger(perMinute) || perMinute < 1))
        throw new BootError(
          `Plugin "${plugin.id}": route ${method} ${path} has "perMinute", which is a whole number, and for public routes`,
        );
      if (typeof access !== 'object' || model.permissions.has(`${plugin.id}.${access.permission}`)) continue;
      throw new BootError(
        `Plugin "${plugin.id}": route ${method} ${path} names the permission "${access.permission}"; declare it under permissions`,
      );
    }
  }
  return model;
}

/** Brings a database up to date. Safe from several processes at once. */
export async function migrate(
  options: Pick<RuntimeOptions, 'plugins' | 'servers' | 'databaseUrl'> & { note?: (line: string) => void },
): Promise<{ applied: string[] }> {
  const model = modelOf(options.plugins, options.servers);
  // One connection holds the lock, another does what needs a transaction of its own.
  const pool = openPool(options.databaseUrl, 2, 'kith migrate');
  try {
    await checkServer(pool);
    return { applied: await migrateSchema(pool, model, options.servers, options.note) };
  } finally {
    await pool.end();
  }
}

/** The version of this Kith. */
export const VERSION = (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version;

/** Looks at the database. @see checkMachine */
export async function checkDatabase(
  options: Pick<RuntimeOptions, 'plugins' | 'servers'> & { url: string; publicHost: boolean; secret: string },
): Promise<Check[]> {
  return check({ ...options, model: modelOf(options.plugins, options.servers) });
}

type Place = Pick<RuntimeOptions, 'plugins' | 'servers' | 'databaseUrl'> & { env: Pick<Env, 'dataDir'>; file: string };

/** Writes everything to a file, as of one moment. @throws BackupError */
export async function backup({ plugins, databaseUrl, env, file }: Omit<Place, 'servers'>): Promise<BackupResult> {
  return backupTo({ plugins, databaseUrl, dataDir: env.dataDir, file, version: VERSION });
}

/** Fills an empty database from a file. @throws BackupError */
export async function restore(options: Place & { note?: (line: string) => void }): Promise<RestoreResult> {
  const { plugins, servers, databaseUrl, env, file, note } = options;
  const model = modelOf(plugins, servers);
  return restoreFrom({
    model,
    plugins,
    servers,
    databaseUrl,
    dataDir: env.dataDir,
    file,
    migrate: () => migrate(options),
    ...(note ? { note } : {}),
  });
}

/** How many changes a database lacks of what this build declares. */
export async function changesMissing(options: Pick<RuntimeOptions, 'plugins' | 'servers' | 'databaseUrl'>): Promise<number> {
  const pool = openPool(options.databaseUrl, 1, 'kith migrate');
  try {
    await checkServer(pool);
    return (await pendingMigrations(pool, modelOf(options.plugins, options.servers), options.servers)).length;
  } finally {
    await pool.end();
  }
}

/**
 * Connects and starts the services of a process.
 * @throws BootError with one line when the database is missing, too old or behind
 */
export async function createRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { roles, plugins, servers, env, databaseUrl } = options;
  const log = options.log ?? createLog(env.logLevel, { roles: roles.join(',') });
  const clock = options.clock ?? (() => new Date());
  const model = modelOf(plugins, servers);
  const pool = openPool(databaseUrl, READ_POOL, 'kith');
  const writePool = openPool(withGenericPlans(databaseUrl), WRITE_POOL, 'kith write');
  const closers: (() => Promise<void>)[] = [() => pool.end(), () => writePool.end()];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.reverse().splice(0))
      await close().catch((error: unknown) => log('warn', 'a service did not close', errorData(error)));
  };
  try {
    await checkServer(pool);
    const missing = await pendingMigrations(pool, model, servers);
    if (missing.length > 0) {
      throw new BootError(
        `The database is behind by ${missing.length} change${missing.length === 1 ? '' : 's'} (${missing.slice(0, 3).join(', ')}${missing.length > 3 ? ', …' : ''}); run "npm run kith -- migrate".`,
      );
    }
    const { rowCount: unfinished } = await pool.query('select from kith.setting where name = $1', [RESTORING]);
    if (unfinished)
      throw new BootError(
        'A restore into this database was broken off. Empty the database (or the data folder) and restore the backup again.',
      );
    const db = openKysely(pool);
    const numbers = await readNumbers(pool);
    const bus = new Bus(databaseUrl, pool, log, roles.includes('web'), [...model.installed.plugins.keys()]);
    await readFacets(pool, model);
    const switches = new Plugins({ pool, model, servers, bus, log });
    const outside = new OutsideReader(databaseUrl, pool);
    closers.push(() => outside.close());
    const query = new Query(db, model, outside);
    const views = new Views(pool, model);
    let port = env.port;
    const origins = (): readonly string[] => allowedOrigins(env, port);
    const accessChanged = (principal: string): void => {
      bus.accessChanged(principal);
      bus.emit('access', principal);
    };
    const sessions = new Sessions({
      pool,
      secure: env.origin?.startsWith('https:') ?? false,
      origins,
      accessChanged,
    });
    bus.on('access', () => sessions.forget());
    const permissions = new Permissions(pool, model, () => {
      bus.permissionsChanged();
      bus.emit('access', '*');
    });
    await permissions.load();
    const reload = (): void => {
      // Whoever has something open is looked at when this process knows what is new.
      void permissions
        .load()
        .then(() => bus.emit('access', '*'))
        .catch((error: unknown) => log('warn', 'permissions could not be read', errorData(error)));
    };
    bus.on('permissions', reload);
    bus.on('resync', reload);
    const relay = new OutboxRelay(databaseUrl, bus, log);
    const wakeRelay = (): void => (relay.leading ? relay.wake() : bus.wake());
    const listeners = new Set<(committed: readonly Committed[]) => void>();
    const tell = (committed: readonly Committed[]): void => {
      if (committed.length === 0) return;
      for (const listener of listeners) listener(committed);
      bus.moved(
        committed.flatMap((one) =>
          Object.entries(one.seqs).map(([facet, seq]) => [one.object, one.record, Number(facet), seq] as [string, string, number, number]),
        ),
      );
      for (const one of committed) {
        if (one.kind === 'deleted') bus.recordClosed(one.object, one.record);
        else if (one.renewed) bus.recordClosed(one.object, one.record, one.renewed);
      }
      wakeRelay();
    };
    const settings = new PluginSettings({ pool, plugins: model.installed.plugins, secret: env.secret, clock });
    const records = new Records({
      writePool,
      db,
      model,
      servers,
      query,
      settings,
      channels: () => switches.channels,
      numbers,
      told: tell,
      queued: () => bus.jobsAdded(),
      emitted: wakeRelay,
      noticed: (people) => bus.noticed(people),
      origin: () => env.origin ?? `http://localhost:${port}`,
      log,
      clock,
    });
    const tickets = new Tickets(pool, records);
    const partners = new Partners({ pool, model, records, accessChanged });
    const guests = new Guests({ pool, model, records, accessChanged });
    const mailer = new Mailer(env.smtpUrl, env.origin === undefined ? 'localhost' : new URL(env.origin).hostname, log);
    closers.push(() => Promise.resolve(mailer.close()));
    const setup = new Setup(pool, sessions);
    const live = new LiveLists(query, pool, model);
    await setup.setting('organisation');
    // Only now: whatever keeps columns, documents and rights stands on all plugins.
    await switches.load();
    if (roles.length > 0) {
      await bus.start();
      closers.push(() => bus.close());
      relay.start();
      closers.push(() => relay.close());
    }
    if (roles.includes('web')) {
      const tail = new EventTail(pool, bus, log, live);
      live.begin = () => tail.skip();
      await tail.start();
      closers.push(() => tail.close());
    }
    if (roles.includes('worker')) {
      // Ends after the jobs that use it.
      const outgoing = new Outgoing({ allow: env.fetchAllow });
      closers.push(() => outgoing.close());
      const queues = new Queues({
        redisUrl: env.redisUrl,
        databaseUrl,
        installation: await installation(setup),
        log,
        ...options.background,
      });
      closers.push(() => queues.close());
      const { isOn } = switches;
      const jobs = new Jobs({
        pool,
        records,
        servers,
        isOn,
        queues,
        services: { mail: mailer.service() },
        settings,
        outgoing,
        channels: () => switches.channels,
        log,
        clock,
        ...options.background,
      });
      const begin = async (which: (plugin: string) => boolean): Promise<void> => {
        for (const { plugin, start } of switches.servers.filter((one) => which(one.plugin.id))) {
          // One plugin that cannot begin does not keep the others from working.
          if (start)
            await records
              .within(plugin.id, SYSTEM_ACTOR, start)
              .catch((error: unknown) => log('error', 'a plugin could not begin its work', { plugin: plugin.id, ...errorData(error) }));
        }
      };
      await begin(() => true);
      await jobs.start();
      const consumers = new Consumers({ pool, records, servers, isOn, bus, model, log });
      const services = new ServiceRunner({
        databaseUrl,
        pool,
        records,
        servers,
        isOn,
        settings,
        outgoing,
        log,
        clock,
        ...options.background,
      });
      services.start();
      const stops = [
        bus.hear('jobs', () => jobs.wake()),
        bus.hear('switched', () => services.wake()),
        bus.hear('switched', (changed) => {
          void begin((id) => changed.includes(id)).then(() => jobs.wake());
        }),
      ];
      closers.push(async () => {
        for (const stop of stops) stop();
        await Promise.all([jobs.close(), consumers.close(), services.close()]);
      });
    }
    const streams = new EventStreams({ pool, bus, query, model, log, secret: env.secret });
    closers.push(() => Promise.resolve(streams.close()));
    let isReady = false;
    const runtime: Runtime = {
      roles,
      model,
      get servers() {
        return switches.servers;
      },
      plugins: switches,
      settings,
      env,
      databaseUrl,
      pool,
      writePool,
      db,
      log,
      clock,
      bus,
      query,
      records,
      numbers,
      sessions,
      permissions,
      partners,
      guests,
      mailer,
      tickets,
      views,
      setup,
      live,
      limits: new Limits(),
      streams,
      tell,
      api: { handle: (request, context) => answer(runtime, request, context.ip) },
      onCommitted: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      history: (principal, object, id, limit, cursor) => history({ pool, db, model }, records, principal, object, id, limit, cursor),
      origin: () => env.origin ?? `http://localhost:${port}`,
      setPort: (actual) => {
        port = actual;
      },
      settled: (record, field) => {
        // Only hurries what comes anyway.
        pool
          .query({
            name: 'kith_settled',
            text: 'update kith.unsettled set due = now() where record = $1 and field = $2',
            values: [record, field],
          })
          .catch((error: unknown) => log('debug', 'a field could not be called settled', errorData(error)));
      },
      leading: () => relay.leading,
      ready: () => isReady,
      setReady: (ready) => {
        isReady = ready;
      },
      close: closeAll,
    };
    return runtime;
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** What this installation is called among others that share a Redis. */
async function installation(setup: Setup): Promise<string> {
  const known = await setup.setting<{ id: string }>('installation');
  if (known) return known.id;
  await setup.setOnce('installation', { id: newId() });
  return installation(setup);
}

/** What the commit statement looks like never depends on its values: planning it anew each time would cost more than running it. */
function withGenericPlans(url: string): string {
  const parsed = new URL(url);
  parsed.searchParams.set(
    'options',
    '-c plan_cache_mode=force_generic_plan -c timezone=UTC -c statement_timeout=60000 -c idle_in_transaction_session_timeout=30000',
  );
  return parsed.href;
}

async function readNumbers(pool: pg.Pool): Promise<Map<string, Map<string, number>>> {
  const { rows } = await pool.query<{ object: string; name: string; num: number }>('select object, name, num from kith.field');
  const numbers = new Map<string, Map<string, number>>();
  for (const row of rows) {
    const fields = numbers.get(row.object) ?? new Map<string, number>();
    fields.set(row.name, row.num);
    numbers.set(row.object, fields);
  }
  return numbers;
}

/** A request to the API, answered under an id that the answer and every line of the log bear. */
async function answer(runtime: Runtime, request: Request, ip: string): Promise<Response> {
  const id = requestId(request.headers.get('x-request-id'), ip);
  const began = performance.now();
  const seen: Seen = { route: '(none)' };
  const response = await withIds({ request: id }, () =>
    traced(
      request.method,
      {},
      async () => {
        const answered = await respond(runtime, request, ip, id, seen);
        nameSpan(`${request.method} ${seen.route}`, {
          'http.request.method': request.method,
          'http.route': seen.route,
          'http.response.status_code': answered.status,
        });
        return answered;
      },
      'server',
      isNear(ip) ? request.headers : null,
    ),
  );
  requestAnswered(request.method, seen.route, response.status, (performance.now() - began) / 1_000);
  response.headers.set('x-request-id', id);
  return response;
}

/** Errors become problems; unexpected ones are logged and say no more than that. */
async function respond(runtime: Runtime, request: Request, ip: string, id: string, seen: Seen): Promise<Response> {
  const instance = new URL(request.url).pathname;
  try {
    return await dispatch(runtime, request, ip, seen);
  } catch (error) {
    if (error instanceof KithError) return problem(error, instance);
    // A value that passed every check and that Postgres still cannot read: NUL in a text, a number beyond its type.
    if (isDatabaseError(error, '22')) {
      return problem(
        new KithError(400, 'malformed', 'A value in the request cannot be stored; send well-formed text without NUL.'),
        instance,
      );
    }
    runtime.log('error', 'a request failed', {
      method: request.method,
      route: seen.route,
      ...errorData(error),
    });
    const broken = error instanceof Error && 'code' in error && typeof error.code === 'string' && /^(08|57P|ECONN|53)/.test(error.code);
    return problem(
      broken
        ? new KithError(503, 'database_unavailable', 'The database does not answer just now; try again in a moment.', { retryAfter: 1 })
        : new KithError(500, 'internal', `Something went wrong (${id}); the log of the server says more.`),
      instance,
    );
  }
}

/** Kept beside the module: the development server loads this file twice, once for Node and once for the pages. */
const RUNTIME = Symbol.for('kith.runtime');
const shared = globalThis as { [RUNTIME]?: Runtime };
/** Makes a runtime the one of this process. */
export function setRuntime(runtime: Runtime): void {
  shared[RUNTIME] = runtime;
}
/** The runtime of this process. */
export function getRuntime(): Runtime {
  const runtime = shared[RUNTIME];
  if (!runtime) throw new Error('the runtime of this process has not been set');
  return runtime;
}

/** Makes a person of the staff. Without a password, one is made up and answered. */
export async function createUser(
  runtime: Runtime,
  input: { email: string; role: string; name?: string; password?: string },
): Promise<{ id: string; password: string }> {
  const password = input.password ?? randomBytes(12).toString('base64url');
  const id = await runtime.sessions.createUser({ ...input, password });
  return { id, password };
}

/** Makes an API key and answers it, once. */
export async function createKey(runtime: Runtime, input: { name: string; role: string }): Promise<{ id: string; key: string }> {
  return runtime.sessions.createKey(input);
}

/** Ids of plugins that are not in this build and have left something in the database. */
export const orphanedPlugins = ({ pool, model }: Runtime): Promise<string[]> => orphans(pool, model.installed.plugins.keys());
/** What plugins have in the database, by id. */
export const storedPlugins = ({ pool }: Runtime, ids: readonly string[]): Promise<Map<string, Stored>> => storedBy(pool, ids);
/** Writes what a plugin has left into a file, and deletes it. @throws 409 while it is in use */
export const purgePlugin = (runtime: Runtime, id: string, file: string): Promise<Stored> => purge(runtime, id, file);
/** Where what is purged is kept unless told. */
export const purgedFile = ({ env, clock }: Runtime, id: string): string => purgedFileOf(env.dataDir, id, clock());
