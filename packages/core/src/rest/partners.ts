/** Routes of people from outside: their accounts and invitations, links for guests, and what a portal shows them. */
import type { ModelAudience, Principal } from '@kith/sdk';
import { forbidden } from '../errors.ts';
import { invitationMail } from '../mail.ts';
import type { Runtime } from '../runtime.ts';
import type { Invitation } from '../sessions/accounts.ts';
import { empty, json } from './http.ts';
import { LANGUAGES, text } from './meta.ts';
import type { Call, Route } from './routes.ts';

/** Who somebody is, as the session's routes answer it: partners with their company. */
export async function principalMeta(runtime: Runtime, principal: Principal): Promise<Record<string, unknown>> {
  const { id, kind, name, roles, outside } = principal;
  if (!outside) return { id, kind, name, roles, permissions: runtime.permissions.of(principal) };
  if (outside.company === undefined) return { id, kind, name, roles };
  const partner = {
    id: outside.company,
    name: await runtime.partners.companyName(outside.company, outside.audience),
    audience: outside.audience,
    admin: outside.admin === true,
    ...(outside.preview ? { preview: true } : {}),
  };
  return { id, kind, name, roles, partner };
}

/** Sends an invitation by mail. False when it was not sent: then the link is passed on by hand. */
export async function mailInvitation(
  call: Call,
  invitation: { email: string; name: string; secret: string; expiresAt: string; company?: string },
  language: unknown,
): Promise<{ url: string; mailed: boolean }> {
  const { runtime, principal } = call;
  const url = `${runtime.origin()}/invite/${invitation.secret}`;
  const organisation = await runtime.setup.organisation();
  const mail = invitationMail({
    to: { name: invitation.name, address: invitation.email },
    // What the invited person speaks is known to whoever invites, if to anybody.
    language: (LANGUAGES as readonly unknown[]).includes(language) ? (language as string) : organisation.language,
    by: principal.name,
    organisation: organisation.name,
    ...(invitation.company === undefined ? {} : { company: invitation.company }),
    url,
    expiresAt: invitation.expiresAt,
  });
  return { url, mailed: await runtime.mailer.send(mail) };
}

/** What an invitation says to whoever opens it. */
export async function invitationMeta(call: Call, invitation: Invitation): Promise<Record<string, unknown>> {
  const { runtime, language } = call;
  const { email, name, role, audience, company } = invitation;
  if (audience === null || company === null) return { email, name, role };
  return {
    email,
    name,
    audience,
    audienceLabel: audienceLabel(runtime, audience, language),
    companyName: await runtime.partners.companyName(company, audience),
    organisation: (await runtime.setup.organisation()).name,
  };
}

