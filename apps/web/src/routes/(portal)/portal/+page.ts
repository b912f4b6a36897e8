import { loading } from '#lib/load.ts';
import { cardFields, type Part } from '#lib/portal/cards.ts';
import type { Filter, Page } from '@kith/ui/types.ts';
import { redirect } from '@sveltejs/kit';
import type { PageLoad } from './$types';

const SHOWN = 10;

export const load: PageLoad = async ({ fetch, parent }) => {
  const { portal, objects, as } = await parent();
  // Whoever was given one record sees that one.
  if (portal.record) redirect(303, `/portal/o/${portal.record.object}/${portal.record.id}`);
  const { answer, late, changed } = portal.start;
  const since = portal.since;
  return loading(
    fetch,
    async (api) => {
      const read = async (name: string, filter: Filter, sort: string[]): Promise<Part[]> => {
        const object = objects.find((one) => one.name === name);
        if (!object) return [];
        const fields = cardFields(portal, object);
        const page = await api.get<Page>(`/records/${name}`, {
          filter: JSON.stringify(filter),
          sort: sort.join() || undefined,
          fields: fields.join(),
          limit: SHOWN,
          count: 'capped',
          refs: 1,
        });
        return [{ object: name, filter, sort, fields, page }];
      };
      const [needs, overdue, moved] = await Promise.all([
        Promise.all(answer.map((one) => read(one.object, one.filter, one.sort ?? []))),
        Promise.all(late.map((one) => read(one.object, one.filter, one.sort ?? []))),
        Promise.all(since ? changed.map((name) => read(name, { field: 'updatedAt', op: 'gt', value: since }, ['-updatedAt'])) : []),
      ]);
      return { answer: needs.flat(), late: overdue.flat(), changed: moved.flat() };
    },
    as,
  );
};
