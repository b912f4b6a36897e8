/** The words of a plugin's own screens, in the reader's language. */
import type { Catalogue } from '@kith/sdk';
import { useApp } from './app.svelte.ts';
import { Words, type Values } from './i18n.ts';

/** Texts of the plugin's catalogue. Call it while a component is created. */
export function useWords<L extends Catalogue>(
  locales: { en: L } & Record<string, { [K in keyof L]: string }>,
): (key: keyof L & string, values?: Values) => string {
  const app = useApp();
  const words = $derived(new Words(app.language, { ...locales.en, ...locales[app.language] }));
  return (key, values) => words.say(key, values);
}
