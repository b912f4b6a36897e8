import { getRuntime } from '@kith/core/runtime';
import { redirect } from '@sveltejs/kit';
import type { PageServerLoad } from './$types';

export const load: PageServerLoad = async () => {
  const state = await getRuntime().setup.state();
  if (state.needed) redirect(303, '/setup');
  // The staff's demo logins stand at the staff's own door.
  return { logins: state.demo ? (state.logins ?? []).filter((login) => login.kind === 'partner') : [] };
};
