import { loading } from '#lib/load.ts';
import { columnsOf } from '#lib/portal/cards.ts';
import type { Page } from '@kith/ui/types.ts';
import { error } from '@sveltejs/kit';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ params, url, fetch, parent }) => {
  const { portal, objects, as } = await parent();
  const list = portal.pages.find((one) => one.id === params.page);
  const object = objects.find((one) => one.name === list?.object);
  if (!list || !object) error(404, { message: 'Not found', code: 'not_found' });
  const columns = columnsOf(portal, object, list);
  const search = url.searchParams.get('q') ?? '';
  const query = {
    object: object.name,
    filter: list.filter ?? undefined,
    sort: list.sort ?? [],
    fields: [...object.title.filter((name) => object.fields.some((field) => field.name === name)), ...columns.map((one) => one.name)],
    search,
    limit: 50,
    count: true,
  };
  const page = await loading(
    fetch,
    (api) =>
      api.get<Page>(`/records/${object.name}`, {
        filter: query.filter && JSON.stringify(query.filter),
        sort: query.sort.join() || undefined,
        fields: query.fields.join(),
        search: search.trim() || undefined,
        limit: query.limit,
        count: 'capped',
        refs: 1,
      }),
    as,
  );
  return { list, object, columns, query, page };
};
