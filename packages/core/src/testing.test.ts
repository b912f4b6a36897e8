/** The world that a plugin's test gets in one line. */
import { action, date, definePlugin, defineServer, email, need, object, text, type Json, type Rec } from '@kith/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestWorld, type TestWorld } from './testing.ts';
import { mailServer } from './testing/mails.ts';
import { works } from './testing/works.ts';
import { Mailer } from './mail.ts';

const desk = definePlugin({
  id: 'desk',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'operational',
  needs: [need(works, '^1.0.0')],
  locales: { en: { 'plugin.desk': 'Desk' } },
  objects: {
    loan: object({
      icon: 'x',
      title: ['name'],
      fields: { name: text({ required: true }), mail: email(), due: date({ indexed: true }), state: text({ mode: 'derived' }) },
      actions: { lend: action({ input: { due: date({ required: true }) } }) },
    }),
  },
});
const server = defineServer(desk, {
  actions: {
    loan: {
      lend: async ({ record, input }, ctx) => {
        await ctx.queue('remind', { id: record.id }, { due: `${input.due}T08:00:00Z` });
        return { due: input.due };
      },
    },
  },
  consumers: {
    count: {
      objects: ['desk.loan'],
      handle: async (events, ctx) => {
        for (const { kind, record } of events) if (kind === 'created') await ctx.asPlugin.patch('desk.loan', record, { state: 'seen' });
      },
    },
  },
  jobs: {
    remind: {
      prepare: async (job, ctx) => {
        const { id } = job.data as { id: string };
        const { fields } = await ctx.asPlugin.get('desk.loan', id);
        return fields.mail === 'broken@example.com' ? Promise.reject(new Error('It cannot be done.')) : { to: fields.mail, id };
      },
      tries: 2,
      call: (data, { services }) => {
        const { to } = data as { to: string };
        return services.mail.send({
          to: { name: 'Ann', address: to },
          subject: 'Bring it back – bitte schön',
          text: 'Grüße,\n\nKith = here',
        });
      },
      finish: async (job, outcome, ctx) => {
        await ctx.asPlugin.patch('desk.loan', (job.data as { id: string }).id, { state: outcome.state });
      },
    },
    nightly: {
      schedule: '0 3 * * *',
      run: async (_jobs, ctx) => void (await ctx.asPlugin.create('desk.loan', { name: `night of ${ctx.clock().toISOString()}` })),
    },
  },
});

let world: TestWorld;
beforeAll(async () => {
  world = await createTestWorld({ plugins: [server], as: 'member', clock: '2026-05-01T10:00:00Z' });
});
afterAll(() => world.close());

describe('a test’s world', () => {
  it('has what the plugin needs, and its actor acts through every door', async () => {
    expect([...world.runtime.model.plugins.keys()].sort()).toEqual(['desk', 'works']);
    const made = await world.run(desk, (ctx) => ctx.records.create('desk.loan', { name: 'Drill' }));
    const { status, body } = await world.api<Rec>('GET', `/records/desk.loan/${made.id}`);
    expect([status, body.fields.name, body.createdBy]).toEqual([200, 'Drill', world.me.id]);
    expect((await world.api('POST', '/records/desk.loan', { name: 'Saw' }, await world.person('Ray', 'reader'))).status).toBe(403);
  });

  it('tells what was told, does what was queued when its time has come, and keeps the mail', async () => {
    const { body: loan } = await world.api<Rec>('POST', '/records/desk.loan', { name: 'Ladder', mail: 'ann@example.com' });
    await world.api('POST', `/records/desk.loan/${loan.id}/actions/lend`, { due: '2026-05-04' });
    const told = (await world.events('desk.loan')).filter(({ record }) => record === loan.id).map(({ kind }) => kind);
    expect(told).toEqual(expect.arrayContaining(['created', 'acted', 'changed']));
    expect(await world.mails()).toEqual([]);
    world.clock.move({ days: 3 });
    const [mail, ...more] = await world.mails();
    expect(more).toEqual([]);
    expect(mail).toMatchObject({ to: ['ann@example.com'], subject: 'Bring it back – bitte schön', text: 'Grüße,\n\nKith = here' });
    const { body } = await world.api<Rec>('GET', `/records/desk.loan/${loan.id}`);
    expect(body.fields.state).toBe('sent');
    const { body: nights } = await world.api<{ data: Rec[] }>('GET', '/records/desk.loan?search=&sort=createdAt');
    expect(nights.data.filter(({ fields }) => String(fields.name).startsWith('night of 2026-05-04T10'))).toHaveLength(1);
  });

  it('says the error of a job that was given up', async () => {
    const { body: loan } = await world.api<Rec>('POST', '/records/desk.loan', { name: 'Rope', mail: 'broken@example.com' });
    await world.api('POST', `/records/desk.loan/${loan.id}/actions/lend`, { due: '2026-05-01' });
    await expect(world.settled()).rejects.toThrow('desk.remind was given up: It cannot be done.');
  });

  it('reads mails with text and HTML', async () => {
    const smtp = await mailServer();
    const mailer = new Mailer(smtp.url, 'kith.example', () => undefined);
    await mailer.send({
      to: { name: 'Änne', address: 'a@example.com' },
      subject: 'Willkommen, Änne',
      text: 'Über 100 €',
      html: '<p>Über 100 €</p>',
    });
    expect(smtp.mails[0]).toMatchObject({ subject: 'Willkommen, Änne', text: 'Über 100 €', html: '<p>Über 100 €</p>' } satisfies Json);
    mailer.close();
    await smtp.close();
  });
});
