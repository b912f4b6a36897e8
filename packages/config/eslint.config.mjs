/**
 * The lint preset. Type-aware, but only with the few rules that find real
 * faults (a promise nobody waits for); style is Prettier's.
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import js from '@eslint/js';
import globals from 'globals';
import svelte from 'eslint-plugin-svelte';
import ts from 'typescript-eslint';
import { boundaries } from './boundaries.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const typed = ['**/*.ts', '**/*.svelte'];

export default ts.config(
  {
    ignores: [
      '**/node_modules/',
      '**/build/',
      '**/.svelte-kit/',
      '.cache/',
      '.turbo/',
      '.kith*/',
      'docs/',
      '**/test-results/',
      '**/playwright-report/',
    ],
  },
  js.configs.recommended,
  ...ts.configs.recommended,
  ...svelte.configs.recommended,
  {
    plugins: { kith: { rules: { boundaries } } },
    languageOptions: { globals: { ...globals.node, ...globals.browser } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      'kith/boundaries': 'error',
      'no-console': 'error',
      'no-undef': 'off', // TypeScript knows better
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true }],
    },
  },
  {
    files: typed,
    languageOptions: {
      parserOptions: {
        projectService: true,
        tsconfigRootDir: root,
        extraFileExtensions: ['.svelte'],
      },
    },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    },
  },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: {
      parserOptions: {
        parser: ts.parser,
        projectService: true,
        tsconfigRootDir: root,
        extraFileExtensions: ['.svelte'],
      },
    },
    rules: {
      // Links are built from the object registry; no route is known at compile time.
      'svelte/no-navigation-without-resolve': 'off',
      // Lookups that are made anew with what they are made of need no reactivity of their own.
      'svelte/prefer-svelte-reactivity': 'off',
    },
  },
  {
    // The environment is read and validated in one place.
    files: ['packages/{core,collab,doc,sdk,ui}/**/*.ts', 'apps/**/*.{ts,svelte}', 'plugins/**/*.{ts,svelte}'],
    ignores: [
      'packages/core/src/env.ts',
      '**/*.test.ts',
      '**/testing/**',
      '**/testing.ts',
      '**/e2e/**',
      '**/tests/**',
      '**/bench/**',
      '**/*.config.ts',
    ],
    rules: {
      'no-restricted-properties': [
        'error',
        {
          object: 'process',
          property: 'env',
          message: 'The environment is read in packages/core/src/env.ts: add the variable there and take it from the runtime’s env.',
        },
      ],
    },
  },
  {
    // These speak to a terminal.
    files: ['packages/cli/**', 'packages/config/**', '**/bench/**'],
    rules: { 'no-console': 'off' },
  },
  {
    // Plain JavaScript that runs before the dependencies are there, or reads other people's syntax trees.
    files: ['**/*.mjs', '**/*.js'],
    rules: { '@typescript-eslint/no-explicit-any': 'off' },
  },
);
