import { loading } from '#lib/load.ts';
import type { Page, Rec } from '@kith/ui/types.ts';
import type { PageLoad } from './$types';

const TASK = 'contacts.task';
const EACH = 6;

export const load: PageLoad = ({ fetch, parent, depends }) => {
  depends('kith:work');
  return loading(fetch, async (api) => {
    const { objects, me } = await parent();
    if (!me) return { tasks: null, recent: [] as Rec[] };
    const mine = { field: 'updatedBy', op: 'eq', value: me.id } as const;
    const [tasks, ...changed] = await Promise.all([
      objects.some((object) => object.name === TASK && object.rights.read)
        ? api.get<Page>(`/records/${TASK}`, {
            filter: JSON.stringify({
              and: [
                { field: 'owner', op: 'eq', value: me.id },
                { field: 'status', op: 'eq', value: 'open' },
              ],
            }),
            sort: 'due',
            limit: 100,
            refs: 1,
          })
        : null,
      ...objects
        .filter((object) => object.nav && object.rights.read && object.name !== TASK)
        .map((object) =>
          api.get<Page>(`/records/${object.name}`, {
            filter: JSON.stringify(mine),
            sort: '-updatedAt',
            fields: object.title.join(),
            limit: EACH,
            refs: 1,
          }),
        ),
    ]);
    const recent = changed
      .flatMap((page) => page.data)
      .sort((a, b) => (a.updatedAt < b.updatedAt ? 1 : -1))
      .slice(0, 10);
    return { tasks, recent };
  });
};
