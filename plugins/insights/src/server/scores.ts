/**
 * Revenue and classes. What was counted of each order is noted beside it, so
 * that a change costs what changed: the order is summed up again, and the
 * difference to what was counted goes to its company. However often, and in
 * whatever order changes are told, the sums are those of a full recomputation.
 */
import type { ChangeEvent, Context, Migration } from '@kith/sdk';
import type { insights } from '../plugin.ts';
import { reasonText } from '../reason.ts';

type Ctx = Context<typeof insights>;

const COMPANY = 'contacts.company';
const ORDER = 'sales.order';
const LINE = 'sales.orderLine';
/** Most records that one transaction writes: they are locked until it ends. */
const MOST_WRITTEN = 20_000;
/** What a full recomputation of a large history may take. */
const LONG = '15min';

export const migrations: readonly Migration[] = [
  {
    name: '0001-revenue',
    up: [
      'create schema if not exists insights',
      // What of an order is in the sums below.
      `create table insights.counted ("order" uuid, currency text, company uuid not null, amount numeric not null, primary key ("order", currency))`,
      // What a company's orders come to, each currency by itself. Without any order there is no row.
      `create table insights.revenue (
         company uuid, currency text, amount numeric not null, orders integer not null, primary key (company, currency))`,
      // One row: whoever changes the sums locks it. The currency is the one that the companies' field is in.
      `create table insights.state (one boolean primary key default true check (one), currency text, rebuilt_at timestamptz)`,
      `insert into insights.state default values`,
    ],
  },
];

/** Objects whose changes matter here. */
export const FOLLOWED = [COMPANY, ORDER, LINE] as const;

/** Takes a batch of changes into the sums, and gives the companies concerned their revenue. */
export async function follow(events: readonly ChangeEvent[], ctx: Ctx): Promise<void> {
  const orders = new Set<string>();
  const lines = new Set<string>();
  const restored: string[] = [];
  for (const { object, record, kind, changes } of events) {
    // What comes to rest was told when it was typed.
    if (kind === 'settled' || kind === 'acted' || kind === 'emitted') continue;
    const whole = kind !== 'changed';
    if (object === ORDER && (whole || 'company' in changes)) orders.add(record);
    if (object === LINE && (whole || 'total' in changes || 'order' in changes)) {
      // A line that is new, or goes to another order, says where it belongs, and which one it leaves behind.
      let named = false;
      for (const id of changes.order ?? []) {
        if (typeof id !== 'string') continue;
        orders.add(id);
        named = true;
      }
      if (!named) lines.add(record);
    }
    // Whoever is in the bin is not told what their revenue becomes.
    if (object === COMPANY && kind === 'restored') restored.push(record);
  }
  if (orders.size + lines.size + restored.length === 0) return;
  const currency = await lock(ctx);
  const companies = await recount(ctx, [...orders], [...lines]);
  const worth = await currencyNow(ctx, currency);
  if (worth === null) return;
  const rows = await ctx.sql<{ id: string; amount: string | null }>`
    select c.id, round(r.amount, 4)::text as amount
    from (select distinct unnest(${[...companies, ...restored]}::uuid[]) as id) c
    left join insights.revenue r on r.company = c.id and r.currency = ${worth}
    order by c.id`;
  await tell(ctx, rows, worth);
  if (worth !== currency) await ctx.queue('refresh', {}, { key: 'currency' });
}

/** Holds the sums for this transaction alone, and answers the currency that the companies' field is in. */
async function lock({ sql }: Ctx): Promise<string | null> {
  const [state] = await sql<{ currency: string | null }>`select currency from insights.state for update`;
  return state?.currency ?? null;
}

