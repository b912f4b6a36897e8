/**
 * Messages as they are made. One that goes out is addressed, filled in and checked against consent, in the same transaction:
 * what may go is queued for its channel; what may not says why. One that came in is filed with whoever sent it.
 */
import { randomBytes } from 'node:crypto';
import { decisive, refusalOf, type Basis, type Given, type Refusal } from '@kith/plugin-consent/plugin';
import { checkValue, email, type AnyRef, type Context, type Effected, type FieldValue, type Rec } from '@kith/sdk';
import type { inbox } from '../plugin.ts';
import { nameOf } from './names.ts';
import { filled, type Variables } from './words.ts';

export type Ctx = Context<typeof inbox>;
type Fields = Rec<Record<string, FieldValue>>['fields'];
type Person = { id: string; firstName: string | null; lastName: string | null; email: string | null; company: string | null } & Reached &
  Record<string, unknown>;
type Company = { id: string; name: string | null } & Reached & Record<string, unknown>;
/** What channels reach somebody by, by the name of the field. */
interface Reached {
  reached: Readonly<Record<string, unknown>> | null;
}

const ADDRESS = email();
const REASONS: Record<Refusal, (purpose: string) => string> = {
  none: (purpose) => `No consent for “${purpose}”.`,
  withdrawn: (purpose) => `Consent for “${purpose}” was withdrawn.`,
  expired: (purpose) => `Consent for “${purpose}” has expired.`,
  purpose: (purpose) => `There is no purpose “${purpose}”.`,
};

/** New messages are addressed, filled in, and queued or held; what came in is filed. */
export async function takeMessages(changes: readonly Effected<Fields>[], ctx: Ctx): Promise<void> {
  const created = changes.filter(({ kind }) => kind === 'created');
  for (const { id, record } of created) if (record.direction === 'in') await receive(id, record, ctx);
  const fresh = created.filter(({ record }) => record.direction === 'out');
  if (fresh.length === 0) return;
  const desk = await Desk.open(
    ctx,
    fresh.map(({ record }) => record),
  );
  await ctx.asPlugin.patchMany(
    'inbox.message',
    fresh.map(({ id, record }) => ({
      id,
      fields: { ...desk.prepare(record), unsubscribe: randomBytes(24).toString('base64url') } as never,
    })),
  );
}

interface Sender {
  person: string | null;
  company: string | null;
  owner: string | null;
}

/** What came in finds whoever sent it, stands on their timeline, and whoever looks after them is told. */
async function receive(id: string, message: Fields, ctx: Ctx): Promise<void> {
  const address = typeof message.address === 'string' ? message.address.trim() : '';
  const reach = ctx.world.channels.get(String(message.channel))?.reach ?? null;
  const sender = reach === null || address === '' ? undefined : await senderOf(ctx, reach, address);
  const subject = (message.subject as string | null) ?? firstLine(message.body as string | null);
  const at = ctx.clock().toISOString();
  await ctx.asPlugin.patch('inbox.message', id, { status: 'received', person: sender?.person ?? null, sentAt: at, subject } as never);
  const about =
    (message.about as AnyRef | null) ??
    (sender?.person
      ? { object: 'contacts.person', id: sender.person }
      : sender?.company
        ? { object: 'contacts.company', id: sender.company }
        : null);
  // From whom nobody knows it stands in the list of messages alone.
  if (!about) return;
  await fileMessage(ctx, id, {
    channel: String(message.channel),
    direction: 'in',
    at,
    subject,
    body: message.body as string | null,
    about,
    person: sender?.person ?? null,
  });
  if (sender?.owner)
    await ctx.notify([
      { to: sender.owner, kind: 'inbox.received', about: { object: 'inbox.message', id }, ...(subject && { text: subject }), key: id },
    ]);
}

