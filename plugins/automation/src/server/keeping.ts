/** Keeps workflow records as they must be: checked before they are switched on, and those that plugins ship in place. */
import { KithError } from '@kith/core';
import type { Effected, FieldValue } from '@kith/sdk';
import { check, inWords, read } from './definition.ts';
import type { Ctx } from './frames.ts';

type Fields = { name: string | null; enabled: boolean | null; definition: string | null; shipped: string | null; problem: string | null };

/** What follows from a change of workflows: one that is on must be able to run; one that was shipped stays as it is. */
export async function followWorkflows(changes: readonly Effected<Fields & Record<string, FieldValue>>[], ctx: Ctx): Promise<void> {
  const problems: { id: string; fields: { problem: string | null } }[] = [];
  for (const { id, kind, before, record } of changes) {
    if (kind === 'deleted') continue;
    const moved = before === null || before.definition !== record.definition || before.enabled !== record.enabled;
    if (!moved) continue;
    if (record.shipped !== null && before !== null && before.definition !== record.definition && ctx.actor.kind !== 'plugin') {
      throw new KithError(409, 'refused', 'This workflow comes with a plugin: switch it off, and change a copy of it.', {
        errors: [{ field: 'definition', code: 'refused', message: 'comes with a plugin; change a copy' }],
      });
    }
    const { workflow, problems: shape } = read(record.definition);
    const found = workflow ? check(ctx.world.model, workflow) : shape;
    if (found.length > 0 && record.enabled === true && ctx.actor.kind !== 'plugin') {
      throw new KithError(422, 'invalid', `It cannot be switched on: ${inWords(found[0]!)}`, {
        errors: found.slice(0, 20).map(({ path, message }) => ({ field: `definition.${path}`, code: 'invalid', message })),
      });
    }
    problems.push({ id, fields: { problem: found[0] ? inWords(found[0]).slice(0, 1_000) : null } });
    // It looks at the clock anew, from now on.
    await ctx.sql`delete from automation.clock where workflow = ${id}`;
  }
  if (problems.length > 0) await ctx.asPlugin.derive('automation.workflow', problems);
}

/** Brings the workflows that plugins ship, and says of each workflow whether it can run with what is installed. */
export async function bringShipped(ctx: Ctx): Promise<void> {
  await ctx.sql`select pg_advisory_xact_lock(hashtextextended('automation.shipped', 0))`;
  for (const plugin of ctx.world.model.plugins.values()) {
    for (const [key, { enabled, ...workflow }] of Object.entries(plugin.workflows ?? {})) {
      const shipped = `${plugin.id}.${key}`;
      const definition = JSON.stringify(workflow);
      const {
        data: [known],
      } = await ctx.asPlugin.query('automation.workflow', { filter: { field: 'shipped', op: 'eq', value: shipped }, limit: 1 });
      if (known) {
        if (known.fields.definition !== definition) await ctx.asPlugin.patch('automation.workflow', known.id, { definition });
        continue;
      }
      const brought = await ctx.sql`insert into automation.brought (shipped) values (${shipped}) on conflict do nothing returning shipped`;
      if (brought.length === 0) continue;
      const name = plugin.locales.en?.[`workflow.${key}`] ?? shipped;
      await ctx.asPlugin.create('automation.workflow', { name, enabled, definition, shipped });
    }
  }
  for (let cursor: string | null = null; ;) {
    const page: Awaited<ReturnType<typeof ctx.asPlugin.query<'automation.workflow'>>> = await ctx.asPlugin.query('automation.workflow', {
      limit: 500,
      sort: ['createdAt'],
      ...(cursor === null ? {} : { cursor }),
    });
    await ctx.asPlugin.derive(
      'automation.workflow',
      page.data.map(({ id, fields }) => {
        const { workflow, problems } = read(fields.definition);
        const [first] = workflow ? check(ctx.world.model, workflow) : problems;
        return { id, fields: { problem: first ? inWords(first).slice(0, 1_000) : null } };
      }),
    );
    cursor = page.nextCursor;
    if (cursor === null) return;
  }
}
