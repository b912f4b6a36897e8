/** Where the choices of a picker come from. */
import type { App } from '../app.svelte.ts';
import type { FieldMeta, Hit, Page } from '../types.ts';

/** Something that can be picked. */
export interface Choice {
  value: string;
  label: string;
  sub?: string | null;
  /** An option's pill. */
  pill?: 'grey' | 'blue' | 'green' | 'amber' | 'red' | 'indigo' | 'violet' | 'teal';
  /** A person's place in the palette. */
  person?: number;
  /** A record: its letter in a square. */
  square?: boolean;
  icon?: string;
  object?: string;
}

const matches = (query: string, text: string): boolean => text.toLocaleLowerCase().includes(query.trim().toLocaleLowerCase());

/** Loads the choices of a select, user or reference field. */
export function choicesOf(app: App, meta: FieldMeta): (query: string) => Choice[] | Promise<Choice[]> {
  switch (meta.type) {
    case 'select':
    case 'multiSelect':
      return (query) =>
        (meta.options ?? [])
          .filter((option) => matches(query, option.label))
          .map((option) => ({ value: option.value, label: option.label, pill: option.color ?? 'grey' }));
    case 'user':
      return (query) =>
        app.users
          .filter((user) => user.active && matches(query, `${user.name} ${user.email}`))
          .map((user) => ({ value: user.id, label: user.name, person: user.color }));
    case 'anyRef':
      return async (query) => {
        if (query.trim() === '') return [];
        const { data } = await app.api.get<{ data: Hit[] }>('/search', { q: query, limit: 12 });
        app.remember(Object.fromEntries(data.map((hit) => [hit.id, { object: hit.object, title: hit.title }])));
        return data.map((hit) => ({
          value: hit.id,
          label: hit.title,
          sub: app.object(hit.object)?.label.one,
          icon: app.object(hit.object)?.icon,
          object: hit.object,
        }));
      };
    default:
      return async (query) => {
        const to = meta.to ?? '';
        const target = app.object(to);
        const page = await app.api.get<Page>(`/records/${to}`, {
          search: query.trim() || undefined,
          fields: target?.title.join(','),
          sort: query.trim() ? undefined : target?.title.join(','),
          limit: 20,
          refs: 1,
        });
        app.remember(Object.fromEntries(page.data.map((record) => [record.id, { object: to, title: record.title }])));
        return page.data.map((record) => ({ value: record.id, label: record.title, square: true, object: to }));
      };
  }
}
