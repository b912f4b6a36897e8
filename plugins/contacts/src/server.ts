/** The server half of contacts: whom it tells of what. */
import { defineServer } from '@kith/sdk';
import { contacts } from './plugin.ts';
import { northwind } from './server/northwind.ts';
import { assignments, mentions, remind, reminders, tellDue } from './server/notices.ts';

export const server = defineServer(contacts, {
  demo: { northwind },
  consumers: { assignments, mentions, reminders },
  jobs: {
    remind: {
      run: async ([job], ctx) => {
        const { task, at } = job!.data as { task: string; at: string };
        await remind(task, at, ctx);
      },
    },
    due: { schedule: '*/15 * * * *', run: (_jobs, ctx) => tellDue(ctx) },
  },
});
