/**
 * What is typed into documents is told as it is committed, word by word; whoever acts on it waits until it has come to
 * rest. Here the value from before is kept until nobody has typed for a while, and told then as one change.
 */
import type { ChangeEvent, FieldValue } from '@kith/sdk';
import type pg from 'pg';

/** Name of the consumer that follows what is being typed. */
export const SETTLING = 'kith.settle';
/** After this long without a change, a field is at rest. */
export const QUIET_MS = 5_000;

interface Pending {
  event: ChangeEvent;
  field: string;
  pair: readonly [FieldValue, FieldValue] | null;
  due: number;
}

/** Notes what is being typed, and tells of what has come to rest. In the transaction that moves the consumer on. */
export async function settle(client: pg.PoolClient, events: readonly ChangeEvent[]): Promise<void> {
  const pending = new Map<string, Pending>();
  const written: { record: string; field: string }[] = [];
  for (const event of events) {
    if (event.kind !== 'changed') continue;
    for (const [field, pair] of Object.entries(event.changes)) {
      const key = `${event.record}/${field}`;
      const before = pending.get(key);
      if (!event.settled) {
        const from = before?.pair && pair ? ([before.pair[0], pair[1]] as const) : pair;
        pending.set(key, { event, field, pair: from, due: new Date(event.at).getTime() + QUIET_MS });
      } else if (before) before.due = 0;
      else written.push({ record: event.record, field });
    }
  }
  if (pending.size > 0) {
    const all = [...pending.values()];
    await client.query({
      name: 'kith_settle_note',
      text: `insert into kith.unsettled as u (record, field, object, author, version, cause_kind, cause, before, after, due)
        select * from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::bigint[], $6::text[], $7::uuid[], $8::jsonb[], $9::jsonb[], $10::timestamptz[])
        on conflict (record, field) do update set author = excluded.author, version = excluded.version, after = excluded.after, due = excluded.due`,
      values: [
        all.map(({ event }) => event.record),
        all.map(({ field }) => field),
        all.map(({ event }) => event.object),
        all.map(({ event }) => event.author),
        all.map(({ event }) => event.version),
        all.map(({ event }) => event.cause.kind),
        all.map(({ event }) => event.cause.id),
        all.map(({ pair }) => (pair ? JSON.stringify(pair[0]) : null)),
        all.map(({ pair }) => (pair ? JSON.stringify(pair[1]) : null)),
        all.map(({ due }) => new Date(due)),
      ],
    });
  }
  // Somebody wrote over what was being typed: that comes to rest now.
  if (written.length > 0) {
    await client.query({
      name: 'kith_settle_overwritten',
      text: `update kith.unsettled u set due = to_timestamp(0) from unnest($1::uuid[], $2::text[]) as w (record, field)
        where (u.record, u.field) = (w.record, w.field)`,
      values: [written.map(({ record }) => record), written.map(({ field }) => field)],
    });
  }
  await client.query({
    name: 'kith_settle_tell',
    text: `with rest as (delete from kith.unsettled where due <= now() returning *)
      insert into kith.outbox (object, record, kind, author, version, changes, cause_kind, cause)
      select object, record, 'settled', (array_agg(author order by due desc))[1], max(version),
        jsonb_object_agg(field, case when before is null then 'null'::jsonb else jsonb_build_array(before, after) end),
        min(cause_kind), (array_agg(cause))[1]
      from rest where before is null or before is distinct from after group by object, record`,
  });
}
