/** A workflow while it is built: read from its text, changed piece by piece, and named in words. */
import type { Filter, Step, Trigger, WorkflowValue } from '@kith/sdk';
import type { App } from '@kith/ui/app.svelte.ts';
import { isComparison, conditionsOf } from '@kith/ui/filter/conditions.ts';
import { columnOf, shownFields, textOf } from '@kith/ui/meta.ts';
import type { FieldMeta, ObjectMeta } from '@kith/ui/types.ts';
import type { Say } from './words.ts';

export const WORKFLOW = 'automation.workflow';
export const RUN = 'automation.run';
export const TASK = 'contacts.task';

/** A workflow that may not be finished yet. */
export interface Draft {
  trigger: Trigger | null;
  condition?: Filter;
  steps: readonly Step[];
}

/** What is wrong with a workflow, and where: `steps[2].fields.owner`. */
export interface Problem {
  path: string;
  message: string;
}

export type Kind = Step['kind'];
export const KINDS: readonly Kind[] = ['task', 'notify', 'mail', 'change', 'create', 'action', 'wait', 'waitUntil', 'branch', 'each'];
export const ICONS: Record<Kind, string> = {
  task: 'square-check',
  notify: 'bell',
  mail: 'mail',
  change: 'pencil',
  create: 'plus',
  action: 'zap',
  wait: 'timer',
  waitUntil: 'hourglass',
  branch: 'git-branch',
  each: 'repeat',
};
export const TRIGGERS = [
  'created',
  'changed',
  'settled',
  'date',
  'schedule',
  'action',
  'event',
  'button',
] as const satisfies readonly Trigger['on'][];
export const TRIGGER_ICONS: Record<Trigger['on'], string> = {
  created: 'plus',
  changed: 'pencil',
  settled: 'notebook-pen',
  date: 'calendar-clock',
  schedule: 'repeat',
  action: 'zap',
  event: 'megaphone',
  button: 'mouse-pointer-click',
};

/** A workflow from its text; null when it is none. */
export function parse(text: string | null): Draft | null {
  if (text === null || text.trim() === '') return { trigger: null, steps: [] };
  try {
    const read = JSON.parse(text) as Partial<Draft> | null;
    if (typeof read !== 'object' || read === null || !Array.isArray(read.steps)) return null;
    return { trigger: read.trigger ?? null, ...(read.condition ? { condition: read.condition } : {}), steps: read.steps };
  } catch {
    return null;
  }
}

/** The text of a workflow, with its parts always in one order, so that equal ones have equal texts. */
export const write = ({ trigger, condition, steps }: Draft): string =>
  JSON.stringify({ trigger, ...(condition ? { condition } : {}), steps });

/** All steps, nested ones too. */
export const allSteps = (steps: readonly Step[]): Step[] =>
  steps.flatMap((step) => [
    step,
    ...(step.kind === 'branch' ? [...allSteps(step.then), ...allSteps(step.else ?? [])] : []),
    ...(step.kind === 'each' ? allSteps(step.steps) : []),
  ]);

/** A step of a kind, with an id that no other has. */
export function newStep(kind: Kind, taken: ReadonlySet<string>): Step {
  let n = taken.size + 1;
  while (taken.has(`${kind}-${n}`)) n++;
  const id = `${kind}-${n}`;
  switch (kind) {
    case 'create':
      return { id, kind, object: '', fields: {} };
    case 'change':
      return { id, kind, fields: {} };
    case 'task':
      return { id, kind, subject: '', dueInDays: 1 };
    case 'notify':
      return { id, kind, to: null, text: '' };
    case 'mail':
      return { id, kind, to: '', purpose: 'correspondence', subject: '', body: '' };
    case 'action':
      return { id, kind, action: '' };
    case 'wait':
      return { id, kind, days: 1 };
    case 'waitUntil':
      return { id, kind, condition: { and: [] }, atMostDays: 7 };
    case 'branch':
      return { id, kind, condition: { and: [] }, then: [] };
    case 'each':
      return { id, kind, object: '', via: '', steps: [] };
  }
}

