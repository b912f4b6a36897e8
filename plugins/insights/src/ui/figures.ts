/** What the dashboard asks, what the answers mean, and where each figure leads. */
import type { Comparison, Filter, Money } from '@kith/sdk';
import type { Api } from '@kith/ui/api.ts';
import type { Page, Refs } from '@kith/ui/types.ts';

export const COMPANY = 'contacts.company';
export const ORDER = 'sales.order';
export const LINE = 'sales.orderLine';
export const REVENUE = 'insights__revenue';
export const CLASS = 'insights__abcClass';

/** Of how many orders. */
export const PERIODS = ['all', 'year', 'months'] as const;
export type Period = (typeof PERIODS)[number];
/** Charts show so many groups; the others are told together. */
const TOP = 10;
/** Months that the chart over time has at most. */
export const MONTHS = 24;
/** Customers that the curve is drawn from; beyond, it goes straight. */
const CURVE = 500;

/** One bar: what it is of, how much, and the list of its records. */
export interface Column {
  key: string;
  label: string;
  /** What is drawn; money in the currency of the chart. */
  amount: number;
  money: Money | undefined;
  count: number;
  href: string;
  /** In other currencies, which are never added. */
  others: Money[];
}
/** A bar of money. */
export interface Bar extends Column {
  money: Money;
}

export interface Rest {
  groups: number;
  count: number;
  money: Money[];
  href: string;
}

export interface Point {
  /** How many customers, the largest first. */
  customers: number;
  /** Their share of all customers, and of all revenue. */
  x: number;
  y: number;
  name: string;
  href: string;
}

export interface Figures {
  /** The conditions that all lines, and all orders, of the period fit. */
  base: Filter[];
  ofOrders: Filter[];
  currency: string;
  revenue: Money[];
  lines: number;
  orders: number;
  customers: number;
  months: Bar[];
  categories: Bar[];
  countries: Bar[];
  employees: Bar[];
  rests: Record<'categories' | 'countries' | 'employees', Rest | null>;
  classes: Bar[];
  points: Point[];
}

/** A group as the API answers it. */
export interface AnsweredGroup {
  value: string | null;
  count: number;
  sum?: Money[];
}
interface Answer extends Omit<Page, 'groups' | 'totals'> {
  groups?: AnsweredGroup[];
  rest?: Omit<AnsweredGroup, 'value'> & { groups: number };
  totals?: Record<string, { sum: Money[] }>;
}

/** A list with these conditions, as its page reads them from the address. */
export function listOf(object: string, conditions: readonly Filter[], more: Record<string, string> = {}): string {
  return `/o/${object}?${new URLSearchParams({ ...more, filter: JSON.stringify(conditions) }).toString()}`;
}

/** Conditions as a list of the API takes them. */
export const filterParameter = (conditions: readonly Filter[]): { filter?: string } =>
  conditions.length === 0 ? {} : { filter: filterOf(conditions) };
const filterOf = (conditions: readonly Filter[]): string => JSON.stringify(conditions.length === 1 ? conditions[0] : { and: conditions });

/** Which orders a period means; `date` is the path to their date. */
function within(period: Period, date: string, today: string): Comparison[] {
  if (period === 'year') return [{ field: date, op: 'gte', value: `${today.slice(0, 4)}-01-01` }];
  if (period === 'months') return [{ field: date, op: 'gte', value: firstOf(monthsFrom(today.slice(0, 7), -11)) }];
  return [];
}

const firstOf = (month: string): string => `${month}-01`;
/** The last day of a month (`2026-02`). */
export function lastOf(month: string): string {
  const [year, number] = month.split('-').map(Number) as [number, number];
  return new Date(Date.UTC(year, number, 0)).toISOString().slice(0, 10);
}
/** The month so many months from one. */
export function monthsFrom(month: string, n: number): string {
  const [year, number] = month.split('-').map(Number) as [number, number];
  return new Date(Date.UTC(year, number - 1 + n, 1)).toISOString().slice(0, 7);
}

/** The condition that a group's value means: the list has as many records as the group. */
export const meaning = (field: string, value: string | boolean | null): Comparison =>
  value === null ? { field, op: 'isNull', value: true } : { field, op: 'eq', value };

/** Sums in the currency of the chart and in the others. */
export function split(sum: readonly Money[] | undefined, currency: string): { money: Money; others: Money[] } {
  const own = (sum ?? []).find((one) => one.currency === currency);
  return { money: own ?? { amount: '0', currency }, others: (sum ?? []).filter((one) => one !== own) };
}

/** Every month from the first to the last that has something, at most so many, empty ones too. */
export function months<G extends { value: string | null; count: number }>(
  groups: readonly G[],
): (G | { value: string; count: number; sum?: undefined })[] {
  const dated = groups.filter((group) => group.value !== null);
  const last = dated.at(-1)?.value;
  if (!last) return [];
  const known = new Map(dated.map((group) => [group.value, group]));
  const all: (G | { value: string; count: number })[] = [];
  for (let month = last; all.length < MONTHS && month >= dated[0]!.value!; month = monthsFrom(month, -1))
    all.unshift(known.get(month) ?? { value: month, count: 0 });
  return all;
}

/**
 * The curve of Pareto through customers in the order of revenue, the largest first: some 25 points. Where not all were
 * read, it ends at all of them together.
 */
