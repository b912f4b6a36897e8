import { loading } from '#lib/load.ts';
import type { JobsGlance, ParkedPage } from '#lib/settings/jobs.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = ({ fetch }) =>
  loading(fetch, async (api) => {
    const [glance, parked] = await Promise.all([api.get<JobsGlance>('/jobs/summary'), api.get<ParkedPage>('/jobs', { state: 'parked' })]);
    return { glance, parked };
  });
