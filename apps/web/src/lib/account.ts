/** What a person does to their own session and settings. */
import type { App } from '@kith/ui/app.svelte.ts';
import type { Me, Theme } from '@kith/ui/types.ts';

export async function signOut(app: App): Promise<void> {
  try {
    await app.api.delete('/session');
    // A full load: nothing of this person stays in memory.
    location.assign(app.signInAt);
  } catch (thrown) {
    app.fail(thrown);
  }
}

export async function setTheme(app: App, theme: Theme): Promise<void> {
  const { me } = app;
  if (!me) return;
  app.me = { ...me, theme };
  try {
    await app.api.patch<Partial<Me>>('/profile', { theme });
  } catch (thrown) {
    app.me = me;
    app.fail(thrown);
  }
}
