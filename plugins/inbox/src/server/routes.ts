/** Writing to many, and the link with which somebody says no. */
import { isUuid, type AnyRef, type FieldProblem, type Json, type PluginCall, type PluginRoute } from '@kith/sdk';
import type { inbox } from '../plugin.ts';
import type { Ctx } from './write.ts';

/** Most records that one writes to at once. */
const MOST = 1_000;

class PreviewEnded extends Error {}

type Route = PluginRoute<typeof inbox>;
const textOf = (call: PluginCall, name: string): string | null => {
  const value = call.body[name];
  if (value === undefined || value === null || value === '') return null;
  return typeof value === 'string'
    ? value
    : call.fail(422, 'invalid', `${name} must be text`, [{ field: name, code: 'invalid', message: 'must be text' }]);
};

export const routes: readonly Route[] = [
  {
    method: 'POST',
    path: '/write',
    access: 'staff',
    summary:
      'Write to people: {to: [{object, id}], channel? (email), about?, purpose, template? or subject and body, preview?}; says who is left out, and why',
    handle: async (call, ctx) => {
      const problems: FieldProblem[] = [];
      const channel = textOf(call, 'channel') ?? 'email';
      const info = ctx.world.channels.get(channel);
      if (!info)
        problems.push({
          field: 'channel',
          code: 'invalid',
          message: `must be a channel that is switched on: ${[...ctx.world.channels.keys()].join(', ')}`,
        });
      const to = await recipientsOf(call, ctx, info?.reach ?? null);
      const [purpose, template, subject, body] = [
        textOf(call, 'purpose'),
        textOf(call, 'template'),
        textOf(call, 'subject'),
        textOf(call, 'body'),
      ];
      const about = refOf(call.body.about);
      if (template === null && subject === null && channel === 'email')
        problems.push({ field: 'subject', code: 'required', message: 'must not be empty without a template' });
      if (purpose === null && template === null)
        problems.push({ field: 'purpose', code: 'required', message: 'must not be empty without a template' });
      if (problems.length > 0) call.fail(422, 'invalid', problems.map(({ field, message }) => `${field} ${message}`).join('; '), problems);
      if (about) await (ctx.records as unknown as Ctx['world']['records']).get(about.object, about.id);
      const batch = textOf(call, 'key') ?? crypto.randomUUID();
      const write = async (): Promise<Json> => {
        const ids = await ctx.records.createMany(
          'inbox.message',
          to.map((recipient) => ({
            channel: channel as 'email',
            recipient,
            about: about ?? recipient,
            purpose,
            template,
            subject,
            body,
            batch,
            key: `${batch} ${recipient.id}`,
          })),
        );
        const rows = await ctx.sql<{
          id: string;
          status: string;
          reason: string | null;
          subject: string | null;
          body: string | null;
          address: string | null;
          person: string | null;
          recipient: string;
        }>`
          select id, status, reason, subject, body, address, person, recipient from inbox.message where id = any(${ids}::uuid[])`;
        const byId = new Map(rows.map((row) => [row.id, row]));
        const messages = ids.map((id, i) => ({ ...byId.get(id)!, recipient: { ...to[i]! } }));
        const left = messages.filter(({ status }) => status !== 'queued');
        return {
          batch,
          queued: messages.length - left.length,
          left: left.map(({ recipient, status, reason, id }) => ({ recipient, status, reason, id })),
          messages: messages.slice(0, 20).map(({ id, status, reason, subject: line, body: text, address, recipient }) => ({
            id,
            status,
            reason,
            subject: line,
            body: text,
            address,
            recipient,
          })),
        };
      };
      if (call.body.preview !== true) return { status: 201, body: await write() };
      let seen: Json = null;
      try {
        await ctx.attempt(async () => {
          seen = await write();
          throw new PreviewEnded();
        });
      } catch (error) {
        if (!(error instanceof PreviewEnded)) throw error;
      }
      return { body: seen };
    },
  },
  {
    method: 'GET',
    path: '/unsubscribe/{token}',
    access: 'public',
    summary: 'What somebody sees who follows the link in a mail',
    handle: async (call, ctx) => {
      const { purpose } = await messageOf(call, ctx);
      const de = call.language.startsWith('de');
      return {
        page: de
          ? { title: 'Keine weiteren E-Mails', text: `Möchten Sie keine E-Mails mehr zum Zweck „${purpose}“ erhalten?`, button: 'Abmelden' }
          : { title: 'No more e-mails', text: `Do you want to receive no more e-mails for “${purpose}”?`, button: 'Unsubscribe' },
      };
    },
  },
  {
    method: 'POST',
    path: '/unsubscribe/{token}',
    access: 'public',
    summary: 'Withdraws the consent for the mail’s purpose (RFC 8058)',
    handle: async (call, ctx) => {
      const message = await messageOf(call, ctx);
      await withdraw(message, ctx);
      const de = call.language.startsWith('de');
      return {
        page: de
          ? { title: 'Abgemeldet', text: `Sie erhalten keine E-Mails mehr zum Zweck „${message.purpose}“.` }
          : { title: 'Unsubscribed', text: `You will receive no more e-mails for “${message.purpose}”.` },
      };
    },
  },
];