/** The organisation's currency; before there is an organisation, and as long as nothing else was chosen, that of most revenue. */
async function currencyNow({ sql }: Ctx, chosen: string | null): Promise<string | null> {
  const [row] = await sql<{ currency: string | null }>`
    select coalesce((select value ->> 'currency' from kith.setting where name = 'organisation'), ${chosen}::text,
      (select currency from insights.revenue group by currency order by sum(amount) desc, currency limit 1)) as currency`;
  const currency = row?.currency ?? null;
  if (currency !== chosen) await sql`update insights.state set currency = ${currency}::text`;
  return currency;
}

/** Counts these orders, and those of these lines, again. Answers the companies whose sums changed. */
async function recount({ sql }: Ctx, orders: readonly string[], lines: readonly string[]): Promise<string[]> {
  const changed = await sql<{ company: string; orders: number }>`
    with wanted as materialized (
      select unnest(${orders}::uuid[]) as id union select l."order" from sales."orderLine" l where l.id = any(${lines}::uuid[])),
    present as (
      select o.id, o.company, (l.total).currency as currency, sum((l.total).amount) as amount
      from wanted w join sales."order" o on o.id = w.id join sales."orderLine" l on l."order" = o.id
      where o.deleted_at is null and o.company is not null and l.deleted_at is null and l.total is not null
      group by o.id, o.company, (l.total).currency),
    put as (
      insert into insights.counted as c ("order", currency, company, amount)
      select id, currency, company, amount from present
      on conflict ("order", currency) do update set company = excluded.company, amount = excluded.amount
        where (c.company, c.amount) is distinct from (excluded.company, excluded.amount)
      returning old.company as old_company, old.amount as old_amount, new.company, new.amount, new.currency),
    gone as (
      -- As an array, so that the index is used: a join here would be planned for all that was ever counted.
      delete from insights.counted c where c."order" = any(array(select id from wanted))
        and (c."order", c.currency) not in (select id, currency from present)
      returning c.company, c.currency, c.amount),
    difference as (
      select company, currency, sum(amount) as amount, sum(n)::integer as n from (
        select company, currency, amount, 1 as n from put
        union all select old_company, currency, -old_amount, -1 from put where old_company is not null
        union all select company, currency, -amount, -1 from gone) each
      group by company, currency having sum(amount) <> 0 or sum(n) <> 0)
    insert into insights.revenue as r (company, currency, amount, orders)
    select company, currency, amount, n from difference order by company, currency
    on conflict (company, currency) do update set amount = r.amount + excluded.amount, orders = r.orders + excluded.orders
    returning company, orders`;
  const emptied = changed.filter((row) => row.orders === 0).map((row) => row.company);
  if (emptied.length > 0) await sql`delete from insights.revenue where company = any(${emptied}::uuid[]) and orders = 0`;
  return changed.map((row) => row.company);
}

/** Writes companies' revenue; one that has it already is left alone. */
const tell = (ctx: Ctx, rows: readonly { id: string; amount: string | null }[], currency: string): Promise<void> =>
  ctx.world.records.derive(
    COMPANY,
    rows.map(({ id, amount }) => ({ id, fields: { insights__revenue: amount === null ? null : { amount, currency } } })),
  );

/**
 * Full recomputation from the orders: the measure of {@link follow}, and what repairs. Writes only what differs. The
 * companies are told by {@link refresh}.
 */
