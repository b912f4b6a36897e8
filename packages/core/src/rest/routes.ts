/**
 * Every path of the API: what it takes, who may call it, what it does. The
 * router, the OpenAPI document and the test of rights are made from this table.
 */
import { createHash } from 'node:crypto';
import { isUuid, type AnyServer, type Filter, type ModelObject, type Principal, type Rec } from '@kith/sdk';
import { forbidden, invalid, KithError, malformed, notFound, unauthenticated } from '../errors.ts';
import { parseFilter } from '../access/filter.ts';
import { newId } from '../ids.ts';
import { hasRole } from '../principal.ts';
import { GROUPS_MAX, type Grouping } from '../query/groups.ts';
import { LIMIT_DEFAULT, LIMIT_MAX, type ListOptions } from '../query/query.ts';
import { referencesFor, titleOf, titlesOf, type References } from '../query/present.ts';
import { mayRead, portalOf } from '../access/grant.ts';
import type { NamedPermission } from '../access/permissions.ts';
import { BULK, type Actor } from '../records/door.ts';
import { BATCH_LIMIT, BODY_LIMIT, empty, idempotencyKey, json, readBody } from './http.ts';
import { eventStream } from './events.ts';
import { importerRoutes, importersMeta } from './importers.ts';
import { installedRoutes } from './installed.ts';
import { jobRoutes } from './jobs.ts';
import { languageOf, objectMeta, text } from './meta.ts';
import { noticeRoutes } from './notices.ts';
import { openApi } from './openapi.ts';
import { invitationMeta, mailInvitation, partnerRoutes, principalMeta } from './partners.ts';
import { pluginRoutes } from './plugins.ts';
import { searchAll } from './search.ts';
import { timeline } from './timeline.ts';
import type { Runtime } from '../runtime.ts';
import type { Authenticated } from '../sessions/sessions.ts';

/**
 * Who may call a route before anything else is looked at. `anyone` is whoever is signed in or has a key, people from
 * outside too; `person` those among them who have an account; `staff` the staff and keys; `lead` its administrators and managers;
 * an object: whoever of the staff has this named permission, by its full name.
 */
export type RouteAccess = 'public' | 'anyone' | 'person' | 'staff' | 'lead' | 'admin' | { readonly permission: string };

export interface Call {
  runtime: Runtime;
  request: Request;
  url: URL;
  params: Record<string, string>;
  /** Null only on public routes. */
  auth: Authenticated | null;
  principal: Principal;
  ip: string;
  language: string;
  body: (limit?: number) => Promise<Record<string, unknown>>;
  /** Who the caller is now, for what goes on after the answer has begun. */
  again: () => Promise<Authenticated | null>;
}

export interface Route {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  path: string;
  access: RouteAccess;
  /** One line for the OpenAPI document. */
  summary: string;
  /** What else the OpenAPI document says; a record path without it takes and answers nothing special. */
  doc?: RouteDoc;
  handle: (call: Call) => Promise<Response>;
}

/** Parameters, body and answer of a route, in the words of {@link openApi}. */
export interface RouteDoc {
  /** Query and header parameters: name and meaning; `limit` is a number, all others are strings. */
  query?: Readonly<Record<string, string>>;
  headers?: Readonly<Record<string, string>>;
  /** `fields`: values of the object’s fields; otherwise the properties of the body. */
  body?: 'fields' | 'batch' | Readonly<Record<string, 'string' | 'object' | 'boolean' | 'strings' | 'time'>>;
  answer?: 'record' | 'records' | 'batch' | 'page' | 'events';
  status?: 200 | 201 | 204;
}

const PAGED = { limit: `how many, at most ${LIMIT_MAX}`, cursor: 'nextCursor of the page before' };
const REFS = { refs: '1: titles of all that is referred to, under "refs"' };
const LISTED = {
  filter: 'JSON: {and: […]}, {or: […]}, {not: …} or {field, op, value}',
  search: 'words that must occur',
  sort: 'names of fields, "-" before one that descends',
  fields: 'names of the fields wanted',
  count: 'none, capped or exact',
  totals: 'names of fields to sum up over the whole list',
  group:
    'a field to count by, or a path over references (order.company.country); a date with its bucket: order.orderDate:month (day, week, month, quarter or year). Answered under "groups", money by currency; what is behind a reference that the caller may not read counts as empty',
  sum: 'the field to sum up in each group',
  top: `how many groups, the largest first and of dates the latest, at most ${GROUPS_MAX}; the others are told together under "rest"`,
  ...PAGED,
  ...REFS,
};
const VIEW = {
  object: 'string',
  name: 'string',
  type: 'string',
  columns: 'strings',
  filter: 'object',
  sort: 'strings',
  groupBy: 'string',
  sum: 'string',
  widths: 'object',
  shared: 'boolean',
} as const;
const IF_MATCH = { 'If-Match': 'the ETag that the caller saw; 412 when the record has moved on' };

