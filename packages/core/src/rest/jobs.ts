/** Routes of background work: for administrators, who see what keeps failing and decide what becomes of it. */
import { isUuid, type Model } from '@kith/sdk';
import { malformed, notFound } from '../errors.ts';
import { dropJobs, jobsGlance, parkedJobs, replayJobs, type Selection } from '../jobs/parked.ts';
import { empty, json } from './http.ts';
import { text } from './meta.ts';
import type { Call, Route } from './routes.ts';

/** What a handler does, in words where its plugin has some; else its name. */
function labelOf(model: Model, handler: string, language: string): string {
  const dot = handler.indexOf('.');
  const [plugin, name] = [handler.slice(0, dot), handler.slice(dot + 1)];
  const key = `job.${name}`;
  const label = text(model, plugin, key, language);
  return label === key ? handler : label;
}

const labelled = <T extends { handler: string }>({ runtime, language }: Call, one: T): T & { label: string } => ({
  ...one,
  label: labelOf(runtime.model, one.handler, language),
});

/** What a body chooses: the jobs named, or all of a handler. @throws 400 */
function selectionOf(body: Record<string, unknown>): Selection {
  const { ids, handler } = body;
  if (typeof handler === 'string' && ids === undefined && handler.length <= 200 && !handler.includes('\u0000')) return { handler };
  if (Array.isArray(ids) && handler === undefined && ids.length <= 1_000 && ids.every(isUuid)) return { ids };
  throw malformed('Say which jobs: their "ids", at most 1,000, or the "handler" that all of them have.');
}

async function replayed({ runtime }: Call, selection: Selection): Promise<number> {
  const count = await replayJobs(runtime.pool, selection, runtime.clock());
  if (count > 0) runtime.bus.jobsAdded();
  return count;
}

function oneOf({ params }: Call): Selection {
  if (!isUuid(params.id)) throw notFound('parked job');
  return { ids: [params.id] };
}

/** The routes of this file, for the table of all. `limitOf` reads the number of jobs that are wanted. */
export const jobRoutes = (limitOf: (url: URL) => number): readonly Route[] => [
  {
    method: 'GET',
    path: '/jobs',
    access: 'admin',
    summary: 'Jobs that kept failing and were set aside, the last first',
    doc: {
      query: { state: 'parked', limit: 'how many, at most 200', cursor: 'nextCursor of the page before' },
      answer: 'page',
    },
    handle: async (call) => {
      const { searchParams } = call.url;
      if ((searchParams.get('state') ?? 'parked') !== 'parked') throw malformed('Only parked jobs are listed; "state" is "parked".');
      const page = await parkedJobs(call.runtime.pool, limitOf(call.url), searchParams.get('cursor') ?? undefined);
      return json({ ...page, data: page.data.map((one) => labelled(call, one)) });
    },
  },
  {
    method: 'GET',
    path: '/jobs/summary',
    access: 'admin',
    summary: 'How many jobs of each lane wait, are under way and are parked',
    handle: async (call) => {
      const glance = await jobsGlance(call.runtime.pool);
      return json({ ...glance, parked: glance.parked.map((one) => labelled(call, one)) });
    },
  },
  {
    method: 'POST',
    path: '/jobs/{id}/replay',
    access: 'admin',
    summary: 'Do a parked job again, now',
    doc: { body: {}, status: 204 },
    handle: async (call) => {
      if ((await replayed(call, oneOf(call))) === 0) throw notFound('parked job');
      return empty();
    },
  },
  {
    method: 'DELETE',
    path: '/jobs/{id}',
    access: 'admin',
    summary: 'Drop a parked job: it will not be done',
    doc: { status: 204 },
    handle: async (call) => {
      if ((await dropJobs(call.runtime.pool, oneOf(call))) === 0) throw notFound('parked job');
      return empty();
    },
  },
  {
    method: 'POST',
    path: '/jobs/replay',
    access: 'admin',
    summary: 'Do parked jobs again: those named, or all of a handler; answers how many',
    doc: { body: { handler: 'string', ids: 'strings' } },
    handle: async (call) => json({ count: await replayed(call, selectionOf(await call.body())) }),
  },
  {
    method: 'POST',
    path: '/jobs/drop',
    access: 'admin',
    summary: 'Drop parked jobs: those named, or all of a handler; answers how many',
    doc: { body: { handler: 'string', ids: 'strings' } },
    handle: async (call) => json({ count: await dropJobs(call.runtime.pool, selectionOf(await call.body())) }),
  },
];
