/** Loading pages: refusals of the API become error pages. */
import { Api, isApiError } from '@kith/ui/api.ts';
import { error } from '@sveltejs/kit';

/** Runs a load with the API; what it refuses becomes the page's error. */
export async function loading<T>(fetch: typeof globalThis.fetch, run: (api: Api) => Promise<T>): Promise<T> {
  try {
    return await run(new Api(fetch));
  } catch (thrown) {
    if (!isApiError(thrown)) throw thrown;
    error(thrown.offline ? 503 : thrown.status, { message: thrown.message, code: thrown.code });
  }
}
