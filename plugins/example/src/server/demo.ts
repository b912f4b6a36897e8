/** A desk with something to lend. */
import type { Demo } from '@kith/sdk';
import type { example } from '../plugin.ts';

export const load: NonNullable<Demo<typeof example>['load']> = async (ctx) => {
  for (const { name, serial, kind, rate } of await ctx.table('equipment.csv')) {
    await ctx.records.create('example.equipment', {
      name: name!,
      serial: serial!,
      kind: kind as 'tool' | 'vehicle' | 'other',
      rate: { amount: rate!, currency: 'EUR' },
    });
  }
};
