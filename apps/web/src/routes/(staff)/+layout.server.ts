import { navPages } from '#lib/record/slots.ts';
import { getRuntime } from '@kith/core/runtime';
import type { LayoutServerLoad } from './$types';

/** The rail's pages of plugins: asked on the server, so that a first page need not fetch what the plugins' screens are. */
export const load: LayoutServerLoad = async ({ locals }) => ({ pages: await navPages(getRuntime().plugins.on, locals.language) });
