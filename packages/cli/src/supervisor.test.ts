import { spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import pg from 'pg';

let folder: string;
let started: Run[];

interface Run {
  process: ChildProcess;
  output: () => string;
  exited: Promise<number | NodeJS.Signals>;
}

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kith-sup-'));
  started = [];
});
afterEach(async () => {
  for (const run of started) run.process.kill('SIGTERM');
  await Promise.all(started.map((run) => run.exited));
  fs.rmSync(folder, { recursive: true, force: true });
});

function run(env: Record<string, string> = {}): Run {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'testing/supervise.ts')], {
    env: { PATH: process.env['PATH'] ?? '', KITH_DATA: folder, KITH_DEMO: 'none', TEST_JOURNAL: path.join(folder, 'journal'), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (output += data.toString()));
  const one: Run = {
    process: child,
    output: () => output,
    exited: new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code ?? 1))),
  };
  started.push(one);
  return one;
}

async function until(what: () => boolean | Promise<boolean>, message: () => string): Promise<void> {
  for (let tries = 0; tries < 400; tries += 1) {
    if (await what()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(message());
}

const ready = (one: Run): Promise<void> => until(() => /^ready /m.test(one.output()), one.output);
const journal = (): string[] => {
  const file = path.join(folder, 'journal');
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim().split('\n') : [];
};
const ups = (): number[] =>
  journal()
    .filter((line) => line.startsWith('up '))
    .map((line) => Number(line.slice(3)));
const postmaster = (): number => Number(fs.readFileSync(path.join(folder, 'postgres/cluster/postmaster.pid'), 'utf8').split('\n')[0]);

async function answers(one: Run): Promise<boolean> {
  const url = /^prepared (.*)$/m.exec(one.output())?.[1];
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

test('says ready once, starts the dead again, and drains on a signal', async () => {
  const one = run();
  await ready(one);
  expect(ups()).toHaveLength(2);
  process.kill(ups()[0] as number, 'SIGKILL');
  await until(() => ups().length === 3, one.output);
  const postgres = postmaster();
  process.kill(postgres, 'SIGKILL');
  await until(async () => postmaster() !== postgres && (await answers(one)), one.output);
  expect(one.output().match(/^ready /gm)).toHaveLength(1);
  one.process.kill('SIGINT');
  expect(await one.exited).toBe(0);
  expect(journal().filter((line) => line.startsWith('drained'))).toHaveLength(2);
  expect(fs.existsSync(path.join(folder, 'postgres/cluster/postmaster.pid'))).toBe(false);
});

test('after kill -9 its children leave, and the next start adopts the database', async () => {
  const one = run();
  await ready(one);
  const postgres = postmaster();
  one.process.kill('SIGKILL');
  await one.exited;
  await until(
    () => journal().filter((line) => line.startsWith('orphaned')).length === 2,
    () => journal().join('\n'),
  );
  expect(postmaster()).toBe(postgres);
  const next = run();
  await ready(next);
  expect(next.output()).toContain('took it over');
  expect(postmaster()).toBe(postgres);
});

test('a configuration error of a child ends everything with its one line', async () => {
  const one = run({ TEST_FATE: 'config' });
  expect(await one.exited).toBe(1);
  expect(one.output()).toContain('This role is configured wrongly.');
  expect(one.output()).not.toContain('starting it again');
  expect(one.output()).not.toMatch(/^ready/m);
});

test('a child that never gets ready ends everything and says so', async () => {
  const one = run({ TEST_FATE: 'stillborn' });
  expect(await one.exited).toBe(1);
  expect(one.output()).toMatch(/^error The (web|worker) process ended 5 times before it was ready \(exit code 3\)/m);
});
