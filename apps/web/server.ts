/**
 * The web process in production: pages, REST API, live documents and live lists
 * on one port. It lives until it is told to stop, or until the process that
 * started it is gone.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { env as variables } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLog, requestAnswered } from '@kith/core';
import { EnvError, readEnv } from '@kith/core/env';
import { BootError } from '@kith/core/errors';
import { VERSION } from '@kith/core/runtime';
import { startTelemetry } from '@kith/core/telemetry';
import { openWeb } from './open.ts';

/** EX_CONFIG: starting again would not help. */
const EXIT_CONFIG = 78;
/** How long requests in flight may take once the process is to stop. */
const DRAIN_MS = 8000;
/** Set here on every request, so that no browser can say that it came by https. */
const PROTOCOL_HEADER = 'x-kith-protocol';

type Handler = (request: http.IncomingMessage, response: http.ServerResponse, next: () => void) => void;

async function main(): Promise<void> {
  const env = readEnv();
  const telemetry = await startTelemetry({
    role: 'web',
    version: VERSION,
    metricsPort: env.metricsPort,
    host: env.host,
    log: createLog(env.logLevel),
  });
  const web = await openWeb();
  const { runtime } = web;
  telemetry.observe(runtime, web.stats);

  // The built handler reads these while it is loaded: the protocol it cannot know, and limits that the API sets by itself.
  variables.PROTOCOL_HEADER = PROTOCOL_HEADER;
  variables.BODY_SIZE_LIMIT = 'Infinity';
  const protocol = env.origin?.startsWith('https:') ? 'https' : 'http';
  const { handler } = (await import(new URL('./build/handler.js', import.meta.url).href)) as { handler: Handler };

  const server = http.createServer((request, response) => {
    if (web.handle(request, response)) return;
    const began = performance.now();
    const route = request.url?.startsWith('/_app/') ? '(asset)' : '(page)';
    response.once('finish', () =>
      requestAnswered(request.method ?? 'GET', route, response.statusCode, (performance.now() - began) / 1_000),
    );
    request.headers[PROTOCOL_HEADER] = protocol;
    handler(request, response, () => response.writeHead(404).end());
  });
  // Longer than what proxies in front keep a connection, so that none is cut as it is used again.
  server.keepAliveTimeout = 65_000;
  server.on('upgrade', (request, socket, head) => {
    if (!web.upgrade(request, socket, head)) socket.destroy();
  });
  await listen(server, env.port, env.host);
  const { port } = server.address() as AddressInfo;
  runtime.setPort(port);

  let stopping = false;
  const stop = async (): Promise<void> => {
    if (stopping) return;
    stopping = true;
    // Whoever asks hears it first. A proxy that looks now and then is given the time to.
    runtime.setReady(false);
    await sleep(env.drainSeconds * 1_000);
    const late = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
    const answered = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    // What was typed is committed, then everybody is sent elsewhere; what was asked is answered before its connections to Postgres go.
    await web.leave();
    runtime.streams.close();
    await answered;
    clearTimeout(late);
    await telemetry.close();
    await web.close();
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop());
  process.on('disconnect', () => void stop());

  runtime.setReady(true);
  const host = env.host.includes(':') ? `[${env.host}]` : env.host;
  const url = env.origin ?? `http://${host === '0.0.0.0' || host === '[::]' ? 'localhost' : host}:${port}`;
  process.send?.({ type: 'ready', url });
}

function listen(server: http.Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE')
        reject(new BootError(`Port ${port} on ${host} is taken: stop what uses it, or choose another with PORT.`));
      else if (error.code === 'EACCES')
        reject(new BootError(`Port ${port} needs more rights than this process has: choose one from 1024 with PORT.`));
      else if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND')
        reject(new BootError(`HOST ${host} is no address of this machine: use 127.0.0.1 or 0.0.0.0.`));
      else reject(error);
    });
    server.listen(port, host, resolve);
  });
}

try {
  await main();
} catch (error) {
  if (!(error instanceof BootError || error instanceof EnvError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(EXIT_CONFIG);
}
