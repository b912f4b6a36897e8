/** In the morning, for those who want it: one mail with what stands unread under their bell. */
import type { Context, ExternalJob, Json, OutgoingMail } from '@kith/sdk';
import type { inbox } from '../plugin.ts';

type Ctx = Context<typeof inbox>;
/** Most lines in one mail. */
const MOST = 50;

interface Morning {
  person: string;
  day: string;
}

/** Every quarter of an hour: for whom it is seven in the morning, or later, and who has had no mail today. */
export async function beginDigests(ctx: Ctx): Promise<void> {
  const now = ctx.clock();
  const people =
    await ctx.sql<Morning>`select u.id as person, (${now}::timestamptz at time zone coalesce(u.time_zone, 'UTC'))::date::text as day
    from kith.notice_choice c join kith."user" u on u.id = c.person
    where c.kind = 'digest' and c.wanted and u.active and u.kind = 'staff'
      and extract(hour from ${now}::timestamptz at time zone coalesce(u.time_zone, 'UTC')) >= 7
      and exists (select from kith.notice n where n.person = u.id and n.read_at is null and n.mailed_at is null)
      and not exists (select from kith.notice n where n.person = u.id
        and (n.mailed_at at time zone coalesce(u.time_zone, 'UTC'))::date = (${now}::timestamptz at time zone coalesce(u.time_zone, 'UTC'))::date)`;
  for (const { person, day } of people) await ctx.queue('digest', { person, day }, { key: `${person} ${day}` });
}

export const digest: ExternalJob<typeof inbox> = {
  lane: 'bulk',
  tries: 5,
  prepare: async (job, ctx) => {
    const { person } = job.data as unknown as Morning;
    const [user] = await ctx.sql<{
      name: string;
      email: string;
      language: string | null;
    }>`select name, email, language from kith."user" where id = ${person} and active`;
    if (!user) return null;
    // Marked before it goes: a mail of which nobody knows whether it arrived is not sent again.
    const notices = await ctx.sql<{ kind: string; text: string | null; object: string | null; record: string | null; at: string }>`
      update kith.notice set mailed_at = ${ctx.clock()}::timestamptz where person = ${person} and read_at is null and mailed_at is null
      returning kind, text, object, record, at`;
    if (notices.length === 0) return null;
    return mailOf(
      ctx,
      user,
      notices.toSorted((a, b) => (a.at < b.at ? 1 : -1)),
    ) as unknown as Json;
  },
  call: (data, { services }) =>
    services.mail.configured
      ? services.mail.send(data as unknown as OutgoingMail)
      : Promise.resolve({ state: 'refused', retry: false, error: 'No mail server is named (SMTP_URL).' }),
  finish: async (job, outcome, ctx) => {
    if (outcome.state === 'sent') return;
    const { person } = job.data as unknown as Morning;
    ctx.log('warn', 'a digest was not sent', { person, state: outcome.state, error: outcome.error });
    await Promise.resolve();
  },
};

const WORDS = {
  en: {
    subject: (n: number) => (n === 1 ? 'One thing waits for you' : `${n} things wait for you`),
    more: (n: number) => `and ${n} more`,
    foot: 'You get this mail in the morning because you chose to; change it in Kith under Settings, Profile.',
  },
  de: {
    subject: (n: number) => (n === 1 ? 'Etwas wartet auf Sie' : `${n} Dinge warten auf Sie`),
    more: (n: number) => `und ${n} weitere`,
    foot: 'Sie erhalten diese E-Mail morgens, weil Sie es so gewählt haben; ändern können Sie es in Kith unter Einstellungen, Profil.',
  },
} as const;

function mailOf(
  ctx: Ctx,
  user: { name: string; email: string; language: string | null },
  notices: readonly { kind: string; text: string | null; object: string | null; record: string | null }[],
): OutgoingMail {
  const language = user.language?.startsWith('de') ? 'de' : 'en';
  const words = WORDS[language];
  const label = (kind: string): string => {
    const [plugin = '', name = ''] = kind.split('.');
    const locales = ctx.world.model.plugins.get(plugin)?.locales;
    return locales?.[language]?.[`notice.${name}`] ?? locales?.en?.[`notice.${name}`] ?? kind;
  };
  const lines = notices.slice(0, MOST).map(({ kind, text, object, record }) => {
    const link = object !== null && record !== null ? `\n  ${ctx.origin()}/o/${object}/${record}` : '';
    return `• ${label(kind)}${text === null ? '' : `: ${text}`}${link}`;
  });
  if (notices.length > MOST) lines.push(words.more(notices.length - MOST));
  return {
    to: { name: user.name, address: user.email },
    subject: words.subject(notices.length),
    text: `${lines.join('\n\n')}\n\n--\n${words.foot}\n`,
  };
}
