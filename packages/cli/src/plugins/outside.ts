/**
 * A plugin from outside the repository, looked at before anything changes: is
 * its package what a plugin's must be, was it written for this Kith, and does
 * its code keep to the doors that a plugin has.
 */
import fs from 'node:fs';
import path from 'node:path';
import { isVersion, satisfies, SDK_VERSION } from '@kith/sdk';
import { init, parse } from 'es-module-lexer';
import { CommandError } from '../command.ts';
import { checkId } from './names.ts';

/** A plugin's package, as its manifest says it. */
export interface OutsidePlugin {
  id: string;
  name: string;
  version: string;
  folder: string;
}

interface PackageJson {
  name?: unknown;
  version?: unknown;
  type?: unknown;
  exports?: Record<string, unknown>;
  kith?: { plugin?: unknown };
  dependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
}

type Half = 'plugin' | 'server' | 'client';
const HALVES: readonly Half[] = ['plugin', 'server', 'client'];

/** Where each half may reach, and what is said to whoever reaches further. */
const DOORS: Readonly<Record<Half, { may: RegExp; node: boolean; say: string }>> = {
  plugin: {
    may: /^@kith\/sdk$/,
    node: false,
    say: 'A declaration is imported everywhere: it may import @kith/sdk, the declarations of plugins that it needs, and its own packages.',
  },
  server: {
    may: /^@kith\/(sdk|core|doc)(\/(?!testing|bench).*)?$/,
    node: true,
    say: 'The server half may import @kith/sdk, @kith/core, @kith/doc, the declarations of plugins that it needs, and its own packages.',
  },
  client: {
    may: /^(@kith\/(sdk|doc|ui)(\/.*)?|svelte(\/.*)?)$/,
    node: false,
    say: 'The client half runs in the browser: it may import @kith/sdk, @kith/ui, svelte, the declarations of plugins that it needs, and its own packages.',
  },
};

/**
 * Reads and checks the package in a folder.
 * @param plugins Names of the packages in this build that are plugins.
 * @throws CommandError with one line that says what to mend
 */
export async function readOutside(folder: string, plugins: readonly string[]): Promise<OutsidePlugin> {
  const manifest = manifestOf(folder);
  const refuse = (code: string, text: string): never => {
    throw new CommandError(code, `${typeof manifest.name === 'string' ? manifest.name : folder}: ${text}`);
  };
  const { name, version } = manifest;
  if (typeof name !== 'string' || !/^(@[a-z0-9._~-]+\/)?[a-z0-9][a-z0-9._~-]*$/.test(name))
    return refuse('no_plugin', 'its package.json has no name.');
  if (name.startsWith('@kith/')) return refuse('name_taken', 'names that begin with @kith/ are Kith’s own; rename the package.');
  if (typeof version !== 'string' || !isVersion(version)) return refuse('no_plugin', 'its version must be of the form 1.2.3.');
  if (manifest.type !== 'module') return refuse('no_plugin', 'its package.json must say "type": "module".');
  const id = manifest.kith?.plugin;
  if (typeof id !== 'string')
    return refuse('no_plugin', 'is no plugin: its package.json must say its id, as in "kith": { "plugin": "warranty" }.');
  checkId(id);
  const range = manifest.peerDependencies?.['@kith/sdk'];
  if (range === undefined) return refuse('sdk', `must name @kith/sdk under peerDependencies, as in "^${SDK_VERSION}".`);
  if (satisfies(SDK_VERSION, range) !== true)
    return refuse('sdk', `was written for @kith/sdk ${range}, and this is ${SDK_VERSION}; take a version of the plugin that fits.`);
  for (const [peer, wanted] of Object.entries(manifest.peerDependencies ?? {})) {
    if (/^@kith\/(sdk|core|doc|ui)$/.test(peer) || peer === 'svelte' || plugins.includes(peer)) continue;
    if (/(^|[/-])plugin-/.test(peer)) return refuse('needs', `needs ${peer} ${wanted}, which is not installed; add that first.`);
  }
  const entries = entriesOf(folder, manifest.exports, refuse);
  await init();
  for (const half of HALVES) checkHalf(folder, half, entries[half], manifest, plugins, refuse);
  return { id, name, version, folder };
}

function manifestOf(folder: string): PackageJson {
  try {
    return JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')) as PackageJson;
  } catch {
    throw new CommandError('no_plugin', `${folder} has no package.json that can be read; give the folder or the npm name of a plugin.`);
  }
}

