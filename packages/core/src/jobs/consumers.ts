/**
 * Consumers: whoever follows all changes. Each has its place in the event log, and moves on in the transaction of what it
 * does, so that every event has its effect once. One process at a time follows for each: whoever has the row's lock.
 */
import type { AnyPlugin, AnyServer, ChangeEvent, Consumer, Model } from '@kith/sdk';
import type pg from 'pg';
import { isOutage } from '../errors.ts';
import type { Bus } from '../events/bus.ts';
import { EVENT_COLUMNS } from '../events/outbox.ts';
import { errorData, type Log } from '../log.ts';
import type { Records } from '../records/door.ts';
import { consumerJob, SYSTEM_ACTOR } from './jobs.ts';
import { addJob } from './rows.ts';
import { SETTLING, settle } from './settle.ts';

const BATCH = 1_000;
const LOOK_MS = 1_000;
/** How often an event alone is tried before it is set aside. */
const TRIES = 5;
const RETRY_MS = 500;

type AnyConsumer = Consumer<AnyPlugin>;

/** The names of all consumers: their places are made when the database is migrated. */
export const consumerNames = (servers: readonly AnyServer[]): string[] => [
  SETTLING,
  ...servers.flatMap(({ plugin, consumers }) => Object.keys(consumers ?? {}).map((name) => `${plugin.id}.${name}`)),
];

interface Options {
  pool: pg.Pool;
  records: Records;
  servers: readonly AnyServer[];
  /** Whether a plugin is on; one that is off finds everything in its place when it comes back. */
  isOn: (plugin: string) => boolean;
  bus: Bus;
  model: Model;
  log: Log;
}

