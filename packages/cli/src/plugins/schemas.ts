/** What the database knows of plugins that are not in the build. */
import fs from 'node:fs';
import path from 'node:path';
import { openPool } from '@kith/core/database';
import type { Env } from '@kith/core/env';
import { CommandError } from '../command.ts';
import { lockHolder } from '../lock.ts';
import { withDatabase } from '../world.ts';

const SILENT = { json: true, result: () => undefined, note: () => undefined };

/** Refuses an id whose schema somebody has left in the database. Without a database there is none. */
export async function refuseKnownSchema(id: string, env: Env): Promise<void> {
  const begun =
    env.databaseUrl !== undefined || lockHolder(env.dataDir)?.what === 'start' || fs.existsSync(path.join(env.dataDir, 'postgres'));
  if (!begun) return;
  await withDatabase(env, SILENT, async (url) => {
    const pool = openPool(url, 1, 'kith plugin');
    try {
      const { rowCount } = await pool.query('select from pg_namespace where nspname = $1', [id]);
      if (rowCount) {
        throw new CommandError(
          'schema_exists',
          `The database has a schema “${id}”: a plugin of that name was here and left its data. Add that plugin again (kith plugin add ${id}), give its data up for good (kith plugin purge ${id}), or choose another id.`,
        );
      }
    } finally {
      await pool.end();
    }
  });
}
