/** The bell: what the caller was told, what is read, and what they want to be told. */
import { definePlugin, object, role, text, type Notice, type Principal, type Rec } from '@kith/sdk';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { addNotices } from '../notices.ts';
import { createTestWorld, type TestWorld } from '../testing.ts';

const desk = definePlugin({
  id: 'desk',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'operational',
  locales: {
    en: { 'plugin.desk': 'Desk', 'notice.called': 'Somebody called', 'notice.moved': 'Moved' },
    de: { 'plugin.desk': 'Schalter', 'notice.called': 'Jemand hat angerufen', 'notice.moved': 'Verlegt' },
  },
  objects: {
    visit: object({ icon: 'calendar', title: ['name'], fields: { name: text({ required: true }) } }),
    secret: object({ icon: 'lock', title: ['name'], fields: { name: text({ required: true }) }, access: { read: role('admin') } }),
  },
});

interface Shown {
  id: string;
  kind: string;
  label: string;
  about: { object: string; id: string; title: string } | null;
  text: string | null;
  by: string | null;
  at: string;
  read: boolean;
}
interface Listed {
  data: Shown[];
  unread: number;
  nextCursor: string | null;
}
interface Choices {
  kinds: { kind: string; label: string; group: string; wanted: boolean }[];
  digest: boolean;
  mail: boolean;
}

let world: TestWorld;
let nancy: Principal;
let andrew: Principal;
let visit: Rec;
beforeAll(async () => {
  world = await createTestWorld({ plugins: [desk], servers: [{ plugin: desk }] });
  [nancy, andrew] = [await world.person('Nancy Davolio'), await world.person('Andrew Fuller')];
  visit = await world.runtime.records.create(world.actor, world.object('desk.visit'), { name: 'Monday' });
});
afterAll(() => world.close());
beforeEach(() => world.runtime.pool.query('truncate kith.notice, kith.notice_choice'));

const tell = (...notices: Notice[]): Promise<string[]> => addNotices(world.runtime.pool, notices, andrew);
async function call<T>(
  who: Principal,
  method: string,
  path: string,
  body?: unknown,
  language = 'en',
): Promise<{ status: number; body: T }> {
  const cookie = (await world.runtime.sessions.open(who.id)).split(';', 1)[0]!;
  return (await world.request(method, path, {
    ...(body === undefined ? {} : { body }),
    headers: { cookie, origin: 'http://localhost:5173', 'accept-language': language },
  })) as { status: number; body: T };
}
const listed = async (who: Principal, query = '', language = 'en'): Promise<Listed> =>
  (await call<Listed>(who, 'GET', `/notices${query}`, undefined, language)).body;

