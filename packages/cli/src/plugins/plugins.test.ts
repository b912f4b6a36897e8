/** Plugins begun, taken in and taken out, in a copy of this tree: as the development server sees it, and all or nothing. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copyTree, type Copy, type Dev } from '../testing/copy.ts';
import { plural, words } from './names.ts';
import { readOutside } from './outside.ts';
import { outside } from './template.ts';

const root = path.resolve(import.meta.dirname, '../../../..');
let copy: Copy;
/** A plugin outside, built as its author would. */
let fleet: string;

beforeAll(() => {
  copy = copyTree();
  fleet = path.join(fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'kith-fleet-'))), 'fleet');
  const begun = copy.kith('plugin', 'new', 'fleet', '--object', 'car', '--outside', fleet);
  expect(begun.stderr).toBe('');
  const built = spawnSync(process.execPath, [path.join(root, 'node_modules/typescript/lib/tsc.js'), '-p', '.'], {
    cwd: fleet,
    encoding: 'utf8',
  });
  expect(built.stdout).toBe('');
  expect(spawnSync(process.execPath, ['copy.mjs'], { cwd: fleet }).status).toBe(0);
}, 120_000);
afterAll(() => {
  copy.remove();
  fs.rmSync(path.dirname(fleet), { recursive: true, force: true });
});

/** A variant of the built plugin, in a folder of its own. */
function variant(change: (edit: (file: string, from: string | RegExp, to: string) => void) => void): string {
  const folder = `${fleet}-${Math.random().toString(36).slice(2)}`;
  fs.cpSync(fleet, folder, { recursive: true });
  change((file, from, to) => {
    const absolute = path.join(folder, file);
    const text = fs.existsSync(absolute) ? fs.readFileSync(absolute, 'utf8') : '';
    const changed = text === '' ? to : text.replace(from, to);
    if (changed === text) throw new Error(`${file} does not hold ${String(from)}`);
    fs.mkdirSync(path.dirname(absolute), { recursive: true });
    fs.writeFileSync(absolute, changed);
  });
  return folder;
}
type Edit = Parameters<Parameters<typeof variant>[0]>[0];
const PACKAGE = 'package.json';
const IMPORT = /^import \{ fleet \} from .*$/m;

