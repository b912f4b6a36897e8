/** Who may call what: made from the table of routes, so that a new route without a case here fails. */
import { Validator } from '@seriousme/openapi-schema-validator';
import { ROLES, type Principal, type Rec, type Role } from '@kith/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestWorld, type TestWorld } from '../testing.ts';
import { lab, labServer } from '../testing/lab.ts';
import { stateOf } from '../testing/state.ts';
import { routes, type Route } from './routes.ts';

const ORIGIN = 'http://localhost:5173';
const PASSWORD = 'correct horse';

/** Everybody who may knock: nobody, people of each role, keys of each role. */
interface Caller {
  name: string;
  role: Role | undefined;
  via: 'cookie' | 'key' | 'nothing';
}
const callers: Caller[] = [
  { name: 'nobody', role: undefined, via: 'nothing' },
  ...ROLES.flatMap((role): Caller[] => [
    { name: role, role, via: 'cookie' },
    { name: `a key of a ${role}`, role, via: 'key' },
  ]),
];

let world: TestWorld;
const people = new Map<Role, Principal>();
const keys = new Map<Role, string>();
let admin: string;

beforeAll(async () => {
  world = await createTestWorld({ plugins: [lab], servers: [labServer] });
  for (const role of ROLES) {
    const id = await world.runtime.sessions.createUser({ email: `${role}@access.example`, name: role, role, password: PASSWORD });
    people.set(role, { id, kind: 'staff', name: role, roles: [role] });
    keys.set(role, await world.key(role));
  }
  admin = keys.get('admin')!;
});
afterAll(() => world.close());

const make = async (): Promise<Rec> =>
  (await world.request('POST', '/records/lab.sample', { key: admin, body: { name: 'one', amount: 1 } })).body as Rec;
const binned = async (): Promise<Rec> => {
  const rec = await make();
  await world.request('DELETE', `/records/lab.sample/${rec.id}`, { key: admin });
  return rec;
};
const invite = async (): Promise<string> => {
  const email = `${Math.random().toString(36).slice(2)}@invited.example`;
  return (await world.runtime.sessions.invite(people.get('admin')!, { email, name: 'New', role: 'reader' })).secret;
};
const viewOf = async (caller: Caller): Promise<string> => {
  const definition = { object: 'lab.sample', name: 'mine', type: 'table', columns: ['name'] };
  // A view of one's own; nobody's is the administrator's.
  const key = caller.via === 'key' ? keys.get(caller.role!)! : undefined;
  const headers = caller.via === 'cookie' ? await cookieOf(caller.role!) : {};
  const options = caller.via === 'nothing' ? { key: admin } : { ...(key ? { key } : {}), headers };
  return ((await world.request('POST', '/views', { ...options, body: definition })).body as { id: string }).id;
};
const cookieOf = async (role: Role): Promise<Record<string, string>> => ({
  cookie: (await world.runtime.sessions.open(people.get(role)!.id)).split(';', 1)[0]!,
  origin: ORIGIN,
});

/** Who is let in besides what the route's own access says: `write` is everybody but readers, `outside` nobody of the staff. */
type Right = 'all' | 'write' | 'lead' | 'outside';
interface Case {
  right?: Right;
  /** The answer for those who are let in; 200 unless told. */
  status?: number;
  path: (caller: Caller) => Promise<string> | string;
  body?: (caller: Caller) => unknown;
}
const sample = async (): Promise<string> => `/records/lab.sample/${(await make()).id}`;

