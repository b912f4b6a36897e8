/** Purchase orders between staff and supplier: every command in every state, who may what, and what follows. */
import { contacts } from '@kith/plugin-contacts/plugin';
import { server as contactsServer } from '@kith/plugin-contacts/server';
import { portals } from '@kith/plugin-portals/plugin';
import { server as portalsServer } from '@kith/plugin-portals/server';
import { sales } from '@kith/plugin-sales/plugin';
import { server as salesServer } from '@kith/plugin-sales/server';
import { createTestWorld, type TestWorld } from '@kith/core/testing';
import { catalogueProblems, type Rec } from '@kith/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { suppliers } from './plugin.ts';
import { server } from './server.ts';

const ORIGIN = 'http://localhost:5173';
const DUE = '2026-05-10';
const usd = (amount: string): { amount: string; currency: string } => ({ amount, currency: 'USD' });

let world: TestWorld;
let nancy: string;
let reader: string;
let exotic: Headers;
let tokyo: Headers;
let supplier: Rec;
let rival: Rec;
let order: Rec;
let products: Rec[];

interface Answer {
  status: number;
  body: Rec & { code?: string; detail?: string; errors?: { field: string; code: string }[]; data?: Rec[] };
}
type Headers = Record<string, string>;
/** Somebody: a key of the staff, or the cookie of a partner. */
type Who = string | Headers;
const ask = async (who: Who, method: string, path: string, body?: unknown): Promise<Answer> =>
  (await world.request(method, path, {
    ...(typeof who === 'string' ? { key: who } : { headers: who }),
    ...(body === undefined ? {} : { body }),
  })) as unknown as Answer;
const make = async (object: string, fields: Record<string, unknown>): Promise<Rec> => {
  const { status, body } = await ask(nancy, 'POST', `/records/${object}`, fields);
  expect(status, JSON.stringify(body)).toBe(201);
  return body;
};

async function login(company: Rec, email: string): Promise<Headers> {
  const { body } = await ask(nancy, 'POST', '/partners/invitations', { company: company.id, audience: 'supplier', email, name: 'P' });
  const token = (body as unknown as { url: string }).url.split('/').at(-1)!;
  const { headers } = await world.request('POST', `/invitations/${token}`, { body: { name: 'P', password: 'kith-kith-kith' } });
  return { cookie: headers.get('set-cookie')!.split(';', 1)[0]!, origin: ORIGIN };
}

beforeAll(async () => {
  world = await createTestWorld({
    plugins: [contacts, sales, portals, suppliers],
    servers: [contactsServer, salesServer, portalsServer, server],
    clock: () => new Date('2026-05-01T10:00:00Z'),
  });
  [nancy, reader] = [await world.key('member'), await world.key('reader')];
  [supplier, rival] = [
    await make('contacts.company', { name: 'Exotic Liquids' }),
    await make('contacts.company', { name: 'Tokyo Traders' }),
  ];
  [exotic, tokyo] = [await login(supplier, 'a@exotic.example'), await login(rival, 'a@tokyo.example')];
  const customer = await make('contacts.company', { name: 'Ernst Handel' });
  order = await make('sales.order', { company: customer.id, requiredDate: DUE, shipTo: { city: 'Graz', country: 'Austria' } });
  products = [await make('sales.product', { name: 'Chai' }), await make('sales.product', { name: 'Chang' })];
});
afterAll(() => world.close());

interface Made {
  id: string;
  lines: string[];
}
/** A purchase order of two lines, ten and twenty pieces. */
async function purchase(): Promise<Made> {
  const made = await make('suppliers.purchaseOrder', { supplier: supplier.id, order: order.id });
  const lines: string[] = [];
  for (const [i, product] of products.entries()) {
    const sold = await make('sales.orderLine', { order: order.id, product: product.id, quantity: 10 * (i + 1), unitPrice: usd('10') });
    const line = await make('suppliers.purchaseOrderLine', {
      purchaseOrder: made.id,
      product: product.id,
      orderLine: sold.id,
      orderedQuantity: 10 * (i + 1),
      unitCost: usd('7'),
      internalCost: usd('8'),
    });
    lines.push(line.id);
  }
  return { id: made.id, lines };
}
const orderNow = async (made: Made): Promise<Rec['fields']> =>
  (await ask(nancy, 'GET', `/records/suppliers.purchaseOrder/${made.id}`)).body.fields;
