/** The server half of contacts: its objects need no handlers beyond what their declarations say. */
import { defineServer } from '@kith/sdk';
import { contacts } from './plugin.ts';
import { northwind } from './server/northwind.ts';

export const server = defineServer(contacts, { demo: { northwind } });
