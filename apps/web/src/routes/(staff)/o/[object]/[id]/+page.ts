import { loading } from '#lib/load.ts';
import { readTimeline } from '#lib/record/timeline.ts';
import type { Rec, Refs } from '@kith/ui/types.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = ({ params, fetch }) =>
  loading(fetch, async (api) => {
    const [record, timeline] = await Promise.all([
      api.get<Rec & { refs?: Refs }>(`/records/${params.object}/${params.id}`),
      readTimeline(api, params.object, params.id),
    ]);
    return { record, timeline };
  });
