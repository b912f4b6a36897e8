/** The browser half of suppliers. What purchase orders look like to the staff and to suppliers, where the generic screens do not suffice. */
import { defineClient } from '@kith/sdk';
import { suppliers } from './plugin.ts';

export const client = defineClient(suppliers, {});
