import { navPages } from '#lib/record/slots.ts';
import { getRuntime } from '@kith/core/runtime';
import type { LayoutServerLoad } from './$types';

/** The rail's pages of plugins: asked on the server, so that a first page need not fetch what the plugins' screens are. */
export const load: LayoutServerLoad = async ({ locals }) => {
  const { plugins, permissions } = getRuntime();
  const has = (name: string): boolean => locals.principal !== null && permissions.has(locals.principal, name);
  return { pages: await navPages(plugins.on, locals.language, has) };
};
