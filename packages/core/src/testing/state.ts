/** The state of a whole database in one line, to see that a refused request changed nothing. */
import type pg from 'pg';

/** Numbers of rows and sums of versions of all tables of plugins and host. What only notes that somebody asked is left out. */
export async function stateOf(pool: pg.Pool): Promise<Record<string, string>> {
  const { rows: tables } = await pool.query<{ name: string; versioned: boolean }>(
    `select format('%I.%I', t.table_schema, t.table_name) as name,
        exists (select from information_schema.columns c where (c.table_schema, c.table_name, c.column_name) = (t.table_schema, t.table_name, 'version') and c.data_type = 'bigint') as versioned
      from information_schema.tables t
      where t.table_schema not in ('pg_catalog', 'information_schema', 'public') and t.table_type = 'BASE TABLE'
        and t.table_name not like 'ledger%' and t.table_name not in ('outbox', 'event_log', 'event_counter') order by 1`,
  );
  const parts = tables.map(
    ({ name, versioned }) =>
      `select '${name}' as name, count(*) || ${versioned ? `'/' || coalesce(sum(version), 0)` : `''`} as state from ${name}`,
  );
  // The relay moves rows from one to the other meanwhile.
  parts.push(`select 'events', (select count(*) from kith.outbox) + (select last from kith.event_counter) || ''`);
  parts.push(`select 'switches', coalesce(string_agg(id || enabled, ',' order by id), '') from kith.plugin`);
  parts.push(`select 'ledger', count(*) || '' from kith.ledger`);
  const { rows } = await pool.query<{ name: string; state: string }>(parts.join(' union all '));
  return Object.fromEntries(rows.map((row) => [row.name, row.state]));
}
