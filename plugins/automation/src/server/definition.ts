/** Definitions of workflows: read from text, and checked against what is installed, with the place of each problem. */
import {
  isUuid,
  operatorsFor,
  STEP_KINDS,
  type Filter,
  type Model,
  type ModelField,
  type ModelObject,
  type Step,
  type Trigger,
  type Workflow,
  type WorkflowValue,
} from '@kith/sdk';
import { isSchedule } from '@kith/core';

export interface Problem {
  /** `trigger.field`, `steps[2].fields.owner` */
  path: string;
  message: string;
}

/** Deepest nesting of branches and loops. */
const DEPTH = 6;
/** Most steps in one workflow, nested ones too. */
const STEPS = 100;

type Loose = Readonly<Record<string, unknown>>;
const isLoose = (value: unknown): value is Loose => typeof value === 'object' && value !== null && !Array.isArray(value);

/** A definition from its text. Answers problems of its shape; what it names is looked at by {@link check}. */
export function read(text: string | null): { workflow: Workflow; problems: [] } | { workflow?: undefined; problems: Problem[] } {
  if (text === null || text.trim() === '') return { problems: [{ path: 'trigger', message: 'Choose what sets it off.' }] };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { problems: [{ path: '', message: 'The definition is not JSON.' }] };
  }
  const problems: Problem[] = [];
  if (!isLoose(value)) return { problems: [{ path: '', message: 'The definition must be an object with trigger and steps.' }] };
  const { trigger, steps } = value;
  if (!isLoose(trigger) || typeof trigger.on !== 'string') problems.push({ path: 'trigger', message: 'Choose what sets it off.' });
  if (!Array.isArray(steps)) problems.push({ path: 'steps', message: 'There must be a list of steps.' });
  else readSteps(steps, 'steps', new Set(), 0, problems);
  if (problems.length > 0) return { problems };
  return { workflow: value as unknown as Workflow, problems: [] };
}

function readSteps(steps: readonly unknown[], path: string, ids: Set<string>, depth: number, problems: Problem[]): void {
  if (depth > DEPTH)
    return void problems.push({ path, message: `Steps are nested deeper than ${DEPTH} levels; make a second workflow of them.` });
  for (const [i, step] of steps.entries()) {
    const at = `${path}[${i}]`;
    if (!isLoose(step) || !(STEP_KINDS as readonly unknown[]).includes(step.kind)) {
      problems.push({ path: `${at}.kind`, message: `A step has a kind: ${STEP_KINDS.join(', ')}.` });
      continue;
    }
    if (typeof step.id !== 'string' || !/^[A-Za-z0-9-]{1,40}$/.test(step.id))
      problems.push({ path: `${at}.id`, message: 'A step needs an id of letters, digits and -.' });
    else if (ids.has(step.id)) problems.push({ path: `${at}.id`, message: `Two steps have the id “${step.id}”.` });
    else ids.add(step.id);
    if (ids.size > STEPS) return void problems.push({ path, message: `A workflow has at most ${STEPS} steps.` });
    for (const list of step.kind === 'branch' ? ['then', 'else'] : step.kind === 'each' ? ['steps'] : []) {
      const inner = step[list];
      if (inner === undefined && list === 'else') continue;
      if (Array.isArray(inner)) readSteps(inner, `${at}.${list}`, ids, depth + 1, problems);
      else problems.push({ path: `${at}.${list}`, message: 'There must be a list of steps.' });
    }
  }
}

/** What is wrong with a workflow, given what is installed; nothing when it can run. */
export function check(model: Model, workflow: Workflow): Problem[] {
  const problems: Problem[] = [];
  const say = (path: string, message: string): void => void problems.push({ path, message });
  const object = checkTrigger(model, workflow.trigger, say);
  if (workflow.condition) {
    if (object) checkFilter(model, object, workflow.condition, 'condition', say);
    else say('condition', 'Without a record there is nothing to compare.');
  }
  if (workflow.steps.length === 0) say('steps', 'Add a first step.');
  checkSteps({ model, record: object, item: undefined, made: new Map(), say }, workflow.steps, 'steps');
  return problems;
}

type Say = (path: string, message: string) => void;

