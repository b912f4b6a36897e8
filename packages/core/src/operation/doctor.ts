/** Looks at everything that an installation stands on, one line each, and says what to do. Changes nothing. */
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import type { AnyPlugin, AnyServer, Model } from '@kith/sdk';
import { createTransport } from 'nodemailer';
import type pg from 'pg';
import { openPool } from '../database.ts';
import type { Env } from '../env.ts';
import { askRedis } from '../jobs/queues.ts';
import { unreadableSecrets } from '../plugins/settings.ts';
import { serviceStates } from '../jobs/services.ts';
import { orphans } from '../plugins/stored.ts';
import { pendingMigrations } from '../schema/migrate.ts';
import { background } from './background.ts';

/** `warning`: it works, and somebody should look. `broken`: something does not work. */
export type Verdict = 'ok' | 'warning' | 'broken';
export interface Check {
  name: string;
  verdict: Verdict;
  /** What was found. */
  says: string;
  /** What to do, unless all is well. */
  todo?: string;
}

const ok = (name: string, says: string): Check => ({ name, verdict: 'ok', says });
const warning = (name: string, says: string, todo: string): Check => ({ name, verdict: 'warning', says, todo });
const broken = (name: string, says: string, todo: string): Check => ({ name, verdict: 'broken', says, todo });

const PATIENCE_MS = 3_000;
const GB = 1024 ** 3;
const reasonOf = (error: unknown): string => (error instanceof Error ? error.message || error.name : String(error));

/** This machine and what it reaches, without the database. */
export async function checkMachine(env: Env): Promise<Check[]> {
  return [
    checkNode(process.versions.node),
    checkFolder(env.dataDir),
    ...checkDisk(env.dataDir),
    ...checkSecret(env),
    await checkPort(env),
    await checkRedis(env.redisUrl),
    await checkMail(env.smtpUrl),
  ];
}

function checkNode(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < 22 || (major === 22 && minor < 18))
    return broken('node', `Node ${version} is too old.`, 'Install Node 24, the version with long support.');
  return ok('node', `Node ${version}`);
}

function checkFolder(dataDir: string): Check {
  const { mode, uid } = fs.statSync(dataDir);
  const mine = process.getuid?.();
  if (mine !== undefined && mine !== 0 && uid !== mine)
    return warning('folder', `${dataDir} belongs to another user (${uid}).`, `Run Kith as that user, or “chown -R ${mine} ${dataDir}”.`);
  if (process.platform !== 'win32' && (mode & 0o077) !== 0)
    return warning('folder', `${dataDir} can be looked into by others (mode ${(mode & 0o777).toString(8)}).`, `“chmod 700 ${dataDir}”.`);
  return ok('folder', `${dataDir} can be written`);
}

function checkDisk(dataDir: string): Check[] {
  const { bavail, bsize, blocks } = fs.statfsSync(dataDir);
  const free = bavail * bsize;
  const says = `${(free / GB).toFixed(1)} GB free of ${((blocks * bsize) / GB).toFixed(1)} GB`;
  const todo = `Free space where ${dataDir} is, or move it to a larger disk.`;
  if (free < GB / 2) return [broken('disk', says, todo)];
  if (free < 5 * GB) return [warning('disk', says, todo)];
  return [ok('disk', says)];
}

function checkSecret({ dataDir, databaseUrl }: Env): Check[] {
  const file = path.join(dataDir, 'secret');
  if (!fs.existsSync(file)) return databaseUrl === undefined ? [] : [ok('secret', 'KITH_SECRET is set')];
  const mode = fs.statSync(file).mode & 0o777;
  if (process.platform !== 'win32' && (mode & 0o077) !== 0)
    return [
      warning(
        'secret',
        `${file} can be read by others (mode ${mode.toString(8)}).`,
        `“chmod 600 ${file}”, and change the secret if others were on this machine.`,
      ),
    ];
  return [ok('secret', `${file} is its owner’s alone`)];
}

