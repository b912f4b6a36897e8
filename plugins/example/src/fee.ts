/** What a loan costs: the rate for each day from the first to the last. */
import type { Money } from '@kith/sdk';

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
