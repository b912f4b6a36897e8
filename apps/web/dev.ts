/**
 * Kith within Vite's development server: the API, the sockets and the runtime
 * that the pages render with, all in this one process.
 */
import type { IncomingMessage } from 'node:http';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { pathToFileURL } from 'node:url';
import type { Plugin } from 'vite';

/** The development server answers `/api/v1`, `/collab` and `/live` besides pages. */
export function kith(): Plugin {
  return {
    name: 'kith',
    apply: 'serve',
    async configureServer(server) {
      // By its address, so that the bundler does not follow: a build needs no server.
      const file = pathToFileURL(path.join(import.meta.dirname, 'open.ts')).href;
      const { openWeb } = (await import(/* @vite-ignore */ file)) as typeof import('./open.ts');
      const web = await openWeb();
      server.httpServer?.on('listening', () => {
        const address = server.httpServer?.address();
        if (typeof address === 'object' && address) web.runtime.setPort(address.port);
        web.runtime.setReady(true);
      });
      server.middlewares.use((request, response, next) => {
        if (!web.handle(request, response)) next();
      });
      server.httpServer?.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
        // Every other upgrade is hot reload's.
        web.upgrade(request, socket, head);
      });
      server.httpServer?.on('close', () => void web.close());
    },
  };
}
