import { loading } from '#lib/load.ts';
import { withOwners } from '@kith/ui/meta.ts';
import type { Portal } from '@kith/ui/portal.ts';
import type { ObjectMeta } from '@kith/ui/types.ts';
import type { LayoutLoad } from './$types';

export const load: LayoutLoad = async ({ fetch, parent }) => {
  const { as } = await parent();
  return loading(
    fetch,
    async (api) => {
      const [portal, objects] = await Promise.all([api.get<Portal>('/portal'), api.get<{ data: ObjectMeta[] }>('/objects')]);
      return { portal, objects: withOwners(objects.data) };
    },
    as,
  );
};
