/** "Write a mail" in the menu of people, of companies, and of whatever belongs to one of them. */
import type { AnyRef } from '@kith/sdk';
import type { RecordActions } from '@kith/ui/actions.ts';
import { Words } from '@kith/ui/i18n.ts';
import type { Rec, Refs } from '@kith/ui/types.ts';
import { COMPANY, mayWrite, PERSON } from './mail.ts';
import { words } from './words.ts';

/** Their people are in them for another reason than to be written to. */
const NOT_FOR: readonly string[] = ['inbox', 'consent', 'automation'];

const actions: RecordActions = (app, object, id) => {
  const meta = app.object(object);
  if (!meta || !mayWrite(app) || NOT_FOR.includes(meta.plugin) || object === 'contacts.activity') return Promise.resolve([]);
  const itself = object === PERSON || object === COMPANY;
  const fields = [PERSON, COMPANY].flatMap((to) => meta.fields.filter((field) => field.type === 'ref' && field.to === to && !field.hidden));
  if (!itself && fields.length === 0) return Promise.resolve([]);
  const t = new Words(app.language, { ...words.en, ...words[app.language] });
  return Promise.resolve([
    {
      id: 'inbox.write',
      label: t.say('write'),
      icon: 'mail',
      run: async () => {
        let to: AnyRef | undefined = { object, id };
        if (!itself) {
          const record = await app.api.get<Rec & { refs?: Refs }>(`/records/${object}/${id}`, { refs: 1 });
          app.remember(record.refs);
          const field = fields.find(({ name }) => typeof record.fields[name] === 'string');
          to = field && { object: field.to!, id: record.fields[field.name] as string };
          if (!to) return void app.toasts.say(t.say('write.nobody'), { tone: 'bad' });
        }
        await app.ask(() => import('./WriteMail.svelte'), { to: [to], ...(itself ? {} : { about: { object, id } }) });
      },
    },
  ]);
};
export default actions;
