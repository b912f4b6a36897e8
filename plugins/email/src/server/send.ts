/** One mail on its way: checked once more, handed to the mail server at most once, and noted on the timeline. */
import { escapeHtml } from '@kith/core';
import { decisive, refusalOf, type Basis, type Given } from '@kith/plugin-consent/plugin';
import type { Context, ExternalJob, Json, OutgoingMail, Outcome, Rec } from '@kith/sdk';
import type { email } from '../plugin.ts';

type Ctx = Context<typeof email>;
interface Asked {
  message: string;
}

export const send: ExternalJob<typeof email> = {
  lane: 'default',
  timeout: 60,
  tries: 6,

  prepare: async (job, ctx) => {
    const message = await openMessage(ctx, (job.data as unknown as Asked).message);
    if (!message) return null;
    const reason = await objection(ctx, message);
    if (reason !== null) {
      await ctx.asPlugin.patch('inbox.message', message.id, { status: 'held', reason });
      return null;
    }
    return (await mailOf(ctx, message)) as unknown as Json;
  },

  call: async (data, { services }): Promise<Outcome<Json>> => {
    // Nothing leaves a house that has no mail server; what would have left can be looked at there.
    if (!services.mail.configured) return { state: 'sent', result: { kept: true } };
    return services.mail.send(data as unknown as OutgoingMail);
  },

  finish: async (job, outcome, ctx) => {
    const { message: id } = job.data as unknown as Asked;
    const message = await openMessage(ctx, id);
    if (!message) return;
    if (outcome.state !== 'sent') {
      const reason =
        outcome.state === 'refused'
          ? `The mail server refused it: ${outcome.error}`
          : `Nobody knows whether it arrived: ${outcome.error} It is not sent again.`;
      await ctx.asPlugin.patch('inbox.message', id, {
        status: outcome.state === 'refused' ? 'failed' : 'unknown',
        reason: reason.slice(0, 2_000),
      });
      if (outcome.state === 'refused') return;
    }
    const kept = outcome.state === 'sent' && (outcome.result as { kept?: boolean }).kept === true;
    const at = ctx.clock().toISOString();
    if (outcome.state === 'sent') {
      const messageId = (outcome.result as { messageId?: string | null }).messageId ?? null;
      await ctx.asPlugin.patch('inbox.message', id, { status: kept ? 'kept' : 'sent', sentAt: at, messageId, reason: null });
    }
    const { fields } = message;
    const { asPlugin } = ctx.because({ kind: 'job', id: job.id }, message.createdBy);
    await asPlugin.create('contacts.activity', {
      kind: 'email',
      direction: 'out',
      at,
      subject: fields.subject,
      body: fields.body,
      about: fields.about ?? fields.recipient,
      person: fields.person,
      inbox__message: id,
    } as never);
  },
};

/** The message, if it still waits to be sent. */
async function openMessage(ctx: Ctx, id: string): Promise<Rec<Message> | undefined> {
  const { data } = await ctx.asPlugin.query('inbox.message', {
    filter: {
      and: [
        { field: 'id', op: 'eq', value: id },
        { field: 'status', op: 'eq', value: 'queued' },
      ],
    },
    limit: 1,
  });
  return data[0] as Rec<Message> | undefined;
}
type Message = Awaited<ReturnType<Ctx['asPlugin']['get']>>['fields'] & {
  subject: string | null;
  body: string | null;
  address: string | null;
  purpose: string | null;
  person: string | null;
  unsubscribe: string | null;
  about: never;
  recipient: never;
};

/** Whether somebody has said no since it was queued. */
async function objection(ctx: Ctx, { fields }: Rec<Message>): Promise<string | null> {
  const [purpose] = await ctx.sql<{
    id: string;
    basis: Basis;
    name: string;
  }>`select id, basis, name from consent.purpose where key = ${fields.purpose} and deleted_at is null`;
  const given =
    await ctx.sql<Given>`select status, expires from consent.consent where deleted_at is null and purpose = ${purpose?.id ?? null}::uuid
    and (person = ${fields.person}::uuid or lower(address) = lower(${fields.address})) order by status desc`;
  const refusal = refusalOf(purpose?.basis ?? null, decisive(given), ctx.clock().toISOString().slice(0, 10));
  return refusal === null ? null : `Consent for “${purpose?.name ?? fields.purpose}” was withdrawn before it was sent.`;
}

async function mailOf(ctx: Ctx, message: Rec<Message>): Promise<OutgoingMail> {
  const { fields } = message;
  const [sender] = await ctx.sql<{
    name: string;
    email: string;
  }>`select name, email from kith."user" where id = ${message.createdBy ?? null}::uuid and kind = 'staff'`;
  const [person] = await ctx.sql<{
    name: string;
  }>`select concat_ws(' ', "firstName", "lastName") as name from contacts.person where id = ${fields.person}::uuid`;
  const [organisation] = await ctx.sql<{
    name: string | null;
  }>`select value ->> 'name' as name from kith.setting where name = 'organisation'`;
  const [purpose] = await ctx.sql<{ basis: Basis }>`select basis from consent.purpose where key = ${fields.purpose} and deleted_at is null`;
  const link = `${ctx.origin()}/api/v1/x/inbox/unsubscribe/${fields.unsubscribe}`;
  // Letters between two people need no foot; what many get says how to be rid of it.
  const foot = purpose?.basis === 'consent' ? link : null;
  const body = fields.body ?? '';
  return {
    from: { name: [sender?.name, organisation?.name].filter(Boolean).join(' · ') },
    to: { name: person?.name ?? '', address: fields.address! },
    subject: fields.subject ?? '',
    text: foot === null ? body : `${body}\n\n--\nUnsubscribe: ${foot}\n`,
    html: htmlOf(body, foot),
    messageId: `<${message.id}@${new URL(ctx.origin()).hostname}>`,
    headers: {
      'List-Unsubscribe': `<${link}>`,
      'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click',
      'X-Kith-Message': message.id,
      ...(sender ? { 'Reply-To': sender.email } : {}),
    },
  };
}

function htmlOf(body: string, foot: string | null): string {
  const linked = (text: string): string => escapeHtml(text).replace(/https?:\/\/[^\s<]+/g, (url) => `<a href="${url}">${url}</a>`);
  const paragraphs = body.split(/\n{2,}/).map((part) => `<p>${linked(part).replaceAll('\n', '<br>')}</p>`);
  return [
    '<!doctype html><html><body>',
    ...paragraphs,
    ...(foot === null ? [] : [`<p><small><a href="${escapeHtml(foot)}">Unsubscribe</a></small></p>`]),
    '</body></html>',
  ].join('\n');
}
