/** The workflow that comes with suppliers, with everything that is installed: one open task for each line that is confirmed late. */
import { createTestWorld, type TestWorld } from '@kith/core/testing';
import { plugins } from '@kith/installed/plugins';
import { servers } from '@kith/installed/server';
import type { Principal, Rec } from '@kith/sdk';
import { afterAll, beforeAll, expect, it } from 'vitest';

const ORIGIN = 'http://localhost:5173';
let world: TestWorld;
let nancy: Principal;
let key: string;
let tokyo: Record<string, string>;
let order: Rec;

interface Answer {
  status: number;
  body: Rec & { data: Rec[]; url: string };
}
const ask = async (who: string | Record<string, string>, method: string, path: string, body?: unknown): Promise<Answer> => {
  const as = typeof who === 'string' ? { key: who } : { headers: who };
  return (await world.request(method, path, { ...as, ...(body === undefined ? {} : { body }) })) as unknown as Answer;
};
const made = async (object: string, fields: Record<string, unknown>): Promise<Rec> => {
  const { status, body } = await ask(key, 'POST', `/records/${object}`, fields);
  expect(status, JSON.stringify(body)).toBe(201);
  return body;
};
const tasks = async (): Promise<Rec[]> => (await ask(key, 'GET', '/records/contacts.task?sort=createdAt')).body.data;
const runs = async (): Promise<Rec[]> => (await ask(key, 'GET', '/records/automation.run?sort=createdAt')).body.data;
async function until(what: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await what()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`it did not come to that: ${JSON.stringify(await runs())}`);
}

beforeAll(async () => {
  world = await createTestWorld({ plugins, servers, roles: ['web', 'worker'] });
  nancy = await world.person('Nancy');
  key = await world.key('admin');
  const company = await made('contacts.company', { name: 'Tokyo Traders', kind: ['supplier'] });
  order = await made('suppliers.purchaseOrder', { supplier: company.id, owner: nancy.id, requiredDate: '2026-12-01' });
  const { body } = await ask(key, 'POST', '/partners/invitations', {
    company: company.id,
    audience: 'supplier',
    email: 't@partners.example',
    name: 'T',
  });
  const { headers } = await world.request('POST', `/invitations/${body.url.split('/').at(-1)!}`, {
    body: { name: 'T', password: 'kith-kith-kith' },
  });
  tokyo = { cookie: headers.get('set-cookie')!.split(';', 1)[0]!, origin: ORIGIN };
});
afterAll(() => world.close());

it('makes one for the order’s owner, by action and by PATCH, and none for what is on time', async () => {
  const lines = [];
  for (const item of ['Tofu', 'Ikura', 'Nori', 'Konbu'])
    lines.push(
      await made('suppliers.purchaseOrderLine', {
        purchaseOrder: order.id,
        item,
        orderedQuantity: 10,
        unitCost: { amount: '2.00', currency: 'USD' },
      }),
    );
  const [tofu, ikura, nori, konbu] = lines as [Rec, Rec, Rec, Rec];
  const path = ({ id }: Rec): string => `/records/suppliers.purchaseOrderLine/${id}`;
  expect((await ask(tokyo, 'PATCH', path(tofu), { confirmedQuantity: 10, confirmedDate: '2026-12-08' })).status).toBe(200);
  expect(
    (await ask(tokyo, 'POST', `${path(ikura)}/actions/propose`, { confirmedQuantity: 10, confirmedDate: '2026-12-03', reason: 'Storm' }))
      .status,
  ).toBe(200);
  expect((await ask(tokyo, 'PATCH', path(nori), { confirmedQuantity: 10, confirmedDate: '2026-12-01' })).status).toBe(200);
  expect((await ask(tokyo, 'PATCH', path(konbu), { confirmedQuantity: 8 })).status).toBe(200);
  // Later still: it is the same task.
  expect((await ask(tokyo, 'PATCH', path(tofu), { confirmedDate: '2026-12-10' })).status).toBe(200);
  await until(async () => (await runs()).length === 3);
  const found = await tasks();
  const { body } = await ask(key, 'GET', `/records/suppliers.purchaseOrder/${order.id}`);
  expect(found.map(({ fields }) => [fields.about, fields.owner, fields.status, fields.title])).toEqual([
    [{ object: 'suppliers.purchaseOrderLine', id: tofu.id }, nancy.id, 'open', expect.stringMatching(/^Tofu on \d+ comes \d+ days late$/)],
    [{ object: 'suppliers.purchaseOrderLine', id: ikura.id }, nancy.id, 'open', expect.stringMatching(/^Ikura on/)],
  ]);
  expect(body.fields.owner).toBe(nancy.id);
  expect((await runs()).map(({ fields }) => fields.status)).toEqual(['done', 'done', 'done']);
  // Done with: the next late answer makes another.
  await ask(key, 'PATCH', `/records/contacts.task/${found[0]!.id}`, { status: 'done' });
  expect((await ask(tokyo, 'PATCH', path(tofu), { confirmedDate: '2026-12-20' })).status).toBe(200);
  await until(async () => (await tasks()).length === 3);
});

