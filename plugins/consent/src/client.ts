/** The browser half of consent. */
import { defineClient } from '@kith/sdk';
import { consent } from './plugin.ts';

export const client = defineClient(consent, {});
