/**
 * A world in which everybody who may knock at Kith stands at the door, and two
 * of every record that there is: side A's and side B's. Every value in them is
 * one of a kind, so that it is recognised wherever it turns up.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { attach, type Collab } from '@kith/collab';
import { handleApi } from '@kith/core/http';
import { createTestWorld, MessageIds, type TestWorld } from '@kith/core/testing';
import { SYSTEM } from '@kith/core';
import { plugins } from '@kith/installed/plugins';
import { servers } from '@kith/installed/server';
import {
  companiesOf,
  ROLES,
  type AnyRef,
  type Field,
  type FieldValue,
  type ModelField,
  type ModelObject,
  type ModelPortal,
  type Rec,
  type Role,
  type Rule,
} from '@kith/sdk';

export const PASSWORD = 'kith-kith-kith';
export type Side = 'A' | 'B';
export const SIDES: readonly Side[] = ['A', 'B'];
type Headers = Record<string, string>;

/** Somebody at the door. `role` for the staff, `audience` for people from outside, neither for nobody, and for those whose access has ended. */
export interface Caller {
  name: string;
  headers: Headers;
  via: 'cookie' | 'key' | 'nothing';
  id: string;
  role?: Role;
  audience?: string;
  /** Partners: the side of their company. */
  side?: Side;
  company?: string;
  admin?: boolean;
  preview?: boolean;
  /** Guests: their record. */
  record?: string;
}

export interface RightsWorld extends TestWorld {
  callers: Caller[];
  /** All records, by object and side, as they are in the database. */
  records: Map<string, Record<Side, Rec>>;
  objects: ModelObject[];
  url: string;
  origin: string;
  collab: Collab;
  /** The id of a message of `GET /events` from before anything happened here. */
  beginning: string;
  /** A job that is parked. */
  parked: string;
  /** A cookie of somebody, anew. */
  cookieOf: (id: string) => Promise<Headers>;
  /** Looks at a record as the administrator does. */
  look: (object: string, id: string) => Promise<Rec>;
}

