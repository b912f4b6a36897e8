/** What happened to a record, newest first, as people read it. */
import type { FieldValue } from '@kith/sdk';
import diff from 'fast-diff';
import type { Api } from '@kith/ui/api.ts';
import type { Cause, Rec, Refs, TimelineItem } from '@kith/ui/types.ts';

export interface TimelinePage {
  data: TimelineItem[];
  nextCursor: string | null;
  refs?: Refs;
}

export const readTimeline = (api: Api, object: string, id: string, cursor?: string): Promise<TimelinePage> =>
  api.get<TimelinePage>(`/records/${object}/${id}/timeline`, { cursor });

export type Changes = Record<string, [FieldValue, FieldValue]>;
export type Entry =
  | { kind: 'created' | 'deleted' | 'restored'; key: string; at: string; by: string }
  | { kind: 'change'; key: string; at: string; by: string; cause: Cause | null; fields: Changes }
  | { kind: 'activity' | 'task' | 'related'; key: string; at: string; record: Rec; behind?: Rec };

/** Changes of one person within this time are one entry. */
const SESSION = 15 * 60_000;

export interface Piece {
  kind: 'same' | 'gone' | 'new';
  text: string;
}

/** Where two texts differ, with a few words around each place, on one line. */
export function difference(old: string, now: string): Piece[] {
  const AROUND = 24;
  const MOST = 8_000;
  const flat = (text: string): string => text.replace(/\s+/gu, ' ').trim().slice(0, MOST);
  const pieces = diff(flat(old), flat(now), undefined, true);
  return pieces.slice(0, 13).map(([kind, text], index): Piece => {
    if (kind !== diff.EQUAL) return { kind: kind === diff.DELETE ? 'gone' : 'new', text };
    const first = index === 0;
    const last = index === pieces.length - 1;
    if (text.length <= 2 * AROUND + 3) return { kind: 'same', text };
    const head = first ? '' : text.slice(0, AROUND);
    const tail = last ? '' : text.slice(-AROUND);
    return { kind: 'same', text: `${head}…${tail}` };
  });
}

/** Folds one person's edits in a row into one entry. Values that ended where they began are left out. */
export function fold(items: readonly TimelineItem[]): Entry[] {
  const entries: Entry[] = [];
  for (const item of items) {
    const { at } = item;
    const last = entries.at(-1);
    if ('record' in item) {
      const kind = item.record.object === 'contacts.activity' ? 'activity' : item.record.object === 'contacts.task' ? 'task' : 'related';
      entries.push({ kind, key: item.record.id, at, record: item.record, ...(item.behind && { behind: item.behind }) });
    } else if (item.kind !== 'change') {
      entries.push({ kind: item.kind, key: `${item.kind}:${at}`, at, by: item.by });
    } else if (last?.kind === 'change' && last.by === item.by && Date.parse(last.at) - Date.parse(at) < SESSION) {
      for (const [name, [old, now]] of Object.entries(item.fields)) {
        const later = last.fields[name];
        last.fields[name] = later ? [old, later[1]] : [old, now];
      }
    } else {
      entries.push({ kind: 'change', key: `${at}:${item.by}`, at, by: item.by, cause: item.cause ?? null, fields: { ...item.fields } });
    }
  }
  for (const entry of entries) {
    if (entry.kind !== 'change') continue;
    for (const [name, [old, now]] of Object.entries(entry.fields)) {
      if (JSON.stringify(old) === JSON.stringify(now)) delete entry.fields[name];
    }
  }
  return entries.filter((entry) => entry.kind !== 'change' || Object.keys(entry.fields).length > 0);
}