async function checkPort({ port, host }: Env): Promise<Check> {
  if (port === 0) return ok('port', 'chosen by the system');
  const at = `${host}:${port}`;
  const known = await new Promise<'kith' | 'other' | 'none'>((resolve) => {
    const near = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
    const request = http.get({ host: near, port, path: '/healthz', timeout: PATIENCE_MS }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString().slice(0, 100)));
      response.on('end', () => resolve(body === 'ok\n' ? 'kith' : 'other'));
    });
    request.on('timeout', () => request.destroy());
    request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED' ? 'none' : 'other'));
  });
  if (known === 'kith') return ok('port', `Kith answers at ${at}`);
  if (known === 'other') return broken('port', `Something else answers at ${at}.`, 'Stop it, or choose another port with PORT.');
  const failure = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    const server = net.createServer();
    server.once('error', resolve);
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
  if (failure)
    return broken(
      'port',
      `${at} cannot be opened (${failure.code ?? failure.message}).`,
      'Choose another with PORT, or an address of this machine with HOST.',
    );
  return ok('port', `${at} is free; Kith does not run there`);
}

async function checkRedis(url: string | undefined): Promise<Check> {
  if (url === undefined) return ok('redis', 'not used: queues are in Postgres');
  try {
    const { version, policy } = await askRedis(url, PATIENCE_MS);
    if (policy !== 'noeviction')
      return warning('redis', `Redis ${version} may drop jobs when it is full (${policy}).`, 'Set maxmemory-policy to noeviction.');
    return ok('redis', `Redis ${version}`);
  } catch (error) {
    return broken(
      'redis',
      `Redis does not answer (${reasonOf(error)}).`,
      'Check REDIS_URL and that Redis runs. Until then work waits in Postgres; nothing is lost.',
    );
  }
}

async function checkMail(url: string | undefined): Promise<Check> {
  if (url === undefined) return warning('mail', 'no mail goes out: it stays in the local outbox.', 'Set SMTP_URL to send it.');
  const parsed = new URL(url);
  parsed.searchParams.delete('from');
  const transport = createTransport({
    url: parsed.href,
    connectionTimeout: PATIENCE_MS,
    greetingTimeout: PATIENCE_MS,
    socketTimeout: PATIENCE_MS,
  });
  try {
    // Signs in and says goodbye.
    await transport.verify();
    return ok('mail', `${parsed.host} takes mail`);
  } catch (error) {
    return broken(
      'mail',
      `${parsed.host} does not take mail (${reasonOf(error).split('\n')[0]}).`,
      'Check SMTP_URL: address, port, user and password.',
    );
  } finally {
    transport.close();
  }
}

export interface DatabaseToCheck {
  url: string;
  model: Model;
  servers: readonly AnyServer[];
  publicHost: boolean;
  /** KITH_SECRET, under which secrets of plugins are stored. */
  secret: string;
}

/** The database and what stands in it. */
export async function checkDatabase({ url, model, servers, publicHost, secret }: DatabaseToCheck): Promise<Check[]> {
  const pool = openPool(url, 2, 'kith doctor');
  const checks: Check[] = [];
  try {
    let version: number;
    try {
      const asked = Date.now();
      const { rows } = await pool.query<{ version: string; now: number }>(
        `select current_setting('server_version_num') as version, extract(epoch from clock_timestamp())::float8 * 1000 as now`,
      );
      version = Number(rows[0]!.version);
      const says = `Postgres ${Math.floor(version / 10_000)}.${version % 10_000}`;
      if (version < 180_000) return [broken('postgres', `${says} is too old.`, 'Upgrade to PostgreSQL 18 or newer.')];
      checks.push(ok('postgres', says), clockCheck(rows[0]!.now, asked, Date.now()));
    } catch (error) {
      return [broken('postgres', `The database does not answer (${reasonOf(error)}).`, 'Check DATABASE_URL and that Postgres runs.')];
    }
    checks.push(await checkRights(pool, model));
    const { rows: schema } = await pool.query(`select from pg_namespace where nspname = 'kith'`);
    if (schema.length === 0) {
      checks.push(
        broken(
          'migrations',
          'The database holds no Kith yet.',
          'Run “npm run kith -- migrate”; the embedded one is filled by “npm start”.',
        ),
      );
      return checks;
    }
    const { rowCount: unfinished } = await pool.query(`select from kith.setting where name = 'restoring'`).catch(() => ({ rowCount: 0 }));
    if (unfinished)
      checks.push(broken('restore', 'A restore into this database was broken off.', 'Empty the database and restore the backup again.'));
    const pending = await pendingMigrations(pool, model, servers);
    if (pending.length > 0) {
      checks.push(
        broken(
          'migrations',
          `The database is behind by ${pending.length}: ${pending.slice(0, 3).join(', ')}${pending.length > 3 ? ', …' : ''}.`,
          'Run “npm run kith -- migrate”.',
        ),
      );
      return checks;
    }
    checks.push(ok('migrations', 'The database is up to date'));
    checks.push(
      ...(await checkContents(pool, model, publicHost)),
      await checkSecrets(pool, secret),
      ...(await checkServices(pool, servers)),
    );
  } catch (error) {
    checks.push(broken('database', `It could not be looked at (${reasonOf(error)}).`, 'See the log of Postgres.'));
  } finally {
    await pool.end();
  }
  return checks;
}

