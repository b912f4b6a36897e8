/** The server half of portals: accounts, invitations and links are the host’s own, so nothing is left to handle. */
import { defineServer } from '@kith/sdk';
import { portals } from './plugin.ts';

export const server = defineServer(portals, {});
