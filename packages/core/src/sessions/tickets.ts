/** Tickets: each opens one document once, within a minute. What lets programs without cookies into /collab. */
import { createHash, randomBytes } from 'node:crypto';
import type { ModelObject, Outside, Principal, Role } from '@kith/sdk';
import type pg from 'pg';
import { notFound } from '../errors.ts';
import { joinOf } from '../access/grant.ts';
import type { Records } from '../records/door.ts';

const SECONDS = 60;
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

export interface FacetTicket {
  name: string;
  access: 'write' | 'read';
  ticket: string;
}

export class Tickets {
  readonly #pool: pg.Pool;
  readonly #records: Records;

  constructor(pool: pg.Pool, records: Records) {
    this.#pool = pool;
    this.#records = records;
  }

  /** A ticket for each facet that the principal may join. @throws 404 when the record may not be read */
  async issue(principal: Principal, object: ModelObject, id: string): Promise<FacetTicket[]> {
    const { read, update } = await this.#records.rights(principal, object, id);
    if (!read) throw notFound('record');
    const tickets = object.facets.flatMap((facet): FacetTicket[] => {
      const access = joinOf(object, principal, facet, update);
      return access === null ? [] : [{ name: facet.name, access, ticket: randomBytes(24).toString('base64url') }];
    });
    await this.#pool.query(
      `with old as (delete from kith.ticket where expires_at < now())
       insert into kith.ticket (hash, principal, kind, name, roles, record, object, outside, facet, expires_at)
       select hash, $2, $3, $4, $5, $6, $7, $9::jsonb, facet, now() + interval '${SECONDS} seconds' from unnest($1::text[], $8::text[]) t (hash, facet)`,
      [
        tickets.map((one) => sha256(one.ticket)),
        principal.id,
        principal.kind,
        principal.name,
        principal.roles,
        id,
        object.name,
        tickets.map((one) => one.name),
        principal.outside ? JSON.stringify(principal.outside) : null,
      ],
    );
    return tickets;
  }

  /** Uses a ticket up; null when it is unknown, used, too old or for another document. */
  async redeem(ticket: string, object: string, id: string, facet: string): Promise<Principal | null> {
    const { rows } = await this.#pool.query<{
      principal: string;
      kind: Principal['kind'];
      name: string;
      roles: Role[];
      outside: Outside | null;
    }>({
      name: 'kith_ticket',
      text: `delete from kith.ticket where hash = $1 and object = $2 and record = $3 and facet = $4 and expires_at > now()
        returning principal, kind, name, roles, outside`,
      values: [sha256(ticket), object, id, facet],
    });
    const row = rows[0];
    if (!row) return null;
    return { id: row.principal, kind: row.kind, name: row.name, roles: row.roles, ...(row.outside ? { outside: row.outside } : {}) };
  }
}
