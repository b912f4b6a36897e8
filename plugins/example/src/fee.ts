/** What a loan costs: the rate for each day from the first to the last. */
import { canonicalDecimal, type Money } from '@kith/sdk';

const DAY_MS = 86_400_000;

/** Days from one to the other, both of which count; at least one. Days are `YYYY-MM-DD`. */
export const daysOf = (from: string, due: string): number => Math.max(1, (Date.parse(due) - Date.parse(from)) / DAY_MS + 1);

/** Exact: amounts are decimal strings, and are counted in the smallest part that the rate has. */
export function feeOf(rate: Money, from: string, due: string): Money {
  const [whole = '0', fraction = ''] = rate.amount.split('.');
  const scaled = (BigInt(whole + fraction) * BigInt(daysOf(from, due))).toString().padStart(fraction.length + 1, '0');
  const point = scaled.length - fraction.length;
  return { amount: fraction === '' ? scaled : `${scaled.slice(0, point)}.${scaled.slice(point)}`, currency: rate.currency };
}

/** The sum of amounts by currency. Exact, as the amounts are. */
export function addedUp(amounts: readonly Money[]): Money[] {
  const PLACES = 20;
  const sums = new Map<string, bigint>();
  for (const { amount, currency } of amounts) {
    const [whole = '0', fraction = ''] = amount.split('.');
    sums.set(currency, (sums.get(currency) ?? 0n) + BigInt(whole + fraction.padEnd(PLACES, '0')));
  }
  return [...sums].map(([currency, sum]) => {
    const digits = sum.toString().padStart(PLACES + 1, '0');
    return { amount: canonicalDecimal(`${digits.slice(0, -PLACES)}.${digits.slice(-PLACES)}`), currency };
  });
}
