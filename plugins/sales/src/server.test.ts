import { server as contactsServer } from '@kith/plugin-contacts/server';
import { contacts } from '@kith/plugin-contacts/plugin';
import { createTestWorld, type TestWorld } from '@kith/core/testing';
import { catalogueProblems, type Rec } from '@kith/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sales } from './plugin.ts';
import { server } from './server.ts';

let world: TestWorld;
let key: string;
beforeAll(async () => {
  world = await createTestWorld({ plugins: [contacts, sales], servers: [contactsServer, server] });
  key = await world.key('member');
});
afterAll(() => world.close());

const make = async (object: string, fields: Record<string, unknown>): Promise<Rec> => {
  const { status, body } = await world.request('POST', `/records/${object}`, { key, body: fields });
  expect(status, JSON.stringify(body)).toBe(201);
  return body as unknown as Rec;
};

describe('sales', () => {
  it('has all its texts in every language', () => {
    expect([...catalogueProblems(contacts), ...catalogueProblems(sales)]).toEqual([]);
  });

  it('computes a line’s total exactly and keeps it with the line', async () => {
    const company = await make('contacts.company', { name: 'Ernst Handel' });
    const order = await make('sales.order', { company: company.id });
    const product = await make('sales.product', { name: 'Chai', price: { amount: '18', currency: 'USD' } });
    expect(order.fields.number).toMatch(/^\d{5}$/);
    const line = await make('sales.orderLine', {
      order: order.id,
      product: product.id,
      quantity: 7,
      unitPrice: { amount: '18.4500', currency: 'USD' },
      discount: 0.15,
    });
    expect(line.fields.total).toEqual({ amount: '109.7775', currency: 'USD' });
    const patched = await world.request('PATCH', `/records/sales.orderLine/${line.id}`, { key, body: { quantity: 8 } });
    expect((patched.body as Rec).fields.total).toEqual({ amount: '125.46', currency: 'USD' });
    const refused = await world.request('PATCH', `/records/sales.orderLine/${line.id}`, {
      key,
      body: { total: { amount: '1.00', currency: 'USD' } },
    });
    expect(refused.status).toBe(422);
    expect(refused.body).toMatchObject({ errors: [{ field: 'total', code: 'read_only' }] });
  });

  it('moves stock by an action that refuses to go below nothing', async () => {
    const product = await make('sales.product', { name: 'Chang' });
    const path = `/records/sales.product/${product.id}/actions/adjustStock`;
    expect(((await world.request('POST', path, { key, body: { by: 17 } })).body as Rec).fields.unitsInStock).toBe(17);
    const refused = await world.request('POST', path, { key, body: { by: -18 } });
    expect(refused.status).toBe(409);
    expect(refused.body).toMatchObject({ code: 'refused', detail: 'Only 17 are in stock.' });
    expect((await world.request('PATCH', `/records/sales.product/${product.id}`, { key, body: { unitsInStock: 3 } })).status).toBe(422);
  });

  it('wins and loses deals, with a reason', async () => {
    const deal = await make('sales.deal', { name: 'Cheese' });
    expect(deal.fields.stage).toBe('lead');
    const lose = `/records/sales.deal/${deal.id}/actions/lose`;
    expect((await world.request('POST', lose, { key, body: {} })).body).toMatchObject({ errors: [{ field: 'reason', code: 'required' }] });
    expect(((await world.request('POST', lose, { key, body: { reason: 'Price' } })).body as Rec).fields).toMatchObject({
      stage: 'lost',
      lostReason: 'Price',
    });
  });
});
