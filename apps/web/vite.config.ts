import { readFileSync } from 'node:fs';
import adapter from '@sveltejs/adapter-node';
import { sveltekit } from '@sveltejs/kit/vite';
import { defineConfig } from 'vite';
import { kith } from './dev.ts';

/**
 * What Node loads by itself while pages are rendered on the server. Bundled,
 * each would exist twice, and two registries or two copies of yjs are silent disasters.
 */
const EXTERNAL = [
  '@kith/core',
  '@kith/collab',
  '@kith/doc',
  '@kith/installed',
  '@kith/sdk',
  'intl-messageformat',
  'kysely',
  'lib0',
  'pg',
  'ws',
  'y-protocols',
  'yjs',
];
/** What only the bundler understands: Svelte components and styles. */
const BUNDLED = [/^@kith\/ui/, /^@lucide\/svelte/, /^@fontsource-variable\//];

/** Plugins from outside are bundled with the rest: a copy of the sdk or of ui in a bundle of their own would know nothing of this one. */
const outside =
  (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { kith?: { plugins?: string[] } }).kith?.plugins ??
  [];

const external = EXTERNAL.map((name) => new RegExp(`^${name}(/|$)`));

export default defineConfig({
  plugins: [
    kith(),
    sveltekit({
      adapter: adapter(),
      // Origin is checked in hooks.server.ts, as the API does it; the built-in check knows no plain http behind a proxy.
      csrf: { trustedOrigins: ['*'] },
      csp: {
        mode: 'nonce',
        directives: {
          'default-src': ['self'],
          'script-src': ['self'],
          // Positions and colours are style attributes.
          'style-src': ['self', 'unsafe-inline'],
          'img-src': ['self', 'data:', 'https:'],
          'font-src': ['self'],
          'connect-src': ['self', 'ws:', 'wss:'],
          'object-src': ['none'],
          'base-uri': ['self'],
          'form-action': ['self'],
          'frame-ancestors': ['none'],
        },
      },
    }),
  ],
  ssr: { external: EXTERNAL, noExternal: BUNDLED },
  environments: { ssr: { build: { rolldownOptions: { external } } } },
  optimizeDeps: { exclude: outside },
  server: { strictPort: true },
});
