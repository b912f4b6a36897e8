/** The organisation, and the first run of a Kith that is empty. */
import type pg from 'pg';
import { transaction, type Queryable } from './database.ts';
import { conflict, invalid } from './errors.ts';
import { LANGUAGES } from './rest/meta.ts';
import type { Sessions } from './sessions/sessions.ts';

export interface Organisation {
  name: string;
  language: string;
  currency: string;
}

/** Password of all logins of the demo. Never accepted on a public host. */
export const DEMO_PASSWORD = 'kith-demo';
const SETUP_LOCK = 7_003;
const NEW: Organisation = { name: 'Kith', language: 'en', currency: 'EUR' };

export interface DemoState {
  name: string;
  /** Staff with their role; partners with their audience, and where they come from. */
  logins: { email: string; name: string; role: string; kind: 'staff' | 'partner' }[];
}

export class Setup {
  readonly #pool: pg.Pool;
  readonly #sessions: Sessions;

  constructor(pool: pg.Pool, sessions: Sessions) {
    this.#pool = pool;
    this.#sessions = sessions;
  }

  async organisation(): Promise<Organisation> {
    return { ...NEW, ...(await this.setting<Partial<Organisation>>('organisation')) };
  }

  /** A stored setting; undefined when it was never set. */
  async setting<T>(name: string, on: Queryable = this.#pool): Promise<T | undefined> {
    const { rows } = await on.query<{ value: T }>({ text: 'select value from kith.setting where name = $1', values: [name] });
    return rows[0]?.value;
  }

  async setSetting(name: string, value: unknown, on: Queryable = this.#pool): Promise<void> {
    await on.query({
      text: 'insert into kith.setting (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value',
      values: [name, JSON.stringify(value)],
    });
  }

  /** Sets what nobody has set yet. */
  async setOnce(name: string, value: unknown): Promise<void> {
    await this.#pool.query('insert into kith.setting (name, value) values ($1, $2) on conflict do nothing', [name, JSON.stringify(value)]);
  }

  /** What the sign-in page needs to know before anybody has signed in. */
  async state(): Promise<{ needed: boolean; demo: boolean; logins?: DemoState['logins']; organisation: { name: string } }> {
    const { rowCount } = await this.#pool.query('select 1 from kith."user" where active limit 1');
    const demo = await this.setting<DemoState>('demo');
    return {
      needed: rowCount === 0,
      demo: demo !== undefined,
      ...(demo ? { logins: demo.logins } : {}),
      organisation: { name: (await this.organisation()).name },
    };
  }

  /** Sets up an empty Kith, once, and answers the session cookie of its first administrator. */
  async begin(input: Record<string, unknown>): Promise<string> {
    const organisation = organisationOf({ name: input.organisation, language: input.language, currency: input.currency }, NEW);
    if (typeof input.name !== 'string' || input.name.trim() === '')
      throw invalid([{ field: 'name', code: 'required', message: 'must not be empty' }]);
    if (typeof input.email !== 'string' || typeof input.password !== 'string')
      throw invalid([{ field: 'email', code: 'required', message: 'must not be empty' }]);
    const { name, email, password } = { name: input.name, email: input.email, password: input.password };
    const id = await transaction(this.#pool, async (client) => {
      await client.query('select pg_advisory_xact_lock($1)', [SETUP_LOCK]);
      const { rowCount } = await client.query('select 1 from kith."user" limit 1');
      if (rowCount) throw conflict('This Kith has been set up already; sign in.');
      await this.setSetting('organisation', organisation, client);
      return this.#sessions.createUser({ email, name, role: 'admin', password, language: organisation.language }, client);
    });
    return this.#sessions.open(id);
  }

  async changeOrganisation(input: Record<string, unknown>): Promise<Organisation> {
    const next = organisationOf(input, await this.organisation());
    await this.setSetting('organisation', next);
    return next;
  }
}

function organisationOf(input: Record<string, unknown>, now: Organisation): Organisation {
  const problems = [];
  const name = input.name ?? now.name;
  const language = input.language ?? now.language;
  const currency = input.currency ?? now.currency;
  if (typeof name !== 'string' || name.trim() === '' || name.length > 200)
    problems.push({ field: 'organisation', code: 'required', message: 'must not be empty' });
  if (!(LANGUAGES as readonly unknown[]).includes(language))
    problems.push({ field: 'language', code: 'unknown_option', message: `must be one of ${LANGUAGES.join(', ')}` });
  if (typeof currency !== 'string' || !/^[A-Z]{3}$/.test(currency))
    problems.push({ field: 'currency', code: 'invalid', message: 'must be an ISO 4217 code like EUR' });
  if (problems.length > 0) throw invalid(problems);
  return { name: (name as string).trim(), language: language as string, currency: currency as string };
}
