/** The web role of a process, opened: its runtime with the sockets on it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { attach } from '@kith/collab';
import { readEnv } from '@kith/core/env';
import { handleApi } from '@kith/core/http';
import { BootError, createRuntime, setRuntime, type Runtime } from '@kith/core/runtime';
import { plugins } from '@kith/installed/plugins';
import { servers } from '@kith/installed/server';

export interface Web {
  runtime: Runtime;
  /** Answers the API and the questions about health; false when the path is none of them. */
  handle: (request: IncomingMessage, response: ServerResponse) => boolean;
  /** Takes an upgrade to `/collab` or `/live`; false when the path is neither. */
  upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean;
  /** Saves what is open, then lets go of everything. */
  close: () => Promise<void>;
}

/** @throws BootError or EnvError with one line that says what is missing */
export async function openWeb(): Promise<Web> {
  const env = readEnv();
  const { databaseUrl } = env;
  if (databaseUrl === undefined) {
    throw new BootError('DATABASE_URL is not set: “npm start” and “npm run dev” start the embedded database too.');
  }
  const runtime = await createRuntime({ roles: ['web'], plugins, servers, env, databaseUrl });
  setRuntime(runtime);
  const collab = await attach(runtime);
  return {
    runtime,
    handle: (request, response) => handleApi(runtime, request, response),
    upgrade: (request, socket, head) => collab.upgrade(request, socket, head),
    close: async () => {
      await collab.close();
      await runtime.close();
    },
  };
}