const actor = (call: Call): Actor => ({ principal: call.principal, cause: { kind: 'api', id: null } });
/** The object of a path; for people from outside there are only those that a portal opens to them. */
const objectNamed = ({ runtime, principal }: Call, name: string): ModelObject => {
  if (!principal.outside && !runtime.model.objects.has(name)) {
    const off = runtime.model.installed.objects.get(name)?.plugin;
    if (off !== undefined)
      throw new KithError(
        404,
        'plugin_off',
        `The plugin “${off}” is switched off; an administrator can switch it on. What it holds is kept.`,
      );
  }
  const object = runtime.records.object(name);
  if (principal.outside && !portalOf(object, principal)) throw notFound('object');
  return object;
};
const labelOf = (call: Call, name: string): string => {
  const object = call.runtime.records.object(name);
  return text(call.runtime.model, object.plugin, `object.${object.key}.many`, call.language);
};
/** A named permission with the words of its plugin. */
const named = ({ runtime: { model }, language }: Call, one: NamedPermission): Record<string, unknown> => ({
  ...one,
  label: text(model, one.plugin, `permission.${one.key}`, language),
  pluginLabel: text(model, one.plugin, `plugin.${one.plugin}`, language),
});
const objectOf = (call: Call): ModelObject => objectNamed(call, call.params.object!);
/** All that a caller may know of an object. */
const metaOf = (call: Call, object: ModelObject): Record<string, unknown> => ({
  ...objectMeta(call.runtime.model, object, call.principal, call.language),
  ...(call.principal.outside ? {} : { importers: importersMeta(call, object) }),
});
const etag = (rec: Rec): Record<string, string> => ({ etag: `"${rec.version}"` });

function ifMatch(request: Request): number | undefined {
  const header = request.headers.get('if-match');
  if (header === null || header.trim() === '*') return undefined;
  const match = /^(?:W\/)?"(\d+)"$/.exec(header.trim());
  // A tag that is none of ours matches nothing, as RFC 9110 has it.
  return match ? Number(match[1]) : -1;
}

const list = (value: string | null): string[] | undefined =>
  value === null || value === ''
    ? undefined
    : value
        .split(',')
        .map((part) => part.trim())
        .filter(Boolean);

function filterParam(url: URL): Filter | undefined {
  const text = url.searchParams.get('filter');
  if (text === null || text === '') return undefined;
  if (text.length > 100_000) throw malformed('The filter is too long.');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new KithError(400, 'invalid_filter', 'The filter is not JSON.', {
      errors: [{ field: 'filter', code: 'invalid', message: 'is not JSON' }],
    });
  }
  return parseFilter(value);
}

/** The parameters of a list. @throws 400 for one that cannot be read */
export function listOptions(url: URL): ListOptions {
  const { searchParams: params } = url;
  const options: ListOptions = {};
  const filter = filterParam(url);
  if (filter) options.filter = filter;
  const search = params.get('search');
  if (search) options.search = search;
  const sort = list(params.get('sort'));
  if (sort) options.sort = sort;
  const fields = list(params.get('fields'));
  if (fields) options.fields = fields;
  const limit = params.get('limit');
  if (limit !== null) {
    const number = Number(limit);
    if (!/^\d+$/.test(limit) || number < 1 || number > LIMIT_MAX) throw malformed(`"limit" is a whole number from 1 to ${LIMIT_MAX}.`);
    options.limit = number;
  }
  const cursor = params.get('cursor');
  if (cursor) options.cursor = cursor;
  const count = params.get('count');
  if (count !== null) {
    if (count !== 'none' && count !== 'capped' && count !== 'exact') throw malformed('"count" is none, capped or exact.');
    options.count = count;
  }
  return options;
}

function groupingOf({ searchParams: params }: URL, by: string): Grouping {
  const top = params.get('top');
  if (top !== null && (!/^\d{1,3}$/.test(top) || Number(top) < 1 || Number(top) > GROUPS_MAX))
    throw malformed(`"top" is a whole number from 1 to ${GROUPS_MAX}.`);
  return { by, sum: params.get('sum') || undefined, top: top === null ? undefined : Number(top) };
}

const wantsRefs = (call: Call): boolean => call.url.searchParams.get('refs') === '1';

