import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase, databaseUrl, dropDatabase, startEmbedded, type EmbeddedPostgres } from './embedded.ts';

let dataDir: string;
let running: EmbeddedPostgres | undefined;

beforeAll(() => {
  dataDir = fs.mkdtempSync(path.join(os.tmpdir(), 'kith-pg-'));
});
afterEach(async () => {
  await running?.stop();
  running = undefined;
});
afterAll(() => fs.rmSync(dataDir, { recursive: true, force: true }));

const start = async (): Promise<EmbeddedPostgres> => (running = await startEmbedded({ dataDir }));

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** A process of its own that starts Postgres, says its number and then waits to be killed. */
async function starter(): Promise<{ pid: number; kill: () => Promise<void> }> {
  const module = path.join(import.meta.dirname, 'embedded.ts');
  const script = `import { startEmbedded } from ${JSON.stringify(module)};
    const { pid } = await startEmbedded({ dataDir: ${JSON.stringify(dataDir)} });
    console.log(pid); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const pid = await new Promise<number>((resolve) => child.stdout.once('data', (data: Buffer) => resolve(Number(String(data)))));
  return {
    pid,
    kill: () =>
      new Promise((resolve) => {
        child.once('exit', () => resolve());
        child.kill('SIGKILL');
      }),
  };
}

describe('the embedded Postgres', () => {
  test('makes a durable UTF-8 cluster that only its owner can reach', async () => {
    const { url } = await start();
    const [row] = await query(
      url,
      `select current_setting('server_encoding') encoding, current_setting('fsync') fsync,
              current_setting('synchronous_commit') commit, current_setting('listen_addresses') addresses,
              (select datlocale from pg_database where datname = 'kith') locale,
              array(select * from unnest(array['b','ä','Z','a']) n order by n) sorted`,
    );
    expect(row).toEqual({
      encoding: 'UTF8',
      fsync: 'on',
      commit: 'on',
      addresses: '',
      locale: 'und',
      sorted: ['a', 'ä', 'b', 'Z'],
    });
    expect(fs.statSync(path.join(dataDir, 'postgres/password')).mode & 0o777).toBe(0o600);
    expect(fs.statSync(path.join(dataDir, 'postgres/socket')).mode & 0o777).toBe(0o700);
    const wrong = new URL(url);
    wrong.password = 'guess';
    await expect(query(wrong.href, 'select 1')).rejects.toThrow(/password authentication failed/);
  });

  test('stops cleanly and keeps the data', async () => {
    const first = await start();
    await query(first.url, 'create table if not exists kept (n int)');
    await query(first.url, 'insert into kept values (1)');
    await first.stop();
    expect(alive(first.pid)).toBe(false);
    const again = await start();
    expect(again.url).toBe(first.url);
    expect(await query(again.url, 'select n from kept')).toEqual([{ n: 1 }]);
  });

  test('survives kill -9 of who started it, and is adopted', async () => {
    const { pid, kill } = await starter();
    await kill();
    expect(alive(pid)).toBe(true);
    const adopted = await start();
    expect(adopted.pid).toBe(pid);
    await query(adopted.url, 'select 1');
    await adopted.stop();
    await adopted.exited;
    expect(fs.existsSync(path.join(dataDir, 'postgres/cluster/postmaster.pid'))).toBe(false);
    await expect(query(adopted.url, 'select 1')).rejects.toThrow();
  });

  test('recovers from kill -9 while somebody writes, with every commit', async () => {
    for (let round = 0; round < 3; round += 1) {
      const { url, pid, exited } = await start();
      await query(url, 'create table if not exists committed (n bigint)');
      const client = new pg.Client({ connectionString: url });
      client.on('error', () => {});
      await client.connect();
      const before = (await client.query('select count(*)::int n from committed')).rows[0].n as number;
      let acknowledged = 0;
      const writing = (async () => {
        for (;;) {
          await client.query('insert into committed values (1)');
          acknowledged += 1;
        }
      })().catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 150));
      process.kill(pid, 'SIGKILL');
      await exited;
      // At once: backends of the killed one may still hold its memory.
      const next = await startEmbedded({ dataDir });
      running = next;
      await writing;
      await client.end().catch(() => {});
      const [row] = await query(next.url, 'select count(*)::int n from committed');
      expect(acknowledged).toBeGreaterThan(0);
      expect(row?.n as number).toBeGreaterThanOrEqual(before + acknowledged);
      expect(row?.n as number).toBeLessThanOrEqual(before + acknowledged + 1);
      expect(next.url).toBe(url);
      await next.stop();
    }
  });

  test('does not wait for a stranger who has the old number', async () => {
    const first = await start();
    process.kill(first.pid, 'SIGKILL');
    await first.exited;
    const file = path.join(dataDir, 'postgres/cluster/postmaster.pid');
    const lines = fs.readFileSync(file, 'utf8').split('\n');
    lines[0] = String(process.pid);
    fs.writeFileSync(file, lines.join('\n'));
    const again = await start();
    expect(again.pid).not.toBe(process.pid);
  });

  test('finishes a first start that was cut off', async () => {
    const other = fs.mkdtempSync(path.join(os.tmpdir(), 'kith-pg-cut-'));
    try {
      fs.mkdirSync(path.join(other, 'postgres/cluster.new/base'), { recursive: true });
      const postgres = await startEmbedded({ dataDir: other });
      await query(postgres.url, 'select 1');
      await postgres.stop();
    } finally {
      fs.rmSync(other, { recursive: true, force: true });
    }
  });

  test('listens on a loopback port where the path is too long for a socket', async () => {
    const other = fs.mkdtempSync(path.join(os.tmpdir(), `kith-pg-${'long'.repeat(20)}-`));
    try {
      const postgres = await startEmbedded({ dataDir: other });
      expect(new URL(postgres.url).hostname).toBe('127.0.0.1');
      await query(postgres.url, 'select 1');
      await postgres.stop();
    } finally {
      fs.rmSync(other, { recursive: true, force: true });
    }
  });

  test.each([
    ['17', 'restore it here'],
    ['19', 'newer Kith'],
  ])('refuses data of PostgreSQL %s and leaves it alone', async (version, says) => {
    const other = fs.mkdtempSync(path.join(os.tmpdir(), 'kith-pg-old-'));
    try {
      const cluster = path.join(other, 'postgres/cluster');
      fs.mkdirSync(cluster, { recursive: true });
      fs.writeFileSync(path.join(cluster, 'PG_VERSION'), `${version}\n`);
      await expect(startEmbedded({ dataDir: other })).rejects.toMatchObject({
        code: 'postgres_version',
        message: expect.stringContaining(says) as string,
      });
      expect(fs.readdirSync(cluster)).toEqual(['PG_VERSION']);
    } finally {
      fs.rmSync(other, { recursive: true, force: true });
    }
  });

  test('copies a template and drops a database that is in use', async () => {
    const { url } = await start();
    const template = await createDatabase(url, 'template_of_tests');
    await query(template, 'create table t as select 7 n');
    const copy = await createDatabase(url, 'copy "1"', { template: 'template_of_tests' });
    expect(copy).toBe(databaseUrl(url, 'copy "1"'));
    expect(await query(copy, 'select n from t')).toEqual([{ n: 7 }]);
    const client = new pg.Client({ connectionString: copy });
    client.on('error', () => {});
    await client.connect();
    await dropDatabase(url, 'copy "1"');
    await dropDatabase(url, 'copy "1"');
    await expect(query(copy, 'select 1')).rejects.toThrow(/does not exist/);
    await client.end().catch(() => {});
  });
});
