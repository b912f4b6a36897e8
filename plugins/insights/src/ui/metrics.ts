/** Figures that plugins declare: asked for as the person who looks, each with the list of its records. */
import type { FieldType, Filter, Money } from '@kith/sdk';
import type { Api } from '@kith/ui/api.ts';
import type { FieldMeta, Refs } from '@kith/ui/types.ts';
import type { NamedMetric } from '../server/metrics.ts';
import { filterParameter, listOf, meaning, MONTHS, months, monthsFrom, lastOf, split, type Column, type Rest } from './figures.ts';

/** How many bars are drawn; the others are told together. */
const TOP = 10;

type Sum = Money[] | number;
/** A list's answer, as far as a metric needs it. */
interface Answer {
  count?: number;
  totals?: Record<string, { sum: Sum }>;
  groups?: { value: string | boolean | null; count: number; sum?: Sum }[];
  rest?: { groups: number; count: number; sum?: Sum };
  refs?: Refs;
}

export interface MetricFigure {
  id: string;
  label: string;
  icon: string | undefined;
  href: string;
  count: number;
  /** What is summed: money by currency, or a number. */
  sum: Sum | null;
  /** Undefined without a chart. */
  bars: Column[] | undefined;
  chart: 'bars' | 'columns' | undefined;
  /** The heading of the bars' names. */
  head: string;
  rest: Rest | null;
}

/** How the screen knows objects and their fields, and names values. */
export interface Knowing {
  mayRead: (object: string) => boolean;
  field: (object: string, name: string) => FieldMeta | undefined;
  months: string;
  none: string;
  yes: string;
  no: string;
  month: (month: string) => string;
  /** The currency that is drawn where there are several. */
  currency: string | undefined;
}

/** The metrics whose object and fields the person may read. */
export const readable = (metrics: readonly NamedMetric[], { mayRead, field }: Knowing): NamedMetric[] =>
  metrics.filter(({ object, sum }) => mayRead(object) && (sum === undefined || field(object, sum) !== undefined));

/** The field that a path ends at; system fields are not known here. */
export function fieldAt(knowing: Pick<Knowing, 'field'>, object: string, path: string): FieldMeta | undefined {
  const [name = '', ...rest] = path.split('.');
  const field = knowing.field(object, name);
  return rest.length === 0 ? field : field?.to === undefined ? undefined : fieldAt(knowing, field.to, rest.join('.'));
}

/** The records of a month; a moment ends where the next month begins. */
export function monthOf(path: string, month: string, type: FieldType | undefined): Filter {
  if (type === 'date') return { field: path, op: 'between', value: [`${month}-01`, lastOf(month)] };
  return {
    and: [
      { field: path, op: 'gte', value: `${month}-01T00:00:00.000Z` },
      { field: path, op: 'lt', value: `${monthsFrom(month, 1)}-01T00:00:00.000Z` },
    ],
  };
}

/** One metric, as the person who asks sees it. */
export async function readMetric(api: Api, metric: NamedMetric, knowing: Knowing): Promise<{ figure: MetricFigure; refs: Refs }> {
  const { object, sum, by, over } = metric;
  const conditions: Filter[] = !metric.filter ? [] : 'and' in metric.filter ? metric.filter.and : [metric.filter];
  const sorted = { type: 'table', ...(sum === undefined ? {} : { sort: `-${sum}` }) };
  const group = over === undefined ? by : `${over}:month`;
  const answer = await api.get<Answer>(`/records/${object}`, {
    ...filterParameter(conditions),
    limit: 1,
    count: 'exact',
    ...(sum === undefined ? {} : { totals: sum }),
    ...(group === undefined ? {} : { group, top: over === undefined ? TOP : MONTHS, refs: 1, ...(sum === undefined ? {} : { sum }) }),
  });
  const refs: Refs = answer.refs ?? {};
  const total = sum === undefined ? undefined : answer.totals?.[sum]?.sum;
  const currency = Array.isArray(total) ? (total.find((one) => one.currency === knowing.currency) ?? total[0])?.currency : undefined;
  const field = fieldAt(knowing, object, over ?? by ?? '');
  const name = (value: string | boolean | null): string => {
    if (value === null) return knowing.none;
    if (typeof value === 'boolean') return value ? knowing.yes : knowing.no;
    return over !== undefined
      ? knowing.month(value)
      : (refs[value]?.title ?? field?.options?.find((one) => one.value === value)?.label ?? value);
  };
  const bar = (value: string | boolean | null, count: number, summed: Sum | undefined, filter: Filter): Column => {
    const { money, others } = Array.isArray(summed) ? split(summed, currency ?? 'EUR') : { money: undefined, others: [] };
    const amount = money ? Number(money.amount) : typeof summed === 'number' ? summed : sum === undefined ? count : 0;
    return {
      key: String(value ?? ''),
      label: name(value),
      amount,
      money,
      others,
      count,
      href: listOf(object, [...conditions, filter], sorted),
    };
  };
  let bars: Column[] | undefined;
  if (over !== undefined) {
    bars = months((answer.groups ?? []).flatMap((one) => (typeof one.value === 'boolean' ? [] : [{ ...one, value: one.value }]))).map(
      (one) => bar(one.value, one.count, one.sum, monthOf(over, one.value!, field?.type)),
    );
  } else if (by !== undefined) bars = (answer.groups ?? []).map((one) => bar(one.value, one.count, one.sum, meaning(by, one.value)));
  return {
    refs,
    figure: {
      id: metric.id,
      label: metric.label,
      icon: metric.icon,
      href: listOf(object, conditions, sorted),
      count: answer.count ?? 0,
      sum: total ?? null,
      bars,
      chart: bars && (over === undefined ? 'bars' : 'columns'),
      head: over === undefined ? (field?.label ?? '') : knowing.months,
      rest: answer.rest && by !== undefined && over === undefined ? restOf(answer, by, object, conditions, sorted) : null,
    },
  };
}

function restOf(answer: Answer, by: string, object: string, conditions: Filter[], sorted: Record<string, string>): Rest {
  const shown = (answer.groups ?? []).flatMap(({ value }) => (typeof value === 'string' ? [value] : []));
  const others: Filter[] = [{ field: by, op: 'nin', value: shown }];
  // Where "not given" is shown, it is none of the others.
  if (shown.length < (answer.groups ?? []).length) others.push({ field: by, op: 'isNull', value: false });
  const { groups, count, sum } = answer.rest!;
  return { groups, count, money: Array.isArray(sum) ? sum : [], href: listOf(object, [...conditions, ...others], sorted) };
}
