/** The files of a new plugin: an object with fields, a screenful of views, an action, and a test that passes. */
import { SDK_VERSION } from '@kith/sdk';
import { plural, words } from './names.ts';

export interface Template {
  id: string;
  /** Key of its object. */
  object: string;
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** Within this repository: sources that Node runs and the bundler reads as they are. */
export function inside({ id, object }: Template): Record<string, string> {
  return {
    'package.json': json({
      name: `@kith/plugin-${id}`,
      version: '0.1.0',
      private: true,
      type: 'module',
      exports: {
        './plugin': './src/plugin.ts',
        './server': { browser: './src/browser.ts', default: './src/server.ts' },
        './client': './src/client.ts',
      },
      scripts: { check: 'tsc -p tsconfig.json' },
      dependencies: {
        '@kith/core': 'workspace:*',
        '@kith/plugin-contacts': 'workspace:*',
        '@kith/sdk': 'workspace:*',
        '@kith/ui': 'workspace:*',
        svelte: '~5.57.3',
      },
    }),
    'tsconfig.json': '{\n  "extends": "../../packages/config/tsconfig.svelte.json",\n  "include": ["src"]\n}\n',
    'src/svelte.d.ts': SVELTE,
    'src/plugin.ts': declaration(id, object),
    'src/server.ts': server(id, object),
    'src/client.ts': client(id),
    'src/browser.ts': BROWSER(`@kith/plugin-${id}`),
    [`src/${id}.test.ts`]: test(id, object),
    'locales/en.json': json(english(id, object)),
    'locales/de.json': json(german(id, object)),
  };
}

/** Anywhere else: sources that a script builds to JavaScript, with the contract's types from this Kith's folder. */
export function outside({ id, object }: Template, kith: string): Record<string, string> {
  const types = `${kith}/packages/installed/node_modules/@kith`;
  const source = (text: string): string => text.replaceAll("'../locales/", "'./locales/");
  return {
    'package.json': json({
      name: `kith-plugin-${id}`,
      version: '0.1.0',
      type: 'module',
      kith: { plugin: id },
      exports: {
        './plugin': './dist/plugin.js',
        './server': { browser: './dist/browser.js', default: './dist/server.js' },
        './client': './dist/client.js',
      },
      files: ['dist'],
      scripts: { build: 'tsc -p tsconfig.json && node copy.mjs' },
      peerDependencies: { '@kith/sdk': `^${SDK_VERSION}`, '@kith/plugin-contacts': '*', '@kith/ui': '*', svelte: '^5.57.0' },
      devDependencies: { typescript: '~6.0.3' },
    }),
    // Peers are this Kith's own and on no registry.
    '.npmrc': 'legacy-peer-deps=true\nauto-install-peers=false\n',
    'tsconfig.json': json({
      compilerOptions: {
        target: 'es2024',
        lib: ['es2024', 'dom'],
        module: 'nodenext',
        strict: true,
        verbatimModuleSyntax: true,
        resolveJsonModule: true,
        rewriteRelativeImportExtensions: true,
        allowImportingTsExtensions: true,
        skipLibCheck: true,
        types: [],
        rootDir: 'src',
        outDir: 'dist',
        // What is imported of Kith is on no registry: types come from its folder, and as it runs it is where Kith is.
        paths: {
          '@kith/sdk': [`${types}/sdk/src/index.ts`],
          '@kith/core': [`${types}/core/src/index.ts`],
          '@kith/ui': [`${types}/ui/src/index.ts`],
          '@kith/ui/*': [`${types}/ui/src/*`],
          '@kith/plugin-*/plugin': [`${types}/plugin-*/src/plugin.ts`],
        },
      },
      include: ['src'],
    }),
    'src/plugin.ts': source(declaration(id, object)),
    'src/server.ts': server(id, object),
    'src/client.ts': client(id),
    'src/browser.ts': BROWSER(`kith-plugin-${id}`),
    'src/svelte.d.ts': SVELTE,
    'src/locales/en.json': json(english(id, object)),
    'src/locales/de.json': json(german(id, object)),
    'copy.mjs': COPY,
    '.gitignore': 'node_modules/\ndist/\n',
  };
}

const COPY = `// Components are compiled where they are used: they go along as they are.
import { cpSync } from 'node:fs';
cpSync('src', 'dist', { recursive: true, filter: (from) => !/\\.(ts|json)$/.test(from) });
`;

const declaration = (id: string, object: string): string => `/** ${words(id)}: what it keeps, and what may be done with it. */
import { contacts } from '@kith/plugin-contacts/plugin';
import { action, date, definePlugin, longText, money, need, object, ref, select, text, user } from '@kith/sdk';
import de from '../locales/de.json' with { type: 'json' };
import en from '../locales/en.json' with { type: 'json' };

export const ${id} = definePlugin({
  id: '${id}',
  version: '0.1.0',
  sdk: '^${SDK_VERSION}',
  part: 'operational',
  needs: [need(contacts, '^1.0.0')],
  locales: { en, de },
  objects: {
    ${object}: object({
      icon: 'package',
      title: ['name'],
      search: ['name'],
      stages: 'status',
      fields: {
        name: text({ required: true, indexed: true }),
        company: ref('contacts.company', { group: 'facts', listed: true, indexed: true }),
        status: select({
          options: { open: { color: 'blue', outcome: 'open' }, done: { color: 'green', outcome: 'won' } },
          default: 'open',
          required: true,
          group: 'facts',
          indexed: true,
        }),
        due: date({ group: 'facts', indexed: true }),
        value: money({ group: 'facts', min: 0 }),
        owner: user({ group: 'facts', default: 'creator', indexed: true }),
        notes: longText({ group: 'about' }),
      },
      views: {
        all: { type: 'table', columns: ['name', 'company', 'status', 'due', 'value', 'owner'], sort: ['-createdAt'] },
        board: { type: 'board', columns: ['name', 'company', 'due', 'owner'], groupBy: 'status', sum: 'value' },
      },
      actions: {
        close: action({ offered: ['button', 'bulk'] }),
      },
    }),
  },
  metrics: {
    open: { icon: 'package', object: '${id}.${object}', filter: { field: 'status', op: 'eq', value: 'open' }, by: 'owner' },
  },
});
`;

const server = (id: string, object: string): string => `/** What ${id} does: checks before a change, and the handlers of its actions. */
import { defineServer } from '@kith/sdk';
import { ${id} } from './plugin.ts';

export const server = defineServer(${id}, {
  guards: {
    ${object}: ({ before, record }) =>
      before === null && record.status === 'done'
        ? { problems: [{ field: 'status', code: 'invalid', message: 'must be open at first' }] }
        : undefined,
  },
  actions: {
    ${object}: {
      close: ({ record, refuse }) => (record.fields.status === 'done' ? refuse('This is done already.') : { status: 'done' }),
    },
  },
});
`;

const client = (id: string): string => `/** The browser half of ${id}. Lists and record pages are there without it; here it adds to them. */
import { defineClient } from '@kith/sdk';
import { ${id} } from './plugin.ts';

export const client = defineClient(${id}, {});
`;

const BROWSER = (name: string): string => `// The bundler's own guard does not reach packages outside the app, so this door does.
throw new Error('${name}/server runs on the server only.');
export {};
`;

const SVELTE = `/** Components are checked where they are compiled; here it is enough that they are there. */
declare module '*.svelte' {
  const component: unknown;
  export default component;
}
`;

const test = (id: string, object: string): string => `import { createTestWorld, type TestWorld } from '@kith/core/testing';
import { catalogueProblems, type Rec } from '@kith/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ${id} } from './plugin.ts';
import { server } from './server.ts';

let world: TestWorld;
beforeAll(async () => {
  world = await createTestWorld({ plugins: [server], as: 'member' });
});
afterAll(() => world.close());

describe('${id}', () => {
  it('has a text for everything that it declares', () => {
    expect(catalogueProblems(${id})).toEqual([]);
  });

  it('is made, found and closed once', async () => {
    const { body: made } = await world.api<Rec>('POST', '/records/${id}.${object}', { name: 'First' });
    expect(made.fields).toMatchObject({ name: 'First', status: 'open', owner: world.me.id });
    const { body: found } = await world.api<{ data: Rec[] }>('GET', '/records/${id}.${object}?search=first');
    expect(found.data.map(({ id }) => id)).toEqual([made.id]);

    const close = (): ReturnType<typeof world.api> => world.api('POST', \`/records/${id}.${object}/\${made.id}/actions/close\`, {});
    expect((await close()).status).toBe(200);
    expect((await close()).status).toBe(409);
    expect((await world.events('${id}.${object}')).map(({ kind }) => kind)).toEqual(['created', 'acted', 'changed']);
  });

  it('begins open', async () => {
    expect((await world.api('POST', '/records/${id}.${object}', { name: 'Late', status: 'done' })).status).toBe(422);
  });
});
`;

const english = (id: string, object: string): Record<string, string> => ({
  [`plugin.${id}`]: words(id),
  [`object.${object}.one`]: words(object),
  [`object.${object}.many`]: plural(words(object)),
  'group.facts': 'Facts',
  'group.about': 'About',
  [`field.${object}.name`]: 'Name',
  [`field.${object}.company`]: 'Company',
  [`field.${object}.status`]: 'Status',
  [`option.${object}.status.open`]: 'Open',
  [`option.${object}.status.done`]: 'Done',
  [`field.${object}.due`]: 'Due',
  [`field.${object}.value`]: 'Value',
  [`field.${object}.owner`]: 'Owner',
  [`field.${object}.notes`]: 'Notes',
  [`view.${object}.all`]: 'All',
  [`view.${object}.board`]: 'Board',
  [`action.${object}.close`]: 'Close',
  'metric.open': `Open ${plural(words(object).charAt(0).toLowerCase() + words(object).slice(1))}`,
});

/** What a plugin is called in German nobody here knows: those lines wait for whoever writes it. */
const german = (id: string, object: string): Record<string, string> => ({
  ...english(id, object),
  'group.facts': 'Eckdaten',
  'group.about': 'Beschreibung',
  [`field.${object}.company`]: 'Firma',
  [`option.${object}.status.open`]: 'Offen',
  [`option.${object}.status.done`]: 'Erledigt',
  [`field.${object}.due`]: 'Fällig',
  [`field.${object}.value`]: 'Wert',
  [`field.${object}.owner`]: 'Zuständig',
  [`field.${object}.notes`]: 'Notizen',
  [`view.${object}.all`]: 'Alle',
  [`view.${object}.board`]: 'Tafel',
  [`action.${object}.close`]: 'Abschließen',
  'metric.open': `Offen: ${words(object)}`,
});
