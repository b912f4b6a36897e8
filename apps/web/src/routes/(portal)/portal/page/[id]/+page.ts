import { portalPages } from '#lib/record/slots.ts';
import { error } from '@sveltejs/kit';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ params, parent }) => {
  const { portal, language, plugins } = await parent();
  const slot = (await portalPages(plugins, language)).find((one) => one.id === params.id);
  if (!slot || !portal.partner || (slot.admin && !portal.person.admin)) error(404, { message: 'Not found', code: 'not_found' });
  return { slot };
};
