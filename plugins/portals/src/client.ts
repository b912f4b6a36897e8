/** The browser half of portals. The pages that every portal has besides the lists that its declaration names. */
import { defineClient } from '@kith/sdk';
import { portals } from './plugin.ts';

export const client = defineClient(portals, {});