describe('notices', () => {
  it('stand under the bell of whom they are for, newest first, in the words of the reader', async () => {
    await tell({ to: nancy.id, kind: 'desk.called', text: 'Call back' });
    await tell({ to: nancy.id, kind: 'desk.moved', about: { object: 'desk.visit', id: visit.id } }, { to: andrew.id, kind: 'desk.moved' });
    expect(await listed(nancy)).toMatchObject({
      data: [
        {
          kind: 'desk.moved',
          label: 'Moved',
          about: { object: 'desk.visit', id: visit.id, title: 'Monday' },
          text: null,
          by: 'Andrew Fuller',
          read: false,
        },
        { kind: 'desk.called', label: 'Somebody called', about: null, text: 'Call back', read: false },
      ],
      unread: 2,
      nextCursor: null,
    });
    expect((await listed(nancy, '', 'de')).data[0]!.label).toBe('Verlegt');
    expect((await listed(andrew)).data).toHaveLength(1);
    expect(await listed(world.me)).toMatchObject({ data: [], unread: 0 });
  });

  it('are read one by one or all at once, each person’s own only', async () => {
    await tell(...['a', 'b', 'c'].map((one) => ({ to: nancy.id, kind: 'desk.called', text: one })));
    const told: string[][] = [];
    const stop = world.runtime.bus.hear('noticed', (people) => told.push([...people]));
    const { data } = await listed(nancy);
    const [first] = data;
    // Somebody else's stay as they are.
    expect((await call(andrew, 'POST', '/notices/read', { ids: [first!.id] })).status).toBe(200);
    expect((await call(andrew, 'POST', '/notices/read', {})).body).toEqual({ unread: 0 });
    expect(await listed(nancy)).toMatchObject({ unread: 3 });
    expect((await call(nancy, 'POST', '/notices/read', { ids: [first!.id] })).body).toEqual({ unread: 2 });
    expect((await listed(nancy)).data.map(({ id, read }) => [id, read])).toEqual(data.map(({ id }) => [id, id === first!.id]));
    expect((await listed(nancy, '?unread=1')).data.map(({ id }) => id)).toEqual(data.slice(1).map(({ id }) => id));
    expect((await call(nancy, 'POST', '/notices/read', {})).body).toEqual({ unread: 0 });
    expect((await listed(nancy, '?unread=1')).data).toEqual([]);
    stop();
    // Every window of the reader hears of it.
    expect(told).toEqual([[andrew.id], [andrew.id], [nancy.id], [nancy.id]]);
    for (const ids of ['all', [1], ['x']]) expect((await call(nancy, 'POST', '/notices/read', { ids })).status).toBe(400);
  });

  it('come in pages that neither repeat nor leave out one', async () => {
    for (let i = 0; i < 3; i++) await tell(...[0, 1].map((n) => ({ to: nancy.id, kind: 'desk.called', text: `${i} ${n}` })));
    const seen: string[] = [];
    let cursor: string | null = '';
    for (let page = 0; cursor !== null; page++) {
      expect(page).toBeLessThan(5);
      const some: Listed = await listed(nancy, `?limit=2&cursor=${encodeURIComponent(cursor)}`);
      expect(some.unread).toBe(6);
      seen.push(...some.data.map(({ text: words }) => words!));
      cursor = some.nextCursor;
    }
    expect(seen).toHaveLength(6);
    expect(new Set(seen).size).toBe(6);
    expect(seen.map((one) => one[0])).toEqual(['2', '2', '1', '1', '0', '0']);
    expect((await call(nancy, 'GET', '/notices?cursor=elsewhere')).status).toBe(400);
  });

  it('do not name records that their reader may not see, or that are gone', async () => {
    const secret = await world.runtime.records.create(world.actor, world.object('desk.secret'), { name: 'Quokka' });
    const gone = await world.runtime.records.create(world.actor, world.object('desk.visit'), { name: 'Wombat' });
    await tell(
      { to: nancy.id, kind: 'desk.moved', about: { object: 'desk.secret', id: secret.id } },
      { to: nancy.id, kind: 'desk.moved', about: { object: 'desk.visit', id: gone.id } },
      { to: world.me.id, kind: 'desk.moved', about: { object: 'desk.secret', id: secret.id } },
    );
    await world.runtime.records.remove(world.actor, world.object('desk.visit'), gone.id);
    const hers = await listed(nancy);
    expect(hers.data.map(({ about }) => about)).toEqual([null, null]);
    expect(JSON.stringify(hers)).not.toMatch(/Quokka|Wombat/);
    expect((await listed(world.me)).data[0]!.about?.title).toBe('Quokka');
  });

  it('come only in kinds that a person wants, once for the same reason', async () => {
    const choices = async (who = nancy): Promise<Choices> => (await call<Choices>(who, 'GET', '/notices/choices')).body;
    const called = { kind: 'desk.called', label: 'Somebody called', group: 'Desk', wanted: true };
    const moved = { kind: 'desk.moved', label: 'Moved', group: 'Desk', wanted: true };
    expect(await choices()).toEqual({ kinds: [called, moved], digest: false, mail: false });
    const { body } = await call<Choices>(nancy, 'PATCH', '/notices/choices', { kinds: { 'desk.called': false }, digest: true });
    expect(body).toEqual({ kinds: [{ ...called, wanted: false }, moved], digest: true, mail: false });
    expect(await choices(andrew)).toMatchObject({ kinds: [{ wanted: true }, { wanted: true }], digest: false });
    await tell({ to: nancy.id, kind: 'desk.called' }, { to: andrew.id, kind: 'desk.called' });
    for (let i = 0; i < 2; i++) await tell({ to: nancy.id, kind: 'desk.moved', key: 'one reason' });
    expect((await listed(nancy)).data.map(({ kind }) => kind)).toEqual(['desk.moved']);
    expect((await listed(andrew)).unread).toBe(1);

    for (const wrong of [{ kinds: [] }, { kinds: { 'desk.called': 'no' } }, { digest: 1 }])
      expect((await call(nancy, 'PATCH', '/notices/choices', wrong)).status).toBe(400);
    expect((await call(nancy, 'PATCH', '/notices/choices', { kinds: { 'desk.unheard': false } })).status).toBe(422);
    expect(await choices()).toMatchObject({ kinds: [{ wanted: false }, { wanted: true }], digest: true });
  });
});
