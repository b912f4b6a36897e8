import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { transaction } from '../database.ts';
import { commit } from '../records/commit.ts';
import { createTestWorld, type TestWorld } from '../testing.ts';
import { hasRedis, startRedis, type TestRedis } from '../testing/redis.ts';
import { outside, works, worksServer } from '../testing/works.ts';
import { addJob } from './rows.ts';
import { SYSTEM_ACTOR } from './jobs.ts';
import type { JobOptions, Json, Lane } from '@kith/sdk';

const backends = [{ name: 'Postgres', redis: false }, ...(hasRedis() ? [{ name: 'Redis', redis: true }] : [])];
const IMPATIENT = { lockMs: 1_500, retryMs: 20, lostMs: 300 };

describe.each(backends)('background work on $name', ({ redis }) => {
  let server: TestRedis | undefined;
  let world: TestWorld;
  let now: Date;
  beforeAll(async () => {
    server = redis ? await startRedis() : undefined;
  });
  afterAll(() => server?.stop());
  const open = async (): Promise<TestWorld> => {
    now = new Date();
    world = await createTestWorld({
      plugins: [works],
      servers: [worksServer],
      roles: ['worker'],
      clock: () => now,
      log: () => undefined,
      background: IMPATIENT,
      ...(server ? { redisUrl: server.url } : {}),
    });
    return world;
  };
  afterEach(() => world.close());

  const add = (name: string, data: Json, lane: Lane = 'default', options: JobOptions = {}): Promise<string> =>
    transaction(world.runtime.pool, (client) => addJob(client, `works.${name}`, lane, data, now, options));
  const effects = async (of: string): Promise<string[]> => {
    const { rows } = await world.runtime.pool.query<{ kind: string }>('select kind from works.effect where of = $1 order by id', [of]);
    return rows.map(({ kind }) => kind);
  };
  const jobs = async (): Promise<{ state: string; handler: string; attempts: number; error: string | null }[]> =>
    (await world.runtime.pool.query('select state, handler, attempts, error from kith.job order by id')).rows as never;
  const until = async (what: () => Promise<boolean>): Promise<void> => {
    for (let i = 0; i < 400; i++) {
      if (await what()) return;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(`it did not come to that: ${JSON.stringify(await jobs())}`);
  };
  const done = (): Promise<void> => until(async () => (await jobs()).length === 0);

  it('does each job once, many at a time, and only what was committed', async () => {
    await open();
    await transaction(world.runtime.pool, async (client) => {
      for (let i = 0; i < 300; i++) await addJob(client, 'works.make', 'default', { of: `n${i}` }, now);
    });
    await expect(
      transaction(world.runtime.pool, async (client) => {
        await addJob(client, 'works.make', 'default', { of: 'never' }, now);
        throw new Error('back');
      }),
    ).rejects.toThrow('back');
    await done();
    const { rows } = await world.runtime.pool.query<{ of: string; n: number }>(
      'select of, count(*)::int as n from works.effect group by of',
    );
    expect(rows).toHaveLength(300);
    expect(rows.every(({ n }) => n === 1)).toBe(true);
    expect(await effects('never')).toEqual([]);
  });

  it('waits for a job’s time, and keeps one of those with a key', async () => {
    await open();
    const first = await add('make', { of: 'later' }, 'default', { key: 'k', due: new Date(now.getTime() + 3_600_000) });
    expect(await add('make', { of: 'again' }, 'default', { key: 'k' })).toBe(first);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await effects('later')).toEqual([]);
    now = new Date(now.getTime() + 3_700_000);
    await done();
    expect([await effects('later'), await effects('again')]).toEqual([['made'], []]);
  });

  it('finds the one that fails among many, tries it again and sets it aside with the reason', async () => {
    await open();
    await transaction(world.runtime.pool, async (client) => {
      for (let i = 0; i < 40; i++)
        await addJob(client, 'works.make', 'default', { of: `m${i}`, ...(i === 17 ? { poison: 'yes' } : {}) }, now);
    });
    // Repetitions wait for their time.
    await until(async () => {
      now = new Date(now.getTime() + 60_000);
      return (await jobs()).some(({ state }) => state === 'parked');
    });
    expect(await jobs()).toEqual([{ state: 'parked', handler: 'works.make', attempts: 8, error: 'This one is poisoned.' }]);
    const { rows } = await world.runtime.pool.query(`select of from works.effect where kind = 'made'`);
    expect(rows).toHaveLength(39);
  });

  it('gives up on what hangs, and nothing of it comes later', async () => {
    await open();
    await add('slow', { of: 'hung' }, 'interactive');
    await until(async () => (await jobs())[0]?.state === 'parked');
    expect((await jobs())[0]!.error).toMatch(/longer than 1 seconds/);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(await effects('hung')).toEqual([]);
  });

  it('runs a schedule once, however many processes there are', async () => {
    await open();
    await world.another({ roles: ['worker'], background: IMPATIENT });
    for (let day = 1; day <= 3; day++) {
      now = new Date(now.getTime() + 86_400_000);
      await until(async () => {
        const { rows } = await world.runtime.pool.query(`select from works.effect where kind = 'daily'`);
        return rows.length >= day;
      });
    }
    await done();
    const { rows } = await world.runtime.pool.query<{ of: string }>(`select of from works.effect where kind = 'daily'`);
    expect(rows).toHaveLength(3);
    expect(new Set(rows.map(({ of }) => of)).size).toBe(3);
    expect(rows.every(({ of }) => of.endsWith('T03:00:00.000Z'))).toBe(true);
  });

  it('follows every event once and sets aside the one that it cannot deal with', async () => {
    await open();
    const other = await world.another({ roles: ['worker'], background: IMPATIENT });
    const names = Array.from({ length: 60 }, (_, i) => (i === 31 ? 'poison' : i % 10 === 0 ? `job ${i}` : `o${i}`));
    const recs: { id: string }[] = [];
    for (const [i, name] of names.entries())
      recs.push(await (i % 2 ? world.runtime : other).records.create(world.actor, world.object('works.order'), { name }));
    await until(async () => (await jobs()).some(({ state }) => state === 'parked'));
    await until(async () => (await effects(recs.at(-1)!.id)).length > 0);
    await until(async () => (await jobs()).length === 1);
    for (const [i, { id }] of recs.entries()) expect(await effects(id), names[i]).toEqual(i === 31 ? [] : ['followed']);
    for (let i = 0; i < 60; i += 10) expect(await effects(`job ${i}`)).toEqual(['made']);
    expect(await jobs()).toMatchObject([{ handler: 'works.on:follow', error: 'This event is poisoned.' }]);
  });

  it('tells of what was typed when it has come to rest, as one change', async () => {
    await open();
    const object = world.object('works.order');
    const rec = await world.runtime.records.create(world.actor, object, { name: 'typed', note: 'a' });
    const type = async (from: string, to: string): Promise<void> => {
      const stored = await world.runtime.records.get(world.me, object, rec.id);
      await commit(
        world.runtime.writePool,
        [
          {
            object,
            id: rec.id,
            author: world.me.id,
            patch: { note: to },
            version: stored.version,
            documents: [],
            ledger: [],
            event: { note: [from, to] },
            cause: { kind: 'edit', id: null },
            typing: true,
          },
        ],
        true,
      );
    };
    await type('a', 'ab');
    await type('ab', 'abc');
    await until(async () => (await effects(rec.id)).includes('followed'));
    expect(await effects(rec.id)).toEqual(['followed']);
    // Nobody waits for five seconds in a test that need not.
    await until(async () => (await world.runtime.pool.query('update kith.unsettled set due = now()')).rowCount === 1);
    await until(async () => (await effects(rec.id)).length === 2);
    expect((await effects(rec.id))[1]).toBe('settled {"note":["a","abc"]}');
    expect((await world.runtime.pool.query('select from kith.unsettled')).rowCount).toBe(0);
  });

  it('calls outside once, and says what became of it', async () => {
    await open();
    outside.calls.clear();
    const keys = new Map<string, string>();
    for (const how of ['send', 'refuse', 'busy', 'break', 'hang', 'unwritable']) keys.set(how, await add('call', { of: how, how }, 'bulk'));
    await add('call', { of: 'cancelled', cancelled: 'yes' }, 'bulk');
    await until(async () => {
      now = new Date(now.getTime() + 60_000);
      return (await jobs()).filter(({ state }) => state !== 'parked').length === 0;
    });
    expect(Object.fromEntries(await Promise.all([...keys.keys()].map(async (how) => [how, await effects(how)])))).toEqual({
      send: ['sent'],
      refuse: ['refused'],
      busy: ['refused'],
      break: ['unknown'],
      hang: ['unknown'],
      unwritable: [],
    });
    const calls = (how: string): number | undefined => outside.calls.get(keys.get(how)!);
    expect([calls('send'), calls('refuse'), calls('busy'), calls('break'), calls('hang'), calls('unwritable')]).toEqual([1, 1, 3, 1, 1, 1]);
    expect(await effects('cancelled')).toEqual([]);
    // Replayed, it only notes what became of the call.
    expect(await jobs()).toMatchObject([{ state: 'parked', error: 'This cannot be noted.' }]);
    await world.runtime.pool.query(`update kith.job set state = 'waiting', data = data || '{"how": "noted"}'`);
    await done();
    expect([await effects('unwritable'), calls('unwritable')]).toEqual([['sent'], 1]);
  });

  it('parks what no plugin does any more', async () => {
    await open();
    await transaction(world.runtime.pool, (client) => addJob(client, 'gone.thing', 'default', null, now));
    await until(async () => (await jobs())[0]?.state === 'parked');
    expect((await jobs())[0]!.error).toMatch(/“gone”/);
  });

  it('takes back two that bear one key', async () => {
    await open();
    // One was handed over, another was added with its key and handed over too, and then their process died.
    await world.runtime.pool.query(
      `insert into kith.job (id, handler, lane, key, data, due, state, lease)
       select uuidv7(), 'works.make', 1, 'twin', jsonb_build_object('of', 'twin ' || n), $1, 'queued', now() - interval '1 minute'
       from generate_series(1, 2) n`,
      [now],
    );
    await done();
    expect([await effects('twin 1'), await effects('twin 2')]).toEqual([['made'], ['made']]);
  });

  it('hands out again what the queue lost', async () => {
    await open();
    // As if they had been handed over, and the queue had forgotten them.
    await transaction(world.runtime.pool, async (client) => {
      for (let i = 0; i < 20; i++) await addJob(client, 'works.make', 'default', { of: `lost${i}` }, new Date(now.getTime() + 3_600_000));
      await client.query(`update kith.job set state = 'queued', due = $1, lease = now() + interval '10 minutes' - interval '5 seconds'`, [
        now,
      ]);
    });
    await done();
    for (let i = 0; i < 20; i++) expect(await effects(`lost${i}`)).toEqual(['made']);
  });

  if (redis) {
    it('goes on when Redis has died and come back empty', async () => {
      await open();
      for (let round = 0; round < 3; round++) {
        await transaction(world.runtime.pool, async (client) => {
          for (let i = 0; i < 200; i++) await addJob(client, 'works.make', 'default', { of: `r${round}.${i}` }, now);
        });
        world.runtime.bus.jobsAdded();
        await new Promise((resolve) => setTimeout(resolve, round * 10));
        await server!.kill();
        await server!.start();
        await done();
      }
      const { rows } = await world.runtime.pool.query<{ n: number }>('select count(*)::int as n from works.effect group by of');
      expect([rows.length, rows.every(({ n }) => n === 1)]).toEqual([600, true]);
    });
  }
});

describe('a derived field', () => {
  it('is set in bulk, by plugins alone, with what changed told and, where it is tracked, kept', async () => {
    const world = await createTestWorld({ plugins: [works], servers: [worksServer] });
    try {
      await expect(
        world.runtime.records.within('works', SYSTEM_ACTOR, (ctx) =>
          ctx.world.records.derive('works.order', [{ id: world.me.id, fields: { name: 'x' } }]),
        ),
      ).rejects.toThrow(/not a derived field/);
    } finally {
      await world.close();
    }
  });
});
