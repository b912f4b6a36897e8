/** People from outside: invitations, signing in, what ends their access, links of guests, and the mail. */
import { once } from 'node:events';
import { company, definePlugin, guest, object, ref, role, text, user, type Principal, type Rec } from '@kith/sdk';
import { SMTPServer } from 'smtp-server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Mailer } from '../mail.ts';
import { createTestWorld, type TestWorld } from '../testing.ts';
import { stateOf } from '../testing/state.ts';

const ORIGIN = 'http://localhost:5173';
const PASSWORD = 'kith-kith-kith';

const trade = definePlugin({
  id: 'trade',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'collaborative',
  locales: {
    en: { 'plugin.trade': 'Trade', 'audience.supplier': 'Supplier', 'page.supplier.orders': 'Orders' },
    de: { 'plugin.trade': 'Handel', 'audience.supplier': 'Lieferant', 'page.supplier.orders': 'Bestellungen' },
  },
  objects: {
    firm: object({ icon: 'building', title: ['name'], fields: { name: text({ required: true }) } }),
    hidden: object({
      icon: 'lock',
      title: ['name'],
      fields: { name: text({ required: true }) },
      access: { read: role('admin') },
    }),
    order: object({
      icon: 'box',
      title: ['number'],
      fields: { number: text(), firm: ref('trade.firm', { mode: 'restricted' }), owner: user() },
    }),
  },
  audiences: {
    supplier: { icon: 'factory', of: 'trade.firm' },
    recipient: { icon: 'package' },
  },
  portals: {
    supplier: {
      objects: { 'trade.order': { rows: company('firm'), read: ['number'] } },
      pages: { orders: { object: 'trade.order', icon: 'box', columns: ['number'], sort: ['number'] } },
      start: { changed: ['trade.order'] },
    },
    recipient: { objects: { 'trade.order': { rows: guest, read: ['number'] } } },
  },
});

let world: TestWorld;
let exotic: Rec;
let tokyo: Rec;
let order: Rec;

beforeAll(async () => {
  world = await createTestWorld({ plugins: [trade], servers: [{ plugin: trade }] });
  const firm = world.object('trade.firm');
  exotic = await world.runtime.records.create(world.actor, firm, { name: 'Exotic Liquids' });
  tokyo = await world.runtime.records.create(world.actor, firm, { name: 'Tokyo Traders' });
  order = await world.runtime.records.create(world.actor, world.object('trade.order'), { number: '1' });
});
afterAll(() => world.close());

interface Answer {
  status: number;
  body: { code?: string; errors?: { field: string; code: string }[]; url?: string } & Record<string, unknown>;
  headers: Headers;
}
type Headed = Record<string, string>;
const send = async (method: string, path: string, body?: unknown, headers: Headed = {}): Promise<Answer> =>
  (await world.request(method, path, { ...(body === undefined ? {} : { body }), headers })) as Answer;
const headed = (cookie: string): Headed => ({ cookie: cookie.split(';', 1)[0]!, origin: ORIGIN });
const as = async (id: string): Promise<Headed> => headed(await world.runtime.sessions.open(id));
const staff = (): Promise<Headed> => as(world.me.id);
const tokenOf = (answer: Answer): string => answer.body.url!.split('/').at(-1)!;

let count = 0;
/** Somebody of a company, come by the way that people come. */
async function join(firm: Rec, options: { admin?: boolean; email?: string } = {}): Promise<{ id: string; email: string; headers: Headed }> {
  const email = options.email ?? `person${++count}@outside.example`;
  const made = await send(
    'POST',
    '/partners/invitations',
    { company: firm.id, audience: 'supplier', email, name: 'P', admin: options.admin ?? false },
    await staff(),
  );
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  const accepted = await send('POST', `/invitations/${tokenOf(made)}`, { name: `Person ${count}`, password: PASSWORD });
  expect(accepted.status).toBe(201);
  const headers = headed(accepted.headers.get('set-cookie')!);
  const { body } = await send('GET', '/session', undefined, headers);
  return { id: (body.principal as Principal).id, email, headers };
}

