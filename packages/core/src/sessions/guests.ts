/** Guests: whoever has a link sees one record, as the portal for their audience shows it, until the link ends. */
import { isUuid, type FieldProblem, type Model, type ModelObject, type Principal } from '@kith/sdk';
import type pg from 'pg';
import { can, isRowless } from '../access/filter.ts';
import { transaction } from '../database.ts';
import { forbidden, invalid, notFound } from '../errors.ts';
import { newId } from '../ids.ts';
import { hasRole } from '../principal.ts';
import type { Records } from '../records/door.ts';
import { sha256, token } from './secrets.ts';

/** What a guest's cookie begins with. */
export const GUEST_PREFIX = 'guest.';
const DAYS_DEFAULT = 30;
const DAYS_MOST = 365;
const LONGEST_NAME = 200;

export interface Guest {
  id: string;
  name: string;
  audience: string;
  object: string;
  record: string;
  createdBy: string;
  createdAt: string;
  expiresAt: string;
}

/** Who has a link; null when it is unknown, revoked or too old. */
export async function guestOf(pool: pg.Pool, secret: string): Promise<{ principal: Principal; expiresAt: string } | null> {
  const { rows } = await pool.query<{ id: string; name: string; audience: string; object: string; record: string; expires_at: string }>({
    name: 'kith_guest',
    text: `select id, name, audience, object, record, expires_at from kith.guest
      where token_hash = $1 and revoked_at is null and expires_at > now()`,
    values: [sha256(secret)],
  });
  const row = rows[0];
  if (!row) return null;
  const { id, name, audience, object, record } = row;
  const outside = { audience, record: { object, id: record } };
  return { principal: { id, kind: 'guest', name, roles: [], outside }, expiresAt: row.expires_at };
}

export interface GuestsOptions {
  pool: pg.Pool;
  model: Model;
  records: Records;
  /** Tells other processes that somebody's rights changed. */
  accessChanged: (principal: string) => void;
}

export class Guests {
  readonly #o: GuestsOptions;

  constructor(options: GuestsOptions) {
    this.#o = options;
  }

  /** A new link to one record. The secret is answered once. */
  async create(by: Principal, input: Record<string, unknown>): Promise<{ id: string; secret: string }> {
    if (!hasRole(by, 'admin', 'manager', 'member')) throw forbidden();
    const record = await this.#record(by, input.object, input.id);
    const problems: FieldProblem[] = [];
    const name = typeof input.name === 'string' ? input.name.trim() : '';
    if (name === '' || name.length > LONGEST_NAME)
      problems.push({ field: 'name', code: 'required', message: `must be text of at most ${LONGEST_NAME} characters` });
    const known = typeof input.audience === 'string' ? this.#o.model.audiences.get(input.audience) : undefined;
    const portal = known && this.#o.model.objects.get(record.object)!.portals.get(known.key);
    const opened = portal !== undefined && !portal.off;
    if (!known || known.of !== undefined || !opened)
      problems.push({ field: 'audience', code: 'unknown_option', message: 'must be an audience of guests to whom the object is open' });
    const days = input.days ?? DAYS_DEFAULT;
    if (typeof days !== 'number' || !Number.isInteger(days) || days < 1 || days > DAYS_MOST)
      problems.push({ field: 'days', code: 'invalid', message: `must be a whole number from 1 to ${DAYS_MOST}` });
    if (problems.length > 0 || !known) throw invalid(problems);
    const id = newId();
    const secret = token();
    await this.#o.pool.query(
      `insert into kith.guest (id, token_hash, audience, object, record, name, created_by, expires_at)
       values ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(days => $8))`,
      [id, sha256(secret), known.key, record.object, record.id, name, by.id, days],
    );
    return { id, secret };
  }

  /** The links to a record that open it now. */
  async list(by: Principal, object: unknown, id: unknown): Promise<Guest[]> {
    const record = await this.#record(by, object, id);
    const { rows } = await this.#o.pool.query<Guest>(
      `select id, name, audience, object, record, created_by as "createdBy", created_at as "createdAt", expires_at as "expiresAt"
       from kith.guest where record = $1 and object = $2 and revoked_at is null and expires_at > now() order by created_at, id`,
      [record.id, record.object],
    );
    return rows;
  }

  /** Ends a link at once; whoever is in by it is shown out. */
  async revoke(by: Principal, id: string): Promise<void> {
    if (!hasRole(by, 'admin', 'manager', 'member')) throw forbidden();
    const { rows } = isUuid(id)
      ? await this.#o.pool.query<{ object: string; record: string }>(
          'select object, record from kith.guest where id = $1 and revoked_at is null',
          [id],
        )
      : { rows: [] };
    const row = rows[0];
    const object = row && this.#o.model.objects.get(row.object);
    if (!row || (object && !(await this.#mayKnow(by, object, row.record)))) throw notFound('link');
    await transaction(this.#o.pool, async (client) => {
      await client.query('select kith.rights_changed()');
      await client.query('update kith.guest set revoked_at = now() where id = $1', [id]);
      await client.query('delete from kith.ticket where principal = $1', [id]);
    });
    this.#o.accessChanged(id);
  }

  /** Whether somebody of the staff may see a record; where that goes by role alone, also of one in the bin. */
  async #mayKnow(by: Principal, object: ModelObject, id: string): Promise<boolean> {
    const { read } = object.access;
    return isRowless(read) ? can(object, by, read, {}) === true : (await this.#o.records.rights(by, object, id)).read;
  }

  /** The record, if whoever asks may read it. @throws 404 */
  async #record(by: Principal, object: unknown, id: unknown): Promise<{ object: string; id: string }> {
    const known = this.#o.records.object(typeof object === 'string' ? object : '');
    if (!isUuid(id) || !(await this.#o.records.rights(by, known, id)).read) throw notFound('record');
    return { object: known.name, id };
  }
}
