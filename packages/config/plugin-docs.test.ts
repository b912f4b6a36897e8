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
