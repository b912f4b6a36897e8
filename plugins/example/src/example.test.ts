// #region test
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createTestWorld, type TestWorld } from '@kith/core/testing';
import { catalogueProblems, type Rec } from '@kith/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { daysOf, feeOf } from './fee.ts';
import { example } from './plugin.ts';
import { server } from './server.ts';

let world: TestWorld;
beforeAll(async () => {
  world = await createTestWorld({ plugins: [server], as: 'member', clock: '2026-05-04T10:00:00Z', fetchAllow: ['127.0.0.1'] });
});
afterAll(() => world.close());

/** A drill that is lent to a company until the 6th, at 4.50 a day. */
async function lend(): Promise<{ drill: Rec; ann: Rec; loan: Rec }> {
  const { body: drill } = await world.api<Rec>('POST', '/records/example.equipment', {
    name: 'Drill',
    rate: { amount: '4.50', currency: 'EUR' },
  });
  const { body: ann } = await world.api<Rec>('POST', '/records/contacts.company', { name: 'Ann & Co', email: 'ann@example.com' });
  const { body: loan } = await world.api<Rec>('POST', '/records/example.loan', {
    equipment: drill.id,
    borrower: ann.id,
    from: '2026-05-04',
    due: '2026-05-06',
  });
  return { drill, ann, loan };
}
const act = (loan: Rec, action: string, input: object = {}): ReturnType<typeof world.api<Rec>> =>
  world.api<Rec>('POST', `/records/example.loan/${loan.id}/actions/${action}`, input);