async function presented(
  call: Call,
  object: ModelObject,
  recs: readonly Rec[],
): Promise<{ data: (Rec & { title: string })[]; refs?: References }> {
  if (!wantsRefs(call)) return { data: recs.map((rec) => ({ ...rec, title: titleOf(object, rec.fields) })) };
  const refs = await referencesFor(call.runtime, call.principal, recs);
  return { data: recs.map((rec) => ({ ...rec, title: titleOf(object, rec.fields, refs) })), refs };
}

const picked = (fields: Rec['fields'], names: readonly string[]): Rec['fields'] =>
  Object.fromEntries(names.map((name) => [name, fields[name]!]));

async function presentedOne(
  call: Call,
  object: ModelObject,
  rec: Rec,
  status = 200,
  headers: Record<string, string> = {},
): Promise<Response> {
  const { data, refs } = await presented(call, object, [rec]);
  return json({ ...data[0], ...(refs ? { refs } : {}) }, status, { ...etag(rec), ...headers });
}

function fieldsBody(body: Record<string, unknown>): Record<string, unknown> {
  return body;
}

function limitOf(url: URL, fallback: number, most: number): number {
  const text = url.searchParams.get('limit');
  if (text === null) return fallback;
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < 1 || number > most) throw malformed(`"limit" is a whole number from 1 to ${most}.`);
  return number;
}

function timeOf(value: unknown, name: string): string {
  if (typeof value === 'string' && /^\d{4}-\d{2}-\d{2}T/.test(value)) {
    const time = new Date(value);
    if (!Number.isNaN(time.getTime())) return time.toISOString();
  }
  throw malformed(`"${name}" is a time like 2026-11-21T09:30:00Z.`);
}

const stringList = (value: unknown, name: string): string[] => {
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value as string[];
  throw malformed(`"${name}" is a list of strings.`);
};

const objectList = (value: unknown, name: string): Record<string, unknown>[] => {
  if (value === undefined) return [];
  if (Array.isArray(value) && value.every((one) => typeof one === 'object' && one !== null && !Array.isArray(one)))
    return value as Record<string, unknown>[];
  throw malformed(`"${name}" is a list of objects.`);
};

