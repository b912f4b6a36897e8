/** Runs and their steps as the API tells them. */
export type StepStatus = 'done' | 'failed' | 'skipped' | 'waiting' | 'running';

export interface StepRow {
  /** Where it stands: `each-1/0/task-2`. */
  key: string;
  id: string;
  kind: string;
  title: string | null;
  status: StepStatus;
  input: unknown;
  output: unknown;
  error: string | null;
  startedAt: string;
  endedAt: string | null;
  due?: string | null;
}

export interface Trial {
  fits: boolean;
  status: string;
  error: string | null;
  steps: StepRow[];
}

export const COLORS = { done: 'green', failed: 'red', skipped: 'grey', waiting: 'amber', running: 'blue' } as const;
export const STATUS_ICONS = {
  done: 'circle-check',
  failed: 'circle-x',
  skipped: 'skip-forward',
  waiting: 'hourglass',
  running: 'play',
} as const;
