/** The API over a real socket: what only goes wrong there. */
import http from 'node:http';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestWorld, type TestWorld } from '../testing.ts';
import { lab, labServer } from '../testing/lab.ts';
import { handleApi } from './node.ts';

let world: TestWorld;
let server: http.Server;
let port: number;
let key: string;
beforeAll(async () => {
  world = await createTestWorld({ plugins: [lab], servers: [labServer] });
  key = await world.key('member');
  server = http.createServer((req, res) => {
    if (!handleApi(world.runtime, req, res)) res.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await world.close();
});

/** Writes raw bytes and answers what comes until the socket is quiet or closed. */
const raw = (text: string | Buffer): Promise<string> =>
  new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(text));
    let seen = '';
    socket.on('data', (data) => {
      seen += data.toString();
      if (/\r\n\r\n[^]*\}$/.test(seen)) socket.end();
    });
    socket.on('close', () => resolve(seen));
    socket.on('error', () => undefined);
    socket.setTimeout(5_000, () => socket.destroy());
  });
const head = (headers: Record<string, string>): string =>
  `POST /api/v1/records/lab.thing HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`;
const JSON_TYPE = { 'Content-Type': 'application/json' };

it('creates and reads over a socket, with a tag and without caching', async () => {
  const made = await fetch(`http://127.0.0.1:${port}/api/v1/records/lab.thing`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'wire — ✓' }),
  });
  expect(made.status).toBe(201);
  const { id } = (await made.json()) as { id: string };
  const read = await fetch(`http://127.0.0.1:${port}/api/v1/records/lab.thing/${id}`, { headers: { authorization: `Bearer ${key}` } });
  expect(read.headers.get('etag')).toBe('"1"');
  expect(read.headers.get('cache-control')).toBe('no-store');
  expect(((await read.json()) as { title: string }).title).toBe('wire — ✓');
  const asked = await fetch(`http://127.0.0.1:${port}/api/v1/records/lab.thing/${id}`, {
    method: 'HEAD',
    headers: { authorization: `Bearer ${key}` },
  });
  expect(asked.status).toBe(200);
  expect(await asked.text()).toBe('');
});

it('answers 413 before a body that is too large has come, whether it says its length or not', async () => {
  expect(await raw(head({ ...JSON_TYPE, 'Content-Length': '900000000' }))).toMatch(/^HTTP\/1\.1 413 [^]*"code":"too_large"/);
  const chunk = `100000\r\n${' '.repeat(0x100000)}\r\n`;
  expect(await raw(head({ ...JSON_TYPE, 'Transfer-Encoding': 'chunked' }) + chunk.repeat(4))).toMatch(
    /^HTTP\/1\.1 413 [^]*"code":"too_large"/,
  );
});

it('survives clients that go away in the middle of a body or of an answer', async () => {
  for (let i = 0; i < 5; i++) {
    await new Promise<void>((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => {
        socket.write(`${head({ ...JSON_TYPE, 'Content-Length': '5000' })}{"name":`);
        setTimeout(() => {
          socket.destroy();
          resolve();
        }, 20);
      });
    });
  }
  const { body } = await world.request('GET', '/records/lab.thing?count=exact', { key });
  expect((body as { count: number }).count).toBe(1);
});

it('answers broken bytes with 400, and says when it is not ready', async () => {
  const broken = Buffer.concat([
    Buffer.from(head({ ...JSON_TYPE, 'Content-Length': '12' })),
    Buffer.from('{"name":"'),
    Buffer.from([0xff, 0x22, 0x7d]),
  ]);
  expect(await raw(broken)).toMatch(/^HTTP\/1\.1 400 [^]*"code":"malformed"/);
  const status = async (path: string): Promise<number> => (await fetch(`http://127.0.0.1:${port}${path}`)).status;
  expect(await status('/healthz')).toBe(200);
  expect(await status('/readyz')).toBe(503);
  world.runtime.setReady(true);
  expect(await status('/readyz')).toBe(200);
  expect(await status('/api/v1')).toBe(404);
  expect(await status('/api/v2')).toBe(404);
});
