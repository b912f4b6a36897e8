/** Everything that a Kith holds, in one file, as of one moment, while people work. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import type { AnyPlugin } from '@kith/sdk';
import type pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { checkServer, openPool } from '../database.ts';
import { MIGRATION_LOCK } from '../schema/migrate.ts';
import { BackupError, END, entry, FORMAT, MANIFEST, PART, TRAILER, type End, type Manifest } from './archive.ts';
import { copyOut, readCatalog, readSequences } from './catalog.ts';

export interface BackupOptions {
  databaseUrl: string;
  /** Where the folder `files` is, if there is one. */
  dataDir: string;
  plugins: readonly AnyPlugin[];
  /** Where to write; must not exist. It appears when it is whole. */
  file: string;
  /** The version of Kith. */
  version: string;
}

export interface BackupResult {
  file: string;
  bytes: number;
  rows: number;
  tables: number;
  documents: number;
  files: number;
}

/** @throws BackupError */
export async function backup(options: BackupOptions): Promise<BackupResult> {
  const { file } = options;
  if (fs.existsSync(file)) throw new BackupError('backup_exists', `${file} exists already. Choose another name, or remove it first.`);
  const draft = `${file}.partial`;
  let output: fs.WriteStream;
  try {
    // Personal data: for its owner alone.
    output = fs.createWriteStream(draft, { fd: fs.openSync(draft, 'w', 0o600) });
  } catch (error) {
    throw new BackupError('backup_unwritable', `${file} cannot be written (${error instanceof Error ? error.message : String(error)}).`);
  }
  const pool = openPool(options.databaseUrl, 1, 'kith backup');
  try {
    await checkServer(pool);
    const client = await pool.connect();
    try {
      const done = { rows: 0, tables: 0, documents: 0, files: 0 };
      await client.query(
        `set statement_timeout = 0; set lock_timeout = 0; set idle_in_transaction_session_timeout = 0; set extra_float_digits = 3; set search_path = ''`,
      );
      // Nobody changes the tables meanwhile; whoever migrates waits.
      await client.query('select pg_advisory_lock_shared($1)', [MIGRATION_LOCK]);
      await client.query('begin isolation level repeatable read read only');
      const level = { params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 } };
      await pipeline(
        Readable.from(contents(client, options, done), { objectMode: true, highWaterMark: 1 }),
        createZstdCompress(level),
        output,
      );
      await client.query('commit');
      fs.renameSync(draft, file);
      return { file, bytes: fs.statSync(file).size, ...done };
    } finally {
      // The lock goes with the connection.
      client.release(true);
    }
  } catch (error) {
    fs.rmSync(draft, { force: true });
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOSPC')
      throw new BackupError('disk_full', `The disk is full: ${file} could not be written. Free some space, or write elsewhere.`);
    if (code === '42P01' || code === '3F000') throw new BackupError('no_kith', 'This database holds no Kith; there is nothing to back up.');
    throw error;
  } finally {
    await pool.end();
  }
}

/** The bytes of the archive, one entry after another. */
async function* contents(
  client: pg.PoolClient,
  { plugins, dataDir, version }: BackupOptions,
  done: Omit<BackupResult, 'file' | 'bytes'>,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  const hashed = (name: string, body: Uint8Array): Buffer => {
    const bytes = entry(name, body);
    hash.update(bytes);
    return bytes;
  };
  // The first statement that reads a table takes the picture that all others see.
  const catalog = await readCatalog(
    client,
    plugins.map(({ id }) => id),
  );
  const { rows: server } = await client.query<{ server_version: string }>('show server_version');
  const manifest: Manifest = {
    format: FORMAT,
    kith: version,
    createdAt: new Date().toISOString(),
    postgres: server[0]!.server_version,
    plugins: plugins.map(({ id, version: its }) => ({ id, version: its })),
    ...catalog,
  };
  yield hashed(MANIFEST, Buffer.from(JSON.stringify(manifest, null, 1)));

  const rows: End['rows'] = {};
  for (const table of catalog.tables) {
    const statement = copyOut(table);
    if (statement === undefined) continue;
    const name = `${table.schema}.${table.name}`;
    const source = client.query(copyTo(statement));
    let part = 0;
    for await (const body of inParts(source)) yield hashed(`data/${name}/${String(++part).padStart(6, '0')}`, body);
    rows[name] = source.rowCount;
    done.rows += source.rowCount;
    done.tables++;
  }
  done.documents = rows['kith.doc_head'] ?? 0;

  for (const name of filesIn(path.join(dataDir, 'files'))) {
    let part = 0;
    for await (const body of inParts(fs.createReadStream(path.join(dataDir, 'files', name)))) yield hashed(`files/${name}/${++part}`, body);
    if (part === 0) yield hashed(`files/${name}/1`, Buffer.alloc(0));
    done.files++;
  }
  const sequences = await readSequences(client, catalog.schemas);
  yield entry(END, Buffer.from(JSON.stringify({ sha256: hash.digest('hex'), rows, sequences, files: done.files } satisfies End, null, 1)));
  yield TRAILER;
}

/** What a stream brings, in pieces of about {@link PART} bytes. */
async function* inParts(source: AsyncIterable<unknown>): AsyncGenerator<Buffer> {
  let held: Buffer[] = [];
  let size = 0;
  for await (const chunk of source as AsyncIterable<Buffer>) {
    held.push(chunk);
    size += chunk.byteLength;
    if (size < PART) continue;
    yield Buffer.concat(held);
    held = [];
    size = 0;
  }
  if (size > 0) yield Buffer.concat(held);
}

/** Files below a folder, by their relative names with slashes. */
function filesIn(folder: string): string[] {
  if (!fs.existsSync(folder)) return [];
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => path.relative(folder, path.join(one.parentPath, one.name)).split(path.sep).join('/'))
    .sort();
}
