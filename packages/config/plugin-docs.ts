/**
 * What the plugin documents say is taken from the code: the snippets of the
 * handbook from plugins/example, between `// #region name` and `// #endregion`
 * there; the reference from the types of the contract and their docstrings.
 *
 *   node packages/config/plugin-docs.ts [--check]
 */
import fs from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

const root = path.resolve(import.meta.dirname, '../..');
const HANDBOOK = 'docs/plugins/handbook.md';
const REFERENCE = 'docs/plugins/reference.md';
const SDK = 'packages/sdk/src';

const read = (file: string): string => fs.readFileSync(path.join(root, file), 'utf8');

// Snippets -------------------------------------------------------------------

/** The lines of a region, or of the whole file, moved to the left. What stands between two parts of a region is left out. */
export function snippet(file: string, region: string | undefined): string {
  const parts: string[][] = [];
  let open = region === undefined;
  if (open) parts.push([]);
  for (const line of read(file).trimEnd().split('\n')) {
    const began = /^\s*(?:\/\/|<!--) #region ([\w-]+)/.exec(line)?.[1];
    if (began !== undefined || /^\s*(?:\/\/|<!--) #endregion/.test(line)) {
      if (region !== undefined) {
        open = began === region;
        if (open) parts.push([]);
      }
      continue;
    }
    if (open) parts.at(-1)!.push(line);
  }
  if (parts.length === 0) throw new Error(`${file} has no region “${region}”.`);
  const lines = parts.flatMap((part, at) => (at === 0 ? part : [`${/^\s*/.exec(parts[at - 1]!.at(-1) ?? '')![0]}// …`, ...part]));
  const left = Math.min(...lines.filter((line) => line.trim() !== '').map((line) => line.search(/\S/)));
  return lines
    .map((line) => line.slice(left))
    .join('\n')
    .trim();
}

const LANGUAGES: Readonly<Record<string, string>> = { '.ts': 'ts', '.svelte': 'svelte', '.json': 'json' };

