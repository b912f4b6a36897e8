/** A plugin for tests of background work: jobs of every kind, a consumer, a schedule. What they do is counted in records. */
import { definePlugin, defineServer, number, object, text, type Json, type Outcome } from '@kith/sdk';

export const works = definePlugin({
  id: 'works',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'operational',
  locales: { en: { 'plugin.works': 'Works' } },
  objects: {
    order: object({
      icon: 'box',
      title: ['name'],
      fields: { name: text({ required: true, indexed: true }), note: text(), size: number() },
    }),
    /** One for each effect. */
    effect: object({ icon: 'box', title: ['of'], fields: { of: text({ indexed: true }), kind: text({ indexed: true }) } }),
  },
});

type Data = Record<string, string>;
/** What the outside does when it is called, by the job's `how`; and what it was asked to do, by key. */
export const outside = { calls: new Map<string, number>(), hang: new Map<string, () => void>() };

export const worksServer = defineServer(works, {
  jobs: {
    make: {
      batch: 50,
      run: async (jobs, ctx) => {
        if (jobs.some(({ data }) => (data as Data).poison)) throw new Error('This one is poisoned.');
        await ctx.asPlugin.createMany(
          'works.effect',
          jobs.map(({ data }) => ({ of: (data as Data).of!, kind: 'made' })),
        );
      },
    },
    slow: {
      lane: 'interactive',
      timeout: 1,
      tries: 1,
      run: async ([job], ctx) => {
        await new Promise((resolve) => setTimeout(resolve, 2_000));
        await ctx.asPlugin.create('works.effect', { of: (job!.data as Data).of!, kind: 'late' });
      },
    },
    daily: {
      schedule: '0 3 * * *',
      run: async ([job], ctx) => {
        await ctx.asPlugin.create('works.effect', { of: (job!.data as Data).at!, kind: 'daily' });
      },
    },
    call: {
      lane: 'bulk',
      timeout: 2,
      tries: 3,
      prepare: (job) => Promise.resolve((job.data as Data).cancelled ? null : job.data),
      call: async (data, { key }): Promise<Outcome<Json>> => {
        const { how, url } = data as Data;
        if (url !== undefined) await fetch(`${url}?key=${key}`);
        outside.calls.set(key, (outside.calls.get(key) ?? 0) + 1);
        if (how === 'refuse') return { state: 'refused', retry: false, error: 'No such person.' };
        if (how === 'busy') return { state: 'refused', retry: true, error: 'Come again.' };
        if (how === 'hang') await new Promise<void>((resolve) => outside.hang.set(key, resolve));
        if (how === 'break') throw new Error('The line broke.');
        return { state: 'sent', result: key };
      },
      finish: async (job, outcome, ctx) => {
        const { of, how } = job.data as Data;
        if (how === 'unwritable') throw new Error('This cannot be noted.');
        await ctx.asPlugin.create('works.effect', { of: of!, kind: outcome.state });
      },
    },
  },
  consumers: {
    follow: {
      objects: ['works.order'],
      handle: async (events, ctx) => {
        const created = events.filter(({ kind }) => kind === 'created');
        const names = created.map(({ changes }) => changes.name?.[1] as string);
        if (names.includes('poison')) throw new Error('This event is poisoned.');
        await ctx.asPlugin.createMany(
          'works.effect',
          created.map(({ record }) => ({ of: record, kind: 'followed' })),
        );
        for (const { record, changes } of events.filter(({ kind }) => kind === 'settled'))
          await ctx.asPlugin.create('works.effect', { of: record, kind: `settled ${JSON.stringify(changes)}` });
        for (const name of names) if (name.startsWith('job ')) await ctx.queue('make', { of: name });
        const url = process.env['KITH_TEST_OUTSIDE'];
        if (url !== undefined)
          await ctx.queueAll(
            'call',
            created.filter((_, i) => names[i]!.startsWith('call ')).map(({ record }) => ({ of: record, url })),
          );
      },
    },
  },
});
