import { createTestWorld, type TestWorld } from '@kith/core/testing';
import { contacts } from '@kith/plugin-contacts/plugin';
import { server as contactsServer } from '@kith/plugin-contacts/server';
import { action, definePlugin, defineServer, object, text, type AnyPlugin, type AnyServer, type Rec, type Workflow } from '@kith/sdk';
import { afterEach, describe, expect, it } from 'vitest';
import { automation } from './plugin.ts';
import { server } from './server.ts';

let world: TestWorld;
let now: Date;
afterEach(() => world.close());

async function open(more: { plugins?: AnyPlugin[]; servers?: AnyServer[]; limitMs?: number } = {}): Promise<void> {
  now = new Date('2026-03-02T09:00:00Z');
  world = await createTestWorld({
    plugins: [contacts, automation, ...(more.plugins ?? [])],
    servers: [contactsServer, server, ...(more.servers ?? [])],
    roles: ['worker'],
    clock: () => now,
    log: () => undefined,
    background: { lockMs: 1_500, retryMs: 20, lostMs: 300, ...(more.limitMs === undefined ? {} : { limitMs: more.limitMs }) },
  });
}

const make = (object: string, fields: Record<string, unknown>): Promise<Rec> =>
  world.runtime.records.create(world.actor, world.object(object), fields);
const patch = (rec: Rec, fields: Record<string, unknown>): Promise<Rec> =>
  world.runtime.records.patch(world.actor, world.object(rec.object), rec.id, fields);
const workflow = (definition: Workflow, more: Record<string, unknown> = {}): Promise<Rec> =>
  make('automation.workflow', { name: 'Test', enabled: true, definition: JSON.stringify(definition), ...more });
const list = async (object: string, filter?: object): Promise<Rec[]> =>
  (
    await world.runtime.query.list(world.me, world.object(object), {
      ...(filter ? { filter: filter as never } : {}),
      limit: 500,
      sort: ['createdAt'],
    })
  ).data;
