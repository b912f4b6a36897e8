/** Named permissions of plugins: who has them, wherever they are asked for, and that a change holds at once. */
import {
  action,
  allOf,
  anyOf,
  buildModel,
  definePlugin,
  defineServer,
  need,
  not,
  object,
  owner,
  permission,
  role,
  ROLES,
  text,
  user,
  type Principal,
  type Rec,
  type Role,
} from '@kith/sdk';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { BootError, modelOf, type Runtime } from '../runtime.ts';
import { createTestWorld, type TestWorld } from '../testing.ts';
import { shop, shopServer } from '../testing/yard.ts';

const bank = definePlugin({
  id: 'bank',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'operational',
  needs: [need(shop, '^1.0.0')],
  locales: { en: { 'plugin.bank': 'Bank', 'permission.audit': 'Look into everything', 'permission.close': 'Close accounts' } },
  permissions: { audit: { roles: ['manager'] }, close: { roles: ['member', 'manager'] } },
  objects: {
    account: object({
      icon: 'x',
      title: ['name'],
      fields: { name: text(), who: user({ default: 'creator', mode: 'restricted' }) },
      access: { read: anyOf(owner('who'), permission('audit')), delete: allOf(permission('close'), not(role('reader'))) },
      actions: { close: action({ permission: permission('close') }) },
    }),
  },
});
const server = defineServer(bank, {
  actions: { account: { close: () => ({ name: 'closed' }) } },
  routes: [
    { method: 'GET', path: '/audit', access: { permission: 'audit' }, summary: 'x', handle: () => Promise.resolve({ body: 'all' }) },
  ],
});

let world: TestWorld;
let other: Runtime;
let people: Record<Role, Principal>;
let account: Rec;
beforeEach(async () => {
  world = await createTestWorld({ plugins: [shop, bank], servers: [shopServer, server] });
  other = await world.another();
  people = Object.fromEntries(await Promise.all(ROLES.map(async (one) => [one, await world.person(one, one)]))) as typeof people;
  account = (await world.api<Rec>('POST', '/records/bank.account', { name: 'A' })).body;
  await until(() => world.runtime.bus.peers === 1 && other.bus.peers === 1);
});
afterEach(() => world.close());

const until = async (what: () => boolean): Promise<void> => expect.poll(what, { timeout: 5_000, interval: 10 }).toBe(true);
const give = (permission: string, to: Role, allowed: boolean, as?: Principal): ReturnType<typeof world.api> =>
  world.api('PATCH', '/permissions', { permission, role: to, allowed }, as);
/** What each role gets. */
const each = async (method: string, path: string, body?: object): Promise<Record<string, number>> =>
  Object.fromEntries(await Promise.all(ROLES.map(async (one) => [one, (await world.api(method, path, body, people[one])).status])));
const statusThere = async (who: Principal): Promise<number> => {
  const cookie = (await other.sessions.open(who.id)).split(';', 1)[0]!;
  const url = 'http://kith.internal/api/v1/x/bank/audit';
  return (await other.api.handle(new Request(url, { headers: { cookie } }), { ip: '127.0.0.1' })).status;
};

it('stands for the roles that have it: in rules, actions and routes', async () => {
  const at = `/records/bank.account/${account.id}`;
  expect(await each('GET', at)).toEqual({ admin: 200, manager: 200, member: 404, reader: 404 });
  expect(await each('GET', '/x/bank/audit')).toEqual({ admin: 200, manager: 200, member: 403, reader: 403 });
  const own = async (who: Principal): Promise<Rec> => (await world.api<Rec>('POST', '/records/bank.account', { name: 'B' }, who)).body;
  expect((await world.api('POST', `/records/bank.account/${(await own(people.member)).id}/actions/close`, {}, people.member)).status).toBe(
    200,
  );
  await give('bank.close', 'member', false);
  expect((await world.api('POST', `/records/bank.account/${(await own(people.member)).id}/actions/close`, {}, people.member)).status).toBe(
    403,
  );
  expect((await world.api('DELETE', `/records/bank.account/${(await own(people.member)).id}`, undefined, people.member)).status).toBe(403);
  // Lists go by it as single records do.
  const { body } = await world.api<{ data: Rec[] }>('GET', '/records/bank.account', undefined, people.member);
  expect(body.data.every(({ fields }) => fields.who === people.member.id)).toBe(true);
  await give('bank.audit', 'member', true);
  expect(await each('GET', at)).toMatchObject({ member: 200, reader: 404 });
  const { body: meta } = await world.api<{ actions: { allowed: boolean }[] }>('GET', '/objects/bank.account', undefined, people.member);
  expect(meta.actions[0]!.allowed).toBe(false);
});

