/** What people hear of: what was given into their care, where they were named, and what is due. */
import type { AnyRef, ChangeEvent, Consumer, Context, FieldValue, ModelObject, Notice } from '@kith/sdk';
import type { contacts } from '../plugin.ts';

type Ctx = Context<typeof contacts>;

/** Causes after which nobody is told: data that comes in by the thousand is not somebody's gesture. */
const SILENT = new Set(['demo', 'import']);
/** Longest excerpt around a name. */
const EXCERPT = 140;
const AT_ONCE = 200;

/** Tells people what others give into their care. */
export const assignments: Consumer<typeof contacts> = {
  objects: (model) => [...model.objects.values()].filter(({ fields }) => fields.get('owner')?.type === 'user').map(({ name }) => name),
  handle: async (events, ctx) => {
    const notices: Notice[] = [];
    for (const event of events) {
      if (SILENT.has(event.cause.kind) || !['created', 'changed', 'settled'].includes(event.kind)) continue;
      const owner = ctx.world.model.objects.get(event.object)?.fields.get('owner');
      const now = owner?.type === 'user' ? event.changes.owner?.[1] : null;
      if (typeof now !== 'string' || now === event.author) continue;
      notices.push({
        to: now,
        kind: 'contacts.assigned',
        about: { object: event.object, id: event.record },
        by: event.author,
        key: `assigned ${event.record} ${event.position}`,
      });
    }
    await ctx.notify(notices);
  },
};

/** Tells people where they were named: `@Nancy Davolio`, in any text, once it is at rest. */
export const mentions: Consumer<typeof contacts> = {
  objects: (model) => [...model.objects.values()].filter((object) => textsOf(object).length > 0).map(({ name }) => name),
  handle: async (events, ctx) => {
    const wanted = new Map<string, { event: ChangeEvent; fields: Set<string> }>();
    for (const event of events) {
      if (SILENT.has(event.cause.kind) || !['created', 'changed', 'settled'].includes(event.kind)) continue;
      const texts = textsOf(ctx.world.model.objects.get(event.object)).filter((name) => event.kind === 'created' || name in event.changes);
      if (texts.length === 0) continue;
      const known = wanted.get(event.record);
      wanted.set(event.record, { event, fields: new Set([...(known?.fields ?? []), ...texts]) });
    }
    if (wanted.size === 0) return;
    const people = await ctx.sql<{
      id: string;
      name: string;
    }>`select id, name from kith."user" where kind = 'staff' and active and name <> '' order by length(name) desc`;
    const notices: Notice[] = [];
    for (const [object, own] of Map.groupBy(wanted.values(), ({ event }) => event.object)) {
      for (let i = 0; i < own.length; i += AT_ONCE) {
        const some = own.slice(i, i + AT_ONCE);
        const { data } = await ctx.world.records.query(object, {
          filter: { field: 'id', op: 'in', value: some.map(({ event }) => event.record) },
          limit: AT_ONCE,
        });
        for (const rec of data) {
          const { event, fields } = wanted.get(rec.id)!;
          const about = aboutOf(ctx.world.model.objects.get(object)!, rec.fields) ?? { object, id: rec.id };
          for (const field of fields) {
            const text = rec.fields[field] as FieldValue | undefined;
            if (typeof text !== 'string' || !text.includes('@')) continue;
            for (const { id, excerpt } of namedIn(text, people))
              if (id !== event.author)
                notices.push({
                  to: id,
                  kind: 'contacts.mentioned',
                  about,
                  by: event.author,
                  text: excerpt,
                  key: `mention ${rec.id} ${field} ${id}`,
                });
          }
        }
      }
    }
    await ctx.notify(notices);
  },
};

const textsOf = (object: ModelObject | undefined): string[] =>
  [...(object?.fields.values() ?? [])]
    .filter(({ type, mode }) => (type === 'longText' || type === 'richText') && mode === 'live')
    .map(({ name }) => name);

/** A note is about something: that is where it is read. */
function aboutOf(object: ModelObject, fields: Readonly<Record<string, unknown>>): AnyRef | null {
  const field = [...object.fields.values()].find(({ type }) => type === 'anyRef');
  return field ? ((fields[field.name] as AnyRef | null) ?? null) : null;
}