/** What a trigger of a kind says at first; the object stays. */
export function newTrigger(on: Trigger['on'], before: Trigger | null): Trigger {
  const object = before && 'object' in before ? (before.object ?? '') : '';
  switch (on) {
    case 'created':
    case 'changed':
    case 'settled':
      return { on, object };
    case 'schedule':
      return { on, cron: '0 6 * * *', ...(object ? { object } : {}) };
    case 'date':
      return { on, object, field: '', days: 0 };
    case 'action':
      return { on, object, action: '' };
    case 'event':
      return { on, object, event: '' };
    case 'button':
      return { on, object, label: '' };
  }
}

/** What paths may begin with at a place in a workflow. */
export interface Scope {
  record: ObjectMeta | undefined;
  item: ObjectMeta | undefined;
  /** Steps before this one that make a record. */
  made: readonly { id: string; title: string; object: ObjectMeta }[];
}
/** The record that conditions and changes mean unless told. */
export const subjectOf = (scope: Scope): ObjectMeta | undefined => scope.item ?? scope.record;

/** The scope after a step. */
export function after(app: App, t: Say, scope: Scope, step: Step): Scope {
  const object = app.object(step.kind === 'create' ? step.object : step.kind === 'task' ? TASK : '');
  return object ? { ...scope, made: [...scope.made, { id: step.id, title: titleOf(app, t, step, scope), object }] } : scope;
}

export const isPath = (value: WorkflowValue | undefined): value is { path: string } =>
  typeof value === 'object' && value !== null && 'path' in value;
export const isDays = (value: WorkflowValue | undefined): value is { days: number } =>
  typeof value === 'object' && value !== null && 'days' in value;

/** A place that a path may lead to. */
export interface PathChoice {
  path: string;
  label: string;
  /** The field at its end; none for a record itself. */
  meta: FieldMeta | undefined;
  object: ObjectMeta | undefined;
}

const DEEPEST = 3;
const MOST = 2_000;

/** Everything that paths may lead to, the nearest first. */
export function pathsFrom(app: App, t: Say, scope: Scope): PathChoice[] {
  const found: PathChoice[] = [];
  let level: { path: string; label: string; object: ObjectMeta }[] = [
    ...(scope.item ? [{ path: 'item', label: t('path.item', { name: scope.item.label.one }), object: scope.item }] : []),
    ...(scope.record ? [{ path: 'record', label: scope.record.label.one, object: scope.record }] : []),
    ...scope.made.map(({ id, title, object }) => ({ path: `steps.${id}`, label: title, object })),
  ];
  for (const root of level) found.push({ ...root, meta: undefined });
  for (let depth = 0; depth < DEEPEST && found.length < MOST; depth++) {
    const next: typeof level = [];
    for (const { path, label, object } of level) {
      for (const meta of shownFields(object)) {
        const target = meta.type === 'ref' ? app.object(meta.to ?? '') : undefined;
        const place = { path: `${path}.${meta.name}`, label: `${label} › ${meta.label}` };
        found.push({ ...place, meta, object: target });
        if (target) next.push({ ...place, object: target });
      }
    }
    level = next;
  }
  return found.slice(0, MOST);
}

/** What a path is called; the path itself where it leads nowhere that is known. */
export function pathLabel(app: App, t: Say, scope: Scope, path: string): string {
  const [head = '', ...rest] = path.split('.');
  const step = head === 'steps' ? scope.made.find(({ id }) => id === rest[0]) : undefined;
  let object = head === 'record' ? scope.record : head === 'item' ? scope.item : step?.object;
  if (!object) return path;
  const parts = [head === 'item' ? t('path.item', { name: object.label.one }) : (step?.title ?? object.label.one)];
  for (const name of head === 'steps' ? rest.slice(1) : rest) {
    const meta: FieldMeta | undefined = object && columnOf(app, object, name);
    if (!meta) return name === 'id' || name === 'title' ? `${parts.join(' › ')} › ${name}` : path;
    parts.push(meta.label);
    object = meta.type === 'ref' ? app.object(meta.to ?? '') : undefined;
  }
  return parts.join(' › ');
}

