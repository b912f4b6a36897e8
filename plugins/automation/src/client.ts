/** The browser half of automation. */
import { defineClient } from '@kith/sdk';
import { automation } from './plugin.ts';

export const client = defineClient(automation, {});
