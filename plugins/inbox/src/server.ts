/** What the inbox does: prepares what is written, and hears who wants no more of it. */
import { defineServer } from '@kith/sdk';
import { inbox } from './plugin.ts';
import { routes } from './server/routes.ts';
import { prepareMessages } from './server/write.ts';

export const server = defineServer(inbox, {
  routes,
  effects: { message: prepareMessages },
});
