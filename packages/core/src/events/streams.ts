/**
 * `GET /events`: streams of the changes that somebody may see, as server-sent
 * events. Each is read only as fast as its client takes it, and ends as soon as
 * whoever opened it may no longer.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { Filter, Model, ModelObject, Principal } from '@kith/sdk';
import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import { KithError } from '../errors.ts';
import { errorData, type Log } from '../log.ts';
import type { Query } from '../query/query.ts';
import type { Bus } from './bus.ts';
import { EventFeed } from './feed.ts';
import { inSight, type Telling, type Viewer } from './sight.ts';

/** Streams of one principal in one process. */
const MOST_STREAMS = 20;
const HEARTBEAT_MS = 15_000;
/** Rights are asked for again this often, besides whenever somebody says that they changed. */
const CHECK_MS = 450;
/** How soon a client comes back after its stream ended. */
const RETRY_MS = 1_000;

/** What a stream is opened with. */
export interface StreamRequest {
  principal: Principal;
  object: ModelObject | undefined;
  filter: Filter | undefined;
  /** The id of the last message that the client has. */
  last: string | undefined;
  /** Who the caller is now; null when they may not come in any more. */
  renew: () => Promise<Principal | null>;
}

interface Services {
  pool: pg.Pool;
  bus: Bus;
  query: Query;
  model: Model;
  log: Log;
  secret: string;
}

export class EventStreams {
  readonly #o: Services;
  readonly #feed: EventFeed;
  readonly #ids: MessageIds;
  readonly #open = new Set<Stream>();
  readonly #counts = new Map<string, number>();
  #stops: (() => void)[] = [];
  #closed = false;

  constructor(services: Services) {
    this.#o = services;
    this.#feed = new EventFeed(services.pool, services.bus, services.log);
    this.#ids = new MessageIds(services.secret);
  }

  /**
   * Opens a stream: what it tells begins after the last message that the client has, or now.
   * @throws 400 for an id that is none, 410 for one older than what is kept, 429 for too many streams
   */
  async open(request: StreamRequest): Promise<ReadableStream<Uint8Array>> {
    const { principal, last } = request;
    if (this.#closed) throw new KithError(503, 'closing', 'This process is being stopped; come back in a moment.', { retryAfter: 1 });
    const after = last === undefined ? undefined : this.#ids.read(last);
    const count = this.#counts.get(principal.id) ?? 0;
    if (count >= MOST_STREAMS) {
      throw new KithError(429, 'too_many_streams', `At most ${MOST_STREAMS} streams of events at once; close one of them.`, {
        retryAfter: 5,
      });
    }
    this.#counts.set(principal.id, count + 1);
    const release = (): void => {
      const left = (this.#counts.get(principal.id) ?? 1) - 1;
      if (left > 0) this.#counts.set(principal.id, left);
      else this.#counts.delete(principal.id);
    };
    try {
      const { now, leave } = await this.#feed.join();
      try {
        if (after !== undefined) await this.#requireKept(after, now);
        const stream = new Stream(this.#o, this.#feed, this.#ids, request, after ?? now, () => {
          leave();
          release();
          this.#open.delete(stream);
          if (this.#open.size === 0) for (const stop of this.#stops.splice(0)) stop();
        });
        this.#open.add(stream);
        if (this.#stops.length === 0) this.#watch();
        return stream.body;
      } catch (error) {
        leave();
        throw error;
      }
    } catch (error) {
      release();
      throw error;
    }
  }

  /** A client that was away for longer than events are kept would miss some without knowing. */
  async #requireKept(after: number, now: number): Promise<void> {
    const { rows } = await this.#o.pool.query<{ first: number | null }>('select min(position) as first from kith.event_log');
    const first = rows[0]!.first ?? now + 1;
    if (after > now || after < first - 1)
      throw new KithError(410, 'events_expired', 'What happened since is not kept any more; read the lists again and begin without an id.');
  }

  #watch(): void {
    const look = (stream: Stream, fresh = false): void => {
      stream.check(fresh).catch((error: unknown) => this.#o.log('debug', 'the rights of a stream could not be read', errorData(error)));
    };
    const timer = setInterval(() => {
      for (const stream of this.#open) look(stream);
    }, CHECK_MS);
    this.#stops = [
      () => clearInterval(timer),
      this.#o.bus.hear('access', (principal) => {
        for (const stream of this.#open) if (principal === '*' || stream.principal.id === principal) look(stream, true);
      }),
    ];
  }

  /** Ends all streams; their clients come back, perhaps to another process. */
  close(): void {
    this.#closed = true;
    for (const stream of [...this.#open]) stream.end();
  }
}

class Stream {
  readonly body: ReadableStream<Uint8Array>;
  readonly principal: Principal;
  readonly #o: Services;
  readonly #feed: EventFeed;
  readonly #ids: MessageIds;
  readonly #request: StreamRequest;
  readonly #ended: () => void;
  readonly #over = new AbortController();
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #position: number;
  /** When the client was last sent something. */
  #spoke = Date.now();
  #checking: Promise<boolean> | undefined;

  constructor(services: Services, feed: EventFeed, ids: MessageIds, request: StreamRequest, position: number, ended: () => void) {
    this.#o = services;
    this.#feed = feed;
    this.#ids = ids;
    this.#request = request;
    this.principal = request.principal;
    this.#position = position;
    this.#ended = ended;
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
        // The first id at once, so that whoever is cut off before the first message goes on from here.
        controller.enqueue(bytes(`retry: ${RETRY_MS}\nid: ${ids.write(position)}\n\n`));
      },
      pull: () => this.#pull(),
      cancel: () => this.end(),
    });
  }