export const partnerRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/partners',
    access: 'anyone',
    summary: 'People of partner companies and their open invitations; partners’ administrators see their own company',
    doc: { query: { company: 'id of a company' } },
    handle: async ({ runtime, principal, url, language }) => {
      const found = await runtime.partners.list(principal, url.searchParams.get('company'));
      if (principal.outside) return json(found);
      // What the staff may invite people to: every audience that companies can belong to.
      const audiences = [...runtime.model.audiences.values()]
        .filter((audience) => audience.of !== undefined)
        .map(({ key, of }) => ({ key, label: audienceLabel(runtime, key, language), of }));
      return json({ ...found, audiences });
    },
  },
  {
    method: 'POST',
    path: '/partners/invitations',
    access: 'anyone',
    summary: 'Invite somebody of a partner company; answers the link, and whether it was mailed',
    doc: {
      body: { company: 'string', audience: 'string', email: 'string', name: 'string', admin: 'boolean', language: 'string' },
      status: 201,
    },
    handle: async (call) => {
      const { language, ...input } = await call.body();
      const made = await call.runtime.partners.invite(call.principal, input);
      return json({ id: made.id, ...(await mailInvitation(call, { ...made, company: made.companyName }, language)) }, 201);
    },
  },
  {
    method: 'DELETE',
    path: '/partners/invitations/{id}',
    access: 'anyone',
    summary: 'End an invitation that was not accepted yet',
    doc: { status: 204 },
    handle: async ({ runtime, principal, params }) => {
      await runtime.partners.revokeInvitation(principal, params.id!);
      return empty();
    },
  },
  {
    method: 'PATCH',
    path: '/partners/{id}',
    access: 'anyone',
    summary: 'Change a partner’s person, or withdraw access',
    doc: { body: { active: 'boolean', admin: 'boolean', name: 'string' } },
    handle: async (call) => json(await call.runtime.partners.change(call.principal, call.params.id!, await call.body())),
  },
  {
    method: 'GET',
    path: '/guests',
    access: 'staff',
    summary: 'The links by which guests see a record',
    doc: { query: { object: 'the object', id: 'the record' } },
    handle: async ({ runtime, principal, url }) =>
      json({ data: await runtime.guests.list(principal, url.searchParams.get('object'), url.searchParams.get('id')) }),
  },
  {
    method: 'POST',
    path: '/guests',
    access: 'staff',
    summary: 'Make a link that shows one record to whoever has it',
    doc: { body: { object: 'string', id: 'string', audience: 'string', name: 'string' }, status: 201 },
    handle: async (call) => {
      const { id, secret } = await call.runtime.guests.create(call.principal, await call.body());
      return json({ id, url: `${call.runtime.origin()}/guest/${secret}` }, 201);
    },
  },
  {
    method: 'DELETE',
    path: '/guests/{id}',
    access: 'staff',
    summary: 'End a guest’s link',
    doc: { status: 204 },
    handle: async ({ runtime, principal, params }) => {
      await runtime.guests.revoke(principal, params.id!);
      return empty();
    },
  },
  {
    method: 'GET',
    path: '/portal',
    access: 'anyone',
    summary: 'What the portal of the caller consists of',
    handle: async (call) => {
      const { runtime, principal, language } = call;
      const { outside } = principal;
      const audience = outside && runtime.model.audiences.get(outside.audience);
      if (!outside) throw forbidden('This is for partners and guests.');
      // What it is made of is switched off: there is nothing to see, and it may be back in a moment.
      if (!audience) return json(await closedPortal(call));
      const [host, companyName, since] = await Promise.all([
        runtime.setup.organisation(),
        outside.company === undefined ? '' : runtime.partners.companyName(outside.company, outside.audience),
        principal.kind === 'partner' && !outside.preview ? runtime.partners.since(principal) : null,
      ]);
      return json({
        audience: audience.key,
        audienceLabel: audienceLabel(runtime, audience.key, language),
        host: { name: host.name },
        partner: outside.company === undefined ? null : { id: outside.company, name: companyName },
        person: { id: principal.id, name: principal.name, admin: outside.admin === true },
        preview: outside.preview === true,
        ...(outside.record ? { record: outside.record } : {}),
        pages: pagesOf(runtime, audience, language),
        start: { answer: audience.answer, late: audience.late, changed: audience.changed },
        since,
      });
    },
  },
  {
    method: 'POST',
    path: '/portal/visit',
    access: 'anyone',
    summary: 'Note that the caller is here; answers when the visit before ended',
    handle: async ({ runtime, principal }) => {
      if (!principal.outside) throw forbidden('This is for partners and guests.');
      if (principal.outside.preview) throw forbidden('Whoever looks at a portal as a partner changes nothing there.');
      return json({ since: principal.kind === 'partner' ? await runtime.partners.visit(principal) : null });
    },
  },
];

async function closedPortal({ runtime, principal }: Call): Promise<Record<string, unknown>> {
  const { outside, id, name } = principal;
  const host = await runtime.setup.organisation();
  return {
    audience: outside!.audience,
    audienceLabel: '',
    host: { name: host.name },
    partner: null,
    person: { id, name, admin: false },
    preview: outside!.preview === true,
    pages: [],
    start: { answer: [], late: [], changed: [] },
    since: null,
    closed: true,
  };
}

function audienceLabel(runtime: Runtime, key: string, language: string): string {
  const plugin = runtime.model.audiences.get(key)?.plugin;
  return plugin === undefined ? key : text(runtime.model, plugin, `audience.${key}`, language);
}

function pagesOf(runtime: Runtime, audience: ModelAudience, language: string): Record<string, unknown>[] {
  return audience.pages.map(({ id, plugin, object, icon, columns, filter, sort }) => ({
    id,
    label: text(runtime.model, plugin, `page.${audience.key}.${id}`, language),
    object,
    icon,
    columns,
    ...(filter ? { filter } : {}),
    ...(sort ? { sort } : {}),
  }));
}
