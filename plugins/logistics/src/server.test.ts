/** Shipments between staff and carrier: reports, exceptions, estimates, and what orders show of them. */
import { contacts } from '@kith/plugin-contacts/plugin';
import { server as contactsServer } from '@kith/plugin-contacts/server';
import { portals } from '@kith/plugin-portals/plugin';
import { server as portalsServer } from '@kith/plugin-portals/server';
import { sales } from '@kith/plugin-sales/plugin';
import { server as salesServer } from '@kith/plugin-sales/server';
import { createTestWorld, type TestWorld } from '@kith/core/testing';
import { catalogueProblems, type Rec } from '@kith/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { logistics } from './plugin.ts';
import { server } from './server.ts';
import { together, whereabouts, type Milestone, type ShipmentStatus } from './server/follow.ts';

const ORIGIN = 'http://localhost:5173';
const DUE = '2026-05-10';

let world: TestWorld;
let nancy: string;
let reader: string;
let speedy: Headers;
let united: Headers;
let carrier: Rec;
let rival: Rec;
let customer: Rec;

interface Answer {
  status: number;
  body: Rec & { code?: string; errors?: { field: string; code: string }[]; data?: Rec[]; url?: string };
}
type Headers = Record<string, string>;
type Who = string | Headers;
const ask = async (who: Who, method: string, path: string, body?: unknown): Promise<Answer> =>
  (await world.request(method, path, {
    ...(typeof who === 'string' ? { key: who } : { headers: who }),
    ...(body === undefined ? {} : { body }),
  })) as unknown as Answer;
const make = async (object: string, fields: Record<string, unknown>, who: Who = nancy): Promise<Rec> => {
  const { status, body } = await ask(who, 'POST', `/records/${object}`, fields);
  expect(status, JSON.stringify(body)).toBe(201);
  return body;
};

async function login(company: Rec, email: string): Promise<Headers> {
  const { body } = await ask(nancy, 'POST', '/partners/invitations', { company: company.id, audience: 'carrier', email, name: 'P' });
  const token = body.url!.split('/').at(-1)!;
  const { headers } = await world.request('POST', `/invitations/${token}`, { body: { name: 'P', password: 'kith-kith-kith' } });
  return { cookie: headers.get('set-cookie')!.split(';', 1)[0]!, origin: ORIGIN };
}

beforeAll(async () => {
  world = await createTestWorld({
    plugins: [contacts, sales, portals, logistics],
    servers: [contactsServer, salesServer, portalsServer, server],
    clock: () => new Date('2026-05-01T10:00:00Z'),
  });
  [nancy, reader] = [await world.key('member'), await world.key('reader')];
  [carrier, rival] = [
    await make('contacts.company', { name: 'Speedy Express' }),
    await make('contacts.company', { name: 'United Package' }),
  ];
  [speedy, united] = [await login(carrier, 'a@speedy.example'), await login(rival, 'a@united.example')];
  customer = await make('contacts.company', { name: 'Ernst Handel' });
});
afterAll(() => world.close());

interface Made {
  id: string;
  order: string;
}
async function ship(): Promise<Made> {
  const order = await make('sales.order', { company: customer.id, requiredDate: DUE, shipTo: { city: 'Graz', country: 'Austria' } });
  const shipment = await make('logistics.shipment', {
    order: order.id,
    carrier: carrier.id,
    freightCharged: { amount: '32.38', currency: 'USD' },
  });
  return { id: shipment.id, order: order.id };
}
const now = async ({ id }: Made): Promise<Rec['fields']> => (await ask(nancy, 'GET', `/records/logistics.shipment/${id}`)).body.fields;
const orderNow = async ({ order }: Made): Promise<Rec['fields']> => (await ask(nancy, 'GET', `/records/sales.order/${order}`)).body.fields;
const act = (who: Who, made: Made, name: string, input: unknown = {}): Promise<Answer> =>
  ask(who, 'POST', `/records/logistics.shipment/${made.id}/actions/${name}`, input);
const done = async (answer: Promise<Answer>): Promise<Rec['fields']> => {
  const { status, body } = await answer;
  expect(status, JSON.stringify(body)).toBe(200);
  return body.fields;
};

