/** What stands under people's bells. */
import type { Notice, Principal } from '@kith/sdk';
import type { Queryable } from './database.ts';
import { newId } from './ids.ts';

/** Writes notices for those of the staff who are there and want them; answers who they are. */
export async function addNotices(client: Queryable, notices: readonly Notice[], by: Principal): Promise<string[]> {
  if (notices.length === 0) return [];
  const { rows } = await client.query<{ person: string }>({
    name: 'kith_notice_add',
    text: `insert into kith.notice (id, person, kind, object, record, text, key, author)
      select n.id, n.person, n.kind, n.object, n.record, n.text, n.key, n.author
      from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::uuid[])
        as n (id, person, kind, object, record, text, key, author)
      join kith."user" u on u.id = n.person and u.kind = 'staff' and u.active
      where not exists (select from kith.notice_choice c where c.person = n.person and c.kind = n.kind and not c.wanted)
      on conflict do nothing returning person`,
    values: [
      notices.map(() => newId()),
      notices.map(({ to }) => to),
      notices.map(({ kind }) => kind),
      notices.map(({ about }) => about?.object ?? null),
      notices.map(({ about }) => about?.id ?? null),
      notices.map(({ text }) => text ?? null),
      notices.map(({ key }) => key ?? null),
      notices.map((notice) => notice.by ?? by.id),
    ],
  });
  return [...new Set(rows.map(({ person }) => person))];
}
