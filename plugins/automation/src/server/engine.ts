/**
 * Runs workflows. Runs of one workflow go through their steps side by side, each step done for all of them in few
 * statements; when that fails, each run is done alone, and the step that is at fault is kept with its reason.
 */
import { isDatabaseError, isOutage } from '@kith/core';
import type { AnyRef, FieldValue, QueuedJob, Rec, Step, Workflow } from '@kith/sdk';
import { check, inWords, read, titleOf } from './definition.ts';
import { inParts, keyOf, StepError, subjectOf, Values, type Ctx, type Frame, type Run } from './frames.ts';
import { keepResults, keepRuns, takeRuns, type Row } from './store.ts';

/** What sets a run off, as a job carries it. */
export interface Start {
  workflow: string;
  record: AnyRef | null;
  trigger: string;
  /** Workflows that led to this one. */
  chain: readonly string[];
  /** Why it cannot run; it is kept as a failed run, so that somebody sees it. */
  error?: string;
  /** It runs though the workflow is switched off: a button or a trial. */
  asked?: true;
}

/** Most turns of one loop. */
const MOST_TURNS = 1_000;
/** How often a job is tried before its run is given up, with the reason of the last failure. */
export const TRIES = 3;
const MINUTE_MS = 60_000;

/** Begins runs. */
export async function start(jobs: readonly QueuedJob[], ctx: Ctx): Promise<void> {
  const asked = jobs.map(({ data, attempts, error }) => ({ ...(data as unknown as Start), failure: attempts >= TRIES - 1 ? error : null }));
  await begin(asked, ctx, jobs.length === 1);
}

/**
 * Makes runs and takes them as far as they go.
 * @param alone one run by itself: a step that fails is kept; otherwise it is thrown, and everything taken back
 */
export async function begin(starts: readonly (Start & { failure?: string | null })[], ctx: Ctx, alone: boolean): Promise<Run[]> {
  const now = ctx.clock();
  const workflows = new Map((await workflowsOf(ctx, [...new Set(starts.map(({ workflow }) => workflow))])).map((rec) => [rec.id, rec]));
  const definitions = new Map([...workflows].map(([id, rec]) => [id, problemOrDefinition(ctx, rec)]));
  const going = starts.filter((one) => {
    const rec = workflows.get(one.workflow);
    return rec !== undefined && (rec.fields.enabled === true || one.asked === true);
  });
  if (going.length === 0) return [];
  /** Why each of them cannot even begin; null where it can. */
  const refused = going.map(
    (one) => one.error ?? definitions.get(one.workflow)!.problem ?? (one.failure ? `It was given up: ${one.failure}` : null),
  );
  const because = ctx.because({ kind: 'workflow', id: null });
  const ids = await because.asPlugin.createMany(
    'automation.run',
    going.map((one, i) => ({
      workflow: one.workflow,
      about: one.record,
      status: refused[i] === null ? ('done' as const) : ('failed' as const),
      trigger: one.trigger,
      startedAt: now.toISOString(),
      endedAt: now.toISOString(),
      error: refused[i]?.slice(0, 2_000) ?? null,
    })),
  );
  const runs = going.map((one, i): Run => {
    const definition = definitions.get(one.workflow)!.workflow ?? { trigger: { on: 'button', object: '', label: '' }, steps: [] };
    const name = workflows.get(one.workflow)!.fields.name ?? '';
    return {
      id: ids[i]!,
      workflow: one.workflow,
      name,
      record: one.record,
      chain: [...one.chain, one.workflow],
      definition,
      results: new Map(),
    };
  });
  await keepRuns(ctx, runs);
  const good = runs.filter((_, i) => refused[i] === null);
  await proceed(good, ctx, alone);
  const stopped = good.filter((run) => run.stopped);
  await noteEnds(ctx, stopped);
  await tellOfFailures(
    ctx,
    [...runs.filter((_, i) => refused[i] !== null), ...stopped.filter((run) => run.stopped!.status === 'failed')],
    workflows,
  );
  const touched = [...workflows.values()].filter(
    ({ fields }) => fields.lastRun === null || now.getTime() - Date.parse(fields.lastRun) > MINUTE_MS,
  );
  // Not for every run: they would all wait for one another at this one row.
  if (touched.length > 0)
    await ctx.asPlugin.derive(
      'automation.workflow',
      touched.map(({ id }) => ({ id, fields: { lastRun: now.toISOString() } })),
    );
  return runs;
}

