/**
 * The worker process. It opens the worker's half of the runtime and lives until
 * it is told to stop, or until the process that started it is gone.
 */
import http from 'node:http';
import { createLog } from '@kith/core';
import { EnvError, readEnv } from '@kith/core/env';
import { BootError } from '@kith/core/errors';
import { createRuntime, VERSION, type Runtime } from '@kith/core/runtime';
import { startTelemetry } from '@kith/core/telemetry';
import { plugins } from '@kith/installed/plugins';
import { servers } from '@kith/installed/server';

/** EX_CONFIG: starting again would not help. */
const EXIT_CONFIG = 78;

async function main(): Promise<void> {
  const env = readEnv();
  if (env.databaseUrl === undefined)
    throw new BootError('DATABASE_URL is not set: “kith start --roles worker” starts the embedded database too.');
  const telemetry = await startTelemetry({
    role: 'worker',
    version: VERSION,
    metricsPort: env.metricsPort,
    host: env.host,
    log: createLog(env.logLevel),
  });
  const runtime = await createRuntime({
    roles: ['worker'],
    plugins,
    servers,
    env,
    databaseUrl: env.databaseUrl,
  });
  telemetry.observe(runtime);
  const health = env.healthPort === undefined ? undefined : await serveHealth(runtime, env.host, env.healthPort);

  let stopping = false;
  const stop = async (): Promise<void> => {
    if (stopping) return;
    stopping = true;
    runtime.setReady(false);
    await telemetry.close();
    await runtime.close();
    health?.close();
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop());
  process.on('disconnect', () => void stop());
  runtime.setReady(true);
  process.send?.({ type: 'ready' });
}

/** /healthz while the process lives, /readyz while it works. */
async function serveHealth(runtime: Runtime, host: string, port: number): Promise<http.Server> {
  const server = http.createServer((request, response) => {
    const path = request.url?.split('?')[0];
    const status = path === '/healthz' ? 200 : path === '/readyz' ? (runtime.ready() ? 200 : 503) : 404;
    response
      .writeHead(status, { 'content-type': 'text/plain' })
      .end(status === 200 ? 'ok\n' : status === 503 ? 'not ready\n' : 'not found\n');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'EADDRINUSE' ? new BootError(`Port ${port} (KITH_HEALTH_PORT) on ${host} is taken: choose another.`) : error),
    );
    server.listen(port, host, resolve);
  });
  return server;
}

try {
  await main();
} catch (error) {
  if (!(error instanceof BootError || error instanceof EnvError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(EXIT_CONFIG);
}
