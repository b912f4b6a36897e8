/** What is kept of runs: the step results under unique (run, step), and what a run needs to go on. */
import { createHash } from 'node:crypto';
import type { AnyRef, Migration, Workflow } from '@kith/sdk';
import { inParts, type Ctx, type Result, type Run } from './frames.ts';

export const migrations: readonly Migration[] = [
  {
    name: '0001-runs',
    up: [
      // Runs go on with the definition that they began with.
      `create table automation.version (hash text primary key, definition jsonb not null)`,
      `create table automation.state (
         run uuid primary key, workflow uuid not null, hash text not null references automation.version,
         object text, record uuid, chain uuid[] not null)`,
      `create index state_workflow on automation.state (workflow)`,
      // The result of a step is written in the transaction of its effect; a second one cannot be.
      `create table automation.step (
         run uuid not null, step text not null, kind text not null, title text, status text not null,
         input jsonb, output jsonb, error text, started_at timestamptz not null, ended_at timestamptz,
         due timestamptz, record uuid, n bigint generated always as identity,
         primary key (run, step))`,
      `create index step_waiting on automation.step (record) where status = 'waiting' and kind = 'waitUntil'`,
      // When a workflow looks at the clock next.
      `create table automation.clock (workflow uuid primary key, next timestamptz not null)`,
      // Shipped workflows that were brought once: whoever throws one away does not get it again.
      `create table automation.brought (shipped text primary key)`,
    ],
  },
];

const hashOf = (definition: string): string => createHash('sha256').update(definition).digest('base64url').slice(0, 22);

/** Keeps what new runs need to go on. */
export async function keepRuns(ctx: Ctx, runs: readonly Run[]): Promise<void> {
  const texts = new Map<Workflow, { hash: string; text: string }>();
  for (const { definition } of runs) {
    if (texts.has(definition)) continue;
    const text = JSON.stringify(definition);
    texts.set(definition, { hash: hashOf(text), text });
  }
  const versions = [...texts.values()].sort((a, b) => (a.hash < b.hash ? -1 : 1));
  await ctx.sql`insert into automation.version (hash, definition)
    select * from unnest(${versions.map(({ hash }) => hash)}::text[], ${versions.map(({ text }) => text)}::jsonb[]) on conflict do nothing`;
  await ctx.sql`insert into automation.state (run, workflow, hash, object, record, chain)
    select run, workflow, hash, object, record, string_to_array(chain, ',')::uuid[] from unnest(${runs.map(({ id }) => id)}::uuid[],
      ${runs.map(({ workflow }) => workflow)}::uuid[], ${runs.map(({ definition }) => texts.get(definition)!.hash)}::text[],
      ${runs.map(({ record }) => record?.object ?? null)}::text[], ${runs.map(({ record }) => record?.id ?? null)}::uuid[],
      ${runs.map(({ chain }) => chain.join(','))}::text[]) as t (run, workflow, hash, object, record, chain)`;
}

/** Lets a run go on with another definition. */
export async function keepVersion(ctx: Ctx, run: string, workflow: Workflow): Promise<void> {
  const text = JSON.stringify(workflow);
  await ctx.sql`insert into automation.version (hash, definition) values (${hashOf(text)}, ${text}::jsonb) on conflict do nothing`;
  await ctx.sql`update automation.state set hash = ${hashOf(text)} where run = ${run}`;
}

interface StateRow {
  run: string;
  workflow: string;
  hash: string;
  object: string | null;
  record: string | null;
  chain: string[];
  definition: Workflow;
}

/** Runs that can go on, locked for this transaction; those that have ended, or were cancelled, are left out. */
export async function takeRuns(ctx: Ctx, ids: readonly string[]): Promise<Run[]> {
  const rows = await ctx.sql<StateRow>`select s.run, s.workflow, s.hash, s.object, s.record, s.chain, v.definition
    from automation.state s join automation.version v on v.hash = s.hash where s.run = any(${ids}::uuid[]) order by s.run for update of s`;
  if (rows.length === 0) return [];
  const open = new Map(
    (
      await inParts(
        rows.map(({ run }) => run),
        async (some) =>
          (
            await ctx.asPlugin.query('automation.run', {
              filter: {
                and: [
                  { field: 'id', op: 'in', value: [...some] },
                  { field: 'status', op: 'in', value: ['running', 'waiting'] },
                ],
              },
              fields: ['workflow'],
              limit: some.length,
            })
          ).data,
      )
    ).map((rec) => [rec.id, rec]),
  );
  const going = rows.filter(({ run }) => open.has(run));
  const results = await ctx.sql<{ run: string; step: string } & Result>`select run, step, status, output, due from automation.step
    where run = any(${going.map(({ run }) => run)}::uuid[])`;
  // Runs of one version share its definition, so that they go on together.
  const definitions = new Map<string, Workflow>();
  return going.map((row) => {
    const definition = definitions.get(row.hash) ?? row.definition;
    definitions.set(row.hash, definition);
    return {
      id: row.run,
      workflow: row.workflow,
      name: '',
      record: row.object === null || row.record === null ? null : ({ object: row.object, id: row.record } satisfies AnyRef),
      chain: row.chain,
      definition,
      results: new Map(
        results.filter(({ run }) => run === row.run).map(({ step, status, output, due }) => [step, { status, output, due }]),
      ),
    };
  });
}

/** A result on its way into the table. */
export interface Row {
  run: string;
  step: string;
  kind: string;
  title: string;
  status: Result['status'];
  input: unknown;
  output: unknown;
  error: string | null;
  due: Date | null;
  record: string | null;
}

/** Writes results of steps; a waiting one of the same step makes place, any other is a second result and refused. */
export async function keepResults(ctx: Ctx, rows: readonly Row[], startedAt: Date): Promise<void> {
  if (rows.length === 0) return;
  const json = (value: unknown): string | null => (value === null || value === undefined ? null : JSON.stringify(value));
  await ctx.sql`delete from automation.step s using unnest(${rows.map(({ run }) => run)}::uuid[], ${rows.map(({ step }) => step)}::text[]) as t (run, step)
    where s.run = t.run and s.step = t.step and s.status = 'waiting'`;
  await ctx.sql`insert into automation.step (run, step, kind, title, status, input, output, error, due, record, started_at, ended_at)
    select t.*, ${startedAt}::timestamptz, case when t.status = 'waiting' then null else clock_timestamp() end
    from unnest(${rows.map(({ run }) => run)}::uuid[], ${rows.map(({ step }) => step)}::text[], ${rows.map(({ kind }) => kind)}::text[],
      ${rows.map(({ title }) => title)}::text[], ${rows.map(({ status }) => status)}::text[], ${rows.map(({ input }) => json(input))}::jsonb[],
      ${rows.map(({ output }) => json(output))}::jsonb[], ${rows.map(({ error }) => error)}::text[], ${rows.map(({ due }) => due)}::timestamptz[],
      ${rows.map(({ record }) => record)}::uuid[]) as t (run, step, kind, title, status, input, output, error, due, record)`;
}
