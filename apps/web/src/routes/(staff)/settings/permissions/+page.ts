import { loading } from '#lib/load.ts';
import type { NamedPermission, Permission } from '#lib/settings/permissions.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = ({ fetch }) =>
  loading(fetch, async (api) => {
    const { data, named } = await api.get<{ data: Permission[]; named: NamedPermission[] }>('/permissions');
    return { permissions: data, named };
  });