interface Unsubscribing {
  id: string;
  person: string | null;
  address: string | null;
  purposeId: string;
  purpose: string;
}

async function messageOf(call: PluginCall, ctx: Ctx): Promise<Unsubscribing> {
  const [message] = await ctx.sql<Unsubscribing>`select m.id, m.person, m.address, p.id as "purposeId", p.name as purpose
    from inbox.message m join consent.purpose p on p.key = m.purpose and p.deleted_at is null where m.unsubscribe = ${call.params.token ?? ''}`;
  return message ?? call.fail(404, 'not_found', 'This link is not known.');
}

/** A consent that is there is withdrawn; where there is none, that somebody objects is written down. Twice is as good as once. */
async function withdraw({ id, person, address, purposeId }: Unsubscribing, ctx: Ctx): Promise<void> {
  await ctx.sql`select pg_advisory_xact_lock(hashtextextended(${`${person ?? address} ${purposeId}`}, 0))`;
  const [known] = await ctx.sql<{ id: string; status: string }>`select id, status from consent.consent
    where deleted_at is null and purpose = ${purposeId} and (person = ${person}::uuid or (${person}::uuid is null and lower(address) = lower(${address}))) limit 1`;
  const fields = { status: 'withdrawn' as const, since: ctx.clock().toISOString(), source: 'Link in a mail', proof: `Message ${id}` };
  if (known?.status === 'withdrawn') return;
  if (known) await ctx.asPlugin.patch('consent.consent', known.id, fields);
  else await ctx.asPlugin.create('consent.consent', { purpose: purposeId, ...(person === null ? { address } : { person }), ...fields });
}

function refOf(value: unknown): AnyRef | null {
  if (typeof value !== 'object' || value === null) return null;
  const { object, id } = value as Record<string, unknown>;
  return typeof object === 'string' && isUuid(id) ? { object, id } : null;
}

/** Whom one writes to: people and companies as they are; a company without an address of its own through its people. */
async function recipientsOf(call: PluginCall, ctx: Ctx, reach: string | null): Promise<AnyRef[]> {
  const list = Array.isArray(call.body.to) ? call.body.to.map(refOf) : [];
  if (
    list.length === 0 ||
    list.includes(null) ||
    list.some((one) => one!.object !== 'contacts.person' && one!.object !== 'contacts.company')
  )
    return call.fail(422, 'invalid', 'Say to whom: people or companies.', [
      { field: 'to', code: 'invalid', message: 'must be a list of people or companies' },
    ]);
  if (list.length > MOST)
    return call.fail(422, 'invalid', `One writes to at most ${MOST} at once.`, [
      { field: 'to', code: 'too_large', message: `at most ${MOST}` },
    ]);
  if (reach !== 'email') return [...new Map(list.map((one) => [one!.id, one!])).values()];
  const companies = list.flatMap((one) => (one!.object === 'contacts.company' ? [one!.id] : []));
  const people = await ctx.sql<{
    id: string;
    company: string;
  }>`select p.id, p.company from contacts.person p join contacts.company c on c.id = p.company
    where p.deleted_at is null and p.email is not null and c.email is null and p.company = any(${companies}::uuid[]) order by p.created_at, p.id`;
  const of = Map.groupBy(people, ({ company }) => company);
  const found = list.flatMap((one): AnyRef[] => {
    const own = one!.object === 'contacts.company' ? of.get(one!.id) : undefined;
    return own ? own.map(({ id }) => ({ object: 'contacts.person', id })) : [one!];
  });
  return [...new Map(found.map((one) => [one.id, one])).values()];
}
