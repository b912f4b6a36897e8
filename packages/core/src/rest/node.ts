/** The API on Node's own http server, without a framework between. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Runtime } from '../runtime.ts';
import { sendResponse, toRequest } from './http.ts';

/** How long a client may go on sending after it got its answer. */
const LINGER_MS = 2_000;

/**
 * Answers requests to `/api/v1`, `/healthz` and `/readyz`.
 * @returns false when the path is none of these and nothing was written
 */
export function handleApi(runtime: Runtime, req: IncomingMessage, res: ServerResponse): boolean {
  const path = (req.url ?? '/').split('?', 1)[0]!;
  if (path === '/healthz' || path === '/readyz') {
    const ok = path === '/healthz' || runtime.ready();
    res.writeHead(ok ? 200 : 503, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' });
    res.end(ok ? 'ok\n' : 'not ready\n');
    return true;
  }
  if (path !== '/api/v1' && !path.startsWith('/api/v1/')) return false;
  void runtime.api
    .handle(toRequest(req), { ip: req.socket.remoteAddress ?? '' })
    .then(async (response) => {
      await sendResponse(response, res, req.method === 'HEAD');
      // An answer that came before the body was read (401, 413) leaves the rest of it on the wire. To close at
      // once would take the answer away from a client that is still sending, so what comes is thrown away for a while.
      if (!req.complete) setTimeout(() => (req.complete ? undefined : req.destroy()), LINGER_MS).unref();
    })
    .catch(() => res.destroy());
  return true;
}
