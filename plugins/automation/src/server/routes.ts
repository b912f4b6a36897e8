/** What the screens of automation ask for. */
import { isUuid, type AnyRef, type Json, type PluginCall, type PluginRoute } from '@kith/sdk';
import type { automation } from '../plugin.ts';
import { check, read } from './definition.ts';
import { begin, fittingIds, goOn, problemOrDefinition, type Start } from './engine.ts';
import type { Ctx } from './frames.ts';
import { keepVersion } from './store.ts';

type Route = PluginRoute<typeof automation>;

/** Ends a trial: everything that it did is taken back. */
class TrialEnded extends Error {}

const idOf = (call: PluginCall): string =>
  isUuid(call.params.id) ? call.params.id : call.fail(404, 'not_found', 'There is no such record.');

interface StepRow {
  key: string;
  kind: string;
  title: string | null;
  status: string;
  input: Json;
  output: Json;
  error: string | null;
  startedAt: string;
  endedAt: string | null;
  due: string | null;
}

/** The steps of a run, in order; `id` is the step's in the definition, `key` tells the turns of a loop apart. */
async function stepsOf(ctx: Ctx, run: string): Promise<(StepRow & { id: string })[]> {
  const rows = await ctx.sql<StepRow>`
    select step as key, kind, title, status, input, output, error, started_at as "startedAt", ended_at as "endedAt", due
    from automation.step where run = ${run} order by started_at, n`;
  return rows.map((step) => ({ ...step, id: step.key.slice(step.key.lastIndexOf('/') + 1) }));
}

/** Locks a run and answers its status; 404 for one that the caller may not see. */
async function lockRun(call: PluginCall, ctx: Ctx): Promise<{ id: string; status: string | null; workflow: string | null }> {
  const id = idOf(call);
  await ctx.records.get('automation.run', id);
  await ctx.sql`select from automation.state where run = ${id} for update`;
  const { fields } = await ctx.records.get('automation.run', id);
  return { id, status: fields.status, workflow: fields.workflow };
}

