import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { guestList, installedPlugins } from './generate.ts';

test('the committed list is the one of plugins/*', () => {
  for (const [file, text] of Object.entries(guestList(installedPlugins()))) {
    expect(fs.readFileSync(path.join(import.meta.dirname, 'src', file), 'utf8'), file).toBe(text);
  }
});

test('every listed plugin is a dependency of the package', () => {
  const manifest = JSON.parse(fs.readFileSync(path.join(import.meta.dirname, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  expect(Object.keys(manifest.dependencies)).toEqual(expect.arrayContaining(installedPlugins().map((id) => `@kith/plugin-${id}`)));
});

test('a plugin stands after those that it needs', () => {
  const ids = installedPlugins();
  expect(ids.indexOf('contacts')).toBeLessThan(ids.indexOf('sales'));
});
