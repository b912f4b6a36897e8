/** What sets workflows off: changes, as they come to rest, and the clock. */
import { nextTime } from '@kith/core';
import { sameValue, type ChangeEvent, type Filter, type Json, type Trigger, type Workflow } from '@kith/sdk';
import { fittingIds, problemOrDefinition, type Start } from './engine.ts';
import type { Ctx } from './frames.ts';

/** How often a workflow may set itself off, by way of others or not, before it is stopped. */
const MOST_TIMES = 3;
/** How many workflows may set one another off in a row. */
const LONGEST_CHAIN = 10;
/** Days that a workflow was not there to look at are made up for, but not more than these. */
const MOST_DAYS = 7;
const DAY_MS = 86_400_000;
const PAGE = 500;

interface Known {
  id: string;
  workflow: Workflow | undefined;
  /** From what can still be read of a definition that does not run. */
  trigger: Trigger | undefined;
  problem: string | null;
}

const parsed = new Map<string, { version: number; known: Known }>();

/** All workflows that are switched on. */
async function enabled(ctx: Ctx): Promise<Known[]> {
  const { data } = await ctx.asPlugin.query('automation.workflow', {
    filter: { field: 'enabled', op: 'eq', value: true },
    limit: 500,
    sort: ['createdAt'],
  });
  return data.map((rec) => {
    const kept = parsed.get(rec.id);
    if (kept?.version === rec.version) return kept.known;
    const { workflow, problem } = problemOrDefinition(ctx, rec);
    const known: Known = { id: rec.id, workflow, problem, trigger: workflow?.trigger ?? triggerIn(rec.fields.definition) };
    parsed.set(rec.id, { version: rec.version, known });
    return known;
  });
}

function triggerIn(definition: string | null): Trigger | undefined {
  try {
    const trigger = (JSON.parse(definition ?? '') as { trigger?: Trigger }).trigger;
    return typeof trigger?.on === 'string' ? trigger : undefined;
  } catch {
    return undefined;
  }
}

/** Follows all changes: whatever a workflow waits for becomes a job that begins its run. */
export async function follow(events: readonly ChangeEvent[], ctx: Ctx): Promise<void> {
  // What a demo or a calculation brings is not somebody's doing.
  const own = events.filter(({ cause }) => cause.kind !== 'demo');
  if (own.length === 0) return;
  await wakeWaiting(own, ctx);
  const fired: { known: Known; events: ChangeEvent[] }[] = [];
  for (const known of await enabled(ctx)) {
    const { trigger } = known;
    const fitting = trigger ? own.filter((event) => isSetOffBy(trigger, event)) : [];
    if (fitting.length > 0) fired.push({ known, events: fitting });
  }
  if (fired.length === 0) return;
  const chains = await chainsOf(
    ctx,
    fired.flatMap((one) => one.events),
  );
  const starts: Start[] = [];
  for (const { known, events: all } of fired) {
    const { workflow, problem } = known;
    const ids = [...new Set(all.map(({ record }) => record))];
    const fit = workflow?.condition ? new Set(await fittingIds(ctx, all[0]!.object, ids, workflow.condition)) : new Set(ids);
    for (const event of all) {
      if (!fit.has(event.record)) continue;
      const chain = (event.cause.kind === 'workflow' && event.cause.id !== null && chains.get(event.cause.id)) || [];
      const times = chain.filter((id) => id === known.id).length;
      const error =
        problem ??
        (times >= MOST_TIMES
          ? `It set itself off ${times} times in a row and was stopped. Narrow its trigger, so that what it changes does not set it off again.`
          : chain.length >= LONGEST_CHAIN
            ? `${chain.length} workflows set one another off in a row; the last was stopped.`
            : null);
      // Said once: what was stopped sets nothing off any more.
      starts.push({
        workflow: known.id,
        record: { object: event.object, id: event.record },
        trigger: wordsOf(event),
        chain,
        ...(error === null ? {} : { error }),
      });
    }
  }
  await ctx.queueAll('start', starts as unknown as Json[]);
}

function isSetOffBy(trigger: Trigger, event: ChangeEvent): boolean {
  if (!('object' in trigger) || trigger.object !== event.object) return false;
  switch (trigger.on) {
    case 'created':
      return event.kind === 'created';
    case 'changed':
      return (event.kind === 'changed' || event.kind === 'settled') && changed(trigger, event);
    case 'settled':
      return (event.kind === 'changed' || event.kind === 'settled') && (trigger.field === undefined || trigger.field in event.changes);
    case 'action':
      return (
        event.kind === 'acted' &&
        event.act === trigger.action &&
        (trigger.by === undefined || (trigger.by === 'portal') === (event.audience !== null))
      );
    case 'event':
      return event.kind === 'emitted' && event.event?.split('.')[1] === trigger.event;
    default:
      return false;
  }
}