function checkTrigger(model: Model, trigger: Trigger, say: Say): ModelObject | undefined {
  const named = 'object' in trigger ? trigger.object : undefined;
  const object = named === undefined ? undefined : model.objects.get(named);
  if (named !== undefined && !object) say('trigger.object', `There is no object “${named}”; the plugin that brings it may be gone.`);
  if (object?.plugin === 'automation') say('trigger.object', 'Workflows and their runs set nothing off.');
  const field = 'field' in trigger ? trigger.field : undefined;
  if (object && field !== undefined && !object.fields.has(field)) say('trigger.field', `${nameOf(model, object)} has no field “${field}”.`);
  switch (trigger.on) {
    case 'created':
    case 'changed':
    case 'settled':
      if (named === undefined) say('trigger.object', 'Choose an object.');
      break;
    case 'schedule':
      if (!isSchedule(trigger.cron)) say('trigger.cron', `“${trigger.cron}” is no schedule; 0 8 * * 1 is each Monday at 8 (UTC).`);
      break;
    case 'date': {
      const type = field === undefined ? undefined : object?.fields.get(field)?.type;
      if (object && type !== undefined && type !== 'date') say('trigger.field', 'Choose a field that holds a day.');
      if (!Number.isInteger(trigger.days) || Math.abs(trigger.days) > 3_650)
        say('trigger.days', 'Say a whole number of days, before as −3.');
      if (trigger.at !== undefined && !/^([01]\d|2[0-3]):[0-5]\d$/.test(trigger.at)) say('trigger.at', 'Say a time like 08:00.');
      break;
    }
    case 'action':
      if (object && !object.actions.has(trigger.action))
        say('trigger.action', `${nameOf(model, object)} has no action “${trigger.action}”.`);
      break;
    case 'event':
      if (object && !object.events.has(trigger.event)) say('trigger.event', `${nameOf(model, object)} has no event “${trigger.event}”.`);
      break;
    case 'button':
      if (typeof trigger.label !== 'string' || trigger.label.trim() === '') say('trigger.label', 'Say what stands on the button.');
      break;
    default:
      say('trigger', `Nothing is set off by “${(trigger as { on: string }).on}”.`);
  }
  return object;
}

interface Place {
  model: Model;
  record: ModelObject | undefined;
  item: ModelObject | undefined;
  /** What steps before this one make, by their ids; null where it is no record. */
  made: Map<string, ModelObject | null>;
  say: Say;
}

function checkSteps(place: Place, steps: readonly Step[], path: string): void {
  for (const [i, step] of steps.entries()) checkStep(place, step, `${path}[${i}]`);
}