const lineNow = async (id: string): Promise<Rec['fields']> =>
  (await ask(nancy, 'GET', `/records/suppliers.purchaseOrderLine/${id}`)).body.fields;
const act = (who: Who, made: Made, name: string, input: unknown = {}): Promise<Answer> =>
  ask(who, 'POST', `/records/suppliers.purchaseOrder/${made.id}/actions/${name}`, input);
const actLine = (who: Who, line: string, name: string, input: unknown = {}): Promise<Answer> =>
  ask(who, 'POST', `/records/suppliers.purchaseOrderLine/${line}/actions/${name}`, input);
const patchLine = (who: Who, line: string, fields: unknown): Promise<Answer> =>
  ask(who, 'PATCH', `/records/suppliers.purchaseOrderLine/${line}`, fields);
const done = async (answer: Promise<Answer>): Promise<Rec['fields']> => {
  const { status, body } = await answer;
  expect(status, JSON.stringify(body)).toBe(200);
  return body.fields;
};

describe('a new purchase order', () => {
  it('has all its texts in every language', () => {
    expect(catalogueProblems(suppliers)).toEqual([]);
  });

  it('takes over what it needs from the order, and sums its lines', async () => {
    const made = await purchase();
    expect(await orderNow(made)).toMatchObject({
      number: expect.stringMatching(/^4\d{4}$/) as string,
      orderNumber: order.fields.number,
      requiredDate: DUE,
      shipTo: { city: 'Graz', country: 'Austria' },
      status: 'open',
      openLines: 2,
      lateLines: 0,
      proposals: 0,
      value: usd('210.00'),
      margin: usd('60.00'),
    });
    expect(await lineNow(made.lines[1]!)).toMatchObject({
      item: 'Chang',
      supplier: supplier.id,
      requiredDate: DUE,
      orderStatus: 'open',
      netSales: usd('200.00'),
      status: 'open',
    });
  });

  it('follows lines that come, change and go', async () => {
    const made = await purchase();
    await done(patchLine(nancy, made.lines[0]!, { orderedQuantity: 11 }));
    expect(await orderNow(made)).toMatchObject({ value: usd('217.00'), margin: usd('52.00') });
    expect((await ask(nancy, 'DELETE', `/records/suppliers.purchaseOrderLine/${made.lines[1]!}`)).status).toBe(204);
    expect(await orderNow(made)).toMatchObject({ value: usd('77.00'), openLines: 1 });
    expect((await ask(nancy, 'POST', `/records/suppliers.purchaseOrderLine/${made.lines[1]!}/restore`)).status).toBe(200);
    expect(await orderNow(made)).toMatchObject({ value: usd('217.00'), openLines: 2 });
    const other = await purchase();
    await done(patchLine(nancy, made.lines[1]!, { purchaseOrder: other.id }));
    expect(await orderNow(made)).toMatchObject({ value: usd('77.00') });
    expect(await orderNow(other)).toMatchObject({ value: usd('350.00'), openLines: 3 });
  });
});

