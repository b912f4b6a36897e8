/** Sends what earlier visits left unsaved in this browser, in the background. */
import { isApiError } from '../api.ts';
import type { App } from '../app.svelte.ts';
import type { Rec } from '../types.ts';
import { LiveRecord } from './live-record.svelte.ts';
import { LocalCopy, unsavedDocuments } from './local-copy.ts';

const PATIENCE = 30_000;

/** Opens each such record until it is saved; `except` is open on the page already. */
export async function sendUnsaved(app: App, except: (object: string, id: string) => boolean): Promise<void> {
  if (!app.me) return;
  const records = new Map<string, string[]>();
  for (const document of unsavedDocuments(app.me.id)) {
    const record = document.split('/').slice(0, 2).join('/');
    records.set(record, [...(records.get(record) ?? []), document]);
  }
  for (const [key, documents] of records) {
    const [name = '', id = ''] = key.split('/');
    const object = app.object(name);
    if (!object || except(name, id)) continue;
    const record = await app.api.get<Rec>(`/records/${name}/${id}`).catch(async (thrown: unknown) => {
      // Deleted meanwhile, or no longer for this person: there is nowhere to send it.
      if (isApiError(thrown) && thrown.status === 404 && thrown.code !== 'plugin_off') {
        for (const document of documents) await new LocalCopy(app.me?.id ?? '', document).drop();
      }
      return null;
    });
    if (!record) continue;
    const live = new LiveRecord(app, object, record, () => {});
    await live.open();
    const until = Date.now() + PATIENCE;
    while (live.status !== 'saved' && live.status !== 'ended' && Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    await live.close();
  }
}
