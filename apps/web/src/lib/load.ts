/** Loading pages: refusals of the API become error pages. */
import { Api, isApiError } from '@kith/ui/api.ts';
import { error, redirect } from '@sveltejs/kit';

/** Runs a load with the API; what it refuses becomes the page's error. `as`: with the eyes of a partner. */
export async function loading<T>(fetch: typeof globalThis.fetch, run: (api: Api) => Promise<T>, as: string | null = null): Promise<T> {
  try {
    return await run(new Api(fetch, as));
  } catch (thrown) {
    if (!isApiError(thrown)) throw thrown;
    // Signed out between two pages. The path that is open says whose door it is.
    if (thrown.status === 401)
      redirect(303, typeof location !== 'undefined' && location.pathname.startsWith('/portal') ? '/portal/sign-in' : '/sign-in');
    error(thrown.offline ? 503 : thrown.status, { message: thrown.message, code: thrown.code });
  }
}
