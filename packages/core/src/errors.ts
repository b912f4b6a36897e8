/** Errors that reach people and programs: a stable code, what happened, and what to do. */
import type { FieldProblem } from '@kith/sdk';

/** A refused request. Answered as an RFC 9457 problem; nothing was changed. */
export class KithError extends Error {
  override name = 'KithError';
  readonly status: number;
  readonly code: string;
  readonly errors: readonly FieldProblem[] | undefined;
  readonly retryAfter: number | undefined;

  constructor(status: number, code: string, message: string, more: { errors?: readonly FieldProblem[]; retryAfter?: number } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.errors = more.errors;
    this.retryAfter = more.retryAfter;
  }
}

/** The process cannot start. One line that says what is missing and what to do; exit code 78. */
export class BootError extends Error {
  override name = 'BootError';
}

export const malformed = (message: string): KithError => new KithError(400, 'malformed', message);
export const unauthenticated = (): KithError => new KithError(401, 'unauthenticated', 'Sign in, or send an API key as a bearer token.');
export const forbidden = (message = 'You may not do this. Ask an administrator for the right.'): KithError =>
  new KithError(403, 'forbidden', message);
/** Says the same whether a thing does not exist or may not be known. */
export const notFound = (what: string): KithError => new KithError(404, 'not_found', `There is no such ${what}.`);
export const conflict = (message: string): KithError => new KithError(409, 'conflict', message);
export const invalid = (errors: readonly FieldProblem[]): KithError =>
  new KithError(422, 'invalid', errors.map((one) => (one.field ? `${one.field} ${one.message}` : one.message)).join('; '), { errors });

/** An error of Postgres, as `pg` throws it. */
export interface DatabaseError extends Error {
  code: string;
  detail?: string;
  constraint?: string;
  table?: string;
  schema?: string;
  column?: string;
}
/** Whether an error came from Postgres with a SQLSTATE that begins so. */
export const isDatabaseError = (error: unknown, ...states: string[]): error is DatabaseError =>
  error instanceof Error &&
  'code' in error &&
  typeof error.code === 'string' &&
  error.code.length === 5 &&
  (states.length === 0 || states.some((state) => (error.code as string).startsWith(state)));

/** Whether the database was away: the connection broke, was refused, or the server is starting or going. */
export const isOutage = (error: unknown): boolean =>
  error instanceof Error &&
  (isDatabaseError(error, '08', '57P', '53') ||
    ('code' in error && typeof error.code === 'string' && /^(ECONN|EPIPE|ENOENT|ETIMEDOUT)/.test(error.code)) ||
    /Connection terminated|timeout exceeded when trying to connect|connection error and is not queryable|Client was closed/.test(
      error.message,
    ));
