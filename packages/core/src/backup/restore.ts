/**
 * Puts a backup back: into an empty database, as it was, and then on to what
 * this version and its plugins declare, by the way that any upgrade goes.
 *
 * Nothing is written before the whole file has been checked. What is written is
 * marked as unfinished until all is done, and no process starts on that; what
 * fails is taken away again.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { AnyPlugin, AnyServer, Model } from '@kith/sdk';
import type pg from 'pg';
import { from as copyFrom, type CopyStreamQuery } from 'pg-copy-streams';
import { checkServer, openPool, quote } from '../database.ts';
import { BootError } from '../errors.ts';
import { renewEverything } from '../records/documents.ts';
import { readFacets } from '../schema/facets.ts';
import { HOST_MIGRATIONS } from '../schema/host.ts';
import { MIGRATION_LOCK, MIGRATION_TABLE } from '../schema/migrate.ts';
import { BackupError, END, FORMAT, MANIFEST, readArchive, type End, type Manifest } from './archive.ts';
import { copyIn, nameOf } from './catalog.ts';

export interface RestoreOptions {
  databaseUrl: string;
  dataDir: string;
  file: string;
  model: Model;
  plugins: readonly AnyPlugin[];
  servers: readonly AnyServer[];
  /** Brings the database to what this build declares. */
  migrate: () => Promise<unknown>;
  note?: (line: string) => void;
}

export interface RestoreResult {
  createdAt: string;
  kith: string;
  rows: number;
  documents: number;
  files: number;
  /** Plugins whose data is there and which are not in this build. */
  orphans: string[];
}

/** Under which name a database says that it is being filled. */
export const RESTORING = 'restoring';

/** @throws BackupError */
export async function restore(options: RestoreOptions): Promise<RestoreResult> {
  const { file, dataDir, model, note = () => undefined } = options;
  note('Checking the file …');
  const { manifest, end } = await check(options);
  const filesDir = path.join(dataDir, 'files');
  if (end.files > 0 && fs.existsSync(filesDir) && fs.readdirSync(filesDir).length > 0)
    throw new BackupError('not_empty', `${filesDir} holds files already. Restore into an empty data folder.`);
  const pool = openPool(options.databaseUrl, 6, 'kith restore');
  const client = await pool.connect().catch((error: unknown) => {
    throw new BootError(`The database does not answer (${error instanceof Error ? error.message : String(error)}); check DATABASE_URL.`);
  });
  let began = false;
  try {
    await checkServer(pool);
    await client.query(
      `set statement_timeout = 0; set lock_timeout = 0; set idle_in_transaction_session_timeout = 0; set maintenance_work_mem = '256MB'`,
    );
    await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    const { rows: there } = await client.query<{ name: string }>(
      `select nspname as name from pg_namespace where nspname = any($1) order by 1 limit 1`,
      [['kith', ...manifest.schemas]],
    );
    if (there[0])
      throw new BackupError(
        'not_empty',
        'This database is not empty: it holds a Kith already. Restore into an empty database, or with --data into a new folder; the old one stays as it is.',
      );
    note('Loading …');
    began = true;
    await client.query('begin');
    await build(client, manifest);
    await load(client, options, manifest, end);
    await finishLoad(client, manifest, end);
    await client.query('commit');
    await client.query('select pg_advisory_unlock($1)', [MIGRATION_LOCK]);
    note('Bringing it up to date …');
    await options.migrate();
    await readFacets(pool, model);
    note('Renewing documents …');
    const documents = await renewEverything(pool, model, generationNow());
    await client.query('delete from kith.setting where name = $1', [RESTORING]);
    await client.query('analyze');
    const here = new Set([...model.plugins.keys()]);
    return {
      createdAt: manifest.createdAt,
      kith: manifest.kith,
      rows: Object.values(end.rows).reduce((sum, rows) => sum + rows, 0),
      documents,
      files: end.files,
      orphans: manifest.schemas.filter((schema) => !here.has(schema)),
    };
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    if (began) {
      for (const schema of ['kith', ...manifest.schemas])
        await client.query(`drop schema if exists ${quote(schema)} cascade`).catch(() => undefined);
      fs.rmSync(filesDir, { recursive: true, force: true });
    }
    if (error instanceof BootError) throw error;
    throw new BackupError(
      'restore_failed',
      `${file} could not be restored: ${error instanceof Error ? error.message : String(error)}. What was written has been taken back.`,
    );
  } finally {
    client.release(true);
    await pool.end();
  }
}

/**
 * A generation above any that a document can have had, here or on the system that was backed up, and above that of
 * an earlier restore of the same file: seconds since 2026.
 */
const generationNow = (): number => Math.max(1_000, Math.floor((Date.now() - Date.UTC(2026, 0)) / 1_000));

/** Reads the file from end to end, and says whether this build can take it. */
async function check({ file, plugins, servers }: RestoreOptions): Promise<{ manifest: Manifest; end: End }> {
  let manifest: Manifest | undefined;
  let end: End | undefined;
  for await (const { name, body } of readArchive(file)) {
    if (name === MANIFEST) {
      manifest = JSON.parse(body.toString()) as Manifest;
      // What a newer Kith wrote may have another form from here on.
      if (manifest.format > FORMAT) throw newer(file, manifest, 'its format is newer than this version reads');
    }
    if (name === END) end = JSON.parse(body.toString()) as End;
  }
  const known = new Map([
    ['kith', new Set(HOST_MIGRATIONS.map(({ name }) => name))],
    ...servers.map((one) => [one.plugin.id, new Set((one.migrations ?? []).map(({ name }) => name))] as const),
  ]);
  for (const key of manifest!.migrations) {
    const [plugin = '', name = ''] = key.split('/');
    if (known.get(plugin)?.has(name) === false)
      throw newer(file, manifest!, `it has been through ${key}, which this version does not know`);
  }
  for (const { id, version } of manifest!.plugins) {
    const mine = plugins.find((one) => one.id === id);
    if (mine && isOlder(mine.version, version))
      throw newer(file, manifest!, `it was made with version ${version} of plugin ${id}, and here is ${mine.version}`);
  }
  return { manifest: manifest!, end: end! };
}

