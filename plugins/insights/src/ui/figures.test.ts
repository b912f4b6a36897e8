import { describe, expect, it } from 'vitest';
import { curve, lastOf, listOf, meaning, months, MONTHS, monthsFrom, split } from './figures.ts';

const group = (value: string | null, count = 1): { value: string | null; count: number } => ({ value, count });
const end = { name: 'all', href: '/all' };

describe('figures', () => {
  it('know their months', () => {
    expect([lastOf('2026-02'), lastOf('2028-02'), lastOf('2026-12')]).toEqual(['2026-02-28', '2028-02-29', '2026-12-31']);
    expect([monthsFrom('2026-01', -1), monthsFrom('2026-12', 1), monthsFrom('2026-05', -24)]).toEqual(['2025-12', '2027-01', '2024-05']);
  });

  it('leave no month out, and go back no further than two years', () => {
    expect(months([group('2026-01', 3), group('2026-04', 1), group(null)])).toEqual([
      { value: '2026-01', count: 3 },
      { value: '2026-02', count: 0 },
      { value: '2026-03', count: 0 },
      { value: '2026-04', count: 1 },
    ]);
    const far = months([group('1990-01'), group('2026-04')]);
    expect([far.length, far[0]!.value]).toEqual([MONTHS, '2024-05']);
    expect(months([group(null)])).toEqual([]);
  });

  it('keep currencies apart', () => {
    const [eur, usd] = [
      { amount: '1.00', currency: 'EUR' },
      { amount: '2.00', currency: 'USD' },
    ];
    expect(split([eur, usd], 'USD')).toEqual({ money: usd, others: [eur] });
    expect(split(undefined, 'USD')).toEqual({ money: { amount: '0', currency: 'USD' }, others: [] });
  });

  it('lead to the lists that they are of', () => {
    expect(meaning('product.category', null)).toEqual({ field: 'product.category', op: 'isNull', value: true });
    const url = new URL(listOf('sales.orderLine', [meaning('product.category', 'Meat/Poultry & more')], { sort: '-total' }), 'http://kith');
    expect(url.pathname).toBe('/o/sales.orderLine');
    expect(JSON.parse(url.searchParams.get('filter')!)).toEqual([{ field: 'product.category', op: 'eq', value: 'Meat/Poultry & more' }]);
  });

  it('make a curve that ends at everything', () => {
    const customers = [50, 20, 20, 10].map((amount, i) => ({ name: `c${i}`, amount, href: `/${i}` }));
    expect(curve(customers, 100, 4, end)).toEqual([
      { customers: 1, x: 0.25, y: 0.5, name: 'c0', href: '/0' },
      { customers: 3, x: 0.75, y: 0.9, name: 'c2', href: '/2' },
      { customers: 4, x: 1, y: 1, name: 'c3', href: '/3' },
    ]);
    expect(curve(customers.slice(0, 1), 100, 4, end).at(-1)).toEqual({ customers: 4, x: 1, y: 1, name: 'all', href: '/all' });
    expect(curve([], 0, 0, end)).toEqual([]);
  });
});
