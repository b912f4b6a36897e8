import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { guestList, installedPlugins, outdated } from './generate.ts';

test('the committed list is the one of plugins/*', () => {
  expect([...outdated().keys()]).toEqual([]);
});

test('every listed plugin is a dependency of the package', () => {
  const manifest = JSON.parse(fs.readFileSync(path.join(import.meta.dirname, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  expect(Object.keys(manifest.dependencies)).toEqual(expect.arrayContaining(installedPlugins().map(({ from }) => from)));
});

test('a plugin stands after those that it needs', () => {
  const ids = installedPlugins().map(({ id }) => id);
  expect(ids.indexOf('contacts')).toBeLessThan(ids.indexOf('sales'));
});

test('the root says which folders are left out and which packages come in, each with the id that it bears', () => {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'kith-guests-'));
  const write = (file: string, text: unknown): void => {
    fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    fs.writeFileSync(path.join(root, file), JSON.stringify(text));
  };
  try {
    for (const id of ['one', 'two']) {
      write(`plugins/${id}/package.json`, { name: `@kith/plugin-${id}` });
      write(`plugins/${id}/src/plugin.ts`, '');
    }
    write('package.json', { kith: { without: ['one'], plugins: ['@acme/kith-fleet'] } });
    expect(() => installedPlugins(root)).toThrow('“@acme/kith-fleet” under kith.plugins, and it is not installed');
    write('packages/installed/node_modules/@acme/kith-fleet/package.json', { kith: { plugin: 'fleet' } });
    expect(installedPlugins(root)).toEqual([
      { id: 'two', from: '@kith/plugin-two' },
      { id: 'fleet', from: '@acme/kith-fleet' },
    ]);
    expect(guestList(installedPlugins(root))['server.ts']).toContain("import { server as fleet } from '@acme/kith-fleet/server';");
  } finally {
    fs.rmSync(root, { recursive: true });
  }
});
