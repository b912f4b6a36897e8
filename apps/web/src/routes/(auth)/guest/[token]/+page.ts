import type { PageLoad } from './$types';

export const load: PageLoad = async ({ params, parent }) => {
  const { me } = await parent();
  return { token: params.token, signedIn: me !== null && me.kind !== 'guest' ? me.name : null };
};
