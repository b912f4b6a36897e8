/** What the inbox does: prepares what is written, and hears who wants no more of it. */
import { defineServer } from '@kith/sdk';
import { inbox } from './plugin.ts';
import { beginDigests, digest } from './server/digest.ts';
import { routes } from './server/routes.ts';
import { prepareMessages } from './server/write.ts';

export const server = defineServer(inbox, {
  routes,
  effects: { message: prepareMessages },
  jobs: {
    digests: { schedule: '*/15 * * * *', run: (_jobs, ctx) => beginDigests(ctx) },
    digest,
  },
});
