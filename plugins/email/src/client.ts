/** The browser half of email. */
import { defineClient } from '@kith/sdk';
import { email } from './plugin.ts';

export const client = defineClient(email, {});
