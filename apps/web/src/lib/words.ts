import type { Messages } from '@kith/ui/i18n.ts';
import type { Language } from '@kith/ui/types.ts';

/** The texts of the pages; only the wanted language is loaded. */
export async function webMessages(language: Language): Promise<Messages> {
  const loaded = language === 'de' ? await import('../../locales/de.json') : await import('../../locales/en.json');
  return loaded.default;
}