function changed({ field, from, to }: Extract<Trigger, { on: 'changed' }>, event: ChangeEvent): boolean {
  if (field === undefined) return Object.keys(event.changes).length > 0;
  if (!(field in event.changes)) return false;
  const pair = event.changes[field];
  if (!pair) return from === undefined && to === undefined;
  return (from === undefined || sameValue(pair[0], from)) && (to === undefined || sameValue(pair[1], to));
}

const wordsOf = (event: ChangeEvent): string => {
  const names = Object.keys(event.changes).slice(0, 5).join(', ');
  return event.kind === 'acted'
    ? `action ${event.act}`
    : event.kind === 'emitted'
      ? `event ${event.event}`
      : event.kind === 'created' || names === ''
        ? event.kind
        : `${event.kind === 'settled' ? 'changed' : event.kind}: ${names}`;
};

/** The workflows that led to the runs that caused these events. */
async function chainsOf(ctx: Ctx, events: readonly ChangeEvent[]): Promise<Map<string, string[]>> {
  const runs = [...new Set(events.flatMap(({ cause }) => (cause.kind === 'workflow' && cause.id !== null ? [cause.id] : [])))];
  if (runs.length === 0) return new Map();
  const rows = await ctx.sql<{ run: string; chain: string[] }>`select run, chain from automation.state where run = any(${runs}::uuid[])`;
  return new Map(rows.map(({ run, chain }) => [run, chain]));
}

/** Runs that wait for something in one of these records look again. */
async function wakeWaiting(events: readonly ChangeEvent[], ctx: Ctx): Promise<void> {
  const rows = await ctx.sql<{ run: string }>`select distinct run from automation.step
    where status = 'waiting' and kind = 'waitUntil' and record = any(${[...new Set(events.map(({ record }) => record))]}::uuid[])`;
  await ctx.queueAll('go', rows);
}

/** Once a minute: what is due by the clock. */
export async function tick(ctx: Ctx): Promise<void> {
  const now = ctx.clock();
  for (const { id, workflow, trigger, problem } of await enabled(ctx)) {
    if (trigger?.on !== 'schedule' && trigger?.on !== 'date') continue;
    if (problem !== null || !workflow) continue;
    const expression = trigger.on === 'schedule' ? trigger.cron : dailyAt(trigger.at ?? '06:00');
    const [due] = await ctx.sql<{ next: string }>`select next from automation.clock where workflow = ${id} for update`;
    if (!due) {
      await ctx.sql`insert into automation.clock (workflow, next) values (${id}, ${nextTime(expression, now)}) on conflict do nothing`;
      continue;
    }
    if (new Date(due.next) > now) continue;
    await ctx.sql`update automation.clock set next = ${nextTime(expression, now)} where workflow = ${id}`;
    if (trigger.on === 'date') {
      // Days on which nothing ran are made up for, each by itself.
      for (let day = Math.max(Date.parse(due.next), now.getTime() - MOST_DAYS * DAY_MS); day <= now.getTime(); day += DAY_MS) {
        const wanted = new Date(day - trigger.days * DAY_MS).toISOString().slice(0, 10);
        await setOffAll(
          ctx,
          id,
          trigger.object,
          { field: trigger.field, op: 'eq', value: wanted },
          workflow.condition,
          `${trigger.field} ${wanted}`,
        );
      }
    } else if (trigger.object !== undefined) await setOffAll(ctx, id, trigger.object, undefined, workflow.condition, 'schedule');
    else await ctx.queueAll('start', [{ workflow: id, record: null, trigger: 'schedule', chain: [] }]);
  }
}

const dailyAt = (time: string): string => `${Number(time.slice(3))} ${Number(time.slice(0, 2))} * * *`;

/** A run for each record that fits. */
async function setOffAll(
  ctx: Ctx,
  workflow: string,
  object: string,
  filter: Filter | undefined,
  condition: Filter | undefined,
  trigger: string,
): Promise<void> {
  const parts = [filter, condition].filter((part) => part !== undefined);
  for (let cursor: string | null = null; ;) {
    const page: { data: { id: string }[]; nextCursor: string | null } = await ctx.world.records.query(object, {
      ...(parts.length > 0 ? { filter: { and: parts } } : {}),
      fields: [],
      sort: ['createdAt'],
      limit: PAGE,
      ...(cursor === null ? {} : { cursor }),
    });
    await ctx.queueAll(
      'start',
      page.data.map(({ id }) => ({ workflow, record: { object, id }, trigger, chain: [] })),
    );
    cursor = page.nextCursor;
    if (cursor === null) return;
  }
}
