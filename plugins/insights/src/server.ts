/** What insights does: follows what is sold, and classes customers by it. */
import { defineServer } from '@kith/sdk';
import { insights } from './plugin.ts';
import { routes } from './server/metrics.ts';
import { classify, follow, FOLLOWED, migrations, rebuild, refresh, scoreAll } from './server/scores.ts';

export const server = defineServer(insights, {
  migrations,
  routes,
  consumers: {
    // Every change as it comes: what is between two of them may have been counted too.
    revenue: { objects: FOLLOWED, unsettled: true, handle: follow },
  },
  jobs: {
    /**
     * Every night, with a look at whether each company has its revenue: the organisation may have another currency since.
     * Many changes are written in several transactions, each of which queues the next.
     */
    classify: {
      lane: 'bulk',
      schedule: '15 3 * * *',
      timeout: 900,
      run: async (_jobs, ctx) => {
        if (await refresh(ctx)) await ctx.queue('refresh', {}, { key: 'more' });
        else if (await classify(ctx)) await ctx.queue('classify', {}, { key: 'more' });
      },
    },
    /** Once a week, and first of all: finds the same as what was followed, or repairs it. */
    rebuild: {
      lane: 'bulk',
      schedule: '45 2 * * 0',
      timeout: 900,
      run: async (_jobs, ctx) => {
        await rebuild(ctx);
        await ctx.queue('refresh', {}, { key: 'rebuilt' });
      },
    },
    refresh: {
      lane: 'bulk',
      timeout: 900,
      run: async (_jobs, ctx) => {
        if (await refresh(ctx)) await ctx.queue('refresh', {}, { key: 'more' });
        else await ctx.queue('classify', {}, { key: 'more' });
      },
    },
  },
  /** Orders that are older than this plugin have told nobody. */
  start: async (ctx) => {
    const [state] = await ctx.sql<{ rebuilt_at: string | null }>`select rebuilt_at from insights.state`;
    if (!state?.rebuilt_at) await ctx.queue('rebuild', {}, { key: 'first' });
  },
  demo: { northwind: { folder: new URL('../demo/northwind/', import.meta.url), load: scoreAll } },
});
