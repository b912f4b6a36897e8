/** Judging answers of suppliers, and what lines make of a purchase order: as tables, and over random lines. */
import Big from 'big.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { figuresOf, guardLine, judged, type Line, type OrderStatus } from './terms.ts';

const usd = (amount: string): { amount: string; currency: string } => ({ amount, currency: 'USD' });
const line = (more: Partial<Line> = {}): Line => ({
  item: 'Chai',
  purchaseOrder: 'p',
  orderNumber: '1',
  supplier: 's',
  product: 'c',
  orderLine: 'l',
  orderStatus: 'open',
  orderedQuantity: 10,
  requiredDate: '2026-05-10',
  agreedDate: null,
  confirmedQuantity: null,
  confirmedDate: null,
  status: 'open',
  daysLate: null,
  reason: null,
  answer: null,
  withdrawn: null,
  unitCost: usd('7.00'),
  internalCost: usd('8.00'),
  netSales: usd('100.00'),
  ...more,
});
const guard = (before: Line | null, patch: Partial<Line>): ReturnType<typeof guardLine> =>
  guardLine({ before, patch, record: { ...(before ?? line()), ...patch } });
const after = (before: Line, patch: Partial<Line>): Line => ({ ...before, ...patch, ...guard(before, patch).set });

describe('an answer written directly', () => {
  it.each([
    [
      { confirmedQuantity: 10, confirmedDate: '2026-05-10' },
      { status: 'confirmed', daysLate: null },
    ],
    [{ confirmedQuantity: 10 }, { status: 'confirmed', confirmedDate: '2026-05-10' }],
    [{ confirmedDate: '2026-05-09' }, { status: 'confirmed', confirmedQuantity: 10 }],
    [{ confirmedDate: '2026-05-11' }, { status: 'countered', daysLate: 1 }],
    [{ confirmedDate: '2027-05-10' }, { status: 'countered', daysLate: 365 }],
    [{ confirmedQuantity: 9 }, { status: 'countered', daysLate: null }],
    [{ confirmedQuantity: 11 }, { status: 'countered' }],
    [{ confirmedQuantity: 0 }, { status: 'countered' }],
  ] as const)('%j makes the line %j', (patch, wanted) => {
    expect(after(line(), patch)).toMatchObject(wanted);
  });

  it('is taken back by emptying both', () => {
    const answered = after(line(), { confirmedQuantity: 9, confirmedDate: '2026-06-01' });
    expect(after(answered, { confirmedQuantity: null, confirmedDate: null })).toMatchObject({ status: 'open', daysLate: null });
    expect(after(answered, { confirmedQuantity: null })).toMatchObject({ confirmedQuantity: 10, status: 'countered' });
  });

  it('is judged by the day that was agreed on, and late by the day that is required', () => {
    const agreed = line({ agreedDate: '2026-05-20' });
    expect(after(agreed, { confirmedDate: '2026-05-20' })).toMatchObject({ status: 'confirmed', daysLate: 10 });
    expect(after(agreed, { confirmedQuantity: 10 })).toMatchObject({ confirmedDate: '2026-05-20', status: 'confirmed' });
    expect(after(agreed, { confirmedDate: '2026-05-21' })).toMatchObject({ status: 'countered', daysLate: 11 });
    expect(after(line({ requiredDate: null }), { confirmedQuantity: 10 })).toMatchObject({ status: 'confirmed', confirmedDate: null });
  });

  it.each(['rejected', 'shipped', 'closed'] as const)('is refused while the order is %s', (orderStatus) => {
    for (const patch of [{ confirmedQuantity: 10 }, { confirmedDate: '2026-05-10' }] as const) {
      const { problems } = guard(line({ orderStatus }), patch);
      expect(problems).toMatchObject([{ field: Object.keys(patch)[0], code: 'order_closed' }]);
    }
  });

  it('is void when the supplier changes or the terms do', () => {
    const answered = after(line(), { confirmedQuantity: 10, confirmedDate: '2026-05-10' });
    const fresh = { status: 'open', confirmedQuantity: null, confirmedDate: null };
    expect(
      after({ ...answered, orderStatus: 'closed' }, { supplier: 'other', confirmedQuantity: null, confirmedDate: null }),
    ).toMatchObject(fresh);
    expect(after(answered, { orderedQuantity: 20 })).toMatchObject(fresh);
    expect(after(answered, { agreedDate: '2026-05-12' })).toMatchObject({ status: 'confirmed' });
    expect(after(answered, { agreedDate: '2026-05-01' })).toMatchObject(fresh);
  });

  it('follows the required day', () => {
    const answered = after(line(), { confirmedDate: '2026-05-10' });
    expect(after(answered, { requiredDate: '2026-05-08' })).toMatchObject({ daysLate: 2, status: 'confirmed' });
    expect(after(answered, { status: 'rejected' })).toMatchObject({ daysLate: null });
  });

  it('leaves an internal cost that is given, and begins with the unit cost', () => {
    expect(guard(null, { internalCost: null }).set).toMatchObject({ internalCost: usd('7.00') });
    expect(guard(null, {}).set?.internalCost).toBeUndefined();
  });

  it('means the same as what judging says, whatever is written', () => {
    const day = fc.integer({ min: 1, max: 28 }).map((n) => `2026-05-${String(n).padStart(2, '0')}`);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 20 }), day, fc.option(day), (confirmedQuantity, confirmedDate, agreedDate) => {
        const before = line({ agreedDate });
        const result = after(before, { confirmedQuantity, confirmedDate });
        expect(result.status).toBe(judged(before, confirmedQuantity, confirmedDate));
        expect(result.status === 'confirmed').toBe(confirmedQuantity === 10 && confirmedDate <= (agreedDate ?? '2026-05-10'));
        expect((result.daysLate ?? 0) > 0).toBe(confirmedDate > '2026-05-10');
      }),
      { numRuns: 300 },
    );
  });
});

