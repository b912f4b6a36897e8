/**
 * Writes the guest list: which plugins are in this build. It reads the folders
 * below plugins/ and writes three small modules, one per half, so that each
 * process imports only what it runs.
 *
 * By convention a plugin's declaration is exported under its id, its handlers
 * as `server` and its screens as `client`.
 *
 *   node packages/installed/generate.ts [--check]
 */
import fs from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../..');
const HEAD = '// Generated from plugins/* by packages/installed/generate.ts; do not edit.\n';

/** Ids of the plugins in the tree, those that are needed before those that need them. */
export function installedPlugins(folder = path.join(root, 'plugins')): string[] {
  const ids = fs
    .readdirSync(folder)
    .filter((id) => fs.existsSync(path.join(folder, id, 'src/plugin.ts')))
    .sort();
  const ordered: string[] = [];
  const visit = (id: string): void => {
    if (ordered.includes(id)) return;
    const text = fs.readFileSync(path.join(folder, id, 'package.json'), 'utf8');
    const manifest = JSON.parse(text) as { dependencies?: Record<string, string> };
    for (const other of ids) {
      if (other !== id && manifest.dependencies?.[`@kith/plugin-${other}`]) visit(other);
    }
    ordered.push(id);
  };
  ids.forEach(visit);
  return ordered;
}

/** The generated modules by file name. */
export function guestList(ids: readonly string[]): Record<string, string> {
  const name = (id: string): string => id.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
  const halves = (half: 'server' | 'client', type: string, list: string): string =>
    [
      HEAD,
      `import type { ${type} } from '@kith/sdk';\n`,
      ...ids.map((id) => `import { ${half} as ${name(id)} } from '@kith/plugin-${id}/${half}';\n`),
      `\nexport const ${list}: ${type}[] = [${ids.map(name).join(', ')}];\n`,
    ].join('');
  return {
    'plugins.ts': [
      HEAD,
      `import type { AnyPlugin } from '@kith/sdk';\n`,
      ...ids.map((id) => `import { ${name(id)} } from '@kith/plugin-${id}/plugin';\n`),
      `\nexport const plugins: AnyPlugin[] = [${ids.map(name).join(', ')}];\n`,
    ].join(''),
    'server.ts': halves('server', 'AnyServer', 'servers'),
    'client.ts': halves('client', 'Client', 'clients'),
  };
}

function main(): void {
  const check = process.argv.includes('--check');
  const target = path.join(import.meta.dirname, 'src');
  fs.mkdirSync(target, { recursive: true });
  for (const [file, text] of Object.entries(guestList(installedPlugins()))) {
    const absolute = path.join(target, file);
    const now = fs.existsSync(absolute) ? fs.readFileSync(absolute, 'utf8') : '';
    if (now === text) continue;
    if (check) {
      process.stderr.write(`packages/installed/src/${file} is out of date: run "node packages/installed/generate.ts".\n`);
      process.exitCode = 1;
    } else {
      fs.writeFileSync(absolute, text);
    }
  }
}

if (import.meta.main) main();