describe('a supplier', () => {
  it('confirms a line by the action and by writing the fields, alike', async () => {
    const made = await purchase();
    expect(await done(actLine(exotic, made.lines[0]!, 'confirm'))).toMatchObject({
      confirmedQuantity: 10,
      confirmedDate: DUE,
      status: 'confirmed',
    });
    expect(await orderNow(made)).toMatchObject({ status: 'open', openLines: 1 });
    expect(await done(patchLine(exotic, made.lines[1]!, { confirmedQuantity: 20, confirmedDate: DUE }))).toMatchObject({
      status: 'confirmed',
    });
    expect(await orderNow(made)).toMatchObject({ status: 'confirmed', openLines: 0 });
    expect(await lineNow(made.lines[0]!)).toMatchObject({ orderStatus: 'confirmed' });
  });

  it('confirms late: a proposal, by either way, that the staff see as late', async () => {
    const made = await purchase();
    expect(await done(actLine(exotic, made.lines[0]!, 'confirm', { confirmedDate: '2026-05-17' }))).toMatchObject({
      status: 'countered',
      daysLate: 7,
    });
    expect(await done(patchLine(exotic, made.lines[1]!, { confirmedDate: '2026-05-12' }))).toMatchObject({
      status: 'countered',
      daysLate: 2,
    });
    expect(await orderNow(made)).toMatchObject({ status: 'changed', lateLines: 2, proposals: 2, openLines: 0 });
    expect(await done(act(nancy, made, 'acceptAll'))).toMatchObject({ status: 'confirmed', lateLines: 2, proposals: 0 });
    expect(await lineNow(made.lines[0]!)).toMatchObject({ status: 'confirmed', confirmedDate: '2026-05-17', daysLate: 7 });
  });

  it('answers all open lines at once, and no others', async () => {
    const made = await purchase();
    await done(actLine(exotic, made.lines[0]!, 'propose', { confirmedQuantity: 5, reason: 'Half is left.' }));
    expect(await done(act(exotic, made, 'confirmAll'))).toMatchObject({ status: 'changed', openLines: 0, proposals: 1 });
    expect(await lineNow(made.lines[0]!)).toMatchObject({ status: 'countered', confirmedQuantity: 5, reason: 'Half is left.' });
    expect((await act(exotic, made, 'confirmAll')).body).toMatchObject({ code: 'refused', detail: 'No line waits for an answer.' });
    const other = await purchase();
    expect(await done(act(exotic, other, 'rejectAll', { reason: 'No longer made.' }))).toMatchObject({ status: 'rejected' });
    expect(await lineNow(other.lines[1]!)).toMatchObject({ status: 'rejected', reason: 'No longer made.', confirmedQuantity: null });
  });

  it('ships what is settled', async () => {
    const made = await purchase();
    expect((await act(exotic, made, 'markShipped')).status).toBe(409);
    await done(actLine(exotic, made.lines[0]!, 'reject', { reason: 'Sold out.' }));
    expect((await act(exotic, made, 'markShipped')).status).toBe(409);
    await done(actLine(exotic, made.lines[1]!, 'confirm'));
    expect(await done(act(exotic, made, 'markShipped'))).toMatchObject({ status: 'shipped', shippedAt: '2026-05-01T10:00:00.000Z' });
    expect((await act(exotic, made, 'markShipped')).status).toBe(409);
  });

  it('sees neither cost nor margin nor order, and no rival sees anything', async () => {
    const made = await purchase();
    const seen = (await ask(exotic, 'GET', `/records/suppliers.purchaseOrder/${made.id}`)).body;
    expect(seen.fields).toMatchObject({ status: 'open', value: usd('210.00') });
    for (const hidden of ['margin', 'internalNote', 'owner', 'order']) expect(seen.fields).not.toHaveProperty(hidden);
    const line = (await ask(exotic, 'GET', `/records/suppliers.purchaseOrderLine/${made.lines[0]!}`)).body;
    for (const hidden of ['internalCost', 'netSales', 'orderLine']) expect(line.fields).not.toHaveProperty(hidden);
    for (const path of [`suppliers.purchaseOrder/${made.id}`, `suppliers.purchaseOrderLine/${made.lines[0]!}`]) {
      expect((await ask(tokyo, 'GET', `/records/${path}`)).status).toBe(404);
    }
    expect((await ask(tokyo, 'GET', '/records/suppliers.purchaseOrder')).body.data).toEqual([]);
    for (const object of ['contacts.company', 'contacts.person', 'sales.order', 'sales.orderLine', 'sales.product'])
      expect((await ask(exotic, 'GET', `/records/${object}`)).status, object).toBe(404);
  });

  it('may do what is opened, and nothing else', async () => {
    const made = await purchase();
    for (const name of ['acceptAll', 'close', 'reopen']) expect((await act(exotic, made, name)).status, name).toBe(403);
    for (const name of ['accept', 'counter']) expect((await actLine(exotic, made.lines[0]!, name)).status, name).toBe(403);
    for (const fields of [{ orderedQuantity: 1 }, { unitCost: usd('70') }, { agreedDate: DUE }, { status: 'confirmed' }, { answer: 'x' }])
      expect([403, 422], JSON.stringify(fields)).toContain((await patchLine(exotic, made.lines[0]!, fields)).status);
    for (const name of ['confirmAll', 'markShipped']) expect((await act(tokyo, made, name)).status, name).toBe(404);
    expect((await actLine(tokyo, made.lines[0]!, 'confirm')).status).toBe(404);
    expect((await patchLine(tokyo, made.lines[0]!, { confirmedQuantity: 1 })).status).toBe(404);
    for (const name of ['confirmAll', 'close', 'acceptAll']) expect((await act(reader, made, name)).status, name).toBe(403);
    expect((await actLine(reader, made.lines[0]!, 'confirm')).status).toBe(403);
    expect(await orderNow(made)).toMatchObject({ status: 'open', openLines: 2 });
  });
});

