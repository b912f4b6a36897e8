import fs from 'node:fs';
import path from 'node:path';
import { installedPlugins } from '@kith/installed/generate';
import { CommandError, fileOf, optional, type Command, type Output } from '../command.ts';
import { checkId, words } from '../plugins/names.ts';
import { refuseKnownSchema } from '../plugins/schemas.ts';
import { inside, outside } from '../plugins/template.ts';
import { changing, INSTALLED, root } from '../plugins/tree.ts';
import { envOf } from '../world.ts';

export const pluginNew: Command = {
  summary: 'Begin a plugin: an object with fields, views, an action and a test.',
  usage: '<id> [--object KEY] [--outside FOLDER]',
  help: [
    ['<id>', 'what the plugin is called in code, like warranty'],
    ['--object KEY', 'what its object is called; the id unless told'],
    ['--outside FOLDER', 'begin it in a new folder elsewhere, to be built there and taken in by “plugin add”'],
    ['--data DIR', 'data folder of the embedded database (KITH_DATA, .kith)'],
  ],
  options: { object: { type: 'string' }, outside: { type: 'string' }, data: { type: 'string' } },
  positionals: ['<id>'],
  async run({ values, positionals: [id = ''], out }) {
    const object = optional(values, 'object') ?? id;
    checkId(id);
    checkId(object, 'object');
    const elsewhere = optional(values, 'outside');
    if (elsewhere !== undefined) return beginOutside(id, object, elsewhere, out);
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

function beginOutside(id: string, object: string, given: string, out: Output): void {
  const folder = fileOf(given);
  if (folder === root || folder.startsWith(root + path.sep))
    throw new CommandError('inside', `${folder} is within Kith; leave --outside away to begin a plugin there.`);
  if (fs.existsSync(folder) && fs.readdirSync(folder).length > 0)
    throw new CommandError('exists', `${folder} is there already and not empty; choose another folder.`);
  const files = outside({ id, object }, root);
  for (const [file, text] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    fs.writeFileSync(path.join(folder, file), text);
  }
  out.result(
    [
      `${words(id)} is in ${folder}. Build it there, and take it in:`,
      '  npm install && npm run build',
      `  npm run kith -- plugin add ${folder}   (in ${root})`,
    ].join('\n'),
    { id, object: `${id}.${object}`, folder, files: Object.keys(files) },
  );
}
