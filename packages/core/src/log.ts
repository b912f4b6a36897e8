/**
 * Structured logs: one JSON object a line, with the ids of what was going on,
 * and without personal data. What somebody typed turns up in the messages of
 * errors, so those are cleaned before they are written.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { isDatabaseError } from './errors.ts';

export type Level = 'debug' | 'info' | 'warn' | 'error';
export interface Log {
  (level: Level, message: string, data?: Record<string, unknown>): void;
}

const RANK: Record<Level | 'silent', number> = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 };

/** Ids of what is under way: `request`, `job`, `handler`, `flush`. */
type Ids = Readonly<Record<string, string>>;
const underWay = new AsyncLocalStorage<Ids>();

/** Does `work` so that every line that is written meanwhile bears these ids. */
export const withIds = <T>(ids: Ids, work: () => T): T => underWay.run({ ...underWay.getStore(), ...ids }, work);
/** The ids of what is under way. */
export const idsUnderWay = (): Ids => underWay.getStore() ?? {};

/** A log to standard error, from `level` upwards. */
export function createLog(level: Level | 'silent', base: Record<string, unknown> = {}): Log {
  return (at, message, data) => {
    if (RANK[at] < RANK[level]) return;
    process.stderr.write(
      `${JSON.stringify({ time: new Date().toISOString(), level: at, message, ...base, ...underWay.getStore(), ...data })}\n`,
    );
  };
}

/** What a thrown value says, for a log line. */
export function errorData(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { error: clean(String(error)) };
  const said = isDatabaseError(error) ? `${error.code}: ${withoutValues(error.message)}` : clean(error.message);
  // Below its first lines, which repeat the message, a stack holds nothing but places in the code.
  const places = error.stack?.split('\n').filter((line) => /^\s+at /.test(line));
  return {
    error: said,
    ...(isDatabaseError(error) ? where(error) : {}),
    ...(error.stack === undefined ? {} : { stack: [error.name, ...(places ?? [])].join('\n') }),
  };
}

/** Where Postgres met it: names of the schema, which are the plugins'. */
const where = ({ schema, table, column, constraint }: { schema?: string; table?: string; column?: string; constraint?: string }) =>
  Object.fromEntries(Object.entries({ schema, table, column, constraint }).filter(([, value]) => value !== undefined));

/** Postgres quotes both names of its tables and what was typed; only what can be a name stays. */
const withoutValues = (message: string): string => clean(message.replace(/(: )"[^]*$/, '$1…'));

const PRIVATE = new RegExp(
  [
    // Left as they are: ids, moments and addresses of this machine's network.
    /(?<keep>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d{2}-\d{2}(?:[T ][\d:.]+Z?)?|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b)/.source,
    /(?<mail>[^\s@"'<>“”,;:()]+@[^\s@"'<>“”,;:()]+)/.source,
    /(?<phone>\+?\d[\d ()./-]{6,}\d)/.source,
    /(?<quoted>"[^"]*"|“[^”]*”|'[^'\n]{2,}')/.source,
  ].join('|'),
  'gi',
);
/** Names as code has them: `sales.order`, `kith_row`, `due-date`. */
const CODE = /^.[a-z_][a-z0-9_]*(?:[._/:-][a-z0-9_]+)*.$/;

/** A message without what looks like somebody's: addresses of mail, numbers of telephones, and quoted words that are no names of the code. */
export function clean(message: string): string {
  return message.replace(PRIVATE, (...found) => {
    const groups = found.at(-1) as Record<'keep' | 'mail' | 'phone' | 'quoted', string | undefined>;
    if (groups.keep !== undefined) return groups.keep;
    if (groups.mail !== undefined) return '<mail>';
    if (groups.phone !== undefined) return '<number>';
    return CODE.test(groups.quoted!) ? groups.quoted! : '<…>';
  });
}