export const routes: readonly Route[] = [
  {
    method: 'GET',
    path: '/runs/{id}',
    access: 'lead',
    summary: 'The steps of a run, in order, with what went in and came out',
    handle: async (call, ctx) => {
      const id = idOf(call);
      await ctx.records.get('automation.run', id);
      const [state] = await ctx.sql<{ chain: string[] }>`select chain from automation.state where run = ${id}`;
      const steps = await stepsOf(ctx, id);
      return { body: { steps, chain: state?.chain ?? [] } as unknown as Json };
    },
  },
  {
    method: 'POST',
    path: '/runs/{id}/retry',
    access: 'lead',
    summary: 'Try the failed step of a run again, and go on',
    handle: async (call, ctx) => {
      const run = await lockRun(call, ctx);
      if (run.status !== 'failed') call.fail(409, 'refused', 'Only a run that has failed can be tried again.');
      const gone = await ctx.sql`delete from automation.step where run = ${run.id} and status = 'failed' returning step`;
      // One that could not even begin takes the workflow as it is now.
      if (gone.length === 0 && (await stepsOf(ctx, run.id)).length === 0) {
        const rec = await ctx.asPlugin.get('automation.workflow', run.workflow ?? '');
        const { workflow, problem } = problemOrDefinition(ctx, rec);
        if (!workflow) return call.fail(409, 'refused', problem);
        await keepVersion(ctx, run.id, workflow);
      }
      return resume(ctx, run.id);
    },
  },
  {
    method: 'POST',
    path: '/runs/{id}/skip',
    access: 'lead',
    summary: 'Leave out the step where a run failed or waits, and go on',
    handle: async (call, ctx) => {
      const run = await lockRun(call, ctx);
      if (run.status !== 'failed' && run.status !== 'waiting')
        call.fail(409, 'refused', 'Only a step that has failed, or waits, can be left out.');
      const skipped = await ctx.sql`update automation.step set status = 'skipped', ended_at = clock_timestamp(), due = null
        where run = ${run.id} and status in ('failed', 'waiting') returning step`;
      if (skipped.length === 0)
        call.fail(409, 'refused', 'The run did not come as far as a step; mend the workflow, and set it off again.');
      return resume(ctx, run.id);
    },
  },
  {
    method: 'POST',
    path: '/runs/{id}/cancel',
    access: 'lead',
    summary: 'End a run that waits; what it did stays done',
    handle: async (call, ctx) => {
      const run = await lockRun(call, ctx);
      if (run.status !== 'waiting' && run.status !== 'running') call.fail(409, 'refused', 'This run has ended already.');
      await ctx.sql`update automation.step set status = 'skipped', ended_at = clock_timestamp(), due = null where run = ${run.id} and status = 'waiting'`;
      await ctx.asPlugin.derive('automation.run', [{ id: run.id, fields: { status: 'cancelled', endedAt: ctx.clock().toISOString() } }]);
      return { body: { id: run.id, status: 'cancelled' } };
    },
  },
  {
    method: 'POST',
    path: '/workflows/{id}/test',
    access: 'lead',
    summary: 'What a workflow would do with a record; nothing of it stays',
    handle: async (call, ctx) => {
      const id = idOf(call);
      const rec = await ctx.records.get('automation.workflow', id);
      const { workflow, problem } = problemOrDefinition(ctx, rec);
      if (!workflow) return call.fail(422, 'invalid', problem);
      const record = await recordOf(call, ctx, 'object' in workflow.trigger ? workflow.trigger.object : undefined);
      const fits = record === null || (await fittingIds(ctx, record.object, [record.id], workflow.condition)).length > 0;
      let body: Json = null;
      try {
        await ctx.attempt(async () => {
          const [run] = await begin([{ workflow: id, record, trigger: 'test', chain: [], asked: true }], ctx, true);
          // Waits end at once, so that what comes after them is seen too.
          for (let round = 0; run!.stopped?.status === 'waiting' && round < 50; round++) {
            await ctx.sql`update automation.step set status = 'skipped' where run = ${run!.id} and status = 'waiting'`;
            await ctx.asPlugin.derive('automation.run', [{ id: run!.id, fields: { status: 'running' } }]);
            await goOn([{ id: run!.id, data: { run: run!.id }, attempts: 0, error: null }], ctx);
            const { fields } = await ctx.asPlugin.get('automation.run', run!.id);
            if (fields.status !== 'waiting') break;
          }
          const { fields } = await ctx.asPlugin.get('automation.run', run!.id);
          const steps = await stepsOf(ctx, run!.id);
          body = { fits, status: fields.status, error: fields.error, steps } as unknown as Json;
          throw new TrialEnded();
        });
      } catch (error) {
        if (!(error instanceof TrialEnded)) throw error;
      }
      return { body };
    },
  },
  {
    method: 'POST',
    path: '/check',
    access: 'lead',
    summary: 'What is wrong with a definition, and where',
    handle: (call, ctx) => {
      const { workflow, problems } = read(JSON.stringify(call.body.definition ?? null));
      return Promise.resolve({ body: { problems: (workflow ? check(ctx.world.model, workflow) : problems) as unknown as Json } });
    },
  },
  {
    method: 'GET',
    path: '/buttons',
    access: 'staff',
    summary: 'Workflows that a person may set off on a record of an object',
    handle: async (call, ctx) => {
      const { data } = await ctx.asPlugin.query('automation.workflow', {
        filter: { field: 'enabled', op: 'eq', value: true },
        limit: 500,
        sort: ['name'],
      });
      const object = call.query.get('object');
      const buttons = data.flatMap((rec) => {
        const { workflow } = read(rec.fields.definition);
        return workflow?.trigger.on === 'button' && workflow.trigger.object === object
          ? [{ id: rec.id, label: workflow.trigger.label }]
          : [];
      });
      return { body: { data: buttons } };
    },
  },
  {
    method: 'POST',
    path: '/workflows/{id}/run',
    access: 'staff',
    summary: 'Set off a workflow that has a button, on a record that the caller may change',
    handle: async (call, ctx) => {
      const { data } = await ctx.asPlugin.query('automation.workflow', {
        filter: {
          and: [
            { field: 'id', op: 'eq', value: idOf(call) },
            { field: 'enabled', op: 'eq', value: true },
          ],
        },
        limit: 1,
      });
      const { workflow } = read(data[0]?.fields.definition ?? null);
      if (!data[0] || workflow?.trigger.on !== 'button') return call.fail(404, 'not_found', 'There is no such workflow with a button.');
      const record = (await recordOf(call, ctx, workflow.trigger.object))!;
      if (ctx.actor.roles.includes('reader')) call.fail(403, 'forbidden', 'You may not do this. Ask an administrator for the right.');
      if ((await fittingIds(ctx, record.object, [record.id], workflow.condition)).length === 0)
        call.fail(409, 'refused', 'This record is not one that the workflow is for.');
      const start: Start = { workflow: data[0].id, record, trigger: `button: ${workflow.trigger.label}`, chain: [], asked: true };
      const [run] = await ctx.attempt(() => begin([start], ctx, true));
      return { body: { run: run!.id, status: run!.stopped?.status ?? 'done' } };
    },
  },
];

/** The record that is meant, which the caller must be able to see. */
async function recordOf(call: PluginCall, ctx: Ctx, object: string | undefined): Promise<AnyRef | null> {
  if (object === undefined) return null;
  const { id } = call.body;
  if (!isUuid(id))
    return call.fail(422, 'invalid', 'Say which record: its id is missing.', [
      { field: 'id', code: 'required', message: 'must not be empty' },
    ]);
  const as = ctx.records as unknown as Ctx['world']['records'];
  await as.get(object, id);
  return { object, id };
}

async function resume(ctx: Ctx, id: string): Promise<{ body: Json }> {
  await ctx.asPlugin.derive('automation.run', [{ id, fields: { status: 'running', error: null, endedAt: null } }]);
  await ctx.queue('go', { run: id });
  return { body: { id, status: 'running' } };
}