/** Goes on with runs that waited, or that somebody tries again. */
export async function goOn(jobs: readonly QueuedJob[], ctx: Ctx): Promise<void> {
  const ids = [...new Set(jobs.map(({ data }) => (data as { run: string }).run))];
  const runs = await takeRuns(ctx, ids);
  if (runs.length === 0) return;
  const lost = jobs.length === 1 && jobs[0]!.attempts >= TRIES - 1 ? jobs[0]!.error : null;
  const workflows = new Map((await workflowsOf(ctx, [...new Set(runs.map(({ workflow }) => workflow))])).map((rec) => [rec.id, rec]));
  for (const run of runs) run.name = workflows.get(run.workflow)?.fields.name ?? '';
  if (lost !== null) for (const run of runs) run.stopped = { status: 'failed', step: '', error: `It was given up: ${lost}` };
  else await proceed(runs, ctx, jobs.length === 1);
  await noteEnds(ctx, runs);
  await tellOfFailures(
    ctx,
    runs.filter((run) => run.stopped?.status === 'failed'),
    workflows,
  );
}

type WorkflowRec = Rec<{
  name: string | null;
  enabled: boolean | null;
  definition: string | null;
  lastRun: string | null;
  shipped: string | null;
}>;

export async function workflowsOf(ctx: Ctx, ids: readonly string[]): Promise<WorkflowRec[]> {
  return inParts(
    ids,
    async (some) =>
      (await ctx.asPlugin.query('automation.workflow', { filter: { field: 'id', op: 'in', value: [...some] }, limit: some.length }))
        .data as WorkflowRec[],
  );
}

/** A workflow's definition, or in one sentence why it cannot run. */
export function problemOrDefinition(
  ctx: Ctx,
  rec: { fields: { definition: string | null } },
): { workflow: Workflow; problem: null } | { workflow: undefined; problem: string } {
  const { workflow, problems } = read(rec.fields.definition);
  const found = workflow ? check(ctx.world.model, workflow) : problems;
  if (!workflow || found.length > 0)
    return {
      workflow: undefined,
      problem: `The workflow cannot run: ${found.map(inWords).join(' ')}`,
    };
  return { workflow, problem: null };
}

async function noteEnds(ctx: Ctx, runs: readonly Run[]): Promise<void> {
  const endedAt = ctx.clock().toISOString();
  await ctx.because({ kind: 'workflow', id: null }).asPlugin.derive(
    'automation.run',
    runs.map((run) => ({
      id: run.id,
      fields: {
        status: run.stopped?.status ?? ('done' as const),
        step: run.stopped?.step || null,
        error: run.stopped?.error?.slice(0, 2_000) ?? null,
        endedAt: run.stopped?.status === 'waiting' ? null : endedAt,
      },
    })),
  );
}

/** Whoever looks after a workflow hears of it. */
async function tellOfFailures(ctx: Ctx, runs: readonly Run[], workflows: ReadonlyMap<string, WorkflowRec>): Promise<void> {
  if (runs.length === 0) return;
  const admins = await ctx.sql<{
    id: string;
  }>`select id from kith."user" where kind = 'staff' and active and role = 'admin' order by id limit 50`;
  await ctx.notify(
    runs.slice(0, 20).flatMap((run) => {
      const keeper = workflows.get(run.workflow);
      const people = new Set([...(keeper?.createdBy ? [keeper.createdBy] : []), ...admins.map(({ id }) => id)]);
      // One notice for a workflow that fails again and again within the hour.
      const hour = ctx.clock().toISOString().slice(0, 13);
      return [...people].map((to) => ({
        to,
        kind: 'automation.failed',
        about: { object: 'automation.run', id: run.id },
        text: run.name,
        key: `failed ${run.workflow} ${hour}`,
      }));
    }),
  );
}

