/**
 * Who may import whom. The plan of the house is drawn here once, and every
 * message names the way that is allowed.
 *
 *   sdk <- doc <- core <- collab <- apps      core <- cli
 *   sdk, doc <- ui <- apps/web
 *   sdk <- plugins/<id>/plugin   core <- plugins/<id>/server   ui <- plugins/<id>/client
 *   plugins/* <- installed <- apps, cli
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';

/** @typedef {'isomorphic' | 'server' | 'client' | 'config'} Half where a file runs */
/** @typedef {{ room: string, half: Half, test: boolean, inside: string }} Place */
/** @typedef {{ source: string, typeOnly: boolean }} Import */

/** Rooms of the workspace and the rooms that each may import. @type {Record<string, string[]>} */
const mayImport = {
  'packages/sdk': [],
  'packages/doc': ['sdk'],
  'packages/core': ['sdk', 'doc'],
  'packages/collab': ['sdk', 'doc', 'core'],
  'packages/ui': ['sdk', 'doc'],
  'packages/installed': ['sdk', 'core', 'ui', 'plugin'],
  'packages/cli': ['sdk', 'core', 'installed'],
  'packages/config': [],
  'apps/web': ['sdk', 'doc', 'core', 'collab', 'ui', 'installed'],
  'apps/worker': ['sdk', 'core', 'installed'],
};

/** What a room is for, said to the person whose import was refused. @type {Record<string, string>} */
const instead = {
  'packages/sdk':
    'The sdk is the contract that everybody reads, so it stands on nothing. Move what you need into packages/sdk, or the code that needs it out of it.',
  'packages/doc': 'The doc package turns values into Yjs documents, in browser and server alike: it may import @kith/sdk.',
  'packages/core':
    'Core may import @kith/sdk and @kith/doc. It never imports a plugin, a screen or an app: the apps hand plugins to createRuntime.',
  'packages/collab': 'Collab may import @kith/core, @kith/doc and @kith/sdk.',
  'packages/ui':
    'Screens run in the browser: ui may import @kith/sdk and @kith/doc. What the server knows comes through the REST API or a page’s load.',
  'packages/installed': 'The list of installed plugins names plugins and nothing else.',
  'packages/cli': 'The command may import @kith/core, @kith/installed and @kith/sdk. It starts the apps as processes.',
  'packages/config': 'Presets import only packages from npm.',
  'apps/web': 'The web app may import @kith/core, @kith/collab, @kith/ui, @kith/installed, @kith/doc and @kith/sdk.',
  'apps/worker': 'The worker may import @kith/core, @kith/installed and @kith/sdk.',
};

/** Rooms whose code needs Node and must not reach a browser. */
const serverRooms = new Set(['core', 'collab']);

/**
 * Where a file stands, from its path below the repository's root.
 * @param {string} file path with forward slashes
 * @returns {Place | undefined} undefined for a file of no room (a script at the top)
 */
export function placeOf(file) {
  const match = /^(apps|packages|plugins)\/([^/]+)\/(.*)$/.exec(file);
  if (!match) return undefined;
  const [, group = '', name = '', inside = ''] = match;
  const room = `${group}/${name}`;
  const test = /\.(test|test-d|spec)\.ts$/.test(inside) || /(^|\/)(tests?|testing|e2e|bench)\//.test(inside) || inside === 'src/testing.ts';
  return { room, half: halfOf(group, room, inside), test, inside };
}

