/** Changing a Y.Text to a given string while disturbing others' carets and concurrent edits as little as possible. */
import diff from 'fast-diff';
import type * as Y from 'yjs';

/** Above this many character pairs a fine difference costs more than it is worth. */
const FINE = 25_000_000;

const isLow = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;

/** Applies the difference between the text's content and `next`, inside the caller's transaction. */
export function diffText(text: Y.Text, next: string): void {
  const now = text.toString();
  if (now === next) return;
  let start = 0;
  const shorter = Math.min(now.length, next.length);
  while (start < shorter && now.charCodeAt(start) === next.charCodeAt(start)) start++;
  let end = 0;
  while (end < shorter - start && now.charCodeAt(now.length - 1 - end) === next.charCodeAt(next.length - 1 - end)) end++;
  // Yjs would turn half a surrogate pair into U+FFFD: never cut through one.
  if (start > 0 && (isLow(now.charCodeAt(start)) || isLow(next.charCodeAt(start)))) start--;
  if (end > 0 && (isLow(now.charCodeAt(now.length - end)) || isLow(next.charCodeAt(next.length - end)))) end--;
  const removed = now.slice(start, now.length - end);
  const added = next.slice(start, next.length - end);
  if (removed.length * added.length > FINE) {
    text.delete(start, removed.length);
    text.insert(start, added);
    return;
  }
  let at = start;
  for (const [kind, part] of diff(removed, added)) {
    if (kind === diff.EQUAL) at += part.length;
    else if (kind === diff.DELETE) text.delete(at, part.length);
    else {
      text.insert(at, part);
      at += part.length;
    }
  }
}
