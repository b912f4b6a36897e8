/** What plugins may call, and what they may not. */
import type dns from 'node:dns';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { FetchError, type Fetch } from '@kith/sdk';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Outgoing } from './fetch.ts';

/** A server on this machine, which stands for one of the house and, by another name, for one outside. */
let server: http.Server;
let port: number;
let asked: http.IncomingMessage[];
let answer: (request: http.IncomingMessage, response: http.ServerResponse) => void;
const closers: (() => Promise<void>)[] = [];
beforeEach(async () => {
  asked = [];
  answer = (_request, response) => response.end('hello');
  server = http.createServer((request, response) => {
    asked.push(request);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ({ port } = server.address() as AddressInfo);
});
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** A `fetch` for which names stand for these addresses, one list after another. */
function fetching(allow: string[], names: Record<string, string[][]> = {}, signal = new AbortController().signal): Fetch {
  const lookup = ((host: string, _options: object, done: (error: Error | null, found: dns.LookupAddress[]) => void) => {
    const lists = names[host];
    const found = (lists && lists.length > 1 ? lists.shift() : lists?.[0]) ?? [];
    done(
      found.length > 0 ? null : Object.assign(new Error('not found'), { code: 'ENOTFOUND' }),
      found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  }) as typeof dns.lookup;
  const outgoing = new Outgoing({ allow, lookup });
  closers.push(() => outgoing.close());
  return outgoing.until(signal);
}
const codeOf = async (what: Promise<Response>): Promise<string> =>
  what.then(
    ({ status }) => `answered ${status}`,
    (error: unknown) => (error instanceof FetchError ? error.code : String(error)),
  );

describe('what is of the house', () => {
  it.each([
    ...['127.0.0.1', '127.1', '2130706433', '0x7f000001', '0', '10.1.2.3', '172.16.0.1', '192.168.1.1', '100.64.0.1', '169.254.169.254'],
    ...['192.0.0.192', '198.18.0.1', '224.0.0.1', '255.255.255.255', '[::1]', '[::]', '[fd00::1]', '[fe80::1]', '[ff02::1]'],
    ...['[::ffff:127.0.0.1]', '[::ffff:a9fe:a9fe]', '[64:ff9b::7f00:1]', '[2002:7f00:1::]', '[2001:db8::1]', '[::127.0.0.1]'],
  ])('is refused at %s', async (host) => {
    expect(await codeOf(fetching([])(`http://${host}:${port}/`))).toBe('refused');
    expect(asked).toEqual([]);
  });

  it('is refused by its name, also where it is one address of several', async () => {
    const fetch = fetching([], { 'erp.internal': [['10.0.0.7']], 'both.example': [['93.184.215.14', '127.0.0.1']] });
    for (const host of ['erp.internal', 'both.example']) expect(await codeOf(fetch(`http://${host}:${port}/`))).toBe('refused');
    await expect(fetch('http://erp.internal/')).rejects.toThrow(
      /erp\.internal is at an address of this house's own network.*KITH_FETCH_ALLOW/,
    );
    expect(asked).toEqual([]);
  });

  it('is refused when a name changes its mind between the look and the connection', async () => {
    // There is one look: what it found is what is connected to.
    const fetch = fetching([], { 'rebind.example': [['127.0.0.1'], ['93.184.215.14']] });
    expect(await codeOf(fetch(`http://rebind.example:${port}/`))).toBe('refused');
    expect(asked).toEqual([]);
  });

  it('is refused at the end of a redirection', async () => {
    const fetch = fetching(['partner.example'], { 'partner.example': [['127.0.0.1']] });
    for (const location of [`http://127.0.0.1:${port}/secret`, 'http://169.254.169.254/latest/meta-data', 'file:///etc/passwd']) {
      answer = (_request, response) => response.writeHead(302, { location }).end();
      expect(await codeOf(fetch(`http://partner.example:${port}/`)), location).toMatch(/refused|broken/);
      expect(asked.splice(0).map(({ url }) => url)).toEqual(['/']);
    }
    expect((await fetch(`http://partner.example:${port}/`, { redirect: 'manual' })).status).toBe(302);
  });

  it('is asked where KITH_FETCH_ALLOW names it', async () => {
    const names = { 'erp.internal': [['127.0.0.1']] };
    for (const allow of ['127.0.0.1', '127.0.0.0/8', '::ffff:127.0.0.1'])
      expect(await codeOf(fetching([allow])(`http://127.0.0.1:${port}/`)), allow).toBe('answered 200');
    expect(await codeOf(fetching(['ERP.internal'], names)(`http://erp.internal:${port}/`))).toBe('answered 200');
    // A name that is allowed is no leave for its address.
    expect(await codeOf(fetching(['erp.internal'], names)(`http://127.0.0.1:${port}/`))).toBe('refused');
    expect(await codeOf(fetching(['10.0.0.0/8'])(`http://127.0.0.1:${port}/`))).toBe('refused');
  });

  it.each(['file:///etc/passwd', 'ftp://example.com/', 'data:text/plain,x', 'unix:/var/run/docker.sock'])(
    'is not read as %s',
    async (url) => {
      expect(await codeOf(fetching([])(url))).toBe('refused');
    },
  );
});

describe('an answer', () => {
  const there = (path = '/'): string => `http://127.0.0.1:${port}${path}`;
  const near = (signal?: AbortSignal): Fetch => fetching(['127.0.0.1'], {}, signal);

  it('is whole, unpacked and of any status', async () => {
    answer = (request, response) => {
      response.writeHead(request.url === '/none' ? 204 : 404, { 'content-encoding': 'gzip', 'content-type': 'text/plain', 'x-one': '1' });
      response.end(request.url === '/none' ? undefined : gzipSync('packed'));
    };
    const found = await near()(there(), { method: 'POST', body: 'said', headers: { authorization: 'Bearer x' } });
    expect([found.status, found.headers.get('x-one'), found.headers.get('content-encoding'), await found.text()]).toEqual([
      404,
      '1',
      null,
      'packed',
    ]);
    expect([asked[0]!.method, asked[0]!.headers.authorization]).toEqual(['POST', 'Bearer x']);
    expect((await near()(there('/none'))).status).toBe(204);
  });

  it('says no more of a key where a redirection leads elsewhere', async () => {
    const fetch = fetching(['127.0.0.1', 'other.example'], { 'other.example': [['127.0.0.1']] });
    answer = (request, response) =>
      request.url === '/' ? response.writeHead(307, { location: `http://other.example:${port}/there` }).end() : response.end();
    await fetch(there(), { headers: { authorization: 'Bearer x' } });
    expect(asked.map(({ url, headers }) => [url, headers.authorization])).toEqual([
      ['/', 'Bearer x'],
      ['/there', undefined],
    ]);
  });

  it('is given up when it is too large, also when that shows only unpacked', async () => {
    answer = (request, response) => {
      if (request.url === '/packed') response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(10_000_001)));
      else response.end(Buffer.alloc(10_000_001));
    };
    expect(await codeOf(near()(there()))).toBe('too_large');
    expect(await codeOf(near()(there('/packed')))).toBe('too_large');
  });

  it('that does not come says whether anything can have been handed over', async () => {
    const closed = http.createServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const nobody = `http://127.0.0.1:${(closed.address() as AddressInfo).port}/`;
    await new Promise((resolve) => closed.close(resolve));
    expect(await codeOf(near()(nobody))).toBe('unreachable');
    // A port that no web server has: mail.
    expect(await codeOf(near()('http://127.0.0.1:25/'))).toBe('refused');
    expect(await codeOf(near()('http://nowhere.example/'))).toBe('unreachable');
    answer = (request) => request.socket.destroy();
    expect(await codeOf(near()(there()))).toBe('broken');
    answer = () => undefined;
    expect(await codeOf(near(AbortSignal.timeout(50))(there()))).toBe('broken');
    expect(await codeOf(near()(there(), { signal: AbortSignal.timeout(50) }))).toBe('broken');
  });
});
