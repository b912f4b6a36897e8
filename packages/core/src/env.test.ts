import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EnvError, allowedOrigins, isLoopback, readEnv } from './env.ts';

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kith-env-'));
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

const secret = 's'.repeat(32);
const read = (variables: Record<string, string> = {}) => readEnv({ KITH_DATA: path.join(folder, 'data'), ...variables });

function refusal(variables: Record<string, string>): EnvError {
  try {
    read(variables);
  } catch (error) {
    if (error instanceof EnvError) return error;
    throw error;
  }
  throw new Error('the environment was accepted');
}

test('unset means the embedded default', () => {
  const env = read();
  expect(env).toMatchObject({
    port: 5173,
    host: '127.0.0.1',
    origin: undefined,
    databaseUrl: undefined,
    redisUrl: undefined,
    demo: 'northwind',
    logLevel: 'info',
    publicHost: false,
    admin: undefined,
    healthPort: undefined,
    metricsPort: undefined,
    drainSeconds: 0,
    fetchAllow: [],
  });
  expect(path.isAbsolute(env.dataDir)).toBe(true);
});

test('an empty variable counts as unset', () => {
  expect(read({ PORT: '', ORIGIN: ' ', DATABASE_URL: '' })).toMatchObject({
    port: 5173,
    origin: undefined,
  });
});

test.each([
  ['PORT', { PORT: 'abc' }, 'whole number'],
  ['PORT', { PORT: '70000' }, '65535'],
  ['PORT', { PORT: '-1' }, 'whole number'],
  ['HOST', { HOST: 'http://x' }, 'host name'],
  ['KITH_FETCH_ALLOW', { KITH_FETCH_ALLOW: 'erp.internal, 10.0.0.0/33' }, '“10.0.0.0/33”'],
  ['KITH_FETCH_ALLOW', { KITH_FETCH_ALLOW: 'http://erp.internal' }, 'a host, an address or a network'],
  ['ORIGIN', { ORIGIN: 'crm.example.com' }, 'https://crm.example.com'],
  ['ORIGIN', { ORIGIN: 'https://crm.example.com/app' }, 'must end after the host'],
  ['DATABASE_URL', { DATABASE_URL: 'mysql://x' }, 'postgres://'],
  ['REDIS_URL', { REDIS_URL: 'localhost:6379' }, 'redis://'],
  ['SMTP_URL', { SMTP_URL: 'mail' }, 'smtps://'],
  ['LOG_LEVEL', { LOG_LEVEL: 'loud' }, 'debug, info'],
  ['KITH_DEMO', { KITH_DEMO: 'contoso' }, 'northwind, none'],
  ['KITH_HEALTH_PORT', { KITH_HEALTH_PORT: 'x' }, 'whole number'],
  ['KITH_ADMIN_PASSWORD', { KITH_ADMIN_EMAIL: 'a@b.example' }, 'set both'],
  ['KITH_ADMIN_PASSWORD', { KITH_ADMIN_EMAIL: 'a@b.example', KITH_ADMIN_PASSWORD: 'short' }, '8 characters'],
  ['KITH_ADMIN_EMAIL', { KITH_ADMIN_PASSWORD: 'long enough' }, 'set both'],
  ['KITH_ADMIN_EMAIL', { KITH_ADMIN_EMAIL: 'nobody', KITH_ADMIN_PASSWORD: 'long enough' }, 'email address'],
  ['KITH_SECRET', { KITH_SECRET: 'short' }, 'too short'],
  ['KITH_SECRET', { DATABASE_URL: 'postgres://h/k' }, 'required with DATABASE_URL'],
  ['KITH_SECRET', { HOST: '0.0.0.0' }, 'on a public host'],
  ['KITH_DEMO', { HOST: '0.0.0.0', KITH_SECRET: secret, KITH_DEMO: 'northwind' }, 'known password'],
  ['KITH_DEMO', { ORIGIN: 'https://crm.example.com', KITH_SECRET: secret, KITH_DEMO: 'northwind' }, 'public host'],
])('a wrong %s (%o) is one line that names it', (variable, variables, says) => {
  const error = refusal(variables as Record<string, string>);
  expect(error.variable).toBe(variable);
  expect(error.message).toContain(variable);
  expect(error.message).toContain(says);
  expect(error.message).not.toContain('\n');
  expect(fs.existsSync(path.join(folder, 'data'))).toBe(false);
});

test('a password in an address is not repeated in the message', () => {
  expect(refusal({ DATABASE_URL: 'mysql://me:hunter2@h/db' }).message).not.toContain('hunter2');
});

describe('the demo', () => {
  test('is the default only with the embedded database on a loopback host', () => {
    expect(read({ HOST: '::1' }).demo).toBe('northwind');
    expect(read({ HOST: '0.0.0.0', KITH_SECRET: secret }).demo).toBe('none');
    expect(read({ DATABASE_URL: 'postgres://h/k', KITH_SECRET: secret }).demo).toBe('none');
  });
  test('can be asked for with a database of one’s own', () => {
    expect(read({ DATABASE_URL: 'postgres://h/k', KITH_SECRET: secret, KITH_DEMO: 'northwind' }).demo).toBe('northwind');
  });
});

describe('the secret', () => {
  test('is made once, for its owner alone', () => {
    const first = read().secret;
    expect(first.length).toBeGreaterThanOrEqual(32);
    expect(read().secret).toBe(first);
    expect(fs.statSync(path.join(folder, 'data/secret')).mode & 0o777).toBe(0o600);
    expect(fs.readdirSync(path.join(folder, 'data'))).toEqual(['secret']);
  });
  test('that is given wins and is not written down', () => {
    expect(read({ KITH_SECRET: secret }).secret).toBe(secret);
    expect(fs.existsSync(path.join(folder, 'data/secret'))).toBe(false);
  });
  test('that was cut off is not used', () => {
    read();
    fs.writeFileSync(path.join(folder, 'data/secret'), 'abc');
    expect(refusal({}).message).toContain('damaged');
  });
});

test('a data folder that cannot be written is said by name', () => {
  fs.writeFileSync(path.join(folder, 'file'), '');
  expect(refusal({ KITH_DATA: path.join(folder, 'file', 'data') }).message).toContain('a part of the path is a file');
  expect(refusal({ KITH_DATA: path.join(folder, 'file') }).message).toContain('KITH_DATA');
});

test('without ORIGIN only this machine at the port is accepted', () => {
  expect(allowedOrigins(read({ PORT: '8080' }))).toEqual(['http://localhost:8080', 'http://127.0.0.1:8080']);
  expect(allowedOrigins(read({ ORIGIN: 'https://crm.example.com/', KITH_SECRET: secret }))).toEqual(['https://crm.example.com']);
});

test.each([
  ['localhost', true],
  ['127.0.0.1', true],
  ['127.1.2.3', true],
  ['::1', true],
  ['[::1]', true],
  ['0.0.0.0', false],
  ['127.example.com', false],
  ['192.168.1.4', false],
])('loopback: %s is %s', (host, is) => {
  expect(isLoopback(host)).toBe(is);
});
