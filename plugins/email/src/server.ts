/** What e-mail does: follows the messages that are queued for it, and sends each once. */
import { defineServer } from '@kith/sdk';
import { email } from './plugin.ts';
import { send } from './server/send.ts';

export const server = defineServer(email, {
  consumers: {
    messages: {
      objects: ['inbox.message'],
      handle: async (events, ctx) => {
        const ids = [...new Set(events.filter(({ changes }) => changes.status?.[1] === 'queued').map(({ record }) => record))];
        await ctx.queueAll(
          'send',
          ids.map((message) => ({ message })),
        );
      },
    },
  },
  jobs: { send },
});
