/** The server that rest.ts measures: the API on Node's http, with a clock on everything that is asked of Postgres. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { handleApi } from '@kith/core/http';
import { createKey } from '@kith/core/runtime';
import pg from 'pg';
import { runtimeOn } from './scratch.ts';

/** Milliseconds and number of queries since the last look. Queries that run side by side both count. */
const asked = { ms: 0, queries: 0 };

type Query = (this: pg.Client, ...args: unknown[]) => unknown;
const prototype = pg.Client.prototype as unknown as { query: Query };
const original = prototype.query;
prototype.query = function (...args) {
  // What goes on besides the requests: relaying and reading the event log.
  const { name } = args[0] as { name?: string };
  if (
    (this as unknown as { connectionParameters: { application_name?: string } }).connectionParameters.application_name === 'kith outbox' ||
    name === 'kith_events'
  ) {
    return original.apply(this, args);
  }
  const began = performance.now();
  asked.queries++;
  const done = (): void => {
    asked.ms += performance.now() - began;
  };
  const callback = args.at(-1);
  if (typeof callback === 'function') {
    args[args.length - 1] = (...results: unknown[]): void => {
      done();
      (callback as (...all: unknown[]) => void)(...results);
    };
    return original.apply(this, args);
  }
  const result = original.apply(this, args);
  if (result instanceof Promise) void result.then(done, done);
  return result;
};

const runtime = await runtimeOn(process.argv[2]!, ['web']);
const { key } = await createKey(runtime, { name: 'bench', role: 'member' });
const server = http.createServer((req, res) => {
  if (req.url === '/asked') {
    res.end(JSON.stringify({ ...asked, rss: process.memoryUsage.rss(), cpu: process.cpuUsage() }));
    asked.ms = 0;
    asked.queries = 0;
  } else if (!handleApi(runtime, req, res)) res.writeHead(404).end();
});
server.listen(0, '127.0.0.1', () => process.send!({ port: (server.address() as AddressInfo).port, key }));
process.once('disconnect', () => {
  server.closeAllConnections();
  server.close();
  void runtime.close().finally(() => process.exit());
});
