/** What may be done with a piece of equipment: see who has had it. */
import type { RecordActions } from '@kith/ui/actions.ts';
import { Words } from '@kith/ui/i18n.ts';
import { listOf } from './late.ts';
import { words } from './words.ts';

const actions: RecordActions = (app, _object, id) => {
  const t = new Words(app.language, { ...words.en, ...words[app.language] });
  return Promise.resolve([
    {
      id: 'example.loans',
      label: t.say('loans.all'),
      icon: 'calendar-clock',
      run: () => {
        location.assign(listOf({ field: 'equipment', op: 'eq', value: id }));
        return Promise.resolve();
      },
    },
  ]);
};
export default actions;