function clockCheck(database: number, asked: number, answered: number): Check {
  // The database read its clock somewhere between the two.
  const skew = database < asked ? asked - database : database > answered ? database - answered : 0;
  const says = `${(skew / 1_000).toFixed(1)} s between this machine’s clock and the database’s`;
  if (skew > 60_000) return broken('clock', says, 'Set both by NTP: schedules, sessions and leases go by them.');
  if (skew > 2_000) return warning('clock', says, 'Set both by NTP.');
  return ok('clock', skew < 100 ? 'the clocks agree' : says);
}

/** Services of plugins that are on, where any plugin has one. */
async function checkServices(pool: pg.Pool, servers: readonly AnyServer[]): Promise<Check[]> {
  const { rows } = await pool.query<{ id: string; enabled: boolean }>('select id, enabled from kith.plugin');
  const said = new Map(rows.map(({ id, enabled }) => [id, enabled]));
  const isOn = (plugin: AnyPlugin): boolean =>
    (said.get(plugin.id) ?? plugin.startsDisabled !== true) && (plugin.needs ?? []).every((need) => isOn(need.plugin));
  const names = servers.flatMap(({ plugin, services }) =>
    isOn(plugin) ? Object.keys(services ?? {}).map((name) => `${plugin.id}.${name}`) : [],
  );
  if (names.length === 0) return [];
  const states = [...(await serviceStates(pool, names)).values()];
  const idle = states.filter(({ state }) => state === 'none').map(({ name }) => name);
  const ill = states.filter(({ state }) => state === 'pausing');
  if (idle.length > 0)
    return [
      warning(
        'services',
        `Nobody runs ${idle.join(', ')}.`,
        'Start a worker: “kith start --roles worker”. If one runs, its log says why it does not.',
      ),
    ];
  if (ill.length > 0)
    return [
      warning(
        'services',
        ill.map(({ name, error }) => `${name} failed (${error ?? 'it says no more'}) and is tried again`).join('; ') + '.',
        'Look at its settings under Settings → Plugins, and at the log of the worker.',
      ),
    ];
  return [ok('services', states.map(({ name, owner }) => `${name} runs in ${owner ?? 'a process'}`).join('; '))];
}

async function checkSecrets(pool: pg.Pool, secret: string): Promise<Check> {
  const lost = await unreadableSecrets(pool, secret);
  if (lost.length === 0) return ok('secrets', 'those of plugins can be read');
  return broken(
    'secrets',
    `${lost.slice(0, 5).join(', ')}${lost.length > 5 ? ', …' : ''} cannot be read: stored under another KITH_SECRET.`,
    'Start Kith with the secret of that time, or enter them anew under Settings → Plugins.',
  );
}

const EXTENSIONS = ['pg_trgm', 'unaccent', 'btree_gin'];

async function checkRights(pool: pg.Pool, model: Model): Promise<Check> {
  const { rows } = await pool.query<{ extensions: string[]; available: string[]; create: boolean; roles: boolean }>(
    `select array(select extname::text from pg_extension where extname = any($1)) as extensions,
       array(select name::text from pg_available_extensions where name = any($1)) as available,
       has_database_privilege(current_database(), 'create') as create,
       (select rolsuper or rolcreaterole from pg_roles where rolname = current_user) as roles`,
    [EXTENSIONS],
  );
  const { extensions, available, create, roles } = rows[0]!;
  const missing = EXTENSIONS.filter((name) => !extensions.includes(name));
  const absent = missing.filter((name) => !available.includes(name));
  if (absent.length > 0)
    return broken('rights', `Postgres lacks the extension ${absent.join(', ')}.`, 'Install the package with Postgres’ contrib modules.');
  if (missing.length > 0 && !create)
    return broken(
      'rights',
      `This login may not create the extensions ${missing.join(', ')}.`,
      'Let an administrator create them, or grant it CREATE on the database.',
    );
  if (!create)
    return broken('rights', 'This login may not create schemas.', 'Grant it CREATE on the database, or let it own the database.');
  if (model.audiences.size > 0 && !roles)
    return broken(
      'rights',
      'This login may not create the portals’ logins.',
      'Run “alter role <it> createrole” as an administrator of Postgres.',
    );
  return ok('rights', 'extensions, schemas and logins can be made');
}

