/** What the inbox does: prepares what is written, sends it over its channel, files what comes in, and hears who wants no more. */
import { defineServer } from '@kith/sdk';
import { inbox } from './plugin.ts';
import { beginDigests, digest } from './server/digest.ts';
import { deliver, queueDeliveries, sendWaiting } from './server/deliver.ts';
import { routes } from './server/routes.ts';
import { takeMessages } from './server/write.ts';

/** Templates of the demo, by the key of their purpose. */
const TEMPLATES = [
  {
    name: 'Welcome',
    purpose: 'correspondence',
    subject: 'Welcome to {{organisation.name}}',
    body: `Dear {{person.firstName}} {{person.lastName}},

thank you for choosing us. I am the one to turn to for everything that {{company.name}} needs; a reply to this mail reaches me directly.

Kind regards
{{sender.name}}
{{organisation.name}}`,
  },
  {
    name: 'News of the month',
    purpose: 'newsletter',
    subject: 'What is new this month at {{organisation.name}}',
    body: `Dear {{person.firstName}},

these are our new arrivals this month, chosen for {{company.name}} in {{company.city}}.

Write to me if you would like samples.

Kind regards
{{sender.name}}`,
  },
] as const;

export const server = defineServer(inbox, {
  routes,
  effects: { message: takeMessages },
  migrations: [
    {
      // Sending was the work of the plugin “email” alone: what it had begun goes on here, from where it was.
      name: '0001-deliveries',
      up: [
        `update kith.job set handler = 'inbox.deliver' where handler = 'email.send'`,
        `insert into kith.consumer (name, position) select 'inbox.deliveries', position from kith.consumer where name = 'email.messages' on conflict do nothing`,
        `delete from kith.consumer where name = 'email.messages'`,
      ],
    },
  ],
  consumers: { deliveries: { objects: ['inbox.message'], handle: queueDeliveries } },
  jobs: {
    deliver,
    waiting: { schedule: '* * * * *', run: (_jobs, ctx) => sendWaiting(ctx) },
    digests: { schedule: '*/15 * * * *', run: (_jobs, ctx) => beginDigests(ctx) },
    digest,
  },
  demo: {
    northwind: {
      folder: new URL('../demo/', import.meta.url),
      load: async (ctx) => {
        const purposes = await ctx.sql<{ id: string; key: string }>`select id, key from consent.purpose where deleted_at is null`;
        await ctx.records.createMany(
          'inbox.template',
          TEMPLATES.map((template) => ({ ...template, purpose: purposes.find(({ key }) => key === template.purpose)?.id ?? null })),
        );
      },
    },
  },
});