  /** Brings the client one more piece; called when it has taken what there was. */
  async #pull(): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      try {
        const events = await this.#feed.next(this.#position);
        const last = events.at(-1);
        if (!last) {
          if (Date.now() - this.#spoke >= HEARTBEAT_MS) return await this.#beat();
          await this.#wait();
          continue;
        }
        // Asked after the events were read: nothing that happened after a right was withdrawn is told on it.
        if (!(await this.check(true))) return;
        const viewer: Viewer = { principal: this.principal, object: this.#request.object, filter: this.#request.filter };
        const told = await inSight(this.#o, viewer, events);
        this.#position = last.position;
        if (told.length > 0) return this.#send(told.map((one) => this.#message(one)).join(''));
      } catch (error) {
        if (signal.aborted) return;
        // Refused: what was asked for is not theirs any more. Otherwise the database does not answer just now.
        if (error instanceof KithError) return this.end();
        this.#o.log('warn', 'a stream of events waits', errorData(error));
        await pause(RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }

  /** Waits for events, no longer than until the next heartbeat. */
  async #wait(): Promise<void> {
    const until = new AbortController();
    const stop = (): void => until.abort();
    const timer = setTimeout(stop, Math.max(1, this.#spoke + HEARTBEAT_MS - Date.now()));
    this.#over.signal.addEventListener('abort', stop);
    await this.#feed.grown(this.#position, until.signal);
    clearTimeout(timer);
    this.#over.signal.removeEventListener('abort', stop);
  }

  /** Says that the stream lives, and how far it is: the id is new each time, so that it tells nothing of what was passed over. */
  async #beat(): Promise<void> {
    if (await this.check(true)) this.#send(`: ♥\nid: ${this.#ids.write(this.#position)}\n\n`);
  }

  #message({ position, event, data }: Telling): string {
    return `id: ${this.#ids.write(position)}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
  }

  #send(text: string): void {
    if (this.#over.signal.aborted) return;
    this.#spoke = Date.now();
    this.#controller.enqueue(bytes(text));
  }

  /**
   * Whether whoever opened the stream may still, as whom they were; ends it if not.
   * @param fresh An answer that is under way already may be too old.
   */
  async check(fresh = false): Promise<boolean> {
    if (this.#over.signal.aborted) return false;
    if (this.#checking && !fresh) return this.#checking;
    const asked = this.#ask();
    this.#checking = asked;
    try {
      return await asked;
    } finally {
      if (this.#checking === asked) this.#checking = undefined;
    }
  }

  async #ask(): Promise<boolean> {
    try {
      const now = await this.#request.renew();
      if (now && asData(now) === asData(this.principal)) return !this.#over.signal.aborted;
    } catch (error) {
      // While the database does not answer, nothing is told either.
      if (!(error instanceof KithError)) throw error;
    }
    this.end();
    return false;
  }

  end(): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    this.#ended();
    try {
      this.#controller.close();
    } catch {
      // It was cancelled by the client.
    }
  }
}

/** A principal as plain data, to be compared. */
const asData = ({ id, kind, roles, outside }: Principal): string => JSON.stringify([id, kind, roles, outside ?? null]);

const encoder = new TextEncoder();
const bytes = (text: string): Uint8Array => encoder.encode(text);

const NONCE = 12;
const TAG = 16;

/** Positions as they travel: sealed, so that nobody counts by them what they do not see; good for everybody and every process. */
export class MessageIds {
  readonly #key: Buffer;

  constructor(secret: string) {
    this.#key = Buffer.from(hkdfSync('sha256', secret, '', 'kith events', 32));
  }

  write(position: number): string {
    const nonce = randomBytes(NONCE);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce);
    const plain = Buffer.alloc(8);
    plain.writeBigUInt64BE(BigInt(position));
    return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]).toString('base64url');
  }

  /** @throws 400 for what this Kith never wrote */
  read(id: string): number {
    const sealed = Buffer.from(id, 'base64url');
    try {
      if (sealed.length !== NONCE + 8 + TAG) throw new Error('length');
      const decipher = createDecipheriv('aes-256-gcm', this.#key, sealed.subarray(0, NONCE));
      decipher.setAuthTag(sealed.subarray(-TAG));
      return Number(Buffer.concat([decipher.update(sealed.subarray(NONCE, -TAG)), decipher.final()]).readBigUInt64BE());
    } catch {
      throw new KithError(400, 'malformed', 'Last-Event-ID is no id of a message of this stream; begin without it.');
    }
  }
}
