/**
 * Services of plugins: code that runs for as long as Kith does, in one process of all that could. Whoever holds a service's
 * advisory lock runs it. The lock lives on a connection of its own: when that is lost, the service is told to end, and another
 * process takes over. What an owner writes is fenced by the number of its term, so that one who does not know yet that it has
 * ended writes nothing any more.
 */
import { randomBytes } from 'node:crypto';
import os from 'node:os';
import type { AnyPlugin, AnyServer, Service, ServiceTools } from '@kith/sdk';
import pg from 'pg';
import { isDatabaseError } from '../errors.ts';
import type { Outgoing } from '../fetch.ts';
import { errorData, type Log } from '../log.ts';
import type { PluginSettings } from '../plugins/settings.ts';
import type { Records } from '../records/door.ts';
import { SYSTEM_ACTOR } from './jobs.ts';

const SERVICE_LOCK = 7_013;
const LOOK_MS = 1_000;
/** How long an owner that lost its connection may take to know it and to end: whoever takes over waits for so long. */
const GRACE_MS = 10_000;
/** A connection that does not answer for so long is lost. */
const ANSWER_MS = 5_000;
const RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 300_000;
/** A service that ran for so long begins to count its failures anew. */
const STEADY_MS = 60_000;
/** How long a service may take to end before somebody is told. */
const STOP_MS = 10_000;

interface Options {
  databaseUrl: string;
  pool: pg.Pool;
  records: Records;
  servers: readonly AnyServer[];
  isOn: (plugin: string) => boolean;
  settings: PluginSettings;
  outgoing: Outgoing;
  log: Log;
  clock: () => Date;
  /** Milliseconds before a first repetition; doubled each time. */
  retryMs?: number;
  /** How long whoever takes over waits for the owner before, and at most how long between two looks. */
  lostMs?: number;
}

/** A service that this process owns. */
interface Held {
  name: string;
  plugin: string;
  /** Number of this term. */
  epoch: number;
  /** Ends it for good. */
  stop: AbortController;
  /** Ends a round, so that another begins. */
  again: AbortController;
  /** The settings that the round began with. */
  said: string;
  done: Promise<void>;
}

export class ServiceRunner {
  readonly #o: Options;
  readonly #services = new Map<string, { plugin: string; service: Service<AnyPlugin> }>();
  readonly #held = new Map<string, Held>();
  /** This process among others, as people may find it. */
  readonly #owner = `${os.hostname()}/${process.pid}-${randomBytes(2).toString('hex')}`;
  readonly #lookMs: number;
  #client: pg.Client | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #closed = false;

  constructor(options: Options) {
    this.#o = options;
    this.#lookMs = Math.min(LOOK_MS, options.lostMs ?? LOOK_MS);
    for (const { plugin, services } of options.servers)
      for (const [name, service] of Object.entries(services ?? {}))
        this.#services.set(`${plugin.id}.${name}`, { plugin: plugin.id, service });
  }