/** @param {string} group @param {string} room @param {string} inside @returns {Half} */
function halfOf(group, room, inside) {
  if (/^[^/]*\.config\.[a-z]+$/.test(inside)) return 'config';
  if (group === 'plugins') {
    if (/^src\/(server\.ts$|server\/)/.test(inside) || /^(migrations|demo)\//.test(inside)) return 'server';
    if (/^src\/(client\.ts$|ui\/)/.test(inside)) return 'client';
    return 'isomorphic';
  }
  if (room === 'apps/web') {
    const isServer =
      !inside.startsWith('src/') || /(^|\/)server\//.test(inside) || /\.server\.ts$/.test(inside) || /(^|\/)\+server\.ts$/.test(inside);
    return isServer ? 'server' : 'client';
  }
  if (room === 'packages/ui') return 'client';
  if (room === 'packages/sdk' || room === 'packages/doc') return 'isomorphic';
  if (room === 'packages/installed') return inside === 'src/server.ts' ? 'server' : inside === 'src/client.ts' ? 'client' : 'isomorphic';
  return 'server';
}

/**
 * Judges one import.
 * @param {string} file the importing file, below the root, with forward slashes
 * @param {Import} imported
 * @param {{ needs?: (plugin: string) => string | undefined }} [world] how to read a plugin's declaration
 * @returns {string | undefined} what is wrong and which way is allowed
 */
export function refuse(file, { source, typeOnly }, world = {}) {
  const place = placeOf(file);
  if (!place || place.half === 'config') return undefined;

  if (source.startsWith('.')) return refuseRelative(file, place, source, typeOnly);
  if (source.startsWith('@kith/')) return refuseWorkspace(place, source, typeOnly, world);
  return refuseForeign(place, source, typeOnly);
}

/** @param {string} file @param {Place} place @param {string} source @param {boolean} typeOnly */
function refuseRelative(file, place, source, typeOnly) {
  const target = path.posix.join(path.posix.dirname(file), source);
  const there = placeOf(target);
  if (there?.room !== place.room) {
    return `“${source}” climbs out of ${place.room}. Import another package by its name (@kith/…), through one of its exports.`;
  }
  if (typeOnly || place.test || !place.room.startsWith('plugins/') || there.half === place.half || there.half === 'isomorphic') {
    return undefined;
  }
  if (place.half === 'isomorphic') {
    return `A plugin’s declaration is data that is imported everywhere. ${there.half === 'server' ? 'Handlers hang off src/server.ts' : 'Screens hang off src/client.ts'}, which imports the declaration, not the other way round.`;
  }
  return `The ${place.half} half of a plugin does not import its ${there.half} half. What both need stands beside src/plugin.ts.`;
}

/** @param {Place} place @param {string} source @param {boolean} typeOnly @param {{ needs?: (plugin: string) => string | undefined }} world */
function refuseWorkspace(place, source, typeOnly, world) {
  const [, name = '', ...rest] = source.split('/');
  const entry = rest.join('/');
  const plugin = /^plugin-(.+)$/.exec(name)?.[1];

  if (name === 'core' && entry === 'testing' && !place.test) {
    return '@kith/core/testing is for tests. Outside of them, createRuntime of @kith/core/runtime makes the world.';
  }
  if (name === 'web' || name === 'worker') {
    return 'Nobody imports an app: it is started as a process. Move what is shared into a package.';
  }
  if (place.room.startsWith('plugins/')) return refuseFromPlugin(place, source, name, entry, plugin, typeOnly, world);

  if (place.test && place.room === `packages/${name}`) return undefined;
  // What starts Kith from a terminal is how tests of the whole start it.
  if (place.test && name === 'cli' && entry === 'testing') return undefined;
  const allowed = mayImport[place.room];
  if (!allowed) return undefined;
  if (!allowed.includes(plugin ? 'plugin' : name)) return `${place.room} may not import ${source}. ${instead[place.room] ?? ''}`;
  if (place.room === 'packages/installed') return undefined;

  const onServer = serverRooms.has(name) || (name === 'installed' && entry === 'server');
  if (place.half === 'client' && onServer && !typeOnly && !place.test) {
    return `${source} needs Node and this file reaches the browser. Use it in +page.server.ts, +server.ts, *.server.ts or src/lib/server/, and hand over plain data; “import type” is always allowed.`;
  }
  return undefined;
}

/** @param {Place} place @param {string} source @param {string} name @param {string} entry @param {string | undefined} plugin @param {boolean} typeOnly @param {{ needs?: (plugin: string) => string | undefined }} world */
function refuseFromPlugin(place, source, name, entry, plugin, typeOnly, world) {
  const id = place.room.slice('plugins/'.length);
  if (plugin === id) return `Inside its own package a plugin imports by path: “./${entry}.ts”.`;
  if (plugin) {
    // A test's world runs the needed plugins whole.
    if (entry !== 'plugin' && !(place.test && entry === 'server')) {
      return `Of another plugin only the declaration may be imported: @kith/plugin-${plugin}/plugin. Work with its records through ctx.records and its actions through ctx.actions.`;
    }
    const needs = world.needs?.(id);
    if (needs !== undefined && !new RegExp(`\\b${plugin}\\b`).test(needs)) {
      return `Plugin “${id}” imports the declaration of “${plugin}” without needing it. List ${plugin} under “needs” in plugins/${id}/src/plugin.ts, and under dependencies in its package.json.`;
    }
    return undefined;
  }
  if (name === 'sdk') return undefined;
  if (place.test)
    return name === 'core' || name === 'ui' || name === 'doc'
      ? undefined
      : `A plugin’s test may not import ${source}. Use createTestWorld of @kith/core/testing.`;
  if (name === 'core' || name === 'doc') {
    if (place.half === 'server' || (name === 'doc' && place.half === 'client')) return undefined;
    return place.half === 'client'
      ? `${source} needs Node, and a plugin’s client half runs in the browser. Use @kith/ui there; handlers belong in src/server.ts.`
      : `A plugin’s declaration may import only @kith/sdk. What uses ${source} belongs in src/server.ts or src/server/.`;
  }
  if (name === 'ui') {
    if (place.half === 'client' || (typeOnly && place.half === 'isomorphic')) return undefined;
    return `@kith/ui belongs to screens: import it in src/client.ts or src/ui/.`;
  }
  return `A plugin may not import ${source}. The declaration imports @kith/sdk, src/server.ts @kith/core, src/client.ts @kith/ui.`;
}

/** @param {Place} place @param {string} source @param {boolean} typeOnly */
function refuseForeign(place, source, typeOnly) {
  const builtin = source.startsWith('node:');
  if (source === 'lucia' && !(place.room === 'packages/core' && place.inside.startsWith('src/sessions'))) {
    return 'Only packages/core/src/sessions may import lucia, so that it can be replaced in one place. Use the functions of core/sessions.';
  }
  if ((source === 'bullmq' || source === 'ioredis') && !(place.room === 'packages/core' && /^(src\/jobs|bench)\//.test(place.inside))) {
    return `Only packages/core/src/jobs may import ${source}: queues and workers are made in one place. Use ctx.queue.`;
  }
  if (place.test || typeOnly) return undefined;
  if (place.room === 'packages/sdk')
    return `The sdk has no dependencies, so “${source}” cannot be imported. Whoever needs it stands above the sdk.`;
  if (builtin && (place.half === 'isomorphic' || place.half === 'client') && place.room !== 'packages/installed') {
    return `“${source}” needs Node and this file reaches the browser. ${place.room.startsWith('plugins/') ? 'Use it in src/server.ts or src/server/.' : 'Use it in server code only.'}`;
  }
  return undefined;
}

/** The text of `needs` in a plugin’s declaration, read once a run. */
function readNeeds() {
  /** @type {Map<string, string>} */
  const known = new Map();
  return (/** @type {string} */ root) => (/** @type {string} */ plugin) => {
    let needs = known.get(plugin);
    if (needs === undefined) {
      let text = '';
      try {
        text = readFileSync(path.join(root, 'plugins', plugin, 'src/plugin.ts'), 'utf8');
      } catch {
        // A plugin that has no declaration yet needs nothing.
      }
      needs = /\bneeds\s*:\s*(\{[^}]*\}|\[[^\]]*\])/.exec(text)?.[1] ?? '';
      known.set(plugin, needs);
    }
    return needs;
  };
}

/** The ESLint rule. @type {import('eslint').Rule.RuleModule} */
export const boundaries = {
  meta: {
    type: 'problem',
    docs: { description: 'Imports follow the directions of the layout' },
    schema: [],
  },
  create(context) {
    const file = path.relative(context.cwd, context.filename).replaceAll(path.sep, '/');
    const needs = needsOf(context.cwd);

    /** @param {any} node @param {any} source @param {boolean} typeOnly */
    function judge(node, source, typeOnly) {
      if (typeof source?.value !== 'string') return;
      const message = refuse(file, { source: source.value, typeOnly }, { needs });
      if (message) context.report({ node, message });
    }

    return {
      ImportDeclaration: (/** @type {any} */ node) => judge(node, node.source, node.importKind === 'type'),
      ExportNamedDeclaration: (/** @type {any} */ node) => judge(node, node.source, node.exportKind === 'type'),
      ExportAllDeclaration: (/** @type {any} */ node) => judge(node, node.source, node.exportKind === 'type'),
      ImportExpression: (/** @type {any} */ node) => judge(node, node.source, false),
      TSImportType: (/** @type {any} */ node) => judge(node, node.source ?? node.argument?.literal, true),
    };
  },
};

const needsOf = readNeeds();
