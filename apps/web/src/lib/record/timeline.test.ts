import { expect, it } from 'vitest';
import { difference, fold } from './timeline.ts';

const at = (minute: number): string => new Date(Date.UTC(2026, 10, 21, 12, minute)).toISOString();

it('folds one person’s edits in a row, keeps the first old and the last new value, and drops what came back', () => {
  const entries = fold([
    { kind: 'change', at: at(14), by: 'ann', fields: { city: ['Linz', 'Graz'], name: ['b', 'a'] } },
    { kind: 'change', at: at(10), by: 'ann', fields: { city: ['Wien', 'Linz'], name: ['a', 'b'] } },
    { kind: 'change', at: at(9), by: 'bob', fields: { city: [null, 'Wien'] } },
    { kind: 'created', at: at(0), by: 'bob' },
  ]);
  expect(entries).toMatchObject([
    { kind: 'change', by: 'ann', fields: { city: ['Wien', 'Graz'] } },
    { kind: 'change', by: 'bob' },
    { kind: 'created' },
  ]);
  expect(Object.keys((entries[0] as { fields: object }).fields)).toEqual(['city']);
});

it('does not fold across a break or another person', () => {
  const change = (minute: number, by: string) => ({
    kind: 'change' as const,
    at: at(minute),
    by,
    fields: { city: ['a', `b${minute}`] as [string, string] },
  });
  expect(fold([change(50, 'ann'), change(20, 'ann')])).toHaveLength(2);
  expect(fold([change(3, 'ann'), change(2, 'bob'), change(1, 'ann')])).toHaveLength(3);
});

it('shows where texts differ with a few words around', () => {
  const text = 'Buys for eleven shops in Styria. Price matters less than full pallets on Tuesdays.';
  const pieces = difference(text, `Note: ${text} End.`);
  expect(pieces.map(({ kind }) => kind)).toEqual(['new', 'same', 'new']);
  expect(pieces[1]?.text).toMatch(/^Buys for eleven shops in…/);
  expect(difference('a\n\nb', 'a b')).toEqual([{ kind: 'same', text: 'a b' }]);
});
