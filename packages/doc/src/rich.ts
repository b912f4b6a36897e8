/**
 * Rich text: a Y.XmlFragment in the document, Markdown in the column and the API.
 * The schema is CommonMark's, so that nothing is lost on the way.
 */
import { defaultMarkdownParser, defaultMarkdownSerializer, schema } from 'prosemirror-markdown';
import type { Mark, Node } from 'prosemirror-model';
import { updateYFragment } from 'y-prosemirror';
import * as Y from 'yjs';

/** The ProseMirror schema of rich text: paragraphs, headings, lists, quotes, code, rules, images; strong, em, code, links. */
export const richSchema = schema;

const markdown = (node: Node): string => defaultMarkdownSerializer.serialize(node, { tightLists: true }).trim();

/** Markdown in the one form in which it is stored. */
export function normalizeMarkdown(source: string): string {
  // Serialising may need a second pass, for example where escapes meet the edge of a mark.
  let now = source;
  for (let pass = 0; pass < 3; pass++) {
    const next = markdown(defaultMarkdownParser.parse(now));
    if (next === now) break;
    now = next;
  }
  return now;
}

/** The fragment's content as Markdown. Tolerates whatever a client may have put there. */
export function fragmentToMarkdown(fragment: Y.XmlFragment): string {
  return markdown(fragmentToNode(fragment));
}

/** Brings a fragment to the given Markdown by the smallest difference, inside the caller's transaction. */
export function writeMarkdown(fragment: Y.XmlFragment, source: string): void {
  const { doc } = fragment;
  if (!doc) throw new Error('the fragment is not part of a document');
  const node = defaultMarkdownParser.parse(source);
  updateYFragment(doc, fragment, node, { mapping: new Map(), isOMark: new Map() });
}

/** The fragment as a ProseMirror document of {@link richSchema}; unknown elements become paragraphs of their text. */
export function fragmentToNode(fragment: Y.XmlFragment): Node {
  const blocks = asBlocks(fragment.toArray().flatMap(toNodes));
  return schema.topNodeType.createAndFill(null, blocks) ?? schema.topNodeType.createAndFill(null, plain(blocks))!;
}

type Child = Y.XmlElement | Y.XmlText | Y.XmlHook | Y.XmlFragment;

function toNodes(child: unknown): Node[] {
  if (child instanceof Y.XmlText) return inline(child);
  if (!(child instanceof Y.XmlElement)) return [];
  const content = (child.toArray() as Child[]).flatMap(toNodes);
  const type = schema.nodes[child.nodeName];
  if (!type || type === schema.topNodeType) return content;
  const attrs = child.getAttributes() as Record<string, unknown>;
  try {
    const fitted = type.inlineContent ? content.flatMap(flatten) : type.isLeaf ? [] : content;
    const node = type.createAndFill(attrs, fitted) ?? type.createAndFill(attrs, asBlocks(fitted));
    node?.check();
    return node ? [node] : plain(content);
  } catch {
    return plain(content);
  }
}

/** Inline nodes of a node; text of blocks that stand where only text may. */
const flatten = (node: Node): Node[] => (node.isInline ? [node] : node.textContent ? [schema.text(node.textContent)] : []);

const plain = (nodes: Node[]): Node[] => {
  const content = nodes.flatMap(flatten);
  return content.length > 0 ? [schema.node('paragraph', null, content)] : [];
};

/** Wraps runs of inline nodes into paragraphs. */
function asBlocks(nodes: Node[]): Node[] {
  const blocks: Node[] = [];
  let run: Node[] = [];
  const close = (): void => {
    if (run.length > 0) blocks.push(schema.node('paragraph', null, run));
    run = [];
  };
  for (const node of nodes) {
    if (node.isInline) run.push(node);
    else {
      close();
      blocks.push(node);
    }
  }
  close();
  return blocks;
}

function inline(text: Y.XmlText): Node[] {
  const nodes: Node[] = [];
  for (const part of text.toDelta() as { insert: unknown; attributes?: Record<string, unknown> }[]) {
    if (typeof part.insert !== 'string' || part.insert === '') continue;
    const marks: Mark[] = [];
    for (const [key, value] of Object.entries(part.attributes ?? {})) {
      // y-prosemirror writes overlapping marks as name--hash.
      const type = schema.marks[key.replace(/--.{8}$/, '')];
      if (!type || value === null) continue;
      try {
        marks.push(type.create(typeof value === 'object' ? (value as Record<string, unknown>) : null));
      } catch {
        // A link without its address is plain text.
      }
    }
    nodes.push(
      schema.text(
        part.insert,
        marks.reduce<readonly Mark[]>((set, mark) => mark.addToSet(set), []),
      ),
    );
  }
  return nodes;
}