export const routes: readonly Route[] = [
  {
    method: 'POST',
    path: '/session',
    access: 'public',
    summary: 'Sign in, or open a guest’s link; sets the session cookie',
    doc: { body: { email: 'string', password: 'string', guest: 'string' } },
    handle: async (call) => {
      const { email, password, guest } = await call.body();
      const { runtime } = call;
      if (guest !== undefined) {
        const { principal, cookie } = await runtime.sessions.openGuest(guest);
        return json({ principal: await principalMeta(runtime, principal) }, 200, { 'set-cookie': cookie });
      }
      const { principal, user, cookie } = await runtime.sessions.signIn(email, password, call.ip);
      return json({ principal: await principalMeta(runtime, principal), user }, 200, { 'set-cookie': cookie });
    },
  },
  {
    method: 'GET',
    path: '/session',
    access: 'anyone',
    summary: 'Who am I',
    handle: async ({ runtime, principal, auth }) =>
      json({ principal: await principalMeta(runtime, principal), ...(auth?.user ? { user: auth.user } : {}) }),
  },
  {
    method: 'DELETE',
    path: '/session',
    access: 'anyone',
    summary: 'Sign out',
    doc: { status: 204 },
    handle: async (call) => empty({ 'set-cookie': await call.runtime.sessions.signOut(call.request.headers.get('cookie')) }),
  },
  {
    method: 'GET',
    path: '/objects',
    access: 'anyone',
    summary: 'All objects with fields, relations, actions, views and the caller’s rights',
    handle: async (call) =>
      json({
        data: [...call.runtime.model.objects.values()]
          .map((object) => metaOf(call, object))
          .filter((meta) => (meta.rights as { read: boolean }).read),
      }),
  },
  {
    method: 'GET',
    path: '/objects/{object}',
    access: 'anyone',
    summary: 'One object with fields, relations, actions, views and the caller’s rights',
    handle: async (call) => {
      const meta = metaOf(call, objectOf(call));
      if (!(meta.rights as { read: boolean }).read) throw notFound('object');
      return json(meta);
    },
  },
  {
    method: 'GET',
    path: '/records/{object}',
    access: 'anyone',
    summary: 'A page of records',
    doc: { query: LISTED, answer: 'records' },
    handle: async (call) => {
      const object = objectOf(call);
      const { query } = call.runtime;
      const options = listOptions(call.url);
      const totals = list(call.url.searchParams.get('totals'));
      const group = call.url.searchParams.get('group');
      // A record is named by its title whatever fields were asked for.
      const titled = object.title.filter((name) => mayRead(object, call.principal, name));
      const fields = options.fields && [...new Set([...options.fields, ...titled])];
      const [page, summed, groups] = await Promise.all([
        query.list(call.principal, object, { ...options, ...(fields ? { fields } : {}) }),
        totals ? query.totals(call.principal, object, options, totals) : undefined,
        group ? query.groups(call.principal, object, options, groupingOf(call.url, group)) : undefined,
      ]);
      const shown = await presented(call, object, page.data);
      if (groups && shown.refs) Object.assign(shown.refs, await referencesFor(call.runtime, call.principal, groups.named));
      const data = options.fields ? shown.data.map((rec) => ({ ...rec, fields: picked(rec.fields, options.fields!) })) : shown.data;
      return json({
        ...page,
        ...shown,
        data,
        ...(summed ? { totals: summed } : {}),
        ...(groups ? { groups: groups.groups, ...(groups.rest ? { rest: groups.rest } : {}) } : {}),
      });
    },
  },
  {
    method: 'POST',
    path: '/records/{object}',
    access: 'anyone',
    summary: 'Create a record; Idempotency-Key is honoured',
    doc: {
      headers: { 'Idempotency-Key': 'repeats of the request with the same key answer the same record' },
      body: 'fields',
      answer: 'record',
      status: 201,
    },
    handle: async (call) => {
      const object = objectOf(call);
      const input = fieldsBody(await call.body());
      const key = idempotencyKey(call.request);
      const location = (id: string): Record<string, string> => ({ location: `/api/v1/records/${object.name}/${id}` });
      if (key === undefined) {
        const rec = await call.runtime.records.create(actor(call), object, input);
        return presentedOne(call, object, rec, 201, location(rec.id));
      }
      const hash = createHash('sha256')
        .update(`POST ${object.name} ${JSON.stringify(input)}`)
        .digest('hex');
      const done = await call.runtime.records.once(call.principal, key, hash, async (records) => ({
        status: 201,
        body: await records.create(actor(call), object, input),
      }));
      const rec = done.body as Rec;
      return presentedOne(call, object, rec, done.status, {
        ...location(rec.id),
        ...(done.repeated ? { 'idempotent-replayed': 'true' } : {}),
      });
    },
  },
  {
    method: 'POST',
    path: '/records/{object}/batch',
    access: 'anyone',
    summary: `Create, change and delete up to ${BULK} records, all or nothing`,
    doc: { body: 'batch', answer: 'batch' },
    handle: async (call) => {
      const object = objectOf(call);
      const body = await call.body(BATCH_LIMIT);
      const unknown = Object.keys(body).find((name) => !['create', 'update', 'delete'].includes(name));
      if (unknown !== undefined) throw malformed(`A batch has "create", "update" and "delete", not "${unknown.slice(0, 40)}".`);
      const create = objectList(body.create, 'create');
      const update = objectList(body.update, 'update').map((one, i) => {
        const { id, fields, ...rest } = one;
        if (typeof id !== 'string') throw malformed(`"update[${i}]" needs the "id" of a record.`);
        if (fields === undefined) return { id, fields: rest };
        if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) throw malformed(`"update[${i}].fields" is an object.`);
        return { id, fields: fields as Record<string, unknown> };
      });
      const remove = body.delete === undefined ? [] : stringList(body.delete, 'delete');
      const size = create.length + update.length + remove.length;
      if (size > BULK) throw new KithError(413, 'too_large', `A batch has at most ${BULK} records, this one ${size}; send it in parts.`);
      return json(await call.runtime.records.batch(actor(call), object, { create, update, delete: remove }));
    },
  },
  {
    method: 'GET',
    path: '/records/{object}/{id}',
    access: 'anyone',
    summary: 'One record, as it stands or (asOf) as it stood',
    doc: { query: { asOf: 'a time: the state of the record then', ...REFS }, answer: 'record' },
    handle: async (call) => {
      const object = objectOf(call);
      const asOf = call.url.searchParams.get('asOf');
      const rec = await call.runtime.records.get(call.principal, object, call.params.id!, asOf === null ? undefined : timeOf(asOf, 'asOf'));
      return presentedOne(call, object, rec);
    },
  },
  {
    method: 'PATCH',
    path: '/records/{object}/{id}',
    access: 'anyone',
    summary: 'Change the given fields; If-Match is honoured',
    doc: { headers: IF_MATCH, body: 'fields', answer: 'record' },
    handle: async (call) => {
      const object = objectOf(call);
      const input = fieldsBody(await call.body());
      const rec = await call.runtime.records.patch(actor(call), object, call.params.id!, input, ifMatch(call.request));
      return presentedOne(call, object, rec);
    },
  },
  {
    method: 'DELETE',
    path: '/records/{object}/{id}',
    access: 'anyone',
    summary: 'Put a record into the bin; If-Match is honoured',
    doc: { headers: IF_MATCH, status: 204 },
    handle: async (call) => {
      await call.runtime.records.remove(actor(call), objectOf(call), call.params.id!, ifMatch(call.request));
      return empty();
    },
  },
  {
    method: 'POST',
    path: '/records/{object}/{id}/restore',
    access: 'staff',
    summary: 'Take a record out of the bin',
    doc: { answer: 'record' },
    handle: async (call) => {
      const object = objectOf(call);
      return presentedOne(call, object, await call.runtime.records.restore(actor(call), object, call.params.id!));
    },
  },
  {
    method: 'POST',
    path: '/records/{object}/{id}/actions/{name}',
    access: 'anyone',
    summary: 'Run an action of a plugin with its input',
    doc: { body: {}, answer: 'record' },
    handle: async (call) => {
      const object = objectOf(call);
      const rec = await call.runtime.records.act(actor(call), object, call.params.id!, call.params.name!, await call.body());
      return presentedOne(call, object, rec);
    },
  },
  {
    method: 'GET',
    path: '/records/{object}/{id}/history',
    access: 'anyone',
    summary: 'The changes of a record, newest first',
    doc: { query: { ...PAGED, ...REFS }, answer: 'page' },
    handle: async (call) => {
      const object = objectOf(call);
      const page = await call.runtime.history(
        call.principal,
        object,
        call.params.id!,
        limitOf(call.url, LIMIT_DEFAULT, LIMIT_MAX),
        call.url.searchParams.get('cursor') ?? undefined,
      );
      const refs = wantsRefs(call) ? await referencesOfChanges(call, object, page.data) : undefined;
      return json({ ...page, ...(refs ? { refs } : {}) });
    },
  },
  {
    method: 'POST',
    path: '/records/{object}/{id}/revert',
    access: 'staff',
    summary: 'Put fields back to what they were at a time',
    doc: { body: { at: 'time', fields: 'strings' }, answer: 'record' },
    handle: async (call) => {
      const object = objectOf(call);
      const body = await call.body();
      const names = body.fields === undefined ? undefined : stringList(body.fields, 'fields');
      const unknown = names?.find((name) => !object.fields.has(name));
      if (unknown !== undefined)
        throw invalid([{ field: unknown.slice(0, 100), code: 'unknown_field', message: `is no field of ${object.name}` }]);
      return presentedOne(
        call,
        object,
        await call.runtime.records.revert(actor(call), object, call.params.id!, timeOf(body.at, 'at'), names),
      );
    },
  },
  {
    method: 'GET',
    path: '/records/{object}/{id}/timeline',
    access: 'staff',
    summary: 'Changes, activities and tasks of a record, newest first',
    doc: { query: PAGED, answer: 'page' },
    handle: async (call) => {
      const object = objectOf(call);
      const rec = await call.runtime.records.get(call.principal, object, call.params.id!);
      return json(
        await timeline(call.runtime, call.principal, object, rec, limitOf(call.url, 30, 100), call.url.searchParams.get('cursor')),
      );
    },
  },
  {
    method: 'GET',
    path: '/bin',
    access: 'staff',
    summary: 'Deleted records of an object, the last deleted first',
    doc: { query: { object: 'the object', ...PAGED, ...REFS }, answer: 'page' },
    handle: async (call) => {
      const object = call.runtime.records.object(call.url.searchParams.get('object') ?? '');
      const page = await call.runtime.query.list(call.principal, object, { ...listOptions(call.url), deleted: true });
      return json({ ...page, ...(await presented(call, object, page.data)) });
    },
  },
  {
    method: 'GET',
    path: '/search',
    access: 'anyone',
    summary: 'Records of all objects by their search text',
    doc: { query: { q: 'words', limit: 'how many, at most 50' } },
    handle: async (call) =>
      json({ data: await searchAll(call.runtime, call.principal, call.url.searchParams.get('q') ?? '', limitOf(call.url, 20, 50)) }),
  },
  {
    method: 'POST',
    path: '/collab/ticket',
    access: 'anyone',
    summary: 'Tickets for the live documents of a record',
    doc: { body: { object: 'string', id: 'string' } },
    handle: async (call) => {
      const body = await call.body();
      const object = objectNamed(call, typeof body.object === 'string' ? body.object : '');
      if (!isUuid(body.id)) throw notFound('record');
      return json({ facets: await call.runtime.tickets.issue(call.principal, object, body.id) });
    },
  },
  {
    method: 'GET',
    path: '/events',
    access: 'anyone',
    summary: 'Server-sent events of the changes that the caller may see, from now on or after Last-Event-ID',
    doc: {
      query: {
        object: 'the only object of interest',
        filter: 'as in its list: what fits, and what fitted until it was changed',
        lastEventId: 'for clients that cannot set Last-Event-ID',
      },
      headers: { 'Last-Event-ID': 'the id of the last message that the client has; 410 when it is older than seven days' },
      answer: 'events',
    },
    handle: (call) => {
      const name = call.url.searchParams.get('object');
      return eventStream(call, name ? objectNamed(call, name) : undefined, filterParam(call.url));
    },
  },
  {
    method: 'GET',
    path: '/users',
    access: 'staff',
    summary: 'The staff',
    handle: async (call) => json({ data: await call.runtime.sessions.people() }),
  },
  {
    method: 'PATCH',
    path: '/users/{id}',
    access: 'admin',
    summary: 'Change somebody’s role or access',
    doc: { body: { role: 'string', active: 'boolean' } },
    handle: async (call) => {
      if (!isUuid(call.params.id)) throw notFound('user');
      await call.runtime.sessions.changeUser(call.principal, call.params.id, await call.body());
      return json((await call.runtime.sessions.people()).find((one) => one.id === call.params.id));
    },
  },
  {
    method: 'POST',
    path: '/users/invitations',
    access: 'admin',
    summary: 'Invite somebody to the staff; answers the link, and whether it was mailed',
    doc: { body: { email: 'string', name: 'string', role: 'string', language: 'string' }, status: 201 },
    handle: async (call) => {
      const { email, name, role, language } = await call.body();
      const made = await call.runtime.sessions.invite(call.principal, { email, name, role });
      return json(await mailInvitation(call, made, language), 201);
    },
  },
  {
    method: 'GET',
    path: '/permissions',
    access: 'admin',
    summary: 'What each role may do with each object, what the object allows it at most, and who has the named rights of plugins',
    handle: (call) => {
      const { permissions } = call.runtime;
      const data = permissions.list().map((one) => ({ ...one, label: labelOf(call, one.object) }));
      return Promise.resolve(json({ data, named: permissions.named().map((one) => named(call, one)) }));
    },
  },
  {
    method: 'PATCH',
    path: '/permissions',
    access: 'admin',
    summary: 'Take from a role what it may do with an object, or a named permission, or give it back',
    doc: {
      body: {
        object: 'string',
        permission: 'string',
        role: 'string',
        read: 'boolean',
        create: 'boolean',
        update: 'boolean',
        delete: 'boolean',
        allowed: 'boolean',
      },
    },
    handle: async (call) => {
      const body = await call.body();
      if ('permission' in body) return json(named(call, await call.runtime.permissions.changeNamed(body)));
      const changed = await call.runtime.permissions.change(body);
      return json({ ...changed, label: labelOf(call, changed.object) });
    },
  },
  {
    method: 'GET',
    path: '/invitations/{token}',
    access: 'public',
    summary: 'What an invitation says',
    handle: async (call) => json(await invitationMeta(call, await call.runtime.sessions.invitation(call.params.token!))),
  },
  {
    method: 'POST',
    path: '/invitations/{token}',
    access: 'public',
    summary: 'Accept an invitation; sets the session cookie',
    doc: { body: { name: 'string', password: 'string' }, status: 201 },
    handle: async (call) => {
      const { name, password } = await call.body();
      return json({}, 201, { 'set-cookie': await call.runtime.sessions.accept(call.params.token!, { name, password }) });
    },
  },
  {
    method: 'GET',
    path: '/profile',
    access: 'person',
    summary: 'What I say of myself',
    handle: async (call) => json(await call.runtime.sessions.user(call.principal.id)),
  },
  {
    method: 'PATCH',
    path: '/profile',
    access: 'person',
    summary: 'Change name, language, time zone or theme',
    doc: { body: { name: 'string', language: 'string', timeZone: 'string', theme: 'string' } },
    handle: async (call) => {
      await call.runtime.sessions.changeProfile(call.principal.id, await call.body());
      return json(await call.runtime.sessions.user(call.principal.id));
    },
  },
  {
    method: 'POST',
    path: '/profile/password',
    access: 'person',
    summary: 'Change my password; other sessions end',
    doc: { body: { current: 'string', next: 'string' }, status: 204 },
    handle: async (call) => {
      const { current, next } = await call.body();
      return empty({ 'set-cookie': await call.runtime.sessions.changePassword(call.principal.id, current, next) });
    },
  },
  {
    method: 'GET',
    path: '/views',
    access: 'staff',
    summary: 'Saved views of an object: mine and those shared with me',
    doc: { query: { object: 'the object' } },
    handle: async (call) =>
      json({ data: await call.runtime.views.list(call.principal, call.runtime.records.object(call.url.searchParams.get('object') ?? '')) }),
  },
  {
    method: 'POST',
    path: '/views',
    access: 'staff',
    summary: 'Save a view',
    doc: { body: VIEW, status: 201 },
    handle: async (call) => json(await call.runtime.views.create(call.principal, await call.body()), 201),
  },
  {
    method: 'PATCH',
    path: '/views/{id}',
    access: 'staff',
    summary: 'Change a saved view of mine',
    doc: { body: VIEW },
    handle: async (call) => json(await call.runtime.views.change(call.principal, call.params.id!, await call.body())),
  },
  {
    method: 'DELETE',
    path: '/views/{id}',
    access: 'staff',
    summary: 'Delete a saved view of mine',
    doc: { status: 204 },
    handle: async (call) => {
      await call.runtime.views.remove(call.principal, call.params.id!);
      return empty();
    },
  },
  {
    method: 'GET',
    path: '/setup',
    access: 'public',
    summary: 'Whether this Kith has been set up',
    handle: async (call) => json(await call.runtime.setup.state()),
  },
  {
    method: 'POST',
    path: '/setup',
    access: 'public',
    summary: 'First run: the organisation and its first administrator; signs in',
    doc: { body: { organisation: 'string', language: 'string', name: 'string', email: 'string', password: 'string' }, status: 201 },
    handle: async (call) => json({}, 201, { 'set-cookie': await call.runtime.setup.begin(await call.body()) }),
  },
  {
    method: 'GET',
    path: '/organisation',
    access: 'staff',
    summary: 'The organisation, and whether a mail server is named',
    handle: async (call) => json({ ...(await call.runtime.setup.organisation()), mail: call.runtime.mailer.configured }),
  },
  {
    method: 'PATCH',
    path: '/organisation',
    access: 'admin',
    summary: 'Change the organisation',
    doc: { body: { name: 'string', language: 'string', currency: 'string' } },
    handle: async (call) => json(await call.runtime.setup.changeOrganisation(await call.body())),
  },
  {
    method: 'GET',
    path: '/openapi.json',
    access: 'public',
    summary: 'This document',
    handle: async (call) => json(openApi(call.runtime.model, routesOf(call.runtime.servers))),
  },
  ...jobRoutes((url) => limitOf(url, LIMIT_DEFAULT, 200)),
  ...installedRoutes,
  ...importerRoutes,
  ...partnerRoutes,
  ...noticeRoutes,
];

