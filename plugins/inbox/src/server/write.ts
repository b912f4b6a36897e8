/**
 * Messages on their way out. As one is written it is addressed, filled in and checked against consent, in the same
 * transaction: what may go is queued for its channel; what may not says why.
 */
import { randomBytes } from 'node:crypto';
import { decisive, refusalOf, type Basis, type Given, type Refusal } from '@kith/plugin-consent/plugin';
import type { AnyRef, Context, Effected, FieldValue, Rec } from '@kith/sdk';
import type { inbox } from '../plugin.ts';
import { filled, type Variables } from './words.ts';

export type Ctx = Context<typeof inbox>;
type Fields = Rec<Record<string, FieldValue>>['fields'];
type Person = { id: string; firstName: string | null; lastName: string | null; email: string | null; company: string | null } & Record<
  string,
  unknown
>;
type Company = { id: string; name: string | null; email: string | null } & Record<string, unknown>;

const REASONS: Record<Refusal, (purpose: string) => string> = {
  none: (purpose) => `No consent for “${purpose}”.`,
  withdrawn: (purpose) => `Consent for “${purpose}” was withdrawn.`,
  expired: (purpose) => `Consent for “${purpose}” has expired.`,
  purpose: (purpose) => `There is no purpose “${purpose}”.`,
};

/** New messages are addressed, filled in, and queued or held. */
export async function prepareMessages(changes: readonly Effected<Fields>[], ctx: Ctx): Promise<void> {
  const fresh = changes.filter(({ kind, record }) => kind === 'created' && record.direction === 'out');
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

  static async open(ctx: Ctx, messages: readonly Fields[]): Promise<Desk> {
    const desk = new Desk();
    desk.#today = ctx.clock().toISOString().slice(0, 10);
    const recipients = messages.flatMap(({ recipient }) => (recipient ? [recipient as AnyRef] : []));
    const idsOf = (object: string): string[] => [...new Set(recipients.filter((one) => one.object === object).map(({ id }) => id))];
    const addresses = [...new Set(messages.flatMap(({ address }) => (typeof address === 'string' ? [address.toLowerCase()] : [])))];
    const known = messages.flatMap(({ person }) => (typeof person === 'string' ? [person] : []));
    const people = await ctx.sql<Person>`select id, "firstName", "lastName", title, email, phone, company from contacts.person
      where deleted_at is null and (id = any(${[...idsOf('contacts.person'), ...known]}::uuid[]) or lower(email) = any(${addresses}::text[]))`;
    for (const person of people) {
      desk.#people.set(person.id, person);
      if (person.email !== null) desk.#byAddress.set(person.email.toLowerCase(), person.id);
    }
    const companyIds = [...new Set([...idsOf('contacts.company'), ...people.flatMap(({ company }) => company ?? [])])];
    for (const one of await ctx.sql<Company>`select id, name, city, country, email, phone, website from contacts.company
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
    const address =
      (message.address as string | null) ?? (recipient?.object === 'contacts.company' ? company?.email : person?.email) ?? null;
    const who: Fields = { person: person?.id ?? null, address, purpose };
    if (address === null) return { ...who, ...failed(`${nameOf(person) || company?.name || 'Whoever this is to'} has no e-mail address.`) };
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
    if (written.subject === null) return { ...written, ...failed('A mail needs a subject.') };
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

const nameOf = (person: Person | undefined): string => [person?.firstName, person?.lastName].filter(Boolean).join(' ');
