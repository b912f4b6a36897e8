/**
 * People of partner companies: who they are, who invites them, and how their
 * access ends. Staff look after all of them, a partner's own administrator
 * after colleagues of the same company.
 */
import { isUuid, type FieldProblem, type Model, type ModelAudience, type Principal } from '@kith/sdk';
import type pg from 'pg';
import { transaction } from '../database.ts';
import { forbidden, invalid, KithError, notFound } from '../errors.ts';
import { hasRole } from '../principal.ts';
import { titlesOf } from '../query/present.ts';
import type { Records } from '../records/door.ts';
import { endSessions, invite, invited, invitedProblems } from './accounts.ts';

export interface PartnerPerson {
  id: string;
  name: string;
  email: string;
  company: string;
  companyName: string;
  audience: string;
  admin: boolean;
  active: boolean;
  seenAt: string | null;
  createdAt: string;
}

export interface PartnerInvitation {
  id: string;
  email: string;
  name: string;
  company: string;
  companyName: string;
  audience: string;
  admin: boolean;
  expiresAt: string;
}

export interface PartnersOptions {
  pool: pg.Pool;
  model: Model;
  records: Records;
  /** Tells other processes that somebody's rights changed. */
  accessChanged: (principal: string) => void;
}

const PERSON = `id, name, email, company, audience, admin, active, seen_at as "seenAt", created_at as "createdAt"`;
const LONGEST_NAME = 200;
/** Invitations of a day that a partner's administrators may have out at once. */
const MOST_INVITATIONS = 50;
/** A visit ends when nothing was heard for so long. */
const VISIT = `interval '30 minutes'`;

export class Partners {
  readonly #o: PartnersOptions;

  constructor(options: PartnersOptions) {
    this.#o = options;
  }

  /**
   * The partner as whom a member of the staff wants to see: `supplier:<company>`.
   * @throws 403 for others than administrators and managers, 404 where there is no such partner
   */
  async previewer(by: Principal, as: string): Promise<Principal> {
    if (by.kind !== 'staff' || !hasRole(by, 'admin', 'manager'))
      throw forbidden('Only administrators and managers may see what a partner sees.');
    const [key = '', company = '', ...rest] = as.split(':');
    const audience = this.#o.model.audiences.get(key);
    if (!audience?.of || !isUuid(company) || rest.length > 0) throw notFound('partner');
    await this.#o.records.get(by, this.#o.records.object(audience.of), company);
    return { id: by.id, kind: 'partner', name: by.name, roles: [], outside: { audience: key, company, preview: true } };
  }

  /** The people of a company and the invitations that are out: of all companies for staff that name none. */
  async list(by: Principal, company: string | null): Promise<{ data: PartnerPerson[]; invitations: PartnerInvitation[] }> {
    const own = this.#mayLook(by);
    if (own !== undefined && company !== null && company !== own) throw notFound('company');
    if (own === undefined && company !== null && !(await this.#reads(by, company))) throw notFound('company');
    const of = own ?? company;
    const [people, invitations] = await Promise.all([
      this.#o.pool.query<Omit<PartnerPerson, 'companyName'>>(
        `select ${PERSON} from kith."user" where kind = 'partner' and ($1::uuid is null or company = $1) order by name, id`,
        [of],
      ),
      this.#o.pool.query<Omit<PartnerInvitation, 'companyName'>>(
        `select id, email, name, company, audience, admin, expires_at as "expiresAt" from kith.invitation
         where company is not null and used_at is null and expires_at > now() and ($1::uuid is null or company = $1) order by created_at, id`,
        [of],
      ),
    ]);
    const named = await this.#named([...people.rows, ...invitations.rows]);
    const withName = <T extends { company: string }>(row: T): T & { companyName: string } => ({
      ...row,
      companyName: named.get(row.company) ?? '',
    });
    return { data: people.rows.map(withName), invitations: invitations.rows.map(withName) };
  }

