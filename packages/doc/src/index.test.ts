import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as Y from 'yjs';
import {
  diffText,
  fragmentToMarkdown,
  generationOf,
  isServerClient,
  loadDoc,
  normalizeMarkdown,
  readField,
  serverClientId,
  serverUpdate,
  touched,
  writeField,
  type DocField,
} from './index.ts';

const city: DocField = { name: 'city', merge: 'register' };
const kind: DocField = { name: 'kind', merge: 'set' };
const summary: DocField = { name: 'summary', merge: 'text' };
const notes: DocField = { name: 'notes', merge: 'rich' };

/** Two copies of one document, and what brings them together. */
function pair(): [Y.Doc, Y.Doc, () => void] {
  const [a, b] = [new Y.Doc(), new Y.Doc()];
  return [
    a,
    b,
    () => {
      Y.applyUpdate(a, Y.encodeStateAsUpdate(b));
      Y.applyUpdate(b, Y.encodeStateAsUpdate(a));
    },
  ];
}

describe('text', () => {
  it('becomes what it should, whatever it was', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (from, to) => {
        const text = new Y.Doc().getText('t');
        text.insert(0, from);
        diffText(text, to);
        expect(text.toString()).toBe(to);
      }),
      { numRuns: 500 },
    );
  });

  it('does not cut through an emoji that shares half with another', () => {
    const text = new Y.Doc().getText('t');
    text.insert(0, 'a😀b');
    diffText(text, 'a😁b');
    expect(text.toString()).toBe('a😁b');
  });

  it('keeps what somebody else typed meanwhile', () => {
    const [a, b, meet] = pair();
    writeField(a, summary, 'one two three');
    meet();
    writeField(a, summary, 'one 2 three');
    writeField(b, summary, 'one two three four');
    meet();
    expect(readField(a, summary)).toBe('one 2 three four');
  });

  it('takes long texts that have nothing in common in their stride', () => {
    const text = new Y.Doc().getText('t');
    text.insert(0, 'ab'.repeat(100_000));
    diffText(text, 'cd'.repeat(100_000));
    expect(text.length).toBe(200_000);
  });
});

describe('sets', () => {
  it('keep what one adds while another removes it without having seen that', () => {
    const [a, b, meet] = pair();
    writeField(a, kind, ['x', 'y']);
    meet();
    b.getMap('kind').set('x', true);
    writeField(a, kind, ['y']);
    meet();
    expect((readField(a, kind) as string[]).sort()).toEqual(['x', 'y']);
    expect((readField(b, kind) as string[]).sort()).toEqual(['x', 'y']);
  });
});

describe('rich text', () => {
  const samples = [
    '# Title\n\nText with **strong**, *em*, `code` and [a link](https://kith.example "t").',
    '* a\n* b\n  * c\n\n1. one\n2. two',
    '> quote\n> more\n\n---\n\n```js\nconst x = 1;\n```',
    'line  \nbreak',
    '![alt](https://kith.example/i.png)',
    '\\* not a list',
  ];

  it.each(samples)('comes back as it went in: %j', (source) => {
    const normal = normalizeMarkdown(source);
    const doc = new Y.Doc();
    writeField(doc, notes, normal);
    expect(readField(doc, notes)).toBe(normal);
    expect(normalizeMarkdown(normal)).toBe(normal);
  });

  it('reads back what it wrote, for any text', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', ' ', '\n', '*', '_', '#', '-', '1.', '`', '[', ']', '(', ')', '>', '\\', '!', 'ß', '<b>', '&amp;'), {
          maxLength: 30,
        }),
        (parts) => {
          const doc = new Y.Doc();
          writeField(doc, notes, parts.join('') || null);
          const once = readField(doc, notes) as string | null;
          const again = new Y.Doc();
          writeField(again, notes, once);
          // The column shows what the document reads as; the same document always reads the same.
          expect(readField(loadDoc([Y.encodeStateAsUpdate(doc)]), notes)).toBe(once);
          expect(typeof readField(again, notes)).toBe(once === null ? 'object' : 'string');
        },
      ),
      { numRuns: 300 },
    );
  });

  it('tolerates elements that it does not know', () => {
    const fragment = new Y.Doc().getXmlFragment('notes');
    const strange = new Y.XmlElement('marquee');
    strange.insert(0, [new Y.XmlText('moves')]);
    fragment.insert(0, [new Y.XmlText('bare'), strange, new Y.XmlElement('heading')]);
    expect(fragmentToMarkdown(fragment)).toContain('bare');
    expect(fragmentToMarkdown(fragment)).toContain('moves');
  });
});

describe('the server’s writes', () => {
  it('hardly grow a document, however often it writes', () => {
    const doc = new Y.Doc();
    serverUpdate(doc, [{ field: city, num: 3, value: 'Graz' }], 0);
    const before = Y.encodeStateAsUpdate(doc).length;
    for (let i = 0; i < 10_000; i++) {
      serverUpdate(
        doc,
        [
          { field: city, num: 3, value: `City ${i % 10}` },
          { field: { name: 'country', merge: 'register' }, num: 4, value: i },
        ],
        0,
      );
    }
    expect((Y.encodeStateAsUpdate(doc).length - before) / 10_000).toBeLessThan(0.1);
  });

  it('are told from anybody else’s, and from those of another generation', () => {
    for (const generation of [0, 1, 7]) {
      for (const num of [0, 5, 1022]) {
        expect(isServerClient(serverClientId(num, generation))).toBe(true);
        expect(generationOf(serverClientId(num, generation))).toBe(generation);
      }
    }
    expect(isServerClient(1024)).toBe(false);
    expect(isServerClient(2 ** 32 - 1)).toBe(false);
    expect(() => serverClientId(1023, 0)).toThrow(RangeError);
  });

  it('answer null when the document showed the values already', () => {
    const doc = new Y.Doc();
    serverUpdate(doc, [{ field: city, num: 3, value: 'Graz' }], 0);
    expect(serverUpdate(doc, [{ field: summary, num: 4, value: null }], 0)).toBe(null);
  });
});

it('names the roots and keys that a transaction changed, nested ones by their way in', () => {
  const doc = new Y.Doc();
  let seen = new Map<string, Set<string | null>>();
  doc.on('afterTransaction', (transaction) => {
    seen = touched(transaction);
  });
  doc.transact(() => {
    doc.getMap('fields').set('city', 'Graz');
    doc.getMap('fields').set('nested', new Y.Map());
    doc.getText('summary').insert(0, 'x');
  });
  expect([...seen.get('fields')!]).toEqual(['city', 'nested']);
  expect(seen.has('summary')).toBe(true);
  (doc.getMap('fields').get('nested') as Y.Map<number>).set('deep', 1);
  expect([...seen]).toEqual([['fields', new Set(['nested'])]]);
});

it('refuses to load a document with a gap', () => {
  const doc = new Y.Doc();
  const updates: Uint8Array[] = [];
  doc.on('update', (update: Uint8Array) => updates.push(update));
  doc.getMap('fields').set('a', 1);
  doc.getMap('fields').set('a', 2);
  expect(() => loadDoc([updates[1]!])).toThrow('gap');
});
