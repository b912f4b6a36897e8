/**
 * Field values to and from Yjs documents.
 *
 * `Y.Map` root `fields` holds the registers; sets are `Y.Map` roots of their
 * own (members as keys: a removal takes away only what it saw, so additions
 * win); longText is a `Y.Text` root and richText a `Y.XmlFragment` root, each
 * under its field's name.
 */
import type { FieldValue, Merge } from '@kith/sdk';
import * as Y from 'yjs';
import { serverClientId } from './clients.ts';
import { fragmentToMarkdown, writeMarkdown } from './rich.ts';
import { diffText } from './text.ts';

export { FIELD_NUMBERS, generationOf, isServerClient, serverClientId } from './clients.ts';
export { fragmentToMarkdown, fragmentToNode, normalizeMarkdown, richSchema, writeMarkdown } from './rich.ts';
export { diffText } from './text.ts';

/** Root of the registers. */
export const REGISTERS = 'fields';

/** What this package needs to know of a field. */
export interface DocField {
  name: string;
  merge: Merge;
}

/**
 * The value that a document shows for a field, unchecked: whatever a client put
 * there. Undefined where it is no JSON value at all. Empty text is null.
 */
export function readField(doc: Y.Doc, field: DocField): unknown {
  switch (field.merge) {
    case 'register': {
      const value: unknown = doc.getMap(REGISTERS).get(field.name);
      return value instanceof Y.AbstractType ? undefined : (value ?? null);
    }
    case 'set': {
      const members = [...doc.getMap(field.name).keys()];
      return members.length > 0 ? members : null;
    }
    case 'text':
      return doc.getText(field.name).toString() || null;
    case 'rich':
      return fragmentToMarkdown(doc.getXmlFragment(field.name)) || null;
    case 'none':
      return null;
  }
}

/** Brings a field of a document to a value by the smallest change, in one transaction. */
export function writeField(doc: Y.Doc, field: DocField, value: FieldValue, origin?: unknown): void {
  doc.transact(() => {
    switch (field.merge) {
      case 'register': {
        const registers = doc.getMap(REGISTERS);
        if (value === null) registers.delete(field.name);
        else registers.set(field.name, value);
        return;
      }
      case 'set': {
        const set = doc.getMap(field.name);
        const wanted = new Set((value as string[] | null) ?? []);
        for (const member of [...set.keys()]) if (!wanted.has(member)) set.delete(member);
        for (const member of wanted) if (!set.has(member)) set.set(member, true);
        return;
      }
      case 'text':
        diffText(doc.getText(field.name), (value as string | null) ?? '');
        return;
      case 'rich': {
        const fragment = doc.getXmlFragment(field.name);
        if (value === null) fragment.delete(0, fragment.length);
        else writeMarkdown(fragment, value as string);
        return;
      }
      case 'none':
        throw new Error(`${field.name} does not live in a document`);
    }
  }, origin);
}

/** A field to be written by the server: its stable number, and the value. */
export interface ServerWrite {
  field: DocField;
  num: number;
  value: FieldValue;
}

/**
 * Writes fields as the server would, and answers the update; null when the
 * document showed these values already. `doc` must be a scratch copy at the
 * sequence on which the commit is checked, for its client ids are shared by all nodes.
 */
export function serverUpdate(doc: Y.Doc, writes: readonly ServerWrite[], generation: number): Uint8Array | null {
  let update: Uint8Array | null = null;
  // The event carries only what this transaction did; encoding against a state vector would carry every deletion ever.
  const keep = (bytes: Uint8Array): void => {
    update = bytes;
  };
  const own = doc.clientID;
  doc.on('update', keep);
  try {
    doc.transact(() => {
      for (const { field, num, value } of writes) {
        doc.clientID = serverClientId(num, generation);
        writeField(doc, field, value);
      }
    });
  } finally {
    doc.off('update', keep);
    doc.clientID = own;
  }
  return update;
}

/** A document from its stored parts. Garbage is collected; one that needs missing parts is refused. */
export function loadDoc(parts: readonly Uint8Array[]): Y.Doc {
  const doc = new Y.Doc();
  doc.transact(() => {
    for (const part of parts) Y.applyUpdate(doc, part);
  });
  if (doc.store.pendingStructs !== null || doc.store.pendingDs !== null) {
    throw new Error('the stored document has a gap');
  }
  return doc;
}

/** What a transaction changed: root names, and for map roots the keys. */
export function touched(transaction: Y.Transaction): Map<string, Set<string | null>> {
  const roots = new Map<string, Set<string | null>>();
  for (const [type, keys] of transaction.changed) {
    let top = type as Y.AbstractType<unknown>;
    let key: string | null | undefined;
    while (top._item) {
      key = top._item.parentSub;
      top = top._item.parent as Y.AbstractType<unknown>;
    }
    const name = rootName(transaction.doc, top);
    const found = roots.get(name) ?? new Set<string | null>();
    // Below a root, what counts is the key of the root through which the change came.
    if (top === (type as Y.AbstractType<unknown>)) for (const one of keys) found.add(one);
    else found.add(key ?? null);
    roots.set(name, found);
  }
  return roots;
}

function rootName(doc: Y.Doc, type: Y.AbstractType<unknown>): string {
  for (const [name, root] of doc.share) if ((root as Y.AbstractType<unknown>) === type) return name;
  throw new Error('a changed type has no root');
}
