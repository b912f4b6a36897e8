/** What stands under a person's bell, and what they want to stand there. */
import { isUuid, type AnyRef } from '@kith/sdk';
import { KithError, malformed } from '../errors.ts';
import { titleOf } from '../query/present.ts';
import { exactTime, momentOf } from '../records/history.ts';
import { json } from './http.ts';
import { text } from './meta.ts';
import type { Call, Route } from './routes.ts';

const PAGE = 30;
const MOST = 100;
/** The cursor before all that is. */
const FROM_NOW = '9999-12-31T00:00:00Z_ffffffff-ffff-ffff-ffff-ffffffffffff';
/** The choice that stands for a mail in the morning with what is unread. */
export const DIGEST = 'digest';

interface Row {
  id: string;
  kind: string;
  object: string | null;
  record: string | null;
  text: string | null;
  at: string;
  read_at: string | null;
  author: string | null;
}

export const noticeRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/notices',
    access: 'person',
    summary: 'What the caller was told, newest first, and how much of it is unread',
    doc: { query: { unread: '1: only what is unread', limit: `how many, at most ${MOST}`, cursor: 'nextCursor of the page before' } },
    handle: async (call) => {
      const { runtime, principal, url } = call;
      const limit = Math.min(MOST, Math.max(1, Number(url.searchParams.get('limit') ?? PAGE) || PAGE));
      const [at, id] = momentOf(url.searchParams.get('cursor') || FROM_NOW);
      const { rows } = await runtime.pool.query<Row & { exact: string }>(
        `select n.id, n.kind, n.object, n.record, n.text, n.at, ${exactTime('n.at')} as exact, n.read_at, u.name as author
         from kith.notice n left join kith."user" u on u.id = n.author
         where n.person = $1 and (n.at, n.id) < ($2::timestamptz, $3::uuid) ${url.searchParams.get('unread') === '1' ? 'and n.read_at is null' : ''}
         order by n.at desc, n.id desc limit $4`,
        [principal.id, at, id, limit + 1],
      );
      const shown = rows.slice(0, limit);
      const titles = await titlesFor(call, shown);
      const last = shown.at(-1);
      return json({
        data: shown.map((row) => ({
          id: row.id,
          kind: row.kind,
          label: labelOf(call, row.kind),
          about: row.object === null || row.record === null ? null : aboutOf(row.object, row.record, titles),
          text: row.text,
          by: row.author,
          at: row.at,
          read: row.read_at !== null,
        })),
        unread: await unreadOf(call),
        nextCursor: rows.length > limit && last ? `${last.exact}_${last.id}` : null,
      });
    },
  },
  {
    method: 'POST',
    path: '/notices/read',
    access: 'person',
    summary: 'Mark as read: those named, or all of them',
    doc: { body: { ids: 'strings' } },
    handle: async (call) => {
      const { ids } = await call.body();
      if (ids !== undefined && !(Array.isArray(ids) && ids.every(isUuid))) throw malformed('"ids" is a list of ids.');
      await call.runtime.pool.query(
        `update kith.notice set read_at = now() where person = $1 and read_at is null and ($2::uuid[] is null or id = any($2))`,
        [call.principal.id, ids ?? null],
      );
      // Other windows of the same person.
      call.runtime.bus.noticed([call.principal.id]);
      return json({ unread: await unreadOf(call) });
    },
  },
  {
    method: 'GET',
    path: '/notices/choices',
    access: 'person',
    summary: 'The kinds of notices, and which of them the caller wants',
    handle: async (call) => json(await choicesOf(call)),
  },
  {
    method: 'PATCH',
    path: '/notices/choices',
    access: 'person',
    summary: 'Choose which notices one wants, and whether what is unread comes by mail in the morning',
    doc: { body: { kinds: 'object', digest: 'boolean' } },
    handle: async (call) => {
      const { kinds = {}, digest } = await call.body();
      if (typeof kinds !== 'object' || kinds === null || Array.isArray(kinds))
        throw malformed('"kinds" is an object of kinds with true or false.');
      const known = new Set(kindsOf(call));
      const wanted = Object.entries(kinds as Record<string, unknown>);
      if (digest !== undefined) wanted.push([DIGEST, digest]);
      for (const [kind, value] of wanted) {
        if (typeof value !== 'boolean') throw malformed(`"${kind.slice(0, 60)}" is true or false.`);
        if (kind !== DIGEST && !known.has(kind))
          throw new KithError(422, 'invalid', `There is no notice “${kind.slice(0, 60)}”.`, {
            errors: [{ field: 'kinds', code: 'unknown_option', message: 'is no kind of notice' }],
          });
      }
      await call.runtime.pool.query(
        `insert into kith.notice_choice (person, kind, wanted) select $1, * from unnest($2::text[], $3::boolean[])
         on conflict (person, kind) do update set wanted = excluded.wanted`,
        [call.principal.id, wanted.map(([kind]) => kind), wanted.map(([, value]) => value)],
      );
      return json(await choicesOf(call));
    },
  },
];

