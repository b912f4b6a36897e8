// Generated from plugins/* by packages/installed/generate.ts; do not edit.
import type { AnyServer } from '@kith/sdk';
import { server as contacts } from '@kith/plugin-contacts/server';
import { server as sales } from '@kith/plugin-sales/server';

export const servers: AnyServer[] = [contacts, sales];
