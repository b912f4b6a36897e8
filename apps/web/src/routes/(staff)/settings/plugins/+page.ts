import { loading } from '#lib/load.ts';
import type { PluginList } from '#lib/settings/plugins.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = ({ fetch }) => loading(fetch, async (api) => ({ list: await api.get<PluginList>('/plugins') }));
