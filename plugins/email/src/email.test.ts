/** Mail with a real SMTP server: what it says, whom it goes to, whom it does not, and that it goes once. */
import type { AddressInfo } from 'node:net';
import { createTestWorld, type TestWorld } from '@kith/core/testing';
import { consent } from '@kith/plugin-consent/plugin';
import { server as consentServer } from '@kith/plugin-consent/server';
import { contacts } from '@kith/plugin-contacts/plugin';
import { server as contactsServer } from '@kith/plugin-contacts/server';
import { inbox } from '@kith/plugin-inbox/plugin';
import { server as inboxServer } from '@kith/plugin-inbox/server';
import { catalogueProblems, type Rec } from '@kith/sdk';
import { SMTPServer } from 'smtp-server';
import { afterEach, describe, expect, it } from 'vitest';
import { email } from './plugin.ts';
import { server } from './server.ts';

let world: TestWorld;
let smtp: SMTPServer | undefined;
let key: string;
let purposes: Map<string, string>;
/** What the mail server got, and how it answers. */
let got: { to: string; mail: string }[];
let answers: (to: string) => { code: number; message: string } | 'hang up' | undefined;

afterEach(async () => {
  await world.close();
  await new Promise<void>((resolve) => (smtp ? smtp.close(() => resolve()) : resolve()));
  smtp = undefined;
});

async function open(withServer = true): Promise<void> {
  got = [];
  answers = () => undefined;
  let smtpUrl: string | undefined;
  if (withServer) {
    smtp = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      logger: false,
      onData(stream, session, done) {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', () => {
          const to = session.envelope.rcptTo[0]!.address;
          const answer = answers(to);
          got.push({ to, mail: Buffer.concat(chunks).toString('utf8') });
          if (answer === 'hang up') (session as unknown as { socket?: never; id: string }).id = '';
          if (answer === 'hang up')
            for (const connection of smtp!.connections) (connection as unknown as { _socket: { destroy: () => void } })._socket.destroy();
          else done(answer ? Object.assign(new Error(answer.message), { responseCode: answer.code }) : null);
        });
      },
    });
    smtp.on('error', () => undefined);
    await new Promise<void>((resolve) => smtp!.listen(0, '127.0.0.1', resolve));
    smtpUrl = `smtp://127.0.0.1:${(smtp.server.address() as AddressInfo).port}/?from=crm@northwind.example`;
  }
  world = await createTestWorld({
    plugins: [contacts, consent, inbox, email],
    servers: [contactsServer, consentServer, inboxServer, server],
    roles: ['worker'],
    log: () => undefined,
    background: { lockMs: 1_500, retryMs: 20, lostMs: 300 },
    ...(smtpUrl === undefined ? {} : { smtpUrl }),
  });
  key = await world.key('admin');
  purposes = new Map((await list('consent.purpose')).map(({ id, fields }) => [fields.key as string, id]));
}

const make = (object: string, fields: Record<string, unknown>): Promise<Rec> =>
  world.runtime.records.create(world.actor, world.object(object), fields);
const list = async (object: string): Promise<Rec[]> =>
  (await world.runtime.query.list(world.me, world.object(object), { limit: 500, sort: ['createdAt'] })).data;
const person = (lastName: string, fields: Record<string, unknown> = {}): Promise<Rec> =>
  make('contacts.person', { firstName: 'Ann', lastName, email: `${lastName.toLowerCase()}@people.example`, ...fields });
const grant = (who: Rec, purpose: string, fields: Record<string, unknown> = {}): Promise<Rec> =>
  make('consent.consent', { person: who.id, purpose: purposes.get(purpose), source: 'test', ...fields });
interface Written {
  status: number;
  body: {
    queued: number;
    left: { recipient: { id: string }; status: string; reason: string }[];
    messages: { id: string; subject: string; body: string }[];
  };
}
const write = (to: readonly Rec[], more: Record<string, unknown>): Promise<Written> =>
  world.request('POST', '/x/inbox/write', {
    key,
    body: { to: to.map(({ object, id }) => ({ object, id })), ...more },
  }) as unknown as Promise<Written>;
