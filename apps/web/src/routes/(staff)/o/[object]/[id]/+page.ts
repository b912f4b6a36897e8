import { loading } from '#lib/load.ts';
import { readTimeline, type TimelinePage } from '#lib/record/timeline.ts';
import { isApiError } from '@kith/ui/api.ts';
import type { Page, Rec, Refs } from '@kith/ui/types.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = ({ params, fetch }) =>
  loading(fetch, async (api): Promise<{ record: Rec & { refs?: Refs }; timeline: TimelinePage }> => {
    try {
      const [record, timeline] = await Promise.all([
        api.get<Rec & { refs?: Refs }>(`/records/${params.object}/${params.id}`, { refs: 1 }),
        readTimeline(api, params.object, params.id),
      ]);
      return { record, timeline };
    } catch (thrown) {
      if (!isApiError(thrown) || thrown.status !== 404) throw thrown;
      // In the bin it is still to be seen, and taken out again.
      const bin = await api.get<Page>('/bin', {
        object: params.object,
        filter: JSON.stringify({ field: 'id', op: 'eq', value: params.id }),
        limit: 1,
        refs: 1,
      });
      const record = bin.data[0];
      if (!record) throw thrown;
      return { record: { ...record, refs: bin.refs ?? {} }, timeline: { data: [], nextCursor: null } };
    }
  });
