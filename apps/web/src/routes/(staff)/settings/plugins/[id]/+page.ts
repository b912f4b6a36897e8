import { loading } from '#lib/load.ts';
import { settingsSections } from '#lib/record/slots.ts';
import type { InstalledPlugin, SettingMeta } from '#lib/settings/plugins.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ fetch, params, parent }) => {
  const loaded = await loading(fetch, async (api) => {
    const [plugin, { data }] = await Promise.all([
      api.get<InstalledPlugin>(`/plugins/${params.id}`),
      api.get<{ data: SettingMeta[] }>(`/plugins/${params.id}/settings`),
    ]);
    return { plugin, settings: data };
  });
  const { plugins, language } = await parent();
  return { ...loaded, sections: await settingsSections(plugins, params.id, language) };
};