async function referencesOfChanges(
  call: Call,
  object: ModelObject,
  entries: readonly { by?: string; changes: Record<string, unknown> }[],
): Promise<References> {
  const authors = new Set(entries.flatMap((one) => one.by ?? []));
  if (call.principal.outside) {
    // Old and new values as records of their own: named are those that the reader may read themselves.
    const sides = entries.flatMap(({ changes }) =>
      [0, 1].map((side) =>
        Object.fromEntries(Object.entries(changes).map(([name, pair]) => [name, Array.isArray(pair) ? pair[side] : null])),
      ),
    );
    const recs = sides.map((fields) => ({ id: '', object: object.name, version: 0, createdAt: '', updatedAt: '', fields }) as Rec);
    const [named, colleagues] = await Promise.all([
      referencesFor(call.runtime, call.principal, recs),
      titlesOf(call.runtime.pool, call.runtime.model, new Map([['kith.user', authors]])),
    ]);
    return { ...named, ...colleagues };
  }
  const wanted = new Map<string, Set<string>>([['kith.user', authors]]);
  for (const { changes } of entries) {
    for (const [name, change] of Object.entries(changes)) {
      const spec = object.fields.get(name)?.spec;
      const target = spec?.type === 'ref' || spec?.type === 'refs' ? spec.to : spec?.type === 'user' ? 'kith.user' : undefined;
      if (target === undefined || !Array.isArray(change)) continue;
      const ids = wanted.get(target) ?? new Set<string>();
      for (const id of change.flat()) if (isUuid(id)) ids.add(id);
      wanted.set(target, ids);
    }
  }
  return titlesOf(call.runtime.pool, call.runtime.model, wanted);
}

