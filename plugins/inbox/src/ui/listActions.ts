/** Writing to everybody who is selected in a list of people or companies. */
import type { ListActions } from '@kith/ui/actions.ts';
import { Words } from '@kith/ui/i18n.ts';
import { COMPANY, mayWrite, PERSON } from './mail.ts';
import { words } from './words.ts';

/** Most that are written to at once. */
const MOST = 1_000;

const actions: ListActions = (app, object) => {
  if (!mayWrite(app) || (object !== PERSON && object !== COMPANY)) return Promise.resolve([]);
  const t = new Words(app.language, { ...words.en, ...words[app.language] });
  return Promise.resolve([
    {
      id: 'inbox.write',
      label: t.say('write'),
      icon: 'mail',
      run: async (ids) => {
        if (ids.length > MOST) app.toasts.say(t.say('write.most', { count: MOST }), { tone: 'bad' });
        else await app.ask(() => import('./WriteMail.svelte'), { to: ids.map((id) => ({ object, id })) });
      },
    },
  ]);
};
export default actions;
