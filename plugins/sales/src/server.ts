/** What sales does: totals of lines, moving stock, winning and losing deals. */
import { canonicalDecimal, defineServer } from '@kith/sdk';
import Big from 'big.js';
import { sales } from './plugin.ts';
import { northwind } from './server/northwind.ts';

export const server = defineServer(sales, {
  demo: { northwind },
  guards: {
    /** Quantity times unit price less discount, exact: no figure is rounded. */
    orderLine: ({ record }) => {
      const { quantity, unitPrice, discount } = record;
      if (quantity === null || unitPrice === null) return { set: { total: null } };
      const amount = new Big(unitPrice.amount).times(quantity).times(new Big(1).minus(discount ?? 0));
      return { set: { total: { amount: canonicalDecimal(amount.toFixed()), currency: unitPrice.currency } } };
    },
  },
  actions: {
    deal: {
      win: ({ record, refuse }) => {
        if (record.fields.stage === 'won') refuse('This deal is won already.', 'stage');
        return { stage: 'won', lostReason: null };
      },
      lose: ({ record, input, refuse }) => {
        if (record.fields.stage === 'lost') refuse('This deal is lost already.', 'stage');
        return { stage: 'lost', lostReason: input.reason };
      },
    },
    product: {
      adjustStock: ({ record, input, refuse }) => {
        const stock = (record.fields.unitsInStock ?? 0) + (input.by ?? 0);
        if (stock < 0) refuse(`Only ${record.fields.unitsInStock ?? 0} are in stock.`, 'by');
        return { unitsInStock: stock };
      },
    },
  },
});
