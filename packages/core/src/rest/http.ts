/** HTTP around the routes: bodies in, problems out. */
import { randomBytes } from 'node:crypto';
import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { KithError, malformed } from '../errors.ts';

/** Largest request body of a route that does not say otherwise, in bytes. */
export const BODY_LIMIT = 2_000_000;
/** Largest body of a batch, in bytes. */
export const BATCH_LIMIT = 20_000_000;

/** An error as an RFC 9457 problem. */
export function problem(error: KithError, instance: string): Response {
  const body = {
    type: `about:blank#${error.code}`,
    title: TITLES[error.status] ?? 'Error',
    status: error.status,
    code: error.code,
    detail: error.message,
    instance,
    ...(error.errors ? { errors: error.errors } : {}),
  };
  return new Response(JSON.stringify(body), {
    status: error.status,
    headers: {
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      ...(error.retryAfter === undefined ? {} : { 'retry-after': String(error.retryAfter) }),
      ...(error.status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
    },
  });
}

/** A proxy on this machine or its network may have given the request its id and its trace; of others none is taken. */
const NEAR = new BlockList();
for (const [network, bits] of [
  ['10.0.0.0', 8],
  ['127.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const)
  NEAR.addSubnet(network, bits);
for (const [network, bits] of [
  ['::1', 128],
  ['fc00::', 7],
  ['fe80::', 10],
] as const)
  NEAR.addSubnet(network, bits, 'ipv6');

/** Whether somebody at this address is on this machine or its network, as a proxy is. */
export const isNear = (ip: string): boolean =>
  ip.startsWith('::ffff:') ? NEAR.check(ip.slice(7)) : isIPv6(ip) ? NEAR.check(ip, 'ipv6') : isIPv4(ip) && NEAR.check(ip);

/** The id of a request: what a proxy near by gave it, where that is well-formed, or a new one. */
export function requestId(given: string | null, ip: string): string {
  // At least one letter: a number alone might be somebody's.
  return given !== null && isNear(ip) && /^(?=[^a-zA-Z]*[a-zA-Z])[A-Za-z0-9_-]{8,64}$/.test(given) ? given : randomBytes(8).toString('hex');
}

const TITLES: Record<number, string> = {
  400: 'Malformed request',
  401: 'Not signed in',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict',
  412: 'The record has moved on',
  413: 'Too large',
  415: 'Unsupported media type',
  422: 'Invalid',
  429: 'Too many requests',
  500: 'Internal error',
  503: 'Not available',
};

/** The text of answers made here, so that Node's socket gets it without a stream in between. */
const texts = new WeakMap<Response, string>();

export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  const text = JSON.stringify(body);
  const response = new Response(text, { status, headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers } });
  texts.set(response, text);
  return response;
}

export const empty = (headers: Record<string, string> = {}): Response =>
  new Response(null, { status: 204, headers: { 'cache-control': 'no-store', ...headers } });

/** The JSON object of a request's body. @throws 400, 413, 415 */
export async function readBody(request: Request, limit: number): Promise<Record<string, unknown>> {
  return parseBody(await readBytes(request, limit), request.headers.get('content-type'));
}

/** A request's body as it came. @throws 413 */
export async function readBytes(request: Request, limit: number): Promise<Buffer<ArrayBuffer>> {
  const declared = Number(request.headers.get('content-length') ?? 0);
  if (declared > limit) throw tooLarge(limit);
  const chunks: Uint8Array[] = [];
  let size = 0;
  if (request.body) {
    for await (const chunk of request.body) {
      size += chunk.byteLength;
      if (size > limit) throw tooLarge(limit);
      chunks.push(chunk);
    }
  }
  return Buffer.concat(chunks);
}

/** The JSON object that a body holds; an empty one without a body. @throws 400, 415 */
export function parseBody(bytes: Uint8Array, type: string | null): Record<string, unknown> {
  if (bytes.byteLength === 0) return {};
  if (type === null || !/^application\/([a-z.+-]*\+)?json\b/i.test(type)) {
    throw new KithError(415, 'unsupported_media_type', 'Send the body as application/json.');
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw malformed(`The body is not JSON (${error instanceof Error ? error.message.slice(0, 120) : 'unreadable'}).`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed('The body must be a JSON object.');
  return value as Record<string, unknown>;
}

const tooLarge = (limit: number): KithError =>
  new KithError(413, 'too_large', `The body is larger than ${Math.floor(limit / 1_000_000)} MB; send it in parts.`);

/** What a client calls its request, so that a repetition is known. @throws 400 */
export const idempotencyKey = (request: Request): string | undefined => {
  const key = request.headers.get('idempotency-key')?.trim();
  if (key === undefined || key === '') return undefined;
  if (key.length > 255) throw malformed('An Idempotency-Key has at most 255 characters.');
  return key;
};

/** A body as a stream that is read only as fast as somebody wants it: what nobody reads is not kept. */
function bodyOf(req: IncomingMessage): ReadableStream<Uint8Array> {
  let open = true;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      req.on('data', (chunk: Buffer) => {
        if (!open) return;
        controller.enqueue(chunk);
        if ((controller.desiredSize ?? 0) <= 0) req.pause();
      });
      req.on('end', () => {
        if (open) controller.close();
        open = false;
      });
      req.on('error', () => {
        if (open) controller.error(malformed('The body broke off.'));
        open = false;
      });
      req.pause();
    },
    pull() {
      req.resume();
    },
    cancel() {
      open = false;
      req.resume();
    },
  });
}

/** A request of Node's server as a web request. */
export function toRequest(req: IncomingMessage): Request {
  const headers = new Headers();
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i]!;
    if (!name.startsWith(':')) headers.append(name, req.rawHeaders[i + 1]!);
  }
  const method = req.method ?? 'GET';
  const hasBody = method !== 'GET' && method !== 'HEAD';
  const stream = hasBody ? bodyOf(req) : null;
  // The host part is of no use here: what matters of a URL is its path and query.
  return new Request(new URL(req.url ?? '/', 'http://kith.internal'), {
    method,
    headers,
    ...(stream ? { body: stream, duplex: 'half' } : {}),
  } as RequestInit);
}

