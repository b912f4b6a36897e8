import { expect, it } from 'vitest';
import { simulate } from '../testing/simulate.ts';
import { crm, server } from '../testing/world.ts';
import { createTestWorld } from '@kith/core/testing';

const LONG = process.env.KITH_LONG === '1';
/** `KITH_SEED=42` replays one schedule and prints its steps. */
const ONLY = process.env.KITH_SEED === undefined ? undefined : Number(process.env.KITH_SEED);
const SCHEDULES = Number(process.env.KITH_SCHEDULES ?? (LONG ? 10_000 : 300));

it(
  'converges under every schedule',
  async () => {
    const world = await createTestWorld({ plugins: [crm], servers: [server] });
    const second = await world.another();
    try {
      const first = ONLY ?? 1;
      for (let seed = first; seed < first + (ONLY === undefined ? SCHEDULES : 1); seed++) {
        const outcome = await simulate(world, second, seed);
        if (ONLY !== undefined) process.stdout.write(`${outcome.steps.join('\n')}\n`);
        expect(outcome.problems, `seed ${seed}: run again with KITH_SEED=${seed}`).toEqual([]);
      }
    } finally {
      await world.close();
    }
  },
  LONG ? 4 * 3_600_000 : 300_000,
);
