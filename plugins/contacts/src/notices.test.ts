import { createTestWorld, type TestWorld } from '@kith/core/testing';
import { catalogueProblems, type Principal, type Rec } from '@kith/sdk';
import { afterEach, describe, expect, it } from 'vitest';
import { contacts } from './plugin.ts';
import { server } from './server.ts';
import { namedIn } from './server/notices.ts';

let world: TestWorld;
let now: Date;
let nancy: Principal;
let andrew: Principal;
afterEach(() => world?.close());

async function open(): Promise<void> {
  now = new Date('2026-03-02T04:00:00Z');
  world = await createTestWorld({ plugins: [contacts], servers: [server], roles: ['worker'], clock: () => now, log: () => undefined });
  [nancy, andrew] = [await world.person('Nancy Davolio'), await world.person('Andrew Fuller')];
}
const make = (object: string, fields: Record<string, unknown>, as: Principal = nancy): Promise<Rec> =>
  world.runtime.records.create({ principal: as, cause: { kind: 'api', id: null } }, world.object(object), fields);
const patch = (rec: Rec, fields: Record<string, unknown>, as: Principal = nancy): Promise<Rec> =>
  world.runtime.records.patch({ principal: as, cause: { kind: 'api', id: null } }, world.object(rec.object), rec.id, fields);
const told = async (who: Principal): Promise<[string, string | null, string | null][]> => {
  const { rows } = await world.runtime.pool.query<{ kind: string; record: string | null; text: string | null }>(
    'select kind, record, text from kith.notice where person = $1 order by at',
    [who.id],
  );
  return rows.map(({ kind, record, text }) => [kind, record, text]);
};
async function settled(): Promise<void> {
  for (let calm = 0, i = 0; calm < 3; i++) {
    if (i > 600) throw new Error('it never came to rest');
    const { rows } = await world.runtime.pool.query<{ busy: boolean }>(
      `select exists (select from kith.outbox) or exists (select from kith.consumer where position < (select last from kith.event_counter))
        or exists (select from kith.schedule where next <= $1) or exists (select from kith.job where due <= $1 and state <> 'parked') as busy`,
      [now],
    );
    calm = rows[0]!.busy ? 0 : calm + 1;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('people are told', () => {
  it('what others give into their care, not what they take themselves', async () => {
    await open();
    const task = await make('contacts.task', { title: 'Mine' });
    await make('contacts.task', { title: 'Yours', owner: andrew.id });
    const company = await make('contacts.company', { name: 'A' });
    await patch(company, { owner: andrew.id });
    await patch(task, { owner: andrew.id }, andrew);
    await settled();
    expect(await told(nancy)).toEqual([]);
    expect((await told(andrew)).map(([kind]) => kind)).toEqual(['contacts.assigned', 'contacts.assigned']);
  });

  it('where they were named, once', async () => {
    await open();
    const company = await make('contacts.company', { name: 'A' });
    await make('contacts.activity', {
      kind: 'note',
      body: 'Ask **@Andrew Fuller** what he thinks, and @Nancy Davolio',
      about: { object: company.object, id: company.id },
    });
    await patch(company, { notes: 'as @andrew fuller said' });
    await patch(company, { notes: 'as @andrew fuller said again' });
    await settled();
    expect((await told(andrew)).toSorted((a, b) => (a[2]! < b[2]! ? -1 : 1))).toEqual([
      ['contacts.mentioned', company.id, 'Ask **@Andrew Fuller** what he thinks, and @Nancy Davolio'],
      ['contacts.mentioned', company.id, expect.stringMatching(/^as @andrew fuller said/)],
    ]);
    expect(await told(nancy)).toEqual([]);
  });

  it('of tasks that are due, in the morning of their own day, and of reminders at their time', async () => {
    await open();
    await world.runtime.pool.query(`update kith."user" set time_zone = 'Asia/Tokyo' where id = $1`, [andrew.id]);
    const [hers, his, done] = [
      await make('contacts.task', { title: 'hers', due: '2026-03-02' }),
      await make('contacts.task', { title: 'his', due: '2026-03-02', owner: andrew.id }, andrew),
      await make('contacts.task', { title: 'done', due: '2026-03-02', status: 'done' }),
    ];
    const reminded = await make('contacts.task', { title: 'think', reminder: '2026-03-02T09:30:00Z' });
    const moved = await make('contacts.task', { title: 'moved', reminder: '2026-03-02T09:30:00Z' });
    await patch(moved, { reminder: '2026-03-03T09:30:00Z' });
    const finished = await make('contacts.task', { title: 'finished', reminder: '2026-03-02T09:30:00Z' });
    await patch(finished, { status: 'done' });
    await settled();
    now = new Date('2026-03-02T05:00:00Z');
    await settled();
    // Two in the afternoon in Tokyo, five in the morning here.
    expect([await told(nancy), (await told(andrew)).map(([kind, id]) => [kind, id])]).toEqual([[], [['contacts.due', his.id]]]);
    now = new Date('2026-03-02T07:30:00Z');
    await settled();
    now = new Date('2026-03-02T09:40:00Z');
    await settled();
    expect((await told(nancy)).map(([kind, id]) => [kind, id])).toEqual([
      ['contacts.due', hers.id],
      ['contacts.reminder', reminded.id],
    ]);
    expect(done.id).not.toBe(finished.id);
  });
});

it('finds names in texts, the longer before the shorter', () => {
  const people = [
    { id: 'a', name: 'Ann' },
    { id: 'b', name: 'Ann Smith' },
    { id: 'c', name: 'Bo' },
  ];
  expect(namedIn('@Ann Smith and mail@Bo.example, @Bob', people).map(({ id }) => id)).toEqual(['b']);
  expect(namedIn('@ann, @ANN SMITH!', people).map(({ id }) => id)).toEqual(['b', 'a']);
  expect(namedIn('nobody', people)).toEqual([]);
});

it('has all its words', () => expect(catalogueProblems(contacts)).toEqual([]));
