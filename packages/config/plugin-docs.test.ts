import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { outdated, reference, undocumented } from './plugin-docs.ts';

it('the handbook’s snippets and the reference are what the code says', () => {
  // Write them anew with: node packages/config/plugin-docs.ts
  expect([...outdated().keys()]).toEqual([]);
});

it('every key of the contract and every member of ctx has a docstring', () => {
  reference();
  expect(undocumented).toEqual([]);
});

/** The types of the contract that the host reads, and those that only carry names. */
const HOST = /^(Any.*|Plugin|Need|Client)$/;

it('every type of the contract that has keys is in the reference, once', () => {
  const headings = [...reference().matchAll(/^### (\S+)$/gm)].map((found) => found[1]!);
  const declared = ['plugin', 'server', 'settings', 'client'].flatMap((file) => {
    const text = readFileSync(path.join(import.meta.dirname, `../sdk/src/${file}.ts`), 'utf8');
    return [...text.matchAll(/^export (?:interface|class) (\w+)/gm)].map((found) => found[1]!);
  });
  expect(declared.length).toBeGreaterThan(40);
  expect(declared.filter((name) => !HOST.test(name) && !headings.includes(name))).toEqual([]);
  expect(headings.filter((name, at) => headings.indexOf(name) !== at)).toEqual([]);
});
