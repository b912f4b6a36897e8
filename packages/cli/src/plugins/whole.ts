/**
 * Looks at the plugins of this build as a start would, in a process of its own:
 * what it imports has just been written. One line on standard error says what
 * is wrong.
 *
 *   node packages/cli/src/plugins/whole.ts [id of the one that is new]
 */
import { modelOf } from '@kith/core/runtime';
import { plugins } from '@kith/installed/plugins';
import { servers } from '@kith/installed/server';
import { catalogueProblems } from '@kith/sdk';

const [id] = process.argv.slice(2);
try {
  modelOf(plugins, servers);
  if (id !== undefined) {
    const plugin = plugins.find((one) => one.id === id);
    if (!plugin) throw new Error(`No plugin “${id}” is exported: ./plugin exports it as ${id}, and its id is the same.`);
    if (!servers.some((one) => one.plugin.id === id)) throw new Error(`“${id}” has no server half: ./server exports it as server.`);
    const missing = catalogueProblems(plugin);
    if (missing.length > 0)
      throw new Error(
        `Its texts are not complete: ${missing.slice(0, 3).join('; ')}${missing.length > 3 ? ` and ${missing.length - 3} more` : ''}.`,
      );
  }
} catch (error) {
  process.stderr.write(`${(error instanceof Error ? error.message : String(error)).split('\n')[0]}\n`);
  process.exitCode = 1;
}