it('is changed by administrators, at once in every process, and tells each their own', async () => {
  expect(await statusThere(people.member)).toBe(403);
  expect((await give('bank.audit', 'member', true)).body).toMatchObject({
    name: 'bank.audit',
    label: 'Look into everything',
    pluginLabel: 'Bank',
    roles: { admin: true, manager: true, member: true, reader: false },
    declared: { admin: true, manager: true, member: false, reader: false },
  });
  await expect.poll(() => statusThere(people.member)).toBe(200);
  await give('bank.audit', 'manager', false);
  await expect.poll(() => statusThere(people.manager)).toBe(403);
  const mine = async (who: Principal): Promise<unknown> =>
    (await world.api<{ principal: { permissions: string[] } }>('GET', '/session', undefined, who)).body.principal.permissions;
  expect([await mine(people.admin), await mine(people.manager), await mine(people.reader)]).toEqual([
    ['bank.audit', 'bank.close'],
    ['bank.close'],
    [],
  ]);
  // A new process knows it too.
  expect((await world.another()).permissions.of(people.member)).toEqual(['bank.audit', 'bank.close']);
});

it('refuses a change that makes no sense', async () => {
  expect((await give('bank.audit', 'member', true, people.manager)).status).toBe(403);
  for (const body of [
    { permission: 'bank.nothing', role: 'member', allowed: true },
    { permission: 'bank.audit', role: 'boss', allowed: true },
    { permission: 'bank.audit', role: 'admin', allowed: false },
    { permission: 'bank.audit', role: 'member', allowed: 'yes' },
    { permission: 'bank.audit', role: 'member', allowed: true, read: true },
    { permission: null, role: 'member', allowed: true },
  ])
    expect((await world.api('PATCH', '/permissions', body)).status, JSON.stringify(body)).toBe(422);
  expect((await world.runtime.pool.query('select from kith.named_permission')).rowCount).toBe(0);
});

it('is gone while its plugin is off, and comes back as it was', async () => {
  await give('bank.audit', 'member', true);
  await world.api('POST', '/plugins/bank/disable', {});
  expect((await world.api<{ named: object[] }>('GET', '/permissions')).body.named).toEqual([]);
  expect((await give('bank.audit', 'member', false)).status).toBe(422);
  expect(world.runtime.permissions.of(people.admin)).toEqual([]);
  await world.api('POST', '/plugins/bank/enable', {});
  expect(await each('GET', '/x/bank/audit')).toEqual({ admin: 200, manager: 200, member: 200, reader: 403 });
  // Rules made anew by the switch follow what is changed after it.
  await give('bank.close', 'member', false);
  await give('bank.audit', 'member', false);
  expect(await each('POST', `/records/bank.account/${account.id}/actions/close`, {})).toEqual({
    admin: 200,
    manager: 200,
    member: 404,
    reader: 404,
  });
});

it('does not start with a route that names another', () => {
  const route = { method: 'GET', path: '/x', access: { permission: 'adit' }, summary: 'x', handle: () => Promise.resolve({}) } as const;
  const wrong = { ...server, routes: [route] };
  expect(() => modelOf([shop, bank], [shopServer, wrong])).toThrow(BootError);
  expect(() => modelOf([shop, bank], [shopServer, wrong])).toThrow(
    'Plugin "bank": route GET /x names the permission "adit"; declare it under permissions',
  );
  expect(buildModel([shop, bank]).permissions.get('bank.audit')!.roles).toEqual(['admin', 'manager']);
});