export class Consumers {
  readonly #followers: Follower[];
  readonly #stop: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: Options) {
    this.#followers = [
      new Follower(options, '', SETTLING, undefined),
      ...options.servers.flatMap(({ plugin, consumers }) =>
        Object.entries(consumers ?? {}).map(([name, consumer]) => new Follower(options, plugin.id, `${plugin.id}.${name}`, consumer)),
      ),
    ];
    const wake = (): void => {
      for (const one of this.#followers) one.wake();
    };
    this.#stop.push(
      options.bus.hear('events', wake),
      options.bus.hear('resync', wake),
      options.bus.hear('switched', () => {
        for (const one of this.#followers) one.switched();
      }),
    );
    this.#timer = setInterval(wake, LOOK_MS);
    wake();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    for (const stop of this.#stop) stop();
    await Promise.all(this.#followers.map((one) => one.close()));
  }
}

class Follower {
  readonly #o: Options;
  readonly #plugin: string;
  readonly #name: string;
  readonly #consumer: AnyConsumer | undefined;
  /** Null for all. */
  #objects: readonly string[] | null = null;
  #running: Promise<void> | undefined;
  #again = false;
  #closed = false;
  /** How many events are taken at a time: fewer after a failure, to find the one that is at fault. */
  #size = BATCH;
  #rest = 0;

  constructor(options: Options, plugin: string, name: string, consumer: AnyConsumer | undefined) {
    this.#o = options;
    this.#plugin = plugin;
    this.#name = name;
    this.#consumer = consumer;
    this.switched();
  }

  /** Other plugins are on than before. */
  switched(): void {
    const objects = this.#consumer?.objects;
    this.#objects = (typeof objects === 'function' ? objects(this.#o.model) : objects) ?? null;
    this.wake();
  }

  wake(): void {
    if (this.#plugin !== '' && !this.#o.isOn(this.#plugin)) return;
    if (this.#closed || Date.now() < this.#rest) return;
    this.#again = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#again) this.wake();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#closed && (this.#plugin === '' || this.#o.isOn(this.#plugin))) {
      this.#again = false;
      try {
        if (await this.#step()) this.#again = true;
        this.#size = Math.min(BATCH, this.#size * 2);
      } catch (error) {
        if (isOutage(error)) {
          this.#o.log('debug', 'a consumer waits for the database', errorData(error));
        } else {
          this.#o.log('warn', `consumer ${this.#name} failed`, errorData(error));
          await this.#failed(error).catch((failure: unknown) => this.#o.log('debug', 'a failure was not noted', errorData(failure)));
        }
        this.#rest = Date.now() + RETRY_MS;
        this.#again = false;
        setTimeout(() => this.wake(), RETRY_MS + 5).unref();
      }
    }
  }

  /** Deals with the next events; answers whether there may be more. */
  async #step(): Promise<boolean> {
    // Most looks find nothing: they cost one small query, and no lock.
    const { rows } = await this.#o.pool.query<{ behind: boolean }>({
      name: 'kith_consumer_behind',
      text: `select c.position < (select last from kith.event_counter)
          or (name = '${SETTLING}' and exists (select from kith.unsettled where due <= now())) as behind
        from kith.consumer c where name = $1`,
      values: [this.#name],
    });
    if (rows[0]?.behind !== true) return false;
    return this.#o.records.within(this.#plugin, { ...SYSTEM_ACTOR, cause: { kind: 'consumer', id: null } }, async (ctx, client) => {
      const position = await this.#place(client);
      if (position === undefined) return false;
      const { events, last } = await this.#after(client, position);
      if (!this.#consumer) await settle(client, events);
      else if (events.length > 0) await this.#consumer.handle(events, ctx);
      if (last !== null) await this.#move(client, last);
      return last !== null && last - position >= this.#size;
    });
  }

  /** How far it has come; undefined while another process follows. */
  async #place(client: pg.PoolClient): Promise<number | undefined> {
    const { rows } = await client.query<{ position: number }>({
      name: 'kith_consumer_place',
      text: 'select position from kith.consumer where name = $1 for update skip locked',
      values: [this.#name],
    });
    return rows[0]?.position;
  }

  /** The next events that are of interest, and how far one has then come; null when there are none at all. */
  async #after(client: pg.PoolClient, position: number): Promise<{ events: ChangeEvent[]; last: number | null }> {
    const { rows } = await client.query<{ last: number | null }>({
      name: 'kith_consumer_last',
      text: 'select max(position) as last from (select position from kith.event_log where position > $1 order by position limit $2) e',
      values: [position, this.#size],
    });
    const last = rows[0]?.last ?? null;
    if (last === null) return { events: [], last };
    // What nobody here wants is not even read.
    const { rows: events } = await client.query<ChangeEvent>({
      name: 'kith_consumer_events',
      text: `select ${EVENT_COLUMNS} from kith.event_log where position > $1 and position <= $2
        and ($3::text[] is null or object = any($3)) and (settled or $4) order by position`,
      values: [position, last, this.#objects, !this.#consumer || this.#consumer.unsettled === true],
    });
    return { events, last };
  }

  async #move(client: pg.PoolClient, position: number): Promise<void> {
    await client.query({
      name: 'kith_consumer_move',
      text: 'update kith.consumer set position = $2, failures = 0 where name = $1',
      values: [this.#name, position],
    });
  }

  /** Looks for the event that is at fault; one that fails again and again alone is set aside, so that the others go on. */
  async #failed(error: unknown): Promise<void> {
    if (this.#size > 1) {
      this.#size = Math.max(1, Math.floor(this.#size / 10));
      return;
    }
    await this.#o.records.within(this.#plugin, SYSTEM_ACTOR, async (ctx, client) => {
      const position = await this.#place(client);
      if (position === undefined || !this.#consumer) return;
      const { rows } = await client.query<{ failures: number }>(
        'update kith.consumer set failures = failures + 1 where name = $1 returning failures',
        [this.#name],
      );
      if ((rows[0]?.failures ?? 0) < TRIES) return;
      const {
        events: [event],
        last,
      } = await this.#after(client, position);
      if (last === null) return;
      // One of no interest cannot be at fault; it is passed over.
      if (!event) return this.#move(client, last);
      const id = await addJob(
        client,
        consumerJob(this.#plugin, this.#name.slice(this.#plugin.length + 1)),
        'default',
        { event } as never,
        ctx.clock(),
      );
      await client.query(`update kith.job set state = 'parked', attempts = $2, error = $3, failed_at = now() where id = $1`, [
        id,
        TRIES,
        (error instanceof Error ? error.message : String(error)).slice(0, 2_000),
      ]);
      await this.#move(client, event.position);
    });
  }
}