  /** Invites somebody of a partner company. The secret is answered once. */
  async invite(
    by: Principal,
    input: Record<string, unknown>,
  ): Promise<{ id: string; secret: string; expiresAt: string; email: string; name: string; companyName: string }> {
    const own = this.#mayChange(by);
    const problems: FieldProblem[] = invitedProblems({ email: input.email, name: input.name });
    let { company, audience } = input;
    if (own !== undefined) {
      // Partners invite to where they are themselves; naming another place is a mistake, or an attempt.
      for (const [field, mine] of [
        ['company', own],
        ['audience', by.outside!.audience],
      ] as const) {
        if (input[field] !== undefined && input[field] !== mine)
          problems.push({ field, code: 'invalid', message: 'is your own; leave it out' });
      }
      company = own;
      audience = by.outside!.audience;
    }
    const known = typeof audience === 'string' ? this.#o.model.audiences.get(audience) : undefined;
    if (!known?.of) problems.push({ field: 'audience', code: 'unknown_option', message: `must be one of ${this.#keys().join(', ')}` });
    if (input.admin !== undefined && typeof input.admin !== 'boolean')
      problems.push({ field: 'admin', code: 'invalid', message: 'must be true or false' });
    if (known?.of && own === undefined && !(await this.#reads(by, company, known)))
      problems.push({ field: 'company', code: 'unknown_reference', message: 'is no record that you may refer to' });
    if (problems.length > 0) throw invalid(problems);
    if (own !== undefined) await this.#refuseMany(own);
    const place = { audience: known!.key, company: company as string, admin: input.admin === true };
    const { email, name } = invited({ email: input.email, name: input.name });
    const made = await invite(this.#o.pool, by, { email, name, ...place });
    return { ...made, email, name, companyName: (await this.#named([place])).get(place.company) ?? '' };
  }

  /** Mail goes out in the host's name: a partner does not send it without end. @throws 429 */
  async #refuseMany(company: string): Promise<void> {
    const { rows } = await this.#o.pool.query<{ n: number }>(
      `select count(*)::integer as n from kith.invitation where company = $1 and used_at is null and created_at > now() - interval '1 day'`,
      [company],
    );
    if (rows[0]!.n >= MOST_INVITATIONS) {
      throw new KithError(
        429,
        'too_many_invitations',
        'Many invitations are out already; wait until some are accepted, or withdraw them.',
        {
          retryAfter: 3600,
        },
      );
    }
  }

  /** Ends an invitation that was not accepted yet. */
  async revokeInvitation(by: Principal, id: string): Promise<void> {
    const own = this.#mayChange(by);
    const { rowCount } = isUuid(id)
      ? await this.#o.pool.query(
          'delete from kith.invitation where id = $1 and company is not null and used_at is null and ($2::uuid is null or company = $2)',
          [id, own ?? null],
        )
      : { rowCount: 0 };
    if (!rowCount) throw notFound('invitation');
  }

  /**
   * Changes a partner's person. Withdrawing access ends sessions and tickets in the same transaction, and every commit
   * that began on the old right is refused from then on; open sockets close when they hear of it.
   */
  async change(by: Principal, id: string, input: Record<string, unknown>): Promise<PartnerPerson> {
    const own = this.#mayChange(by);
    const problems: FieldProblem[] = [];
    for (const field of ['active', 'admin'] as const) {
      if (input[field] !== undefined && typeof input[field] !== 'boolean')
        problems.push({ field, code: 'invalid', message: 'must be true or false' });
    }
    const name = typeof input.name === 'string' ? input.name.trim() : undefined;
    if (input.name !== undefined && (name === undefined || name === '' || name.length > LONGEST_NAME))
      problems.push({ field: 'name', code: 'invalid', message: `must be text of at most ${LONGEST_NAME} characters` });
    const unknown = Object.keys(input).find((key) => !['active', 'admin', 'name'].includes(key));
    if (unknown !== undefined) problems.push({ field: unknown.slice(0, 100), code: 'unknown_field', message: 'cannot be changed' });
    if (problems.length > 0) throw invalid(problems);
    if (!isUuid(id)) throw notFound('person');
    const person = await transaction(this.#o.pool, async (client) => {
      if (input.active !== undefined || input.admin !== undefined) await client.query('select kith.rights_changed()');
      const { rows } = await client.query<Omit<PartnerPerson, 'companyName'>>(
        `update kith."user" set active = coalesce($2, active), admin = coalesce($3, admin), name = coalesce($4, name)
         where id = $1 and kind = 'partner' and ($5::uuid is null or company = $5) returning ${PERSON}`,
        [id, input.active ?? null, input.admin ?? null, name ?? null, own ?? null],
      );
      const row = rows[0];
      if (!row) throw notFound('person');
      if (id === by.id) throw forbidden('You cannot change your own access; ask another administrator.');
      if (input.active === false) await endSessions(client, id);
      // Whoever may invite no more leaves no open invitations behind.
      if (!row.active || !row.admin) await client.query('delete from kith.invitation where created_by = $1 and used_at is null', [id]);
      return row;
    });
    if (input.active !== undefined || input.admin !== undefined || name !== undefined) this.#o.accessChanged(id);
    return { ...person, companyName: (await this.#named([person])).get(person.company) ?? '' };
  }

  /** When the visit before this one ended; null on a first one, and for whoever leaves no trace. */
  async since(by: Principal): Promise<string | null> {
    const { rows } = await this.#o.pool.query<{ since: string | null }>(
      `select case when seen_at < now() - ${VISIT} then seen_at else visited_at end as since from kith."user" where id = $1 and kind = 'partner'`,
      [by.id],
    );
    return rows[0]?.since ?? null;
  }

  /** Notes that a partner is here. A pause begins a new visit. */
  async visit(by: Principal): Promise<string | null> {
    const { rows } = await this.#o.pool.query<{ since: string | null }>(
      `update kith."user" set visited_at = case when seen_at < now() - ${VISIT} then seen_at else visited_at end, seen_at = now()
       where id = $1 and kind = 'partner' returning visited_at as since`,
      [by.id],
    );
    return rows[0]?.since ?? null;
  }

  /** The title of a company, as its people may know it. */
  async companyName(company: string, audience: string): Promise<string> {
    return (await this.#named([{ company, audience }])).get(company) ?? '';
  }

  #keys(): string[] {
    return [...this.#o.model.audiences.values()].filter((one) => one.of !== undefined).map((one) => one.key);
  }

  /** The only company that somebody looks after; undefined for staff, who look after all. @throws 403 */
  #mayLook(by: Principal): string | undefined {
    if (!by.outside) return undefined;
    if (by.kind !== 'partner' || by.outside.admin !== true || by.outside.preview || by.outside.company === undefined) throw forbidden();
    return by.outside.company;
  }

  #mayChange(by: Principal): string | undefined {
    const own = this.#mayLook(by);
    if (own === undefined && !hasRole(by, 'admin', 'manager', 'member')) throw forbidden();
    return own;
  }

  /** Whether a company is one that a member of the staff may see; of this audience, or of any. */
  async #reads(by: Principal, company: unknown, audience?: ModelAudience): Promise<boolean> {
    if (!isUuid(company)) return false;
    const objects = new Set(audience ? [audience.of] : [...this.#o.model.audiences.values()].map((one) => one.of));
    for (const name of objects) {
      const object = name === undefined ? undefined : this.#o.model.objects.get(name);
      if (object && (await this.#o.records.rights(by, object, company)).read) return true;
    }
    return false;
  }

  async #named(rows: readonly { company: string; audience: string }[]): Promise<Map<string, string>> {
    const wanted = new Map<string, Set<string>>();
    for (const { company, audience } of rows) {
      const of = this.#o.model.audiences.get(audience)?.of;
      if (of === undefined) continue;
      const ids = wanted.get(of) ?? new Set<string>();
      ids.add(company);
      wanted.set(of, ids);
    }
    const titles = await titlesOf(this.#o.pool, this.#o.model, wanted);
    return new Map(Object.entries(titles).map(([id, { title }]) => [id, title]));
  }
}
