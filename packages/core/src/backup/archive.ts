/**
 * The file of a backup: a tar compressed with zstd, so that anybody can look
 * into it (`tar --zstd -tf`). In this order:
 *
 * - `manifest.json`: what made it, and how the tables are built.
 * - `data/<schema>.<table>/<part>`: rows as `COPY … TO STDOUT` writes them.
 * - `files/<path>`: the data folder's `files`, where there are any; large ones in parts.
 * - `end.json`: counts, sequences, and the SHA-256 of every byte before it.
 *
 * Parts are at most {@link PART} bytes, so that neither side ever holds more.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { createZstdDecompress } from 'node:zlib';
import { BootError } from '../errors.ts';

/** Raised when a file of the new kind cannot be read by the old code. */
export const FORMAT = 1;
/** Most bytes of an entry. */
export const PART = 4 * 1024 * 1024;
export const MANIFEST = 'manifest.json';
export const END = 'end.json';
const BLOCK = 512;

/** A backup that cannot be made or put back; nothing was changed. One line, with a stable code. */
export class BackupError extends BootError {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export interface Column {
  name: string;
  /** What follows the name in `create table`. */
  ddl: string;
  /** Computed by Postgres from others: not in the rows. */
  generated: boolean;
}
export interface Table {
  schema: string;
  name: string;
  columns: Column[];
  /** `with (…)` and `partition by …`. */
  options: string;
  /** The statements that make its partitions, by their names. */
  partitions: Record<string, string>;
}
export interface Manifest {
  format: number;
  kith: string;
  createdAt: string;
  postgres: string;
  plugins: { id: string; version: string }[];
  /** Numbered migrations that the rows have been through, as `plugin/name`, in the order of their application. */
  migrations: string[];
  /** Plugins' schemas. */
  schemas: string[];
  /** Statements before the rows; those that need another first are tried again. */
  before: string[];
  tables: Table[];
  /** Statements after the rows: constraints, indexes, references, views, triggers. */
  after: string[];
}
export interface End {
  sha256: string;
  rows: Record<string, number>;
  sequences: { name: string; value: number; called: boolean }[];
  files: number;
}

/** One entry of the archive, as the bytes of a tar. */
export function entry(name: string, body: Uint8Array): Buffer {
  const header = Buffer.alloc(BLOCK);
  const bytes = Buffer.from(name);
  if (bytes.byteLength > 255) throw new BackupError('backup_name', `“${name}” is too long a name for a backup.`);
  // A name of more than a hundred bytes is divided at a slash.
  const cut = bytes.byteLength <= 100 ? -1 : bytes.indexOf('/', bytes.byteLength - 101);
  if (bytes.byteLength > 100 && (cut < 0 || cut > 155)) throw new BackupError('backup_name', `“${name}” is too long a name for a backup.`);
  bytes.copy(header, 0, cut + 1);
  if (cut > 0) bytes.copy(header, 345, 0, cut);
  header.write('0000600\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(`${body.byteLength.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write('        0', 148);
  header.write('ustar\x0000', 257);
  header.write(`${sumOf(header).toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, body, Buffer.alloc((BLOCK - (body.byteLength % BLOCK)) % BLOCK)]);
}

/** What stands at the end of a tar. */
export const TRAILER = Buffer.alloc(2 * BLOCK);

const sumOf = (header: Buffer): number => header.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 32 : byte), 0);

export interface Entry {
  name: string;
  body: Buffer;
}

/**
 * The entries of a file, one after another, checked to its last byte: whoever
 * has read to the end knows that it is whole.
 * @throws BackupError `backup_unreadable` or `backup_damaged`
 */
export async function* readArchive(file: string): AsyncGenerator<Entry> {
  const hash = createHash('sha256');
  let ended: End | undefined;
  let known = false;
  try {
    for await (const { name, body, raw } of entriesOf(file)) {
      if (ended) throw new Error('more follows its end');
      if (name === END) {
        ended = JSON.parse(body.toString()) as End;
        if (ended.sha256 !== hash.digest('hex')) throw new Error('its checksum is another');
      } else {
        if (!known && name !== MANIFEST) throw new NoBackup();
        known = true;
        for (const part of raw) hash.update(part);
      }
      yield { name, body };
    }
    if (!known) throw new NoBackup();
    if (!ended) throw new Error('it ends too early');
  } catch (error) {
    if (error instanceof BackupError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'ENOENT' || code === 'EACCES' || code === 'EISDIR')
      throw new BackupError('backup_unreadable', `${file} cannot be read (${code === 'ENOENT' ? 'there is no such file' : code}).`);
    if (error instanceof NoBackup || (!known && !isZstd(file)))
      throw new BackupError('backup_unreadable', `${file} is not a backup of Kith. Give the file that “kith backup” wrote.`);
    throw new BackupError(
      'backup_damaged',
      `${file} is damaged (${error instanceof Error ? error.message : String(error)}). Copy it anew from where it is kept, or use another backup; nothing was changed.`,
    );
  }
}

class NoBackup extends Error {}

/** Whether a file begins as one of zstd does: then it may be a backup of which the rest is missing. */
function isZstd(file: string): boolean {
  const start = Buffer.alloc(4);
  const fd = fs.openSync(file, 'r');
  fs.readSync(fd, start);
  fs.closeSync(fd);
  return start.readUInt32LE() === 0xfd2fb528;
}

async function* entriesOf(file: string): AsyncGenerator<Entry & { raw: Buffer[] }> {
  const source = fs.createReadStream(file, { highWaterMark: 1 << 20 });
  const stream = source.pipe(createZstdDecompress({ chunkSize: 1 << 20 }));
  source.once('error', (error) => stream.destroy(error));
  let chunks: Buffer[] = [];
  let held = 0;
  let wanted: { name: string; size: number; header: Buffer } | undefined;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      held += chunk.byteLength;
      for (;;) {
        const need = wanted ? Math.ceil(wanted.size / BLOCK) * BLOCK : BLOCK;
        if (held < need) break;
        const all: Buffer = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
        const bytes = all.subarray(0, need);
        chunks = [all.subarray(need)];
        held -= need;
        if (wanted) {
          yield { name: wanted.name, body: bytes.subarray(0, wanted.size), raw: [wanted.header, bytes] };
          wanted = undefined;
        } else if (!bytes.every((byte) => byte === 0)) wanted = headerOf(bytes);
      }
    }
    if (wanted || held > 0) throw new Error('it ends too early');
  } finally {
    source.destroy();
    stream.destroy();
  }
}

function headerOf(header: Buffer): { name: string; size: number; header: Buffer } {
  const text = (from: number, length: number): string => header.toString('utf8', from, from + length).replace(/\0.*$/s, '');
  const size = parseInt(text(124, 12), 8);
  if (text(257, 5) !== 'ustar' || parseInt(text(148, 8), 8) !== sumOf(header) || !(size >= 0 && size <= 64 * PART)) throw new NoBackup();
  const prefix = text(345, 155);
  return { name: prefix ? `${prefix}/${text(0, 100)}` : text(0, 100), size, header };
}
