/** What consent does: brings the purposes that everybody has, and the demo's consents. */
import { defineServer, type Context } from '@kith/sdk';
import { consent } from './plugin.ts';

const PURPOSES = [
  {
    key: 'correspondence',
    name: 'Correspondence',
    basis: 'legitimateInterest',
    description: 'Letters between people who do business with each other',
  },
  { key: 'newsletter', name: 'Newsletter', basis: 'consent', description: 'News and offers to many at once' },
  {
    key: 'service',
    name: 'Orders and service',
    basis: 'contract',
    description: 'What an order or a contract asks for: confirmations, delivery, repairs',
  },
] as const;

/** Brings a first set of purposes to a Kith that has none. Answers their ids by key. */
async function bringPurposes(ctx: Pick<Context<typeof consent>, 'asPlugin' | 'sql'>): Promise<Map<string, string>> {
  await ctx.sql`select pg_advisory_xact_lock(hashtextextended('consent.purposes', 0))`;
  // Those in the bin count: somebody threw them away.
  const known = await ctx.sql<{ id: string; key: string }>`select id, key from consent.purpose`;
  const ids = new Map(known.map(({ id, key }) => [key, id]));
  if (ids.size > 0) return ids;
  for (const purpose of PURPOSES) ids.set(purpose.key, (await ctx.asPlugin.create('consent.purpose', purpose)).id);
  return ids;
}

export const server = defineServer(consent, {
  start: async (ctx) => void (await bringPurposes(ctx)),
  demo: {
    northwind: {
      folder: new URL('../demo/', import.meta.url),
      load: async (ctx) => {
        const purpose = (await bringPurposes(ctx)).get('correspondence')!;
        const people = ['customer', 'supplier', 'carrier'].flatMap((kind) => [...(ctx.share.get(`${kind}Person`)?.values() ?? [])]);
        await ctx.records.createMany(
          'consent.consent',
          people.map((person) => ({ person, purpose, status: 'granted' as const, source: 'Northwind', proof: 'Asked at the first order' })),
        );
      },
    },
  },
});
