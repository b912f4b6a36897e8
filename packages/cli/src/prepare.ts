/** What a start does to the database before any role uses it. */
import type { Env } from '@kith/core/env';
import { changesMissing, createRuntime, createUser, demoLoaded, demoLogins, migrate, seedDemo } from '@kith/core/runtime';
import { plugins } from '@kith/installed/plugins';
import { servers } from '@kith/installed/server';
import { CommandError, type Output } from './command.ts';
import type { Login } from './demo.ts';

/** Brings the database up to date; on the first start makes the administrator and loads the demo. */
export async function prepare(env: Env, databaseUrl: string, out: Output): Promise<readonly Login[]> {
  const behind = env.databaseUrl === undefined ? 0 : await changesMissing({ plugins, servers, databaseUrl });
  if (behind > 0) out.note(`The database is behind by ${behind} ${behind === 1 ? 'change' : 'changes'}; bringing it up to date …`);
  const { applied } = await migrate({ plugins, servers, databaseUrl, note: out.note });
  if (applied.length > 0) out.note('The database is up to date.');
  const runtime = await createRuntime({ roles: [], plugins, servers, env, databaseUrl });
  try {
    const { rows } = await runtime.pool.query<{ people: boolean; strangers: boolean }>(
      // A first start that was killed while loading leaves demo people only, and is done again.
      `select exists (select 1 from kith."user") as people,
              exists (select 1 from kith."user" where email !~* '@(northwind|partners)[.]example$') as strangers`,
    );
    const { people = false, strangers = false } = rows[0] ?? {};
    if (env.demo === 'northwind' && !strangers && !(await demoLoaded(runtime))) {
      out.note('Loading the Northwind demo …');
      await seedDemo(runtime, 'northwind', {});
    }
    if (env.admin && !people) {
      await createUser(runtime, {
        email: env.admin.email,
        role: 'admin',
        password: env.admin.password,
      });
    }
    const logins = await demoLogins(runtime);
    if (env.publicHost && logins.length > 0) {
      throw new CommandError(
        'demo_public',
        `This database holds the demo, whose logins have a known password, and ${env.origin ?? env.host} is public. Use another database or data folder, or HOST=127.0.0.1 without a public ORIGIN.`,
      );
    }
    return logins;
  } finally {
    await runtime.close();
  }
}