describe('a partner', () => {
  it('comes by an invitation, and is told and known as one', async () => {
    const invitation = { company: exotic.id, audience: 'supplier', email: 'Eva@exotic.example', name: 'Eva', admin: true };
    const made = await send('POST', '/partners/invitations', invitation, await staff());
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({
      mailed: false,
      url: expect.stringMatching(/^http:\/\/localhost:5173\/invite\/[\w-]{43}$/) as string,
    });
    const said = await world.request('GET', `/invitations/${tokenOf(made)}`, { headers: { 'accept-language': 'de' } });
    expect(said.body).toEqual({
      email: 'Eva@exotic.example',
      name: 'Eva',
      audience: 'supplier',
      audienceLabel: 'Lieferant',
      companyName: 'Exotic Liquids',
      organisation: 'Kith',
    });
    const both = await Promise.all([1, 2].map(() => send('POST', `/invitations/${tokenOf(made)}`, { name: 'Eva', password: PASSWORD })));
    expect(both.map((one) => one.status).sort()).toEqual([201, 404]);
    const signedIn = await send('POST', '/session', { email: 'eva@exotic.example', password: PASSWORD });
    const partner = { id: exotic.id, name: 'Exotic Liquids', audience: 'supplier', admin: true };
    expect(signedIn.body).toMatchObject({ principal: { kind: 'partner', name: 'Eva', roles: [], partner }, user: { kind: 'partner' } });
    const headers = headed(signedIn.headers.get('set-cookie')!);
    expect((await send('GET', '/session', undefined, headers)).body.principal).toMatchObject({ kind: 'partner', partner });
    expect((await send('PATCH', '/profile', { language: 'de' }, headers)).body).toMatchObject({ kind: 'partner', language: 'de' });
    const portal = await send('GET', '/portal', undefined, headers);
    expect(portal.body).toEqual({
      audience: 'supplier',
      audienceLabel: 'Lieferant',
      host: { name: 'Kith' },
      partner: { id: exotic.id, name: 'Exotic Liquids' },
      person: { id: (signedIn.body.principal as Principal).id, name: 'Eva', admin: true },
      preview: false,
      pages: [{ id: 'orders', label: 'Bestellungen', object: 'trade.order', icon: 'box', columns: ['number'], sort: ['number'] }],
      start: { answer: [], late: [], changed: ['trade.order'] },
      since: null,
    });
  });

  it('is no staff: in no list of people, and on no route of the staff', async () => {
    const { id, headers } = await join(exotic, { admin: true });
    const people = (await send('GET', '/users', undefined, await staff())).body.data as { id: string }[];
    expect(people.map((one) => one.id)).not.toContain(id);
    expect((await send('PATCH', `/users/${id}`, { role: 'admin' }, await staff())).status).toBe(404);
    for (const [method, path] of [
      ['PATCH', `/records/trade.order/${order.id}`],
      ['POST', '/records/trade.order'],
    ] as const) {
      const refused = await send(method, path, { owner: id }, await staff());
      expect(refused.status).toBe(422);
      expect(refused.body.errors).toMatchObject([{ field: 'owner' }]);
    }
    const before = await stateOf(world.runtime.pool);
    for (const [method, path, body] of [
      ['GET', '/users'],
      ['GET', '/views?object=trade.order'],
      ['GET', '/bin?object=trade.order'],
      ['GET', '/organisation'],
      ['PATCH', '/organisation', { name: 'Mine' }],
      ['PATCH', `/users/${id}`, { role: 'admin' }],
      ['POST', '/users/invitations', { email: 'x@y.example', role: 'admin' }],
      ['GET', `/guests?object=trade.order&id=${order.id}`],
      ['POST', '/guests', { object: 'trade.order', id: order.id, audience: 'recipient', name: 'G' }],
    ] as const) {
      expect((await send(method, path, body, headers)).status, `${method} ${path}`).toBe(403);
    }
    expect(await stateOf(world.runtime.pool)).toEqual(before);
  });

  it('sees what changed since the visit before, which ends with a pause', async () => {
    const { id, headers } = await join(exotic);
    const visit = async (): Promise<unknown> => (await send('POST', '/portal/visit', {}, headers)).body.since;
    expect(await visit()).toBeNull();
    expect(await visit()).toBeNull();
    await world.runtime.pool.query(`update kith."user" set seen_at = '2026-01-05T10:00:00Z' where id = $1`, [id]);
    expect((await send('GET', '/portal', undefined, headers)).body.since).toBe('2026-01-05T10:00:00.000Z');
    expect(await visit()).toBe('2026-01-05T10:00:00.000Z');
    expect(await visit()).toBe('2026-01-05T10:00:00.000Z');
    expect((await send('GET', '/portal', undefined, await staff())).status).toBe(403);
    expect((await send('POST', '/portal/visit', {}, await staff())).status).toBe(403);
  });

  it('is refused from another site', async () => {
    const { headers } = await join(exotic, { admin: true });
    for (const origin of [undefined, 'https://evil.example']) {
      const { status, body } = await send('POST', '/portal/visit', {}, { cookie: headers.cookie!, ...(origin ? { origin } : {}) });
      expect({ status, code: body.code }).toEqual({ status: 403, code: 'wrong_origin' });
    }
  });
});

