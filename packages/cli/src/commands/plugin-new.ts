import fs from 'node:fs';
import path from 'node:path';
import { installedPlugins } from '@kith/installed/generate';
import { CommandError, optional, type Command } from '../command.ts';
import { checkId, words } from '../plugins/names.ts';
import { refuseKnownSchema } from '../plugins/schemas.ts';
import { inside } from '../plugins/template.ts';
import { changing, INSTALLED, root } from '../plugins/tree.ts';
import { envOf } from '../world.ts';

export const pluginNew: Command = {
  summary: 'Begin a plugin in this repository: an object with fields, views, an action and a test.',
  usage: '<id> [--object KEY]',
  help: [
    ['<id>', 'what the plugin is called in code, like warranty'],
    ['--object KEY', 'what its object is called; the id unless told'],
    ['--data DIR', 'data folder of the embedded database (KITH_DATA, .kith)'],
  ],
  options: { object: { type: 'string' }, data: { type: 'string' } },
  positionals: ['<id>'],
  async run({ values, positionals: [id = ''], out }) {
    const object = optional(values, 'object') ?? id;
    checkId(id);
    checkId(object, 'object');
    const folder = `plugins/${id}`;
    if (fs.existsSync(path.join(root, folder))) {
      throw new CommandError('exists', `${folder} is there already; choose another id, or remove that folder first.`);
    }
    const other = installedPlugins(root).find((one) => one.id === id);
    if (other) throw new CommandError('exists', `The package ${other.from} is a plugin “${id}” already; choose another id.`);
    await refuseKnownSchema(id, envOf(values));

    const files = inside({ id, object });
    await changing((change) => {
      for (const [file, text] of Object.entries(files)) change.write(`${folder}/${file}`, text);
      change.edit(INSTALLED, (manifest) => {
        const all = { ...manifest.dependencies, [`@kith/plugin-${id}`]: 'workspace:*' };
        manifest.dependencies = Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)));
      });
      change.install();
      change.list();
    });
    out.result(
      [
        `${words(id)} is in ${folder}. With “npm run dev” running it is on the screen within seconds, at /o/${id}.${object}.`,
        `Its test:  npm test -- ${folder}`,
        'What to do next is in docs/plugins/handbook.md.',
      ].join('\n'),
      { id, object: `${id}.${object}`, folder, files: Object.keys(files) },
    );
  },
};
