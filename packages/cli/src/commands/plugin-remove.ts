import { choiceOf, installedPlugins } from '@kith/installed/generate';
import { CommandError, type Command } from '../command.ts';
import { changing, INSTALLED, MANIFEST, readManifest, root } from '../plugins/tree.ts';
import { installed } from '../world.ts';
import { choose, takeOver } from './plugin-add.ts';

export const pluginRemove: Command = {
  summary: 'Take a plugin out of the build. What it stored stays, and is there again when it is added again.',
  usage: '<id> [--no-build]',
  help: [
    ['<id>', 'the plugin, as “plugin list” names it'],
    ['--no-build', 'do not build: “npm start” does, and “npm run dev” needs none'],
  ],
  options: { 'no-build': { type: 'boolean' } },
  positionals: ['<id>'],
  async run({ values, positionals: [id = ''], out }) {
    const guests = installedPlugins(root);
    const guest = guests.find((one) => one.id === id);
    if (!guest) {
      const known = guests.map((one) => one.id).join(', ');
      throw new CommandError('not_found', `There is no plugin “${id}” in this build; there are: ${known}.`);
    }
    const { plugins } = await installed();
    const needing = plugins.filter(({ needs }) => needs?.some(({ plugin }) => plugin.id === id)).map((one) => one.id);
    if (needing.length > 0) {
      throw new CommandError(
        'needed',
        `“${id}” is needed by ${needing.join(', ')}; remove ${needing.length > 1 ? 'those' : 'that one'} first.`,
      );
    }
    out.note(values['no-build'] === true ? 'Removing it …' : 'Removing it and building …');
    const fromOutside = choiceOf(root).plugins?.includes(guest.from) === true;
    await changing((change) => {
      if (fromOutside) {
        const dependency = readManifest(INSTALLED).dependencies?.[guest.from];
        change.edit(MANIFEST, (manifest) =>
          choose(manifest, { plugins: (manifest.kith?.plugins ?? []).filter((name) => name !== guest.from) }),
        );
        change.edit(INSTALLED, (manifest) => {
          delete manifest.dependencies?.[guest.from];
        });
        // Off the list before the package goes: a running development server never imports what is not there.
        change.list();
        change.install();
        if (dependency?.startsWith('file:../../')) change.remove(dependency.slice('file:../../'.length));
      } else {
        change.edit(MANIFEST, (manifest) => choose(manifest, { without: [...(manifest.kith?.without ?? []), id].sort() }));
      }
      takeOver(change, { build: values['no-build'] !== true });
    });
    out.result(
      `${id} is out of the build. What it stored stays in the database until “kith plugin purge ${id}”.` +
        (fromOutside ? '' : ` Its code stays in plugins/${id}; “kith plugin add ${id}” takes it in again.`),
      { id, from: guest.from },
    );
  },
};