/** The files of the three halves: JavaScript, since Node strips no types below node_modules. */
function entriesOf(folder: string, exports: PackageJson['exports'], refuse: (code: string, text: string) => never): Record<Half, string> {
  const entry = (half: Half): string => {
    const value = exports?.[`./${half}`];
    const conditions = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : { default: value };
    const target = conditions['default'] ?? conditions['import'] ?? conditions['node'];
    if (typeof target !== 'string') return refuse('no_plugin', `its package.json must export "./${half}".`);
    if (half === 'server' && typeof conditions['browser'] !== 'string')
      return refuse(
        'no_plugin',
        'its "./server" must have a "browser" condition: a file that throws, so that no browser gets the server half.',
      );
    if (!/\.m?js$/.test(target))
      return refuse('not_built', `exports ${target} as "./${half}"; a plugin from outside ships built JavaScript.`);
    const file = path.resolve(folder, target);
    if (!file.startsWith(folder + path.sep)) return refuse('no_plugin', `exports ${target}, which is not in its folder.`);
    if (!fs.existsSync(file)) return refuse('not_built', `exports ${target}, which is not there; run the plugin’s build first.`);
    return file;
  };
  return { plugin: entry('plugin'), server: entry('server'), client: entry('client') };
}

/** Follows what a half imports, within the package, and judges whatever leads out of it. */
function checkHalf(
  folder: string,
  half: Half,
  entry: string,
  { name, dependencies = {}, peerDependencies = {} }: PackageJson,
  plugins: readonly string[],
  refuse: (code: string, text: string) => never,
): void {
  const { may, node, say } = DOORS[half];
  const seen = new Set<string>();
  const pending = [entry];
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    const shown = path.relative(folder, file);
    const wrong = (source: string, why: string): never => refuse('boundary', `${shown} imports “${source}”. ${why}`);
    for (const source of importsOf(file, (text) => refuse('boundary', `${shown} ${text}`))) {
      if (source.startsWith('.')) {
        const target = path.resolve(path.dirname(file), source.replace(/\?.*$/, ''));
        if (!target.startsWith(folder + path.sep)) wrong(source, 'That is outside of its package.');
        if (!fs.existsSync(target)) refuse('not_built', `${shown} imports “${source}”, which is not there; run the plugin’s build first.`);
        if (/\.(m?js|svelte)$/.test(target)) pending.push(target);
        else if (/\.[cm]?tsx?$/.test(target)) wrong(source, 'A plugin from outside ships built JavaScript.');
        continue;
      }
      if (/^[a-z]+:/.test(source)) {
        if (!source.startsWith('node:') || !node)
          wrong(source, source.startsWith('node:') ? `That needs Node. ${say}` : 'Only packages can be imported.');
        continue;
      }
      if (may.test(source)) continue;
      const packageName = /^(@[^/]+\/[^/]+|[^/]+)/.exec(source)![0];
      if (plugins.includes(packageName)) {
        if (source !== `${packageName}/plugin`)
          wrong(source, `Of another plugin only the declaration may be imported: ${packageName}/plugin.`);
        if (!(packageName in peerDependencies)) wrong(source, `List ${packageName} under peerDependencies, and its plugin under “needs”.`);
        continue;
      }
      if (packageName.startsWith('@kith/') || packageName === name) {
        if (packageName in peerDependencies)
          refuse('needs', `needs ${packageName} ${peerDependencies[packageName]}, which is not installed; add that first.`);
        wrong(source, say);
      }
      if (!(packageName in dependencies))
        wrong(source, `List ${packageName} under dependencies in its package.json, or do without it. ${say}`);
    }
  }
}

/** What a file imports, by a parser; of a component, what its scripts do. Types are not there when it runs. */
function importsOf(file: string, refuse: (text: string) => never): string[] {
  const text = fs.readFileSync(file, 'utf8');
  const scripts = file.endsWith('.svelte')
    ? [...text.matchAll(/<script\b[^>]*>([\s\S]*?)<\/script>/g)].map(([, code = '']) => code)
    : [text];
  return scripts.flatMap((code) => {
    try {
      const [imports] = parse(code);
      return imports.flatMap((one) => {
        if (one.type === 'import-meta' || ('typeOnly' in one && one.typeOnly)) return [];
        if (one.specifier === undefined || one.specifier.includes('*'))
          return refuse('imports what it finds out as it runs; imports must be written out.');
        return [one.specifier];
      });
    } catch (error) {
      if (error instanceof CommandError) throw error;
      return refuse(`is not JavaScript: ${(error instanceof Error ? error.message : String(error)).split('\n')[0]}`);
    }
  });
}
