/** Structured logs: one JSON object a line, without personal data. */

export type Level = 'debug' | 'info' | 'warn' | 'error';
export interface Log {
  (level: Level, message: string, data?: Record<string, unknown>): void;
}

const RANK: Record<Level | 'silent', number> = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 };

/** A log to standard error, from `level` upwards. */
export function createLog(level: Level | 'silent', base: Record<string, unknown> = {}): Log {
  return (at, message, data) => {
    if (RANK[at] < RANK[level]) return;
    process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), level: at, message, ...base, ...data })}\n`);
  };
}

/** What a thrown value says, for a log line. */
export const errorData = (error: unknown): Record<string, unknown> =>
  error instanceof Error ? { error: error.message, stack: error.stack } : { error: String(error) };