describe('a shipment', () => {
  it('has all its texts in every language', () => {
    expect(catalogueProblems(logistics)).toEqual([]);
    expect(catalogueProblems(portals)).toEqual([]);
  });

  it('takes over what it needs from the order, and is shown there', async () => {
    const made = await ship();
    expect(await now(made)).toMatchObject({
      number: expect.stringMatching(/^S-2\d{4}$/) as string,
      requiredDate: DUE,
      shipTo: { city: 'Graz', country: 'Austria' },
      status: 'planned',
      estimatedArrival: null,
      daysLate: null,
    });
    expect(await orderNow(made)).toMatchObject({ logistics__shipmentStatus: 'planned', logistics__estimatedArrival: null });
  });

  it('moves by what its carrier reports', async () => {
    const made = await ship();
    const seen = await done(act(speedy, made, 'report', { kind: 'pickedUp', place: 'Linz', estimatedArrival: '2026-05-09' }));
    expect(seen).toMatchObject({
      status: 'inTransit',
      lastPlace: 'Linz',
      lastEventAt: '2026-05-01T10:00:00.000Z',
      estimatedArrival: '2026-05-09',
    });
    expect(await orderNow(made)).toMatchObject({ logistics__shipmentStatus: 'inTransit', logistics__estimatedArrival: '2026-05-09' });
    const failed = { reason: 'Axle broken', at: '2026-05-01T10:01:00Z', place: 'Wels', estimatedArrival: '2026-05-13' };
    expect(await done(act(speedy, made, 'reportException', failed))).toMatchObject({
      status: 'exception',
      exceptionReason: 'Axle broken',
      lastPlace: 'Wels',
      estimatedArrival: '2026-05-13',
      daysLate: 3,
    });
    expect(await orderNow(made)).toMatchObject({ logistics__shipmentStatus: 'exception', logistics__estimatedArrival: '2026-05-13' });
    await done(act(speedy, made, 'report', { kind: 'departed', at: '2026-05-01T10:02:00Z' }));
    expect(await now(made)).toMatchObject({
      status: 'inTransit',
      exceptionReason: null,
      lastPlace: 'Wels',
      estimatedArrival: '2026-05-13',
    });
    // What happened before is reported after: the newest counts.
    await done(act(speedy, made, 'report', { kind: 'arrived', at: '2026-04-30T10:00:00Z', place: 'Depot' }));
    expect(await now(made)).toMatchObject({ status: 'inTransit', lastPlace: 'Wels', lastEventAt: '2026-05-01T10:02:00.000Z' });
    await done(act(nancy, made, 'report', { kind: 'delivered', at: '2026-05-01T10:03:00Z', place: 'Graz' }));
    expect(await now(made)).toMatchObject({ status: 'delivered', lastPlace: 'Graz' });
    const milestones = await ask(
      speedy,
      'GET',
      `/records/logistics.milestone?sort=at&filter=${encodeURIComponent(JSON.stringify({ field: 'shipment', op: 'eq', value: made.id }))}`,
    );
    expect(milestones.body.data!.map((one) => one.fields.kind)).toEqual(['arrived', 'pickedUp', 'exception', 'departed', 'delivered']);
  });

  it('moves by milestones and estimates that are written directly, alike', async () => {
    const made = await ship();
    await make('logistics.milestone', { shipment: made.id, kind: 'pickedUp', place: 'Linz' }, speedy);
    expect(await now(made)).toMatchObject({ status: 'inTransit', lastPlace: 'Linz' });
    expect(await done(ask(speedy, 'PATCH', `/records/logistics.shipment/${made.id}`, { estimatedArrival: '2026-05-12' }))).toMatchObject({
      daysLate: 2,
    });
    expect(await orderNow(made)).toMatchObject({ logistics__estimatedArrival: '2026-05-12' });
    const wrong = await make('logistics.milestone', { shipment: made.id, kind: 'delivered', at: '2026-05-02T00:00:00Z' }, nancy);
    expect(await now(made)).toMatchObject({ status: 'delivered' });
    expect((await ask(nancy, 'DELETE', `/records/logistics.milestone/${wrong.id}`)).status).toBe(204);
    expect(await now(made)).toMatchObject({ status: 'inTransit' });
  });

  it('is one of several of an order, which shows the worst and the last', async () => {
    const made = await ship();
    const second = await make('logistics.shipment', { order: made.order, carrier: rival.id, estimatedArrival: '2026-05-20' });
    await done(act(speedy, made, 'report', { kind: 'delivered', estimatedArrival: '2026-05-02' }));
    expect(await orderNow(made)).toMatchObject({ logistics__shipmentStatus: 'inTransit', logistics__estimatedArrival: '2026-05-20' });
    expect((await ask(nancy, 'DELETE', `/records/logistics.shipment/${second.id}`)).status).toBe(204);
    expect(await orderNow(made)).toMatchObject({ logistics__shipmentStatus: 'delivered', logistics__estimatedArrival: '2026-05-02' });
  });
});

