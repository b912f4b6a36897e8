/** Numbers and money as people type them. */
import type { Format } from '../format.ts';
import type { Money } from '../types.ts';

/** Reads a number with the separators of a locale; null when it is none. `1.5` is read as such even where the comma divides. */
export function parseNumber(text: string, locale: string): string | null {
  const comma = new Intl.NumberFormat(locale).format(1.5).includes(',');
  let plain = text.replace(/[\s\u00a0\u202f'’]/gu, '').replace(/−/gu, '-');
  if (comma) {
    if (plain.includes(',')) plain = plain.replaceAll('.', '').replace(',', '.');
    else if (/^-?\d{1,3}(\.\d{3})+$/.test(plain)) plain = plain.replaceAll('.', '');
  } else if (/^-?\d{1,3}(,\d{3})+(\.\d*)?$/.test(plain)) plain = plain.replaceAll(',', '');
  else plain = plain.replace(',', '.');
  if (!/^-?(\d+\.?\d*|\.\d+)$/.test(plain)) return null;
  return plain.replace(/\.$/, '').replace(/^(-?)\./, '$10.');
}

/** A decimal for typing: no group separators, the locale's decimal mark. */
export function typedNumber(value: number | string, locale: string): string {
  const text = typeof value === 'number' ? plainDecimal(value) : value;
  return new Intl.NumberFormat(locale).format(1.5).includes(',') ? text.replace('.', ',') : text;
}

const plainDecimal = (value: number): string =>
  /e/.test(String(value)) ? new Intl.NumberFormat('en', { useGrouping: false, maximumFractionDigits: 20 }).format(value) : String(value);

const SYMBOLS: Record<string, string> = { $: 'USD', '€': 'EUR', '£': 'GBP', '¥': 'JPY' };

/** Reads an amount with or without its currency (`12.50`, `EUR 12.50`, `12,50 €`). */
export function parseMoney(text: string, format: Format, currency: string): Money | null {
  const code = /[A-Za-z]{3}/.exec(text)?.[0]?.toUpperCase();
  const symbol = /[$€£¥]/u.exec(text)?.[0];
  const amount = parseNumber(text.replace(/[A-Za-z]{3}|[$€£¥]/gu, ''), format.locale);
  if (amount === null) return null;
  return { amount, currency: code ?? (symbol ? (SYMBOLS[symbol] ?? currency) : currency) };
}
