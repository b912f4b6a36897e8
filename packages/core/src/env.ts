/**
 * The environment, read and validated in one place. Everything else takes the
 * typed result; a wrong value stops the start with one line that names it.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { isIP } from 'node:net';
import path from 'node:path';
import { BootError } from './errors.ts';

export type Demo = 'northwind' | 'none';
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';
export type Role = 'web' | 'worker';

export interface Env {
  /** Port of the web role. 0 lets the system choose a free one. */
  readonly port: number;
  /** Address that the web role listens on. */
  readonly host: string;
  /** Public origin, such as `https://crm.example.com`, when one is set. */
  readonly origin: string | undefined;
  /** PostgreSQL to use; undefined means the embedded one in the data folder. */
  readonly databaseUrl: string | undefined;
  /** Redis for the queues; undefined means PostgreSQL carries them. */
  readonly redisUrl: string | undefined;
  /** Absolute path of the folder that holds the database, files and secrets. */
  readonly dataDir: string;
  /** Secret from which keys for signing and encryption are derived. */
  readonly secret: string;
  /** First administrator, made at the first start when both are given. */
  readonly admin: { readonly email: string; readonly password: string } | undefined;
  /** Which demo the first start loads. */
  readonly demo: Demo;
  readonly smtpUrl: string | undefined;
  readonly logLevel: LogLevel;
  /** Where a process without the web role serves /healthz and /readyz. */
  readonly healthPort: number | undefined;
  /** Where this process serves /metrics for Prometheus. */
  readonly metricsPort: number | undefined;
  /** Seconds for which a web that is to stop says so at /readyz before it takes nothing more. */
  readonly drainSeconds: number;
  /** Hosts and networks of the house's own that plugins may call nevertheless. */
  readonly fetchAllow: readonly string[];
  /** Whether `host` or `origin` can be reached from another machine. */
  readonly publicHost: boolean;
}

/** A value that stops the start. Its message is one line for the person who set it. */
export class EnvError extends BootError {
  override name = 'EnvError';
  readonly code = 'config_invalid';
  readonly variable: string;
  constructor(variable: string, message: string) {
    super(message);
    this.variable = variable;
  }
}

type Variables = Readonly<Record<string, string | undefined>>;

/**
 * Reads the environment. Creates the data folder and, when the database is
 * embedded on a loopback host, the secret in it (mode 0600).
 *
 * @throws EnvError naming the variable
 */
export function readEnv(variables: Variables = process.env): Env {
  const get = (name: string): string | undefined => variables[name]?.trim() || undefined;

  const port = portOf('PORT', get('PORT')) ?? 5173;
  const host = hostOf(get('HOST') ?? '127.0.0.1');
  const origin = originOf(get('ORIGIN'));
  const databaseUrl = urlOf('DATABASE_URL', get('DATABASE_URL'), ['postgres:', 'postgresql:'], 'postgres://user:password@host:5432/kith');
  const redisUrl = urlOf('REDIS_URL', get('REDIS_URL'), ['redis:', 'rediss:'], 'redis://host:6379');
  const smtpUrl = urlOf('SMTP_URL', get('SMTP_URL'), ['smtp:', 'smtps:'], 'smtps://user:password@mail.example.com');
  const logLevel = oneOf('LOG_LEVEL', get('LOG_LEVEL'), ['debug', 'info', 'warn', 'error', 'silent'] as const) ?? 'info';
  const healthPort = portOf('KITH_HEALTH_PORT', get('KITH_HEALTH_PORT'));
  const metricsPort = portOf('KITH_METRICS_PORT', get('KITH_METRICS_PORT'));
  const drainSeconds = secondsOf('KITH_DRAIN_SECONDS', get('KITH_DRAIN_SECONDS')) ?? 0;
  const fetchAllow = allowOf(get('KITH_FETCH_ALLOW'));
  const publicHost = !isLoopback(host) || (origin !== undefined && !isLoopback(new URL(origin).hostname));
  const embedded = databaseUrl === undefined;
  const demo = oneOf('KITH_DEMO', get('KITH_DEMO'), ['northwind', 'none'] as const) ?? (embedded && !publicHost ? 'northwind' : 'none');
  if (demo === 'northwind' && publicHost) {
    throw new EnvError(
      'KITH_DEMO',
      `KITH_DEMO=northwind would put logins with a known password on a public host (${origin ?? host}). Set KITH_DEMO=none, or HOST=127.0.0.1 without a public ORIGIN to try the demo.`,
    );
  }
  const admin = adminOf(get('KITH_ADMIN_EMAIL'), variables['KITH_ADMIN_PASSWORD'] || undefined);

  // Only now, when nothing else can be wrong, is anything written.
  const givenSecret = secretOf(get('KITH_SECRET'), { embedded, publicHost });
  const dataDir = dataDirOf(get('KITH_DATA') ?? '.kith');
  return {
    port,
    host,
    origin,
    databaseUrl,
    redisUrl,
    dataDir,
    secret: givenSecret ?? ownSecret(dataDir),
    admin,
    demo,
    smtpUrl,
    logLevel,
    healthPort,
    metricsPort,
    drainSeconds,
    fetchAllow,
    publicHost,
  };
}

