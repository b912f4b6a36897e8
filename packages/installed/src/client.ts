// Generated from plugins/* by packages/installed/generate.ts; do not edit.
import type { Client } from '@kith/sdk';
import { client as contacts } from '@kith/plugin-contacts/client';
import { client as automation } from '@kith/plugin-automation/client';
import { client as sales } from '@kith/plugin-sales/client';
import { client as insights } from '@kith/plugin-insights/client';
import { client as portals } from '@kith/plugin-portals/client';
import { client as logistics } from '@kith/plugin-logistics/client';
import { client as suppliers } from '@kith/plugin-suppliers/client';

export const clients: Client[] = [contacts, automation, sales, insights, portals, logistics, suppliers];
