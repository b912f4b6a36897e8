import { error } from '@sveltejs/kit';
import type { PageLoad } from './$types';

/** Guests have no account; staff who look with a partner's eyes have their own page. */
export const load: PageLoad = async ({ parent }) => {
  const { portal, me } = await parent();
  if (portal.preview || me?.kind !== 'partner') error(404, { message: 'Not found', code: 'not_found' });
};
