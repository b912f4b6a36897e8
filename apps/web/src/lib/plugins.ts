/** Plugins that are switched on or off while a page is open. */
import { invalidateAll } from '$app/navigation';
import type { App } from '@kith/ui/app.svelte.ts';

/** Brings the page to the plugins that are on now, where it shows others. What is being typed stays. */
export async function followPlugins(app: App, on: readonly string[]): Promise<void> {
  if (on.join() === app.plugins.join()) return;
  await invalidateAll();
}