interface Compiled {
  route: Route;
  parts: string[];
}
const tables = new WeakMap<readonly AnyServer[], Compiled[]>();
/** All routes: the host's and those of the plugins. */
export const routesOf = (servers: readonly AnyServer[]): Route[] => [...routes, ...pluginRoutes(servers)];

function tableOf(servers: readonly AnyServer[]): readonly Compiled[] {
  let table = tables.get(servers);
  if (!table) tables.set(servers, (table = routesOf(servers).map((route) => ({ route, parts: route.path.slice(1).split('/') }))));
  return table;
}

function find(
  servers: readonly AnyServer[],
  method: string,
  path: string,
): { route: Route; params: Record<string, string> } | { allowed: string[] } {
  const parts = path.split('/').filter(Boolean);
  const allowed: string[] = [];
  let best: { route: Route; params: Record<string, string> } | undefined;
  for (const { route, parts: pattern } of tableOf(servers)) {
    if (pattern.length !== parts.length) continue;
    const params: Record<string, string> = {};
    const fits = pattern.every((piece, i) => {
      if (!piece.startsWith('{')) return piece === parts[i];
      params[piece.slice(1, -1)] = safeDecode(parts[i]!);
      return true;
    });
    if (!fits) continue;
    allowed.push(route.method);
    // A literal path wins over a parameter: /users/invitations is not a user.
    if (route.method === method && (!best || Object.keys(params).length < Object.keys(best.params).length)) best = { route, params };
  }
  return best ?? { allowed };
}

