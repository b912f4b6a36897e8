/**
 * From the outbox to the event log. One leader among all processes, holding an
 * advisory lock, moves committed rows and gives them their positions: ids from
 * a sequence are not commit order, so nothing may follow them; positions are.
 */
import type { ChangeEvent } from '@kith/sdk';
import pg from 'pg';
import { errorData, type Log } from '../log.ts';
import type { Bus } from './bus.ts';

const LEADER_LOCK = 7_002;
const BATCH = 1_000;
const STAND_BY_MS = 1_000;
const LOOK_MS = 1_000;
/** Rows are moved at most this often: what is committed meanwhile shares a round trip. */
const MOVE_MS = 20;
/** What the leader throws away now and then: what nobody may ask for any more. */
const HOUSEKEEPING = [
  // What somebody has yet to follow is kept for longer.
  `delete from kith.event_log where at < now() - interval '7 days'
     and (position <= (select min(position) from kith.consumer) or at < now() - interval '60 days')`,
  `delete from kith.notice where at < now() - interval '180 days'`,
  `delete from kith.idempotency where created_at < now() - interval '1 day'`,
  `delete from kith.session where expires_at < now()`,
  `delete from kith.ticket where expires_at < now()`,
  `delete from kith.invitation where expires_at < now() - interval '30 days'`,
];
const PRUNE_MS = 3_600_000;

/** Contends for leadership and, while it leads, moves rows. */
export class OutboxRelay {
  readonly #url: string;
  readonly #bus: Bus;
  readonly #log: Log;
  #client: pg.Client | undefined;
  #leading = false;
  #closed = false;
  #wanted = false;
  #moving: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #pruned = 0;
  #moved = 0;
  readonly #onWake = (): void => this.wake();

  constructor(url: string, bus: Bus, log: Log) {
    this.#url = url;
    this.#bus = bus;
    this.#log = log;
  }

  start(): void {
    this.#bus.on('wake', this.#onWake);
    this.#schedule(0);
  }

  /** Says that there may be rows. Cheap; many calls become one round. */
  wake(): void {
    if (!this.#leading || this.#closed) return;
    this.#wanted = true;
    this.#moving ??= this.#moveSoon().finally(() => {
      this.#moving = undefined;
      if (this.#wanted) this.wake();
    });
  }

  async #moveSoon(): Promise<void> {
    const wait = this.#moved + MOVE_MS - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    this.#moved = performance.now();
    await this.#move();
  }

  /** Whether this process leads now. */
  get leading(): boolean {
    return this.#leading;
  }

  #schedule(after: number): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.#look(), after);
  }

  async #look(): Promise<void> {
    try {
      if (!this.#leading) await this.#contend();
      if (this.#leading) this.wake();
    } catch (error) {
      this.#log('debug', 'the outbox waits for Postgres', errorData(error));
      this.#step();
    }
    this.#schedule(this.#leading ? LOOK_MS : STAND_BY_MS);
  }

  async #contend(): Promise<void> {
    if (!this.#client) {
      const client = new pg.Client({
        connectionString: this.#url,
        application_name: 'kith outbox',
        options: '-c timezone=UTC',
        keepAlive: true,
      });
      client.on('error', () => undefined);
      client.on('end', () => {
        if (this.#client === client) this.#step();
      });
      await client.connect();
      this.#client = client;
    }
    const { rows } = await this.#client.query<{ got: boolean }>('select pg_try_advisory_lock($1) as got', [LEADER_LOCK]);
    this.#leading = rows[0]?.got === true && !this.#closed;
  }

  /** Leadership ends with its connection, for the lock does. */
  #step(): void {
    this.#leading = false;
    const client = this.#client;
    this.#client = undefined;
    void client?.end().catch(() => undefined);
  }

  async #move(): Promise<void> {
    try {
      while (this.#wanted && this.#leading && this.#client) {
        this.#wanted = false;
        const { rowCount } = await this.#client.query({
          name: 'kith_relay',
          // By their places: a plan that was made while the table was empty would look for each id through all of it.
          text: `with gone as (
              delete from kith.outbox where ctid = any(array(select ctid from kith.outbox order by id limit ${BATCH})) returning *),
            counter as (
              update kith.event_counter set last = last + (select count(*) from gone) returning last - (select count(*) from gone) as base)
            insert into kith.event_log (position, object, record, kind, author, version, changes, at, cause_kind, cause, act, audience, settled, event, data)
            select (select base from counter) + row_number() over (order by id), object, record, kind, author, version, changes, at,
              cause_kind, cause, act, audience, settled, event, data from gone`,
        });
        if ((rowCount ?? 0) > 0) {
          this.#bus.eventsGrew();
          this.#bus.emit('events');
        }
        if (rowCount === BATCH) this.#wanted = true;
      }
      if (Date.now() - this.#pruned > PRUNE_MS && this.#client) {
        this.#pruned = Date.now();
        for (const statement of HOUSEKEEPING) await this.#client.query(statement);
      }
    } catch (error) {
      this.#log('warn', 'the outbox could not be moved', errorData(error));
      this.#step();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#bus.off('wake', this.#onWake);
    await this.#moving?.catch(() => undefined);
    this.#step();
  }
}