/** Whose address this is: a person's, or else a company's. */
async function senderOf(ctx: Ctx, reach: string, address: string): Promise<Sender | undefined> {
  if (reach === 'email') {
    const [person] = await ctx.sql<Sender>`select id as person, company, owner from contacts.person
      where deleted_at is null and lower(email) = lower(${address}) order by id limit 1`;
    if (person) return person;
    const [company] = await ctx.sql<Sender>`select null::uuid as person, id as company, owner from contacts.company
      where deleted_at is null and lower(email) = lower(${address}) order by id limit 1`;
    return company;
  }
  if (reach === 'phone') {
    // Of numbers only the digits count, since everybody writes them differently.
    const digits = address.replace(/\D/g, '').replace(/^0+/, '');
    if (digits === '') return undefined;
    // Each by its own index, in the order of ids: together under “or”, the records would be read in that order one by one.
    const [person] = await ctx.sql<Sender & { id: string }>`
      select id, id as person, company, owner from contacts.person
      where deleted_at is null and ltrim(regexp_replace(phone, '\\D', '', 'g'), '0') = ${digits}
      union all select id, id, company, owner from contacts.person
      where deleted_at is null and ltrim(regexp_replace(mobile, '\\D', '', 'g'), '0') = ${digits} order by id limit 1`;
    if (person) return person;
    const [company] = await ctx.sql<Sender>`select null::uuid as person, id as company, owner from contacts.company
      where deleted_at is null and ltrim(regexp_replace(phone, '\\D', '', 'g'), '0') = ${digits} order by id limit 1`;
    return company;
  }
  // By a field that some plugin has added.
  for (const object of ['contacts.person', 'contacts.company'] as const) {
    if (!ctx.world.model.objects.get(object)?.fields.has(reach)) continue;
    const { data } = await ctx.world.records.query(object, { filter: { field: reach, op: 'eq', value: address }, limit: 1 });
    const found = data[0] as Rec<Record<string, FieldValue>> | undefined;
    if (!found) continue;
    const owner = found.fields.owner as string | null;
    return object === 'contacts.person'
      ? { person: found.id, company: found.fields.company as string | null, owner }
      : { person: null, company: found.id, owner };
  }
  return undefined;
}

/** A message as an activity, on the timeline of what it is about. */
export async function fileMessage(
  ctx: Ctx,
  message: string,
  told: {
    channel: string;
    direction: 'in' | 'out';
    at: string;
    subject: string | null;
    body: string | null;
    about: AnyRef | null;
    person: string | null;
  },
): Promise<void> {
  const { channel, ...fields } = told;
  const kinds = ctx.world.model.objects.get('contacts.activity')?.fields.get('kind')?.spec;
  const kind = kinds?.type === 'select' && channel in kinds.options ? channel : 'message';
  await ctx.asPlugin.create('contacts.activity', {
    kind,
    direction: fields.direction,
    at: fields.at,
    subject: fields.subject,
    body: fields.body,
    about: fields.about,
    person: fields.person,
    inbox__message: message,
  } as never);
}

/** What a message without a subject is called. */
const firstLine = (body: string | null): string | null => body?.trim().split('\n', 1)[0]!.slice(0, 120).trim() || null;

/** What many messages need to know, read once. */
class Desk {
  #people = new Map<string, Person>();
  #companies = new Map<string, Company>();
  #records = new Map<string, Rec>();
  #purposes = new Map<string, { id: string; name: string; basis: Basis }>();
  #templates = new Map<string, { subject: string | null; body: string | null; purpose: string | null }>();
  #given = new Map<string, Given>();
  #byAddress = new Map<string, string>();
  #sender: Record<string, unknown> = {};
  #organisation: Record<string, unknown> = {};
  #today = '';
  #channels: Ctx['world']['channels'] = new Map();

