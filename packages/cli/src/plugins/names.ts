/** Which names a new plugin may bear. */
import { IDENTIFIER, RESERVED_IDS } from '@kith/sdk';
import { UsageError } from '../command.ts';

/** Words that cannot name a constant, and those that a plugin's own files use. */
const TAKEN = new Set(
  (
    'arguments await break case catch class const continue debugger default delete do else enum eval export extends false finally for ' +
    'function if implements import in instanceof interface let new null package private protected public return static super switch this ' +
    'throw true try typeof undefined var void while with yield ' +
    'action client contacts date de definePlugin defineServer defineClient en longText money need number object ref select server text user'
  ).split(' '),
);

/** @throws UsageError with what such a name looks like */
export function checkId(id: string, what = 'plugin'): void {
  if (!IDENTIFIER.test(id)) {
    throw new UsageError(`“${id}” cannot name a ${what}: use a word of letters and digits that begins with a small letter, like warranty.`);
  }
  if (TAKEN.has(id) || (what === 'plugin' && (RESERVED_IDS.includes(id) || id.startsWith('pg')))) {
    throw new UsageError(`“${id}” cannot name a ${what}: the word is taken by the language, the database or Kith itself; choose another.`);
  }
}

/** `serviceContract` as people write it: Service contract. */
export function words(id: string): string {
  const spaced = id.replace(/([a-z0-9])([A-Z])/g, (_, before: string, after: string) => `${before} ${after.toLowerCase()}`);
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

/** An English plural. */
export function plural(word: string): string {
  if (/[^aeiou]y$/i.test(word)) return `${word.slice(0, -1)}ies`;
  return /(s|x|z|ch|sh)$/i.test(word) ? `${word}es` : `${word}s`;
}
