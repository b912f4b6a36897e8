/** What may be done with a loan besides its actions: keep its paper. */
import type { RecordActions } from '@kith/ui/actions.ts';
import { Words } from '@kith/ui/i18n.ts';
import { words } from './words.ts';

const actions: RecordActions = async (app, _object, id) => {
  const t = new Words(app.language, { ...words.en, ...words[app.language] });
  const { fields } = await app.api.get<{ fields: { status?: string } }>(`/records/example.loan/${id}`, { fields: 'status' });
  if (fields.status === 'reserved') return [];
  return [
    {
      id: 'example.slip',
      label: t.say('loan.slip'),
      icon: 'file-text',
      run: () => {
        location.assign(`/api/v1/x/example/loans/${id}/slip`);
        return Promise.resolve();
      },
    },
  ];
};
export default actions;
