/** People from outside for tests: partners of companies, and guests of a record. */
import { randomBytes } from 'node:crypto';
import type { Principal } from '@kith/sdk';
import type { Runtime } from '../runtime.ts';
import { newId } from '../ids.ts';
import { sha256 } from '../sessions/secrets.ts';
import type { TestWorld } from '../testing.ts';

export interface Outsider {
  principal: Principal;
  /** Headers of their requests. */
  headers: Record<string, string>;
}

const ORIGIN = 'http://localhost:5173';

/** Somebody of a partner company, signed in. */
export async function partnerOf(runtime: Runtime, audience: string, company: string, name = 'Partner', admin = false): Promise<Outsider> {
  const id = newId();
  const email = `${name.toLowerCase()}-${randomBytes(4).toString('hex')}@partner.example`;
  await runtime.pool.query(
    `insert into kith."user" (id, email, name, kind, audience, company, admin) values ($1, $2, $3, 'partner', $4, $5, $6)`,
    [id, email, name, audience, company, admin],
  );
  const cookie = (await runtime.sessions.open(id)).split(';', 1)[0]!;
  const outside = { audience, company, ...(admin ? { admin } : {}) };
  return { principal: { id, kind: 'partner', name, roles: [], outside }, headers: { cookie, origin: ORIGIN } };
}

/** Whoever has a link to a record. */
export async function guestOfRecord(runtime: Runtime, audience: string, object: string, record: string): Promise<Outsider> {
  const id = newId();
  const secret = randomBytes(24).toString('base64url');
  await runtime.pool.query(
    `insert into kith.guest (id, token_hash, audience, object, record, name, created_by, expires_at)
     values ($1, $2, $3, $4, $5, 'Guest', $1, now() + interval '1 day')`,
    [id, sha256(secret), audience, object, record],
  );
  const outside = { audience, record: { object, id: record } };
  return {
    principal: { id, kind: 'guest', name: 'Guest', roles: [], outside },
    headers: { cookie: `kith_session=guest.${secret}`, origin: ORIGIN },
  };
}

/** A request by somebody from outside. */
export const requestAs =
  (world: Pick<TestWorld, 'request'>, who: Outsider) =>
  (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): ReturnType<TestWorld['request']> =>
    world.request(method, path, { headers: { ...who.headers, ...headers }, ...(body === undefined ? {} : { body }) });