describe('the staff', () => {
  it('accept a proposal or counter it', async () => {
    const made = await purchase();
    await done(actLine(exotic, made.lines[0]!, 'propose', { confirmedDate: '2026-05-20', reason: 'The ship is late.' }));
    expect(
      await done(actLine(nancy, made.lines[0]!, 'counter', { requiredDate: '2026-05-15', answer: 'By the 15th at most.' })),
    ).toMatchObject({
      status: 'open',
      agreedDate: '2026-05-15',
      answer: 'By the 15th at most.',
      confirmedDate: null,
      orderedQuantity: 10,
    });
    expect(await orderNow(made)).toMatchObject({ status: 'open', openLines: 2, proposals: 0, requiredDate: DUE });
    expect(await done(actLine(exotic, made.lines[0]!, 'confirm'))).toMatchObject({
      status: 'confirmed',
      confirmedDate: '2026-05-15',
      daysLate: 5,
    });
    await done(actLine(exotic, made.lines[1]!, 'propose', { confirmedQuantity: 15 }));
    expect(await done(actLine(nancy, made.lines[1]!, 'accept'))).toMatchObject({
      status: 'confirmed',
      confirmedQuantity: 15,
      orderedQuantity: 20,
    });
    expect(await orderNow(made)).toMatchObject({ status: 'confirmed' });
    expect((await actLine(nancy, made.lines[1]!, 'accept')).status).toBe(409);
    expect((await actLine(nancy, made.lines[1]!, 'counter')).status).toBe(409);
    expect((await actLine(exotic, made.lines[1]!, 'propose')).status).toBe(409);
  });

  it('bring a rejected order back by countering', async () => {
    const made = await purchase();
    await done(act(exotic, made, 'rejectAll', { reason: 'Too many.' }));
    expect((await actLine(exotic, made.lines[0]!, 'confirm')).status).toBe(409);
    await done(actLine(nancy, made.lines[0]!, 'counter', { orderedQuantity: 3 }));
    expect(await orderNow(made)).toMatchObject({ status: 'changed', openLines: 1, value: usd('161.00') });
    expect(await done(actLine(exotic, made.lines[0]!, 'confirm'))).toMatchObject({ status: 'confirmed', confirmedQuantity: 3 });
  });

  it('close an order, after which nobody answers, and reopen it as it was', async () => {
    const made = await purchase();
    await done(actLine(exotic, made.lines[0]!, 'propose', { confirmedQuantity: 4 }));
    expect(await done(act(nancy, made, 'close'))).toMatchObject({ status: 'closed', openLines: 0, proposals: 0 });
    expect((await act(nancy, made, 'close')).status).toBe(409);
    const refused = await patchLine(exotic, made.lines[1]!, { confirmedQuantity: 20 });
    expect(refused.status).toBe(422);
    expect(refused.body.errors).toMatchObject([{ field: 'confirmedQuantity', code: 'order_closed' }]);
    expect((await patchLine(nancy, made.lines[1]!, { confirmedDate: DUE })).status).toBe(422);
    for (const [name, input] of [
      ['confirm', {}],
      ['propose', { confirmedQuantity: 1 }],
      ['reject', { reason: 'x' }],
      ['accept', {}],
      ['counter', { orderedQuantity: 1 }],
    ] as const)
      expect((await actLine(nancy, made.lines[0]!, name, input)).status, name).toBe(409);
    for (const name of ['confirmAll', 'acceptAll', 'markShipped']) expect((await act(nancy, made, name)).status, name).toBe(409);
    expect((await act(nancy, made, 'rejectAll', { reason: 'x' })).status).toBe(409);
    expect(await done(act(nancy, made, 'reopen'))).toMatchObject({ status: 'changed', openLines: 1, proposals: 1 });
    expect((await act(nancy, made, 'reopen')).status).toBe(409);
  });

  it('move the required day, and every line is judged by it', async () => {
    const made = await purchase();
    await done(act(exotic, made, 'confirmAll'));
    await done(ask(nancy, 'PATCH', `/records/suppliers.purchaseOrder/${made.id}`, { requiredDate: '2026-05-08' }));
    expect(await lineNow(made.lines[0]!)).toMatchObject({ requiredDate: '2026-05-08', daysLate: 2 });
    expect(await orderNow(made)).toMatchObject({ lateLines: 2 });
  });

  it('pass an order to another supplier, who begins anew and finds nothing of the first', async () => {
    const made = await purchase();
    await done(actLine(exotic, made.lines[0]!, 'propose', { confirmedQuantity: 4, reason: 'Secret of the first.' }));
    await done(ask(exotic, 'PATCH', `/records/suppliers.purchaseOrder/${made.id}`, { supplierNote: 'Ours alone.' }));
    await done(ask(nancy, 'PATCH', `/records/suppliers.purchaseOrder/${made.id}`, { supplier: rival.id }));
    expect((await ask(exotic, 'GET', `/records/suppliers.purchaseOrder/${made.id}`)).status).toBe(404);
    const seen = (await ask(tokyo, 'GET', `/records/suppliers.purchaseOrder/${made.id}`)).body.fields;
    expect(seen).toMatchObject({ supplierNote: null, openLines: 2 });
    const line = (await ask(tokyo, 'GET', `/records/suppliers.purchaseOrderLine/${made.lines[0]!}`)).body.fields;
    expect(line).toMatchObject({ status: 'open', confirmedQuantity: null, reason: null, supplier: rival.id });
  });
});

