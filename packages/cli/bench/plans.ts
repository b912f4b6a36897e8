/** What Postgres does for a statement, counted in pages that it touches. */
import type pg from 'pg';

export interface Plan {
  buffers: number;
  ms: number;
  rows: number;
  /** The plan in words, with `--plans`. */
  text: string;
}

/** Runs a statement and answers what it touched. `prepare` says who reads, on connections where that matters. */
export async function explain(
  pool: pg.Pool,
  sql: string,
  parameters: readonly unknown[],
  prepare: (client: pg.PoolClient) => Promise<unknown> = () => Promise.resolve(),
): Promise<Plan> {
  const client = await pool.connect();
  try {
    await prepare(client);
    const ask = async (format: string): Promise<unknown[]> =>
      (await client.query<Record<string, unknown>>(`explain (analyze, buffers, timing off${format}) ${sql}`, [...parameters])).rows.map(
        (row) => row['QUERY PLAN'],
      );
    // Once to warm the cache and the catalogue, which are not what is counted.
    await ask('');
    const [json] = (await ask(', format json')) as [[{ Plan: Record<string, number>; 'Execution Time': number }]];
    const plan = json[0].Plan;
    return {
      buffers: plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!,
      ms: json[0]['Execution Time'],
      rows: plan['Actual Rows']!,
      text: process.argv.includes('--plans') ? (await ask('')).join('\n') : '',
    };
  } finally {
    client.release();
  }
}

export const number = (value: number): string => Math.round(value).toLocaleString('en');
