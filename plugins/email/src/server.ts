/** What e-mail does: hands each message to the mail server, once. */
import { defineServer } from '@kith/sdk';
import { email } from './plugin.ts';
import { send } from './server/send.ts';

export const server = defineServer(email, { channels: { email: { reach: 'email', send } } });
