/** The texts of this plugin's own screens. Labels of fields and the like are in its catalogue. */
import type { Words } from '@kith/ui/i18n.ts';
import de from '../../locales/ui.de.json' with { type: 'json' };
import en from '../../locales/ui.en.json' with { type: 'json' };

export const words = { en, de };
export type Key = keyof typeof en;
/** Says a text of this plugin's screens. */
export type Say = (key: Key, values?: Parameters<Words['say']>[1]) => string;