/** The columns of the event log as a {@link ChangeEvent}. */
export const EVENT_COLUMNS = `position, object, record, kind, author, version, changes, at,
  json_build_object('kind', cause_kind, 'id', cause) as cause, act, audience, settled, event, data`;

/** Kinds of events that change no record. */
export const QUIET: readonly ChangeEvent['kind'][] = ['settled', 'acted', 'emitted'];

const TAIL_LOOK_MS = 5_000;

/** Who takes events in, and whether there is any use in reading them. */
export interface EventConsumer {
  interested: () => boolean;
  handle: (events: ChangeEvent[]) => Promise<void>;
}

/** Follows the event log from now on, in the order of positions, and hands over batches. */
export class EventTail {
  readonly #pool: pg.Pool;
  readonly #bus: Bus;
  readonly #log: Log;
  readonly #consumer: EventConsumer;
  #position = 0;
  #reading: Promise<void> | undefined;
  #again = false;
  #timer: NodeJS.Timeout | undefined;
  readonly #onEvents = (): void => this.#wake();

  constructor(pool: pg.Pool, bus: Bus, log: Log, consumer: EventConsumer) {
    this.#pool = pool;
    this.#bus = bus;
    this.#log = log;
    this.#consumer = consumer;
  }

  async start(): Promise<void> {
    await this.skip();
    this.#bus.on('events', this.#onEvents);
    this.#bus.on('resync', this.#onEvents);
    this.#timer = setInterval(this.#onEvents, TAIL_LOOK_MS);
  }

  /** Goes on from now: what has happened until here is of no interest. */
  async skip(): Promise<void> {
    const { rows } = await this.#pool.query<{ last: number }>('select last from kith.event_counter');
    this.#position = Math.max(this.#position, rows[0]?.last ?? 0);
  }

  #wake(): void {
    // While nobody watches, events are not even read; whoever begins to watch calls skip first.
    if (!this.#consumer.interested()) return;
    this.#again = true;
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
  }

  async #read(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      try {
        const { rows } = await this.#pool.query<ChangeEvent>({
          name: 'kith_events',
          text: `select ${EVENT_COLUMNS} from kith.event_log where position > $1 order by position limit ${BATCH}`,
          values: [this.#position],
        });
        if (rows.length === 0) continue;
        this.#position = rows.at(-1)!.position;
        if (rows.length === BATCH) this.#again = true;
        // What was told while it was typed need not be told again when it has come to rest.
        const news = rows.filter(({ kind }) => !QUIET.includes(kind));
        if (news.length > 0) await this.#consumer.handle(news);
      } catch (error) {
        this.#log('warn', 'events could not be read', errorData(error));
      }
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#bus.off('events', this.#onEvents);
    this.#bus.off('resync', this.#onEvents);
    this.#again = false;
    await this.#reading;
  }
}