function checkStep(place: Place, step: Step, at: string): void {
  const { model, say } = place;
  const subject = place.item ?? place.record;
  const values = (object: ModelObject | undefined, fields: unknown, path: string): void => {
    if (!isLoose(fields)) return say(path, 'Say which fields get which values.');
    for (const [name, value] of Object.entries(fields)) {
      if (object && !object.fields.has(name)) say(`${path}.${name}`, `${nameOf(model, object)} has no field “${name}”.`);
      checkValue(place, value as WorkflowValue, `${path}.${name}`);
    }
  };
  const target = (named: string | undefined): ModelObject | undefined => {
    if (named === undefined) {
      if (!subject) say(`${at}.target`, 'This workflow has no record of its own; say which one is meant.');
      return subject;
    }
    const end = pathEnd(place, named, `${at}.target`);
    if (end !== undefined && !(end && typeof end === 'object')) say(`${at}.target`, `“${named}” does not lead to a record.`);
    return end && typeof end === 'object' ? end : undefined;
  };
  switch (step.kind) {
    case 'create': {
      const object = model.objects.get(step.object);
      if (!object) say(`${at}.object`, `There is no object “${step.object}”; the plugin that brings it may be gone.`);
      values(object, step.fields, `${at}.fields`);
      for (const field of object?.fields.values() ?? [])
        if (field.spec.required && !hasDefault(field.spec) && !(field.name in (step.fields ?? {})))
          say(`${at}.fields.${field.name}`, `A new ${nameOf(model, object!)} needs “${labelOf(model, object!, field)}”.`);
      place.made.set(step.id, object ?? null);
      return;
    }
    case 'change':
      values(target(step.target), step.fields, `${at}.fields`);
      place.made.set(step.id, null);
      return;
    case 'task':
      if (!isText(step.subject)) say(`${at}.subject`, 'Say what there is to do.');
      else checkText(place, step.subject, `${at}.subject`);
      if (step.details !== undefined) checkText(place, step.details, `${at}.details`);
      if (step.owner !== undefined) checkUser(place, step.owner, `${at}.owner`);
      if (step.about !== undefined) target(step.about);
      place.made.set(step.id, model.objects.get('contacts.task') ?? null);
      return;
    case 'notify':
      checkUser(place, step.to, `${at}.to`);
      if (!isText(step.text)) say(`${at}.text`, 'Say what the person is told.');
      else checkText(place, step.text, `${at}.text`);
      return;
    case 'mail': {
      if (!model.objects.has('inbox.message')) say(at, 'Sending mail needs the plugin “inbox”.');
      if (!isText(step.to)) say(`${at}.to`, 'Say to whom: a path to a person, a company or an address.');
      else pathEnd(place, step.to, `${at}.to`);
      if (!isText(step.purpose)) say(`${at}.purpose`, 'Say for which purpose: consent is asked for one.');
      if (!isText(step.template) && !isText(step.subject)) say(`${at}.subject`, 'Choose a template, or write a subject and a text.');
      for (const name of ['subject', 'body'] as const) if (step[name] !== undefined) checkText(place, step[name], `${at}.${name}`);
      place.made.set(step.id, model.objects.get('inbox.message') ?? null);
      return;
    }
    case 'action': {
      const object = target(step.target);
      const action = object?.actions.get(step.action);
      if (object && !action) say(`${at}.action`, `${nameOf(model, object)} has no action “${step.action}”.`);
      for (const [name, value] of Object.entries(step.input ?? {})) {
        if (action && !Object.hasOwn(action.input ?? {}, name)) say(`${at}.input.${name}`, `The action takes no “${name}”.`);
        checkValue(place, value, `${at}.input.${name}`);
      }
      return;
    }
    case 'wait': {
      const minutes = (step.minutes ?? 0) + (step.hours ?? 0) * 60 + (step.days ?? 0) * 1_440;
      if (!(minutes > 0) || minutes > 5_256_000) say(at, 'Say for how long to wait.');
      return;
    }
    case 'waitUntil':
      if (!(step.atMostDays > 0)) say(`${at}.atMostDays`, 'Say after how many days it goes on all the same.');
      if (subject) checkFilter(model, subject, step.condition, `${at}.condition`, say);
      else say(`${at}.condition`, 'Without a record there is nothing to wait for.');
      place.made.set(step.id, null);
      return;
    case 'branch':
      if (subject) checkFilter(model, subject, step.condition, `${at}.condition`, say);
      else say(`${at}.condition`, 'Without a record there is nothing to compare.');
      checkSteps(place, step.then, `${at}.then`);
      checkSteps(place, step.else ?? [], `${at}.else`);
      return;
    case 'each': {
      const object = model.objects.get(step.object);
      if (!object) return say(`${at}.object`, `There is no object “${step.object}”; the plugin that brings it may be gone.`);
      const via = object.fields.get(step.via);
      if (via?.type !== 'ref' || (subject && via.spec.type === 'ref' && via.spec.to !== subject.name))
        say(
          `${at}.via`,
          `Choose a reference of ${nameOf(model, object)} that points at ${subject ? nameOf(model, subject) : 'the record'}.`,
        );
      if (!subject) say(`${at}.object`, 'Without a record there is nothing that points at it.');
      if (step.where) checkFilter(model, object, step.where, `${at}.where`, say);
      checkSteps({ ...place, item: object }, step.steps, `${at}.steps`);
    }
  }
}

const isText = (value: unknown): value is string => typeof value === 'string' && value.trim() !== '';
const hasDefault = (spec: object): boolean =>
  ('default' in spec && spec.default !== undefined) || 'sequence' in spec || 'snapshot' in spec || 'lookup' in spec;

/** The paths in a text: `{{record.number}}`. */
export const pathsIn = (text: string): string[] => [...text.matchAll(/\{\{\s*([^{}]*?)\s*\}\}/g)].map((match) => match[1]!);

export const isPath = (value: WorkflowValue): value is { path: string } => isLoose(value) && 'path' in value;
export const isDays = (value: WorkflowValue): value is { days: number } => isLoose(value) && 'days' in value;

function checkValue(place: Place, value: WorkflowValue, at: string): void {
  if (isPath(value)) pathEnd(place, value.path, at);
  else if (isDays(value)) {
    if (!Number.isInteger(value.days)) place.say(at, 'Say a whole number of days.');
  } else if (typeof value === 'string') checkText(place, value, at);
}

function checkUser(place: Place, value: WorkflowValue, at: string): void {
  if (isPath(value)) {
    const end = pathEnd(place, value.path, at);
    if (end !== undefined && end !== 'user') place.say(at, `“${value.path}” does not lead to a person of the staff.`);
  } else if (!isUuid(value)) place.say(at, 'Choose a person, or a field that holds one.');
}

