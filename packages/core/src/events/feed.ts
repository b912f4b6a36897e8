/**
 * The event log as many streams of one process read it: what is new is read
 * once and kept for a while; who is further behind reads for themselves.
 */
import type { ChangeEvent } from '@kith/sdk';
import type pg from 'pg';
import { errorData, type Log } from '../log.ts';
import type { Bus } from './bus.ts';
import { EVENT_COLUMNS } from './outbox.ts';

/** Events that are kept for those who are a little late. */
const KEPT = 5_000;
/** Events in one reading. */
const BATCH = 500;
/** A notification may be lost with its connection: then it is looked after this long. */
const LOOK_MS = 2_000;

export class EventFeed {
  readonly #pool: pg.Pool;
  readonly #bus: Bus;
  readonly #log: Log;
  /** The newest events, without a gap up to {@link #head}. */
  #kept: ChangeEvent[] = [];
  /** The position up to which is read. */
  #head = 0;
  /** What is kept begins after this position. */
  #tail = 0;
  #readers = 0;
  #stops: (() => void)[] = [];
  #reading = false;
  #again = false;
  readonly #waiting = new Set<() => void>();

  constructor(pool: pg.Pool, bus: Bus, log: Log) {
    this.#pool = pool;
    this.#bus = bus;
    this.#log = log;
  }

  /** Begins to read, until what comes back is called. Answers the position of now. */
  async join(): Promise<{ now: number; leave: () => void }> {
    this.#readers++;
    let left = false;
    const leave = (): void => {
      if (left) return;
      left = true;
      if (--this.#readers === 0) this.#stop();
    };
    try {
      const { rows } = await this.#pool.query<{ last: number }>('select last from kith.event_counter');
      const now = rows[0]!.last;
      if (this.#stops.length === 0) this.#start(now);
      return { now, leave };
    } catch (error) {
      leave();
      throw error;
    }
  }

  #start(now: number): void {
    this.#kept = [];
    this.#head = this.#tail = now;
    const wake = (): void => this.#wake();
    const timer = setInterval(wake, LOOK_MS);
    this.#stops = [this.#bus.hear('events', wake), this.#bus.hear('resync', wake), () => clearInterval(timer)];
    wake();
  }

  #stop(): void {
    for (const stop of this.#stops.splice(0)) stop();
    this.#kept = [];
  }

  #wake(): void {
    this.#again = true;
    if (!this.#reading) void this.#read();
  }

  async #read(): Promise<void> {
    this.#reading = true;
    while (this.#again && this.#readers > 0) {
      this.#again = false;
      try {
        const rows = await this.#after(this.#head);
        const last = rows.at(-1);
        if (!last) continue;
        this.#head = last.position;
        this.#kept.push(...rows);
        if (this.#kept.length > KEPT) this.#tail = this.#kept.splice(0, this.#kept.length - KEPT).at(-1)!.position;
        if (rows.length === BATCH) this.#again = true;
        for (const go of [...this.#waiting]) go();
      } catch (error) {
        this.#log('warn', 'events could not be read', errorData(error));
      }
    }
    this.#reading = false;
  }

  async #after(position: number): Promise<ChangeEvent[]> {
    const { rows } = await this.#pool.query<ChangeEvent>({
      name: 'kith_feed',
      text: `select ${EVENT_COLUMNS} from kith.event_log where position > $1 order by position limit ${BATCH}`,
      values: [position],
    });
    return rows;
  }

  /** The next events after a position; none when there are none yet. */
  async next(position: number): Promise<readonly ChangeEvent[]> {
    if (position >= this.#head) return [];
    if (position < this.#tail) return this.#after(position);
    const from = this.#kept.findIndex((event) => event.position > position);
    return from < 0 ? [] : this.#kept.slice(from, from + BATCH);
  }

  /** Resolves when there is something after a position, or when the signal says to give up. */
  grown(position: number, signal: AbortSignal): Promise<void> {
    if (position < this.#head || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener('abort', done);
    });
  }
}