describe('a plugin from outside', () => {
  const known = ['@kith/plugin-contacts', '@kith/plugin-sales'];

  it('is read as it was built', async () => {
    expect(await readOutside(fleet, known)).toEqual({ id: 'fleet', name: 'kith-plugin-fleet', version: '0.1.0', folder: fleet });
  });

  it.each<[string, (edit: Edit) => void, RegExp]>([
    ['another sdk', (edit) => edit(PACKAGE, '"^1.0.0"', '"^2.0.0"'), /written for @kith\/sdk \^2\.0\.0, and this is 1\.\d+\.\d+/],
    ['no sdk', (edit) => edit(PACKAGE, '"@kith/sdk": "^1.0.0",', ''), /must name @kith\/sdk under peerDependencies/],
    [
      'a need that is not there',
      (edit) => edit(PACKAGE, 'plugin-contacts', 'plugin-space'),
      /needs @kith\/plugin-space \*, which is not installed; add that first/,
    ],
    ['no id', (edit) => edit(PACKAGE, '"plugin": "fleet"', '"x": 1'), /is no plugin: its package\.json must say its id/],
    ['a name of Kith', (edit) => edit(PACKAGE, '"name": "kith-plugin-fleet"', '"name": "@kith/fleet"'), /are Kith’s own/],
    ['an id of the database', (edit) => edit(PACKAGE, '"plugin": "fleet"', '"plugin": "public"'), /“public” cannot name a plugin/],
    ['sources', (edit) => edit(PACKAGE, './dist/plugin.js', './src/plugin.ts'), /ships built JavaScript/],
    ['no build', (edit) => edit(PACKAGE, './dist/plugin.js', './dist/none.js'), /is not there; run the plugin’s build first/],
    ['a server for browsers', (edit) => edit(PACKAGE, '"browser"', '"deno"'), /must have a "browser" condition/],
    [
      'Node in the declaration',
      (edit) => edit('dist/plugin.js', /^/, "import 'node:fs';\n"),
      /dist\/plugin\.js imports “node:fs”\. That needs Node/,
    ],
    [
      'the server in the browser',
      (edit) => edit('dist/client.js', IMPORT, `$&\nimport '@kith/core';`),
      /client\.js imports “@kith\/core”\. The client half/,
    ],
    ['the host’s tests', (edit) => edit('dist/server.js', IMPORT, `$&\nimport '@kith/core/testing';`), /“@kith\/core\/testing”/],
    [
      'another plugin’s handlers',
      (edit) => edit('dist/server.js', IMPORT, `$&\nimport '@kith/plugin-contacts/server';`),
      /only the declaration may be imported: @kith\/plugin-contacts\/plugin/,
    ],
    [
      'a plugin that it does not need',
      (edit) => edit('dist/server.js', IMPORT, `$&\nimport '@kith/plugin-sales/plugin';`),
      /List @kith\/plugin-sales under peerDependencies/,
    ],
    ['what lies beside it', (edit) => edit('dist/server.js', IMPORT, `$&\nimport '../../other.js';`), /outside of its package/],
    [
      'a package that it does not name',
      (edit) => edit('dist/server.js', IMPORT, `$&\nimport 'left-pad';`),
      /List left-pad under dependencies/,
    ],
    ['a name found out as it runs', (edit) => edit('dist/server.js', IMPORT, `$&\nawait import('./' + x);`), /imports must be written out/],
    [
      'the server in a component',
      (edit) => {
        edit('dist/client.js', IMPORT, `$&\nconst load = () => import('./P.svelte');`);
        edit('dist/P.svelte', '', '<script lang="ts">\n  import type { X } from "@kith/ui";\n  import pg from "pg";\n</script>\n');
      },
      /dist\/P\.svelte imports “pg”/,
    ],
    ['what is no JavaScript', (edit) => edit('dist/server.js', /$/, "\nimport { from 'x"), /dist\/server\.js is not JavaScript/],
  ])('is refused with %s', async (_what, change, message) => {
    await expect(readOutside(variant(change), known)).rejects.toThrow(message);
  });

  it('leaves everything as it was when it does not fit, or does not build', () => {
    const before = copy.state();
    const refused = (change: (edit: Edit) => void, message: RegExp, ...more: string[]): void => {
      const { status, stderr } = copy.kith('plugin', 'add', variant(change), '--json', ...more);
      expect(JSON.parse(stderr)).toMatchObject({ error: { message: expect.stringMatching(message) as string } });
      expect(status).toBe(1);
      expect(copy.state()).toEqual(before);
    };
    refused((edit) => edit(PACKAGE, '"plugin": "fleet"', '"plugin": "sales"'), /A plugin “sales” is there already/);
    refused(
      (edit) => edit('dist/plugin.js', "'^1.0.0')", "'^9.0.0')"),
      /Plugin "fleet" needs "contacts" \^9\.0\.0, installed is/,
      '--no-build',
    );
    refused((edit) => edit('dist/server.js', 'close:', 'shut:'), /action fleet\.car\.close is declared and has no handler/, '--no-build');
    refused((edit) => {
      edit(
        'dist/client.js',
        '(fleet, {})',
        "(fleet, { 'nav.page': [{ id: 'p', title: 'plugin.fleet', icon: 'car', load: () => import('./P.svelte') }] })",
      );
      edit('dist/P.svelte', '', '{#if true}\n  <p>never closed\n');
    }, /^The build failed: /);
    // Nothing is left of it among the installed packages either.
    expect(fs.existsSync(path.join(copy.root, 'packages/installed/node_modules/kith-plugin-fleet'))).toBe(false);
  }, 180_000);

  it('comes from a registry by its name, with its version in the lockfile', async () => {
    const folder = variant((edit) => edit(PACKAGE, '"name": "kith-plugin-fleet"', '"name": "@fleet/kith-plugin"'));
    const [packed] = JSON.parse(spawnSync('npm', ['pack', '--json', '--ignore-scripts'], { cwd: folder, encoding: 'utf8' }).stdout) as {
      filename: string;
    }[];
    const registry = spawn(
      process.execPath,
      [path.join(root, 'packages/cli/src/testing/registry.ts'), path.join(folder, packed!.filename), path.join(folder, PACKAGE)],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const npmrc = path.join(copy.root, '.npmrc');
    const own = fs.readFileSync(npmrc);
    try {
      const [address] = (await once(registry.stdout, 'data')) as [Buffer];
      fs.appendFileSync(npmrc, `@fleet:registry=${address.toString().trim()}/\n`);
      const before = copy.state();
      const none = copy.kith('plugin', 'add', '@fleet/kith-plugin@9.9.9', '--json');
      expect([none.status, JSON.parse(none.stderr)]).toMatchObject([1, { error: { code: 'not_found' } }]);
      const added = copy.kith('plugin', 'add', '@fleet/kith-plugin', '--no-build', '--json');
      expect(added.stderr).not.toContain('error');
      expect(JSON.parse(added.stdout)).toMatchObject({ id: 'fleet', name: '@fleet/kith-plugin', version: '0.1.0' });
      const read = (file: string): string => fs.readFileSync(path.join(copy.root, file), 'utf8');
      expect(JSON.parse(read('package.json'))).toMatchObject({ kith: { plugins: ['@fleet/kith-plugin'] } });
      expect(read('packages/installed/package.json')).toContain('"@fleet/kith-plugin": "^0.1.0"');
      expect(read('pnpm-lock.yaml')).toContain("'@fleet/kith-plugin@0.1.0");
      expect(copy.kith('plugin', 'remove', 'fleet', '--no-build').status).toBe(0);
      expect(copy.state()).toEqual(before);
    } finally {
      registry.kill();
      fs.writeFileSync(npmrc, own);
    }
  }, 120_000);
});

describe('with the development server running', () => {
  let dev: Dev;
  let key: string;
  const measured: string[] = [];

  beforeAll(async () => {
    dev = await copy.dev();
    key = (JSON.parse(copy.kith('key', 'create', '--name', 'test', '--role', 'admin', '--json').stdout) as { key: string }).key;
  }, 180_000);
  afterAll(async () => {
    await dev.stop();
    process.stdout.write(`plugins in development: ${measured.join(', ')}\n`);
  });

  const api = async (method: string, at: string, body?: unknown): Promise<{ status: number; body: Record<string, unknown> }> => {
    const answer = await fetch(`${dev.url}/api/v1${at}`, {
      method,
      // Commands take their time, and the server closes what is idle.
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', connection: 'close' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.status, body: (await answer.json().catch(() => ({}))) as Record<string, unknown> };
  };
  /** Until it is so; far longer than it takes. */
  async function until(what: string, began: number, is: () => Promise<boolean>): Promise<void> {
    for (; !(await is()); await new Promise((resolve) => setTimeout(resolve, 25)))
      if (performance.now() - began > 60_000) throw new Error(`${what} did not come; the server said: ${dev.said()}`);
    measured.push(`${what} ${((performance.now() - began) / 1000).toFixed(1)} s`);
  }
  const there = (at: string) => async (): Promise<boolean> => (await api('GET', at)).status === 200;
  const edit = (file: string, from: string, to: string): void => {
    const absolute = path.join(copy.root, 'plugins/warranty', file);
    const text = fs.readFileSync(absolute, 'utf8');
    expect(text).toContain(from);
    fs.writeFileSync(absolute, text.replace(from, to));
  };

  it('a new plugin is there within seconds, and so is each change of it; what does not load leaves the old one', async () => {
    let began = performance.now();
    const made = copy.kith('plugin', 'new', 'warranty');
    expect(made.stderr).toBe('');
    await until('new plugin', began, there('/records/warranty.warranty'));
    const { body: first } = await api('POST', '/records/warranty.warranty', { name: 'First' });
    expect((await api('POST', '/collab/ticket', { object: 'warranty.warranty', id: first.id })).status).toBe(200);

    began = performance.now();
    edit('locales/en.json', '"Warranties"', '"Guarantees"');
    await until('label', began, async () => JSON.stringify((await api('GET', '/objects/warranty.warranty')).body).includes('Guarantees'));
    began = performance.now();
    edit('src/plugin.ts', 'due: date(', "serial: text({ group: 'facts' }),\n        due: date(");
    await until(
      'field',
      began,
      async () => (await api('PATCH', `/records/warranty.warranty/${String(first.id)}`, { serial: 'S-1' })).status === 200,
    );
    began = performance.now();
    edit('src/server.ts', 'This is done already.', 'It was closed before.');
    edit('src/server.ts', "status === 'done' ? refuse", "name === 'First' ? refuse");
    await until('handler', began, async () =>
      JSON.stringify((await api('POST', `/records/warranty.warranty/${String(first.id)}/actions/close`, {})).body).includes(
        'It was closed before.',
      ),
    );

    edit('src/server.ts', 'export const server', 'export const const server');
    await until('fault', performance.now(), () => Promise.resolve(dev.said().includes('was not taken over')));
    expect(dev.said()).toMatch(/What changed was not taken over, and what ran before goes on: plugins\/warranty\/src\/server\.ts:\d+: \S/);
    expect((await api('GET', '/records/warranty.warranty')).status).toBe(200);
    edit('src/server.ts', 'export const const server', 'export const server');
  }, 180_000);

  it('refuses names that are taken', () => {
    expect(copy.kith('plugin', 'new', 'warranty').stderr).toContain('plugins/warranty is there already');
    expect(copy.kith('plugin', 'new', 'public').stderr).toContain('“public” cannot name a plugin');
    expect(copy.kith('plugin', 'new', 'Old-Name').stderr).toContain('use a word of letters and digits');
    expect(copy.kith('plugin', 'remove', 'contacts').stderr).toMatch(/“contacts” is needed by .*sales.*; remove those first/);
    expect([words('serviceContract'), plural('Warranty'), plural('Box'), plural('Car')]).toEqual([
      'Service contract',
      'Warranties',
      'Boxes',
      'Cars',
    ]);
  });

  it('a plugin from outside comes, works and goes; what it and others stored stays', async () => {
    const before = copy.state();
    let began = performance.now();
    expect(copy.kith('plugin', 'add', fleet, '--no-build').stderr).not.toContain('could not');
    await until('plugin from outside', began, there('/records/fleet.car'));
    const { body: car } = await api('POST', '/records/fleet.car', { name: 'Van' });
    expect((await api('POST', `/records/fleet.car/${String(car.id)}/actions/close`, {})).status).toBe(200);
    expect((await fetch(`${dev.url}/sign-in`)).status).toBe(200);

    began = performance.now();
    expect(copy.kith('plugin', 'remove', 'fleet', '--no-build').status).toBe(0);
    await until('removed', began, async () => (await api('GET', '/records/fleet.car')).status === 404);
    expect(copy.state()).toEqual(before);
    expect(copy.kith('plugin', 'new', 'fleet').stderr).toContain('The database has a schema “fleet”');

    expect(copy.kith('plugin', 'remove', 'warranty', '--no-build').status).toBe(0);
    await until('removed', performance.now(), async () => (await api('GET', '/records/warranty.warranty')).status === 404);
    expect(JSON.parse(fs.readFileSync(path.join(copy.root, 'package.json'), 'utf8'))).toMatchObject({ kith: { without: ['warranty'] } });
    expect(copy.kith('plugin', 'add', 'warranty', '--no-build').status).toBe(0);
    await until('back', performance.now(), there('/records/warranty.warranty'));
    expect(((await api('GET', '/records/warranty.warranty')).body.data as unknown[]).length).toBe(1);
    expect(copy.state()).toEqual(before);
  }, 180_000);

  it('the template for plugins outside has the same declaration', () => {
    expect(outside({ id: 'x', object: 'y' }, root)['src/plugin.ts']).toContain("export const x = definePlugin({\n  id: 'x'");
  });
});
