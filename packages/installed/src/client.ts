// Generated from plugins/* by packages/installed/generate.ts; do not edit.
import type { Client } from '@kith/sdk';
import { client as contacts } from '@kith/plugin-contacts/client';
import { client as automation } from '@kith/plugin-automation/client';
import { client as consent } from '@kith/plugin-consent/client';
import { client as inbox } from '@kith/plugin-inbox/client';
import { client as email } from '@kith/plugin-email/client';
import { client as sales } from '@kith/plugin-sales/client';
import { client as insights } from '@kith/plugin-insights/client';
import { client as portals } from '@kith/plugin-portals/client';
import { client as logistics } from '@kith/plugin-logistics/client';
import { client as suppliers } from '@kith/plugin-suppliers/client';

export const clients: Client[] = [contacts, automation, consent, inbox, email, sales, insights, portals, logistics, suppliers];
