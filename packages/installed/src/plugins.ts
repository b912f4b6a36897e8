// Generated from plugins/* by packages/installed/generate.ts; do not edit.
import type { AnyPlugin } from '@kith/sdk';
import { contacts } from '@kith/plugin-contacts/plugin';
import { automation } from '@kith/plugin-automation/plugin';
import { sales } from '@kith/plugin-sales/plugin';
import { insights } from '@kith/plugin-insights/plugin';
import { portals } from '@kith/plugin-portals/plugin';
import { logistics } from '@kith/plugin-logistics/plugin';
import { suppliers } from '@kith/plugin-suppliers/plugin';

export const plugins: AnyPlugin[] = [contacts, automation, sales, insights, portals, logistics, suppliers];
