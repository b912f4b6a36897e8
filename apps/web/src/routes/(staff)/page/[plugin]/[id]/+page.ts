import { navPage } from '#lib/record/slots.ts';
import { error } from '@sveltejs/kit';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ params, parent }) => {
  const { pages, plugins } = await parent();
  const slot = await navPage(plugins, params.plugin, params.id);
  const listed = pages.find((one) => one.plugin === params.plugin && one.id === params.id);
  if (!slot || !listed) error(404, { message: 'Not found', code: 'not_found' });
  return { slot, title: listed.title };
};