const runs = (): Promise<Rec[]> => list('automation.run');
const tasks = (): Promise<Rec[]> => list('contacts.task');
const quiet = async (): Promise<void> => {
  const { rows } = await world.runtime.pool.query<{ busy: boolean }>(
    `select exists (select from kith.outbox) or exists (select from kith.schedule where next <= $1) or
    exists (select from kith.consumer where name = 'automation.triggers' and position < (select last from kith.event_counter)) or
    exists (select from kith.job where state <> 'parked' and due <= $1) as busy`,
    [now],
  );
  if (rows[0]!.busy) throw new Error('busy');
};
async function settled(): Promise<void> {
  for (let calm = 0, i = 0; calm < 2; i++) {
    if (i > 800)
      throw new Error(
        `it never came to rest: ${JSON.stringify((await world.runtime.pool.query('select handler, state, attempts, error, due from kith.job')).rows)}`,
      );
    calm = await quiet().then(
      () => calm + 1,
      () => 0,
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
const later = async (minutes: number): Promise<void> => {
  now = new Date(now.getTime() + minutes * 60_000);
  await settled();
};
const stepsOf = async (
  run: Rec,
): Promise<{ key: string; status: string; input: unknown; output: Record<string, unknown> | null; error: string | null }[]> =>
  ((await world.request('GET', `/x/automation/runs/${run.id}`, { key: await world.key() })).body as { steps: never }).steps;

const COMPANY = 'contacts.company';

const meter = definePlugin({
  id: 'meter',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'operational',
  locales: { en: { 'plugin.meter': 'Meters' } },
  objects: { meter: object({ icon: 'gauge', title: ['name'], fields: { name: text() } }) },
  events: { high: { object: 'meter' }, low: { object: 'meter' } },
});

it('is set off by what a plugin tells of a record that fits, once for each time', async () => {
  await open({ plugins: [meter], servers: [defineServer(meter, {})] });
  const condition = { field: 'name', op: 'eq', value: 'Boiler' } as const;
  await workflow({
    trigger: { on: 'event', object: 'meter.meter', event: 'high' },
    condition,
    steps: [{ id: 'look', kind: 'task', subject: 'Look at {{record.name}}' }],
  });
  const [boiler, lamp] = [await make('meter.meter', { name: 'Boiler' }), await make('meter.meter', { name: 'Lamp' })];
  await world.run(meter, async (ctx) => {
    for (const event of ['high', 'low'] as const) for (const { id } of [boiler, lamp]) await ctx.emit(event, id);
  });
  await settled();
  expect((await tasks()).map(({ fields }) => fields.title)).toEqual(['Look at Boiler']);
  expect((await runs()).map(({ fields }) => fields.trigger)).toEqual(['event meter.high']);
  const definition = { trigger: { on: 'event', object: 'meter.meter', event: 'hihg' }, steps: [] };
  const { body } = await world.request('POST', '/x/automation/check', { key: await world.key(), body: { definition } });
  expect((body as { problems: { path: string; message: string }[] }).problems).toContainEqual(
    expect.objectContaining({ path: 'trigger.event', message: expect.stringContaining('has no event “hihg”') as string }),
  );
});

describe('a workflow', () => {
  it('goes through its steps once for each record that sets it off, and says what went in and out', async () => {
    await open();
    const flow = await workflow({
      trigger: { on: 'created', object: COMPANY },
      condition: { field: 'country', op: 'eq', value: 'Norway' },
      steps: [
        { id: 'hello', kind: 'task', subject: 'Call {{record.name}}', owner: { path: 'record.owner' }, dueInDays: 3 },
        { id: 'mark', kind: 'change', fields: { industry: 'Fish', region: 'Task {{steps.hello.title}}' } },
        { id: 'note', kind: 'create', object: 'contacts.activity', fields: { kind: 'note', subject: 'Met', about: null } },
      ],
    });
    const norway = await make(COMPANY, { name: 'Santé', country: 'Norway' });
    await make(COMPANY, { name: 'Other', country: 'Spain' });
    await settled();
    expect(await tasks()).toMatchObject([
      {
        fields: {
          title: 'Call Santé',
          owner: world.me.id,
          due: '2026-03-05',
          about: { object: COMPANY, id: norway.id },
          automation__workflow: flow.id,
        },
      },
    ]);
    const [run] = await runs();
    expect(run).toMatchObject({
      fields: { workflow: flow.id, status: 'done', about: { object: COMPANY, id: norway.id }, trigger: 'created', error: null },
    });
    expect((await runs()).length).toBe(1);
    expect((await stepsOf(run!)).map(({ key, status }) => [key, status])).toEqual([
      ['hello', 'done'],
      ['mark', 'done'],
      ['note', 'done'],
    ]);
    const after = await world.runtime.records.get(world.me, world.object(COMPANY), norway.id);
    expect(after.fields).toMatchObject({ industry: 'Fish', region: 'Task Call Santé' });
    // The ledger says which run it was.
    const { data } = await world.runtime.history(world.me, world.object(COMPANY), norway.id, 10);
    expect(data[0]).toMatchObject({ cause: { kind: 'workflow', id: run!.id } });
  });

  it('acts on a change from one value to another, and on hundreds at once', async () => {
    await open();
    await workflow({
      trigger: { on: 'changed', object: 'contacts.task', field: 'status', from: 'open', to: 'done' },
      steps: [{ id: 'a', kind: 'create', object: COMPANY, fields: { name: 'After {{record.title}}' } }],
    });
    const made = await world.runtime.records.createMany(
      world.actor,
      world.object('contacts.task'),
      Array.from({ length: 300 }, (_, i) => ({ title: `t${i}` })),
    );
    await world.runtime.records.batch(world.actor, world.object('contacts.task'), {
      create: [],
      update: made.map(({ id }, i) => ({ id, fields: i % 3 === 0 ? { priority: 'high' } : { status: 'done' } })),
      delete: [],
    });
    await settled();
    const names = (await list(COMPANY)).map(({ fields }) => fields.name);
    expect(names).toHaveLength(200);
    expect(new Set(names).size).toBe(200);
    expect((await runs()).every(({ fields }) => fields.status === 'done')).toBe(true);
  });

  it('keeps one open task of its own about a record', async () => {
    await open();
    await workflow({
      trigger: { on: 'changed', object: COMPANY, field: 'city' },
      steps: [{ id: 't', kind: 'task', subject: 'Look', once: true }],
    });
    const company = await make(COMPANY, { name: 'A' });
    for (const city of ['Oslo', 'Bergen', 'Trondheim']) await patch(company, { city });
    await settled();
    expect(await tasks()).toHaveLength(1);
    await patch((await tasks())[0]!, { status: 'done' });
    await patch(company, { city: 'Tromsø' });
    await settled();
    expect((await tasks()).map(({ fields }) => fields.status).sort()).toEqual(['done', 'open']);
    expect((await runs()).map(({ fields }) => fields.status)).toEqual(['done', 'done', 'done', 'done']);
  });

  it('waits for a time, for a condition, branches, and goes over what belongs to a record', async () => {
    await open();
    await workflow({
      trigger: { on: 'created', object: COMPANY },
      steps: [
        { id: 'wait', kind: 'wait', hours: 2 },
        {
          id: 'which',
          kind: 'branch',
          condition: { field: 'country', op: 'eq', value: 'Norway' },
          then: [
            {
              id: 'people',
              kind: 'each',
              object: 'contacts.person',
              via: 'company',
              steps: [{ id: 'greet', kind: 'task', subject: 'Greet {{item.lastName}} of {{record.name}}' }],
            },
          ],
          else: [
            { id: 'until', kind: 'waitUntil', condition: { field: 'city', op: 'eq', value: 'Madrid' }, atMostDays: 2 },
            { id: 'end', kind: 'change', fields: { region: 'met {{steps.until.met}}' } },
          ],
        },
      ],
    });
    const [norway, spain, never] = [
      await make(COMPANY, { name: 'N', country: 'Norway' }),
      await make(COMPANY, { name: 'S', country: 'Spain' }),
      await make(COMPANY, { name: 'X', country: 'Spain' }),
    ];
    for (const lastName of ['Berg', 'Dahl']) await make('contacts.person', { lastName, company: norway.id });
    await settled();
    expect((await runs()).map(({ fields }) => [fields.status, fields.step])).toEqual([
      ['waiting', 'wait'],
      ['waiting', 'wait'],
      ['waiting', 'wait'],
    ]);
    await later(121);
    expect((await tasks()).map(({ fields }) => fields.title).sort()).toEqual(['Greet Berg of N', 'Greet Dahl of N']);
    expect((await runs()).map(({ fields }) => fields.status)).toEqual(['done', 'waiting', 'waiting']);
    await patch(spain, { city: 'Madrid' });
    await settled();
    expect((await runs()).map(({ fields }) => fields.status)).toEqual(['done', 'done', 'waiting']);
    await later(3 * 1_440);
    const regions = await Promise.all(
      [spain, never].map(async ({ id }) => (await world.runtime.records.get(world.me, world.object(COMPANY), id)).fields.region),
    );
    expect(regions).toEqual(['met true', 'met false']);
    expect(await tasks()).toHaveLength(2);
  });

  it('runs by the clock: on a schedule, and before and after a day', async () => {
    await open();
    await workflow({
      trigger: { on: 'schedule', cron: '0 8 * * 1', object: COMPANY },
      condition: { field: 'city', op: 'isNull', value: true },
      steps: [{ id: 't', kind: 'task', subject: 'weekly {{record.name}}' }],
    });
    await workflow({
      trigger: { on: 'date', object: 'contacts.task', field: 'due', days: -1, at: '07:00' },
      condition: { field: 'priority', op: 'eq', value: 'high' },
      steps: [{ id: 'n', kind: 'change', fields: { details: 'tomorrow' } }],
    });
    await make(COMPANY, { name: 'A' });
    await make(COMPANY, { name: 'B', city: 'Oslo' });
    const due = await make('contacts.task', { title: 'due', due: '2026-03-10', priority: 'high' });
    await settled();
    await later(1);
    for (let day = 0; day < 9; day++) await later(1_440);
    expect((await tasks()).map(({ fields }) => fields.title)).toEqual(['due', 'weekly A']);
    expect((await world.runtime.records.get(world.me, world.object('contacts.task'), due.id)).fields.details).toBe('tomorrow');
    expect((await runs()).map(({ fields }) => fields.trigger)).toEqual(['schedule', 'due 2026-03-10']);
  });

  it('shows a failed step with its reason; it can be tried again, left out, or the run ended', async () => {
    await open();
    const flow = await workflow({
      trigger: { on: 'created', object: COMPANY },
      steps: [
        { id: 'first', kind: 'task', subject: 'first {{record.name}}' },
        { id: 'bad', kind: 'create', object: 'contacts.person', fields: { lastName: '{{record.city}}' } },
        { id: 'last', kind: 'task', subject: 'last {{record.name}}' },
      ],
    });
    const [a, b] = [await make(COMPANY, { name: 'A' }), await make(COMPANY, { name: 'B' })];
    await make(COMPANY, { name: 'C', city: 'Oslo' });
    await settled();
    const all = await runs();
    expect(all.map(({ fields }) => [fields.status, fields.step])).toEqual(
      expect.arrayContaining([
        ['failed', 'bad'],
        ['failed', 'bad'],
        ['done', null],
      ]),
    );
    // What came before the failed step is done, and stays done.
    expect((await tasks()).map(({ fields }) => fields.title).sort()).toEqual(['first A', 'first B', 'first C', 'last C']);
    const of = (rec: Rec): Rec => all.find(({ fields }) => (fields.about as { id: string }).id === rec.id)!;
    expect((await stepsOf(of(a))).map(({ key, status }) => [key, status])).toEqual([
      ['first', 'done'],
      ['bad', 'failed'],
    ]);
    expect(of(a).fields.error).toMatch(/lastName/);
    const { rows: notices } = await world.runtime.pool.query('select kind, text from kith.notice');
    expect(notices).toEqual([{ kind: 'automation.failed', text: 'Test' }]);
    const key = await world.key();
    await patch(a, { city: 'Bergen' });
    expect((await world.request('POST', `/x/automation/runs/${of(a).id}/retry`, { key, body: {} })).status).toBe(200);
    expect((await world.request('POST', `/x/automation/runs/${of(b).id}/skip`, { key, body: {} })).status).toBe(200);
    await settled();
    expect((await runs()).map(({ fields }) => fields.status)).toEqual(['done', 'done', 'done']);
    expect((await stepsOf(of(b))).map(({ key: step, status }) => [step, status])).toEqual([
      ['first', 'done'],
      ['bad', 'skipped'],
      ['last', 'done'],
    ]);
    expect((await tasks()).map(({ fields }) => fields.title).sort()).toEqual([
      'first A',
      'first B',
      'first C',
      'last A',
      'last B',
      'last C',
    ]);
    expect((await world.request('POST', `/x/automation/runs/${of(b).id}/retry`, { key, body: {} })).status).toBe(409);
    await patch(flow, { enabled: false });
    await make(COMPANY, { name: 'D' });
    await settled();
    expect(await runs()).toHaveLength(3);
  });

  it('that waits can be ended, and goes no further', async () => {
    await open();
    await workflow({
      trigger: { on: 'settled', object: COMPANY, field: 'summary' },
      steps: [
        { id: 'w', kind: 'wait', days: 1 },
        { id: 't', kind: 'task', subject: 'never' },
      ],
    });
    await patch(await make(COMPANY, { name: 'A' }), { summary: 'a long text' });
    await settled();
    const [run] = await runs();
    expect(run!.fields.status).toBe('waiting');
    const key = await world.key();
    expect((await world.request('POST', `/x/automation/runs/${run!.id}/cancel`, { key, body: {} })).status).toBe(200);
    expect((await world.request('POST', `/x/automation/runs/${run!.id}/cancel`, { key, body: {} })).status).toBe(409);
    await later(3 * 1_440);
    expect((await runs()).map(({ fields }) => fields.status)).toEqual(['cancelled']);
    expect(await tasks()).toEqual([]);
  });

  it('that sets itself off is stopped, and says so', async () => {
    await open();
    await workflow({
      trigger: { on: 'created', object: COMPANY },
      steps: [{ id: 'more', kind: 'create', object: COMPANY, fields: { name: 'more' } }],
    });
    await make(COMPANY, { name: 'one' });
    await settled();
    const all = await runs();
    expect(all.map(({ fields }) => fields.status)).toEqual(['done', 'done', 'done', 'failed']);
    expect(all[3]!.fields.error).toMatch(/set itself off 3 times/);
    expect(await list(COMPANY)).toHaveLength(4);
  });

  it('is tried on a record without a trace', async () => {
    await open();
    const flow = await workflow(
      {
        trigger: { on: 'created', object: COMPANY },
        condition: { field: 'country', op: 'eq', value: 'Norway' },
        steps: [
          { id: 'w', kind: 'wait', days: 3 },
          { id: 't', kind: 'task', subject: 'Call {{record.name}}' },
          { id: 'bad', kind: 'create', object: 'contacts.person', fields: { lastName: '' } },
        ],
      },
      { enabled: false },
    );
    const company = await make(COMPANY, { name: 'A' });
    const { status, body } = await world.request('POST', `/x/automation/workflows/${flow.id}/test`, {
      key: await world.key(),
      body: { id: company.id },
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      fits: false,
      status: 'failed',
      steps: [
        { id: 'w', status: 'skipped' },
        { id: 't', status: 'done', input: { title: 'Call A' } },
        { id: 'bad', status: 'failed' },
      ],
    });
    await settled();
    expect([await runs(), await tasks(), (await world.runtime.pool.query('select from automation.step')).rowCount]).toEqual([[], [], 0]);
  });

  it('cannot be switched on while something is wrong with it, and is explained when it breaks', async () => {
    await open();
    const key = await world.key();
    const bad = {
      trigger: { on: 'changed', object: COMPANY, field: 'gone' },
      condition: { field: 'name', op: 'before', value: 1 },
      steps: [{ id: 'x', kind: 'task', subject: '{{record.nothing}}', owner: { path: 'record.name' } }],
    };
    const { body } = await world.request('POST', '/x/automation/check', { key, body: { definition: bad } });
    expect((body as { problems: { path: string }[] }).problems.map(({ path }) => path)).toEqual([
      'trigger.field',
      'condition',
      'steps[0].subject',
      'steps[0].owner',
    ]);
    const refused = await world.request('POST', '/records/automation.workflow', {
      key,
      body: { name: 'x', enabled: true, definition: JSON.stringify(bad) },
    });
    expect(refused.status).toBe(422);
    const draft = await world.request('POST', '/records/automation.workflow', { key, body: { name: 'x', definition: '{"steps": 1' } });
    expect(draft.body).toMatchObject({ fields: { problem: expect.stringContaining('not JSON') } });
    // The plugin whose field it names goes: what set it off is kept as a failed run that says why.
    const flow = await workflow({
      trigger: { on: 'changed', object: COMPANY, field: 'city' },
      steps: [{ id: 'a', kind: 'task', subject: 'x' }],
    });
    await world.runtime.pool.query(
      `update automation.workflow set definition = replace(definition, '"subject":"x"', '"subject":"{{record.left}}"'), version = version + 1 where id = $1`,
      [flow.id],
    );
    const company = await make(COMPANY, { name: 'A' });
    await patch(company, { city: 'Oslo' });
    await settled();
    expect((await runs()).map(({ fields }) => [fields.status, fields.error])).toEqual([
      ['failed', expect.stringMatching(/no field “left”/)],
    ]);
    // Mended, it is tried again.
    await world.runtime.pool.query(
      `update automation.workflow set definition = replace(definition, '{{record.left}}', 'y'), version = version + 1 where id = $1`,
      [flow.id],
    );
    expect((await world.request('POST', `/x/automation/runs/${(await runs())[0]!.id}/retry`, { key, body: {} })).status).toBe(200);
    await settled();
    expect((await tasks()).map(({ fields }) => fields.title)).toEqual(['y']);
  });

  it('whose action hangs is given up, and says so', async () => {
    const hanging = definePlugin({
      id: 'hanging',
      version: '1.0.0',
      sdk: '^1.0.0',
      part: 'operational',
      locales: { en: { 'plugin.hanging': 'Hanging' } },
      objects: { thing: object({ icon: 'box', title: ['name'], fields: { name: text() }, actions: { hang: action({}) } }) },
    });
    const stuck = defineServer(hanging, { actions: { thing: { hang: () => new Promise<never>(() => undefined) } } });
    await open({ plugins: [hanging], servers: [stuck], limitMs: 300 });
    await workflow({
      trigger: { on: 'created', object: 'hanging.thing' },
      steps: [
        { id: 'before', kind: 'task', subject: 'before' },
        { id: 'hang', kind: 'action', action: 'hang' },
      ],
    });
    await make('hanging.thing', { name: 'x' });
    for (let i = 0; i < 300 && (await runs()).length === 0; i++) {
      now = new Date(now.getTime() + 1_000);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect((await runs()).map(({ fields }) => [fields.status, fields.error])).toEqual([
      ['failed', expect.stringMatching(/given up: It took longer than 0.3 seconds/)],
    ]);
    // What the attempts did before they hung was taken back with them.
    expect(await tasks()).toEqual([]);
    expect((await world.runtime.pool.query(`select from kith.job where handler = 'automation.start'`)).rowCount).toBe(0);
  });

  it('has a button, for those who may', async () => {
    await open();
    const flow = await workflow({
      trigger: { on: 'button', object: COMPANY, label: 'Welcome' },
      steps: [{ id: 't', kind: 'task', subject: 'Welcome {{record.name}}' }],
    });
    const company = await make(COMPANY, { name: 'A' });
    const [member, reader] = [await world.key('member'), await world.key('reader')];
    expect((await world.request('GET', `/x/automation/buttons?object=${COMPANY}`, { key: member })).body).toEqual({
      data: [{ id: flow.id, label: 'Welcome' }],
    });
    expect((await world.request('POST', `/x/automation/workflows/${flow.id}/run`, { key: reader, body: { id: company.id } })).status).toBe(
      403,
    );
    expect(
      (await world.request('POST', `/x/automation/workflows/${flow.id}/run`, { key: member, body: { id: company.id } })).body,
    ).toMatchObject({ status: 'done' });
    expect((await tasks()).map(({ fields }) => fields.title)).toEqual(['Welcome A']);
    expect((await world.request('GET', `/x/automation/runs/${(await runs())[0]!.id}`, { key: member })).status).toBe(403);
  });
});
