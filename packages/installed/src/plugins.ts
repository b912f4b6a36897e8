// Generated from plugins/* by packages/installed/generate.ts; do not edit.
import type { AnyPlugin } from '@kith/sdk';
import { contacts } from '@kith/plugin-contacts/plugin';
import { automation } from '@kith/plugin-automation/plugin';
import { consent } from '@kith/plugin-consent/plugin';
import { inbox } from '@kith/plugin-inbox/plugin';
import { email } from '@kith/plugin-email/plugin';
import { sales } from '@kith/plugin-sales/plugin';
import { insights } from '@kith/plugin-insights/plugin';
import { portals } from '@kith/plugin-portals/plugin';
import { logistics } from '@kith/plugin-logistics/plugin';
import { suppliers } from '@kith/plugin-suppliers/plugin';

export const plugins: AnyPlugin[] = [contacts, automation, consent, inbox, email, sales, insights, portals, logistics, suppliers];
