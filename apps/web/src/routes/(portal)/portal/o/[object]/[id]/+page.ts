import { loading } from '#lib/load.ts';
import { portalRecord } from '#lib/record/slots.ts';
import type { Rec, Refs } from '@kith/ui/types.ts';
import { error } from '@sveltejs/kit';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ params, fetch, parent, depends }) => {
  depends('kith:portal-record');
  const { objects, as, plugins } = await parent();
  const object = objects.find((one) => one.name === params.object);
  if (!object) error(404, { message: 'Not found', code: 'not_found' });
  const [record, slot] = await Promise.all([
    loading(fetch, (api) => api.get<Rec & { refs?: Refs }>(`/records/${object.name}/${params.id}`, { refs: 1 }), as),
    portalRecord(plugins, object.name),
  ]);
  return { object, record, slot };
};
