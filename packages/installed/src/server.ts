// Generated from plugins/* by packages/installed/generate.ts; do not edit.
import type { AnyServer } from '@kith/sdk';
import { server as contacts } from '@kith/plugin-contacts/server';
import { server as automation } from '@kith/plugin-automation/server';
import { server as consent } from '@kith/plugin-consent/server';
import { server as inbox } from '@kith/plugin-inbox/server';
import { server as email } from '@kith/plugin-email/server';
import { server as sales } from '@kith/plugin-sales/server';
import { server as insights } from '@kith/plugin-insights/server';
import { server as portals } from '@kith/plugin-portals/server';
import { server as logistics } from '@kith/plugin-logistics/server';
import { server as suppliers } from '@kith/plugin-suppliers/server';

export const servers: AnyServer[] = [contacts, automation, consent, inbox, email, sales, insights, portals, logistics, suppliers];
