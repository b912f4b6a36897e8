/** Files that plugins keep: rows like everything else, so that they are there when their transaction is, on every node and in backups. */
import { isUuid, type Files, type KeptFile } from '@kith/sdk';
import type { Queryable } from './database.ts';
import { KithError } from './errors.ts';
import { newId } from './ids.ts';

/** Largest file, in bytes. */
const LIMIT = 25_000_000;
/** What a row of a file holds, in bytes. */
const PART = 256 * 1024;

interface Keeper {
  plugin: string;
  /** Id of whoever it is kept for. */
  by: string;
  clock: () => Date;
}

/** The files of a plugin, on a transaction. */
export function filesOn(client: Queryable, { plugin, by, clock }: Keeper): Files {
  return {
    keep: async ({ name, type = 'application/octet-stream', data }) => {
      if (data.byteLength > LIMIT)
        throw new KithError(413, 'too_large', `The file is larger than ${LIMIT / 1_000_000} MB, which is as much as can be kept.`);
      const file: KeptFile = {
        id: newId(),
        name: plainName(name),
        type: MEDIA_TYPE.test(type) ? type : 'application/octet-stream',
        size: data.byteLength,
        createdAt: clock().toISOString(),
      };
      await client.query({
        text: 'insert into kith.file (id, plugin, name, type, size, created_at, created_by) values ($1, $2, $3, $4, $5, $6, $7)',
        values: [file.id, plugin, file.name, file.type, file.size, file.createdAt, by],
      });
      for (let part = 0; part * PART < data.byteLength; part++) {
        await client.query({
          text: 'insert into kith.file_part (file, part, data) values ($1, $2, $3)',
          values: [file.id, part, Buffer.from(data.buffer, data.byteOffset + part * PART, Math.min(PART, data.byteLength - part * PART))],
        });
      }
      return file;
    },
    read: (id) => readFile(client, plugin, id),
    remove: async (id) => {
      if (!isUuid(id)) return;
      await client.query({
        text: `with gone as (delete from kith.file where id = $1 and plugin = $2 returning id)
          delete from kith.file_part where file in (select id from gone)`,
        values: [id, plugin],
      });
    },
  };
}

const MEDIA_TYPE = /^[\w.+-]{1,60}\/[\w.+-]{1,80}(; ?charset=[\w-]{1,20})?$/;

/** A name that is safe to show and to save under: no path, nothing that does not print, not too long. */
function plainName(name: string): string {
  const last = name.split(/[\\/]/).at(-1) ?? '';
  // eslint-disable-next-line no-control-regex
  const plain = last.replace(/[\u0000-\u001f\u007f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '').trim();
  return plain.slice(0, 200) || 'file';
}

async function readFile(client: Queryable, plugin: string, id: string): Promise<(KeptFile & { data: Uint8Array }) | null> {
  if (!isUuid(id)) return null;
  const { rows } = await client.query<{ id: string; name: string; type: string; size: number; created_at: string; data: Buffer }>({
    text: `select id, name, type, size, created_at,
        (select coalesce(string_agg(data, ''::bytea order by part), ''::bytea) from kith.file_part where file = f.id) as data
      from kith.file f where id = $1 and plugin = $2`,
    values: [id, plugin],
  });
  const row = rows[0];
  return row ? { id: row.id, name: row.name, type: row.type, size: row.size, createdAt: row.created_at, data: row.data } : null;
}

/** A file as an answer. It is saved, never shown: what somebody else has put into it must not act on this site. */
export function fileResponse({ name, type, data }: KeptFile & { data: Uint8Array }): Response {
  return new Response(Buffer.from(data), {
    headers: {
      'content-type': type,
      'content-disposition': `attachment; filename="${name.replace(/[^\x20-\x7e]|["\\%]/g, '_')}"; filename*=UTF-8''${encodeURIComponent(name).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)}`,
      'cache-control': 'private, no-store',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; sandbox",
    },
  });
}