/** Takes runs through their steps, those of one definition together. */
async function proceed(runs: readonly Run[], ctx: Ctx, alone: boolean): Promise<void> {
  for (const [definition, own] of Map.groupBy(runs, (run) => run.definition)) {
    const walk = new Walk(ctx, alone);
    await walk.through(
      own.map((run) => ({ run, item: null, prefix: '' })),
      definition.steps,
    );
  }
}

type Outcome = { input?: unknown; output?: Record<string, unknown> | null } | { wait: Date; input?: unknown };

class Walk {
  readonly #ctx: Ctx;
  readonly #alone: boolean;
  readonly #values: Values;
  /** Effects say which run they are of. */
  readonly #because: Ctx;

  constructor(ctx: Ctx, alone: boolean) {
    this.#ctx = ctx;
    this.#alone = alone;
    this.#values = new Values(ctx);
    this.#because = ctx.because({ kind: 'workflow', id: null });
  }

  /** Takes frames through a list of steps. */
  async through(frames: readonly Frame[], steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      const going = frames.filter(({ run }) => !run.stopped);
      if (going.length === 0) return;
      if (step.kind === 'branch') await this.#branch(going, step);
      else if (step.kind === 'each') await this.#each(going, step);
      else await this.#do(going, step, (some) => this.#perform(step, some));
    }
  }

  /** Does a step for the frames that have no result of it yet, and keeps the results. */
  async #do(frames: readonly Frame[], step: Step, perform: (frames: readonly Frame[]) => Promise<readonly Outcome[]>): Promise<void> {
    const todo = frames.filter((frame) => {
      const known = frame.run.results.get(keyOf(frame, step));
      return known === undefined || known.status === 'waiting';
    });
    if (todo.length === 0) return;
    const startedAt = new Date();
    let outcomes: readonly Outcome[];
    try {
      outcomes = this.#alone ? await this.#ctx.attempt(() => perform(todo)) : await perform(todo);
    } catch (error) {
      if (!this.#alone || !isTheirs(error)) throw error;
      await this.#fail(todo, step, error, startedAt);
      return;
    }
    const rows: Row[] = [];
    for (const [i, frame] of todo.entries()) {
      const outcome = outcomes[i]!;
      const key = keyOf(frame, step);
      const waits = 'wait' in outcome;
      const output = waits ? null : (outcome.output ?? null);
      frame.run.results.set(key, { status: waits ? 'waiting' : 'done', output, due: waits ? outcome.wait.toISOString() : null });
      if (waits) frame.run.stopped = { status: 'waiting', step: key };
      rows.push({
        ...rowOf(frame, step),
        status: waits ? 'waiting' : 'done',
        input: outcome.input,
        output,
        due: waits ? outcome.wait : null,
      });
    }
    await keepResults(this.#ctx, rows, startedAt);
    this.#values.forget();
  }

  async #fail(frames: readonly Frame[], step: Step, error: unknown, startedAt: Date): Promise<void> {
    const message = error instanceof Error ? error.message : String(error);
    for (const frame of frames) frame.run.stopped = { status: 'failed', step: keyOf(frame, step), error: message };
    await keepResults(
      this.#ctx,
      frames.slice(0, 1).map((frame) => ({ ...rowOf(frame, step), status: 'failed', error: message.slice(0, 2_000) })),
      startedAt,
    );
  }

  async #branch(frames: readonly Frame[], step: Extract<Step, { kind: 'branch' }>): Promise<void> {
    await this.#do(frames, step, async (todo) => {
      const fit = await this.#fitting(todo, step.condition);
      return todo.map((frame) => ({ output: { branch: fit.has(subjectOf(frame)?.id ?? '') ? 'then' : 'else' } }));
    });
    const way = (frame: Frame): unknown => frame.run.results.get(keyOf(frame, step))?.output?.branch;
    await this.through(
      frames.filter((frame) => way(frame) === 'then'),
      step.then,
    );
    await this.through(
      frames.filter((frame) => way(frame) === 'else'),
      step.else ?? [],
    );
  }

  async #each(frames: readonly Frame[], step: Extract<Step, { kind: 'each' }>): Promise<void> {
    // Which records a loop goes over is decided once, when it begins.
    await this.#do(frames, step, async (todo) => {
      const items = await this.#itemsOf(todo, step);
      return todo.map((frame) => ({ output: { items: items.get(subjectOf(frame)?.id ?? '') ?? [] } }));
    });
    const turns = frames.flatMap((frame) => {
      const items = (frame.run.results.get(keyOf(frame, step))?.output?.items ?? []) as string[];
      return items.map((id): Frame => ({ run: frame.run, item: { object: step.object, id }, prefix: `${keyOf(frame, step)}[${id}]/` }));
    });
    await this.through(turns, step.steps);
  }

  async #itemsOf(frames: readonly Frame[], step: Extract<Step, { kind: 'each' }>): Promise<Map<string, string[]>> {
    const found = new Map<string, string[]>();
    const parents = [...new Set(frames.flatMap((frame) => subjectOf(frame)?.id ?? []))];
    await inParts(parents, async (some) => {
      for (let cursor: string | null = null; ;) {
        const page: { data: Rec[]; nextCursor: string | null } = await this.#ctx.world.records.query(step.object, {
          filter: { and: [{ field: step.via, op: 'in', value: [...some] }, ...(step.where ? [step.where] : [])] },
          fields: [step.via],
          sort: ['createdAt'],
          limit: 500,
          ...(cursor === null ? {} : { cursor }),
        });
        for (const rec of page.data) {
          const parent = rec.fields[step.via] as string;
          const list = found.get(parent) ?? [];
          if (list.length >= MOST_TURNS)
            throw new StepError(`More than ${MOST_TURNS} records of ${step.object} belong to this one; narrow them with a condition.`);
          list.push(rec.id);
          found.set(parent, list);
        }
        cursor = page.nextCursor;
        if (cursor === null) return [];
      }
    });
    return found;
  }

  /** Ids of the frames' records that fit a condition. */
  async #fitting(frames: readonly Frame[], condition: Extract<Step, { kind: 'branch' }>['condition']): Promise<Set<string>> {
    const fit = new Set<string>();
    const subjects = frames.flatMap((frame) => subjectOf(frame) ?? []);
    for (const [object, own] of Map.groupBy(subjects, ({ object: name }) => name)) {
      const ids = [...new Set(own.map(({ id }) => id))];
      for (const id of await fittingIds(this.#ctx, object, ids, condition)) fit.add(id);
    }
    return fit;
  }

  async #perform(step: Step, frames: readonly Frame[]): Promise<readonly Outcome[]> {
    const causes = frames.map(({ run }) => run.id);
    const records = this.#because.world.records;
    switch (step.kind) {
      case 'create': {
        const rows = await this.#values.fill(frames, step.fields);
        const ids = await records.createMany(step.object, rows, causes);
        return rows.map((input, i) => ({ input, output: { object: step.object, id: ids[i]! } }));
      }
      case 'change': {
        const [targets, rows] = [await this.#targets(frames, step.target), await this.#values.fill(frames, step.fields)];
        for (const [object, own] of Map.groupBy(targets.keys(), (i) => targets[i]!.object)) {
          // Two runs about one record change it one after the other.
          for (const turn of turnsOf(own, (i) => targets[i]!.id))
            await records.patchMany(
              object,
              turn.map((i) => ({ id: targets[i]!.id, fields: rows[i]! })),
              turn.map((i) => causes[i]!),
            );
        }
        return rows.map((input, i) => ({ input, output: { ...targets[i]! } }));
      }
      case 'task':
        return this.#task(step, frames);
      case 'notify': {
        const [people, texts] = [await this.#values.each(frames, step.to), await this.#values.text(frames, step.text)];
        await this.#because.notify(
          frames.flatMap((frame, i) =>
            typeof people[i] === 'string'
              ? [
                  {
                    to: people[i],
                    kind: 'automation.told',
                    about: subjectOf(frame),
                    text: texts[i]!,
                    key: `${frame.run.id}/${keyOf(frame, step)}`,
                  },
                ]
              : [],
          ),
        );
        return frames.map((_, i) => ({ input: { to: people[i], text: texts[i] }, output: { told: typeof people[i] === 'string' } }));
      }
      case 'mail':
        return this.#mail(step, frames);
      case 'action': {
        const [targets, inputs] = [await this.#targets(frames, step.target), await this.#values.fill(frames, step.input ?? {})];
        const outcomes: Outcome[] = [];
        for (const [i, target] of targets.entries()) {
          const because = this.#ctx.because({ kind: 'workflow', id: causes[i]! });
          await because.world.records.act(target.object, target.id, step.action, inputs[i]!);
          outcomes.push({ input: inputs[i], output: { ...target } });
        }
        return outcomes;
      }
      case 'wait': {
        const now = this.#ctx.clock();
        const due = new Date(now.getTime() + ((step.minutes ?? 0) + (step.hours ?? 0) * 60 + (step.days ?? 0) * 1_440) * MINUTE_MS);
        return this.#waits(step, frames, due, () => false);
      }
      case 'waitUntil': {
        const due = new Date(this.#ctx.clock().getTime() + step.atMostDays * 1_440 * MINUTE_MS);
        const fit = await this.#fitting(frames, step.condition);
        return this.#waits(step, frames, due, (frame) => fit.has(subjectOf(frame)?.id ?? ''));
      }
      default:
        throw new StepError(`Nothing does steps of the kind “${step.kind}”.`);
    }
  }

  /** Waiting: until the time that was set when it began, or until what is waited for is there. */
  async #waits(step: Step, frames: readonly Frame[], due: Date, isMet: (frame: Frame) => boolean): Promise<Outcome[]> {
    const now = this.#ctx.clock();
    const outcomes: Outcome[] = [];
    for (const frame of frames) {
      const before = frame.run.results.get(keyOf(frame, step));
      const until = before?.due ? new Date(before.due) : due;
      if (isMet(frame) || until <= now) outcomes.push({ output: step.kind === 'waitUntil' ? { met: isMet(frame) } : null });
      else {
        outcomes.push({ wait: until });
        if (!before) await this.#ctx.queue('go', { run: frame.run.id }, { due: until });
      }
    }
    return outcomes;
  }

  async #targets(frames: readonly Frame[], path: string | undefined): Promise<AnyRef[]> {
    const targets = await this.#values.target(frames, path);
    return targets.map(
      (target) =>
        target ??
        fail(
          path === undefined ? 'There is no record to do this with.' : `“${path}” is empty here, so there is no record to do this with.`,
        ),
    );
  }

  async #task(step: Extract<Step, { kind: 'task' }>, frames: readonly Frame[]): Promise<Outcome[]> {
    const about = await this.#values.target(frames, step.about);
    const [titles, details, owners] = [
      await this.#values.text(frames, step.subject),
      step.details === undefined ? undefined : await this.#values.text(frames, step.details),
      step.owner === undefined ? undefined : await this.#values.each(frames, step.owner),
    ];
    const [due] = step.dueInDays === undefined ? [null] : await this.#values.each(frames.slice(0, 1), { days: step.dueInDays });
    const open = step.once ? await this.#openTasks(frames, about) : new Map<string, string>();
    const rows: Record<string, FieldValue>[] = [];
    const outcomes: (Outcome & { at?: number })[] = frames.map((frame, i) => {
      const key = `${frame.run.workflow} ${about[i]?.id ?? ''}`;
      const known = step.once ? open.get(key) : undefined;
      const input: Record<string, FieldValue> = {
        title: titles[i]!.slice(0, 1_000),
        details: details?.[i] ?? null,
        owner: (owners?.[i] ?? null) as FieldValue,
        due: due as FieldValue,
        priority: step.priority ?? 'normal',
        about: about[i] ?? null,
        automation__workflow: frame.run.workflow,
      };
      if (known !== undefined) return { input, output: { object: 'contacts.task', id: known, open: true } };
      if (step.once) open.set(key, `#${rows.length}`);
      return { input, at: rows.push(input) - 1 };
    });
    const made = frames.filter((_, i) => outcomes[i]!.at !== undefined);
    const ids = await this.#because.world.records.createMany(
      'contacts.task',
      rows,
      made.map(({ run }) => run.id),
    );
    return outcomes.map((outcome): Outcome => {
      if ('wait' in outcome) return outcome;
      if (outcome.at !== undefined) return { input: outcome.input, output: { object: 'contacts.task', id: ids[outcome.at]! } };
      const id = outcome.output!.id as string;
      return { input: outcome.input, output: { ...outcome.output, id: id.startsWith('#') ? ids[Number(id.slice(1))]! : id } };
    });
  }

  /** The open tasks of these workflows about these records. Whoever looks for one keeps others from making it meanwhile. */
  async #openTasks(frames: readonly Frame[], about: readonly (AnyRef | null)[]): Promise<Map<string, string>> {
    const keys = [...new Set(frames.map((frame, i) => `${frame.run.workflow} ${about[i]?.id ?? ''}`))].sort();
    await this.#ctx.sql`select pg_advisory_xact_lock(hashtextextended(key, 0)) from (select unnest(${keys}::text[]) as key order by 1) k`;
    const rows = await this.#ctx.sql<{
      key: string;
      id: string;
    }>`select automation__workflow || ' ' || coalesce(split_part(about, '/', 2), '') as key, id
      from contacts.task where deleted_at is null and status = 'open' and automation__workflow = any(${[...new Set(frames.map(({ run }) => run.workflow))]}::uuid[])
        and automation__workflow || ' ' || coalesce(split_part(about, '/', 2), '') = any(${keys}::text[])`;
    return new Map(rows.map(({ key, id }) => [key, id]));
  }

  /** A mail is a message that the plugin `inbox` sends: once for a run and step. */
  async #mail(step: Extract<Step, { kind: 'mail' }>, frames: readonly Frame[]): Promise<Outcome[]> {
    if (!this.#ctx.world.model.objects.has('inbox.message')) throw new StepError('Sending mail needs the plugin “inbox”.');
    const to = await this.#values.target(frames, step.to);
    const addresses = await this.#values.along(frames, step.to);
    const [subjects, bodies] = [
      step.subject === undefined ? undefined : await this.#values.text(frames, step.subject),
      step.body === undefined ? undefined : await this.#values.text(frames, step.body),
    ];
    const rows = frames.map((frame, i): Record<string, FieldValue> => ({
      channel: 'email',
      direction: 'out',
      recipient: to[i] ?? null,
      address: to[i]
        ? null
        : typeof addresses[i] === 'string'
          ? addresses[i]
          : fail(`“${step.to}” is empty here, so there is nobody to write to.`),
      about: subjectOf(frame),
      purpose: step.purpose,
      template: step.template ?? null,
      subject: subjects?.[i] ?? null,
      body: bodies?.[i] ?? null,
      key: `${frame.run.id}/${keyOf(frame, step)}`,
    }));
    const ids = await this.#because.world.records.createMany(
      'inbox.message',
      rows,
      frames.map(({ run }) => run.id),
    );
    return rows.map((input, i) => ({ input, output: { object: 'inbox.message', id: ids[i]! } }));
  }
}