/** The object that a path leads to, if it leads to a record. */
export function objectAt(app: App, scope: Scope, path: string | undefined): ObjectMeta | undefined {
  if (path === undefined || path === '') return subjectOf(scope);
  const [head, ...rest] = path.split('.');
  let object =
    head === 'record'
      ? scope.record
      : head === 'item'
        ? scope.item
        : scope.made.find(({ id }) => head === 'steps' && id === rest[0])?.object;
  for (const name of head === 'steps' ? rest.slice(1) : rest) {
    const meta = object?.fields.find((field) => field.name === name);
    object = meta?.type === 'ref' ? app.object(meta.to ?? '') : undefined;
  }
  return object;
}

/** A condition in a few words. */
export function conditionText(app: App, t: Say, object: ObjectMeta | undefined, filter: Filter | undefined): string {
  const parts = conditionsOf(filter).flatMap((one) => (isComparison(one) ? [one] : []));
  return parts
    .map(({ field, op, value }) => {
      const meta = object && columnOf(app, object, field);
      const words = app.has(`op.${op}`) ? app.t(`op.${op}`) : op;
      const shown =
        op === 'isNull' || value === undefined || typeof value === 'boolean' || (typeof value === 'object' && value !== null)
          ? ''
          : meta
            ? textOf(app, meta, value)
            : String(value);
      return [meta?.label ?? field, op === 'isNull' && value === false ? app.t('op.notNull') : words, shown].filter(Boolean).join(' ');
    })
    .join(` ${t('and')} `);
}

/** What a step is called: its own title, else what it does. */
export function titleOf(app: App, t: Say, step: Step, scope: Scope): string {
  return step.title?.trim() ? step.title : `${t(`kind.${step.kind}`)}${detail(app, t, step, scope)}`;
}
/** A text with the names of fields in the place of their paths. */
const named = (app: App, t: Say, scope: Scope, text: string): string =>
  text.replace(/\{\{\s*([^{}]*?)\s*\}\}/g, (_, path: string) => `‹${pathLabel(app, t, scope, path).split(' › ').at(-1)!}›`);

function detail(app: App, t: Say, step: Step, scope: Scope): string {
  const text = ((): string => {
    switch (step.kind) {
      case 'create':
        return app.object(step.object)?.label.one ?? '';
      case 'change': {
        const object = objectAt(app, scope, step.target);
        return Object.keys(step.fields)
          .map((name) => object?.fields.find((field) => field.name === name)?.label ?? name)
          .join(', ');
      }
      case 'task':
        return named(app, t, scope, step.subject);
      case 'notify':
        return named(app, t, scope, step.text);
      case 'mail':
        return named(app, t, scope, step.subject ?? step.template ?? '');
      case 'action':
        return objectAt(app, scope, step.target)?.actions.find(({ name }) => name === step.action)?.label ?? step.action;
      case 'wait': {
        const unit = step.days !== undefined ? 'days' : step.hours !== undefined ? 'hours' : 'minutes';
        return t(`wait.${unit}`, { n: step[unit] ?? 0 });
      }
      case 'waitUntil':
      case 'branch':
        return conditionText(app, t, subjectOf(scope), step.condition);
      case 'each':
        return app.object(step.object)?.label.many ?? '';
    }
  })();
  return text ? `: ${text}` : '';
}

/** The words of the problems at a place; those of its parts too where these are not shown by themselves. */
export function problemAt(problems: readonly Problem[], path: string, parts = false): string | undefined {
  const found = problems.filter((one) => one.path === path || (parts && isWithin(one.path, path))).map(({ message }) => message);
  return found.length > 0 ? found.join(' ') : undefined;
}
export const isWithin = (path: string, place: string): boolean =>
  path === place || path.startsWith(`${place}.`) || path.startsWith(`${place}[`);