async function until(what: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await what()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(
    `it did not come to that: ${JSON.stringify((await list('inbox.message')).map(({ fields }) => [fields.status, fields.reason]))} ${JSON.stringify((await world.runtime.pool.query('select handler, state, error from kith.job')).rows)}`,
  );
}
const done = (): Promise<void> =>
  until(async () => {
    const messages = await list('inbox.message');
    const { rowCount } = await world.runtime.pool.query(`select from kith.job where handler = 'inbox.deliver' and state <> 'parked'`);
    return messages.every(({ fields }) => fields.status !== 'queued') && rowCount === 0;
  });
const headerOf = (mail: string, name: string): string | undefined =>
  new RegExp(`^${name}: ?(.*(?:\\r\\n[ \\t].*)*)`, 'im')
    .exec(mail)?.[1]
    ?.replace(/\r\n[ \t]+/g, ' ')
    .trim();

describe('a mail', () => {
  it('goes out with its variables filled in, says how to be rid of it, and stands on the timeline', async () => {
    await open();
    const company = await make('contacts.company', { name: 'Ernst Handel', city: 'Graz' });
    const ann = await person('Mendel', { company: company.id });
    await grant(ann, 'newsletter');
    const template = await make('inbox.template', {
      name: 'News',
      purpose: purposes.get('newsletter'),
      subject: 'News for {{company.name}}',
      body: 'Dear {{person.firstName}} {{person.lastName}},\n\nsee https://northwind.example/news',
    });
    const { status, body } = await write([ann], { template: template.id });
    expect([status, body.queued, body.left]).toEqual([201, 1, []]);
    await done();
    expect(got).toHaveLength(1);
    const { to, mail } = got[0]!;
    expect(to).toBe('mendel@people.example');
    expect(headerOf(mail, 'Subject')).toBe('News for Ernst Handel');
    expect(headerOf(mail, 'From')).toMatch(/crm@northwind\.example>?$/);
    expect(headerOf(mail, 'To')).toBe('Ann Mendel <mendel@people.example>');
    expect(headerOf(mail, 'List-Unsubscribe-Post')).toBe('List-Unsubscribe=One-Click');
    const link = /^<(http:\/\/localhost:5173\/api\/v1(\/x\/inbox\/unsubscribe\/[\w-]+))>$/.exec(headerOf(mail, 'List-Unsubscribe') ?? '')!;
    expect(link).not.toBeNull();
    expect(mail).toContain('Dear Ann Mendel,');
    const [message] = await list('inbox.message');
    expect(message!.fields).toMatchObject({
      status: 'sent',
      reason: null,
      person: ann.id,
      address: 'mendel@people.example',
      purpose: 'newsletter',
    });
    expect(headerOf(mail, 'Message-ID')).toBe(message!.fields.messageId);
    expect((await list('contacts.activity'))[0]!.createdBy).toBe(message!.createdBy);
    expect(
      (await list('contacts.activity')).map(({ fields }) => [
        fields.kind,
        fields.direction,
        fields.subject,
        fields.about,
        fields.person,
        fields.inbox__message,
      ]),
    ).toEqual([['email', 'out', 'News for Ernst Handel', { object: 'contacts.person', id: ann.id }, ann.id, message!.id]]);
    // The timeline tells of it once, with the message behind the activity.
    const told = await world.request('GET', `/records/contacts.person/${ann.id}/timeline`, { key });
    const { data: items } = told.body as unknown as { data: { record?: Rec; behind?: Rec & { title: string } }[] };
    expect(items.flatMap(({ record, behind }) => (record?.object === 'contacts.activity' ? [[behind?.id, behind?.title]] : []))).toEqual([
      [message!.id, 'News for Ernst Handel'],
    ]);
    // Looking at the link changes nothing, for programs follow links; one POST does, and a second one no more.
    const path = link[2]!;
    expect((await world.runtime.api.handle(new Request(`http://kith.internal/api/v1${path}`), { ip: '1' })).status).toBe(200);
    expect((await list('consent.consent'))[0]!.fields.status).toBe('granted');
    for (let i = 0; i < 2; i++) {
      const response = await world.runtime.api.handle(
        new Request(`http://kith.internal/api/v1${path}`, {
          method: 'POST',
          body: 'List-Unsubscribe=One-Click',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
        }),
        { ip: '1' },
      );
      expect(response.status).toBe(200);
    }
    expect((await list('consent.consent')).map(({ fields }) => [fields.status, fields.source])).toEqual([['withdrawn', 'Link in a mail']]);
    const again = await write([ann], { template: template.id });
    expect(again.body.left).toMatchObject([{ status: 'held', reason: 'Consent for “Newsletter” was withdrawn.' }]);
    expect((await world.request('POST', '/x/inbox/unsubscribe/nobody', { body: {} })).status).toBe(404);
    await done();
    expect(got).toHaveLength(1);
  });

  it('leaves out who did not agree, has no address, or for whom a variable is missing, and says why', async () => {
    await open();
    const people = {
      good: await person('Good', { title: 'Dr' }),
      none: await person('None', { title: 'Dr' }),
      expired: await person('Expired', { title: 'Dr' }),
      nowhere: await person('Nowhere', { title: 'Dr', email: null }),
      untitled: await person('Untitled'),
    };
    for (const who of [people.good, people.nowhere, people.untitled]) await grant(who, 'newsletter');
    await grant(people.expired, 'newsletter', { expires: '2020-01-01' });
    const all = Object.values(people);
    const text = { purpose: 'newsletter', subject: 'For {{person.title}}', body: 'x' };
    const before = await write(all, { ...text, preview: true });
    expect(before.status).toBe(200);
    expect(await list('inbox.message')).toEqual([]);
    const { body } = await write(all, text);
    expect(body.left).toHaveLength(before.body.left.length);
    const reasons = Object.fromEntries(
      Object.entries(people).map(([name, { id }]) => [name, body.left.find(({ recipient }) => recipient.id === id)?.reason]),
    );
    expect(reasons).toEqual({
      good: undefined,
      none: 'No consent for “Newsletter”.',
      expired: 'Consent for “Newsletter” has expired.',
      nowhere: 'Ann Nowhere has no e-mail address.',
      untitled: 'There is no value for {{person.title}}.',
    });
    await done();
    expect(got.map(({ to }) => to)).toEqual(['good@people.example']);
    // What a contract asks for needs no consent; an unknown purpose is none.
    expect((await write([people.none], { purpose: 'service', subject: 'Your order', body: 'x' })).body.queued).toBe(1);
    expect((await write([people.none], { purpose: 'nothing', subject: 'x', body: 'x' })).body.left[0]!.reason).toBe(
      'There is no purpose “nothing”.',
    );
    expect((await write([people.none], { subject: 'x' })).status).toBe(422);
  });

  it('is not sent when consent is withdrawn while it waits', async () => {
    await open();
    const ann = await person('Waits');
    const given = await grant(ann, 'newsletter');
    await make('inbox.message', { recipient: { object: 'contacts.person', id: ann.id }, purpose: 'newsletter', subject: 'x', body: 'y' });
    await world.runtime.pool.query(`update consent.consent set status = 'withdrawn' where id = $1`, [given.id]);
    await done();
    expect((await list('inbox.message'))[0]!.fields).toMatchObject({ status: 'held', reason: expect.stringMatching(/withdrawn/) });
    expect(got).toEqual([]);
  });

  it('is tried again when the server asks for it, given up when it refuses, and never sent twice when nobody knows', async () => {
    await open();
    const tries = new Map<string, number>();
    answers = (to) => {
      tries.set(to, (tries.get(to) ?? 0) + 1);
      if (to.startsWith('busy')) return tries.get(to)! < 3 ? { code: 451, message: 'Come again' } : undefined;
      if (to.startsWith('gone')) return { code: 550, message: 'No such person here' };
      return to.startsWith('lost') ? 'hang up' : undefined;
    };
    const all = [await person('Busy'), await person('Gone'), await person('Lost')];
    const { body } = await write(all, { purpose: 'correspondence', subject: 'Hello', body: 'x' });
    expect(body.queued).toBe(3);
    await done();
    const ends = new Map((await list('inbox.message')).map(({ fields }) => [fields.address, [fields.status, fields.reason]]));
    expect(ends.get('busy@people.example')).toEqual(['sent', null]);
    expect(ends.get('gone@people.example')).toEqual(['failed', expect.stringMatching(/No such person here/)]);
    expect(ends.get('lost@people.example')).toEqual(['unknown', expect.stringMatching(/not sent again/)]);
    expect(Object.fromEntries(tries)).toEqual({ 'busy@people.example': 3, 'gone@people.example': 1, 'lost@people.example': 1 });
    // What may have arrived stands on the timeline; what was refused does not.
    expect(await list('contacts.activity')).toHaveLength(2);
  });

  it('stays in the house where there is no mail server, and can be looked at there', async () => {
    await open(false);
    const ann = await person('Home');
    await write([ann], { purpose: 'correspondence', subject: 'Hello', body: 'x' });
    await done();
    expect((await list('inbox.message')).map(({ fields }) => fields.status)).toEqual(['kept']);
    expect(await list('contacts.activity')).toHaveLength(1);
  });

  it('waits while its channel is off, and goes out once when that is back', async () => {
    await open();
    const ann = await person('Later');
    await world.runtime.plugins.switch('email', false, null);
    expect((await write([ann], { purpose: 'correspondence', subject: 'Hello', body: 'x' })).status).toBe(422);
    await make('inbox.message', {
      recipient: { object: 'contacts.person', id: ann.id },
      purpose: 'correspondence',
      subject: 'Hello',
      body: 'y',
    });
    const statuses = async (): Promise<unknown[]> => (await list('inbox.message')).map(({ fields }) => fields.status);
    await until(async () => (await statuses())[0] === 'waiting');
    const minute = (): Promise<unknown> =>
      world.runtime.pool.query(`update kith.schedule set next = now() - interval '1 second' where name = 'inbox.waiting'`);
    await minute();
    await until(
      async () =>
        (await world.runtime.pool.query(`select from kith.schedule where name = 'inbox.waiting' and next > now()`)).rowCount === 1,
    );
    expect([await statuses(), got]).toEqual([['waiting'], []]);
    // Looking for what may go is no failure where no channel is there at all.
    await until(async () => (await world.runtime.pool.query(`select from kith.job where handler = 'inbox.waiting'`)).rowCount === 0);
    await world.runtime.plugins.switch('email', true, null);
    await minute();
    await until(async () => (await statuses())[0] === 'sent');
    expect(got.map(({ to }) => to)).toEqual(['later@people.example']);
    expect(await list('contacts.activity')).toHaveLength(1);
  });

  it('goes to a company through its people where it has no address', async () => {
    await open();
    const [with_, without] = [
      await make('contacts.company', { name: 'A', email: 'office@a.example' }),
      await make('contacts.company', { name: 'B' }),
    ];
    await person('One', { company: without.id });
    await person('Two', { company: without.id });
    await write([with_, without], { purpose: 'correspondence', subject: 'Hello {{company.name}}', body: 'x' });
    await done();
    expect(got.map(({ to }) => to).sort()).toEqual(['office@a.example', 'one@people.example', 'two@people.example']);
  });

  it('cannot smuggle headers in', async () => {
    await open();
    const ann = await person('Header', { firstName: 'Ann\u2028Bcc: all@people.example' }).catch(() => person('Header'));
    const { status } = await write([ann], { purpose: 'correspondence', subject: 'Hello\r\nBcc: all@people.example', body: 'x' });
    await done();
    expect([201, 422]).toContain(status);
    for (const { mail } of got) expect(headerOf(mail, 'Bcc')).toBeUndefined();
  });
});