/** The handbook with every snippet as the code has it now. */
export const handbook = (text: string): string =>
  text.replace(/<!-- from (\S+?)(?:#([\w-]+))? -->\n[\s\S]*?<!-- end -->/g, (_, file: string, region: string | undefined) =>
    [
      `<!-- from ${file}${region === undefined ? '' : `#${region}`} -->`,
      `\`\`\`${LANGUAGES[path.extname(file)] ?? ''}`,
      snippet(file, region),
      '```',
      '<!-- end -->',
    ].join('\n'),
  );

// Reference ------------------------------------------------------------------

/** What the reference is made of: a heading, and the types below it, by file. */
const CHAPTERS: readonly [heading: string, about: string, types: readonly (readonly [file: string, type: string])[]][] = [
  [
    'The declaration',
    'What `definePlugin` is given. It is data, imported by every process and by browsers.',
    [
      [`${SDK}/plugin.ts`, 'definePlugin'],
      ...[
        'ObjectDeclaration',
        'View',
        'Action',
        'Extension',
        'Audience',
        'Portal',
        'PortalObject',
        'PortalPage',
        'PortalSelection',
        'Metric',
        'Permission',
        'EventDeclaration',
      ].map((type) => [`${SDK}/plugin.ts`, type] as const),
    ],
  ],
  [
    'Fields',
    'Each has a builder of its name: `text({ required: true })`. The keys of all fields stand first.',
    [
      ...[
        'FieldCommon',
        'TextField',
        'LongTextField',
        'RichTextField',
        'NumberField',
        'MoneyField',
        'BooleanField',
        'DateField',
        'DateTimeField',
      ],
      ...['SelectField', 'MultiSelectField', 'RefField', 'RefsField', 'UserField', 'Option', 'FieldMode', 'Money', 'Address', 'AnyRef'],
    ].map((type) => [`${SDK}/field.ts`, type] as const),
  ],
  [
    'Settings',
    'What administrators tell a plugin. A setting is a field of the types that are named here, without the keys that are for records (`required`, `mode`, …), or a secret.',
    ['Setting', 'SettingField', 'SecretSetting', 'SettingsOf', 'SecretsOf'].map((type) => [`${SDK}/settings.ts`, type] as const),
  ],
  [
    'Rules and filters',
    'Who may do what with which records, and which records are meant.',
    [
      [`${SDK}/rule.ts`, 'Rule'],
      [`${SDK}/rule.ts`, 'Access'],
      [`${SDK}/rule.ts`, 'Role'],
      [`${SDK}/filter.ts`, 'Filter'],
      [`${SDK}/filter.ts`, 'Comparison'],
      [`${SDK}/filter.ts`, 'RelativeDay'],
    ],
  ],
  [
    'Workflows',
    'Shipped under `workflows`. Every action of every object is a step that people may choose too.',
    ['ShippedWorkflow', 'Workflow', 'Trigger', 'Step', 'WorkflowValue'].map((type) => [`${SDK}/workflow.ts`, type] as const),
  ],
  [
    'The server half',
    'What `defineServer` is given besides `actions`, which has a handler for each declared action, and `demo`.',
    [
      ...[
        'Server',
        'Guard',
        'Change',
        'Verdict',
        'FieldProblem',
        'ActionHandler',
        'ActionCall',
        'Effect',
        'Effected',
        'Consumer',
        'ChangeEvent',
      ],
      ...[
        'JobCommon',
        'TransactionalJob',
        'ExternalJob',
        'CallTools',
        'QueuedJob',
        'Outcome',
        'Fetch',
        'FetchOptions',
        'FetchError',
        'Services',
        'OutgoingMail',
        'Service',
        'ServiceTools',
        'PluginRoute',
        'PluginCall',
        'PluginAnswer',
        'Channel',
        'ChannelMessage',
        'Delivered',
        'ChannelInfo',
        'Importer',
        'ImportedRow',
      ],
      ...['Migration', 'Demo', 'DemoTools', 'DemoPerson'],
    ].map((type) => [`${SDK}/server.ts`, type] as const),
  ],
  [
    'ctx',
    'What every handler gets.',
    [
      'Context',
      'RecordsDoor',
      'QueryOptions',
      'QueryPage',
      'Rec',
      'Files',
      'KeptFile',
      'Sql',
      'JobOptions',
      'Notice',
      'Principal',
      'Outside',
    ].map((type) => [`${SDK}/server.ts`, type] as const),
  ],
  ['The client half', 'The slots of `defineClient`.', [[`${SDK}/client.ts`, 'Slots']]],
  [
    'Tests',
    'What `createTestWorld` takes and gives.',
    [
      ['packages/core/src/testing.ts', 'TestOptions'],
      ['packages/core/src/testing.ts', 'TestWorld'],
      ['packages/core/src/testing/clock.ts', 'TestClock'],
      ['packages/core/src/testing/mails.ts', 'CaughtMail'],
    ],
  ],
];

/** Members without a docstring are listed here, so that a test can refuse them. */
export const undocumented: string[] = [];

const sources = new Map<string, ts.SourceFile>();
const sourceOf = (file: string): ts.SourceFile => {
  const known = sources.get(file) ?? ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest, true);
  sources.set(file, known);
  return known;
};

const oneLine = (node: ts.Node): string =>
  node
    .getText()
    .replace(/\/\*\*?[\s\S]*?\*\//g, '')
    .replace(/\/\/[^\n]*\n/g, '\n')
    .replace(/\s+/g, ' ')
    .trim();

/** A docstring as one paragraph; `{@link X}` becomes `X`. */
function docOf(node: ts.Node): string {
  const docs = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc);
  const last = docs.at(-1);
  if (!last) return '';
  const text = last
    .getText()
    .replace(/^\/\*\*|\*\/$/g, '')
    .replace(/^\s*\* ?/gm, '')
    .trim();
  return text
    .replace(/\{@link ([^}]+)\}/g, '`$1`')
    .replace(/^@(\w+) /gm, '*$1* ')
    .replace(/\n(?=- )/g, '\n  ')
    .replace(/([^\n])\n(?!\s*- )/g, '$1 ');
}

