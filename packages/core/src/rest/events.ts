/** `GET /events`: the changes that the caller may see, as they happen. */
import type { Filter, ModelObject, Principal } from '@kith/sdk';
import { can, isRowless } from '../access/filter.ts';
import { accessOf } from '../access/grant.ts';
import { malformed, notFound } from '../errors.ts';
import { EVENT_STREAM } from './http.ts';
import type { Call } from './routes.ts';

/** Opens a stream of events. @throws 400, 404, 410, 429 */
export async function eventStream(call: Call, object: ModelObject | undefined, filter: Filter | undefined): Promise<Response> {
  const { runtime, url, request, principal } = call;
  if (filter && !object) throw malformed('A filter needs "object".');
  if (object && !mayOpen(object, principal)) throw notFound('object');
  // Refuses fields that the caller may not compare.
  if (object && filter) runtime.query.explainable(principal, object, { filter });
  const last = request.headers.get('last-event-id')?.trim() || url.searchParams.get('lastEventId') || undefined;
  const stream = await runtime.streams.open({
    principal,
    object,
    filter,
    last,
    renew: async () => {
      const now = (await call.again())?.principal ?? null;
      return now && object && !mayOpen(object, now) ? null : now;
    },
  });
  return new Response(stream, { headers: { 'content-type': EVENT_STREAM, 'cache-control': 'no-store' } });
}

/** Whether somebody may read any of an object's records. */
function mayOpen(object: ModelObject, principal: Principal): boolean {
  const { read } = accessOf(object, principal);
  return !isRowless(read) || can(object, principal, read, {}) !== false;
}
