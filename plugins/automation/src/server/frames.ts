/** Where a run stands, and the values that its steps name: read for many runs at once. */
import {
  isUuid,
  type AnyRef,
  type Context,
  type FieldValue,
  type ModelObject,
  type Rec,
  type Step,
  type Workflow,
  type WorkflowValue,
} from '@kith/sdk';
import type { automation } from '../plugin.ts';
import { isDays, isPath, pathsIn } from './definition.ts';

export type Ctx = Context<typeof automation>;

/** A step's result, as it is kept. */
export interface Result {
  status: 'done' | 'failed' | 'skipped' | 'waiting';
  output: Readonly<Record<string, unknown>> | null;
  due: string | null;
}

/** One run in the hands of a worker. */
export interface Run {
  id: string;
  workflow: string;
  name: string;
  record: AnyRef | null;
  /** Workflows that led to it, itself last. */
  chain: readonly string[];
  definition: Workflow;
  results: Map<string, Result>;
  /** Goes no further for now: it waits, or has failed. */
  stopped?: { status: 'waiting' | 'failed'; step: string; error?: string };
}

/** A place in a run: the run itself, or one turn of a loop in it. */
export interface Frame {
  run: Run;
  item: AnyRef | null;
  /** Before the ids of steps, so that each turn's results are its own. */
  prefix: string;
}

export const keyOf = (frame: Frame, step: Step): string => frame.prefix + step.id;
/** The record that a frame is about: of a loop the one at hand, else the one that set it off. */
export const subjectOf = (frame: Frame): AnyRef | null => frame.item ?? frame.run.record;

/** A step cannot be done, for a reason that a person can read. */
export class StepError extends Error {}

/** Most ids in one question. */
const AT_ONCE = 200;

/** Asks in parts of {@link AT_ONCE}. */
export async function inParts<T, R>(all: readonly T[], ask: (some: readonly T[]) => Promise<readonly R[]>): Promise<R[]> {
  const found: R[] = [];
  for (let i = 0; i < all.length; i += AT_ONCE) found.push(...(await ask(all.slice(i, i + AT_ONCE))));
  return found;
}

type Cursor = { object: string; id: string } | { value: unknown };

/** Values along paths, with what was read kept for the next one. */
export class Values {
  readonly #ctx: Ctx;
  readonly #records = new Map<string, Map<string, Rec | null>>();

  constructor(ctx: Ctx) {
    this.#ctx = ctx;
  }

  /** What was read may have been changed by a step. */
  forget(): void {
    this.#records.clear();
  }

  /** Values of a step for many frames: paths and texts filled in. */
  async fill(frames: readonly Frame[], values: Readonly<Record<string, WorkflowValue>>): Promise<Record<string, FieldValue>[]> {
    const filled = frames.map(() => ({}) as Record<string, FieldValue>);
    for (const [name, value] of Object.entries(values)) {
      const found = await this.each(frames, value);
      for (const [i, one] of found.entries()) filled[i]![name] = one;
    }
    return filled;
  }

  /** One value for many frames. */
  async each(frames: readonly Frame[], value: WorkflowValue): Promise<FieldValue[]> {
    if (isPath(value)) return (await this.along(frames, value.path)).map((one) => one as FieldValue);
    if (isDays(value)) {
      const day = new Date(this.#ctx.clock().getTime() + value.days * 86_400_000).toISOString().slice(0, 10);
      return frames.map(() => day);
    }
    if (typeof value === 'string' && value.includes('{{')) return this.text(frames, value);
    return frames.map(() => value);
  }

  /** A text with its paths filled in. */
  async text(frames: readonly Frame[], text: string): Promise<string[]> {
    const texts = frames.map(() => text);
    for (const path of new Set(pathsIn(text))) {
      const values = await this.#inWords(frames, path);
      const marks = new RegExp(`\\{\\{\\s*${path.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}\\s*\\}\\}`, 'g');
      for (const [i, value] of values.entries()) texts[i] = texts[i]!.replace(marks, () => value);
    }
    return texts;
  }

  async #inWords(frames: readonly Frame[], path: string): Promise<string[]> {
    const ends = await this.#walk(frames, path);
    await this.#load(ends);
    return ends.map((end) => {
      if (end && 'object' in end) return this.#titleOf(end);
      const value = end?.value;
      if (value === null || value === undefined) return '';
      if (Array.isArray(value)) return value.join(', ');
      if (typeof value === 'object')
        return 'currency' in value && 'amount' in value
          ? `${String(value.amount)} ${String(value.currency)}`
          : Object.values(value).join(', ');
      return String(value as string | number | boolean);
    });
  }