/**
 * The origins from which a browser may write: ORIGIN, or without it localhost
 * and 127.0.0.1 at the port.
 */
export function allowedOrigins(env: Pick<Env, 'origin' | 'port'>, port: number = env.port): string[] {
  if (env.origin !== undefined) return [env.origin];
  return [`http://localhost:${port}`, `http://127.0.0.1:${port}`].map((origin) => new URL(origin).origin);
}

/** Whether a host name or address is this machine and no other can reach it. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[|\]$/g, '');
  return name === 'localhost' || name.endsWith('.localhost') || name === '::1' || /^127(\.\d{1,3}){3}$/.test(name);
}

function portOf(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const port = Number(value);
  if (!/^\d+$/.test(value) || port > 65_535) {
    throw new EnvError(name, `${name} is “${value}”, but a port is a whole number from 0 to 65535.`);
  }
  return port;
}

function secondsOf(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d{1,3}$/.test(value)) throw new EnvError(name, `${name} is “${value}”, but it must be a whole number of seconds, such as 5.`);
  return Number(value);
}

function allowOf(value: string | undefined): string[] {
  const entries = (value ?? '')
    .split(',')
    .map((one) => one.trim())
    .filter(Boolean);
  const wrong = entries.find((one) => !isAllowEntry(one));
  if (wrong !== undefined)
    throw new EnvError(
      'KITH_FETCH_ALLOW',
      `KITH_FETCH_ALLOW has “${wrong}”, but each entry must be a host, an address or a network, such as erp.internal, 10.0.0.7 or 10.1.0.0/16.`,
    );
  return entries;
}

/** Whether a text is one: a host's name, an address, or a network as `10.1.0.0/16`. */
function isAllowEntry(text: string): boolean {
  const [address = '', bits, more] = text.split('/');
  const family = isIP(address);
  if (bits !== undefined) return more === undefined && family !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128);
  return family !== 0 || /^(?!-)[a-z0-9-]+(\.[a-z0-9-]+)*$/i.test(text);
}

function hostOf(value: string): string {
  const host = value.replace(/^\[|\]$/g, '');
  if (!/^[A-Za-z0-9.:_-]+$/.test(host)) {
    throw new EnvError('HOST', `HOST is “${value}”, but it must be a host name or an address such as 127.0.0.1 or 0.0.0.0.`);
  }
  return host;
}

function originOf(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (!url || !['http:', 'https:'].includes(url.protocol)) {
    throw new EnvError('ORIGIN', `ORIGIN is “${value}”, but it must be an address such as https://crm.example.com.`);
  }
  if (url.pathname !== '/' || url.search || url.hash || url.username || url.password) {
    throw new EnvError('ORIGIN', `ORIGIN is “${value}”, but it must end after the host and port: ${url.origin}.`);
  }
  return url.origin;
}

function urlOf(name: string, value: string | undefined, protocols: readonly string[], example: string): string | undefined {
  if (value === undefined) return undefined;
  // The value is not repeated: it may hold a password.
  if (!URL.canParse(value) || !protocols.includes(new URL(value).protocol)) {
    throw new EnvError(name, `${name} is not an address like ${example}.`);
  }
  return value;
}

