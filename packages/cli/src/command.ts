/** What a command of `kith` is, and the one way in which it refuses. */
import path from 'node:path';
import type { ParseArgsOptionsConfig } from 'node:util';

/** Bad input: one line for the person who typed it; exit code 2. */
export class UsageError extends Error {
  readonly code = 'usage';
  override name = 'UsageError';
}

/** A command that cannot be carried out: one line that says what to do; exit code 1. */
export class CommandError extends Error {
  readonly code: string;
  override name = 'CommandError';
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

export interface Output {
  /** Whether --json was given. */
  readonly json: boolean;
  /** The result: as text for people, or as one JSON value. */
  result(text: string, data: unknown): void;
  /** Progress, on standard error. Silent with --json. */
  note(line: string): void;
}

export interface Command {
  /** One line for the list of commands. */
  summary: string;
  /** What follows the name, as in `--email E --role R`. */
  usage: string;
  /** Explanation of each option, in the order shown. */
  help: readonly (readonly [option: string, meaning: string])[];
  options: ParseArgsOptionsConfig;
  /** Names of the positional arguments, all required. */
  positionals?: readonly string[];
  run(input: { values: Values; positionals: readonly string[]; out: Output }): Promise<number | void>;
}

/** A required text option. */
export function required(values: Values, name: string, example: string): string {
  const value = values[name];
  if (typeof value === 'string' && value.trim() !== '') return value.trim();
  throw new UsageError(`--${name} is missing: give it like --${name} ${example}.`);
}

export function optional(values: Values, name: string): string | undefined {
  const value = values[name];
  return typeof value === 'string' ? value : undefined;
}

/** A path as the person means it: scripts run in the folder of npm's package. */
export const fileOf = (file: string): string => path.resolve(process.env['INIT_CWD'] ?? '.', file);
