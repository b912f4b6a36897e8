/** The texts of this plugin's own screens. Labels of fields and the like are in its catalogue. */
import de from '../../locales/ui.de.json' with { type: 'json' };
import en from '../../locales/ui.en.json' with { type: 'json' };

export const words = { en, de };
