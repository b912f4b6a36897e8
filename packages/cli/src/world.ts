/** What commands share: the environment with their options, the database, and a runtime on it. */
import { EnvError, readEnv, type Env } from '@kith/core/env';
import type { Runtime } from '@kith/core/runtime';
import { UsageError, fileOf, optional, type Output, type Values } from './command.ts';
import { lockHolder, tryLock } from './lock.ts';

/** The server's functions for commands, loaded when one really runs: `--help` and bad input answer at once. */
export const core = async (): Promise<typeof import('@kith/core/runtime')> => import('@kith/core/runtime');

/** The plugins of this build. */
export async function installed() {
  const [{ plugins }, { servers }] = await Promise.all([import('@kith/installed/plugins'), import('@kith/installed/server')]);
  return { plugins, servers };
}

/** Options that stand for a variable of the environment, and win over it. */
const VARIABLES: Readonly<Record<string, string>> = {
  port: 'PORT',
  data: 'KITH_DATA',
  demo: 'KITH_DEMO',
};

/** The environment as this command sees it. */
export function envOf(values: Values): Env {
  const variables: Record<string, string | undefined> = { ...process.env };
  const given = new Map<string, string>();
  for (const [option, variable] of Object.entries(VARIABLES)) {
    const value = optional(values, option);
    if (value === undefined) continue;
    if (value.trim() === '') throw new UsageError(`--${option} is empty.`);
    variables[variable] = option === 'data' ? fileOf(value) : value;
    given.set(variable, option);
  }
  try {
    return readEnv(variables);
  } catch (error) {
    const option = error instanceof EnvError ? given.get(error.variable) : undefined;
    if (!(error instanceof EnvError) || option === undefined) throw error;
    // Named as it was typed.
    throw new UsageError(error.message.replaceAll(error.variable, `--${option}`));
  }
}

/**
 * Gives a command the database: the given one, or the embedded one, which is
 * started for the time of the command unless a running Kith has it up.
 */
export async function withDatabase<T>(env: Env, out: Output, work: (url: string) => Promise<T>): Promise<T> {
  if (env.databaseUrl !== undefined) return work(env.databaseUrl);
  const lock = await lockOrRunning(env.dataDir);
  try {
    const { startEmbedded } = await import('@kith/core/postgres/embedded');
    const postgres = await startEmbedded({ dataDir: env.dataDir, log: out.note });
    try {
      return await work(postgres.url);
    } finally {
      if (lock) await postgres.stop();
    }
  } finally {
    lock?.release();
  }
}

/** The lock, or undefined while `kith start` holds it. Two commands at once take turns. */
async function lockOrRunning(dataDir: string): Promise<ReturnType<typeof tryLock>> {
  for (;;) {
    const lock = tryLock(dataDir, 'command');
    if (lock) return lock;
    if (lockHolder(dataDir)?.what === 'start') return undefined;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Gives a command a runtime without roles, on a database that is up to date. */
export async function withRuntime<T>(env: Env, out: Output, work: (runtime: Runtime) => Promise<T>): Promise<T> {
  return withDatabase(env, out, async (databaseUrl) => {
    const { createRuntime, migrate } = await core();
    const guests = await installed();
    // A database of one's own is migrated when asked to; the runtime refuses one that is behind.
    if (env.databaseUrl === undefined) await migrate({ ...guests, databaseUrl });
    const runtime = await createRuntime({ roles: [], ...guests, env, databaseUrl });
    try {
      return await work(runtime);
    } finally {
      await runtime.close();
    }
  });
}
