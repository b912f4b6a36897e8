/** Jobs as rows: what is to be done is true here, in the transaction of whoever wants it done. */
import { LANES, type JobOptions, type Json, type Lane } from '@kith/sdk';
import type { Queryable } from '../database.ts';
import { newId } from '../ids.ts';

/** Adds a job and answers its id; where one with the same key waits already, that one's. */
export async function addJob(
  client: Queryable,
  handler: string,
  lane: Lane,
  data: Json,
  now: Date,
  { due, key }: JobOptions = {},
): Promise<string> {
  const { rows } = await client.query<{ id: string }>({
    name: 'kith_job_add',
    // An update that changes nothing, so that the row that is there already is answered.
    text: `insert into kith.job (id, handler, lane, key, data, due) values ($1, $2, $3, $4, $5, $6)
      on conflict (handler, key) where key is not null and state = 'waiting' do update set key = excluded.key returning id`,
    values: [newId(), handler, LANES.indexOf(lane), key ?? null, JSON.stringify(data), due ?? now],
  });
  return rows[0]!.id;
}

/** Adds many jobs in one statement. */
export async function addJobs(
  client: Queryable,
  handler: string,
  lane: Lane,
  data: readonly Json[],
  now: Date,
  { due }: Pick<JobOptions, 'due'> = {},
): Promise<void> {
  await client.query({
    name: 'kith_job_add_many',
    text: `insert into kith.job (id, handler, lane, data, due) select id, $1, $2, data, $3 from unnest($4::uuid[], $5::jsonb[]) as t (id, data)`,
    values: [handler, LANES.indexOf(lane), due ?? now, data.map(() => newId()), data.map((one) => JSON.stringify(one))],
  });
}

/** Removes jobs that wait, by their keys. */
export async function dropKeyed(client: Queryable, handler: string, keys: readonly string[]): Promise<void> {
  await client.query({
    name: 'kith_job_drop',
    text: `delete from kith.job where handler = $1 and key = any($2) and state = 'waiting'`,
    values: [handler, keys],
  });
}
