/** `kith start` as a person runs it, with the role that needs no build. */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const main = path.join(import.meta.dirname, 'main.ts');
let folder: string;
let healthPort: number;

beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kith-start-'));
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  healthPort = (server.address() as net.AddressInfo).port;
  await new Promise((resolve) => server.close(resolve));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

const env = (): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  KITH_DATA: path.join(folder, 'data'),
  KITH_DEMO: 'none',
  KITH_ADMIN_EMAIL: 'first@example.com',
  KITH_ADMIN_PASSWORD: 'long enough',
  PORT: '0',
  KITH_HEALTH_PORT: String(healthPort),
});

async function startWorker(): Promise<{ output: () => string; stop: () => Promise<number | null> }> {
  const child = spawn(process.execPath, [main, 'start', '--roles', 'worker'], { env: env(), stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  await new Promise<void>((resolve, reject) => {
    const read = (data: Buffer): void => {
      output += data.toString();
      if (/^ready /m.test(output)) resolve();
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    void exited.then(() => reject(new Error(output)));
  });
  return {
    output: () => output,
    stop: () => {
      child.kill('SIGINT');
      return exited;
    },
  };
}

const kith = (...args: string[]) => spawnSync(process.execPath, [main, ...args], { env: env(), encoding: 'utf8' });

test('starts, answers for its health, shares its database with commands, and keeps the data', async () => {
  const first = await startWorker();
  expect(first.output().match(/^ready/gm)).toHaveLength(1);
  const answer = await fetch(`http://127.0.0.1:${healthPort}/readyz`);
  expect(answer.status).toBe(200);

  // The administrator of the environment was made.
  const again = kith('user', 'create', '--email', 'first@example.com', '--role', 'admin');
  expect(again.stderr).toContain('first@example.com');
  expect(again.status).toBe(1);

  const key = kith('key', 'create', '--name', 'script', '--role', 'reader', '--json');
  expect(JSON.parse(key.stdout)).toMatchObject({ name: 'script', role: 'reader', key: expect.stringMatching(/^\S{20,}$/) as string });
  expect(key.status).toBe(0);

  // Backed up and looked at while it runs.
  const file = path.join(folder, 'all.backup');
  expect(JSON.parse(kith('backup', file, '--json').stdout)).toMatchObject({ file, tables: expect.any(Number) as number });
  const looked = kith('doctor', '--json');
  expect(looked.status, looked.stdout).toBe(0);
  const checks = (JSON.parse(looked.stdout) as { checks: { name: string; verdict: string }[] }).checks;
  expect(checks.find(({ name }) => name === 'running')).toMatchObject({ verdict: 'ok' });

  const second = kith('start', '--roles', 'worker');
  expect(second.stderr).toMatch(/^Kith is already running on .*\n$/);
  expect(second.status).toBe(1);
  expect(await first.stop()).toBe(0);

  const began = performance.now();
  const next = await startWorker();
  expect(performance.now() - began).toBeLessThan(10_000);
  expect(kith('user', 'create', '--email', 'first@example.com', '--role', 'admin').status).toBe(1);
  expect(await next.stop()).toBe(0);
  expect(kith('migrate').stdout).toBe('The database is up to date.\n');

  const restored = path.join(folder, 'restored');
  expect(kith('restore', file, '--data', restored).stdout).toMatch(/^Restored as of /);
});
