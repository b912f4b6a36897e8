/** Writing to somebody, offered where people are: from their own records, and from whatever belongs to one of them. */
import type { AnyRef } from '@kith/sdk';
import type { ListAction, RecordAction } from '@kith/ui/actions.ts';
import type { App } from '@kith/ui/app.svelte.ts';
import { compose, waysFor } from '@kith/ui/compose.ts';
import type { Rec, Refs } from '@kith/ui/types.ts';

const PEOPLE = ['contacts.person', 'contacts.company'];
/** Most that are written to at once. */
const MOST = 1_000;

/** The ways of writing about a record. */
export function writingAbout(app: App, object: string, id: string): RecordAction[] {
  const meta = app.object(object);
  // What was said already is no occasion of its own.
  if (!meta || meta.part === 'communicative' || object === 'contacts.activity') return [];
  const itself = PEOPLE.includes(object);
  const fields = PEOPLE.flatMap((to) => meta.fields.filter((field) => field.type === 'ref' && field.to === to && !field.hidden));
  if (!itself && fields.length === 0) return [];
  return waysFor(app, object).map((way) => ({
    id: way.id,
    label: way.title,
    icon: way.icon,
    run: async () => {
      if (itself) return compose(app, way, { to: [{ object, id }] });
      const record = await app.api.get<Rec & { refs?: Refs }>(`/records/${object}/${id}`, { refs: 1 });
      app.remember(record.refs);
      const field = fields.find(({ name }) => typeof record.fields[name] === 'string');
      if (!field) return void app.toasts.say(app.t('compose.nobody'), { tone: 'bad' });
      const to: AnyRef = { object: field.to!, id: record.fields[field.name] as string };
      await compose(app, way, { to: [to], about: { object, id } });
    },
  }));
}

/** The ways of writing to everybody who is selected in a list of people or companies. */
export function writingTo(app: App, object: string): ListAction[] {
  if (!PEOPLE.includes(object)) return [];
  return waysFor(app, object).map((way) => ({
    id: way.id,
    label: way.title,
    icon: way.icon,
    run: async (ids) => {
      if (ids.length > MOST) app.toasts.say(app.t('compose.most', { count: MOST }), { tone: 'bad' });
      else await compose(app, way, { to: ids.map((id) => ({ object, id })) });
    },
  }));
}
