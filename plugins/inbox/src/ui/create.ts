/** A new message is written, not filled in field by field. */
import type { ListCreate } from '@kith/ui/actions.ts';
import { compose, waysFor } from '@kith/ui/compose.ts';
import { Words } from '@kith/ui/i18n.ts';
import { words } from './words.ts';

const create: ListCreate = (app) => {
  const ways = waysFor(app);
  const way = ways.find(({ channel }) => channel === 'email') ?? ways[0];
  if (way) return compose(app, way, { to: [] });
  app.toasts.say(new Words(app.language, { ...words.en, ...words[app.language] }).say('create.none'), { tone: 'bad' });
  return Promise.resolve();
};
export default create;