function checkText(place: Place, text: string, at: string): void {
  for (const path of pathsIn(text)) pathEnd(place, path, at);
}

/** Fields that every record has besides its own. */
const SYSTEM = new Set(['id', 'version', 'createdAt', 'updatedAt', 'createdBy', 'updatedBy', 'title']);

/** Where a path leads: an object's record, a user, or a value; undefined when it leads nowhere, which is said. */
function pathEnd(place: Place, path: string, at: string): ModelObject | 'user' | 'value' | undefined {
  const [head, ...rest] = path.split('.');
  let here: ModelObject | 'user' | 'value' | undefined;
  if (head === 'record') here = place.record;
  else if (head === 'item') here = place.item;
  else if (head === 'steps') {
    const id = rest.shift() ?? '';
    if (!place.made.has(id)) return void place.say(at, `“${path}” names no step before this one that makes something.`);
    here = place.made.get(id) ?? 'value';
  } else return void place.say(at, `“${path}” must begin with record, item or steps.`);
  if (here === undefined)
    return void place.say(at, head === 'item' ? '“item” is known within “for each” only.' : 'This workflow has no record of its own.');
  for (const name of rest) {
    if (here === 'value') return 'value';
    if (here === 'user')
      return name === 'name' || name === 'email' || name === 'id'
        ? 'value'
        : void place.say(at, `A person has a name and an email, no “${name}”.`);
    const field: ModelField | undefined = (here as ModelObject).fields.get(name);
    if (!field) {
      if (SYSTEM.has(name)) {
        here = name === 'createdBy' || name === 'updatedBy' ? 'user' : 'value';
        continue;
      }
      return void place.say(at, `${nameOf(place.model, here as ModelObject)} has no field “${name}”.`);
    }
    here = field.spec.type === 'ref' ? (place.model.objects.get(field.spec.to) ?? 'value') : field.spec.type === 'user' ? 'user' : 'value';
  }
  return here;
}

/** A filter's fields and operators; values are compared by the database. */
function checkFilter(model: Model, object: ModelObject, filter: Filter, at: string, say: Say): void {
  if (typeof filter !== 'object' || filter === null) return say(at, 'This is no condition.');
  if ('and' in filter || 'or' in filter) {
    const parts = 'and' in filter ? filter.and : filter.or;
    if (!Array.isArray(parts)) return say(at, 'This is no condition.');
    for (const [i, part] of parts.entries()) checkFilter(model, object, part, `${at}.${'and' in filter ? 'and' : 'or'}[${i}]`, say);
    return;
  }
  if ('not' in filter) return checkFilter(model, object, filter.not, `${at}.not`, say);
  let here: ModelObject | undefined = object;
  const names = String(filter.field).split('.');
  for (const [i, name] of names.entries()) {
    const field: ModelField | undefined = here?.fields.get(name);
    if (!field) {
      if (i === names.length - 1 && here && SYSTEM.has(name) && name !== 'title') return;
      return say(at, `${here ? nameOf(model, here) : names[i - 1]} has no field “${name}”.`);
    }
    if (i === names.length - 1) {
      if (!operatorsFor(field.type).includes(filter.op)) say(at, `“${filter.field}” cannot be compared with “${filter.op}”.`);
      return;
    }
    here = field.spec.type === 'ref' ? model.objects.get(field.spec.to) : undefined;
  }
}

/** What people call an object and a field, as the plugin says in English. */
const nameOf = (model: Model, object: ModelObject): string =>
  model.plugins.get(object.plugin)?.locales.en?.[`object.${object.key}.one`] ?? object.name;
const labelOf = (model: Model, object: ModelObject, field: ModelField): string =>
  model.plugins.get(field.plugin)?.locales.en?.[`field.${object.key}.${field.key}`] ?? field.name;

/** A problem with the place where it is, in words: `Step 3: Choose an object.` */
export function inWords({ path, message }: Problem): string {
  const steps = [...path.matchAll(/\[(\d+)\]/g)].map((match) => Number(match[1]) + 1);
  return path.startsWith('steps[')
    ? `Step ${steps.slice(0, 1 + (path.match(/\.(then|else|steps)\[/g)?.length ?? 0)).join('.')}: ${message}`
    : message;
}

/** What a step is called. */
export const titleOf = (step: Step): string => {
  if (step.title) return step.title;
  switch (step.kind) {
    case 'task':
      return step.subject;
    case 'notify':
      return step.text;
    case 'create':
      return step.object;
    case 'action':
      return step.action;
    case 'mail':
      return step.subject ?? step.template ?? 'mail';
    default:
      return step.kind;
  }
};