  static async open(ctx: Ctx, messages: readonly Fields[]): Promise<Desk> {
    const desk = new Desk();
    desk.#today = ctx.clock().toISOString().slice(0, 10);
    desk.#channels = ctx.world.channels;
    const reaches = [...new Set(['email', ...[...ctx.world.channels.values()].flatMap(({ reach }) => reach ?? [])])];
    const recipients = messages.flatMap(({ recipient }) => (recipient ? [recipient as AnyRef] : []));
    const idsOf = (object: string): string[] => [...new Set(recipients.filter((one) => one.object === object).map(({ id }) => id))];
    const addresses = [...new Set(messages.flatMap(({ address }) => (typeof address === 'string' ? [address.toLowerCase()] : [])))];
    const known = messages.flatMap(({ person }) => (typeof person === 'string' ? [person] : []));
    const people = await ctx.sql<Person>`select id, "firstName", "lastName", title, email, phone, company,
        (select jsonb_object_agg(r, to_jsonb(p) -> r) from unnest(${reaches}::text[]) r) as reached from contacts.person p
      where deleted_at is null and (id = any(${[...idsOf('contacts.person'), ...known]}::uuid[]) or lower(email) = any(${addresses}::text[]))`;
    for (const person of people) {
      desk.#people.set(person.id, person);
      if (person.email !== null) desk.#byAddress.set(person.email.toLowerCase(), person.id);
    }
    const companyIds = [...new Set([...idsOf('contacts.company'), ...people.flatMap(({ company }) => company ?? [])])];
    for (const one of await ctx.sql<Company>`select id, name, city, country, email, phone, website,
        (select jsonb_object_agg(r, to_jsonb(c) -> r) from unnest(${reaches}::text[]) r) as reached from contacts.company c
      where deleted_at is null and id = any(${companyIds}::uuid[])`)
      desk.#companies.set(one.id, one);
    const purposes = await ctx.sql<{
      id: string;
      key: string;
      name: string;
      basis: Basis;
    }>`select id, key, name, basis from consent.purpose where deleted_at is null`;
    for (const { key, ...purpose } of purposes) desk.#purposes.set(key, purpose);
    const templates = [...new Set(messages.flatMap(({ template }) => (typeof template === 'string' ? [template] : [])))];
    const keys = new Map(purposes.map(({ id, key }) => [id, key]));
    for (const { id, name, purpose, ...template } of await ctx.sql<{
      id: string;
      name: string;
      subject: string | null;
      body: string | null;
      purpose: string | null;
    }>`
      select id, name, subject, body, purpose from inbox.template where deleted_at is null and (id::text = any(${templates}::text[]) or name = any(${templates}::text[]))`) {
      const one = { ...template, purpose: purpose === null ? null : (keys.get(purpose) ?? null) };
      desk.#templates.set(id, one);
      desk.#templates.set(name, one);
    }
    for (const { person, address, purpose, status, expires } of await ctx.sql<
      Given & { person: string | null; address: string | null; purpose: string }
    >`
      select person, address, purpose, status, expires from consent.consent
      where deleted_at is null and (person = any(${[...desk.#people.keys()]}::uuid[]) or lower(address) = any(${[...addresses, ...desk.#byAddress.keys()]}::text[]))
      order by status`)
      desk.#given.set(`${person ?? address!.toLowerCase()} ${purpose}`, { status, expires });
    const about = messages.flatMap((message) => (message.about ? [message.about as AnyRef] : []));
    for (const [object, own] of Map.groupBy(about, (one) => one.object)) {
      if (!ctx.world.model.objects.has(object)) continue;
      const ids = [...new Set(own.map(({ id }) => id))];
      for (let i = 0; i < ids.length; i += 200) {
        const { data } = await ctx.world.records.query(object, {
          filter: { field: 'id', op: 'in', value: ids.slice(i, i + 200) },
          limit: 200,
        });
        for (const rec of data) desk.#records.set(rec.id, rec as Rec);
      }
    }
    const [sender] = await ctx.sql<Record<string, unknown>>`select name, email from kith."user" where id = ${ctx.actor.id}`;
    desk.#sender = sender ?? {};
    const [organisation] = await ctx.sql<{ value: Record<string, unknown> }>`select value from kith.setting where name = 'organisation'`;
    desk.#organisation = organisation?.value ?? {};
    return desk;
  }

