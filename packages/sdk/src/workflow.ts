/**
 * Workflows as data: what sets one off, whom it is for, what it does. Plugins ship them, people build them on screen;
 * the plugin `automation` runs them.
 */
import type { FieldValue } from './field.ts';
import type { Filter } from './filter.ts';

/**
 * A value of a step: a literal; a text with `{{paths}}` in it; a path alone, which keeps its type; or a day counted from
 * today. Paths begin with `record` (what set the workflow off), `item` (within `each`) or `steps.<id>` (what a step made),
 * and go on over references: `record.purchaseOrder.owner`.
 */
export type WorkflowValue = FieldValue | { path: string } | { days: number };

/** Changes count when they have come to rest, never while somebody is typing. */
export type Trigger =
  | { on: 'created'; object: string }
  /** A field (any, unless named) changed; `from` and `to` narrow it to values. */
  | { on: 'changed'; object: string; field?: string; from?: FieldValue; to?: FieldValue }
  /** As `changed`, for long texts too: somebody has finished writing. */
  | { on: 'settled'; object: string; field?: string }
  /** A cron expression in UTC. With an object: a run for each of its records that fits the condition. */
  | { on: 'schedule'; cron: string; object?: string }
  /** `days` after the day in the field (before it when negative), at `at` (`HH:MM` UTC, 06:00 unless told). */
  | { on: 'date'; object: string; field: string; days: number; at?: string }
  /** An action was run: by anyone, or by people from outside (`portal`) or inside (`staff`) alone. */
  | { on: 'action'; object: string; action: string; by?: 'portal' | 'staff' }
  /** A plugin told of a record what it declares under `events`: `event` is its key. */
  | { on: 'event'; object: string; event: string }
  /** A person pressed a button on the record's page. */
  | { on: 'button'; object: string; label: string };

interface StepCommon {
  /** Unique within the workflow, and kept when steps are moved: results are stored under it. Letters, digits, `-`. */
  id: string;
  /** What people call it; made from what it does unless told. */
  title?: string;
}

export type Step = StepCommon &
  (
    | { kind: 'create'; object: string; fields: Readonly<Record<string, WorkflowValue>> }
    /** Changes the record, or what `target` leads to. */
    | { kind: 'change'; target?: string; fields: Readonly<Record<string, WorkflowValue>> }
    | {
        kind: 'task';
        subject: string;
        details?: string;
        /** A path to a user, or a user's id. */
        owner?: WorkflowValue;
        dueInDays?: number;
        priority?: 'low' | 'normal' | 'high';
        /** What the task is about; the record unless told. */
        about?: string;
        /** While a task of this workflow about the same record is open, another is not made. */
        once?: boolean;
      }
    /** `to`: a path to a user, or a user's id. */
    | { kind: 'notify'; to: WorkflowValue; text: string }
    /** `to`: a path to a person, a company or an e-mail address. Consent for the purpose is checked. */
    | { kind: 'mail'; to: string; purpose: string; template?: string; subject?: string; body?: string }
    | { kind: 'action'; target?: string; action: string; input?: Readonly<Record<string, WorkflowValue>> }
    | { kind: 'wait'; minutes?: number; hours?: number; days?: number }
    /** Goes on when the record fits; after `atMostDays` it goes on all the same, and `steps.<id>.met` is false. */
    | { kind: 'waitUntil'; condition: Filter; atMostDays: number }
    | { kind: 'branch'; condition: Filter; then: readonly Step[]; else?: readonly Step[] }
    /** Does its steps for each record of `object` whose reference `via` points at the record. */
    | { kind: 'each'; object: string; via: string; where?: Filter; steps: readonly Step[] }
  );

export interface Workflow {
  /** What sets it off. */
  trigger: Trigger;
  /** Which records it is for. */
  condition?: Filter;
  /** What it does, one after another. */
  steps: readonly Step[];
}

/** A workflow that a plugin brings. Its name is `workflow.<key>` in the catalogue. */
export interface ShippedWorkflow extends Workflow {
  /** Whether it is on until somebody switches it off. */
  enabled: boolean;
}

/** Kinds of steps. */
export const STEP_KINDS = [
  'create',
  'change',
  'task',
  'notify',
  'mail',
  'action',
  'wait',
  'waitUntil',
  'branch',
  'each',
] as const satisfies readonly Step['kind'][];
