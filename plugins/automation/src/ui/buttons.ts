/** Buttons of workflows in the menu of the records that they are for. */
import type { RecordActions } from '@kith/ui/actions.ts';
import { Words } from '@kith/ui/i18n.ts';
import { words } from './words.ts';

const buttons: RecordActions = async (app, object, id) => {
  const { data } = await app.api.get<{ data: { id: string; label: string }[] }>('/x/automation/buttons', { object });
  return data.map((button) => ({
    id: button.id,
    label: button.label,
    icon: 'workflow',
    run: async () => {
      const { run } = await app.api.post<{ run: string }>(`/x/automation/workflows/${button.id}/run`, { id });
      const t = new Words(app.language, { ...words.en, ...words[app.language] });
      const path = app.pathTo('automation.run', run);
      app.toasts.say(t.say('button.started' as never, { name: button.label }), {
        tone: 'good',
        ...(path && app.me?.roles.some((role) => role === 'admin' || role === 'manager')
          ? { action: { label: app.t('do.open_it'), run: () => location.assign(path) } }
          : {}),
      });
    },
  }));
};
export default buttons;
