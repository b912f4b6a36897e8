/** What automation does. */
import { defineServer } from '@kith/sdk';
import { automation } from './plugin.ts';

export const server = defineServer(automation, {});
