import { expect, test } from 'vitest';
import { ESLint } from 'eslint';
import { boundaries, refuse } from './boundaries.mjs';

const needs = (plugin: string): string => (plugin === 'sales' ? "{ contacts: '^0.1' }" : '');
const judge = (file: string, source: string, typeOnly = false): string | undefined => refuse(file, { source, typeOnly }, { needs });

test.each([
  // importing file, what it imports, what the message must name
  ['packages/sdk/src/index.ts', '@kith/doc', 'stands on nothing'],
  ['packages/sdk/src/index.ts', 'yjs', 'no dependencies'],
  ['packages/doc/src/index.ts', '@kith/core', 'may import @kith/sdk'],
  ['packages/doc/src/index.ts', 'node:fs', 'needs Node'],
  ['packages/core/src/host.ts', '@kith/plugin-sales/plugin', 'hand plugins to createRuntime'],
  ['packages/core/src/host.ts', '@kith/collab', 'Core may import'],
  ['packages/core/src/host.ts', '@kith/ui', 'Core may import'],
  ['packages/core/src/host.ts', '@kith/core/testing', 'for tests'],
  ['packages/core/src/access/rule.ts', 'lucia', 'core/src/sessions'],
  ['packages/core/src/host.ts', 'bullmq', 'core/src/jobs'],
  ['packages/core/src/host.ts', '../../doc/src/index.ts', 'by its name'],
  ['packages/collab/src/index.ts', '@kith/ui', 'Collab may import'],
  ['packages/collab/src/index.ts', '@kith/web', 'Nobody imports an app'],
  ['packages/ui/src/index.ts', '@kith/core', 'REST API'],
  ['packages/ui/src/index.ts', 'node:path', 'needs Node'],
  ['packages/cli/src/main.ts', '@kith/collab', 'starts the apps as processes'],
  ['packages/cli/src/main.ts', '@kith/plugin-sales/server', 'as processes'],
  ['apps/worker/main.ts', '@kith/ui', 'The worker may import'],
  ['apps/web/src/routes/+page.svelte', '@kith/core', '+page.server.ts'],
  ['apps/web/src/routes/+page.ts', '@kith/installed/server', '+page.server.ts'],
  ['apps/web/src/routes/+page.server.ts', '@kith/plugin-sales/plugin', 'apps/web may not import'],
  ['plugins/sales/src/plugin.ts', '@kith/core', 'only @kith/sdk'],
  ['plugins/sales/src/plugin.ts', '@kith/ui', 'src/client.ts'],
  ['plugins/sales/src/plugin.ts', './server/deal.ts', 'src/server.ts'],
  ['plugins/sales/src/client.ts', '@kith/core', 'Use @kith/ui'],
  ['plugins/sales/src/client.ts', './server.ts', 'does not import'],
  ['plugins/sales/src/server.ts', '@kith/ui', 'src/client.ts'],
  ['plugins/sales/src/server.ts', '@kith/installed/plugins', 'may not import'],
  ['plugins/sales/src/server.ts', '@kith/plugin-contacts/server', 'only the declaration'],
  ['plugins/contacts/src/plugin.ts', '@kith/plugin-sales/plugin', 'under “needs”'],
  ['plugins/sales/src/server.ts', '../../contacts/src/plugin.ts', 'by its name'],
])('%s may not import %s', (file, source, says) => {
  expect(judge(file, source)).toContain(says);
});

test.each([
  ['packages/sdk/src/field.ts', './money.ts'],
  ['packages/sdk/src/field.test.ts', 'vitest'],
  ['packages/doc/src/index.ts', 'yjs'],
  ['packages/core/src/sessions.ts', 'lucia'],
  ['packages/core/src/sessions/adapter.ts', 'lucia'],
  ['packages/core/src/host.test.ts', '@kith/core/testing'],
  ['packages/collab/src/server.ts', '@kith/core/runtime'],
  ['packages/ui/src/Widget.svelte', '@kith/doc'],
  ['packages/cli/src/seed.ts', '@kith/installed/server'],
  ['apps/web/server.ts', '@kith/collab'],
  ['apps/web/src/routes/api/v1/+server.ts', '@kith/core'],
  ['apps/web/src/lib/server/runtime.ts', '@kith/core/runtime'],
  ['apps/web/src/routes/+page.svelte', '@kith/installed/client'],
  ['apps/worker/main.ts', '@kith/core/runtime'],
  ['plugins/sales/src/plugin.ts', '@kith/plugin-contacts/plugin'],
  ['plugins/sales/src/server.ts', './plugin.ts'],
  ['plugins/sales/src/server.ts', '@kith/core'],
  ['plugins/sales/src/ui/Board.svelte', '@kith/ui'],
  ['plugins/sales/src/deal.test.ts', '@kith/core/testing'],
  ['plugins/sales/src/deal.test.ts', '@kith/plugin-contacts/server'],
  ['packages/installed/src/server.ts', '@kith/plugin-sales/server'],
])('%s may import %s', (file, source) => {
  expect(judge(file, source)).toBeUndefined();
});

test('a type may be taken where its code may not run', () => {
  expect(judge('apps/web/src/routes/+page.svelte', '@kith/core', true)).toBeUndefined();
  expect(judge('packages/ui/src/index.ts', '@kith/core', true)).toContain('may not import');
});

test('ESLint reports every form of import through the rule', async () => {
  const eslint = new ESLint({
    overrideConfigFile: true,
    overrideConfig: [
      {
        files: ['**/*.ts'],
        plugins: { kith: { rules: { boundaries } } },
        rules: { 'kith/boundaries': 'error' },
      },
    ],
  });
  const [result] = await eslint.lintText(
    `import '@kith/core';\nexport * from '@kith/collab';\nexport { a } from '@kith/cli';\nconst b = await import('@kith/ui');\n`,
    { filePath: 'packages/doc/src/sample.ts' },
  );
  expect(result?.messages.map((m) => [m.line, m.ruleId])).toEqual([1, 2, 3, 4].map((line) => [line, 'kith/boundaries']));
});
