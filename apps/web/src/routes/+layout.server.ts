import type { Organisation } from '@kith/ui/app.svelte.ts';
import type { LayoutServerLoad } from './$types';

interface Setup {
  needed: boolean;
  demo: boolean;
  logins?: { email: string; name: string }[];
  organisation: Organisation;
}

export const load: LayoutServerLoad = async ({ locals, fetch }) => {
  const setup = (await (await fetch('/api/v1/setup')).json()) as Setup;
  return {
    me: locals.user,
    language: locals.language,
    organisation: setup.organisation,
    setup: { needed: setup.needed, demo: setup.demo, logins: setup.logins ?? [] },
  };
};
