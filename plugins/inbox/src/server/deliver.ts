/** One message on its way: checked once more, handed to its channel at most once, and noted on the timeline. */
import { decisive, refusalOf, type Basis, type Given } from '@kith/plugin-consent/plugin';
import type { AnyRef, ChangeEvent, ChannelMessage, Delivered, ExternalJob, Json, Outcome, Rec } from '@kith/sdk';
import type { inbox } from '../plugin.ts';
import { nameOf } from './names.ts';
import { fileMessage, type Ctx } from './write.ts';

/** Most that begin to wait no more at once. */
const MOST = 500;

interface Asked {
  message: string;
}
interface Prepared {
  channel: string;
  message: ChannelMessage;
}
type Message = Rec<{
  channel: string;
  subject: string | null;
  body: string | null;
  address: string;
  purpose: string | null;
  person: string | null;
  unsubscribe: string;
  about: AnyRef | null;
  recipient: AnyRef | null;
}>;

/** Whatever is queued gets a job. */
export async function queueDeliveries(events: readonly ChangeEvent[], ctx: Ctx): Promise<void> {
  const ids = [...new Set(events.filter(({ changes }) => changes.status?.[1] === 'queued').map(({ record }) => record))];
  await ctx.queueAll(
    'deliver',
    ids.map((message) => ({ message })),
  );
}

/** What waited for a channel that is back is queued again, the oldest first. */
export async function sendWaiting(ctx: Ctx): Promise<void> {
  const spec = ctx.world.model.objects.get('inbox.message')?.fields.get('channel')?.spec;
  // A channel without an option of its name can have no message either.
  const names = [...ctx.world.channels.keys()].filter((name) => spec?.type === 'select' && name in spec.options);
  if (names.length === 0) return;
  const { data } = await ctx.world.records.query('inbox.message', {
    filter: {
      and: [
        { field: 'status', op: 'eq', value: 'waiting' },
        { field: 'channel', op: 'in', value: names },
      ],
    },
    sort: ['createdAt'],
    fields: ['status'],
    limit: MOST,
  });
  if (data.length === 0) return;
  await ctx.world.records.patchMany(
    'inbox.message',
    data.map(({ id }) => ({ id, fields: { status: 'queued' } as never })),
  );
}

export const deliver: ExternalJob<typeof inbox> = {
  lane: 'default',
  timeout: 60,
  tries: 6,

  prepare: async (job, ctx) => {
    const message = await openMessage(ctx, (job.data as unknown as Asked).message);
    if (!message) return null;
    const { channel } = message.fields;
    if (!ctx.world.channels.has(channel)) {
      await ctx.asPlugin.patch('inbox.message', message.id, { status: 'waiting', reason: null });
      return null;
    }
    const reason = await objection(ctx, message);
    if (reason !== null) {
      await ctx.asPlugin.patch('inbox.message', message.id, { status: 'held', reason });
      return null;
    }
    return { channel, message: await letterOf(ctx, message) } satisfies Prepared as unknown as Json;
  },

  call: async (data, tools): Promise<Outcome<Json>> => {
    const { channel: name, message } = data as unknown as Prepared;
    const channel = tools.channel(name);
    // Switched off a moment ago: the next try finds that, and lets the message wait.
    if (!channel) return { state: 'refused', retry: true, error: `The channel “${name}” is switched off.` };
    return (await channel.send(message)) as Outcome<Json>;
  },

  finish: async (job, outcome, ctx) => {
    const message = await openMessage(ctx, (job.data as unknown as Asked).message);
    if (!message) return;
    const at = ctx.clock().toISOString();
    if (outcome.state === 'sent') {
      const { kept = false, messageId = null } = (outcome.result ?? {}) as Delivered;
      await ctx.asPlugin.patch('inbox.message', message.id, { status: kept ? 'kept' : 'sent', sentAt: at, messageId, reason: null });
    } else {
      const reason =
        outcome.state === 'refused'
          ? `It was refused: ${outcome.error}`
          : `Nobody knows whether it arrived: ${outcome.error} It is not sent again.`;
      await ctx.asPlugin.patch('inbox.message', message.id, {
        status: outcome.state === 'refused' ? 'failed' : 'unknown',
        reason: reason.slice(0, 2_000),
      });
      if (outcome.state === 'refused') return;
    }
    const { fields } = message;
    await fileMessage(ctx.because({ kind: 'job', id: job.id }, message.createdBy), message.id, {
      ...fields,
      direction: 'out',
      at,
      about: fields.about ?? fields.recipient,
    });
  },
};

/** The message, if it still waits to be sent. */
async function openMessage(ctx: Ctx, id: string): Promise<Message | undefined> {
  const { data } = await ctx.asPlugin.query('inbox.message', {
    filter: {
      and: [
        { field: 'id', op: 'eq', value: id },
        { field: 'status', op: 'eq', value: 'queued' },
      ],
    },
    limit: 1,
  });
  return data[0] as unknown as Message | undefined;
}

/** Whether somebody has said no since it was queued. */
async function objection(ctx: Ctx, { fields }: Message): Promise<string | null> {
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

/** What the channel is given. */
async function letterOf(ctx: Ctx, message: Message): Promise<ChannelMessage> {
  const { fields } = message;
  const [sender] = await ctx.sql<{
    name: string;
    email: string;
  }>`select name, email from kith."user" where id = ${message.createdBy ?? null}::uuid and kind = 'staff'`;
  const [person] = await ctx.sql<{
    firstName: string | null;
    lastName: string | null;
  }>`select "firstName", "lastName" from contacts.person where id = ${fields.person}::uuid`;
  const [organisation] = await ctx.sql<{
    name: string | null;
  }>`select value ->> 'name' as name from kith.setting where name = 'organisation'`;
  const [purpose] = await ctx.sql<{ basis: Basis }>`select basis from consent.purpose where key = ${fields.purpose} and deleted_at is null`;
  return {
    id: message.id,
    to: { address: fields.address, name: nameOf(person) },
    from: { name: [sender?.name, organisation?.name].filter(Boolean).join(' · '), address: sender?.email ?? null },
    subject: fields.subject ?? '',
    body: fields.body ?? '',
    about: fields.about,
    // Letters between two people need no foot; what many get says how to be rid of it.
    unsubscribe: { url: `${ctx.origin()}/api/v1/x/inbox/unsubscribe/${fields.unsubscribe}`, visible: purpose?.basis === 'consent' },
    origin: ctx.origin(),
  };
}
