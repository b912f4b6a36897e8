/** Signing in and out, invitations, people and their profiles, and the first run. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Principal } from '@kith/sdk';
import { createTestWorld, type TestWorld } from '../testing.ts';
import { lab, labServer } from '../testing/lab.ts';
import { stateOf } from '../testing/state.ts';

const ORIGIN = 'http://localhost:5173';
const PASSWORD = 'kith-kith-kith';
let world: TestWorld;
let nancy: Principal;

beforeAll(async () => {
  world = await createTestWorld({ plugins: [lab], servers: [labServer] });
  const id = await world.runtime.sessions.createUser({ email: 'Nancy@lab.example', name: 'Nancy', role: 'member', password: PASSWORD });
  nancy = { id, kind: 'staff', name: 'Nancy', roles: ['member'] };
});
afterAll(() => world.close());

interface Answer {
  status: number;
  body: { code?: string; errors?: { field: string; code: string }[] } & Record<string, unknown>;
  headers: Headers;
}
const send = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
  (await world.request(method, path, { ...(body === undefined ? {} : { body }), headers })) as Answer;
const cookieOf = (answer: Answer): string => answer.headers.get('set-cookie')!.split(';', 1)[0]!;
const signIn = (email: string, password: string): Promise<Answer> => send('POST', '/session', { email, password });
const as = async (id: string): Promise<Record<string, string>> => ({
  cookie: (await world.runtime.sessions.open(id)).split(';', 1)[0]!,
  origin: ORIGIN,
});

describe('a session', () => {
  it('begins with e-mail and password, says who one is, and ends', async () => {
    const answer = await signIn(' nancy@LAB.example ', PASSWORD);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('set-cookie')).toMatch(/^kith_session=[\w-]{20,};.*HttpOnly/i);
    expect(answer.headers.get('set-cookie')).toMatch(/SameSite=Lax/i);
    const headers = { cookie: cookieOf(answer), origin: ORIGIN };
    const me = await send('GET', '/session', undefined, headers);
    expect(me.body.principal).toEqual({ id: nancy.id, kind: 'staff', name: 'Nancy', roles: ['member'], permissions: [] });
    const { rows } = await world.runtime.pool.query<{ id: string }>('select id from kith.session');
    for (const { id } of rows) expect(headers.cookie).not.toContain(id);
    const out = await send('DELETE', '/session', undefined, headers);
    expect(out.status).toBe(204);
    expect(out.headers.get('set-cookie')).toMatch(/^kith_session=;/);
    expect((await send('GET', '/session', undefined, headers)).status).toBe(401);
  });

  it('is refused alike for a wrong password, an unknown person and one without password', async () => {
    await world.person('Guest');
    const before = await stateOf(world.runtime.pool);
    const answers = [
      await signIn('nancy@lab.example', 'wrong'),
      await signIn('who@lab.example', PASSWORD),
      await signIn('guest@test.example', ''),
      await signIn('nancy@lab.example\u0000', PASSWORD),
    ];
    for (const { status, body } of answers) expect({ status, code: body.code }).toEqual({ status: 401, code: 'wrong_credentials' });
    expect(new Set(answers.map(({ body }) => body.detail)).size).toBe(1);
    expect((await send('POST', '/session', {})).status).toBe(422);
    expect((await send('POST', '/session', { email: 1, password: [] })).status).toBe(422);
    expect(await stateOf(world.runtime.pool)).toEqual(before);
  });

  it('answers 429 after ten failures, also at once, for that person alone', async () => {
    const answers = await Promise.all(Array.from({ length: 14 }, () => signIn('flood@lab.example', 'wrong')));
    expect(answers.map((one) => one.status).sort()).toEqual([...Array<number>(10).fill(401), ...Array<number>(4).fill(429)]);
    const refused = answers.find((one) => one.status === 429)!;
    expect(refused.body.code).toBe('too_many_attempts');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await signIn('nancy@lab.example', PASSWORD)).status).toBe(200);
    const many = await Promise.all(Array.from({ length: 20 }, () => signIn('nancy@lab.example', PASSWORD)));
    expect(new Set(many.map((one) => one.status))).toEqual(new Set([200]));
  });

  it('ends when its time is over, and when the person may come in no more', async () => {
    const headers = await as(nancy.id);
    expect((await send('GET', '/session', undefined, headers)).status).toBe(200);
    await world.runtime.pool.query(`update kith.session set expires_at = now() - interval '1 second' where user_id = $1`, [nancy.id]);
    world.runtime.sessions.forget();
    const expired = await send('GET', '/records/lab.sample', undefined, headers);
    expect(expired.status).toBe(401);
    expect(expired.headers.get('www-authenticate')).toBe('Bearer');
    const other = await world.person('Leaver');
    const theirs = await as(other.id);
    expect((await send('GET', '/session', undefined, theirs)).status).toBe(200);
    const admin = await as(world.me.id);
    expect((await send('PATCH', `/users/${other.id}`, { active: false }, admin)).status).toBe(200);
    expect((await send('GET', '/session', undefined, theirs)).status).toBe(401);
    for (const cookie of ['kith_session=', 'kith_session=x', `kith_session=${'x'.repeat(4000)}`]) {
      expect((await send('GET', '/session', undefined, { cookie })).status).toBe(401);
    }
  });

  it('follows a change of role at once', async () => {
    const other = await world.person('Climber', 'reader');
    const theirs = await as(other.id);
    expect((await send('POST', '/records/lab.thing', { name: 'x' }, theirs)).status).toBe(403);
    const admin = await as(world.me.id);
    await send('PATCH', `/users/${other.id}`, { role: 'member' }, admin);
    expect((await send('POST', '/records/lab.thing', { name: 'x' }, theirs)).status).toBe(201);
    expect((await send('PATCH', `/users/${world.me.id}`, { role: 'reader' }, admin)).status).toBe(403);
    expect((await send('PATCH', `/users/${other.id}`, { role: 'king' }, admin)).body.errors).toMatchObject([{ field: 'role' }]);
    expect((await send('PATCH', '/users/x', { role: 'member' }, admin)).status).toBe(404);
  });
});

describe('an invitation', () => {
  it('makes one person of its link, once', async () => {
    const admin = await as(world.me.id);
    const made = await send('POST', '/users/invitations', { email: 'new@lab.example', name: 'New One', role: 'manager' }, admin);
    expect(made.status).toBe(201);
    const token = (made.body.url as string).split('/').at(-1)!;
    expect((await send('GET', `/invitations/${token}`)).body).toEqual({ email: 'new@lab.example', name: 'New One', role: 'manager' });
    const before = await stateOf(world.runtime.pool);
    expect((await send('POST', `/invitations/${token}`, { name: 'New', password: 'short' })).body.errors).toMatchObject([
      { field: 'password', code: 'too_short' },
    ]);
    expect((await send('POST', `/invitations/${token}`, { name: ' ', password: PASSWORD })).status).toBe(422);
    expect((await send('POST', '/invitations/unknown', { name: 'New', password: PASSWORD })).status).toBe(404);
    expect((await send('POST', `/invitations/${token}`, { name: 'N\u0000', password: PASSWORD })).status).toBe(400);
    expect(await stateOf(world.runtime.pool)).toEqual(before);
    const both = await Promise.all([1, 2].map(() => send('POST', `/invitations/${token}`, { name: 'New', password: PASSWORD })));
    expect(both.map((one) => one.status).sort()).toEqual([201, 404]);
    const me = await send('GET', '/session', undefined, { cookie: cookieOf(both.find((one) => one.status === 201)!) });
    expect(me.body.principal).toMatchObject({ name: 'New', roles: ['manager'] });
    expect((await send('GET', `/invitations/${token}`)).status).toBe(404);
    expect((await send('POST', '/users/invitations', { email: 'NEW@lab.example', role: 'member' }, admin)).status).toBe(409);
    expect((await send('POST', '/users/invitations', { email: 'x', role: 'king' }, admin)).body.errors).toHaveLength(2);
  });
});

describe('a profile', () => {
  it('is changed by its person, and refuses what does not fit', async () => {
    const headers = await as(nancy.id);
    const { body } = await send(
      'PATCH',
      '/profile',
      { language: 'de', timeZone: 'Europe/Vienna', theme: 'dark', name: 'Nancy D.' },
      headers,
    );
    expect(body).toMatchObject({ language: 'de', timeZone: 'Europe/Vienna', theme: 'dark', name: 'Nancy D.' });
    expect((await send('GET', '/objects/lab.sample', undefined, headers)).status).toBe(200);
    const refused = await send('PATCH', '/profile', { language: 'xx', timeZone: 'Mars/Base', theme: 7, name: '' }, headers);
    expect(refused.body.errors!.map((one) => one.field).sort()).toEqual(['language', 'name', 'theme', 'timeZone']);
    expect((await send('PATCH', '/profile', { name: 'x\u0000' }, headers)).status).toBe(400);
    expect((await send('PATCH', '/profile', { timeZone: null }, headers)).body.timeZone).toBeNull();
    const wrong = await send('POST', '/profile/password', { current: 'x', next: PASSWORD }, headers);
    expect(wrong.body.errors).toMatchObject([{ field: 'current', code: 'wrong_credentials' }]);
    const changed = await send('POST', '/profile/password', { current: PASSWORD, next: `${PASSWORD}!` }, headers);
    expect(changed.status).toBe(204);
    expect((await send('GET', '/session', undefined, headers)).status).toBe(401);
    expect((await send('GET', '/session', undefined, { cookie: cookieOf(changed) })).status).toBe(200);
    expect((await signIn('nancy@lab.example', PASSWORD)).status).toBe(401);
  });
});

describe('saved views', () => {
  it('belong to a person, can be shared, and refuse what does not fit', async () => {
    const [mine, theirs] = [await as(nancy.id), await as((await world.person('Andrew')).id)];
    const definition = { object: 'lab.sample', name: 'Big ones', type: 'table', columns: ['name', 'amount'], sort: ['-amount'] };
    const made = await send('POST', '/views', { ...definition, filter: { field: 'amount', op: 'gt', value: 5 } }, mine);
    expect(made.status).toBe(201);
    const id = made.body.id as string;
    const seen = async (headers: Record<string, string>): Promise<string[]> =>
      ((await send('GET', '/views?object=lab.sample', undefined, headers)).body.data as { id: string }[]).map((one) => one.id);
    expect(await seen(mine)).toContain(id);
    expect(await seen(theirs)).not.toContain(id);
    await send('PATCH', `/views/${id}`, { shared: true, filter: null }, mine);
    expect(await seen(theirs)).toContain(id);
    expect((await send('PATCH', `/views/${id}`, { name: 'Theirs' }, theirs)).status).toBe(404);
    expect((await send('DELETE', `/views/${id}`, undefined, theirs)).status).toBe(404);
    for (const [wrong, status] of [
      [{ columns: ['nowhere'] }, 422],
      [{ columns: [] }, 422],
      [{ name: ' ' }, 422],
      [{ type: 'chart' }, 422],
      [{ type: 'board' }, 422],
      [{ sort: ['-nowhere'] }, 422],
      [{ filter: { field: 'amount' } }, 400],
      [{ filter: { field: 'nowhere', op: 'eq', value: 1 } }, 400],
      [{ name: 'x\u0000' }, 400],
      [{ object: 'lab.nowhere' }, 404],
    ] as const) {
      expect((await send('POST', '/views', { ...definition, ...wrong }, mine)).status, JSON.stringify(wrong)).toBe(status);
    }
    expect((await send('DELETE', `/views/${id}`, undefined, mine)).status).toBe(204);
    expect((await send('GET', '/views?object=lab.nowhere', undefined, mine)).status).toBe(404);
  });
});

describe('the first run', () => {
  it('sets up an empty Kith once, whole or not at all', async () => {
    const fresh = await createTestWorld({ plugins: [lab], servers: [labServer] });
    try {
      await fresh.runtime.pool.query('delete from kith."user"');
      const ask = async (body: unknown): Promise<Answer> => (await fresh.request('POST', '/setup', { body })) as Answer;
      expect((await fresh.request('GET', '/setup')).body).toMatchObject({ needed: true, demo: false });
      const input = { organisation: 'Lab Ltd', language: 'de', name: 'Ann', email: 'ann@lab.example', password: PASSWORD };
      const before = await stateOf(fresh.runtime.pool);
      for (const wrong of [{ password: 'short' }, { email: 'ann' }, { organisation: '' }, { language: 'xx' }, { name: 7 }]) {
        expect((await ask({ ...input, ...wrong })).status, JSON.stringify(wrong)).toBe(422);
      }
      expect(await stateOf(fresh.runtime.pool)).toEqual(before);
      const both = await Promise.all([ask(input), ask({ ...input, email: 'bob@lab.example' })]);
      expect(both.map((one) => one.status).sort()).toEqual([201, 409]);
      const cookie = cookieOf(both.find((one) => one.status === 201)!);
      const me = await fresh.request('GET', '/session', { headers: { cookie } });
      expect(me.body).toMatchObject({ principal: { roles: ['admin'] }, user: { language: 'de' } });
      expect((await fresh.request('GET', '/setup')).body).toMatchObject({ needed: false, organisation: { name: 'Lab Ltd' } });
    } finally {
      await fresh.close();
    }
  });
});