const cases: Record<string, Case> = {
  'POST /session': { path: () => '/session', body: () => ({ email: 'admin@access.example', password: PASSWORD }) },
  'GET /session': { path: () => '/session' },
  'DELETE /session': { path: () => '/session', status: 204 },
  'GET /objects': { path: () => '/objects' },
  'GET /objects/{object}': { path: () => '/objects/lab.sample' },
  'GET /records/{object}': { path: () => '/records/lab.sample?count=exact' },
  'POST /records/{object}': { path: () => '/records/lab.sample', right: 'write', status: 201, body: () => ({ name: 'x' }) },
  'POST /records/{object}/batch': { path: () => '/records/lab.sample/batch', right: 'write', body: () => ({ create: [{ name: 'x' }] }) },
  'GET /records/{object}/{id}': { path: sample },
  'PATCH /records/{object}/{id}': { path: sample, right: 'write', body: () => ({ amount: 2 }) },
  'DELETE /records/{object}/{id}': { path: sample, right: 'write', status: 204 },
  'POST /records/{object}/{id}/restore': { path: async () => `/records/lab.sample/${(await binned()).id}/restore`, right: 'write' },
  'POST /records/{object}/{id}/actions/{name}': { path: async () => `${await sample()}/actions/close`, right: 'lead', body: () => ({}) },
  'GET /records/{object}/{id}/history': { path: async () => `${await sample()}/history` },
  'POST /records/{object}/{id}/revert': {
    right: 'write',
    path: async () => {
      const rec = await make();
      await world.request('PATCH', `/records/lab.sample/${rec.id}`, { key: admin, body: { amount: 5 } });
      revertTo = rec.createdAt;
      return `/records/lab.sample/${rec.id}/revert`;
    },
    body: () => ({ at: revertTo }),
  },
  'GET /records/{object}/{id}/timeline': { path: async () => `${await sample()}/timeline` },
  'GET /bin': { path: () => '/bin?object=lab.sample' },
  'GET /search': { path: () => '/search?q=one' },
  'POST /collab/ticket': { path: () => '/collab/ticket', body: () => ({ object: 'lab.sample', id: standing.id }) },
  'GET /events': { path: () => '/events?object=lab.sample' },
  'GET /users': { path: () => '/users' },
  'PATCH /users/{id}': { path: () => `/users/${colleague}`, body: () => ({ role: 'reader' }) },
  'POST /users/invitations': {
    path: () => '/users/invitations',
    status: 201,
    body: (caller) => ({ email: `${caller.via}@new.example`, name: 'N', role: 'member' }),
  },
  'GET /invitations/{token}': { path: async () => `/invitations/${await invite()}` },
  'POST /invitations/{token}': {
    path: async () => `/invitations/${await invite()}`,
    status: 201,
    body: () => ({ name: 'N', password: PASSWORD }),
  },
  'GET /profile': { path: () => '/profile' },
  'PATCH /profile': { path: () => '/profile', body: () => ({ theme: 'dark' }) },
  'POST /profile/password': { path: () => '/profile/password', status: 204, body: () => ({ current: PASSWORD, next: PASSWORD }) },
  'GET /permissions': { path: () => '/permissions' },
  'PATCH /permissions': { path: () => '/permissions', body: () => ({ object: 'lab.thing', role: 'reader', read: true }) },
  'GET /views': { path: () => '/views?object=lab.sample' },
  'POST /views': {
    path: () => '/views',
    status: 201,
    body: () => ({ object: 'lab.sample', name: 'v', type: 'table', columns: ['name'], filter: { field: 'amount', op: 'gt', value: 1 } }),
  },
  'PATCH /views/{id}': { path: async (caller) => `/views/${await viewOf(caller)}`, body: () => ({ name: 'renamed' }) },
  'DELETE /views/{id}': { path: async (caller) => `/views/${await viewOf(caller)}`, status: 204 },
  'GET /setup': { path: () => '/setup' },
  'POST /setup': {
    path: () => '/setup',
    status: 409,
    body: () => ({ organisation: 'O', language: 'en', name: 'N', email: 'n@o.example', password: PASSWORD }),
  },
  'GET /organisation': { path: () => '/organisation' },
  'PATCH /organisation': { path: () => '/organisation', body: () => ({ name: 'Laboratory' }) },
  'GET /openapi.json': { path: () => '/openapi.json' },
  'GET /notices': { path: () => '/notices' },
  'POST /notices/read': { path: () => '/notices/read', body: () => ({}) },
  'GET /notices/choices': { path: () => '/notices/choices' },
  'PATCH /notices/choices': { path: () => '/notices/choices', body: () => ({ digest: true }) },
  'GET /jobs': { path: () => '/jobs?state=parked' },
  'GET /jobs/summary': { path: () => '/jobs/summary' },
  'POST /jobs/{id}/replay': { path: () => `/jobs/${standing.id}/replay`, status: 404, body: () => ({}) },
  'DELETE /jobs/{id}': { path: () => `/jobs/${standing.id}`, status: 404 },
  'POST /jobs/replay': { path: () => '/jobs/replay', body: () => ({ handler: 'lab.nothing' }) },
  'POST /jobs/drop': { path: () => '/jobs/drop', body: () => ({ handler: 'lab.nothing' }) },
  'GET /plugins': { path: () => '/plugins' },
  'GET /plugins/{id}': { path: () => '/plugins/lab' },
  'GET /plugins/{id}/settings': { path: () => '/plugins/lab/settings' },
  'PATCH /plugins/{id}/settings': { path: () => '/plugins/lab/settings', body: () => ({}) },
  'POST /plugins/{id}/enable': { path: () => '/plugins/lab/enable', body: () => ({}) },
  'POST /plugins/{id}/disable': { path: () => '/plugins/nothing/disable', status: 404, body: () => ({}) },
  'POST /plugins/{id}/purge': { path: () => '/plugins/lab/purge', status: 409, body: () => ({ confirm: 'lab' }) },
  'POST /importers/{importer}': { path: () => '/importers/lab.names', right: 'write', status: 201, body: () => ({ names: ['one'] }) },
  'GET /partners': { path: () => '/partners' },
  // This laboratory has no partners: whoever may ask is told what does not fit.
  'POST /partners/invitations': { path: () => '/partners/invitations', right: 'write', status: 422, body: () => ({}) },
  'DELETE /partners/invitations/{id}': { path: () => `/partners/invitations/${standing.id}`, right: 'write', status: 404 },
  'PATCH /partners/{id}': { path: () => `/partners/${standing.id}`, right: 'write', status: 404, body: () => ({ active: false }) },
  'GET /guests': { path: () => `/guests?object=lab.sample&id=${standing.id}` },
  'POST /guests': { path: () => '/guests', right: 'write', status: 422, body: () => ({ object: 'lab.sample', id: standing.id }) },
  'DELETE /guests/{id}': { path: () => `/guests/${standing.id}`, right: 'write', status: 404 },
  'GET /portal': { path: () => '/portal', right: 'outside' },
  'POST /portal/visit': { path: () => '/portal/visit', right: 'outside' },
};
let revertTo = '';
let standing: Rec;
let colleague: string;
beforeAll(async () => {
  standing = await make();
  colleague = (await world.person('Colleague')).id;
});

