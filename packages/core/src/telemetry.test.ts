import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { clean, createLog } from './log.ts';
import { createTestWorld, type TestWorld } from './testing.ts';
import { lab, labServer } from './testing/lab.ts';
import { startTelemetry, type Telemetry } from './telemetry.ts';

const NAME = 'Zebulon Quackenbush';
const MAIL = 'zebulon.quackenbush@private.example';
const PHONE = '+49 (151) 234-567-89';
const PRIVATE = /zebulon|quackenbush|private\.example|234-567-89|23456789/i;

let world: TestWorld;
let telemetry: Telemetry;
let key: string;
let port: number;
const spans: { name: string; attributes: string; traceId: string; parentSpanId?: string | undefined }[] = [];
const lines: string[] = [];
const collector = http.createServer((request, response) => {
  let body = '';
  request.on('data', (chunk: Buffer) => (body += chunk.toString()));
  request.on('end', () => {
    interface Span {
      name: string;
      traceId: string;
      parentSpanId?: string;
      attributes?: unknown;
      status?: unknown;
      events?: unknown;
    }
    if (request.url === '/v1/traces')
      for (const resource of (JSON.parse(body) as { resourceSpans: { scopeSpans: { spans: Span[] }[] }[] }).resourceSpans)
        for (const scope of resource.scopeSpans)
          for (const { name, attributes, status, events, traceId, parentSpanId } of scope.spans)
            spans.push({ name, traceId, parentSpanId, attributes: JSON.stringify({ attributes, status, events }) });
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
});

const freePort = async (): Promise<number> => {
  const server = http.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port: free } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return free;
};
const scrape = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/metrics`)).text();

beforeAll(async () => {
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', `http://127.0.0.1:${(collector.address() as AddressInfo).port}`);
  vi.stubEnv('OTEL_SERVICE_NAME', 'kith-test');
  vi.stubEnv('OTEL_METRICS_EXPORTER', 'none');
  vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', '100');
  port = await freePort();
  vi.spyOn(process.stderr, 'write').mockImplementation((line) => {
    lines.push(String(line));
    return true;
  });
  telemetry = await startTelemetry({ role: 'web', version: '1.2.3', metricsPort: port, host: '127.0.0.1', log: () => undefined });
  world = await createTestWorld({ plugins: [lab], servers: [labServer], roles: ['web', 'worker'], log: createLog('debug') });
  telemetry.observe(world.runtime, () => ({ documents: 2, sockets: 3 }));
  key = await world.key();
});
afterAll(async () => {
  await world.close();
  await telemetry.close();
  collector.close();
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

it('counts requests by the template of their route, and shows pools, lag and the event loop', async () => {
  const rec = await world.runtime.records.create(world.actor, world.object('lab.thing'), { name: NAME });
  expect((await world.request('GET', `/records/lab.thing/${rec.id}`, { key })).status).toBe(200);
  expect((await world.request('GET', `/nowhere/${encodeURIComponent(MAIL)}`, { key })).status).toBe(404);
  const text = await scrape();
  expect(text).toMatch(/http_server_request_duration_(seconds_)?count\{[^}]*http_route="[^"]*\{[^"]*"[^}]*http_response_status_code="200"/);
  for (const name of [
    'db_client_connection_count',
    'kith_jobs_lag',
    'kith_jobs_parked',
    'kith_outbox_age',
    'kith_sockets',
    'kith_documents',
    'nodejs_eventloop_delay_p99',
  ])
    expect(text, name).toMatch(new RegExp(`^${name}`, 'm'));
  expect(text).toContain('kith-test');
  expect(text).not.toContain(rec.id);
});

it('answers with an id, a proxy’s where it is one of the house and well-formed', async () => {
  const ask = async (id: string | undefined, ip: string): Promise<string> =>
    (
      await world.runtime.api.handle(
        new Request('http://kith.internal/api/v1/me', id === undefined ? {} : { headers: { 'x-request-id': id } }),
        { ip },
      )
    ).headers.get('x-request-id')!;
  expect(await ask('proxy-0123456789', '10.1.2.3')).toBe('proxy-0123456789');
  expect(await ask('proxy-0123456789', '::ffff:127.0.0.1')).toBe('proxy-0123456789');
  for (const [id, ip] of [
    ['proxy-0123456789', '203.0.113.9'],
    ['short', '10.1.2.3'],
    ['{"a":1}xxxxxxxx', '10.1.2.3'],
    ['015123456789', '10.1.2.3'],
    [MAIL, '10.1.2.3'],
    [undefined, '10.1.2.3'],
  ] as const)
    expect(await ask(id, ip)).toMatch(/^[0-9a-f]{16}$/);
});

it('is part of the trace that a proxy of the house began, and of no stranger’s', async () => {
  const [trace, parent] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7'];
  const ask = (ip: string, traceparent: string): Promise<Response> =>
    world.runtime.api.handle(
      new Request('http://kith.internal/api/v1/openapi.json', { headers: { traceparent, authorization: `Bearer ${key}` } }),
      { ip },
    );
  await ask('203.0.113.9', `00-${trace}-${parent}-01`);
  await ask('10.1.2.3', 'no trace');
  await ask('10.1.2.3', `00-${trace}-${parent}-01`);
  const asked = (): typeof spans => spans.filter(({ name }) => name.endsWith('/openapi.json'));
  await expect.poll(() => asked().length, { timeout: 15_000 }).toBe(3);
  expect(asked().filter(({ traceId, parentSpanId }) => traceId === trace && parentSpanId === parent)).toHaveLength(1);
});

it('tells nobody’s name, address or number: not in logs, metrics or traces, whatever goes wrong', async () => {
  const bad = [
    ['POST', '/records/lab.sample', { fields: { name: NAME, code: MAIL, memo: PHONE } }],
    ['POST', '/records/lab.sample', { fields: { name: NAME, code: MAIL } }],
    ['POST', '/records/lab.sample', { fields: { name: `${NAME}\u0000`, amount: MAIL } }],
    ['POST', '/records/lab.sample', `{"name": "${NAME}", ${MAIL}`],
    ['GET', `/records/lab.sample?search=${encodeURIComponent(NAME)}&sort=${encodeURIComponent(MAIL)}`, undefined],
    ['GET', `/records/lab.sample/${encodeURIComponent(PHONE)}`, undefined],
  ] as const;
  for (const [method, path, body] of bad) await world.request(method, path, { key, ...(body === undefined ? {} : { body }) });
  // A defect: a statement that fails with what was typed in its message.
  const { pool } = world.runtime;
  await pool.query(`create function lab.breaks() returns trigger language plpgsql as $$
    begin raise exception 'cannot take "%" of % (%)', new.name, '${MAIL}', '${PHONE}'; end $$`);
  await pool.query('create trigger breaks before insert on lab.thing for each row execute function lab.breaks()');
  const broken = await world.request('POST', '/records/lab.thing', {
    key,
    body: { name: NAME },
    headers: { 'x-request-id': 'from-the-proxy' },
  });
  expect(broken.status).toBeGreaterThanOrEqual(400);
  await pool.query(`insert into kith.job (id, handler, lane, data, due) values (gen_random_uuid(), 'lab.nothing', 0, $1, now())`, [
    JSON.stringify({ to: MAIL }),
  ]);
  const log = createLog('error');
  const { errorData } = await import('./log.ts');
  log('error', 'a mail was not taken', errorData(new Error(`550 <${MAIL}>: no such user; "${NAME}" tel. ${PHONE}`)));
  await expect.poll(() => pool.query(`select from kith.job where state = 'parked'`).then(({ rowCount }) => rowCount)).toBe(1);

  expect(lines.some((line) => line.includes('from-the-proxy') && line.includes('a request failed'))).toBe(true);
  for (const line of lines) {
    expect(line).not.toMatch(PRIVATE);
    expect(JSON.parse(line)).toMatchObject({ time: expect.any(String) as string, level: expect.any(String) as string });
  }
  expect(await scrape()).not.toMatch(PRIVATE);
  await expect.poll(() => spans.map(({ name }) => name), { timeout: 10_000 }).toContain('job lab.nothing');
  expect(spans.some(({ name }) => /^POST \/records\//.test(name))).toBe(true);
  expect(spans.some(({ name }) => name.startsWith('kith_'))).toBe(true);
  for (const { name, attributes } of spans) expect(name + attributes).not.toMatch(PRIVATE);
});

describe('clean', () => {
  it.each([
    ['value “Maria Anders” is none', 'value <…> is none'],
    ['column "due_date" of relation "order" does not exist', 'column "due_date" of relation "order" does not exist'],
    [`Unexpected token 'M', "Maria" is not valid JSON`, `Unexpected token 'M', <…> is not valid JSON`],
    ['connect ECONNREFUSED 127.0.0.1:5432', 'connect ECONNREFUSED 127.0.0.1:5432'],
    [
      'record 0197aaaa-1234-7123-8123-123456789012 at 2026-01-31T10:00:00Z',
      'record 0197aaaa-1234-7123-8123-123456789012 at 2026-01-31T10:00:00Z',
    ],
    ['call 0151/23456789 or a.b@c.example', 'call <number> or <mail>'],
  ])('%s', (said, left) => expect(clean(said)).toBe(left));
});

it('loads nothing and serves nothing unless it is asked to', async () => {
  const none = await startTelemetry({
    role: 'web',
    version: '1',
    metricsPort: undefined,
    host: '127.0.0.1',
    log: () => undefined,
    variables: {},
  });
  const off = await startTelemetry({
    role: 'web',
    version: '1',
    metricsPort: undefined,
    host: '127.0.0.1',
    log: () => undefined,
    variables: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_SDK_DISABLED: 'true' },
  });
  await Promise.all([none.close(), off.close()]);
  await expect(
    startTelemetry({ role: 'web', version: '1', metricsPort: port, host: '127.0.0.1', log: () => undefined, variables: {} }),
  ).rejects.toThrow(/KITH_METRICS_PORT/);
});
