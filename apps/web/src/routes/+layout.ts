import { uiMessages } from '@kith/ui/i18n.ts';
import { webMessages } from '#lib/words.ts';
import type { LayoutLoad } from './$types';

export const load: LayoutLoad = async ({ data }) => {
  const [ui, web] = await Promise.all([uiMessages(data.language), webMessages(data.language)]);
  return { ...data, messages: { ...ui, ...web } };
};
