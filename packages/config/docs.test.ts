/** What the documents say holds: links lead somewhere, commands and variables exist, decisions are numbered. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const documents = [
  'README.md',
  ...fs.readdirSync(path.join(root, 'docs'), { recursive: true, encoding: 'utf8' }).map((file) => `docs/${file}`),
]
  .filter((file) => file.endsWith('.md'))
  .sort();
const read = (file: string): string => fs.readFileSync(path.join(root, file), 'utf8');

/** The anchor that a heading gets. */
const anchorOf = (heading: string): string =>
  heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/[`*_]/g, (mark) => (mark === '_' ? '_' : ''))
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-');
const withoutCode = (text: string): string => text.replace(/^```[\s\S]*?^```/gm, '');
const anchorsOf = (file: string): Set<string> =>
  new Set([...withoutCode(read(file)).matchAll(/^#{1,6}\s+(.+)$/gm)].map(([, heading]) => anchorOf(heading!)));

describe.each(documents)('%s', (file) => {
  it('links to what is there', () => {
    const dead: string[] = [];
    for (const [, target] of withoutCode(read(file))
      .replace(/`[^`\n]*`/g, '')
      .matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)) {
      if (/^(https?|mailto):/.test(target!)) continue;
      const [to = '', anchor] = target!.split('#');
      const absolute = to === '' ? path.join(root, file) : path.resolve(root, path.dirname(file), to);
      const known = path.relative(root, absolute);
      if (!fs.existsSync(absolute)) dead.push(target!);
      else if (anchor !== undefined && known.endsWith('.md') && !anchorsOf(known).has(anchor)) dead.push(target!);
    }
    expect(dead).toEqual([]);
  });

  it('has a title, and a text for each picture', () => {
    expect(read(file)).toMatch(/^# \S/);
    expect(withoutCode(read(file))).not.toMatch(/!\[\]\(/);
  });
});

describe('commands', () => {
  const kith = (...args: string[]): unknown =>
    JSON.parse(execFileSync(process.execPath, [path.join(root, 'packages/cli/src/main.ts'), ...args, '--json'], { encoding: 'utf8' }));
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  let known: string[];
  const options = new Map<string, string[]>();
  const optionsOf = (command: string): string[] => {
    const found =
      options.get(command) ??
      (kith(...command.split(' '), '--help') as { options: [string, string][] }).options
        .map(([option]) => /^--[a-z-]+/.exec(option)?.[0] ?? '')
        .concat('--json', '--help');
    options.set(command, found);
    return found;
  };
  beforeAll(() => {
    known = (kith() as { commands: string[] }).commands;
  });

  /** Lines of shell blocks, and commands that stand in the text. */
  const linesOf = (text: string): string[] => [
    ...[...text.matchAll(/^```(?:sh|bash|shell)\n([\s\S]*?)^```/gm)].flatMap(([, block]) => block!.split('\n')),
    ...[...withoutCode(text).matchAll(/`((?:npm (?:run|start|test)|pnpm kith)[^`\n]*)`/g)].map(([, line]) => line!),
  ];
  const problemOf = (line: string): string | undefined => {
    const script = /(?:^|[\s;&(])npm (?:run )?([a-z:]+)/.exec(line)?.[1];
    if (
      script !== undefined &&
      !['install', 'ci', 'pack', 'init'].includes(script) &&
      !Object.hasOwn(scripts, script) &&
      line.includes('npm')
    )
      return `there is no script "${script}"`;
    const called = /(?:npm run kith --|pnpm kith|(?:^|\s)kith)\s+([^#|&;\\]+)/.exec(line)?.[1]?.trim().split(/\s+/);
    const started = /npm (?:start|run dev) --\s+([^#|&;\\]+)/.exec(line)?.[1]?.trim().split(/\s+/);
    const words = started ? ['start', ...started] : called;
    if (!words || words[0]!.startsWith('-') || words[0]!.startsWith('<')) return undefined;
    const command = [words.slice(0, 2).join(' '), words[0]!].find((one) => known.includes(one));
    if (command === undefined) return `there is no command "${words.slice(0, 2).join(' ')}"`;
    const wrong = words.filter((word) => word.startsWith('--') && !optionsOf(command).includes(word.split('=')[0]!));
    return wrong.length > 0 ? `"${command}" has no ${wrong.join(', ')}` : undefined;
  };

  it.each(documents)('of %s are there, with their options', (file) => {
    const problems = linesOf(read(file)).flatMap((line) => {
      const problem = problemOf(line);
      return problem === undefined ? [] : [`${line.trim()}: ${problem}`];
    });
    expect(problems).toEqual([]);
  });

  it('are looked at: one that is not there is found', () => {
    expect(problemOf('npm run kith -- frobnicate')).toContain('frobnicate');
    expect(problemOf('npm run kith -- user create --mail x')).toContain('--mail');
    expect(problemOf('npm run nonsense')).toContain('nonsense');
    expect(problemOf('npm start -- --port 80')).toBeUndefined();
  });
});

it('names only variables of the environment that something reads', () => {
  const sources = ['packages', 'apps', 'plugins', 'docker']
    .filter((folder) => fs.existsSync(path.join(root, folder)))
    .flatMap((folder) => filesBelow(folder, /\.(ts|mjs|yaml|yml)$|Dockerfile/));
  const code = sources.map(read).join('\n');
  const unknown = documents.flatMap((file) =>
    [...new Set(read(file).match(/\bKITH_[A-Z][A-Z_]*[A-Z]\b/g))].filter((name) => !code.includes(name)).map((name) => `${file}: ${name}`),
  );
  expect(unknown).toEqual([]);
});

it('numbers the decisions one after the other', () => {
  const files = fs.readdirSync(path.join(root, 'docs/adr')).sort();
  expect(files.map((file) => Number(file.slice(0, 4)))).toEqual(files.map((_, i) => i + 1));
  for (const [i, file] of files.entries()) expect(read(`docs/adr/${file}`)).toMatch(new RegExp(`^# ${i + 1}\\. \\S`));
});

function filesBelow(folder: string, named: RegExp): string[] {
  return fs.readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const file = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return /^(node_modules|build|dist|\..*)$/.test(entry.name) ? [] : filesBelow(file, named);
    return named.test(entry.name) ? [file] : [];
  });
}