  /** What a message is to hold, and where it stands. */
  prepare(message: Fields): Fields {
    const failed = (reason: string): Fields => ({ status: 'failed', reason });
    const recipient = message.recipient as AnyRef | null;
    const template = typeof message.template === 'string' ? this.#templates.get(message.template) : undefined;
    if (typeof message.template === 'string' && !template) return failed('The template is not there any more.');
    const purpose = (message.purpose as string | null) ?? template?.purpose ?? null;
    const person =
      recipient?.object === 'contacts.person'
        ? this.#people.get(recipient.id)
        : this.#people.get(this.#byAddress.get(String(message.address ?? '').toLowerCase()) ?? '');
    const company =
      recipient?.object === 'contacts.company'
        ? this.#companies.get(recipient.id)
        : person?.company
          ? this.#companies.get(person.company)
          : undefined;
    if (recipient && recipient.object !== 'contacts.person' && recipient.object !== 'contacts.company')
      return failed('One writes to a person, a company or an address.');
    if (recipient && !person && !company) return failed('Whoever this is to is not there any more.');
    const channel = String(message.channel);
    // A channel that is off says nothing of itself: e-mail is the one that everybody knows.
    const reach = this.#channels.get(channel)?.reach ?? (channel === 'email' ? 'email' : null);
    const found = reach === null ? null : ((recipient?.object === 'contacts.company' ? company : person)?.reached?.[reach] ?? null);
    const address = (message.address as string | null) ?? (typeof found === 'string' ? found : null);
    const who: Fields = { person: person?.id ?? null, address, purpose };
    if (address === null) {
      const name = nameOf(person) || company?.name || 'Whoever this is to';
      return { ...who, ...failed(channel === 'email' ? `${name} has no e-mail address.` : `${name} has no address for this channel.`) };
    }
    if (channel === 'email' && !checkValue(ADDRESS, address).ok) return { ...who, ...failed(`“${address}” is no e-mail address.`) };
    const texts = {
      subject: (message.subject as string | null) ?? template?.subject ?? null,
      body: (message.body as string | null) ?? template?.body ?? null,
    };
    const variables: Variables = {
      person: person && { ...person, name: nameOf(person) },
      company,
      record: this.#about(message.about as AnyRef | null),
      sender: this.#sender,
      organisation: this.#organisation,
    };
    const subject = filled(texts.subject ?? '', variables);
    const body = filled(texts.body ?? '', variables);
    const missing = [...new Set([...subject.missing, ...body.missing])];
    const written = { ...who, subject: subject.text.replace(/\s+/g, ' ').trim().slice(0, 500) || null, body: body.text || null };
    if (missing.length > 0)
      return {
        ...who,
        subject: texts.subject,
        body: texts.body,
        ...failed(`There is no value for ${missing.map((name) => `{{${name}}}`).join(', ')}.`),
      };
    if (written.subject === null && channel === 'email') return { ...written, ...failed('A mail needs a subject.') };
    written.subject ??= firstLine(written.body);
    if (written.subject === null) return { ...written, ...failed('A message needs a text.') };
    const reason = this.refusal(person?.id ?? null, address, purpose);
    return { ...written, status: reason === null ? 'queued' : 'held', reason };
  }

  /** Why somebody may not be written to, in words; null when they may. */
  refusal(person: string | null, address: string | null, key: string | null): string | null {
    if (key === null) return 'No purpose was named, so nobody knows whether it may be sent.';
    const purpose = this.#purposes.get(key);
    const given = (who: string | null): Given | undefined =>
      who === null || !purpose ? undefined : this.#given.get(`${who.toLowerCase()} ${purpose.id}`);
    const refusal = refusalOf(purpose?.basis ?? null, decisive([given(person), given(address)]), this.#today);
    return refusal === null ? null : REASONS[refusal](purpose?.name ?? key);
  }

  #about(about: AnyRef | null): Record<string, unknown> | undefined {
    const rec = about && this.#records.get(about.id);
    return rec ? { ...rec.fields } : undefined;
  }
}
