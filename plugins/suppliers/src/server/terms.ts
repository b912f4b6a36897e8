/**
 * What an answer of a supplier comes to: whether it meets the order, how late it
 * is, and what the lines of a purchase order make of it.
 */
import { canonicalDecimal, type Change, type FieldProblem, type FieldsOf, type Money, type ObjectsOf, type Verdict } from '@kith/sdk';
import Big from 'big.js';
import type { suppliers } from '../plugin.ts';

type Objects = ObjectsOf<typeof suppliers>;
export type Order = FieldsOf<Objects['suppliers.purchaseOrder']>;
export type Line = FieldsOf<Objects['suppliers.purchaseOrderLine']>;
export type OrderStatus = NonNullable<Order['status']>;

/** Decimals of derived amounts. */
const PLACES = 4;
const DAY_MS = 86_400_000;

/** Whether a purchase order takes answers. */
export const underWay = (status: OrderStatus | null): boolean => status === 'open' || status === 'confirmed' || status === 'changed';

/** The day that an answer is judged by: what was agreed on since, or what the order requires. */
export const dueOf = (line: Pick<Line, 'agreedDate' | 'requiredDate'>): string | null => line.agreedDate ?? line.requiredDate;

/** `confirmed` if quantity and day meet the order, else `countered`: a proposal that waits for the staff. */
export function judged(
  line: Pick<Line, 'agreedDate' | 'requiredDate' | 'orderedQuantity'>,
  quantity: number | null,
  day: string | null,
): 'confirmed' | 'countered' {
  const due = dueOf(line);
  return quantity === line.orderedQuantity && (due === null || (day !== null && day <= due)) ? 'confirmed' : 'countered';
}

/** How many days after the required one; null when it is none. */
function daysLate({ status, confirmedDate, requiredDate }: Line): number | null {
  if (status === 'rejected' || confirmedDate === null || requiredDate === null || confirmedDate <= requiredDate) return null;
  return Math.round((Date.parse(confirmedDate) - Date.parse(requiredDate)) / DAY_MS);
}

/** Quantity and day may be written directly, and then mean what the actions mean. */
export function guardLine({ before, patch, record }: Change<Line>): Verdict<Line> {
  const set: { -readonly [K in keyof Line]?: Line[K] } = {};
  const problems: FieldProblem[] = [];
  const passes = before !== null && patch.supplier !== undefined;
  const answers =
    before === null
      ? record.status === 'open' && (record.confirmedQuantity !== null || record.confirmedDate !== null)
      : patch.status === undefined && (patch.confirmedQuantity !== undefined || patch.confirmedDate !== undefined);
  const termsChange =
    before !== null && patch.status === undefined && (patch.orderedQuantity !== undefined || patch.agreedDate !== undefined);
  if (passes) {
    // Another supplier begins anew.
    Object.assign(set, { status: 'open', confirmedQuantity: null, confirmedDate: null, reason: null, answer: null });
  } else if (answers) {
    if (record.orderStatus !== null && !underWay(record.orderStatus)) {
      const field = patch.confirmedQuantity === undefined ? 'confirmedDate' : 'confirmedQuantity';
      problems.push({ field, code: 'order_closed', message: 'cannot be changed: the purchase order takes no more answers' });
    } else if (record.confirmedQuantity === null && record.confirmedDate === null) {
      Object.assign(set, { status: 'open', reason: null });
    } else {
      set.confirmedQuantity = record.confirmedQuantity ?? record.orderedQuantity;
      set.confirmedDate = record.confirmedDate ?? dueOf(record);
      set.status = judged(record, set.confirmedQuantity, set.confirmedDate);
      if (patch.reason === undefined && (set.status === 'confirmed' || before?.status === 'rejected')) set.reason = null;
    }
  } else if (termsChange && (record.status === 'confirmed' || record.status === 'countered')) {
    // What was answered was another question.
    if (judged(record, record.confirmedQuantity, record.confirmedDate) === 'confirmed') set.status = 'confirmed';
    else Object.assign(set, { status: 'open', confirmedQuantity: null, confirmedDate: null, reason: null });
  }
  if (before === null && record.internalCost === null) set.internalCost = record.unitCost;
  set.daysLate = daysLate({ ...record, ...set });
  return problems.length > 0 ? { problems } : { set };
}

/** What a purchase order's lines make of it. */
export type Figures = Pick<Order, 'status' | 'openLines' | 'lateLines' | 'proposals' | 'value' | 'margin'>;

type Counted = Pick<Line, 'status' | 'daysLate' | 'orderedQuantity' | 'unitCost' | 'internalCost' | 'netSales'>;

/** The state and the sums of a purchase order. What was shipped or closed stays so. */
export function figuresOf(now: OrderStatus | null, lines: readonly Counted[]): Figures {
  const status = now === 'shipped' || now === 'closed' ? now : statusOf(lines);
  const waiting = (state: Line['status']): number => (underWay(status) ? lines.filter((line) => line.status === state).length : 0);
  return {
    status,
    openLines: waiting('open'),
    proposals: waiting('countered'),
    lateLines: lines.filter((line) => line.daysLate !== null).length,
    value: sum(lines.map(({ unitCost, orderedQuantity }) => times(unitCost, orderedQuantity ?? 0))),
    margin: marginOf(lines),
  };
}

function statusOf(lines: readonly Counted[]): OrderStatus {
  const all = (state: Line['status']): boolean => lines.every((line) => line.status === state);
  if (lines.length === 0) return 'open';
  if (all('rejected')) return 'rejected';
  if (lines.some((line) => line.status === 'countered' || line.status === 'rejected')) return 'changed';
  return all('confirmed') ? 'confirmed' : 'open';
}

/** Net sales less internal cost; null while no line says what it sells for. */
function marginOf(lines: readonly Counted[]): Money | null {
  if (lines.every((line) => line.netSales === null)) return null;
  return sum(lines.flatMap((line) => [line.netSales, times(line.internalCost, -(line.orderedQuantity ?? 0))]));
}

const times = (money: Money | null, by: number): Money | null => money && { ...money, amount: new Big(money.amount).times(by).toFixed() };

/** A sum, half up to four decimals. Amounts in several currencies have none. */
function sum(amounts: readonly (Money | null)[]): Money | null {
  const known = amounts.filter((one) => one !== null);
  const currency = known[0]?.currency;
  if (currency === undefined || known.some((one) => one.currency !== currency)) return null;
  return { amount: rounded(known.reduce((total, { amount }) => total.plus(amount), new Big(0))), currency };
}

/** Half up to four decimals, as derived amounts are kept. */
export const rounded = (amount: Big): string => canonicalDecimal(amount.round(PLACES, Big.roundHalfUp).toFixed());
