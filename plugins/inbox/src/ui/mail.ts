/** What writing is about: to whom, with which variables, and what the server makes of it. */
import type { AnyRef } from '@kith/sdk';
import type { App } from '@kith/ui/app.svelte.ts';
import type { Choice } from '@kith/ui/fields/choices.ts';
import type { Page } from '@kith/ui/types.ts';
import type { Say } from './words.ts';

export const MESSAGE = 'inbox.message';
export const TEMPLATE = 'inbox.template';
export const PERSON = 'contacts.person';
export const COMPANY = 'contacts.company';

export interface WrittenMail {
  id: string;
  status: string;
  reason: string | null;
  subject: string | null;
  body: string | null;
  address: string | null;
  recipient: AnyRef;
}
/** What the server answers, before sending and after. */
export interface Written {
  batch: string;
  queued: number;
  left: { id: string; recipient: AnyRef; status: string; reason: string | null }[];
  messages: WrittenMail[];
}

/** Makes sure that the names of people and companies are known. */
export async function learn(app: App, refs: readonly AnyRef[]): Promise<void> {
  const unknown = refs.filter(({ id }) => !app.refs.has(id));
  for (const [object, own] of Map.groupBy(unknown, (one) => one.object)) {
    const ids = [...new Set(own.map(({ id }) => id))];
    for (let at = 0; at < ids.length; at += 100) {
      const { data } = await app.api.get<Page>(`/records/${object}`, {
        filter: JSON.stringify({ field: 'id', op: 'in', value: ids.slice(at, at + 100) }),
        fields: app.object(object)?.title.join(','),
        limit: 100,
      });
      app.remember(Object.fromEntries(data.map(({ id, title }) => [id, { object, title }])));
    }
  }
}

const PARTS: readonly [head: string, object: string | null, names: readonly string[]][] = [
  ['person', PERSON, ['firstName', 'lastName', 'name', 'title', 'email', 'phone']],
  ['company', COMPANY, ['name', 'city', 'country', 'email', 'phone', 'website']],
  ['sender', null, ['name', 'email']],
  ['organisation', null, ['name']],
];
const SAYABLE: ReadonlySet<string> = new Set(['text', 'number', 'money', 'date', 'email', 'phone', 'url', 'autoNumber']);

/** What may stand in a text between braces. */
export function variablesOf(app: App, t: Say, about?: string): Choice[] {
  const found: Choice[] = [];
  const add = (head: string, group: string, name: string, label: string, icon: string): void => {
    found.push({ value: `${head}.${name}`, label: `${group} › ${label}`, icon });
  };
  for (const [head, object, names] of PARTS) {
    const meta = object === null ? undefined : app.object(object);
    const group = meta?.label.one ?? t(`variable.${head}` as 'variable.sender');
    for (const name of names) {
      const label = meta?.fields.find((one) => one.name === name)?.label ?? (name === 'email' ? t('variable.email') : t('variable.name'));
      add(head, group, name, label, meta?.icon ?? (head === 'sender' ? 'user' : 'building'));
    }
  }
  const record = about === undefined || about === PERSON || about === COMPANY ? undefined : app.object(about);
  for (const field of record?.fields ?? []) {
    if (!field.hidden && SAYABLE.has(field.type)) add('record', record!.label.one, field.name, field.label, record!.icon);
  }
  return found;
}
