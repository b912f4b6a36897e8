/**
 * Requests of plugins to somebody outside. What they ask for may come from a setting, a record or an answer, so that none
 * may reach what only this house can: every connection, those of redirections too, is made to an address that was looked at,
 * and to no other. A name is resolved once, and what it resolved to is what is connected to.
 */
import dns from 'node:dns';
import { BlockList, isIP, isIPv4 } from 'node:net';
import { FetchError, type Fetch, type FetchOptions } from '@kith/sdk';
import { Agent, buildConnector, fetch as ask } from 'undici';

/** Largest answer, unpacked, in bytes. */
const ANSWER_LIMIT = 10_000_000;
/** How long is waited where nobody else sets a limit. */
const PATIENCE_MS = 30_000;
const CONNECT_MS = 10_000;

/** Networks that are not the internet: private, shared, loopback, link-local (where clouds answer for themselves), reserved. */
const HOUSE = listOf([
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24', '192.0.2.0/24'],
  ...['192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4'],
]);
/** Of IPv6 only what is given out for the internet, without what stands for IPv4 addresses or for examples. */
const INTERNET_6 = listOf(['2000::/3']);
const NOT_6 = listOf(['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']);

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    const family = isIPv4(address) ? 'ipv4' : 'ipv6';
    list.addSubnet(address, Number(bits ?? (family === 'ipv4' ? 32 : 128)), family);
  }
  return list;
}

/** Who may be connected to. */
class Guard {
  readonly #hosts: ReadonlySet<string>;
  readonly #networks: BlockList;

  constructor(allow: readonly string[]) {
    const networks = allow.filter((one) => isIP(one.split('/')[0]!) !== 0);
    this.#networks = listOf(networks);
    this.#hosts = new Set(allow.filter((one) => !networks.includes(one)).map((one) => one.toLowerCase()));
  }

  admitsName(host: string): boolean {
    return this.#hosts.has(host.toLowerCase());
  }

  admits(address: string): boolean {
    // An IPv4 address in IPv6's clothes is that IPv4 address.
    const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? hexMapped(address);
    if (mapped !== undefined) return this.admits(mapped);
    const family = isIPv4(address) ? 'ipv4' : 'ipv6';
    if (this.#networks.check(address, family)) return true;
    if (family === 'ipv4') return !HOUSE.check(address);
    return INTERNET_6.check(address, 'ipv6') && !NOT_6.check(address, 'ipv6');
  }
}

/** `::ffff:7f00:1`, as URLs write it. */
function hexMapped(address: string): string | undefined {
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i.exec(address) ?? [];
  if (high === undefined || low === undefined) return undefined;
  return [high, low].flatMap((part) => [parseInt(part, 16) >> 8, parseInt(part, 16) & 255]).join('.');
}

const refused = (host: string): FetchError =>
  new FetchError(
    'refused',
    `${host} is at an address of this house's own network, which plugins may not call. If they shall, name it in KITH_FETCH_ALLOW.`,
  );

type Lookup = typeof dns.lookup;

/** Whatever plugins ask of the outside goes through one of these. */
export class Outgoing {
  readonly #agent: Agent;

  /** @param allow Hosts and networks of the house that may be asked nevertheless. */
  constructor({ allow, lookup = dns.lookup }: { allow: readonly string[]; lookup?: Lookup }) {
    const guard = new Guard(allow);
    const connect = buildConnector({
      timeout: CONNECT_MS,
      lookup: (host, options, done) => {
        lookup(host, { ...options, all: true }, (error, found) => {
          if (error) return done(error, []);
          // One address of the house among those of a name is one too many.
          if (!guard.admitsName(host) && !found.every(({ address }) => guard.admits(address))) return done(refused(host), []);
          const [first] = found;
          if (options.all || !first) done(null, found);
          else done(null, first.address, first.family);
        });
      },
    });
    this.#agent = new Agent({
      connect: (options, done) => {
        // An address needs no lookup, and so meets none.
        const { hostname } = options;
        if (isIP(hostname) !== 0 && !guard.admits(hostname)) done(refused(hostname), null);
        else connect(options, done);
      },
    });
  }

  /** `fetch` for code that ends when `signal` says so. */
  until =
    (signal: AbortSignal): Fetch =>
    (url, options = {}) =>
      this.#fetch(new URL(url), options, signal);

  async #fetch(url: URL, { signal: own, ...options }: FetchOptions, until: AbortSignal): Promise<Response> {
    if (url.protocol !== 'https:' && url.protocol !== 'http:')
      throw new FetchError('refused', `Plugins call addresses that begin with https:// or http://, not ${url.protocol}`);
    const signal = AbortSignal.any([until, AbortSignal.timeout(PATIENCE_MS), ...(own ? [own] : [])]);
    try {
      const answer = await ask(url, { ...options, signal, dispatcher: this.#agent });
      const bytes = await whole(answer.body, url.host);
      // Of Node's own kind, and whole: nothing of it can break off or grow later.
      return new Response(NO_BODY.has(answer.status) ? null : bytes, {
        status: answer.status,
        statusText: answer.statusText,
        headers: [...answer.headers].filter(([name]) => !UNPACKED.has(name)),
      });
    } catch (error) {
      throw failureOf(error, url.host);
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

const NO_BODY = new Set([204, 205, 304]);
/** What is true of what came over the line, and no more of what is handed over. */
const UNPACKED = new Set(['content-encoding', 'content-length', 'transfer-encoding']);

async function whole(body: AsyncIterable<Uint8Array> | null, host: string): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.byteLength;
    if (size > ANSWER_LIMIT) throw new FetchError('too_large', `The answer of ${host} is larger than ${ANSWER_LIMIT / 1_000_000} MB.`);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

/** Errors of a connection that never was: nothing can have been handed over. */
const UNREACHED = new Set(['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT']);

function failureOf(error: unknown, host: string): unknown {
  const chain: unknown[] = [];
  for (let one = error; one instanceof Error && chain.length < 5; one = one.cause) chain.push(one);
  const own = chain.find((one) => one instanceof FetchError);
  if (own) return own;
  // Ports of mail, databases and the like are in no case asked.
  if (chain.some((one) => one instanceof Error && one.message === 'bad port'))
    return new FetchError('refused', `${host} names a port that no web server has.`);
  const codes = chain.flatMap((one) => [one, ...(one instanceof AggregateError ? (one.errors as unknown[]) : [])]).map(codeOf);
  const unreached = codes.find((code) => code !== undefined && UNREACHED.has(code));
  if (unreached !== undefined) return new FetchError('unreachable', `${host} cannot be reached (${unreached}).`);
  if (error instanceof DOMException) return new FetchError('broken', `${host} did not answer in time.`);
  return new FetchError('broken', `The connection to ${host} broke (${codes.find(Boolean) ?? 'no reason given'}).`);
}

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
