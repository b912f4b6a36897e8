/** Words: ICU messages of the reader's language under keys that are typed from the English catalogue. */
import { IntlMessageFormat } from 'intl-messageformat';
import type en from './locales/en.json';
import type { Language } from './types.ts';

/** Catalogues that make up the keys; an app adds its own by declaration merging. */
export interface Catalogues {
  ui: typeof en;
}
/** A key of any catalogue. */
export type Key = { [C in keyof Catalogues]: keyof Catalogues[C] & string }[keyof Catalogues];
export type Messages = Record<string, string>;
export type Values = Record<string, string | number | Date | null | undefined>;

export const LANGUAGES: readonly { id: Language; name: string }[] = [
  { id: 'en', name: 'English' },
  { id: 'de', name: 'Deutsch' },
];

export const isLanguage = (value: unknown): value is Language => value === 'en' || value === 'de';

/** The first supported language of an Accept-Language header; English when there is none. */
export function negotiate(header: string | null | undefined): Language {
  const wanted = (header ?? '')
    .split(',')
    .map((part) => {
      const [tag = '', q] = part.trim().split(';q=');
      return { language: tag.slice(0, 2).toLowerCase(), q: q === undefined ? 1 : Number(q) || 0 };
    })
    .sort((a, b) => b.q - a.q);
  for (const { language } of wanted) if (isLanguage(language)) return language;
  return 'en';
}

/** The regional conventions that go with a language: day before month, comma or point. */
export const localeOf = (language: Language): string => (language === 'de' ? 'de-DE' : 'en-GB');

/** The texts of ui itself; only the wanted language is loaded. */
export async function uiMessages(language: Language): Promise<Messages> {
  const loaded = language === 'de' ? await import('./locales/de.json') : await import('./locales/en.json');
  return loaded.default;
}

/** Formats messages of one language. Parsed messages are kept. */
export class Words {
  readonly #messages: Messages;
  readonly #locale: string;
  readonly #parsed = new Map<string, IntlMessageFormat>();

  constructor(language: Language, messages: Messages) {
    this.#messages = messages;
    this.#locale = localeOf(language);
  }

  /** The message under a key; the key itself where none is. */
  say(key: string, values?: Values): string {
    const message = this.#messages[key];
    if (message === undefined) return key;
    if (values === undefined && !message.includes('{') && !message.includes("'")) return message;
    let parsed = this.#parsed.get(key);
    if (!parsed) {
      parsed = new IntlMessageFormat(message, this.#locale, undefined, { ignoreTag: true });
      this.#parsed.set(key, parsed);
    }
    return String(parsed.format(values));
  }
  has(key: string): boolean {
    return key in this.#messages;
  }
}
