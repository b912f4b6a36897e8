/** What accounts of staff and of partners have in common: how one comes to be, by an invitation or without, and how its access ends. */
import type { FieldProblem, Principal, Role } from '@kith/sdk';
import type { Queryable } from '../database.ts';
import { conflict, isDatabaseError, KithError } from '../errors.ts';
import { newId } from '../ids.ts';
import { sha256, token } from './secrets.ts';

export const SHORTEST_PASSWORD = 8;
/** How many of people's colours there are. */
export const COLORS = 12;
const INVITATION_DAYS = 14;
const LONGEST_EMAIL = 254;
const LONGEST_NAME = 200;

/** What an account is for: a role of the staff, or a place in a partner's company. */
export type Belonging = { role: Role } | { audience: string; company: string; admin: boolean };

/** An invitation as it is stored: either `role` is set, or the partner's part. */
export interface Invitation {
  email: string;
  name: string;
  role: Role | null;
  audience: string | null;
  company: string | null;
  admin: boolean;
  createdBy: string;
}

export const invitationGone = (): KithError =>
  new KithError(404, 'invitation_gone', 'This invitation was used or has expired; ask for a new one.');

/** Makes an account. @throws 409 when its address has one already */
export async function insertUser(
  on: Queryable,
  user: {
    id?: string;
    email: string;
    name: string;
    passwordHash: string | null;
    language?: string;
    color?: number;
  } & Belonging,
): Promise<string> {
  const id = user.id ?? newId();
  const partner = 'audience' in user ? user : undefined;
  try {
    await on.query({
      text: `insert into kith."user" (id, email, name, kind, role, audience, company, admin, password_hash, language, color)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, coalesce($11::smallint, (select (count(*) % ${COLORS})::smallint from kith."user")))`,
      values: [
        id,
        user.email,
        user.name,
        partner ? 'partner' : 'staff',
        'role' in user ? user.role : null,
        partner?.audience ?? null,
        partner?.company ?? null,
        partner?.admin ?? false,
        user.passwordHash,
        user.language ?? null,
        user.color ?? null,
      ],
    });
  } catch (error) {
    if (isDatabaseError(error, '23505')) throw taken(user.email);
    throw error;
  }
  return id;
}

/** Makes an invitation; an earlier one of the same address to the same place ends. The secret is answered once. */
export async function invite(
  on: Queryable,
  by: Principal,
  input: { email: string; name: string } & Belonging,
): Promise<{ id: string; secret: string; expiresAt: string }> {
  const { rowCount } = await on.query({ text: 'select from kith."user" where lower(email) = lower($1)', values: [input.email] });
  if (rowCount) throw taken(input.email);
  const partner = 'audience' in input ? input : undefined;
  const secret = token();
  const id = newId();
  const { rows } = await on.query<{ expires_at: string }>({
    text: `with earlier as (
        delete from kith.invitation where lower(email) = lower($3) and used_at is null and company is not distinct from $7::uuid)
      insert into kith.invitation (id, token_hash, email, name, role, audience, company, admin, created_by, expires_at)
      values ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() + interval '${INVITATION_DAYS} days') returning expires_at`,
    values: [
      id,
      sha256(secret),
      input.email,
      input.name,
      'role' in input ? input.role : null,
      partner?.audience ?? null,
      partner?.company ?? null,
      partner?.admin ?? false,
      by.id,
    ],
  });
  return { id, secret, expiresAt: rows[0]!.expires_at };
}

/** Ends everything by which somebody is inside: sessions and tickets. */
export async function endSessions(on: Queryable, id: string): Promise<void> {
  await on.query({ text: 'delete from kith.session where user_id = $1', values: [id] });
  await on.query({ text: 'delete from kith.ticket where principal = $1', values: [id] });
}

/** What is wrong with the person of an invitation. */
export function invitedProblems(input: { email: unknown; name: unknown }): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const { email, name } = invited(input);
  if (!/^[^\s@<>,;"]+@[^\s@<>,;"]+$/.test(email) || email.length > LONGEST_EMAIL)
    problems.push({ field: 'email', code: 'invalid', message: 'must be an e-mail address' });
  if ((typeof input.name !== 'string' && input.name !== undefined && input.name !== null) || name.length > LONGEST_NAME)
    problems.push({ field: 'name', code: 'invalid', message: `must be text of at most ${LONGEST_NAME} characters` });
  return problems;
}

export const invited = (input: { email: unknown; name: unknown }): { email: string; name: string } => ({
  email: typeof input.email === 'string' ? input.email.trim() : '',
  name: typeof input.name === 'string' ? input.name.trim() : '',
});

export function passwordProblems(field: string, password: unknown): { field: string; code: string; message: string }[] {
  if (typeof password !== 'string') return [{ field, code: 'required', message: 'must be a string' }];
  if (password.length < SHORTEST_PASSWORD)
    return [{ field, code: 'too_short', message: `must have at least ${SHORTEST_PASSWORD} characters` }];
  return password.length > 500 ? [{ field, code: 'too_long', message: 'must have at most 500 characters' }] : [];
}

const taken = (email: string): KithError => conflict(`There is a user ${email} already.`);
