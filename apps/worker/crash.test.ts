import { hasRedis } from '@kith/core/testing/redis';
import { describe, expect, it } from 'vitest';
import { crashTest } from './testing/crash.ts';

const LONG = process.env['KITH_LONG'] === '1';
const SEED = Number(process.env['KITH_SEED'] ?? 5);
const KILLS = Number(process.env['KITH_KILLS'] ?? (LONG ? 1_000 : 30));
const backends = [{ name: 'Postgres', redis: false }, ...(hasRedis() ? [{ name: 'Redis', redis: true }] : [])];

describe.each(backends)('background work on $name', ({ redis }) => {
  it(
    'loses and doubles nothing while workers, the leader, Postgres and Redis are killed',
    async () => {
      const losses = await crashTest({
        kills: KILLS,
        seed: SEED,
        redis,
        orders: 40,
        ...(KILLS > 30 ? { log: (line: string) => void process.stdout.write(`${line}\n`) } : {}),
      });
      process.stdout.write(
        `killed ${JSON.stringify(losses.kills)}: ${losses.orders} orders, ${losses.effects} effects, calls ${JSON.stringify(losses.calls)}\n`,
      );
      const { gone, lost, doubled, left, calls } = losses;
      expect({ gone, lost: lost.slice(0, 10), doubled: doubled.slice(0, 10), left, twice: calls.twice }).toEqual({
        gone: [],
        lost: [],
        doubled: [],
        left: [],
        twice: 0,
      });
      expect(losses.effects).toBeGreaterThan(KILLS * 100);
      // A call may have been made and its end not be known; one that is said to be sent was made.
      expect(calls.sent).toBeLessThanOrEqual(calls.made);
    },
    KILLS > 30 ? 6 * 3_600_000 : 400_000,
  );
});