/** Which of these records fit a condition. */
export async function fittingIds(ctx: Ctx, object: string, ids: readonly string[], condition: Workflow['condition']): Promise<string[]> {
  return inParts(ids, async (some) => {
    const { data } = await ctx.world.records.query(object, {
      filter: { and: [{ field: 'id', op: 'in', value: [...some] }, ...(condition ? [condition] : [])] },
      fields: [],
      limit: some.length,
    });
    return data.map(({ id }) => id);
  });
}

const rowOf = (frame: Frame, step: Step): Row => ({
  run: frame.run.id,
  step: keyOf(frame, step),
  kind: step.kind,
  title: titleOf(step),
  status: 'done',
  input: null,
  output: null,
  error: null,
  due: null,
  record: step.kind === 'waitUntil' ? (subjectOf(frame)?.id ?? null) : null,
});

/** Parts in which no key is named twice, in order. */
function turnsOf<T>(all: Iterable<T>, key: (one: T) => string): T[][] {
  const turns: T[][] = [];
  const seen = new Map<string, number>();
  for (const one of all) {
    const turn = seen.get(key(one)) ?? 0;
    seen.set(key(one), turn + 1);
    (turns[turn] ??= []).push(one);
  }
  return turns;
}

/** Whether an error says something about the step. Of a database that is away, or of two that were in each other's way, it says nothing. */
const isTheirs = (error: unknown): boolean => !isOutage(error) && !isDatabaseError(error, '40', '55', '57');

function fail(message: string): never {
  throw new StepError(message);
}