describe('an invitation of a partner', () => {
  it('refuses what does not fit, and changes nothing', async () => {
    const good = { company: exotic.id, audience: 'supplier', email: 'new@exotic.example', name: 'New' };
    const taken = await join(exotic);
    const headers = await staff();
    const before = await stateOf(world.runtime.pool);
    for (const [wrong, status, field] of [
      [{ email: 'x' }, 422, 'email'],
      [{ email: 7 }, 422, 'email'],
      [{ email: `${'x'.repeat(300)}@y.example` }, 422, 'email'],
      [{ email: 'a@b.example\r\nBcc: c@d.example' }, 422, 'email'],
      [{ name: 'x'.repeat(201) }, 422, 'name'],
      [{ name: 7 }, 422, 'name'],
      [{ audience: 'recipient' }, 422, 'audience'],
      [{ audience: 'king' }, 422, 'audience'],
      [{ company: order.id }, 422, 'company'],
      [{ company: 'x' }, 422, 'company'],
      [{ company: undefined }, 422, 'company'],
      [{ admin: 'yes' }, 422, 'admin'],
      [{ email: taken.email.toUpperCase() }, 409, undefined],
      [{ name: 'N\u0000' }, 400, undefined],
    ] as const) {
      const answer = await send('POST', '/partners/invitations', { ...good, ...wrong }, headers);
      expect(answer.status, JSON.stringify(wrong)).toBe(status);
      if (field) expect(answer.body.errors, JSON.stringify(wrong)).toMatchObject([{ field }]);
    }
    expect(await stateOf(world.runtime.pool)).toEqual(before);
  });

  it('is not for readers', async () => {
    const reader = await as((await world.person('Reader', 'reader')).id);
    const invitation = { company: exotic.id, audience: 'supplier', email: 'n@exotic.example', name: 'N' };
    expect((await send('POST', '/partners/invitations', invitation, reader)).status).toBe(403);
    expect((await send('GET', '/partners', undefined, reader)).status).toBe(200);
  });

  it('ends when its time is over, when a newer one is out, and when it is withdrawn', async () => {
    const headers = await staff();
    const ask = (): Promise<Answer> =>
      send('POST', '/partners/invitations', { company: exotic.id, audience: 'supplier', email: 'late@exotic.example', name: 'L' }, headers);
    const accept = (answer: Answer): Promise<Answer> => send('POST', `/invitations/${tokenOf(answer)}`, { name: 'L', password: PASSWORD });
    const [first, second] = [await ask(), await ask()];
    expect((await accept(first)).body.code).toBe('invitation_gone');
    await world.runtime.pool.query(`update kith.invitation set expires_at = now() - interval '1 second' where id = $1`, [second.body.id]);
    const before = await stateOf(world.runtime.pool);
    expect((await accept(second)).status).toBe(404);
    expect(await stateOf(world.runtime.pool)).toEqual(before);
    const third = await ask();
    const listed = (await send('GET', `/partners?company=${exotic.id}`, undefined, headers)).body.invitations as { id: string }[];
    expect(listed).toMatchObject([
      { id: third.body.id, email: 'late@exotic.example', companyName: 'Exotic Liquids', audience: 'supplier' },
    ]);
    expect((await send('DELETE', `/partners/invitations/${third.body.id as string}`, undefined, headers)).status).toBe(204);
    expect((await send('DELETE', `/partners/invitations/${third.body.id as string}`, undefined, headers)).status).toBe(404);
    expect((await accept(third)).status).toBe(404);
  });
});