export async function rebuild(ctx: Ctx): Promise<void> {
  const { sql } = ctx;
  const chosen = await lock(ctx);
  await sql`select set_config('statement_timeout', ${LONG}, true)`;
  await sql`
    merge into insights.counted c using (
      select o.id, o.company, (l.total).currency as currency, sum((l.total).amount) as amount
      from sales."order" o join sales."orderLine" l on l."order" = o.id
      where o.deleted_at is null and o.company is not null and l.deleted_at is null and l.total is not null
      group by o.id, o.company, (l.total).currency) p
    on p.id = c."order" and p.currency = c.currency
    when matched and (c.company, c.amount) is distinct from (p.company, p.amount) then update set company = p.company, amount = p.amount
    when not matched then insert ("order", currency, company, amount) values (p.id, p.currency, p.company, p.amount)
    when not matched by source then delete`;
  await sql`
    merge into insights.revenue r using (
      select company, currency, sum(amount) as amount, count(*)::integer as orders from insights.counted group by company, currency) p
    on p.company = r.company and p.currency = r.currency
    when matched and (r.amount, r.orders) is distinct from (p.amount, p.orders) then update set amount = p.amount, orders = p.orders
    when not matched then insert (company, currency, amount, orders) values (p.company, p.currency, p.amount, p.orders)
    when not matched by source then delete`;
  await currencyNow(ctx, chosen);
  await sql`update insights.state set rebuilt_at = ${ctx.clock().toISOString()}::timestamptz`;
}

/** Gives companies whose revenue is not what the sums say their own. Answers whether there may be more of them. */
export async function refresh(ctx: Ctx, most = MOST_WRITTEN): Promise<boolean> {
  const currency = await currencyNow(ctx, await lock(ctx));
  if (currency === null) return false;
  const rows = await ctx.sql<{ id: string; amount: string | null }>`
    with worth as (select company, row(round(amount, 4), currency)::kith.money as value from insights.revenue where currency = ${currency})
    select c.id, (w.value).amount::text as amount
    from contacts.company c left join worth w on w.company = c.id
    where c.deleted_at is null and c.insights__revenue is distinct from w.value
    order by c.id limit ${most}`;
  await tell(ctx, rows, currency);
  return rows.length === most;
}

/**
 * Classes by revenue. Companies with revenue above nothing stand in the order of it, the largest first, equal ones in the
 * order of their ids. A company has class A if all before it have less than 80 % of the revenue of all together, B if they
 * have less than 95 %, else C: so the one that crosses a bound belongs to the better class, and the largest is always A.
 * Whoever has no revenue, or has less than nothing, has no class. What is in the bin, and in other currencies, does not count.
 *
 * A class is written, with date and reason, when it changes. Answers whether there may be more to write.
 */
export async function classify(ctx: Ctx, most = MOST_WRITTEN): Promise<boolean> {
  const currency = await currencyNow(ctx, await lock(ctx));
  if (currency === null) return false;
  await ctx.sql`select set_config('statement_timeout', ${LONG}, true)`;
  const rows = await ctx.sql<{ id: string; class: string | null; share: string; cumulated: string }>`
    with ranked as (
      select c.id, r.amount, sum(r.amount) over () as total,
        sum(r.amount) over (order by r.amount desc, c.id rows unbounded preceding) as upto
      from insights.revenue r join contacts.company c on c.id = r.company
      where c.deleted_at is null and r.currency = ${currency} and r.amount > 0),
    judged as (
      select id, amount / total as share, upto / total as cumulated,
        case when upto - amount < 0.80 * total then 'A' when upto - amount < 0.95 * total then 'B' else 'C' end as class
      from ranked)
    select c.id, j.class, j.share::text as share, j.cumulated::text as cumulated
    from contacts.company c left join judged j on j.id = c.id
    where c.deleted_at is null and c."insights__abcClass" is distinct from j.class
    order by c.id limit ${most}`;
  const today = ctx.clock().toISOString().slice(0, 10);
  await ctx.world.records.derive(
    COMPANY,
    rows.map(({ id, class: abc, share, cumulated }) => ({
      id,
      fields: {
        insights__abcClass: abc,
        insights__abcDate: abc === null ? null : today,
        insights__abcReason: abc === null ? null : reasonText({ share: Number(share), cumulated: Number(cumulated) }),
      },
    })),
  );
  return rows.length === most;
}

/** Everything anew, in one transaction: for data that was loaded in one. */
export async function scoreAll(ctx: Ctx): Promise<void> {
  await rebuild(ctx);
  while (await refresh(ctx));
  while (await classify(ctx));
}
