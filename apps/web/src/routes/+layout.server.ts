import { getRuntime } from '@kith/core/runtime';
import type { Principal } from '@kith/sdk';
import type { Me } from '@kith/ui/types.ts';
import type { LayoutServerLoad } from './$types';

export const load: LayoutServerLoad = async ({ locals }) => {
  const { setup, mailer, plugins } = getRuntime();
  const { user, principal, as } = locals;
  const { name, currency } = await setup.organisation();
  return {
    me: (user as Me | null) ?? guest(principal),
    as,
    language: locals.language,
    // Which screens there are; strangers need none.
    plugins: principal ? plugins.onFor(as === null ? principal : { outside: { audience: as.split(':', 1)[0]! } }) : [],
    // Over which one may write: the staff alone does.
    channels: principal?.kind === 'staff' && as === null ? [...plugins.channels.keys()] : [],
    // Strangers learn the name that the sign-in page shows, and no more.
    organisation: principal ? { name, currency, ...(principal.kind === 'staff' && { mail: mailer.configured }) } : { name },
  };
};

/** Whoever came by a link has no account, and no settings. */
function guest(principal: Principal | null): Me | null {
  if (principal?.kind !== 'guest') return null;
  const { id, name } = principal;
  return { id, kind: 'guest', name, email: '', roles: [], language: null, timeZone: null, theme: 'system', color: 0 };
}
