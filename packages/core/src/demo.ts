/** Loading a demo: its staff get logins, then each plugin loads its data through the door, all in one transaction. */
import { readFile } from 'node:fs/promises';
import type { DemoTools } from '@kith/sdk';
import { hash } from '@node-rs/argon2';
import { BootError } from './errors.ts';
import { newId } from './ids.ts';
import { DEMO_PASSWORD, type DemoState } from './setup.ts';
import type { Runtime } from './runtime.ts';

export interface DemoLogin {
  email: string;
  password: string;
  role: string;
}

const DAY_MS = 86_400_000;
const WEEK_DAYS = 7;

/** Whether a demo has been loaded into this database. */
export async function demoLoaded(runtime: Runtime): Promise<boolean> {
  return (await runtime.setup.setting('demo')) !== undefined;
}

/** The logins of the demo that is loaded; none without one. */
export async function demoLogins(runtime: Runtime): Promise<DemoLogin[]> {
  const state = await runtime.setup.setting<DemoState>('demo');
  return state?.logins.map(({ email, role }) => ({ email, role, password: DEMO_PASSWORD })) ?? [];
}

/**
 * Loads a demo.
 * @param options.originalDates Keep the data set's own dates; otherwise all move by the same whole number of weeks so that the last is this week.
 * @throws BootError when no plugin brings it or one is loaded already
 */
export async function seedDemo(
  runtime: Runtime,
  name: string,
  options: { originalDates?: boolean } = {},
): Promise<{ logins: DemoLogin[] }> {
  if (runtime.env.publicHost)
    throw new BootError('The demo’s logins have a known password, and this Kith is on a public host; load it on 127.0.0.1 only.');
  if (await demoLoaded(runtime)) throw new BootError('A demo is loaded already.');
  const order = [...runtime.model.plugins.keys()];
  const demos = runtime.servers
    .filter((server) => server.demo?.[name])
    .sort((a, b) => order.indexOf(a.plugin.id) - order.indexOf(b.plugin.id))
    .map((server) => server.demo![name]!);
  if (demos.length === 0) throw new BootError(`No installed plugin brings the demo "${name}".`);
  const people: DemoState['logins'] = [];
  const tools = demos.map((demo) => ({ file: (path: string) => readFile(new URL(path, demo.folder), 'utf8') }));
  for (const [i, demo] of demos.entries()) people.push(...((await demo.staff?.(tools[i]!)) ?? []));
  const staff = await createStaff(runtime, people);
  const shift = new Map<string, number>();
  const moved = (day: string, last: string): string => {
    if (options.originalDates) return day;
    const days = shift.get(last) ?? weeksToNow(last, runtime.clock()) * WEEK_DAYS;
    shift.set(last, days);
    return new Date(Date.parse(`${day}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
  };
  const share: DemoTools['share'] = new Map();
  await runtime.records.asSystem({ kind: 'demo', id: newId() }, async (ctx) => {
    for (const [i, demo] of demos.entries()) await demo.load?.({ ...ctx, ...tools[i]!, staff, moved, share });
  });
  await runtime.setup.setSetting('demo', { name, logins: people } satisfies DemoState);
  await runtime.setup.setSetting('organisation', { name: 'Northwind Traders', language: 'en', currency: 'USD' });
  await runtime.pool.query('analyze');
  return { logins: await demoLogins(runtime) };
}

/** Whole weeks from the data set's last day to the week (from Monday) that `now` is in; the day of the week stays. */
function weeksToNow(last: string, now: Date): number {
  const monday = (time: number): number => Math.floor((time / DAY_MS + 3) / WEEK_DAYS);
  return monday(now.getTime()) - monday(Date.parse(`${last}T00:00:00Z`));
}

async function createStaff(runtime: Runtime, people: DemoState['logins']): Promise<Map<string, string>> {
  const staff = new Map<string, string>();
  // One hash for one password: ten would cost a second of a first start.
  const password = await hash(DEMO_PASSWORD);
  for (const [i, one] of people.entries()) {
    const { rows } = await runtime.pool.query<{ id: string }>(
      `insert into kith."user" (id, email, name, role, password_hash, color) values ($1, $2, $3, $4, $5, $6)
       on conflict ((lower(email))) do update set name = excluded.name returning id`,
      [newId(), one.email, one.name, one.role, password, i % 12],
    );
    staff.set(one.email, rows[0]!.id);
  }
  return staff;
}
