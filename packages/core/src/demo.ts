/** Loading a demo: its staff get logins, then each plugin loads its data through the door, all in one transaction. */
import { readFile } from 'node:fs/promises';
import type { DemoPerson, DemoTools, Principal } from '@kith/sdk';
import { hash } from '@node-rs/argon2';
import type { Queryable } from './database.ts';
import { BootError } from './errors.ts';
import { newId } from './ids.ts';
import { DEMO_PASSWORD, type DemoState } from './setup.ts';
import type { Runtime } from './runtime.ts';
import { COLORS, insertUser } from './sessions/accounts.ts';

export interface DemoLogin {
  email: string;
  password: string;
  role: string;
}

const DAY_MS = 86_400_000;
const WEEK_DAYS = 7;
/** Key of the advisory lock that lets one process load a demo at a time. */
const DEMO_LOCK = 7_004;

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
 * Loads a demo: staff, records and the note that it is there become visible together,
 * so that a load that was killed leaves nothing behind and can simply be repeated.
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
  const order = [...runtime.model.plugins.keys()];
  const demos = runtime.servers
    .filter((server) => server.demo?.[name])
    .sort((a, b) => order.indexOf(a.plugin.id) - order.indexOf(b.plugin.id))
    .map((server) => server.demo![name]!);
  if (demos.length === 0) throw new BootError(`No installed plugin brings the demo "${name}".`);
  const tables = demos.map(
    ({ folder }) =>
      (file: string) =>
        readTable(new URL(file, folder)),
  );
  const people: DemoPerson[] = [];
  for (const [i, demo] of demos.entries()) people.push(...((await demo.staff?.({ table: tables[i]! })) ?? []));
  const share: DemoTools['share'] = new Map();
  const dates = datesOf(runtime.clock(), options.originalDates === true);
  // One hash for one password, made before anything is locked: ten would cost a second of a first start.
  const password = await hash(DEMO_PASSWORD);
  await runtime.records.asSystem({ kind: 'demo', id: newId() }, async (ctx, client, as) => {
    await client.query('select pg_advisory_xact_lock($1)', [DEMO_LOCK]);
    if ((await runtime.setup.setting('demo', client)) !== undefined) throw new BootError('A demo is loaded already.');
    const principals = await createStaff(client, people, password);
    const staff = new Map([...principals].map(([email, { id }]) => [email, id]));
    const partners: DemoState['logins'] = [];
    for (const [i, demo] of demos.entries()) {
      const asStaff = (email: string): typeof ctx => as(principals.get(email) ?? unknownStaff(email));
      const partner: NonNullable<Parameters<NonNullable<typeof demo.load>>[0]>['partner'] = async (person) => {
        const { email, name, audience, company, admin = false } = person;
        await insertUser(client, { email, name, audience, company, admin, passwordHash: password });
        partners.push({ email, name, role: audience, kind: 'partner' });
      };
      await demo.load?.({ ...ctx, table: tables[i]!, staff, share, ...dates, as: asStaff, partner });
    }
    await runtime.setup.setSetting(
      'demo',
      { name, logins: [...people.map((one) => ({ ...one, kind: 'staff' as const })), ...partners] } satisfies DemoState,
      client,
    );
    await runtime.setup.setSetting('organisation', { name: 'Northwind Traders', language: 'en', currency: 'USD' }, client);
  });
  await runtime.pool.query('analyze');
  return { logins: await demoLogins(runtime) };
}

function unknownStaff(email: string): never {
  throw new BootError(`The demo has no staff "${email}".`);
}

/** Reads a table. The files quote nothing; one that does is refused rather than read wrongly. */
async function readTable(file: URL): Promise<Record<string, string>[]> {
  const lines = (await readFile(file, 'utf8')).split(/\r?\n/).filter((line) => line !== '');
  const names = lines[0]?.split(',') ?? [];
  return lines.slice(1).map((line, i) => {
    const values = line.split(',');
    if (values.length !== names.length || line.includes('"'))
      throw new BootError(`${file.pathname}:${i + 2} does not have the ${names.length} columns of its first line.`);
    return Object.fromEntries(names.map((name, at) => [name, values[at]!]));
  });
}

/** How the data set's days move. */
function datesOf(now: Date, keep: boolean): Pick<DemoTools, 'moved' | 'today'> {
  if (keep) return { moved: (day) => day, today: (last) => last };
  const iso = (time: number): string => new Date(time).toISOString().slice(0, 10);
  return {
    moved: (day, last) => iso(Date.parse(`${day}T00:00:00Z`) + weeksToNow(last, now) * WEEK_DAYS * DAY_MS),
    today: () => iso(now.getTime()),
  };
}

/** Whole weeks from the data set's last day to the week (from Monday) that `now` is in; the day of the week stays. */
function weeksToNow(last: string, now: Date): number {
  const monday = (time: number): number => Math.floor((time / DAY_MS + 3) / WEEK_DAYS);
  return monday(now.getTime()) - monday(Date.parse(`${last}T00:00:00Z`));
}

async function createStaff(client: Queryable, people: readonly DemoPerson[], password: string): Promise<Map<string, Principal>> {
  const staff = new Map<string, Principal>();
  for (const [i, one] of people.entries()) {
    const { rows } = await client.query<{ id: string }>({
      text: `insert into kith."user" (id, email, name, role, password_hash, color) values ($1, $2, $3, $4, $5, $6)
       on conflict ((lower(email))) do update set name = excluded.name returning id`,
      values: [newId(), one.email, one.name, one.role, password, i % COLORS],
    });
    staff.set(one.email, { id: rows[0]!.id, kind: 'staff', name: one.name, roles: [one.role] });
  }
  return staff;
}
