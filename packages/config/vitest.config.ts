/**
 * The unit and integration tests: one project per package, all with real
 * Postgres where they need one. `KITH_LONG=1` turns on the long forms.
 */
import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

const root = path.resolve(import.meta.dirname, '../..');
const long = process.env.KITH_LONG === '1';

/** Starts one embedded Postgres for the run and prepares the template database. */
const postgres = path.join(root, 'packages/core/src/testing/globalSetup.ts');

/** Packages whose tests need no database. */
const withoutDatabase = new Set(['packages/sdk', 'packages/doc', 'packages/config', 'packages/ui', 'packages/installed']);

const rooms = ['packages', 'plugins', 'apps'].flatMap((group) =>
  readdirSync(path.join(root, group))
    .map((name) => `${group}/${name}`)
    .filter((room) => existsSync(path.join(root, room, 'package.json'))),
);

export default defineConfig({
  root,
  test: {
    passWithNoTests: true,
    // On two cores two as well: many of these tests wait for processes that they have killed.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    projects: rooms.map((room) => ({
      root: path.join(root, room),
      plugins: room === 'packages/ui' || room.startsWith('plugins/') || room === 'apps/web' ? [svelte({ configFile: false })] : [],
      test: {
        name: room.replace('packages/', '').replace('/', ':'),
        environment: 'node',
        include: ['**/*.test.ts'],
        exclude: ['**/node_modules/**', '**/build/**', '**/.svelte-kit/**', '**/e2e/**'],
        globalSetup: !withoutDatabase.has(room) && existsSync(postgres) ? [postgres] : [],
        // A test that starts Postgres or hashes a password on two busy cores is slow, not broken.
        testTimeout: long ? 60 * 60_000 : 60_000,
        hookTimeout: 120_000,
      },
    })),
  },
});