function membersOf(name: string, type: ts.TypeNode | ts.InterfaceDeclaration | ts.ClassDeclaration): string[] {
  const members: readonly ts.Node[] =
    ts.isInterfaceDeclaration(type) || ts.isTypeLiteralNode(type)
      ? type.members
      : ts.isClassDeclaration(type)
        ? // What a class overrides of another is that one's.
          type.members.filter(
            (member) => ts.isPropertyDeclaration(member) && !member.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.OverrideKeyword),
          )
        : [];
  return members.flatMap((member) => {
    if (ts.isCallSignatureDeclaration(member)) return [`- **call**: \`${oneLine(member)}\``];
    if (!(ts.isPropertySignature(member) || ts.isMethodSignature(member) || ts.isPropertyDeclaration(member))) return [];
    const key = member.name.getText().replace(/^'|'$/g, '');
    const doc = docOf(member);
    // The kind of a field is its builder's name.
    if (doc === '' && !(key === 'type' && name.endsWith('Field'))) undocumented.push(`${name}.${key}`);
    const shown = ts.isMethodSignature(member)
      ? oneLine(member).replace(/^\w+/, '').replace(/;$/, '')
      : member.type
        ? oneLine(member.type)
        : 'unknown';
    return [`- **\`${key}${member.questionToken ? '?' : ''}\`**: \`${shown}\`${doc === '' ? '' : `  \n  ${doc}`}`];
  });
}

function sectionOf(file: string, name: string): string {
  const source = sourceOf(file);
  for (const node of source.statements) {
    if ((ts.isInterfaceDeclaration(node) || ts.isClassDeclaration(node)) && node.name?.text === name) {
      const base = node.heritageClauses?.flatMap((clause) => clause.types.map((one) => `\`${one.getText()}\``)) ?? [];
      const head = [docOf(node), base.length > 0 ? `With the keys of ${base.join(', ')}.` : ''].filter(Boolean).join('\n\n');
      return [`### ${name}`, head, membersOf(name, node).join('\n')].filter(Boolean).join('\n\n');
    }
    if (ts.isTypeAliasDeclaration(node) && node.name.text === name) {
      const own = ts.isTypeLiteralNode(node.type)
        ? membersOf(name, node.type).join('\n')
        : [
            '```ts',
            node
              .getText()
              .replace(/^\/\*\*[\s\S]*?\*\/\n/, '')
              .replace(/^export /, ''),
            '```',
          ].join('\n');
      return [`### ${name}`, docOf(node), own].filter(Boolean).join('\n\n');
    }
    if (ts.isFunctionDeclaration(node) && node.name?.text === name) {
      const given = node.parameters[0]?.type;
      if (given) return [`### ${name}`, docOf(node), membersOf(name, given).join('\n')].filter(Boolean).join('\n\n');
    }
  }
  throw new Error(`${file} declares no “${name}”.`);
}

/** The reference as the types have it now. */
export function reference(): string {
  undocumented.length = 0;
  return `${[
    '# Plugin reference',
    'Every key of the plugin contract and every member of `ctx`, written by `node packages/config/plugin-docs.ts` from the docstrings of the types. How they go together is in the [handbook](handbook.md).',
    ...CHAPTERS.flatMap(([heading, about, types]) => [`## ${heading}`, about, ...types.map(([file, type]) => sectionOf(file, type))]),
  ].join('\n\n')}\n`;
}

/** Documents that are not as they should be, with what they should say. */
export function outdated(): Map<string, string> {
  const found = new Map<string, string>();
  for (const [file, text] of [
    [HANDBOOK, handbook(read(HANDBOOK))],
    [REFERENCE, reference()],
  ] as const)
    if (!fs.existsSync(path.join(root, file)) || read(file) !== text) found.set(file, text);
  return found;
}

if (import.meta.main) {
  for (const [file, text] of outdated()) {
    if (process.argv.includes('--check')) {
      process.stderr.write(`${file} is not what the code says: run "node packages/config/plugin-docs.ts".\n`);
      process.exitCode = 1;
    } else fs.writeFileSync(path.join(root, file), text);
  }
}
