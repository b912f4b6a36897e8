/** Templates: texts with `{{variables}}`, filled in from the person, the company, the record at hand, and whoever writes. */

/** What may stand between braces, by what it begins with. */
export type Variables = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>;

const MARK = /\{\{\s*([^{}]*?)\s*\}\}/g;

/** The variables of a text, each once. */
export const variablesIn = (text: string): string[] => [...new Set([...text.matchAll(MARK)].map((match) => match[1]!))];

/** A text with its variables filled in, and those for which there is no value. */
export function filled(text: string, variables: Variables): { text: string; missing: string[] } {
  const missing = new Set<string>();
  const result = text.replace(MARK, (_, name: string) => {
    const [head = '', ...rest] = name.split('.');
    let value: unknown = Object.hasOwn(variables, head) ? variables[head] : undefined;
    for (const part of rest)
      value =
        typeof value === 'object' && value !== null && Object.hasOwn(value, part) ? (value as Record<string, unknown>)[part] : undefined;
    const words = inWords(value);
    if (words === '') missing.add(name);
    return words;
  });
  return { text: result, missing: [...missing] };
}

function inWords(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return value.filter((one) => typeof one === 'string').join(', ');
  if (typeof value === 'object' && value !== null && 'amount' in value && 'currency' in value)
    return `${String(value.amount)} ${String(value.currency)}`;
  return '';
}
