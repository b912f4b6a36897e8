/** The browser half of sales: the generic screens serve its objects well. */
import { defineClient } from '@kith/sdk';
import { sales } from './plugin.ts';

export const client = defineClient(sales, {});
