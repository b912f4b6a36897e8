import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { acquireLock, lockHolder, tryLock } from './lock.ts';

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kith-lock-'));
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

test('one holds it, and leaves nothing behind', () => {
  const lock = tryLock(folder, 'start');
  expect(lock).toBeDefined();
  expect(tryLock(folder, 'start')).toBeUndefined();
  expect(lockHolder(folder)).toMatchObject({ pid: process.pid, what: 'start' });
  lock?.release();
  expect(fs.readdirSync(folder)).toEqual([]);
});

test('a start waits for one that is about to end', async () => {
  const lock = tryLock(folder, 'start');
  setTimeout(() => lock?.release(), 300);
  (await acquireLock(folder, 'start')).release();
});

test('a start on the same data says who runs there', async () => {
  const lock = tryLock(folder, 'start');
  await expect(acquireLock(folder, 'start')).rejects.toThrow(`process ${process.pid}`);
  lock?.release();
}, 20_000);

test('a lock of a killed process counts for nothing', async () => {
  const script = `import { tryLock } from ${JSON.stringify(path.join(import.meta.dirname, 'lock.ts'))};
    tryLock(${JSON.stringify(folder)}, 'start'); console.log('held'); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  expect(lockHolder(folder)?.pid).toBe(child.pid);
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  (await acquireLock(folder, 'start')).release();
});

test('a lock whose number now belongs to another process counts for nothing', async () => {
  fs.writeFileSync(path.join(folder, 'lock'), JSON.stringify({ pid: process.pid, identity: 'an earlier life', what: 'start' }));
  (await acquireLock(folder, 'start')).release();
});

test('a damaged lock counts for nothing', async () => {
  fs.writeFileSync(path.join(folder, 'lock'), '{"pid":');
  (await acquireLock(folder, 'start')).release();
});