async function unreadOf({ runtime, principal }: Call): Promise<number> {
  const { rows } = await runtime.pool.query<{ n: number }>(
    'select count(*)::int as n from (select from kith.notice where person = $1 and read_at is null limit 1000) n',
    [principal.id],
  );
  return rows[0]!.n;
}

const labelOf = ({ runtime, language }: Call, kind: string): string => {
  const [plugin = '', name = ''] = kind.split('.');
  return text(runtime.model, plugin, `notice.${name}`, language);
};

/** The plugin that a kind comes from, by its name. */
const groupOf = ({ runtime, language }: Call, kind: string): string => {
  const [plugin = ''] = kind.split('.');
  return text(runtime.model, plugin, `plugin.${plugin}`, language);
};

/** All kinds that the plugins' catalogues name. */
const kindsOf = ({ runtime }: Call): string[] =>
  [...runtime.model.plugins.values()].flatMap(({ id, locales }) =>
    Object.keys(locales.en ?? {}).flatMap((key) => (key.startsWith('notice.') ? [`${id}.${key.slice('notice.'.length)}`] : [])),
  );

async function choicesOf(call: Call): Promise<Record<string, unknown>> {
  const { rows } = await call.runtime.pool.query<{ kind: string; wanted: boolean }>(
    'select kind, wanted from kith.notice_choice where person = $1',
    [call.principal.id],
  );
  const chosen = new Map(rows.map(({ kind, wanted }) => [kind, wanted]));
  return {
    kinds: kindsOf(call).map((kind) => ({
      kind,
      label: labelOf(call, kind),
      group: groupOf(call, kind),
      wanted: chosen.get(kind) ?? true,
    })),
    digest: chosen.get(DIGEST) ?? false,
    mail: call.runtime.env.smtpUrl !== undefined,
  };
}

/** Titles of the records that the person may still see. */
async function titlesFor({ runtime, principal }: Call, rows: readonly Row[]): Promise<Map<string, string>> {
  const titles = new Map<string, string>();
  for (const [name, own] of Map.groupBy(rows, ({ object }) => object)) {
    const object = name === null ? undefined : runtime.model.objects.get(name);
    if (!object) continue;
    const ids = [...new Set(own.flatMap(({ record }) => record ?? []))];
    const { data } = await runtime.query.list(principal, object, { ids, limit: ids.length });
    for (const rec of data) titles.set(rec.id, titleOf(object, rec.fields));
  }
  return titles;
}

/** What a notice is about; without its title where the person may not see it any more. */
const aboutOf = (object: string, id: string, titles: ReadonlyMap<string, string>): (AnyRef & { title: string }) | null =>
  titles.has(id) ? { object, id, title: titles.get(id)! } : null;