export function curve(
  customers: readonly { name: string; amount: number; href: string }[],
  total: number,
  count: number,
  end: { name: string; href: string },
): Point[] {
  if (count === 0 || total <= 0) return [];
  const step = Math.max(1, Math.ceil(customers.length / 25));
  const points: Point[] = [];
  let sum = 0;
  for (const [i, { name, amount, href }] of customers.entries()) {
    sum += amount;
    // Equal ones belong together: the list of a point is of all with at least so much.
    if (customers[i + 1]?.amount === amount) continue;
    if (i % step === 0 || i === customers.length - 1) points.push({ customers: i + 1, x: (i + 1) / count, y: sum / total, name, href });
  }
  if (customers.length < count) points.push({ customers: count, x: 1, y: 1, ...end });
  return points;
}

interface Words {
  none: string;
  all: string;
  month: (month: string) => string;
  option: (value: string) => string;
}

/** Asks for everything at once. */
export async function readFigures(
  api: Api,
  { period, today, currency: wanted, words }: { period: Period; today: string; currency: string | undefined; words: Words },
): Promise<{ figures: Figures; refs: Refs }> {
  const base: Filter[] = [{ field: 'order.deletedAt', op: 'isNull', value: true }, ...within(period, 'order.orderDate', today)];
  const ofOrders: Filter[] = within(period, 'orderDate', today);
  const valued: Filter[] = [{ field: REVENUE, op: 'gt', value: '0' }];
  const lines = (group: string, top: number, more: Record<string, string | number> = {}): Promise<Answer> =>
    api.get<Answer>(`/records/${LINE}`, { filter: filterOf(base), group, sum: 'total', top, limit: 1, refs: 1, ...more });
  const [time, category, country, employee, classed, orders, customers] = await Promise.all([
    lines('order.orderDate:month', MONTHS, { totals: 'total', count: 'exact' }),
    lines('product.category', TOP),
    lines('order.company.country', TOP),
    lines('order.owner', TOP),
    api.get<Answer>(`/records/${COMPANY}`, { filter: filterOf(valued), group: CLASS, sum: REVENUE, limit: 1 }),
    api.get<Answer>(`/records/${ORDER}`, { ...filterParameter(ofOrders), limit: 1, count: 'exact' }),
    api.get<Answer>(`/records/${COMPANY}`, {
      filter: filterOf(valued),
      sort: `-${REVENUE}`,
      fields: `name,${REVENUE}`,
      totals: REVENUE,
      count: 'exact',
      limit: CURVE,
    }),
  ]);
  const revenue = time.totals?.total?.sum ?? [];
  const currency = revenue.some((one) => one.currency === wanted) ? wanted! : (revenue[0]?.currency ?? wanted ?? 'EUR');
  const refs: Refs = { ...employee.refs };

  const bar = (group: AnsweredGroup, label: string, href: string): Bar => {
    const { money, others } = split(group.sum, currency);
    return { key: group.value ?? '', label, amount: Number(money.amount), money, others, count: group.count, href };
  };
  const lead = (field: string, value: string | null): string => listOf(LINE, [...base, meaning(field, value)], { sort: '-total' });
  const bars = (answer: Answer, field: string, name: (value: string) => string): Bar[] =>
    (answer.groups ?? []).map((group) => bar(group, group.value === null ? words.none : name(group.value), lead(field, group.value)));
  const rest = ({ groups = [], rest: others }: Answer, field: string): Rest | null => {
    if (!others) return null;
    const shown = groups.flatMap((group) => (group.value === null ? [] : [group.value]));
    const conditions: Filter[] = [{ field, op: 'nin', value: shown }];
    if (shown.length < groups.length) conditions.push({ field, op: 'isNull', value: false });
    return {
      groups: others.groups,
      count: others.count,
      money: others.sum ?? [],
      href: listOf(LINE, [...base, ...conditions], { sort: '-total' }),
    };
  };

  const total = Number(split(customers.totals?.[REVENUE]?.sum, currency).money.amount);
  const largest = customers.data.flatMap((rec) => {
    const value = rec.fields[REVENUE] as Money | null;
    return value
      ? [
          {
            name: rec.title,
            amount: Number(value.amount),
            href: listOf(COMPANY, [{ field: REVENUE, op: 'gte', value }], { sort: `-${REVENUE}` }),
          },
        ]
      : [];
  });
  const count = customers.count ?? largest.length;
  return {
    refs,
    figures: {
      base,
      ofOrders,
      currency,
      revenue,
      lines: time.count ?? 0,
      orders: orders.count ?? 0,
      customers: count,
      months: months(time.groups ?? []).map((group) => {
        const month = group.value!;
        const between: Comparison = { field: 'order.orderDate', op: 'between', value: [firstOf(month), lastOf(month)] };
        return bar(group, words.month(month), listOf(LINE, [base[0]!, between], { sort: '-total' }));
      }),
      categories: bars(category, 'product.category', (value) => value),
      countries: bars(country, 'order.company.country', (value) => value),
      employees: bars(employee, 'order.owner', (value) => refs[value]?.title ?? '…'),
      rests: {
        categories: rest(category, 'product.category'),
        countries: rest(country, 'order.company.country'),
        employees: rest(employee, 'order.owner'),
      },
      classes: (classed.groups ?? [])
        .filter((group) => group.value !== null)
        .map((group) => bar(group, words.option(group.value!), listOf(COMPANY, [meaning(CLASS, group.value)], { sort: `-${REVENUE}` }))),
      points: curve(largest, total, count, { name: words.all, href: listOf(COMPANY, valued, { sort: `-${REVENUE}` }) }),
    },
  };
}
