/** The browser half of contacts: the generic screens serve its objects well. */
import { defineClient } from '@kith/sdk';
import { contacts } from './plugin.ts';

export const client = defineClient(contacts, {});