export async function rightsWorld(): Promise<RightsWorld> {
  const world = await createTestWorld({ plugins, servers });
  // Those too that begin switched off: somebody may switch them on.
  for (const id of world.runtime.model.installed.plugins.keys()) await world.runtime.plugins.switch(id, true, null);
  const { runtime } = world;
  const collab = await attach(runtime);
  const http: Server = createServer((req, res) => {
    if (!handleApi(runtime, req, res)) res.writeHead(404).end();
  });
  http.on('upgrade', (req, socket, head) => {
    if (!collab.upgrade(req, socket, head)) socket.destroy();
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const { port } = http.address() as AddressInfo;
  runtime.setPort(port);
  runtime.setReady(true);
  const origin = `http://localhost:${port}`;
  const cookieOf = async (id: string): Promise<Headers> => headed((await runtime.sessions.open(id)).split(';', 1)[0]!, origin);

  const objects = [...runtime.model.objects.values()];
  const records = await makeRecords(world, objects);
  const callers = await makeCallers(world, records, cookieOf, origin);
  const { rows } = await runtime.pool.query<{ id: string }>(
    `insert into kith.job (id, handler, lane, data, due, state, error, failed_at)
     values (uuidv7(), 'nobody.knows', 1, '{}', now(), 'parked', 'It failed.', now()) returning id`,
  );
  return {
    ...world,
    callers,
    records,
    objects,
    url: `ws://127.0.0.1:${port}`,
    origin,
    collab,
    parked: rows[0]!.id,
    beginning: new MessageIds(runtime.env.secret).write(0),
    cookieOf,
    look: (object, id) => runtime.records.get(world.me, runtime.records.object(object), id),
    close: async () => {
      await collab.close();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
      await world.close();
    },
  };
}

const headed = (cookie: string, origin: string): Headers => ({ cookie, origin });

/** Companies of people from outside, of both sides, by audience. */
const companyKey = (audience: string, side: Side): string => `${audience} ${side}`;

let made = 0;
/** A value that no other field has, and that is recognised in any text. */
export function canary(spec: Field): FieldValue {
  const n = ++made;
  switch (spec.type) {
    case 'text':
    case 'longText':
    case 'richText':
      return `kanarie${n}x`;
    case 'email':
      return `kanarie${n}x@birds.example`;
    case 'url':
      return `https://kanarie${n}x.example/`;
    case 'phone':
      return `+43 555 ${700_000 + n}`;
    case 'address':
      return { street: `kanarie${n}x`, city: `kanarie${n}y` };
    case 'number':
      return spec.max !== undefined && spec.max < 1_000_000 ? Number((spec.max - Number(`0.7${10_000 + n}`)).toFixed(6)) : 700_000 + n;
    case 'money':
      return { amount: `${700_000 + n}.37`, currency: 'USD' };
    case 'date':
      return new Date(Date.UTC(2101, 0, 1) + n * 86_400_000).toISOString().slice(0, 10);
    case 'dateTime':
      return new Date(Date.UTC(2101, 0, 1) + n * 86_400_000 + n).toISOString();
    // Nobody would recognise it; and what is switched on may have to be right.
    case 'boolean':
      return false;
    case 'select':
      return Object.keys(spec.options)[0]!;
    case 'multiSelect':
      return Object.keys(spec.options).slice(0, 1);
    case 'ref':
    case 'refs':
    case 'anyRef':
    case 'user':
      return null;
  }
}

/** Two of every record, those that are referred to first. */
async function makeRecords(world: TestWorld, objects: readonly ModelObject[]): Promise<Map<string, Record<Side, Rec>>> {
  const { runtime } = world;
  const records = new Map<string, Record<Side, Rec>>();
  const companies = new Map<string, string>();
  const system = { principal: SYSTEM, cause: { kind: 'demo' as const, id: null } };
  const waiting = new Set(objects);
  const make = async (object: ModelObject, side: Side): Promise<Rec> => {
    const fields: Record<string, FieldValue> = {};
    for (const field of object.fields.values()) {
      const value = valueOf(world, object, field, side, records, companies);
      if (value !== undefined && value !== null) fields[field.name] = value;
    }
    return runtime.records.create(system, object, fields);
  };
  for (const { key, of } of runtime.model.audiences.values()) {
    if (of === undefined) continue;
    for (const side of SIDES) companies.set(companyKey(key, side), (await make(runtime.records.object(of), side)).id);
  }
  while (waiting.size > 0) {
    const ready = [...waiting].find((object) => needsOf(object).every((name) => name === object.name || records.has(name)));
    const next = ready ?? [...waiting][0]!;
    records.set(next.name, { A: await make(next, 'A'), B: await make(next, 'B') });
    waiting.delete(next);
  }
  for (const [name, pair] of records) {
    const object = runtime.records.object(name);
    // What followed from later records is in them too.
    for (const side of SIDES) pair[side] = await runtime.records.get(world.me, object, pair[side].id);
  }
  return records;
}

/** Objects that must be there first: those that a record refers to where it has to, or takes something over from. */
function needsOf(object: ModelObject): string[] {
  return [...object.fields.values()].flatMap(({ spec }) => (spec.type === 'ref' ? [spec.to] : []));
}

function valueOf(
  world: TestWorld,
  object: ModelObject,
  field: ModelField,
  side: Side,
  records: ReadonlyMap<string, Record<Side, Rec>>,
  companies: ReadonlyMap<string, string>,
): FieldValue | undefined {
  const { spec, name } = field;
  if (field.mode === 'derived' || spec.snapshot !== undefined) return undefined;
  if (spec.type === 'text' && spec.sequence) return undefined;
  for (const [audience, portal] of object.portals)
    if (companiesOf(portal.rows).includes(name)) return companies.get(companyKey(audience, side));
  if (spec.type === 'ref') return records.get(spec.to)?.[side].id;
  if (spec.type === 'anyRef') {
    const target = records.get('contacts.company')?.[side];
    return target && { object: target.object, id: target.id };
  }
  if (spec.type === 'user') return world.me.id;
  // A lifecycle begins where its declaration says.
  if (field.mode === 'arbitrated' && spec.type === 'select') return undefined;
  return canary(spec);
}

async function makeCallers(
  world: TestWorld,
  records: ReadonlyMap<string, Record<Side, Rec>>,
  cookieOf: (id: string) => Promise<Headers>,
  origin: string,
): Promise<Caller[]> {
  const { runtime } = world;
  const callers: Caller[] = [{ name: 'nobody', headers: {}, via: 'nothing', id: '' }];
  const staff = new Map<Role, string>();
  for (const role of ROLES) {
    const { id } = await world.person(`Staff-${role}`, role);
    staff.set(role, id);
    callers.push({ name: role, headers: await cookieOf(id), via: 'cookie', id, role });
    callers.push({ name: `key of a ${role}`, headers: { authorization: `Bearer ${await world.key(role)}` }, via: 'key', id: '', role });
  }
  for (const { key: audience, of } of runtime.model.audiences.values()) {
    if (of === undefined) {
      const open = [...runtime.model.objects.values()].find((object) => object.portals.has(audience));
      const record = open && records.get(open.name)!.A;
      if (!record) continue;
      const { id, secret } = await runtime.guests.create(world.me, { object: record.object, id: record.id, audience, name: 'Guest' });
      const { cookie } = await runtime.sessions.openGuest(secret);
      const gone = await runtime.guests.create(world.me, { object: record.object, id: record.id, audience, name: 'Former guest' });
      const former = await runtime.sessions.openGuest(gone.secret);
      await runtime.guests.revoke(world.me, gone.id);
      callers.push({
        name: `former guest (${audience})`,
        headers: headed(former.cookie.split(';', 1)[0]!, origin),
        via: 'nothing',
        id: '',
      });
      callers.push({
        name: `guest (${audience})`,
        headers: headed(cookie.split(';', 1)[0]!, origin),
        via: 'cookie',
        id,
        audience,
        record: record.id,
      });
      continue;
    }
    for (const side of SIDES) {
      const company = companyOf(runtime.model.objects.values(), records, audience, side);
      for (const admin of side === 'A' ? [true, false] : [true]) {
        const name = `${audience} ${side}${admin ? '' : ' colleague'}`;
        const email = `${name.replaceAll(' ', '-')}-kanarie${++made}x@birds.example`.toLowerCase();
        const { secret } = await runtime.partners.invite(world.me, { company, audience, email, name, admin });
        const cookie = (await runtime.sessions.accept(secret, { name: `${name} kanarie${++made}x`, password: PASSWORD })).split(';', 1)[0]!;
        const { principal } = (await runtime.sessions.authenticate({ cookie }))!;
        callers.push({ name, headers: headed(cookie, origin), via: 'cookie', id: principal.id, audience, side, company, admin });
      }
    }
    const { secret } = await runtime.partners.invite(world.me, {
      company: companyOf(runtime.model.objects.values(), records, audience, 'A'),
      audience,
      email: `former-${audience}@birds.example`,
      name: 'Former',
    });
    const ended = (await runtime.sessions.accept(secret, { name: 'Former', password: PASSWORD })).split(';', 1)[0]!;
    const { principal } = (await runtime.sessions.authenticate({ cookie: ended }))!;
    await runtime.partners.change(world.me, principal.id, { active: false });
    callers.push({ name: `former ${audience}`, headers: headed(ended, origin), via: 'nothing', id: '' });
    const manager = staff.get('manager')!;
    const company = companyOf(runtime.model.objects.values(), records, audience, 'A');
    callers.push({
      name: `manager as ${audience} A`,
      headers: { ...(await cookieOf(manager)), 'kith-as': `${audience}:${company}` },
      via: 'cookie',
      id: manager,
      audience,
      side: 'A',
      company,
      preview: true,
    });
  }
  return callers;
}

/** The company of a side, told from the records that its people may see. */
function companyOf(objects: Iterable<ModelObject>, records: ReadonlyMap<string, Record<Side, Rec>>, audience: string, side: Side): string {
  for (const object of objects) {
    const portal = object.portals.get(audience);
    const [field] = portal ? companiesOf(portal.rows) : [];
    const rec = records.get(object.name)?.[side];
    if (field !== undefined && rec) return field === 'id' ? rec.id : (rec.fields[field] as string);
  }
  throw new Error(`no object is open to "${audience}"`);
}

/** What a caller may see of an object, said here once more and independently of the server’s own code. */
export const portalFor = (object: ModelObject, caller: Caller): ModelPortal | undefined =>
  caller.audience === undefined ? undefined : object.portals.get(caller.audience);

/** Whether a caller is let into an object at all. */
export const mayOpen = (object: ModelObject, caller: Caller): boolean =>
  caller.role !== undefined && caller.audience === undefined ? holds(object.access.read, caller) : portalFor(object, caller) !== undefined;

/** Whether a caller may see a record. */
export function maySee(object: ModelObject, rec: Rec, caller: Caller): boolean {
  if (caller.audience === undefined) return caller.role !== undefined && holds(object.access.read, caller, rec);
  const portal = portalFor(object, caller);
  return portal !== undefined && holds(portal.rows, caller, rec);
}

/** A rule, read plainly. @throws for a kind of rule that this reader has not been taught */
export function holds(rule: Rule, caller: Caller, rec?: Rec): boolean {
  if ('everyone' in rule) return true;
  if ('nobody' in rule) return false;
  if ('and' in rule) return rule.and.every((part) => holds(part, caller, rec));
  if ('or' in rule) return rule.or.some((part) => holds(part, caller, rec));
  if ('not' in rule) return !holds(rule.not, caller, rec);
  if ('role' in rule) return caller.role !== undefined && caller.audience === undefined && rule.role.includes(caller.role);
  if ('company' in rule)
    return (
      rec !== undefined && caller.company !== undefined && (rule.company === 'id' ? rec.id : rec.fields[rule.company]) === caller.company
    );
  if ('guest' in rule) return rec !== undefined && rec.id === caller.record;
  if ('field' in rule && rule.op === 'eq') return rec !== undefined && (rec.fields[rule.field] ?? null) === (rule.value ?? null);
  throw new Error(`teach the matrix the rule ${JSON.stringify(rule)}`);
}

/** Every text in a value by which it would be recognised: long enough not to occur by chance. */
export function marksOf(value: unknown): string[] {
  if (typeof value === 'string') return value.length >= 9 ? [value] : [];
  if (typeof value === 'number') return String(value).length >= 6 ? [String(value)] : [];
  if (Array.isArray(value)) return value.flatMap(marksOf);
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(marksOf) : [];
}

/** The same of a field. Words of declarations, which everybody may know, are no marks. */
function marksIn(field: ModelField, value: FieldValue): string[] {
  if (field.type === 'select' || field.type === 'multiSelect') return [];
  return marksOf(field.type === 'anyRef' && value !== null ? (value as AnyRef).id : value);
}

/** What must never reach a caller: all values of records and fields that are not theirs, foreign ids, names of others. */
export function forbiddenTo(world: RightsWorld, caller: Caller): string[] {
  if (caller.role !== undefined && caller.audience === undefined) return [];
  const [seen, hidden] = [new Set<string>(), new Set<string>()];
  for (const object of world.objects) {
    const readable = portalFor(object, caller)?.read;
    for (const side of SIDES) {
      const rec = world.records.get(object.name)![side];
      const mine = maySee(object, rec, caller);
      (mine ? seen : hidden).add(rec.id);
      for (const [name, value] of Object.entries(rec.fields))
        for (const mark of marksIn(object.fields.get(name)!, value)) (mine && readable?.has(name) ? seen : hidden).add(mark);
    }
  }
  if (caller.company !== undefined) seen.add(caller.company);
  for (const other of world.callers) {
    const colleague = caller.company !== undefined && other.company === caller.company;
    for (const mark of marksOf(other.id)) (colleague || other.id === caller.id ? seen : hidden).add(mark);
  }
  for (const mark of marksOf(world.me.id)) hidden.add(mark);
  return [...hidden].filter((mark) => !seen.has(mark));
}
