/** One embedded Postgres for a whole run of tests, in a folder of its own, gone afterwards. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { startEmbedded } from '../postgres/embedded.ts';

export const POSTGRES_VARIABLE = 'KITH_TEST_POSTGRES';

export default async function setup(): Promise<(() => Promise<void>) | undefined> {
  // Several projects of one run share the server: the first that comes starts it.
  if (process.env[POSTGRES_VARIABLE]) return undefined;
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'kith-test-'));
  const server = await startEmbedded({ dataDir });
  process.env[POSTGRES_VARIABLE] = server.url;
  return async () => {
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
}
