// Generated from plugins/* by packages/installed/generate.ts; do not edit.
import type { Client } from '@kith/sdk';
import { client as contacts } from '@kith/plugin-contacts/client';
import { client as sales } from '@kith/plugin-sales/client';

export const clients: Client[] = [contacts, sales];