  #titleOf({ object, id }: AnyRef): string {
    const rec = this.#records.get(object)?.get(id);
    if (!rec) return '';
    const names = this.#ctx.world.model.objects.get(object)?.title ?? ['name'];
    return names
      .map((name) => rec.fields[name])
      .filter((part) => typeof part === 'string' && !isUuid(part))
      .join(' ');
  }

  /** What a path leads to: a value, or the id of a record or user. */
  async along(frames: readonly Frame[], path: string): Promise<unknown[]> {
    return (await this.#walk(frames, path)).map((end) => (end === null ? null : 'object' in end ? end.id : (end.value ?? null)));
  }

  /** The record that a path leads to. */
  async target(frames: readonly Frame[], path: string | undefined): Promise<(AnyRef | null)[]> {
    if (path === undefined) return frames.map(subjectOf);
    return (await this.#walk(frames, path)).map((end) =>
      end && 'object' in end && end.object !== 'kith.user' ? { object: end.object, id: end.id } : null,
    );
  }

  async #walk(frames: readonly Frame[], path: string): Promise<(Cursor | null)[]> {
    const [head, ...names] = path.split('.');
    let here: (Cursor | null)[];
    if (head === 'record') here = frames.map(({ run }) => run.record);
    else if (head === 'item') here = frames.map(({ item }) => item);
    else if (head === 'steps') {
      const id = names.shift() ?? '';
      here = frames.map((frame) => outputOf(frame, id));
    } else throw new StepError(`“${path}” must begin with record, item or steps.`);
    for (const name of names) {
      await this.#load(here);
      here = here.map((cursor) =>
        cursor === null ? null : 'object' in cursor ? this.#step(cursor, name, path) : insideOf(cursor.value, name),
      );
    }
    return here;
  }

  #step(cursor: AnyRef, name: string, path: string): Cursor | null {
    const rec = this.#records.get(cursor.object)?.get(cursor.id);
    if (!rec) return null;
    if (cursor.object === 'kith.user') return { value: rec.fields[name] ?? null };
    const object = this.#ctx.world.model.objects.get(cursor.object)!;
    const field = object.fields.get(name);
    if (!field) {
      if (name === 'createdBy' || name === 'updatedBy') return rec[name] === undefined ? null : { object: 'kith.user', id: rec[name] };
      if (name === 'id' || name === 'version' || name === 'createdAt' || name === 'updatedAt') return { value: rec[name] };
      if (name === 'title') return { value: this.#titleOf(cursor) };
      throw new StepError(`“${path}” leads nowhere: ${object.name} has no field “${name}” any more. Mend the workflow, then try again.`);
    }
    const value = (rec.fields[name] ?? null) as FieldValue;
    if (value === null) return null;
    if (field.spec.type === 'ref') return { object: field.spec.to, id: value as string };
    if (field.spec.type === 'user') return { object: 'kith.user', id: value as string };
    if (field.type === 'anyRef') return value as AnyRef;
    return { value };
  }

  async #load(cursors: readonly (Cursor | null)[]): Promise<void> {
    const wanted = new Map<string, Set<string>>();
    for (const cursor of cursors) {
      if (!cursor || !('object' in cursor) || this.#records.get(cursor.object)?.has(cursor.id)) continue;
      const ids = wanted.get(cursor.object) ?? new Set<string>();
      wanted.set(cursor.object, ids.add(cursor.id));
    }
    for (const [name, ids] of wanted) {
      const known = this.#records.get(name) ?? new Map<string, Rec | null>();
      this.#records.set(name, known);
      for (const id of ids) known.set(id, null);
      for (const rec of await this.#read(name, [...ids])) known.set(rec.id, rec);
    }
  }

  async #read(name: string, ids: readonly string[]): Promise<Rec[]> {
    if (name === 'kith.user') {
      const people = await this.#ctx.sql<{
        id: string;
        name: string;
        email: string;
      }>`select id, name, email from kith."user" where id = any(${ids}::uuid[])`;
      return people.map(({ id, ...fields }) => ({ id, object: name, version: 0, createdAt: '', updatedAt: '', fields: { id, ...fields } }));
    }
    const object: ModelObject | undefined = this.#ctx.world.model.objects.get(name);
    if (!object) throw new StepError(`There is no object “${name}” any more; the plugin that brings it may be gone.`);
    return inParts(
      ids,
      async (some) =>
        (await this.#ctx.world.records.query(name, { filter: { field: 'id', op: 'in', value: [...some] }, limit: AT_ONCE })).data as Rec[],
    );
  }
}

/** What a step made, in this turn of a loop or around it. */
function outputOf(frame: Frame, id: string): Cursor | null {
  for (let prefix = frame.prefix; ; prefix = prefix.replace(/[^/]*\/$/, '')) {
    const output = frame.run.results.get(prefix + id)?.output;
    if (output)
      return typeof output.object === 'string' && typeof output.id === 'string'
        ? { object: output.object, id: output.id }
        : { value: output };
    if (prefix === '') return null;
  }
}

const insideOf = (value: unknown, name: string): Cursor | null =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name) ? { value: (value as Record<string, unknown>)[name] } : null;