  start(): void {
    if (this.#services.size === 0) return;
    this.#timer = setInterval(() => this.wake(), this.#lookMs);
    this.wake();
  }

  /** Looks at once for what should run and what should not. */
  wake(): void {
    if (this.#closed || this.#services.size === 0) return;
    // What is off ends now, whatever the connection does.
    for (const held of this.#held.values()) if (!this.#o.isOn(held.plugin)) held.stop.abort(new Stopped('Its plugin is switched off.'));
    this.#looking ??= this.#look()
      .catch((error: unknown) => {
        this.#o.log('debug', 'services wait for Postgres', errorData(error));
        this.#lost();
      })
      .finally(() => {
        this.#looking = undefined;
      });
  }

  /** Ends all services, and lets others have them. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const { stop } of this.#held.values()) stop.abort(new Stopped('The process ends.'));
    await this.#looking;
    const all = Promise.all([...this.#held.values()].map(({ done }) => done));
    await Promise.race([all, new Promise((resolve) => setTimeout(resolve, STOP_MS).unref())]);
    await this.#client?.end().catch(() => undefined);
    this.#client = undefined;
  }

  async #look(): Promise<void> {
    const wanted = [...this.#services].filter(([, { plugin }]) => this.#o.isOn(plugin));
    if (wanted.length === 0 && this.#held.size === 0) return;
    const client = (this.#client ??= await this.#connect());
    // Asked on the connection that holds the locks, it also says that this lives.
    const { rows } = await client.query<{ plugin: string; said: string }>(
      `select plugin, string_agg(name || ' ' || changed_at, ',' order by name) as said from kith.plugin_setting where plugin = any($1) group by plugin`,
      [[...new Set(wanted.map(([, { plugin }]) => plugin))]],
    );
    const said = new Map(rows.map((row) => [row.plugin, row.said]));
    for (const held of this.#held.values()) {
      const now = said.get(held.plugin) ?? '';
      if (held.said === now) continue;
      held.said = now;
      held.again.abort(new Stopped('Its settings have changed.'));
    }
    for (const [name, { plugin }] of wanted)
      if (!this.#held.has(name) && !this.#closed) await this.#contend(client, name, plugin, said.get(plugin) ?? '');
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.#o.databaseUrl,
      application_name: 'kith services',
      options: `-c timezone=UTC -c lock_timeout=2000 -c statement_timeout=${ANSWER_MS}`,
      query_timeout: ANSWER_MS,
      connectionTimeoutMillis: ANSWER_MS,
      keepAlive: true,
    });
    client.on('error', () => undefined);
    client.on('end', () => {
      if (this.#client === client) this.#lost();
    });
    await client.connect();
    return client;
  }

  /** The locks are gone with their connection. */
  #lost(): void {
    const client = this.#client;
    this.#client = undefined;
    for (const { stop } of this.#held.values()) stop.abort(new Stopped('The connection that holds its lock was lost.'));
    void client?.end().catch(() => undefined);
  }

  async #contend(client: pg.Client, name: string, plugin: string, said: string): Promise<void> {
    const { rows } = await client.query<{ got: boolean }>('select pg_try_advisory_lock($1, hashtext($2)) as got', [SERVICE_LOCK, name]);
    if (!rows[0]!.got) return;
    let term: { epoch: number; before: string | null };
    try {
      // Waits for what the owner before is just writing.
      const taken = await client.query<{ epoch: number; before: string | null }>(
        `insert into kith.plugin_service as s (name, epoch, owner, since, state) values ($1, 1, $2, now(), 'running')
         on conflict (name) do update set epoch = s.epoch + 1, owner = $2, since = now(), state = 'running', resumes_at = null
         returning new.epoch, old.owner as before`,
        [name, this.#owner],
      );
      term = taken.rows[0]!;
    } catch (error) {
      if (!isDatabaseError(error)) throw error;
      await client.query('select pg_advisory_unlock($1, hashtext($2))', [SERVICE_LOCK, name]);
      return;
    }
    const held: Held = {
      name,
      plugin,
      epoch: term.epoch,
      stop: new AbortController(),
      again: new AbortController(),
      said,
      done: Promise.resolve(),
    };
    this.#held.set(name, held);
    if (this.#closed || !this.#o.isOn(plugin)) held.stop.abort(new Stopped('It is not wanted any more.'));
    // An owner that did not say goodbye may not know yet that it is none any more.
    held.done = this.#own(held, term.before === null ? 0 : (this.#o.lostMs ?? GRACE_MS)).finally(() => this.#release(client, held));
  }

  /** Runs a service again and again until its term ends. */
  async #own(held: Held, waitMs: number): Promise<void> {
    const { name, stop } = held;
    await pause(waitMs, stop.signal);
    for (let failures = 0; !stop.signal.aborted;) {
      held.again = new AbortController();
      const signal = AbortSignal.any([stop.signal, held.again.signal]);
      const began = Date.now();
      const error = await this.#round(held, signal);
      if (stop.signal.aborted) return;
      if (held.again.signal.aborted) {
        failures = 0;
        continue;
      }
      failures = Date.now() - began >= STEADY_MS ? 1 : failures + 1;
      const waits = Math.min((this.#o.retryMs ?? RETRY_MS) * 2 ** (failures - 1), LONGEST_RETRY_MS);
      this.#o.log('warn', 'a service ended and begins again', { service: name, failures, seconds: waits / 1_000, ...errorData(error) });
      await this.#note(held, error, new Date(Date.now() + waits));
      await pause(waits, AbortSignal.any([stop.signal, held.again.signal]));
      // Told something else, it has not failed yet.
      if (held.again.signal.aborted) failures = 0;
      if (!stop.signal.aborted) await this.#note(held, null, null);
    }
  }

  /** Answers why it ended. */
  async #round(held: Held, signal: AbortSignal): Promise<unknown> {
    const { service } = this.#services.get(held.name)!;
    let late: NodeJS.Timeout | undefined;
    const warn = (): void => {
      late = setTimeout(() => this.#o.log('error', 'a service does not end when it is told to', { service: held.name }), STOP_MS);
      late.unref();
    };
    signal.addEventListener('abort', warn, { once: true });
    try {
      await service.run(this.#toolsOf(held, signal));
      return new Error('It ended by itself.');
    } catch (error) {
      return error;
    } finally {
      signal.removeEventListener('abort', warn);
      clearTimeout(late);
    }
  }

  #toolsOf(held: Held, signal: AbortSignal): ServiceTools<AnyPlugin> {
    const { records, settings, outgoing, log, clock } = this.#o;
    const { plugin, name, epoch } = held;
    return {
      signal,
      transaction: async (work) => {
        signal.throwIfAborted();
        return records.within(plugin, { ...SYSTEM_ACTOR, cause: { kind: 'service', id: null } }, async (ctx, client) => {
          const { rowCount } = await client.query('select from kith.plugin_service where name = $1 and epoch = $2 for share', [
            name,
            epoch,
          ]);
          if (!rowCount) {
            held.stop.abort(new Stopped('Another process has taken over.'));
            signal.throwIfAborted();
          }
          const result = await work(ctx);
          signal.throwIfAborted();
          return result;
        });
      },
      fetch: outgoing.until(signal),
      settings: () => settings.values(plugin),
      secrets: () => settings.secrets(plugin),
      sleep: async (ms) => {
        await pause(ms, signal);
        signal.throwIfAborted();
      },
      clock,
      log: (level, message, data) => log(level, message, { plugin, service: name, ...data }),
    };
  }

  /** For people: that it failed and waits, or that it goes on. */
  async #note({ name, epoch }: Held, error: unknown, resumes: Date | null): Promise<void> {
    const message = error instanceof Error ? error.message : String(error);
    await this.#o.pool
      .query(
        resumes === null
          ? `update kith.plugin_service set state = 'running', resumes_at = null where name = $1 and epoch = $2`
          : `update kith.plugin_service set state = 'pausing', error = $3, failed_at = now(), resumes_at = $4 where name = $1 and epoch = $2`,
        resumes === null ? [name, epoch] : [name, epoch, message.slice(0, 2_000), resumes],
      )
      .catch((failure: unknown) => this.#o.log('debug', 'how a service stands could not be noted', errorData(failure)));
  }

  async #release(client: pg.Client, { name, epoch }: Held): Promise<void> {
    try {
      if (this.#client !== client) return;
      await client.query(
        `update kith.plugin_service set owner = null, since = null, state = 'idle', resumes_at = null where name = $1 and epoch = $2`,
        [name, epoch],
      );
      await client.query('select pg_advisory_unlock($1, hashtext($2))', [SERVICE_LOCK, name]);
    } catch (error) {
      this.#o.log('debug', 'a service could not be given up', errorData(error));
      this.#lost();
    } finally {
      this.#held.delete(name);
    }
  }
}

/** Why a service ends that did nothing wrong. */
class Stopped extends Error {
  override name = 'Stopped';
}

/** Waits, and no longer than until the signal says so. Longer than a timer can is a chain of timers. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  for (let left = ms; left > 0 && !signal.aborted; left -= LONGEST_TIMER_MS) {
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, Math.min(left, LONGEST_TIMER_MS));
      signal.addEventListener('abort', end, { once: true });
    });
  }
}
const LONGEST_TIMER_MS = 2_000_000_000;

/** How a service stands. */
export interface ServiceState {
  /** `plugin.service` */
  name: string;
  /** `none`: no process runs it. */
  state: 'running' | 'pausing' | 'none';
  /** The process that runs it: machine, number of the process. */
  owner: string | null;
  since: string | null;
  /** The last error, whether it has run since or not. */
  error: string | null;
  failedAt: string | null;
  /** While it pauses: when it begins again. */
  resumesAt: string | null;
}

/** How these services stand, by name. Locks tell the truth of who runs: what is noted may be of a process that died. */
export async function serviceStates(pool: Pick<pg.Pool, 'query'>, names: readonly string[]): Promise<Map<string, ServiceState>> {
  const { rows } = await pool.query<ServiceState & { held: boolean }>(
    `select s.name, case when s.state = 'pausing' then 'pausing' else 'running' end as state, s.owner, s.since, s.error,
       s.failed_at as "failedAt", s.resumes_at as "resumesAt",
       exists (select from pg_locks l join pg_database d on d.oid = l.database
         where l.locktype = 'advisory' and d.datname = current_database() and l.classid = $2::int::oid and l.objsubid = 2
           and l.objid = (hashtext(s.name)::bigint & 4294967295)::oid and l.granted) as held
     from kith.plugin_service s where s.name = any($1)`,
    [names, SERVICE_LOCK],
  );
  const none = { state: 'none', owner: null, since: null, error: null, failedAt: null, resumesAt: null } as const;
  const found = new Map(
    rows.map(({ held, ...row }) => [row.name, held ? row : { ...none, name: row.name, error: row.error, failedAt: row.failedAt }]),
  );
  return new Map(names.map((name) => [name, found.get(name) ?? { ...none, name }]));
}
