/** Marks the selected equipment as looked over now. */
import type { ListActions } from '@kith/ui/actions.ts';
import { Words } from '@kith/ui/i18n.ts';
import { words } from './words.ts';

const actions: ListActions = (app, object) => {
  if (!app.object(object)?.rights.update) return Promise.resolve([]);
  const t = new Words(app.language, { ...words.en, ...words[app.language] });
  return Promise.resolve([
    {
      id: 'example.check',
      label: t.say('check'),
      icon: 'check',
      run: async (ids) => {
        const checkedAt = new Date().toISOString();
        for (const id of ids) await app.api.patch(`/records/${object}/${id}`, { checkedAt });
        app.toasts.say(t.say('checked', { count: ids.length }), { tone: 'good' });
      },
    },
  ]);
};
export default actions;
