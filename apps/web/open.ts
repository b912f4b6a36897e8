/** The web role of a process, opened: its runtime with the sockets on it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { attach } from '@kith/collab';
import { readEnv } from '@kith/core/env';
import { handleApi } from '@kith/core/http';
import { BootError, createRuntime, migrate, setRuntime, type Runtime } from '@kith/core/runtime';
import { plugins } from '@kith/installed/plugins';
import { servers } from '@kith/installed/server';
import type { AnyPlugin, AnyServer } from '@kith/sdk';

export interface Web {
  runtime: Runtime;
  guests: Guests;
  /** Answers the API and the questions about health; false when the path is none of them. */
  handle: (request: IncomingMessage, response: ServerResponse) => boolean;
  /** Takes an upgrade to `/collab` or `/live`; false when the path is neither. */
  upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean;
  /** Open documents and sockets. */
  stats: () => { documents: number; sockets: number };
  /** Saves what is open and sends its people away; requests go on. */
  leave: () => Promise<void>;
  /** Saves what is open, then lets go of everything. */
  close: () => Promise<void>;
}

/** Plugins that are not those of the build: the development server loads them anew as they change. */
export interface Guests {
  plugins: readonly AnyPlugin[];
  servers: readonly AnyServer[];
}

/** @throws BootError or EnvError with one line that says what is missing */
export async function openWeb(changed?: Guests & { port: number }): Promise<Web> {
  const guests: Guests = changed ?? { plugins, servers };
  const env = readEnv();
  const { databaseUrl } = env;
  if (databaseUrl === undefined) {
    throw new BootError('DATABASE_URL is not set: “npm start” and “npm run dev” start the embedded database too.');
  }
  // Before the first one, the start has brought the database up to date.
  if (changed) await migrate({ plugins: guests.plugins, servers: guests.servers, databaseUrl });
  const runtime = await createRuntime({ roles: ['web'], plugins: guests.plugins, servers: guests.servers, env, databaseUrl });
  const collab = await attach(runtime);
  if (changed) {
    // It takes over at once: no page finds one that is not ready.
    runtime.setPort(changed.port);
    runtime.setReady(true);
  }
  setRuntime(runtime);
  return {
    runtime,
    guests,
    handle: (request, response) => handleApi(runtime, request, response),
    upgrade: (request, socket, head) => collab.upgrade(request, socket, head),
    stats: () => collab.stats(),
    leave: () => collab.close(),
    close: async () => {
      await collab.close();
      await runtime.close();
    },
  };
}