describe('a carrier', () => {
  it('sees its own shipments without what they cost, and no rival’s', async () => {
    const made = await ship();
    const seen = (await ask(speedy, 'GET', `/records/logistics.shipment/${made.id}`)).body.fields;
    for (const hidden of ['freightCharged', 'order']) expect(seen).not.toHaveProperty(hidden);
    expect((await ask(united, 'GET', `/records/logistics.shipment/${made.id}`)).status).toBe(404);
    for (const object of ['sales.order', 'contacts.company'])
      expect((await ask(speedy, 'GET', `/records/${object}`)).status, object).toBe(404);
  });

  it('writes what is opened on its own shipments, and nothing else', async () => {
    const made = await ship();
    for (const fields of [{ shipBy: DUE }, { freightCharged: null }, { carrier: rival.id }, { status: 'delivered' }, { lastPlace: 'x' }])
      expect([403, 422], JSON.stringify(fields)).toContain(
        (await ask(speedy, 'PATCH', `/records/logistics.shipment/${made.id}`, fields)).status,
      );
    expect((await ask(united, 'PATCH', `/records/logistics.shipment/${made.id}`, { estimatedArrival: DUE })).status).toBe(404);
    expect((await act(united, made, 'report', { kind: 'delivered' })).status).toBe(404);
    expect((await act(reader, made, 'report', { kind: 'delivered' })).status).toBe(403);
    const foreign = await ask(united, 'POST', '/records/logistics.milestone', { shipment: made.id, kind: 'delivered' });
    expect([403, 422]).toContain(foreign.status);
    expect([403, 422]).toContain((await ask(speedy, 'POST', '/records/logistics.shipment', { carrier: carrier.id })).status);
    const mine = await make('logistics.milestone', { shipment: made.id, kind: 'pickedUp' }, speedy);
    expect([403, 404, 422]).toContain(
      (await ask(speedy, 'PATCH', `/records/logistics.milestone/${mine.id}`, { place: 'elsewhere' })).status,
    );
    expect([403, 404]).toContain((await ask(speedy, 'DELETE', `/records/logistics.milestone/${mine.id}`)).status);
    expect(await now(made)).toMatchObject({ status: 'inTransit', estimatedArrival: null });
  });

  it('is refused what does not fit', async () => {
    const made = await ship();
    for (const [name, input, status] of [
      ['report', {}, 422],
      ['report', { kind: 'flown' }, 422],
      ['report', { kind: 'exception' }, 422],
      ['report', { kind: 'pickedUp', at: 'yesterday' }, 422],
      ['report', { kind: 'pickedUp', at: '2026-05-01T10:06:00Z' }, 409],
      ['report', { kind: 'pickedUp', estimatedArrival: '2026-13-01' }, 422],
      ['reportException', {}, 422],
      ['reportException', { reason: '' }, 422],
    ] as const)
      expect((await act(speedy, made, name, input)).status, JSON.stringify(input)).toBe(status);
    const silent = await ask(speedy, 'POST', '/records/logistics.milestone', { shipment: made.id, kind: 'exception' });
    expect(silent.body.errors).toMatchObject([{ field: 'note', code: 'required' }]);
    expect(await now(made)).toMatchObject({ status: 'planned', lastEventAt: null });
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
    const { pages, answer, late } = world.runtime.model.audiences.get('carrier')!;
    for (const one of [...pages, ...answer, ...late]) {
      const found = await ask(speedy, 'GET', `/records/${one.object}?${query(one)}`);
      expect(found.status, `${JSON.stringify(one)} ${JSON.stringify(found.body)}`).toBe(200);
    }
  });
});

describe('a guest', () => {
  it('follows one shipment, and sees five fields of it', async () => {
    const [made, other] = [await ship(), await ship()];
    const link = await ask(nancy, 'POST', '/guests', { object: 'logistics.shipment', id: made.id, audience: 'recipient', name: 'Ernst' });
    expect(link.status, JSON.stringify(link.body)).toBe(201);
    const { headers } = await world.request('POST', '/session', { body: { guest: link.body.url!.split('/').at(-1)! } });
    const guest = { cookie: headers.get('set-cookie')!.split(';', 1)[0]!, origin: ORIGIN };
    await done(act(speedy, made, 'report', { kind: 'pickedUp', place: 'Linz', estimatedArrival: DUE }));
    const seen = await ask(guest, 'GET', `/records/logistics.shipment/${made.id}`);
    expect(Object.keys(seen.body.fields).sort()).toEqual(['estimatedArrival', 'lastEventAt', 'lastPlace', 'number', 'status']);
    expect((await ask(guest, 'GET', `/records/logistics.shipment/${other.id}`)).status).toBe(404);
    expect((await ask(guest, 'GET', '/records/logistics.shipment')).body.data!.map((one) => one.id)).toEqual([made.id]);
    expect([403, 404]).toContain((await act(guest, made, 'report', { kind: 'delivered' })).status);
    expect([403, 404, 422]).toContain(
      (await ask(guest, 'PATCH', `/records/logistics.shipment/${made.id}`, { estimatedArrival: DUE })).status,
    );
    expect((await ask(guest, 'GET', '/records/logistics.milestone')).status).toBe(404);
  });
});

