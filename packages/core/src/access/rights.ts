/** The state of everybody's rights, counted: who has seen that nothing changed since need not ask again. */
import type { Queryable } from '../database.ts';

/** How often anybody's rights have changed. Read after something else, it is at least as new. */
export async function readEpoch(on: Queryable): Promise<number> {
  const { rows } = await on.query<{ epoch: number }>({ name: 'kith_epoch', text: 'select epoch from kith.rights' });
  return rows[0]!.epoch;
}
