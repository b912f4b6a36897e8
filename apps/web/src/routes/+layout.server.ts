import { getRuntime } from '@kith/core/runtime';
import type { Me } from '@kith/ui/types.ts';
import type { LayoutServerLoad } from './$types';

export const load: LayoutServerLoad = async ({ locals }) => {
  const { setup } = getRuntime();
  const { user } = locals;
  const { name, currency } = await setup.organisation();
  return {
    me: user as Me | null,
    language: locals.language,
    // Strangers learn the name that the sign-in page shows, and no more.
    organisation: user ? { name, currency } : { name },
  };
};
