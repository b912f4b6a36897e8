/** The browser half of inbox. */
import { defineClient } from '@kith/sdk';
import { inbox } from './plugin.ts';

export const client = defineClient(inbox, {});