function oneOf<T extends string>(name: string, value: string | undefined, allowed: readonly T[]): T | undefined {
  if (value === undefined) return undefined;
  const found = allowed.find((one) => one === value.toLowerCase());
  if (found === undefined) {
    throw new EnvError(name, `${name} is “${value}”, but it must be one of: ${allowed.join(', ')}.`);
  }
  return found;
}

function adminOf(email: string | undefined, password: string | undefined): Env['admin'] {
  if (email === undefined && password === undefined) return undefined;
  if (email === undefined) {
    throw new EnvError('KITH_ADMIN_EMAIL', 'KITH_ADMIN_PASSWORD is set without KITH_ADMIN_EMAIL: set both, or neither.');
  }
  if (!/^[^\s@]+@[^\s@]+$/.test(email)) {
    throw new EnvError('KITH_ADMIN_EMAIL', `KITH_ADMIN_EMAIL is “${email}”, but it must be an email address.`);
  }
  if (password === undefined) {
    throw new EnvError('KITH_ADMIN_PASSWORD', 'KITH_ADMIN_EMAIL is set without KITH_ADMIN_PASSWORD: set both, or neither.');
  }
  if (password.length < 8) {
    throw new EnvError('KITH_ADMIN_PASSWORD', 'KITH_ADMIN_PASSWORD is too short: use at least 8 characters.');
  }
  return { email, password };
}

const SHORTEST_SECRET = 32;

function secretOf(value: string | undefined, { embedded, publicHost }: { embedded: boolean; publicHost: boolean }): string | undefined {
  if (value !== undefined) {
    if (value.length < SHORTEST_SECRET) {
      throw new EnvError(
        'KITH_SECRET',
        `KITH_SECRET is too short: use at least ${SHORTEST_SECRET} random characters, for instance from “openssl rand -base64 32”.`,
      );
    }
    return value;
  }
  if (embedded && !publicHost) return undefined;
  throw new EnvError(
    'KITH_SECRET',
    `KITH_SECRET is required ${embedded ? 'on a public host' : 'with DATABASE_URL'}, the same for every process: set it to at least ${SHORTEST_SECRET} random characters, for instance from “openssl rand -base64 32”.`,
  );
}

function dataDirOf(value: string): string {
  // Scripts run in the folder of npm's package; a relative path means the person's own.
  const dataDir = path.resolve(value);
  try {
    fs.mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    // Root passes every check of rights, but not a read-only disk; only a write tells.
    const probe = path.join(dataDir, `.write-${process.pid}`);
    fs.writeFileSync(probe, '');
    fs.unlinkSync(probe);
  } catch (error) {
    throw new EnvError(
      'KITH_DATA',
      `KITH_DATA (${dataDir}) cannot be written: ${reasonOf(error)}. Make it a folder that this user may write to, or choose another.`,
    );
  }
  return dataDir;
}

/** The secret of an embedded installation: made once, readable by its owner alone. */
function ownSecret(dataDir: string): string {
  const file = path.join(dataDir, 'secret');
  try {
    const draft = `${file}.${process.pid}`;
    if (!fs.existsSync(file)) {
      // Written aside and linked, so that two starts agree on one and a crash leaves none half-written.
      fs.writeFileSync(draft, randomBytes(32).toString('base64url'), { mode: 0o600 });
      try {
        fs.linkSync(draft, file);
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error;
      } finally {
        fs.unlinkSync(draft);
      }
    }
    const secret = fs.readFileSync(file, 'utf8').trim();
    if (secret.length >= SHORTEST_SECRET) return secret;
  } catch (error) {
    throw new EnvError(
      'KITH_SECRET',
      `The generated secret in ${file} cannot be read: ${reasonOf(error)}. Mend its rights, or set KITH_SECRET.`,
    );
  }
  throw new EnvError('KITH_SECRET', `The secret in ${file} is damaged. Restore it from a backup, or set KITH_SECRET.`);
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

function reasonOf(error: unknown): string {
  const reasons: Record<string, string> = {
    EACCES: 'permission denied',
    EPERM: 'permission denied',
    EROFS: 'the disk is read-only',
    ENOSPC: 'the disk is full',
    ENOTDIR: 'a part of the path is a file',
    EEXIST: 'it is a file',
  };
  return reasons[codeOf(error) ?? ''] ?? (error instanceof Error ? error.message : String(error));
}
