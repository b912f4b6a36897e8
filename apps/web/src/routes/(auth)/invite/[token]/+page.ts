import { loading } from '#lib/load.ts';
import type { PageLoad } from './$types';

interface Invitation {
  email: string;
  name: string;
  /** Invitations of partners name whom they are of. */
  audience?: string | null;
  audienceLabel?: string | null;
  companyName?: string | null;
  organisation?: string | null;
}

export const load: PageLoad = ({ params, fetch }) =>
  loading(fetch, async (api) => ({
    token: params.token,
    invitation: await api.get<Invitation>(`/invitations/${encodeURIComponent(params.token)}`),
  }));
