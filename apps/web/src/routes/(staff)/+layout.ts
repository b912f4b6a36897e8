import { loading } from '#lib/load.ts';
import { withOwners } from '@kith/ui/meta.ts';
import type { ObjectMeta, StaffUser } from '@kith/ui/types.ts';
import type { LayoutLoad } from './$types';

export const load: LayoutLoad = ({ fetch, data }) =>
  loading(fetch, async (api) => {
    const [objects, users] = await Promise.all([api.get<{ data: ObjectMeta[] }>('/objects'), api.get<{ data: StaffUser[] }>('/users')]);
    return { ...data, objects: withOwners(objects.data), users: users.data };
  });
