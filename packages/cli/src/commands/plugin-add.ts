import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { choiceOf, installedPlugins, pluginFolders } from '@kith/installed/generate';
import { CommandError, fileOf, type Command } from '../command.ts';
import { readOutside, type OutsidePlugin } from '../plugins/outside.ts';
import { changing, INSTALLED, MANIFEST, readManifest, root, VENDOR, type Change } from '../plugins/tree.ts';

export const pluginAdd: Command = {
  summary: 'Take a plugin into the build: a built one from a folder or from npm, or one of plugins/ that was removed.',
  usage: '<folder, npm package or id> [--no-build]',
  help: [
    ['<folder>', 'a folder with a built plugin; its package is kept in vendor/'],
    ['<npm package>', 'a name like kith-plugin-fleet, with a version as in kith-plugin-fleet@1.2.0 if need be'],
    ['<id>', 'a plugin of plugins/ that “plugin remove” took out'],
    ['--no-build', 'do not build: “npm start” does, and “npm run dev” needs none'],
  ],
  options: { 'no-build': { type: 'boolean' } },
  positionals: ['<folder, npm package or id>'],
  async run({ values, positionals: [given = ''], out }) {
    const build = values['no-build'] !== true;
    const without = choiceOf(root).without ?? [];
    if (without.includes(given)) {
      await changing((change) => {
        change.edit(MANIFEST, (manifest) => choose(manifest, { without: without.filter((id) => id !== given) }));
        takeOver(change, { build });
      });
      out.result(`${given} is in the build again, with what it had stored.`, { id: given, from: `plugins/${given}` });
      return;
    }
    if (pluginFolders(root).includes(given)) throw new CommandError('exists', `“${given}” is in the build already.`);
    const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'kith-plugin-'));
    try {
      const source = sourceOf(given, scratch);
      out.note('Checking the plugin …');
      const plugin = await readOutside(
        source.folder,
        installedPlugins(root).map(({ from }) => from),
      );
      refuseTaken(plugin);
      out.note(build ? 'Adding it and building …' : 'Adding it …');
      await changing((change) => {
        const dependency = source.range ?? pack(change, plugin, scratch);
        change.edit(INSTALLED, (manifest) => {
          const all = { ...manifest.dependencies, [plugin.name]: dependency };
          manifest.dependencies = Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)));
        });
        change.edit(MANIFEST, (manifest) => choose(manifest, { plugins: [...(manifest.kith?.plugins ?? []), plugin.name] }));
        change.install();
        takeOver(change, { build, id: plugin.id });
      });
      out.result(
        `${plugin.name} ${plugin.version} is in the build as “${plugin.id}”. It is switched on and off on Settings › Plugins, or by “kith plugin disable ${plugin.id}”.`,
        { id: plugin.id, name: plugin.name, version: plugin.version },
      );
    } finally {
      fs.rmSync(scratch, { recursive: true, force: true });
    }
  },
};

/** Lists, looks at the whole, builds: what every change of the build ends with. */
export function takeOver(change: Change, { build, id }: { build: boolean; id?: string }): void {
  change.list();
  change.look(id);
  if (build) change.build();
}

/** Writes what the root says of plugins; what is empty is not said. */
export function choose(
  manifest: { kith?: { without?: string[]; plugins?: string[] } },
  more: { without?: string[]; plugins?: string[] },
): void {
  const all = { ...manifest.kith, ...more };
  const said = Object.fromEntries(Object.entries(all).filter(([, list]) => list.length > 0));
  if (Object.keys(said).length > 0) manifest.kith = said;
  else delete manifest.kith;
}

/** The folder in which the plugin can be looked at; for one from npm, the range that is asked for later. */
function sourceOf(given: string, scratch: string): { folder: string; range?: string } {
  const folder = fileOf(given);
  if (fs.existsSync(folder) && fs.statSync(folder).isDirectory()) return { folder: fs.realpathSync(folder) };
  if (!/^(@[a-z0-9._~-]+\/)?[a-z0-9][a-z0-9._~-]*(@[^/\s]+)?$/.test(given))
    throw new CommandError('not_found', `“${given}” is neither a folder with a plugin nor the name of an npm package.`);
  let file: string;
  try {
    // From here, where an .npmrc may name a registry of the house's own.
    const said = execFileSync('npm', ['pack', given, '--json', '--ignore-scripts', '--pack-destination', scratch], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    file = (JSON.parse(said) as { filename: string }[])[0]!.filename;
  } catch {
    throw new CommandError('not_found', `npm has no package “${given}”, or cannot be reached; give a folder, or connect this machine.`);
  }
  execFileSync('tar', ['-xzf', path.join(scratch, file), '-C', scratch]);
  const inside = path.join(scratch, 'package');
  const { version } = JSON.parse(fs.readFileSync(path.join(inside, 'package.json'), 'utf8')) as { version: string };
  return { folder: fs.realpathSync(inside), range: `^${version}` };
}

function refuseTaken({ id, name }: OutsidePlugin): void {
  if (choiceOf(root).plugins?.includes(name)) {
    throw new CommandError('exists', `${name} is in the build already; remove it first to take another version: kith plugin remove ${id}.`);
  }
  const other = installedPlugins(root).find((one) => one.id === id);
  if (other || pluginFolders(root).includes(id)) {
    throw new CommandError(
      'name_taken',
      `A plugin “${id}” is there already (${other?.from ?? `plugins/${id}`}); one of the two must be called otherwise.`,
    );
  }
  if (readManifest(INSTALLED).dependencies?.[name] !== undefined)
    throw new CommandError('name_taken', `A package ${name} is used already.`);
}

/** Puts the package into the tree, so that the build does not hang on a folder elsewhere. */
function pack(change: Change, { name, version, folder }: OutsidePlugin, scratch: string): string {
  try {
    const said = execFileSync('npm', ['pack', folder, '--json', '--ignore-scripts', '--pack-destination', scratch], {
      cwd: scratch,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { filename } = (JSON.parse(said) as { filename: string }[])[0]!;
    const packed = fs.readFileSync(path.join(scratch, filename));
    // By its content: of two packages of one name, the second would otherwise be taken for the first.
    const hash = createHash('sha256').update(packed).digest('hex').slice(0, 8);
    const file = `${VENDOR}/${name.replace('@', '').replace('/', '-')}-${version}-${hash}.tgz`;
    change.write(file, packed);
    return `file:../../${file}`;
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(
      'pack_failed',
      `${name} could not be packed: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`,
    );
  }
}