describe('an administrator of a partner', () => {
  it('invites colleagues to the own company, and sees nobody else', async () => {
    const [boss, colleague, rival] = [await join(exotic, { admin: true }), await join(exotic), await join(tokyo, { admin: true })];
    for (const wrong of [{ company: tokyo.id }, { audience: 'recipient' }]) {
      const refused = await send('POST', '/partners/invitations', { email: 'c@exotic.example', name: 'C', ...wrong }, boss.headers);
      expect(refused.status).toBe(422);
    }
    const made = await send('POST', '/partners/invitations', { email: 'c@exotic.example', name: 'C' }, boss.headers);
    expect(made.status).toBe(201);
    const seen = await send('GET', '/partners', undefined, boss.headers);
    const companies = [...(seen.body.data as { company: string }[]), ...(seen.body.invitations as { company: string }[])];
    expect(new Set(companies.map((one) => one.company))).toEqual(new Set([exotic.id]));
    expect((await send('GET', `/partners?company=${tokyo.id}`, undefined, boss.headers)).status).toBe(404);
    expect((await send('GET', '/partners', undefined, colleague.headers)).status).toBe(403);
    expect((await send('POST', '/partners/invitations', { email: 'd@exotic.example', name: 'D' }, colleague.headers)).status).toBe(403);

    const before = await stateOf(world.runtime.pool);
    expect((await send('DELETE', `/partners/invitations/${made.body.id as string}`, undefined, rival.headers)).status).toBe(404);
    expect((await send('PATCH', `/partners/${colleague.id}`, { active: false }, rival.headers)).status).toBe(404);
    expect((await send('PATCH', `/partners/${boss.id}`, { active: false }, colleague.headers)).status).toBe(403);
    expect((await send('PATCH', `/partners/${boss.id}`, { active: false }, boss.headers)).status).toBe(403);
    expect((await send('PATCH', `/partners/${world.me.id}`, { active: false }, boss.headers)).status).toBe(404);
    for (const wrong of [{ active: 1 }, { admin: null, name: '' }, { name: 'x'.repeat(201) }, { company: exotic.id }, { role: 'admin' }])
      expect((await send('PATCH', `/partners/${colleague.id}`, wrong, boss.headers)).status, JSON.stringify(wrong)).toBe(422);
    expect((await send('PATCH', '/partners/x', { active: false }, boss.headers)).status).toBe(404);
    expect(await stateOf(world.runtime.pool)).toEqual(before);

    const changed = await send('PATCH', `/partners/${colleague.id}`, { admin: true, name: 'Carla' }, boss.headers);
    expect(changed.body).toMatchObject({ id: colleague.id, admin: true, name: 'Carla', companyName: 'Exotic Liquids' });
    expect((await send('GET', '/partners', undefined, colleague.headers)).status).toBe(200);
  });

  it('does not send mail without end', async () => {
    const firm = await world.runtime.records.create(world.actor, world.object('trade.firm'), { name: 'Mailers' });
    const boss = await join(firm, { admin: true });
    const invite = (n: number): Promise<Answer> =>
      send('POST', '/partners/invitations', { email: `m${n}@mailers.example`, name: 'M' }, boss.headers);
    for (let i = 0; i < 50; i++) expect((await invite(i)).status).toBe(201);
    const refused = await invite(50);
    expect(refused).toMatchObject({ status: 429, body: { code: 'too_many_invitations' } });
    expect(refused.headers.get('retry-after')).toBe('3600');
    // The staff may.
    const ofStaff = { company: firm.id, audience: 'supplier', email: 'm50@mailers.example', name: 'M' };
    expect((await send('POST', '/partners/invitations', ofStaff, await staff())).status).toBe(201);
  });

  it('leaves no way in behind when withdrawn', async () => {
    const boss = await join(exotic, { admin: true });
    const invited = await send('POST', '/partners/invitations', { email: 'friend@exotic.example', name: 'F' }, boss.headers);
    await world.runtime.pool.query(
      `insert into kith.ticket (hash, principal, kind, name, roles, record, object, facet, expires_at)
       values ('h', $1, 'partner', 'B', '{}', $2, 'trade.order', 'staff', now() + interval '1 minute')`,
      [boss.id, order.id],
    );
    const epoch = async (): Promise<number> =>
      (await world.runtime.pool.query<{ epoch: number }>('select epoch from kith.rights')).rows[0]!.epoch;
    const told: string[] = [];
    const stop = world.runtime.bus.hear('access', (who) => told.push(who));
    // Asked a moment before: what was believed then is not believed any more.
    expect((await send('GET', '/portal', undefined, boss.headers)).status).toBe(200);
    const was = await epoch();
    const answer = await send('PATCH', `/partners/${boss.id}`, { active: false }, await staff());
    expect(answer.body).toMatchObject({ active: false });
    expect(await epoch()).toBe(was + 1);
    expect(told).toContain(boss.id);
    stop();
    expect((await send('GET', '/portal', undefined, boss.headers)).status).toBe(401);
    expect((await send('POST', '/session', { email: boss.email, password: PASSWORD })).status).toBe(401);
    expect((await send('POST', `/invitations/${tokenOf(invited)}`, { name: 'F', password: PASSWORD })).status).toBe(404);
    const { rows } = await world.runtime.pool.query('select from kith.ticket where principal = $1', [boss.id]);
    expect(rows).toHaveLength(0);
    expect((await send('PATCH', `/partners/${boss.id}`, { active: true }, await staff())).status).toBe(200);
    expect((await send('GET', '/portal', undefined, boss.headers)).status).toBe(401);
    expect((await send('POST', '/session', { email: boss.email, password: PASSWORD })).status).toBe(200);
  });

  it('is out in every process as soon as the withdrawal is committed', async () => {
    const other = await world.another();
    const { id, headers } = await join(exotic);
    const elsewhere = async (): Promise<number> =>
      (await other.api.handle(new Request('http://kith.internal/api/v1/portal', { headers }), { ip: '::1' })).status;
    expect(await elsewhere()).toBe(200);
    await send('PATCH', `/partners/${id}`, { active: false }, await staff());
    expect(await elsewhere()).toBe(401);
  });
});