describe('every list', () => {
  const query = (options: { filter?: unknown; sort?: readonly string[] }): string =>
    new URLSearchParams({
      ...(options.filter ? { filter: JSON.stringify(options.filter) } : {}),
      ...(options.sort ? { sort: options.sort.join(',') } : {}),
    }).toString();

  it('of the staff can be read', async () => {
    for (const object of world.runtime.model.objects.values()) {
      for (const [id, view] of object.views) {
        const answer = await ask(nancy, 'GET', `/records/${object.name}?${query(view)}`);
        expect(answer.status, `${object.name} ${id} ${JSON.stringify(answer.body)}`).toBe(200);
      }
    }
  });

  it('of the portal can be read by those for whom it is', async () => {
    const { pages, answer, late } = world.runtime.model.audiences.get('supplier')!;
    for (const one of [...pages, ...answer, ...late]) {
      const found = await ask(exotic, 'GET', `/records/${one.object}?${query(one)}`);
      expect(found.status, `${JSON.stringify(one)} ${JSON.stringify(found.body)}`).toBe(200);
    }
  });
});

describe('bad input', () => {
  it('is refused and changes nothing', async () => {
    const made = await purchase();
    const line = made.lines[0]!;
    for (const [name, input] of [
      ['confirm', { confirmedQuantity: -1 }],
      ['confirm', { confirmedQuantity: 'ten' }],
      ['confirm', { confirmedDate: '2026-02-30' }],
      ['confirm', { confirmedDate: 7 }],
      ['confirm', { unitCost: usd('1') }],
      ['reject', {}],
      ['reject', { reason: '' }],
      ['reject', { reason: 'x\u0000' }],
      ['propose', { reason: 'x'.repeat(1001), confirmedQuantity: 1 }],
    ] as const)
      expect((await actLine(exotic, line, name, input)).status, `${name} ${JSON.stringify(input)}`).toBe(422);
    for (const fields of [{ confirmedQuantity: -1 }, { confirmedQuantity: '7' }, { confirmedDate: 'soon' }, { confirmed: 1 }])
      expect((await patchLine(exotic, line, fields)).status, JSON.stringify(fields)).toBe(422);
    expect((await actLine(exotic, line, 'nothing')).status).toBe(404);
    expect((await act(exotic, { id: 'x', lines: [] }, 'confirmAll')).status).toBe(404);
    for (const fields of [{ number: '1' }, { status: 'closed' }, { value: usd('1') }, { margin: usd('1') }, { openLines: 7 }])
      expect((await ask(nancy, 'PATCH', `/records/suppliers.purchaseOrder/${made.id}`, fields)).status, JSON.stringify(fields)).toBe(422);
    expect(await lineNow(line)).toMatchObject({ status: 'open', confirmedQuantity: null });
    expect(await orderNow(made)).toMatchObject({ status: 'open', openLines: 2 });
  });
});

