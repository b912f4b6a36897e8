import { loading } from '#lib/load.ts';
import type { Permission } from '#lib/settings/permissions.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = ({ fetch }) =>
  loading(fetch, async (api) => ({ permissions: (await api.get<{ data: Permission[] }>('/permissions')).data }));