describe('a guest', () => {
  let headers: Headed;
  beforeAll(async () => {
    headers = await staff();
  });
  const make = async (more: Record<string, unknown> = {}): Promise<Answer> =>
    send('POST', '/guests', { object: 'trade.order', id: order.id, audience: 'recipient', name: 'Receiver', ...more }, headers);
  const open = (answer: Answer): Promise<Answer> => send('POST', '/session', { guest: tokenOf(answer) });

  it('opens one record by a link, until it ends', async () => {
    const made = await make({ days: 2 });
    expect(made.status).toBe(201);
    expect(made.body.url).toMatch(/^http:\/\/localhost:5173\/guest\/[\w-]{43}$/);
    const opened = await open(made);
    expect(opened.status).toBe(200);
    expect(opened.headers.get('set-cookie')).toMatch(/^kith_session=guest\.[\w-]{43};.*HttpOnly.*/);
    expect(Number(/Max-Age=(\d+)/.exec(opened.headers.get('set-cookie')!)![1])).toBeLessThanOrEqual(2 * 86_400);
    const theirs = headed(opened.headers.get('set-cookie')!);
    const me = await send('GET', '/session', undefined, theirs);
    expect(me.body).toEqual({ principal: { id: made.body.id, kind: 'guest', name: 'Receiver', roles: [] } });
    const portal = await send('GET', '/portal', undefined, theirs);
    expect(portal.body).toMatchObject({
      audience: 'recipient',
      partner: null,
      record: { object: 'trade.order', id: order.id },
      since: null,
      pages: [],
    });
    expect((await send('POST', '/portal/visit', {}, theirs)).body).toEqual({ since: null });
    for (const path of ['/users', '/partners', '/profile']) expect((await send('GET', path, undefined, theirs)).status, path).toBe(403);
    const listed = await send('GET', `/guests?object=trade.order&id=${order.id}`, undefined, headers);
    expect(listed.body.data).toMatchObject([{ id: made.body.id, name: 'Receiver', audience: 'recipient' }]);
    expect(JSON.stringify(listed.body)).not.toContain(tokenOf(made));
    const told: string[] = [];
    const stop = world.runtime.bus.hear('access', (who) => told.push(who));
    expect((await send('DELETE', `/guests/${made.body.id as string}`, undefined, headers)).status).toBe(204);
    stop();
    expect(told).toEqual([made.body.id]);
    expect((await send('GET', '/portal', undefined, theirs)).status).toBe(401);
    expect((await open(made)).status).toBe(404);
    expect((await send('DELETE', `/guests/${made.body.id as string}`, undefined, headers)).status).toBe(404);
    expect((await send('DELETE', '/session', undefined, theirs)).status).toBe(401);
  });

  it('loses the link to a record in the bin too', async () => {
    const binned = await world.runtime.records.create(world.actor, world.object('trade.order'), { number: '2' });
    const made = await make({ id: binned.id });
    await world.runtime.records.remove(world.actor, world.object('trade.order'), binned.id);
    expect((await send('DELETE', `/guests/${made.body.id as string}`, undefined, headers)).status).toBe(204);
    expect((await open(made)).status).toBe(404);
  });

  it('is not let in when the link is too old, unknown or no text', async () => {
    const made = await make();
    await world.runtime.pool.query(`update kith.guest set expires_at = now() - interval '1 second' where id = $1`, [made.body.id]);
    expect((await open(made)).body.code).toBe('link_gone');
    for (const wrong of ['x', '', 7, null, {}]) expect((await send('POST', '/session', { guest: wrong })).status).toBe(404);
    expect((await send('GET', '/session', undefined, { cookie: 'kith_session=guest.' })).status).toBe(401);
  });

  it('is asked for with what fits only', async () => {
    const before = await stateOf(world.runtime.pool);
    for (const [wrong, status] of [
      [{ audience: 'supplier' }, 422],
      [{ audience: 7 }, 422],
      [{ name: ' ' }, 422],
      [{ days: 0 }, 422],
      [{ days: 366 }, 422],
      [{ days: '3' }, 422],
      [{ object: 'trade.firm', id: exotic.id }, 422],
      [{ object: 'trade.nowhere' }, 404],
      [{ id: exotic.id }, 404],
      [{ id: 'x' }, 404],
    ] as const) {
      expect((await make(wrong)).status, JSON.stringify(wrong)).toBe(status);
    }
    expect(await stateOf(world.runtime.pool)).toEqual(before);
    const reader = await as((await world.person('Reads', 'reader')).id);
    const ask = { object: 'trade.order', id: order.id, audience: 'recipient', name: 'G' };
    expect((await send('POST', '/guests', ask, reader)).status).toBe(403);
    const secret = await world.runtime.records.create(world.actor, world.object('trade.hidden'), { name: 'secret' });
    const member = await as((await world.person('Member')).id);
    expect((await send('POST', '/guests', { ...ask, object: 'trade.hidden', id: secret.id }, member)).status).toBe(404);
  });
});