/** Who is named in a text, and what stands around. A longer name goes before one that it begins with. */
export function namedIn(text: string, people: readonly { id: string; name: string }[]): { id: string; excerpt: string }[] {
  const found: { id: string; excerpt: string }[] = [];
  // An escaped mark of Markdown, as editors write it.
  const whole = text.replaceAll('\\@', '@');
  let rest = whole;
  const folded = (value: string): string => value.toLocaleLowerCase();
  for (const { id, name } of people.toSorted((a, b) => b.name.length - a.name.length)) {
    const mark = `@${folded(name)}`;
    const at = folded(rest).indexOf(mark);
    if (at < 0 || /[\p{L}\p{N}]/u.test(rest[at + mark.length] ?? '') || /[\p{L}\p{N}]/u.test(rest[at - 1] ?? '')) continue;
    const from = Math.max(0, at - EXCERPT / 2);
    found.push({
      id,
      excerpt: whole
        .slice(from, from + EXCERPT)
        .replace(/\s+/g, ' ')
        .trim(),
    });
    rest = rest.slice(0, at) + ' '.repeat(mark.length) + rest.slice(at + mark.length);
  }
  return found;
}

/** Reminders stand in the queue until their time; a changed or finished task takes its reminder along. */
export const reminders: Consumer<typeof contacts> = {
  objects: ['contacts.task'],
  handle: async (events, ctx) => {
    const ids = [
      ...new Set(
        events
          .filter(({ kind, changes }) => kind === 'deleted' || kind === 'restored' || 'reminder' in changes || 'status' in changes)
          .map(({ record }) => record),
      ),
    ];
    if (ids.length === 0) return;
    await ctx.unqueue('remind', ids);
    const now = ctx.clock().toISOString();
    for (let i = 0; i < ids.length; i += AT_ONCE) {
      const { data } = await ctx.asPlugin.query('contacts.task', {
        filter: { field: 'id', op: 'in', value: ids.slice(i, i + AT_ONCE) },
        limit: AT_ONCE,
      });
      for (const { id, fields } of data)
        if (fields.reminder !== null && fields.status === 'open' && fields.reminder > now)
          await ctx.queue('remind', { task: id, at: fields.reminder }, { due: fields.reminder, key: id });
    }
  },
};

/** Says that a task wants to be thought of. */
export async function remind(task: string, at: string, ctx: Ctx): Promise<void> {
  const { data } = await ctx.asPlugin.query('contacts.task', {
    filter: {
      and: [
        { field: 'id', op: 'eq', value: task },
        { field: 'status', op: 'eq', value: 'open' },
      ],
    },
    limit: 1,
  });
  const [rec] = data;
  // One that was moved meanwhile has a reminder of its own.
  if (!rec || rec.fields.owner === null || rec.fields.reminder !== at) return;
  await ctx.notify([
    { to: rec.fields.owner, kind: 'contacts.reminder', about: { object: 'contacts.task', id: task }, key: `remind ${task} ${at}` },
  ]);
}

/** In the morning of each person's own day: the tasks that are due. Runs every quarter of an hour; a task is told of once. */
export async function tellDue(ctx: Ctx): Promise<void> {
  const now = ctx.clock();
  const due = await ctx.sql<{
    id: string;
    owner: string;
    due: string;
  }>`select t.id, t.owner, t.due from contacts.task t join kith."user" u on u.id = t.owner
    where t.deleted_at is null and t.status = 'open' and u.active
      and t.due between (${now}::timestamptz at time zone 'UTC')::date - 1 and (${now}::timestamptz at time zone 'UTC')::date + 1
      and t.due = (${now}::timestamptz at time zone coalesce(u.time_zone, 'UTC'))::date
      and extract(hour from ${now}::timestamptz at time zone coalesce(u.time_zone, 'UTC')) >= 7
      and not exists (select from kith.notice n where n.person = t.owner and n.key = 'due ' || t.id || ' ' || t.due)`;
  await ctx.notify(
    due.map((task) => ({
      to: task.owner,
      kind: 'contacts.due',
      about: { object: 'contacts.task', id: task.id },
      key: `due ${task.id} ${task.due}`,
    })),
  );
}
