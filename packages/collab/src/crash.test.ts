import { expect, it } from 'vitest';
import { crashTest } from '../testing/crash/harness.ts';

const LONG = process.env.KITH_LONG === '1';
/** Another seed is another run; a failing one is repeated with its own. */
const SEED = Number(process.env.KITH_SEED ?? 7);
const KILLS = Number(process.env.KITH_KILLS ?? (LONG ? 1_000 : 30));

it(
  'loses and doubles nothing while web and Postgres are killed',
  async () => {
    const losses = await crashTest({
      kills: KILLS,
      seed: SEED,
      against: 'kith',
      ...(KILLS > 30 ? { log: (line: string) => void process.stdout.write(`${line}\n`) } : {}),
    });
    expect(losses.lost).toEqual([]);
    expect(losses.doubled).toEqual([]);
    expect(losses.apart).toEqual([]);
    // It only means something if people had been told that things were saved.
    expect(losses.acknowledged).toBeGreaterThan(losses.kills * 50);
  },
  KILLS > 30 ? 3 * 3_600_000 : 300_000,
);

it('sees a plain y-websocket server lose what it called saved', async () => {
  const losses = await crashTest({ kills: 3, seed: 7, against: 'plain' });
  expect(losses.lost.length).toBeGreaterThan(0);
}, 120_000);