/** What a caller must get, said once and independently of the server's own code. */
function expected(route: Route, { right = 'all', status = 200 }: Case, { role, via }: Caller): number {
  if (route.access === 'public') return status;
  if (role === undefined) return 401;
  if (route.access === 'person' && via === 'key') return 403;
  if (route.access === 'admin' && role !== 'admin') return 403;
  if (route.access === 'lead' && role !== 'admin' && role !== 'manager') return 403;
  if (right === 'write' && role === 'reader') return 403;
  if (right === 'outside') return 403;
  if (right === 'lead' && role !== 'admin' && role !== 'manager') return 403;
  return status;
}

describe('every route', () => {
  it('says who may call it, and has a case here', () => {
    for (const route of routes) {
      expect(['public', 'anyone', 'person', 'staff', 'lead', 'admin'], `${route.method} ${route.path} needs an access`).toContain(
        route.access,
      );
    }
    expect(Object.keys(cases).sort()).toEqual(routes.map((route) => `${route.method} ${route.path}`).sort());
  });

  for (const route of routes) {
    const name = `${route.method} ${route.path}`;
    it(`${name} lets in whom it should, and nobody else changes anything`, async () => {
      const one = cases[name]!;
      for (const caller of callers) {
        const path = await one.path(caller);
        const headers = caller.via === 'cookie' ? await cookieOf(caller.role!) : undefined;
        const key = caller.via === 'key' ? keys.get(caller.role!) : undefined;
        const before = await stateOf(world.runtime.pool);
        const { status, body } = await world.request(route.method, path, {
          ...(key ? { key } : {}),
          ...(headers ? { headers } : {}),
          ...(one.body ? { body: one.body(caller) } : {}),
        });
        const wanted = expected(route, one, caller);
        expect(status, `${caller.name}: ${JSON.stringify(body)}`).toBe(wanted);
        if (wanted >= 400) expect(await stateOf(world.runtime.pool), caller.name).toEqual(before);
      }
    });
  }

  it('lets nobody in with a key that is unknown or revoked', async () => {
    const { id, key } = await world.runtime.sessions.createKey({ name: 'short-lived', role: 'admin' });
    for (const authorization of ['Bearer kith_unknown', 'Bearer ', 'Basic eDp5', `Bearer ${key}x`, key]) {
      for (const route of routes.filter((one) => one.access !== 'public')) {
        const path = route.path.replace('{object}', 'lab.sample').replace(/\{\w+\}/g, standing.id);
        const { status } = await world.request(route.method, path, { headers: { authorization } });
        expect(status, `${authorization} ${route.path}`).toBe(401);
      }
    }
    expect((await world.request('GET', '/session', { key })).status).toBe(200);
    await world.runtime.pool.query('update kith.api_key set revoked_at = now() where id = $1', [id]);
    world.runtime.sessions.forget();
    expect((await world.request('GET', '/session', { key })).status).toBe(401);
  });

  it('takes writes by cookie from its own origin only', async () => {
    for (const route of routes.filter((one) => one.method !== 'GET')) {
      const { cookie } = await cookieOf('admin');
      for (const origin of [undefined, 'null', 'https://evil.example', 'http://localhost:5173.evil.example', 'http://localhost:5174']) {
        if (route.access === 'public' && origin === undefined) continue;
        const path = route.path.replace('{object}', 'lab.sample').replace(/\{\w+\}/g, standing.id);
        const before = await stateOf(world.runtime.pool);
        const { status, body } = await world.request(route.method, path, {
          headers: { cookie: cookie!, ...(origin ? { origin } : {}) },
          body: {},
        });
        expect({ status, code: (body as { code: string }).code }, `${route.method} ${route.path} from ${origin}`).toEqual({
          status: 403,
          code: 'wrong_origin',
        });
        expect(await stateOf(world.runtime.pool)).toEqual(before);
      }
    }
  });
});

describe('openapi.json', () => {
  it('is valid, and names every route and every object', async () => {
    const { body } = await world.request('GET', '/openapi.json');
    const { valid, errors } = await new Validator().validate(structuredClone(body) as Record<string, unknown>);
    expect(errors ?? []).toEqual([]);
    expect(valid).toBe(true);
    const { paths, components } = body as {
      paths: Record<string, Record<string, unknown>>;
      components: { schemas: Record<string, unknown> };
    };
    for (const route of routes) {
      expect(paths[route.path.replace('{object}', route.path.startsWith('/records/') ? 'lab.sample' : '{object}')]).toHaveProperty(
        route.method.toLowerCase(),
      );
    }
    for (const object of world.runtime.model.objects.values()) expect(components.schemas).toHaveProperty([object.name]);
    const refs = [...JSON.stringify(body).matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map((match) => match[1]!);
    for (const name of refs) expect(components.schemas).toHaveProperty([name]);
  });
});