const newer = (file: string, { kith }: Manifest, why: string): BackupError =>
  new BackupError('backup_newer', `${file} comes from a newer Kith (${kith}): ${why}. Install that version and restore with it.`);

function isOlder(mine: string, theirs: string): boolean {
  const [a, b] = [mine, theirs].map((one) => one.split(/[.+-]/).slice(0, 3).map(Number)) as [number[], number[]];
  for (let i = 0; i < 3; i++) if ((a[i] ?? 0) !== (b[i] ?? 0)) return (a[i] ?? 0) < (b[i] ?? 0);
  return false;
}

/** The tables as they were: the host's by its own migrations, as far as they had come, plugins' as the backup tells. */
async function build(client: pg.PoolClient, manifest: Manifest): Promise<void> {
  await client.query('create schema kith');
  await client.query(MIGRATION_TABLE);
  for (const { name, up } of HOST_MIGRATIONS) {
    if (!manifest.migrations.includes(`kith/${name}`)) continue;
    for (const statement of up) await client.query(statement);
  }
  await client.query(`set local check_function_bodies = off; set local search_path = ''`);
  // In whatever order they need each other.
  let waiting = manifest.before;
  while (waiting.length > 0) {
    const left: string[] = [];
    let failure: unknown;
    for (const statement of waiting) {
      await client.query('savepoint step');
      try {
        await client.query(statement);
      } catch (error) {
        failure = error;
        left.push(statement);
        await client.query('rollback to step');
      }
      await client.query('release step');
    }
    if (left.length === waiting.length) throw failure;
    waiting = left;
  }
  for (const table of manifest.tables) {
    if (table.schema !== 'kith') continue;
    for (const [name, statement] of Object.entries(table.partitions)) {
      const { rowCount } = await client.query('select from pg_class where relname = $1 and relnamespace = $2::regnamespace', [
        name,
        'kith',
      ]);
      if (!rowCount) await client.query(statement);
    }
    // Migrations may have put rows there; the backup has its own.
    await client.query(`truncate ${nameOf(table)} cascade`);
  }
}

/** Rows and files, as they stand in the file. */
async function load(client: pg.PoolClient, { file, dataDir }: RestoreOptions, manifest: Manifest, end: End): Promise<void> {
  const tables = new Map(manifest.tables.map((table) => [`${table.schema}.${table.name}`, table]));
  let current: { name: string; stream: CopyStreamQuery; failed: Promise<never> } | undefined;
  const finish = async (): Promise<void> => {
    if (!current) return;
    const { name, stream, failed } = current;
    current = undefined;
    await Promise.race([failed, new Promise<void>((resolve) => stream.end(resolve))]);
    if (stream.rowCount !== end.rows[name]) throw new Error(`${name} has ${stream.rowCount} rows instead of ${end.rows[name]}`);
  };
  for await (const { name: whole, body } of readArchive(file)) {
    const [kind, name = ''] = whole.split('/');
    if (kind === 'data') {
      const table = tables.get(name);
      if (!table) throw new Error(`${name} is not described`);
      if (current?.name !== name) {
        await finish();
        const stream = client.query(copyFrom(copyIn(table)));
        const failed = new Promise<never>((_, reject) => stream.once('error', reject));
        failed.catch(() => undefined);
        current = { name, stream, failed };
      }
      const { stream, failed } = current;
      if (!stream.write(Buffer.from(body))) await Promise.race([failed, new Promise<void>((resolve) => stream.once('drain', resolve))]);
    } else {
      await finish();
      if (kind === 'files') writeFile(path.join(dataDir, 'files'), whole.slice('files/'.length), body);
    }
  }
}

/** A part of a file; its name ends with the part's number. */
function writeFile(folder: string, name: string, body: Buffer): void {
  const target = path.resolve(folder, path.dirname(name));
  if (!target.startsWith(path.resolve(folder) + path.sep)) throw new Error(`${name} leads out of the data folder`);
  fs.mkdirSync(path.dirname(target), { recursive: true, mode: 0o700 });
  fs.appendFileSync(target, body, { mode: 0o600 });
}

async function finishLoad(client: pg.PoolClient, manifest: Manifest, end: End): Promise<void> {
  for (const statement of manifest.after) await client.query(statement);
  for (const { name, value, called } of end.sequences) {
    // A partition of the host or a table of an older version may have taken its sequence along.
    await client.query(`select setval(to_regclass($1), $2, $3) where to_regclass($1) is not null`, [name, value, called]);
  }
  // What was handed to a queue is not in any here; what was being called ends as unknown once a worker looks.
  if (manifest.tables.some(({ schema, name }) => schema === 'kith' && name === 'job')) {
    await client.query(`update kith.job set state = 'waiting', lease = null, key = null, handed = 0 where state = 'queued'`);
    await client.query(`update kith.job set lease = now() where state = 'calling'`);
  }
  await client.query(`insert into kith.setting (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value`, [
    RESTORING,
    JSON.stringify({ since: new Date().toISOString() }),
  ]);
}
