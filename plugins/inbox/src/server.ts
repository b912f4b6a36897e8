/** What the inbox does: prepares what is written, and hears who wants no more of it. */
import { defineServer } from '@kith/sdk';
import { inbox } from './plugin.ts';
import { beginDigests, digest } from './server/digest.ts';
import { routes } from './server/routes.ts';
import { prepareMessages } from './server/write.ts';

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
  effects: { message: prepareMessages },
  jobs: {
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