function safeDecode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw malformed('The address is not well-formed.');
  }
}

/** Who sends a request: a partner where one of the staff looks at what that partner sees. Null for nobody. */
async function callerOf(runtime: Runtime, request: Request, previews = true): Promise<Authenticated | null> {
  const headers = { authorization: request.headers.get('authorization'), cookie: request.headers.get('cookie') };
  const known = await runtime.sessions.authenticate(headers);
  const as = request.headers.get('kith-as');
  return known && as !== null && previews ? { ...known, principal: await runtime.partners.previewer(known.principal, as) } : known;
}

/** Answers a request to `/api/v1…`. Throws {@link KithError}s, which the caller turns into problems. */
/** What became known of a request while it was answered. */
export interface Seen {
  /** The template of its path. */
  route: string;
}

export async function dispatch(runtime: Runtime, request: Request, ip: string, seen: Seen = { route: '' }): Promise<Response> {
  const url = new URL(request.url);
  const path = url.pathname.replace(/^\/api\/v1/, '') || '/';
  const found = find(runtime.servers, request.method === 'HEAD' ? 'GET' : request.method, path);
  if (!('route' in found)) {
    if (found.allowed.length === 0) throw notFound('path in this API');
    throw new KithError(405, 'method_not_allowed', `This path takes ${[...new Set(found.allowed)].join(', ')}.`);
  }
  const { route, params } = found;
  seen.route = route.path;
  const auth = route.access === 'public' ? null : await callerOf(runtime, request, route.access !== 'person');
  const write = request.method !== 'GET' && request.method !== 'HEAD';
  const origin = request.headers.get('origin');
  if (write && (auth?.via === 'cookie' || (route.access === 'public' && origin !== null)) && !runtime.sessions.originAllowed(origin)) {
    throw new KithError(403, 'wrong_origin', 'This request comes from another site; open Kith at its own address (ORIGIN).');
  }
  if (route.access !== 'public' && !auth) throw unauthenticated();
  // Whoever looks at what a partner sees, looks; tickets of theirs open documents for reading only.
  if (auth?.principal.outside?.preview && write && route.path !== '/collab/ticket')
    throw forbidden('You see this as a partner does; to change something, look at it as yourself.');
  // What is for the staff says to people from outside only that they may not.
  const named = typeof route.access === 'object' ? route.access.permission : undefined;
  const forStaff = named !== undefined || route.access === 'staff' || route.access === 'lead' || route.access === 'admin';
  if (forStaff && auth?.principal.outside) throw forbidden();
  if (named !== undefined && auth && !runtime.permissions.has(auth.principal, named)) throw forbidden();
  if (route.access === 'lead' && auth && !hasRole(auth.principal, 'admin', 'manager')) throw forbidden();
  if (route.access === 'admin' && auth && !hasRole(auth.principal, 'admin')) throw forbidden();
  if (route.access === 'person' && !auth?.user) throw forbidden('This is for people, not for API keys.');
  const response = await route.handle({
    runtime,
    request,
    url,
    params,
    auth,
    principal: auth?.principal ?? NOBODY,
    ip,
    language: languageOf(auth?.user?.language, request.headers.get('accept-language')),
    body: (limit = BODY_LIMIT) => readBody(request, limit),
    again: () => callerOf(runtime, request),
  });
  if (auth?.cookie && !response.headers.has('set-cookie')) response.headers.append('set-cookie', auth.cookie);
  return response;
}

/** Stands where a public route has no caller. */
const NOBODY: Principal = { id: newId(), kind: 'key', name: 'nobody', roles: [] };