it('comes in the morning to whoever wants what is unread by mail, once a day', async () => {
  await open();
  const nancy = await world.person('Nancy Davolio');
  await world.runtime.pool.query(`insert into kith.notice_choice (person, kind, wanted) values ($1, 'digest', true)`, [nancy.id]);
  // Wherever it is past seven now.
  const zone = new Date().getUTCHours() >= 7 ? 'UTC' : 'Asia/Tokyo';
  await world.runtime.pool.query(`update kith."user" set time_zone = $2 where id = $1`, [nancy.id, zone]);
  await make('contacts.task', { title: 'Call', owner: nancy.id });
  await until(async () => (await world.runtime.pool.query('select from kith.notice')).rowCount === 1);
  for (let round = 0; round < 2; round++) {
    await world.runtime.pool.query(`update kith.schedule set next = now() - interval '1 minute' where name = 'inbox.digests'`);
    await until(
      async () =>
        got.length === 1 &&
        (await world.runtime.pool.query(`select from kith.schedule where name = 'inbox.digests' and next > now()`)).rowCount === 1,
    );
  }
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(got.map(({ to }) => to)).toEqual(['nancy.davolio@test.example']);
  expect(headerOf(got[0]!.mail, 'Subject')).toBe('One thing waits for you');
  expect(got[0]!.mail).toContain('Assigned to you');
});

it('has all its words', () => {
  for (const plugin of [consent, inbox, email]) expect(catalogueProblems(plugin)).toEqual([]);
});
