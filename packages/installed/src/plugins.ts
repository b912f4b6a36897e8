// Generated from plugins/* by packages/installed/generate.ts; do not edit.
import type { AnyPlugin } from '@kith/sdk';
import { contacts } from '@kith/plugin-contacts/plugin';
import { sales } from '@kith/plugin-sales/plugin';

export const plugins: AnyPlugin[] = [contacts, sales];