describe('the lending desk', () => {
  it('has a text for everything that it declares', () => {
    expect(catalogueProblems(example)).toEqual([]);
  });

  it('lends what is there, once, and knows what it costs', async () => {
    const { drill, ann, loan } = await lend();
    expect(loan.fields).toMatchObject({ status: 'reserved', fee: { amount: '13.50', currency: 'EUR' } });
    expect((await act(loan, 'handOut')).body.fields.status).toBe('out');
    const { body: second } = await world.api<Rec>('POST', '/records/example.loan', {
      equipment: drill.id,
      borrower: ann.id,
      due: '2026-05-09',
    });
    expect((await act(second, 'handOut')).status).toBe(409);
    const { body: company } = await world.api<Rec>('GET', `/records/contacts.company/${ann.id}`);
    expect(company.fields.example__openLoans).toBe(2);
    expect((await act(loan, 'takeBack', { fine: false })).status).toBe(409);
    expect((await act(loan, 'takeBack', { fine: false, remark: 'Chuck is loose' })).body.fields).toMatchObject({
      status: 'back',
      note: 'Chuck is loose',
    });
    expect((await world.api<Rec>('GET', `/records/example.equipment/${drill.id}`)).body.fields).toMatchObject({ lent: false, loans: 2 });
  });
  // #endregion

  it('refuses what makes no sense', async () => {
    const { drill, ann, loan } = await lend();
    const backwards = await world.api('POST', '/records/example.loan', {
      equipment: drill.id,
      borrower: ann.id,
      from: '2026-05-04',
      due: '2026-05-01',
    });
    expect(backwards.status).toBe(422);
    expect((await act(loan, 'extend', { due: '2026-05-05' })).status).toBe(409);
    expect((await act(loan, 'extend', { due: '2026-05-10' })).body.fields.fee).toEqual({ amount: '31.50', currency: 'EUR' });
    const reader = await world.person('Ray', 'reader');
    expect((await world.api('POST', `/records/example.loan/${loan.id}/actions/handOut`, {}, reader)).status).toBe(403);
    expect((await world.api('DELETE', `/records/example.loan/${loan.id}`)).status).toBe(403);
  });

  it('reminds whoever is late, once in three days, and says how often', async () => {
    const { drill, loan } = await lend();
    await act(loan, 'handOut');
    expect(await world.mails()).toEqual([]);
    world.clock.set('2026-05-07T06:30:00Z');
    const mails = await world.mails();
    expect(mails.map(({ to, subject }) => [to, subject])).toEqual([
      [['ann@example.com'], `${String(loan.fields.number)} was due on 2026-05-06`],
    ]);
    world.clock.set('2026-05-08T06:30:00Z');
    expect(await world.mails()).toHaveLength(1);
    const asked = await world.api<{ times: number }>('GET', `/x/example/equipment/${drill.id}/reminders`);
    expect(asked.body).toEqual({ times: 1 });
    expect((await world.api('GET', '/x/example/equipment/nothing/reminders')).status).toBe(400);
    await act(loan, 'remind');
    expect(await world.mails()).toHaveLength(2);
    const told = (await world.events('example.loan')).filter(({ kind }) => kind === 'emitted');
    expect(told.map(({ record, event, data, changes }) => [record, event, data, changes])).toEqual([
      [loan.id, 'example.overdue', { days: 1 }, {}],
    ]);
  });

  it('takes back what a scanner has read, all or nothing', async () => {
    const [first, second] = [await lend(), await lend()];
    await act(first.loan, 'handOut');
    const key = await world.key('member');
    const scan = (body: string, type = 'text/plain'): ReturnType<typeof world.request> =>
      world.request('POST', '/x/example/scans', { key, body, headers: { 'content-type': type } });
    const [one, two] = [String(first.loan.fields.number), String(second.loan.fields.number)];
    expect((await scan(one, 'application/json')).status).toBe(415);
    // The second was never handed out.
    expect((await scan(`${one}\r\n${two}`)).status).toBe(409);
    const done = await scan(`${one}\nL-0`);
    expect([done.status, done.body]).toEqual([200, { back: 1, unknown: ['L-0'] }]);
    expect((await world.api<Rec>('GET', `/records/example.loan/${first.loan.id}`)).body.fields.status).toBe('back');
  });

  it('reads a list of equipment: all of it, or none of it with what is at fault', async () => {
    const key = await world.key('member');
    const bring = (body: string, headers: Record<string, string> = {}, as = key, name = 'list.csv'): ReturnType<typeof world.request> =>
      world.request('POST', `/importers/example.equipmentList?name=${name}`, {
        key: as,
        body,
        headers: { 'content-type': 'text/csv', ...headers },
      });
    const has = async (search: string): Promise<number> =>
      (await world.api<{ count: number }>('GET', `/records/example.equipment?search=${search}&count=exact`)).body.count;

    const bad = await bring('name,serial,kind,rate\nSaw,S-1,tool,12.50\nCrane,S-2,bird,1\n,S-3,tool,');
    expect([bad.status, bad.body]).toMatchObject([
      422,
      { errors: [{ field: 'line 3', message: expect.stringContaining('“bird”') as string }] },
    ]);
    const worse = await bring('name,serial,kind,rate\nSaw,S-1,tool,12.50\n,S-3,tool,-1');
    expect((worse.body as { errors: { field: string }[] }).errors.map(({ field }) => field).sort()).toEqual([
      'line 3, name',
      'line 3, rate',
    ]);
    // Two of one number: the second is at fault.
    const twice = await bring('name,serial\nSaw,S-1\nOther saw,S-1');
    expect([twice.status, twice.body]).toMatchObject([409, { errors: [{ field: 'line 3, serial' }] }]);
    expect(await has('saw')).toBe(0);
    for (const [body, status] of [
      ['', 400],
      ['colour\nred', 400],
      ['name,serial\n"open', 400],
    ] as const)
      expect((await bring(body)).status).toBe(status);
    expect((await bring('name\nSaw', {}, key, 'list.xlsx')).status).toBe(415);
    expect((await bring('name\nSaw', {}, await world.key('reader'))).status).toBe(403);

    const list = '\ufeffname,serial,kind,rate\r\n"Saw, big",S-1,tool,12.50\r\nLadder,,,\r\n';
    const done = await bring(list, { 'idempotency-key': 'one' });
    expect([done.status, done.body]).toMatchObject([201, { object: 'example.equipment', created: 2 }]);
    expect((await bring(list, { 'idempotency-key': 'one' })).body).toEqual(done.body);
    const { body } = await world.api<{ data: Rec[] }>('GET', '/records/example.equipment?search=saw');
    expect(body.data.map(({ fields }) => fields)).toMatchObject([
      { name: 'Saw, big', kind: 'tool', rate: { amount: '12.50', currency: 'EUR' }, importedFrom: 'list.csv' },
    ]);
    const meta = await world.api<{ importers: object[] }>('GET', '/objects/example.equipment');
    expect(meta.body.importers).toEqual([{ name: 'example.equipmentList', label: 'List of equipment (CSV)', accepts: ['.csv'] }]);
  });

  it('keeps the slip of what was handed out, for those who may see the loan', async () => {
    const { ann, loan } = await lend();
    const slip = `/api/v1/x/example/loans/${loan.id}/slip`;
    const ask = async (key: string): Promise<Response> =>
      world.runtime.api.handle(new Request(`http://kith.internal${slip}`, { headers: { authorization: `Bearer ${key}` } }), {
        ip: '127.0.0.1',
      });
    const key = await world.key('reader');
    expect((await ask(key)).status).toBe(404);
    await act(loan, 'handOut');
    const answer = await ask(key);
    expect(await answer.text()).toContain('Drill\nfor Ann & Co');
    expect(answer.headers.get('content-disposition')).toBe(
      `attachment; filename="${String(loan.fields.number)}.txt"; filename*=UTF-8''${String(loan.fields.number)}.txt`,
    );
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    const borrower = await world.partner('borrower', ann.id);
    expect((await world.api('GET', `/x/example/loans/${loan.id}/slip`, undefined, borrower)).status).toBe(403);
  });

  it('goes by what administrators have set, and believes only a box that signs with its key', async () => {
    const settings = '/plugins/example/settings';
    const admin = await world.person('Adam', 'admin');
    expect((await world.api('GET', settings)).status).toBe(403);
    const set = await world.api('PATCH', settings, { holdDays: 1, closing: 'Open from 9 to 5.', boxKey: 'fifteen birds' }, admin);
    expect(set.status).toBe(200);
    expect(JSON.stringify(set.body)).not.toContain('fifteen');

    const { loan } = await lend();
    await act(loan, 'handOut');
    world.clock.set('2026-05-10T06:30:00Z');
    const { text: said } = (await world.mails()).find(({ subject }) => subject.startsWith(`${String(loan.fields.number)} `))!;
    expect(said.trim().split('\n').at(-1)).toBe('Open from 9 to 5.');
    world.clock.set('2026-05-11T06:30:00Z');
    const again = (await world.mails()).filter(({ subject }) => subject.startsWith(`${String(loan.fields.number)} `));
    expect(again).toHaveLength(2);
    expect((await world.api<{ times: number }>('GET', '/x/example/reminders', undefined, admin)).body.times).toBeGreaterThan(1);

    const number = String(loan.fields.number);
    const put = (signature: string): ReturnType<typeof world.request> =>
      world.request('POST', '/x/example/returns', {
        body: number,
        headers: { 'content-type': 'text/plain', 'desk-signature': signature },
      });
    const signed = (key: string): string => createHmac('sha256', key).update(number).digest('hex');
    expect((await put(signed('fifteen cats'))).status).toBe(403);
    expect((await put(signed('fifteen birds'))).body).toEqual({ back: 1, unknown: [] });
    await world.api('PATCH', settings, { holdDays: null, closing: null, boxKey: null }, admin);
    expect((await put(signed('fifteen birds'))).status).toBe(403);
  });

  it('watches the return box', async () => {
    const admin = await world.person('Alma', 'admin');
    const { loan } = await lend();
    await act(loan, 'handOut');
    const machine = createServer((_request, response) => response.end(`${String(loan.fields.number)}\nL-0`));
    await new Promise<void>((resolve) => machine.listen(0, '127.0.0.1', resolve));
    const address = `http://127.0.0.1:${(machine.address() as AddressInfo).port}/`;
    await world.api('PATCH', '/plugins/example/settings', { box: address }, admin);
    const status = async (): Promise<unknown> => (await world.api<Rec>('GET', `/records/example.loan/${loan.id}`)).body.fields.status;
    await expect.poll(status, { timeout: 10_000 }).toBe('back');
    const { body } = await world.api<{ services: object[] }>('GET', '/plugins/example', undefined, admin);
    expect(body.services).toMatchObject([{ label: 'Return box', state: 'running' }]);
    await world.api('PATCH', '/plugins/example/settings', { box: null }, admin);
    await new Promise((resolve) => machine.close(resolve));
  });

  it('lets those waive a fee who have the permission, as administrators give it', async () => {
    const [manager, admin] = [await world.person('Mona', 'manager'), await world.person('Abel', 'admin')];
    const { loan } = await lend();
    const waive = (who?: typeof manager): ReturnType<typeof world.api<Rec>> =>
      world.api<Rec>('POST', `/records/example.loan/${loan.id}/actions/waive`, { why: 'a regular' }, who);
    expect((await waive()).status).toBe(403);
    expect((await world.api('GET', '/x/example/waived')).status).toBe(403);
    expect((await waive(manager)).body.fields).toMatchObject({ waived: true, fee: null, note: 'a regular' });
    expect((await world.api('GET', '/x/example/waived', undefined, manager)).body).toEqual({
      count: 1,
      lost: [{ amount: '13.50', currency: 'EUR' }],
    });
    await world.api('PATCH', '/permissions', { permission: 'example.waive', role: 'member', allowed: true }, admin);
    expect((await waive()).status).toBe(409);
    expect((await world.api<{ principal: object }>('GET', '/session')).body.principal).toMatchObject({ permissions: ['example.waive'] });
  });

  it('tells the board of what is late', async () => {
    const posted: { key: string | undefined; body: string }[] = [];
    const chat = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        posted.push({ key: request.headers.authorization, body });
        response.end();
      });
    });
    await new Promise<void>((resolve) => chat.listen(0, '127.0.0.1', resolve));
    const { port } = chat.address() as AddressInfo;
    const admin = await world.person('Anna', 'admin');
    await world.api('PATCH', '/plugins/example/settings', { board: `http://127.0.0.1:${port}/late`, boardKey: 'four birds' }, admin);
    const { loan } = await lend();
    await act(loan, 'handOut');
    world.clock.set('2026-05-20T06:30:00Z');
    await world.settled();
    expect(posted).toMatchObject([{ key: 'Bearer four birds' }]);
    expect((JSON.parse(posted[0]!.body) as { loans: string[] }).loans).toContain(loan.fields.number);
    await world.api('PATCH', '/plugins/example/settings', { board: null, boardKey: null }, admin);
    await new Promise((resolve) => chat.close(resolve));
  });

  it('writes a text to a borrower’s phone, and files the answer with them once', async () => {
    const admin = await world.person('Otto', 'admin');
    await world.api('PATCH', '/plugins/example/settings', { textGateway: 'texts.example', textKey: 'three owls' }, admin);
    const { ann, loan } = await lend();
    const about = { object: 'example.loan', id: loan.id };
    const write = (): ReturnType<typeof world.api<{ queued: number; left: { reason: string }[] }>> =>
      world.api('POST', '/x/inbox/write', {
        channel: 'text',
        to: [{ object: 'contacts.company', id: ann.id }],
        about,
        purpose: 'service',
        body: 'Please bring it back.',
      });
    expect((await write()).body.left[0]!.reason).toBe('Ann & Co has no address for this channel.');
    await world.api('PATCH', `/records/contacts.company/${ann.id}`, { phone: '(030) 123-45' });
    expect((await write()).body.queued).toBe(1);
    const mail = (await world.mails()).at(-1)!;
    expect([mail.to, mail.text.trim()]).toEqual([['03012345@texts.example'], 'Please bring it back.']);
    const activities = async (id: string): Promise<unknown[]> => {
      const { body } = await world.api<{ data: Rec[] }>(
        'GET',
        `/records/contacts.activity?sort=at&filter=${encodeURIComponent(JSON.stringify({ field: 'about', op: 'eq', value: { object: id === loan.id ? 'example.loan' : 'contacts.company', id } }))}`,
      );
      return body.data.map(({ fields }) => [fields.kind, fields.direction, fields.subject]);
    };
    expect(await activities(loan.id)).toEqual([['message', 'out', 'Please bring it back.']]);

    const text = '030 12345\nt-1\nIt is on its way.';
    const post = (key: string): ReturnType<typeof world.request> =>
      world.request('POST', '/x/example/channels/text', {
        body: text,
        headers: { 'content-type': 'text/plain', 'desk-signature': createHmac('sha256', key).update(text).digest('hex') },
      });
    expect((await post('two owls')).status).toBe(403);
    expect([(await post('three owls')).status, (await post('three owls')).status]).toEqual([204, 204]);
    expect(await activities(ann.id)).toEqual([['message', 'in', 'It is on its way.']]);
    const { body: bell } = await world.api<{ data: { kind: string }[] }>('GET', '/notices');
    expect(bell.data.map(({ kind }) => kind)).toContain('inbox.received');
    // Switched off, nothing is taken; the gateway tries again later.
    await world.runtime.plugins.switch('example', false, null);
    expect((await post('three owls')).status).toBe(404);
    await world.runtime.plugins.switch('example', true, null);
    expect((await post('three owls')).status).toBe(204);
    await world.api('PATCH', '/plugins/example/settings', { textGateway: null, textKey: null }, admin);
  });

  it('lets borrowers see and extend what is theirs, and wish', async () => {
    const { ann, loan } = await lend();
    const other = await lend();
    const borrower = await world.partner('borrower', ann.id);
    const { body: seen } = await world.api<{ data: Rec[] }>('GET', '/records/example.loan', undefined, borrower);
    expect(seen.data.map(({ id }) => id)).toEqual([loan.id]);
    expect(Object.keys(seen.data[0]!.fields)).not.toContain('note');
    expect((await world.api('GET', `/records/example.loan/${other.loan.id}`, undefined, borrower)).status).toBe(404);
    expect((await world.api('PATCH', `/records/example.loan/${loan.id}`, { note: 'x' }, borrower)).status).toBe(422);
    const extended = await world.api<Rec>('POST', `/records/example.loan/${loan.id}/actions/extend`, { due: '2026-06-01' }, borrower);
    expect(extended.body.fields.due).toBe('2026-06-01');

    const admin = await world.person('Ada', 'admin');
    const wish = await world.api<Rec>('POST', '/records/example.wish', { what: 'A crane', loan: loan.id }, borrower);
    expect([wish.status, wish.body.fields.borrower]).toEqual([201, ann.id]);
    await world.settled();
    const { body: bell } = await world.api<{ data: { kind: string }[] }>('GET', '/notices', undefined, admin);
    expect(bell.data.map(({ kind }) => kind)).toContain('example.wish');
  });

  it('brings something to lend', async () => {
    const { seedDemo } = await import('@kith/core/runtime');
    await seedDemo(world.runtime, 'desk');
    const { body } = await world.api<{ data: Rec[] }>('GET', '/records/example.equipment?search=van');
    expect(body.data.map(({ fields }) => fields.serial)).toEqual(['V-3']);
  });
});

it.each([
  ['4.50', '2026-05-04', '2026-05-04', '4.50'],
  ['4.50', '2026-02-27', '2026-03-01', '13.50'],
  ['0.0333', '2026-05-04', '2026-05-06', '0.0999'],
  ['7', '2026-03-28', '2026-03-30', '21'],
])('%s a day from %s to %s is %s', (rate, from, due, fee) => {
  expect(feeOf({ amount: rate, currency: 'EUR' }, from, due)).toEqual({ amount: fee, currency: 'EUR' });
  expect(daysOf(from, due)).toBeGreaterThan(0);
});
