import { readBoard, readPage, readQuery, viewsOf } from '#lib/list/query.ts';
import { loading } from '#lib/load.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ url, fetch, parent, depends }) => {
  depends('kith:list');
  const { object, saved, messages } = await parent();
  const views = viewsOf(object, saved, messages['list.all'] ?? 'All');
  const query = readQuery(object, views, url.searchParams);
  return loading(fetch, async (api) => {
    if (query.type === 'board') return { views, query, table: null, board: await readBoard(api, object, query) };
    return { views, query, table: await readPage(api, object, query), board: null };
  });
};
