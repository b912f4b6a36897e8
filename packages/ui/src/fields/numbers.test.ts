import { describe, expect, it } from 'vitest';
import { Format } from '../format.ts';
import { parseMoney, parseNumber, typedNumber } from './numbers.ts';

describe('numbers as people type them', () => {
  it.each([
    ['1,234.5', 'en-GB', '1234.5'],
    ['1234,5', 'en-GB', '1234.5'],
    ['.5', 'en-GB', '0.5'],
    ['-12', 'en-GB', '-12'],
    ['1 234', 'en-GB', '1234'],
    ['1.234,5', 'de-DE', '1234.5'],
    ['1.234', 'de-DE', '1234'],
    ['1.5', 'de-DE', '1.5'],
    ['12,', 'de-DE', '12'],
    ['twelve', 'en-GB', null],
    ['1e5', 'en-GB', null],
    ['', 'en-GB', null],
  ])('%s in %s', (text, locale, number) => expect(parseNumber(text, locale)).toBe(number));

  it('gives back what can be typed again', () => {
    for (const value of [0, -1.25, 1e21, 1e-7, 123456.789]) {
      for (const locale of ['en-GB', 'de-DE']) expect(Number(parseNumber(typedNumber(value, locale), locale))).toBe(value);
    }
  });

  it('reads amounts with their currency before, behind or not at all', () => {
    const format = new Format('de', 'UTC', 'EUR');
    expect(parseMoney('12,50', format, 'EUR')).toEqual({ amount: '12.50', currency: 'EUR' });
    expect(parseMoney('USD 1.234,5', format, 'EUR')).toEqual({ amount: '1234.5', currency: 'USD' });
    expect(parseMoney('12 €', format, 'USD')).toEqual({ amount: '12', currency: 'EUR' });
    expect(parseMoney('much', format, 'EUR')).toBeNull();
  });
});
