import { loading } from '#lib/load.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = ({ params, fetch }) =>
  loading(fetch, async (api) => ({
    token: params.token,
    invitation: await api.get<{ email: string; name: string; role: string }>(`/invitations/${encodeURIComponent(params.token)}`),
  }));
