import { loading } from '#lib/load.ts';
import type { Page } from '@kith/ui/types.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = ({ fetch, url, parent, depends }) => {
  depends('kith:bin');
  return loading(fetch, async (api) => {
    const { objects } = await parent();
    const readable = objects.filter((object) => object.rights.read);
    const chosen = readable.find((object) => object.name === url.searchParams.get('object'));
    const pages = await Promise.all(
      (chosen ? [chosen] : readable).map((object) =>
        api.get<Page>('/bin', { object: object.name, fields: object.title.join(), limit: chosen ? 200 : 40, refs: 1 }),
      ),
    );
    const data = pages
      .flatMap((page) => page.data)
      .sort((a, b) => ((a.deletedAt ?? '') < (b.deletedAt ?? '') ? 1 : -1))
      .slice(0, 200);
    return { chosen: chosen?.name ?? '', data, refs: Object.assign({}, ...pages.map((page) => page.refs)) as NonNullable<Page['refs']> };
  });
};
