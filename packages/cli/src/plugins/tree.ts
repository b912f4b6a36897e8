/**
 * The source tree as commands change it: all of a change or nothing. Whatever
 * fails puts every file back as it was, and the installed packages with them.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { outdated } from '@kith/installed/generate';
import { CommandError } from '../command.ts';

export const root = path.resolve(import.meta.dirname, '../../../..');

export const MANIFEST = 'package.json';
export const LOCK = 'pnpm-lock.yaml';
export const INSTALLED = 'packages/installed/package.json';
/** Packages of plugins that came from a folder. */
export const VENDOR = 'vendor';
const BUILD = ['apps/web/build', 'apps/web/.svelte-kit', '.cache/build.stamp', '.cache/install.stamp'];

export interface Manifest {
  dependencies?: Record<string, string>;
  kith?: { without?: string[]; plugins?: string[] };
  [key: string]: unknown;
}

export const read = (file: string): string => fs.readFileSync(path.join(root, file), 'utf8');
export const readManifest = (file: string): Manifest => JSON.parse(read(file)) as Manifest;

/** A change of the tree that is being made. Paths are below the root. */
export class Change {
  readonly #before = new Map<string, Buffer | null>();
  readonly #made: string[] = [];
  #installed = false;
  #built: string | undefined;

  /** Remembers a file that something else will write. */
  keep(file: string): void {
    const absolute = path.join(root, file);
    if (!this.#before.has(file)) this.#before.set(file, fs.existsSync(absolute) ? fs.readFileSync(absolute) : null);
  }

  write(file: string, text: string | Buffer): void {
    this.keep(file);
    const absolute = path.join(root, file);
    const folder = fs.mkdirSync(path.dirname(absolute), { recursive: true });
    if (folder !== undefined) this.#made.push(folder);
    fs.writeFileSync(absolute, text);
  }

  remove(file: string): void {
    this.keep(file);
    fs.rmSync(path.join(root, file), { force: true });
  }

  /** Changes a package.json; its other lines stay as they are written. */
  edit(file: string, change: (manifest: Manifest) => void): void {
    const manifest = readManifest(file);
    change(manifest);
    this.write(file, `${JSON.stringify(manifest, null, 2)}\n`);
  }

  /** Brings node_modules to what the manifests say. `arguments_` are those of another pnpm command than install. */
  install(arguments_: readonly string[] = ['install', '--no-frozen-lockfile', '--prefer-offline']): void {
    this.keep(LOCK);
    this.#installed = true;
    const { ok, said } = run('pnpm', arguments_);
    if (!ok) throw new CommandError('install_failed', `The packages could not be installed: ${said}`);
  }

  /** The generator's new guest list. It is written last: the development server takes the change over then. */
  list(): void {
    try {
      for (const [file, text] of outdated(root)) this.write(path.relative(root, file), text);
    } catch (error) {
      throw new CommandError(
        'list_failed',
        `The list of plugins could not be written: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  /** Looks at all plugins together, as a start would; at the one that is new more closely. */
  look(id?: string): void {
    const { ok, said } = run(process.execPath, ['packages/cli/src/plugins/whole.ts', ...(id === undefined ? [] : [id])]);
    if (!ok) throw new CommandError('unfit', said);
  }

  /** Builds what `npm start` would; what was built before is kept until this has succeeded. */
  build(): void {
    const kept = path.join(root, '.cache', `before-${process.pid}`);
    fs.rmSync(kept, { recursive: true, force: true });
    for (const part of BUILD) {
      if (fs.existsSync(path.join(root, part))) fs.cpSync(path.join(root, part), path.join(kept, part), { recursive: true });
    }
    this.#built = kept;
    const { ok, said } = run(process.execPath, ['packages/cli/bootstrap.mjs', 'build']);
    if (!ok) throw new CommandError('build_failed', `The build failed: ${said}`);
  }

  /** Everything succeeded. */
  done(): void {
    if (this.#built !== undefined) fs.rmSync(this.#built, { recursive: true, force: true });
  }

  /** Puts everything back as it was. */
  undo(): void {
    for (const [file, text] of this.#before) {
      const absolute = path.join(root, file);
      if (text === null) fs.rmSync(absolute, { force: true });
      else if (!fs.existsSync(absolute) || !fs.readFileSync(absolute).equals(text)) fs.writeFileSync(absolute, text);
    }
    for (const folder of this.#made.reverse()) fs.rmSync(folder, { recursive: true, force: true });
    // What was installed meanwhile is not asked for any more.
    if (this.#installed) run('pnpm', ['install', '--frozen-lockfile', '--prefer-offline']);
    if (this.#built === undefined) return;
    for (const part of BUILD) {
      fs.rmSync(path.join(root, part), { recursive: true, force: true });
      if (fs.existsSync(path.join(this.#built, part))) fs.renameSync(path.join(this.#built, part), path.join(root, part));
    }
    fs.rmSync(this.#built, { recursive: true, force: true });
  }
}

/** Makes a change, or leaves everything as it was. */
export async function changing<T>(work: (change: Change) => T | Promise<T>): Promise<T> {
  const change = new Change();
  try {
    const result = await work(change);
    change.done();
    return result;
  } catch (error) {
    change.undo();
    throw error;
  }
}

/** Runs a tool; of what it says, the line that says most. */
function run(command: string, args: readonly string[]): { ok: boolean; said: string } {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    // CI: never ask a question that nobody sees.
    env: { ...process.env, CI: '1', npm_config_frozen_lockfile: undefined },
    shell: process.platform === 'win32' && command === 'pnpm',
  });
  if (error && 'code' in error && error.code === 'ENOENT') {
    return { ok: false, said: `${command} is not there; run this command as “npm run kith -- …”, which brings it` };
  }
  if (status === 0) return { ok: true, said: '' };
  const lines = stripVTControlCharacters(`${stdout ?? ''}\n${stderr ?? ''}`)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^(at |npm warn)/.test(line));
  const reason = lines.find((line) => /(ERR|Error|error|failed to resolve|Could not|Cannot)/.test(line) && !/^The build failed/.test(line));
  return { ok: false, said: reason ?? lines.at(-1) ?? `${command} ended with ${status}` };
}
