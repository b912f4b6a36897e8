/** The browser half of logistics. What shipments look like to the staff and to carriers, where the generic screens do not suffice. */
import { defineClient } from '@kith/sdk';
import { logistics } from './plugin.ts';

export const client = defineClient(logistics, {});