describe('what follows', () => {
  const at = (kind: Milestone['kind'], place: string | null = null, note: string | null = null): Milestone => ({
    shipment: 's',
    shipmentNumber: null,
    carrier: null,
    reporter: null,
    withdrawn: null,
    kind,
    at: '2026-05-01T10:00:00.000Z',
    place,
    note,
  });
  it.each([
    [[], { status: 'planned', lastPlace: null, lastEventAt: null, exceptionReason: null }],
    [[at('pickedUp', 'Linz')], { status: 'inTransit', lastPlace: 'Linz' }],
    [[at('pickedUp', 'Linz'), at('departed')], { status: 'inTransit', lastPlace: 'Linz' }],
    [[at('exception', null, 'Flood')], { status: 'exception', exceptionReason: 'Flood' }],
    [[at('exception', null, 'Flood'), at('delivered')], { status: 'delivered', exceptionReason: null }],
  ])('from milestones %j is %j', (milestones, wanted) => {
    expect(whereabouts(milestones)).toMatchObject(wanted);
  });

  it.each<[ShipmentStatus[], ShipmentStatus | null]>([
    [[], null],
    [['planned'], 'planned'],
    [['planned', 'delivered'], 'inTransit'],
    [['delivered', 'delivered'], 'delivered'],
    [['delivered', 'exception'], 'exception'],
    [['inTransit', 'planned'], 'inTransit'],
  ])('shipments %j together are %s', (states, wanted) => {
    expect(together(states.map((status) => ({ status, estimatedArrival: null }))).logistics__shipmentStatus).toBe(wanted);
  });
});

describe('a shipment that passes on', () => {
  const milestones = async (who: Who, made: Made): Promise<string[]> => {
    const filter = encodeURIComponent(JSON.stringify({ field: 'shipment', op: 'eq', value: made.id }));
    return (await ask(who, 'GET', `/records/logistics.milestone?filter=${filter}`)).body.data!.map((one) => String(one.fields.place));
  };

  it('shows another carrier nothing of what the one before reported', async () => {
    const made = await ship();
    await done(act(speedy, made, 'report', { kind: 'pickedUp', place: 'Linz', estimatedArrival: '2026-05-09' }));
    await done(act(speedy, made, 'reportException', { reason: 'Axle broken', place: 'Wels' }));
    expect((await ask(nancy, 'PATCH', `/records/logistics.shipment/${made.id}`, { carrier: rival.id })).status).toBe(200);
    const taken = await ask(united, 'GET', `/records/logistics.shipment/${made.id}`);
    expect(taken.body.fields).toMatchObject({ status: 'planned', lastPlace: null, exceptionReason: null, estimatedArrival: '2026-05-09' });
    expect(await milestones(united, made)).toEqual([]);
    expect(await milestones(speedy, made)).toEqual([]);
    expect((await milestones(nancy, made)).sort()).toEqual(['Linz', 'Wels']);
    await done(act(united, made, 'report', { kind: 'pickedUp', place: 'Wien' }));
    expect(await milestones(united, made)).toEqual(['Wien']);
    expect(await now(made)).toMatchObject({ status: 'inTransit', lastPlace: 'Wien' });
  });

  it('takes its milestones along into the bin and back', async () => {
    const made = await ship();
    await done(act(speedy, made, 'report', { kind: 'pickedUp', place: 'Linz' }));
    expect((await ask(nancy, 'DELETE', `/records/logistics.shipment/${made.id}`)).status).toBe(204);
    expect(await milestones(speedy, made)).toEqual([]);
    expect((await ask(nancy, 'POST', `/records/logistics.shipment/${made.id}/restore`)).status).toBe(200);
    expect(await milestones(speedy, made)).toEqual(['Linz']);
  });
});
