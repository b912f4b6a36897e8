/** What automation does: follows changes and the clock, and takes runs through their steps. */
import { defineServer } from '@kith/sdk';
import { automation } from './plugin.ts';
import { goOn, start, TRIES } from './server/engine.ts';
import { bringShipped, followWorkflows } from './server/keeping.ts';
import { routes } from './server/routes.ts';
import { migrations } from './server/store.ts';
import { follow, tick } from './server/triggers.ts';

export const server = defineServer(automation, {
  migrations,
  routes,
  consumers: {
    triggers: {
      // Workflows and their runs set nothing off.
      objects: (model) => [...model.objects.values()].filter(({ plugin }) => plugin !== 'automation').map(({ name }) => name),
      handle: follow,
    },
  },
  jobs: {
    start: { batch: 250, tries: TRIES, run: start },
    go: { batch: 100, tries: TRIES, run: goOn },
    tick: { schedule: '* * * * *', run: (_jobs, ctx) => tick(ctx) },
  },
  effects: { workflow: followWorkflows },
  start: bringShipped,
});