/** Writes a web response to Node's. */
export async function sendResponse(response: Response, res: ServerResponse, head: boolean): Promise<void> {
  res.statusCode = response.status;
  for (const [name, value] of response.headers) if (name !== 'set-cookie') res.setHeader(name, value);
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) res.setHeader('set-cookie', cookies);
  const text = texts.get(response);
  if (response.body !== null && response.headers.get('content-type') === EVENT_STREAM) {
    if (!head) return pass(response.body, res);
    await response.body.cancel();
    res.end();
    return;
  }
  const body = response.body === null || head ? null : text === undefined ? Buffer.from(await response.arrayBuffer()) : Buffer.from(text);
  if (body) res.setHeader('content-length', body.byteLength);
  res.end(body ?? undefined);
}

/** The type of an answer that goes on: it is passed on piece by piece. */
export const EVENT_STREAM = 'text/event-stream';
/** How long a client may take for the rest after its stream has ended. */
const LAST_WORDS_MS = 2_000;

/** Passes a stream on as fast as the client takes it, until either ends. */
async function pass(body: ReadableStream<Uint8Array>, res: ServerResponse): Promise<void> {
  const reader = body.getReader();
  let left: () => void;
  const gone = new Promise<void>((resolve) => (left = resolve));
  res.on('close', () => {
    left();
    reader.cancel().catch(() => undefined);
  });
  // Whatever comes in between shall not keep it until there is more.
  res.setHeader('x-accel-buffering', 'no');
  res.flushHeaders();
  void reader.closed.then(
    () => setTimeout(() => res.destroy(), LAST_WORDS_MS).unref(),
    () => res.destroy(),
  );
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (!res.write(value)) await Promise.race([once(res, 'drain'), gone]);
  }
  res.end();
}
