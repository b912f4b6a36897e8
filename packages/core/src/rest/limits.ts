/** How often one address may ask for what is open to everybody. Counted in each process by itself. */
import { isIP, isIPv6 } from 'node:net';
import { KithError } from '../errors.ts';
import { isNear } from './http.ts';

/** Addresses that are remembered; those that have asked least lately are forgotten first. */
const REMEMBERED = 20_000;
const MINUTE_MS = 60_000;

interface Bucket {
  tokens: number;
  at: number;
}

/** A bucket for each key that holds a minute's worth, and fills again as time goes by. */
export class Limits {
  readonly #buckets = new Map<string, Bucket>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Counts one call. @throws 429 with the seconds after which there is room again */
  take(key: string, perMinute: number): void {
    const now = this.#now();
    const known = this.#buckets.get(key);
    const tokens = known ? Math.min(perMinute, known.tokens + ((now - known.at) / MINUTE_MS) * perMinute) : perMinute;
    // Put in again, it is the last to be forgotten.
    this.#buckets.delete(key);
    this.#buckets.set(key, { tokens: tokens < 1 ? tokens : tokens - 1, at: now });
    if (this.#buckets.size > REMEMBERED) this.#buckets.delete(this.#buckets.keys().next().value!);
    if (tokens < 1)
      throw new KithError(429, 'too_many_requests', 'Too many requests from this address; wait a moment and try again.', {
        retryAfter: Math.max(1, Math.ceil(((1 - tokens) * MINUTE_MS) / perMinute / 1_000)),
      });
  }
}

/**
 * Whom a request is counted for: the address it came from, or the one that a proxy near by says. Of IPv6 the network, since one
 * caller has as many addresses in it as they like.
 */
export function callerAddress(forwarded: string | null, ip: string): string {
  const said = isNear(ip) ? forwarded?.split(',').at(-1)?.trim() : undefined;
  const address = said !== undefined && isIP(said) !== 0 ? said : ip.replace(/^::ffff:(?=\d+\.)/i, '');
  if (!isIPv6(address)) return address;
  const [head = '', tail = ''] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  const rest = tail === '' ? [] : tail.split(':');
  const all = address.includes('::')
    ? [...groups, ...Array<string>(Math.max(0, 8 - groups.length - rest.length)).fill('0'), ...rest]
    : groups;
  return `${all.slice(0, 4).join(':')}::/64`;
}
