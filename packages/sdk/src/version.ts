/** Versions and ranges of plugins: `1.2.3`, `^1.2.0`, `~1.2.0`, `>=1.2.0` and `*`, as in npm. */

type Version = [number, number, number];

function parse(text: string): Version | undefined {
  const match = /^(\d+)(?:\.(\d+))?(?:\.(\d+))?$/.exec(text.trim());
  return match ? [Number(match[1]), Number(match[2] ?? 0), Number(match[3] ?? 0)] : undefined;
}

const compare = (a: Version, b: Version): number => a[0] - b[0] || a[1] - b[1] || a[2] - b[2];

/** Whether `version` is a full version number. */
export const isVersion = (version: string): boolean => /^\d+\.\d+\.\d+$/.test(version);

/** Whether a version lies in a range; undefined when the range cannot be read. */
export function satisfies(version: string, range: string): boolean | undefined {
  if (range.trim() === '*') return true;
  const match = /^(\^|~|>=)?\s*(.+)$/.exec(range.trim());
  const have = parse(version);
  const want = parse(match?.[2] ?? '');
  if (!match || !have || !want) return undefined;
  if (compare(have, want) < 0) return false;
  switch (match[1]) {
    case '>=':
      return true;
    case '~':
      return have[0] === want[0] && have[1] === want[1];
    case '^':
      // Below 1.0.0 the second number is the one that breaks, as npm has it.
      return have[0] === want[0] && (want[0] > 0 || have[1] === want[1]);
    default:
      return compare(have, want) === 0;
  }
}
