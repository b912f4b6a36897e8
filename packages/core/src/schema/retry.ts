/** Changing the database while it is in use. */
import type pg from 'pg';
import { BootError, isDatabaseError } from '../errors.ts';

const LOCK_RETRIES = 50;

/** DDL waits 200 ms for its lock and tries again: whoever queues behind it would otherwise wait as long. */
export async function retrying(client: pg.PoolClient, what: string, work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await work();
      return;
    } catch (error) {
      await client.query('rollback').catch(() => undefined);
      if (isDatabaseError(error, '55P03') && attempt < LOCK_RETRIES) {
        await new Promise((resolve) => setTimeout(resolve, 100 + Math.random() * 200));
        continue;
      }
      const reason = (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ');
      throw new BootError(
        `Migration ${what} failed and was taken back: ${reason}. Processes of the version before go on. Mend the plugin or the data that it names, or go back to the version before; then start again.`,
      );
    }
  }
}