it('is one of many that a portal may set off: it tells people, writes mail once, and runs actions as the plugin', async () => {
  const steps = [
    { id: 'tell', kind: 'notify', to: { path: 'record.purchaseOrder.owner' }, text: '{{record.item}}: {{record.reason}}' },
    {
      id: 'mail',
      kind: 'mail',
      to: 'record.supplier',
      purpose: 'correspondence',
      subject: 'We have seen it: {{record.item}}',
      body: 'Thank you, {{record.supplier.name}}.',
    },
    { id: 'accept', kind: 'action', action: 'accept' },
  ];
  const definition = {
    trigger: { on: 'action', object: 'suppliers.purchaseOrderLine', action: 'propose', by: 'portal' },
    condition: { field: 'reason', op: 'startsWith', value: 'Fog' },
    steps,
  };
  const flow = await made('automation.workflow', { name: 'Fog', enabled: true, definition: JSON.stringify(definition) });
  const supplier = (await ask(key, 'GET', `/records/suppliers.purchaseOrder/${order.id}`)).body.fields.supplier as string;
  await made('contacts.person', { lastName: 'Nagase', email: 'nagase@tokyo.example', company: supplier });
  await ask(key, 'PATCH', `/records/contacts.company/${supplier}`, { email: 'office@tokyo.example' });
  const line = await made('suppliers.purchaseOrderLine', { purchaseOrder: order.id, item: 'Wakame', orderedQuantity: 5 });
  const path = `/records/suppliers.purchaseOrderLine/${line.id}/actions/propose`;
  // What staff do is not what the portal does.
  expect((await ask(key, 'POST', path, { confirmedQuantity: 5, reason: 'Fog in the harbour' })).status).toBe(200);
  expect((await ask(tokyo, 'POST', path, { confirmedQuantity: 4, reason: 'Fog at sea' })).status).toBe(200);
  const of = async (): Promise<Rec[]> => (await runs()).filter(({ fields }) => fields.workflow === flow.id);
  await until(async () => (await of()).some(({ fields }) => fields.status !== 'running'));
  expect((await of()).map(({ fields }) => [fields.status, fields.error, fields.trigger])).toEqual([['done', null, 'action propose']]);
  expect((await ask(key, 'GET', `/records/suppliers.purchaseOrderLine/${line.id}`)).body.fields).toMatchObject({
    status: 'confirmed',
    confirmedQuantity: 4,
  });
  const { rows: notices } = await world.runtime.pool.query(
    `select kind, text from kith.notice where person = $1 and kind = 'automation.told'`,
    [nancy.id],
  );
  expect(notices).toEqual([{ kind: 'automation.told', text: 'Wakame: Fog at sea' }]);
  const mails = (await ask(key, 'GET', '/records/inbox.message')).body.data;
  expect(mails.map(({ fields }) => [fields.address, fields.subject, fields.body])).toEqual([
    ['office@tokyo.example', 'We have seen it: Wakame', 'Thank you, Tokyo Traders.'],
  ]);
  await until(async () => (await ask(key, 'GET', '/records/inbox.message')).body.data[0]!.fields.status === 'kept');
  // The same run and step cannot write a second one.
  const again = await ask(key, 'POST', '/records/inbox.message', { subject: 'x', key: mails[0]!.fields.key });
  expect(again.status).toBe(409);
});

it('can be switched off, and not changed', async () => {
  const [flow] = (await ask(key, 'GET', '/records/automation.workflow')).body.data.filter(
    ({ fields }) => fields.shipped === 'suppliers.late',
  );
  expect(flow).toMatchObject({ fields: { enabled: true, problem: null, name: 'Follow up late confirmations' } });
  expect((await ask(key, 'PATCH', `/records/automation.workflow/${flow!.id}`, { definition: '{}' })).status).toBe(409);
  expect((await ask(key, 'PATCH', `/records/automation.workflow/${flow!.id}`, { enabled: false })).status).toBe(200);
  const line = await made('suppliers.purchaseOrderLine', { purchaseOrder: order.id, item: 'Miso', orderedQuantity: 1 });
  const before = (await tasks()).length;
  expect(
    (await ask(tokyo, 'PATCH', `/records/suppliers.purchaseOrderLine/${line.id}`, { confirmedQuantity: 1, confirmedDate: '2027-01-08' }))
      .status,
  ).toBe(200);
  await until(async () => {
    const { rows } = await world.runtime.pool.query<{ done: boolean }>(
      `select position >= (select last from kith.event_counter) and not exists (select from kith.outbox) as done from kith.consumer where name = 'automation.triggers'`,
    );
    return rows[0]!.done;
  });
  expect(await tasks()).toHaveLength(before);
});