async function checkContents(pool: pg.Pool, model: Model, publicHost: boolean): Promise<Check[]> {
  const checks: Check[] = [];
  const { rows: invalid } = await pool.query<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
     where not i.indisvalid and n.nspname = any($1) and not exists (select from pg_stat_progress_create_index p where p.index_relid = i.indexrelid) limit 5`,
    [['kith', ...model.plugins.keys()]],
  );
  checks.push(
    invalid.length === 0
      ? ok('indexes', 'all valid')
      : warning(
          'indexes',
          `Invalid, from a build that was broken off: ${invalid.map(({ name }) => name).join(', ')}.`,
          'Run “npm run kith -- migrate”: it builds them anew.',
        ),
  );

  const state = await background(pool);
  // Whichever process leads holds this connection: with none, nothing runs, and what waits is no fault.
  const { rowCount: running } = await pool.query(
    `select from pg_stat_activity where datname = current_database() and application_name = 'kith outbox' limit 1`,
  );
  checks.push(
    running
      ? ok('running', 'Kith runs on this database')
      : warning('running', 'No Kith runs on this database.', 'Start one: “kith start”.'),
  );
  const late = running ? broken : warning;
  const slow = Object.entries(state.lanes).filter(([, { lag }]) => lag > 60);
  checks.push(
    slow.length === 0
      ? ok('jobs', 'none waits beyond its time')
      : late(
          'jobs',
          slow
            .map(([lane, { due, lag }]) => `${due} jobs of lane ${lane} wait, the oldest for ${Math.round(lag)} s past its time`)
            .join('; ') + '.',
          'Start a worker (“kith start --roles worker”), or more of them; its log says what holds it up.',
        ),
    state.parked === 0
      ? ok('parked', 'no job was set aside')
      : warning(
          'parked',
          `${state.parked} jobs kept failing and were set aside.`,
          'Look at them under Settings → Background work; do them again or drop them.',
        ),
    state.outbox.age <= 60
      ? ok('outbox', `${state.outbox.rows} changes on their way`)
      : late(
          'outbox',
          `${state.outbox.rows} changes wait, the oldest for ${Math.round(state.outbox.age)} s.`,
          'Start a web or a worker: whichever leads moves them on. If one runs, its log says why it does not.',
        ),
    state.behind <= 100_000
      ? ok('events', state.behind === 0 ? 'everything has been followed' : `the slowest follower is ${state.behind} events behind`)
      : warning(
          'events',
          `The slowest follower is ${state.behind} events behind.`,
          'Start a worker, or more of them; parked jobs may say what holds it up.',
        ),
    state.unsettled === 0
      ? ok('settling', 'what was typed has come to rest')
      : warning(
          'settling',
          `${state.unsettled} values should have come to rest and have not.`,
          'Start a worker: automation waits for them.',
        ),
    state.lagging < 1_000
      ? ok('documents', `${state.lagging} large texts are being written to their columns`)
      : warning(
          'documents',
          `${state.lagging} large texts are not in their columns yet.`,
          'Restart a web process: it catches them up before it is ready.',
        ),
  );

  const left = await orphans(pool, model.plugins.keys());
  checks.push(
    left.length === 0
      ? ok('plugins', `${model.plugins.size} plugins, none orphaned`)
      : warning(
          'plugins',
          `Data of plugins that are not in this build: ${left.join(', ')}.`,
          'Add them again, or “kith plugin purge” what nobody needs.',
        ),
  );
  const { rowCount: demo } = await pool.query(
    `select from kith."user" where email ~* '@(northwind|partners)[.]example$' and active limit 1`,
  );
  if (demo)
    checks.push(
      publicHost
        ? broken('demo', 'The demo’s logins have a known password, and this host is public.', 'Use another database or data folder.')
        : ok('demo', 'the demo is loaded; this host is not public'),
    );
  return checks;
}
