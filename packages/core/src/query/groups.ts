/**
 * Lists by groups: how many records have each value of a field, and what they
 * sum up to. The columns of a board, and the bars of a chart.
 */
import { canonicalDecimal, type FieldValue, type ModelField, type ModelObject, type Money, type Rec } from '@kith/sdk';
import { sql, type RawBuilder } from 'kysely';
import { reach, readableTarget, type Reached, type Scope } from '../access/filter.ts';
import { malformed } from '../errors.ts';

/** The most groups that are answered; the others are told together. */
export const GROUPS_MAX = 500;

export interface Grouping {
  /** A field, or a path over references; a date with its bucket: `order.orderDate:month`. */
  by: string;
  /** A field of the object itself, number or money. */
  sum?: string | undefined;
  /** How many groups, the largest first; of dates the latest. Unless told, {@link GROUPS_MAX} in the order of their values. */
  top?: number | undefined;
}

export interface Group {
  /** Null where the field is empty, or where what it belongs to may not be read. */
  value: string | boolean | null;
  count: number;
  /** Money by currency, never added together. */
  sum?: FieldValue | Money[];
}

export interface Grouped {
  groups: Group[];
  /** What the groups that are not answered have together. */
  rest?: Omit<Group, 'value'> & { groups: number };
  /** Stand for records whose titles the values are, where the field is a reference. */
  named: Rec[];
}

/** What a bucket's value looks like. A week is told by its Monday. */
const BUCKETS: Readonly<Record<string, string>> = {
  day: 'YYYY-MM-DD',
  week: 'YYYY-MM-DD',
  month: 'YYYY-MM',
  quarter: 'YYYY-"Q"Q',
  year: 'YYYY',
};
const GROUPABLE = new Set(['text', 'select', 'boolean', 'ref', 'user']);

export interface GroupPlan {
  end: Reached;
  value: RawBuilder<unknown>;
  dated: boolean;
  summed: ModelField | undefined;
  top: number;
  /** By size (dates: by time) rather than by value. */
  ranked: boolean;
}

export interface GroupRow extends Record<string, unknown> {
  value: string | boolean | null;
  rest: boolean;
  place: number | null;
  groups: number;
  n: number;
  sum: string | null;
  currency: string | null;
}

/** Reads what is asked for. @throws 400 for a field that cannot group or be summed, or that is not there for the caller */
export function planGroups(scope: Scope, object: ModelObject, { by, sum, top }: Grouping): GroupPlan {
  const colon = by.indexOf(':');
  const path = colon < 0 ? by : by.slice(0, colon);
  const bucket = colon < 0 ? undefined : by.slice(colon + 1);
  const end = reach(scope, object, 'o', path);
  if (!end) throw malformed(`"${path.slice(0, 80)}" is no field of ${object.name}, and no path over its references.`);
  const dated = end.field.type === 'date' || end.field.type === 'dateTime';
  const format = bucket === undefined ? undefined : Object.hasOwn(BUCKETS, bucket) ? BUCKETS[bucket] : undefined;
  if (dated ? format === undefined : bucket !== undefined || !GROUPABLE.has(end.field.type)) {
    throw malformed(
      dated
        ? `"${path.slice(0, 80)}" groups a list with a bucket: ${Object.keys(BUCKETS)
            .map((one) => `:${one}`)
            .join(', ')}.`
        : `"${by.slice(0, 80)}" cannot group a list; text, selects, references, users, yes or no, and dates with a bucket can.`,
    );
  }
  const summed = sum === undefined ? undefined : readableTarget(object, scope.principal, sum)?.field;
  if (sum !== undefined && ((summed?.type !== 'number' && summed?.type !== 'money') || !object.fields.has(sum)))
    throw malformed(`"${sum.slice(0, 60)}" cannot be summed.`);
  return {
    end,
    value: dated ? sql`to_char(date_trunc(${bucket}, ${end.column}::timestamp), ${format})` : end.column,
    dated,
    summed,
    top: top ?? GROUPS_MAX,
    ranked: top !== undefined,
  };
}

/** Groups in one statement. Which are large is judged in the currency that there is most of. */
export function groupsSql(
  object: ModelObject,
  { end, value, dated, summed, top, ranked }: GroupPlan,
  where: RawBuilder<boolean>,
): RawBuilder<unknown> {
  const money = summed?.type === 'money';
  const column = sql.ref(`o.${summed?.name ?? 'id'}`);
  const amount = !summed ? sql`null::numeric` : money ? sql`sum((${column}).amount)` : sql`sum(${column})`;
  // One place for all currencies of a value: it breaks every tie.
  const size = dated ? sql`value desc nulls last` : sql`main desc nulls last, counted desc, value`;
  return sql`with
    g as (
      select ${value} as value, ${money ? sql`(${column}).currency` : sql`null::text`} as currency, count(*) as n, ${amount} as s
      from ${sql.id(object.plugin, object.key)} as o ${sql.join(end.joins, sql` `)} where ${where} group by 1, 2),
    main as (select currency from g where s is not null group by currency order by sum(s) desc, currency limit 1),
    w as (
      select g.*, sum(n) over each as counted, sum(s) filter (where currency is not distinct from (select currency from main)) over each as main
      from g window each as (partition by value)),
    v as (select w.*, dense_rank() over (order by ${size}) as place from w)
    select case when place <= ${top} then value end as value, place > ${top} as rest, case when place <= ${top} then place end as place,
      (select max(place) from v) as groups, sum(n)::bigint as n, sum(s)::text as sum, currency
    from v group by 1, 2, 3, currency order by 2, ${ranked && !dated ? sql`3` : sql`1`}, currency`;
}

/** What {@link groupsSql} found, as it is answered. */
export function groupsOf({ end, summed, top }: GroupPlan, rows: readonly GroupRow[]): Grouped {
  const money = summed?.type === 'money';
  const fresh = (): Omit<Group, 'value'> => ({ count: 0, ...(summed ? { sum: money ? [] : 0 } : {}) });
  const groups = new Map<number, Group>();
  let rest: Grouped['rest'];
  for (const row of rows) {
    let group: Omit<Group, 'value'>;
    if (row.rest) group = rest ??= { groups: row.groups - top, ...fresh() };
    else {
      group = groups.get(row.place!) ?? { value: row.value, ...fresh() };
      groups.set(row.place!, group as Group);
    }
    group.count += row.n;
    if (money && row.sum !== null) (group.sum as Money[]).push(moneyOf(row.sum, row.currency));
    else if (summed && !money) group.sum = Number(row.sum ?? 0);
  }
  const { field, object } = end;
  const found = [...groups.values()];
  const refers = field.type === 'ref' || field.type === 'user';
  return {
    groups: found,
    ...(rest ? { rest } : {}),
    named: !refers
      ? []
      : found.flatMap(({ value }) =>
          value === null
            ? []
            : [{ id: '', object: object.name, version: 0, createdAt: '', updatedAt: '', fields: { [field.name]: value } }],
        ),
  };
}

export const moneyOf = (amount: string | null, currency: string | null): Money => ({
  amount: canonicalDecimal(amount ?? '0'),
  currency: currency ?? '',
});
