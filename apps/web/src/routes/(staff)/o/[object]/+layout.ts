import { loading } from '#lib/load.ts';
import type { SavedView } from '@kith/ui/types.ts';
import { error } from '@sveltejs/kit';
import type { LayoutLoad } from './$types';

export const load: LayoutLoad = async ({ params, fetch, parent, depends }) => {
  depends('kith:views');
  const { objects } = await parent();
  const object = objects.find((one) => one.name === params.object);
  // The API says why: it may be switched off.
  if (!object) await loading(fetch, (api) => api.get(`/objects/${params.object}`));
  if (!object?.rights.read) error(404, { message: 'Not found', code: 'not_found' });
  const saved = await loading(fetch, (api) => api.get<{ data: SavedView[] }>('/views', { object: object.name }));
  return { object, saved: saved.data };
};