describe('an answer', () => {
  it('comes back as the record then stands, whatever followed', async () => {
    for (const answer of [
      (line: string): Promise<Answer> => actLine(exotic, line, 'confirm'),
      (line: string): Promise<Answer> => patchLine(exotic, line, { confirmedQuantity: 7 }),
      (line: string): Promise<Answer> => patchLine(nancy, line, { confirmedDate: '2026-05-11' }),
    ]) {
      const made = await purchase();
      await done(actLine(exotic, made.lines[0]!, 'confirm'));
      const { body } = await answer(made.lines[1]!);
      for (const who of [exotic, nancy]) {
        const now = (await ask(who, 'GET', `/records/suppliers.purchaseOrderLine/${made.lines[1]!}`)).body;
        expect(body.fields).toMatchObject({ orderStatus: now.fields.orderStatus, status: now.fields.status });
        if ('createdBy' in body === 'createdBy' in now) expect(body).toEqual(now);
      }
    }
    const made = await purchase();
    await done(act(exotic, made, 'confirmAll'));
    const more = { purchaseOrder: made.id, product: products[0]!.id, orderedQuantity: 1 };
    const line = await make('suppliers.purchaseOrderLine', more);
    expect(line.fields).toMatchObject({ orderStatus: 'open' });
    expect(line).toEqual((await ask(nancy, 'GET', `/records/suppliers.purchaseOrderLine/${line.id}`)).body);
    const shut = (await act(nancy, made, 'close')).body;
    expect(shut).toEqual((await ask(nancy, 'GET', `/records/suppliers.purchaseOrder/${made.id}`)).body);
  });
});

describe('at the same time', () => {
  it('two answers to one order are both counted', async () => {
    const made = await purchase();
    const answers = await Promise.all(made.lines.map((line) => actLine(exotic, line, 'confirm')));
    expect(answers.map((one) => one.status)).toEqual([200, 200]);
    expect(await orderNow(made)).toMatchObject({ status: 'confirmed', openLines: 0 });
  });
});

describe('a purchase order that is thrown away', () => {
  it('takes its lines from the supplier, and brings them back', async () => {
    const made = await purchase();
    const seen = async (who: Who): Promise<number[]> =>
      Promise.all(made.lines.map(async (line) => (await ask(who, 'GET', `/records/suppliers.purchaseOrderLine/${line}`)).status));
    await done(patchLine(exotic, made.lines[0]!, { confirmedDate: '2026-05-20' }));
    expect((await ask(nancy, 'DELETE', `/records/suppliers.purchaseOrder/${made.id}`)).status).toBe(204);
    expect(await seen(exotic)).toEqual([404, 404]);
    expect((await patchLine(exotic, made.lines[0]!, { confirmedQuantity: 1 })).status).toBe(404);
    expect(await seen(nancy)).toEqual([200, 200]);
    expect((await ask(nancy, 'POST', `/records/suppliers.purchaseOrder/${made.id}/restore`)).status).toBe(200);
    expect(await seen(exotic)).toEqual([200, 200]);
    // What was answered stands.
    expect(await lineNow(made.lines[0]!)).toMatchObject({ status: 'countered', confirmedDate: '2026-05-20', withdrawn: false });
    expect(await seen(tokyo)).toEqual([404, 404]);
  });
});
