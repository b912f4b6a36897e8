/** What plugins add to the record page. */
import type { Lazy } from '@kith/sdk';
import type { Language } from '@kith/ui/types.ts';

export interface Slot {
  id: string;
  title: string;
  load: Lazy;
}

/** The panels or tabs for an object, titled in the reader's language. */
export async function slotsOf(kind: 'record.panel' | 'record.tab', object: string, language: Language): Promise<Slot[]> {
  const { clients } = await import('@kith/installed/client');
  return clients.flatMap(({ plugin, slots }) => {
    const words = plugin.locales[language] ?? plugin.locales.en ?? {};
    return (slots[kind] ?? [])
      .filter((slot) => slot.object === object)
      .map((slot) => ({ id: `${plugin.id}.${slot.id}`, title: words[slot.title] ?? slot.title, load: slot.load }));
  });
}