describe('a purchase order', () => {
  const of = (...states: NonNullable<Line['status']>[]): Line[] => states.map((status) => line({ status }));
  it.each([
    [[], 'open'],
    [['open'], 'open'],
    [['confirmed'], 'confirmed'],
    [['confirmed', 'confirmed'], 'confirmed'],
    [['confirmed', 'open'], 'open'],
    [['countered', 'open'], 'changed'],
    [['rejected', 'open'], 'changed'],
    [['rejected', 'confirmed'], 'changed'],
    [['rejected', 'rejected'], 'rejected'],
  ] as const)('of lines %j is %s', (states, status) => {
    for (const now of ['open', 'confirmed', 'changed', 'rejected'] as const) expect(figuresOf(now, of(...states)).status).toBe(status);
    for (const now of ['shipped', 'closed'] as const) {
      expect(figuresOf(now, of(...states))).toMatchObject({ status: now, openLines: 0, proposals: 0 });
    }
  });

  it('counts what waits and what is late', () => {
    const lines = [...of('open', 'open', 'countered', 'confirmed'), line({ status: 'confirmed', daysLate: 3 })];
    expect(figuresOf('open', lines)).toMatchObject({ openLines: 2, proposals: 1, lateLines: 1 });
  });

  it('sums exactly, half up to four decimals', () => {
    const one = line({ orderedQuantity: 3, unitCost: usd('0.33335'), internalCost: usd('0.4'), netSales: usd('1.00005') });
    expect(figuresOf('open', [one])).toMatchObject({ value: usd('1.0001'), margin: usd('-0.20') });
    expect(figuresOf('open', [line({ netSales: null })]).margin).toBeNull();
    expect(figuresOf('open', [line(), line({ unitCost: { amount: '1.00', currency: 'EUR' } })]).value).toBeNull();
    expect(figuresOf('open', []).value).toBeNull();
    const cents = fc.integer({ min: 0, max: 1_000_000 });
    const random = fc.record({ cost: cents, internal: cents, net: cents, quantity: fc.integer({ min: 0, max: 500 }) });
    fc.assert(
      fc.property(fc.array(random, { minLength: 1, maxLength: 20 }), (rows) => {
        const money = (n: number): { amount: string; currency: string } => usd(new Big(n).div(100).toFixed(2));
        const lines = rows.map((row) =>
          line({ orderedQuantity: row.quantity, unitCost: money(row.cost), internalCost: money(row.internal), netSales: money(row.net) }),
        );
        const { value, margin } = figuresOf('open', lines);
        expect(Number(value!.amount)).toBeCloseTo(
          rows.reduce((sum, row) => sum + (row.cost * row.quantity) / 100, 0),
          2,
        );
        expect(Number(margin!.amount)).toBeCloseTo(
          rows.reduce((sum, row) => sum + (row.net - row.internal * row.quantity) / 100, 0),
          2,
        );
      }),
      { numRuns: 100 },
    );
  });

  it('does not change by being looked at again', () => {
    const state = fc.constantFrom('open', 'confirmed', 'countered', 'rejected');
    const order = fc.constantFrom<OrderStatus>('open', 'confirmed', 'changed', 'rejected', 'shipped', 'closed');
    fc.assert(
      fc.property(order, fc.array(state, { maxLength: 6 }), (now, states) => {
        const first = figuresOf(now, of(...(states as NonNullable<Line['status']>[])));
        expect(figuresOf(first.status, of(...(states as NonNullable<Line['status']>[])))).toEqual(first);
      }),
    );
  });
});
