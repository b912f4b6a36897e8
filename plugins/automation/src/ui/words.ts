/** The texts of this plugin's own screens. Labels of fields and the like are in its catalogue. */
import de from '../../locales/ui.de.json' with { type: 'json' };
import en from '../../locales/ui.en.json' with { type: 'json' };

export const words = { en, de };
export type Key = keyof typeof en;
/** Says a text of this plugin's screens. */
export type Say = (key: Key, values?: Record<string, string | number | null | undefined>) => string;