describe('the mail of an invitation', () => {
  interface Server {
    url: string;
    mails: string[];
    refuse: boolean;
    close: () => Promise<void>;
  }
  async function mailServer(): Promise<Server> {
    const state: Server = { url: '', mails: [], refuse: false, close: () => Promise.resolve() };
    const server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      onData: (stream, _session, done) => {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', () => {
          if (state.refuse) return done(new Error('no room'));
          state.mails.push(Buffer.concat(chunks).toString());
          done();
        });
      },
    });
    server.listen(0, '127.0.0.1');
    await once(server.server, 'listening');
    const address = server.server.address();
    if (typeof address !== 'object' || !address) throw new Error('no port');
    state.url = `smtp://127.0.0.1:${address.port}?from=crm%40host.example`;
    state.close = () => new Promise((resolve) => server.close(resolve));
    return state;
  }
  /** What a mail says, its transfer encoding undone. */
  const readable = (mail: string): string =>
    mail.replace(/=\r\n/g, '').replace(/(=[0-9A-F]{2})+/g, (run) => Buffer.from(run.replaceAll('=', ''), 'hex').toString());

  it('goes out in the language that is asked for; one that fails keeps the invitation', async () => {
    const server = await mailServer();
    const env = { ...world.runtime.env, smtpUrl: server.url };
    const node = await world.another({ env });
    const cookie = await staff();
    const ask = async (body: Record<string, unknown>): Promise<{ url: string; mailed: boolean }> => {
      const response = await node.api.handle(
        new Request('http://kith.internal/api/v1/partners/invitations', {
          method: 'POST',
          headers: { ...cookie, 'content-type': 'application/json' },
          body: JSON.stringify({ company: exotic.id, audience: 'supplier', name: 'Éva <Bold>', ...body }),
        }),
        { ip: '::1' },
      );
      expect(response.status).toBe(201);
      return (await response.json()) as { url: string; mailed: boolean };
    };
    try {
      const german = await ask({ email: 'eva@mail.example', language: 'de' });
      expect(german.mailed).toBe(true);
      const mail = readable(server.mails[0]!);
      expect(mail).toMatch(/^From: crm@host\.example$/m);
      expect(mail).toContain('eva@mail.example');
      expect(mail).toContain('Guten Tag Éva <Bold>,');
      expect(mail).toContain('Guten Tag Éva &lt;Bold&gt;,');
      expect(mail).toContain('Exotic Liquids');
      expect(mail).toContain(german.url);
      await ask({ email: 'eve@mail.example' });
      expect(readable(server.mails[1]!)).toContain('Hello Éva <Bold>,');
      server.refuse = true;
      const failed = await ask({ email: 'later@mail.example' });
      expect(failed.mailed).toBe(false);
      expect((await send('POST', `/invitations/${failed.url.split('/').at(-1)!}`, { name: 'L', password: PASSWORD })).status).toBe(201);
      expect(server.mails).toHaveLength(2);
    } finally {
      await server.close();
    }
    expect((await ask({ email: 'nobody@mail.example' })).mailed).toBe(false);
  });

  it('is not sent where no server is named', async () => {
    const mailer = new Mailer(undefined, 'localhost', () => undefined);
    expect(await mailer.send({ to: { name: 'A', address: 'a@b.example' }, subject: 's', text: 't', html: 'h' })).toBe(false);
  });
});
