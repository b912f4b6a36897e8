/**
 * Sign-in and sessions of people, and API keys of programs. The only place
 * that knows Lucia. Of a session's token and of a key only a SHA-256 is stored.
 */
import { hash as argon2, verify } from '@node-rs/argon2';
import { Lucia, TimeSpan, type Adapter, type DatabaseSession, type DatabaseUser } from 'lucia';
import { ROLES, type Principal, type Role } from '@kith/sdk';
import type pg from 'pg';
import { transaction, type Queryable } from '../database.ts';
import { forbidden, invalid, KithError, notFound } from '../errors.ts';
import { newId } from '../ids.ts';
import {
  endSessions,
  insertUser,
  invitationGone,
  invite,
  invited,
  invitedProblems,
  passwordProblems,
  type Invitation,
} from './accounts.ts';
import { GUEST_PREFIX, guestOf } from './guests.ts';
import { sha256, token } from './secrets.ts';

declare module 'lucia' {
  interface Register {
    Lucia: typeof Lucia;
    UserId: string;
    DatabaseUserAttributes: UserRow;
  }
}

interface UserRow {
  id: string;
  email: string;
  name: string;
  kind: 'staff' | 'partner';
  /** Staff only. */
  role: Role | null;
  /** Partners only: as whom, of which company, and whether they may invite colleagues. */
  audience: string | null;
  company: string | null;
  admin: boolean;
  active: boolean;
  language: string | null;
  time_zone: string | null;
  theme: string;
  color: number;
}

/** The person behind a session. */
export interface SessionUser {
  id: string;
  kind: 'staff' | 'partner';
  email: string;
  name: string;
  /** Empty for partners. */
  roles: Role[];
  /** Partners: where they come from. */
  partner?: { audience: string; company: string; admin: boolean };
  language: string | null;
  timeZone: string | null;
  theme: 'light' | 'dark' | 'system';
  /** Index into the palette of people's colours. */
  color: number;
}

export const COOKIE = 'kith_session';
const DAYS = 30;
const FAILURES = 10;
const FAILURE_WINDOW_MS = 60_000;
const KEY_PREFIX = 'kith_';
/** How long an answer of the database about a cookie or key is believed. Rights end within a second. */
const BELIEVE_MS = 500;

/** Lucia's view of the database. It never sees a token that would open a session: ids are hashed on the way. */
class PostgresAdapter implements Adapter {
  readonly #pool: pg.Pool;
  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  async getSessionAndUser(sessionId: string): Promise<[DatabaseSession | null, DatabaseUser | null]> {
    const { rows } = await this.#pool.query<UserRow & { expires_at: string }>({
      name: 'kith_session',
      text: `select u.id, u.email, u.name, u.kind, u.role, u.audience, u.company, u.admin, u.active, u.language, u.time_zone, u.theme, u.color, s.expires_at
        from kith.session s join kith."user" u on u.id = s.user_id where s.id = $1 and u.active`,
      values: [sha256(sessionId)],
    });
    const row = rows[0];
    if (!row) return [null, null];
    return [
      { id: sessionId, userId: row.id, expiresAt: new Date(row.expires_at), attributes: {} },
      { id: row.id, attributes: row },
    ];
  }
  async getUserSessions(userId: string): Promise<DatabaseSession[]> {
    const { rows } = await this.#pool.query<{ id: string; expires_at: string }>(
      'select id, expires_at from kith.session where user_id = $1',
      [userId],
    );
    return rows.map((row) => ({ id: row.id, userId, expiresAt: new Date(row.expires_at), attributes: {} }));
  }
  async setSession(session: DatabaseSession): Promise<void> {
    await this.#pool.query('insert into kith.session (id, user_id, expires_at) values ($1, $2, $3)', [
      sha256(session.id),
      session.userId,
      session.expiresAt,
    ]);
  }
  async updateSessionExpiration(sessionId: string, expiresAt: Date): Promise<void> {
    await this.#pool.query('update kith.session set expires_at = $2 where id = $1', [sha256(sessionId), expiresAt]);
  }
  async deleteSession(sessionId: string): Promise<void> {
    await this.#pool.query('delete from kith.session where id = $1', [sha256(sessionId)]);
  }
  async deleteUserSessions(userId: string): Promise<void> {
    await this.#pool.query('delete from kith.session where user_id = $1', [userId]);
  }
  async deleteExpiredSessions(): Promise<void> {
    await this.#pool.query('delete from kith.session where expires_at <= now()');
  }
}

export interface Authenticated {
  principal: Principal;
  via: 'cookie' | 'key';
  user?: SessionUser;
  /** A cookie to send back: the session was prolonged. */
  cookie?: string;
}

export interface SessionsOptions {
  pool: pg.Pool;
  /** Whether the cookie may only travel over https. */
  secure: boolean;
  /** Origins from which a browser may write. Read at each use, since the port may be chosen by the system. */
  origins: () => readonly string[];
  /** Tells other processes that somebody's rights changed. */
  accessChanged: (principal: string) => void;
}

export class Sessions {
  readonly #o: SessionsOptions;
  readonly #lucia: Lucia;
  readonly #failures = new Map<string, { count: number; since: number }>();
  /** The last attempt to sign in of each who is at it, settled whatever came of it. */
  readonly #attempts = new Map<string, Promise<void>>();
  readonly #believed = new Map<string, { until: number; answer: Authenticated | null }>();
  readonly cookieName = COOKIE;
  /** Verified against when there is no such user, so that the time tells nothing. */
  #decoy: Promise<string> | undefined;

  constructor(options: SessionsOptions) {
    this.#o = options;
    this.#lucia = new Lucia(new PostgresAdapter(options.pool), {
      sessionExpiresIn: new TimeSpan(DAYS, 'd'),
      sessionCookie: { name: COOKIE, attributes: { secure: options.secure, sameSite: 'lax', path: '/' } },
    });
  }

  /** Whether a browser at this origin may write or open a socket. */
  originAllowed(origin: string | null | undefined): boolean {
    return typeof origin === 'string' && this.#o.origins().includes(origin);
  }

  /**
   * Signs in.
   * @throws 401 for a wrong pair, whichever part was wrong; 429 after ten failures within a minute
   */
  async signIn(email: unknown, password: unknown, ip: string): Promise<{ principal: Principal; user: SessionUser; cookie: string }> {
    if (typeof email !== 'string' || typeof password !== 'string') {
      throw invalid([{ field: typeof email === 'string' ? 'password' : 'email', code: 'required', message: 'must be a string' }]);
    }
    const who = `${ip} ${email.trim().toLowerCase()}`;
    // One attempt at a time for each: a hundred at once would all be let through before the first has failed.
    const turn = (this.#attempts.get(who) ?? Promise.resolve()).then(() => this.#attempt(who, email.trim(), password));
    const settled = turn.then(
      () => undefined,
      () => undefined,
    );
    this.#attempts.set(who, settled);
    void settled.then(() => {
      if (this.#attempts.get(who) === settled) this.#attempts.delete(who);
    });
    const user = userOf(await turn);
    return { principal: principalOf(user), user, cookie: await this.open(user.id) };
  }

  async #attempt(who: string, email: string, password: string): Promise<UserRow> {
    this.#refuseAfterFailures(who);
    // Postgres knows no NUL; nobody has one in an address.
    const { rows } = await this.#o.pool.query<UserRow & { password_hash: string | null }>(
      'select * from kith."user" where lower(email) = lower($1) and active',
      [email.replaceAll('\u0000', ' ')],
    );
    const row = rows[0];
    this.#decoy ??= argon2(token());
    const fits = await verify(row?.password_hash ?? (await this.#decoy), password).catch(() => false);
    if (!row?.password_hash || !fits) {
      const failed = this.#failures.get(who) ?? { count: 0, since: Date.now() };
      failed.count++;
      this.#failures.set(who, failed);
      throw new KithError(401, 'wrong_credentials', 'E-mail and password do not match; check both.');
    }
    this.#failures.delete(who);
    return row;
  }

  /** A new session's cookie. */
  async open(userId: string): Promise<string> {
    const session = await this.#lucia.createSession(userId, {}, { sessionId: token() });
    return this.#lucia.createSessionCookie(session.id).serialize();
  }

  /**
   * Opens a guest's link: no session is kept, the link itself is what the cookie carries.
   * @throws 404 when it is unknown, revoked or too old
   */
  async openGuest(secret: unknown): Promise<{ principal: Principal; cookie: string }> {
    const guest = typeof secret === 'string' ? await guestOf(this.#o.pool, secret) : null;
    if (!guest) throw new KithError(404, 'link_gone', 'This link has expired or was withdrawn; ask for a new one.');
    const cookie = this.#lucia.createSessionCookie(GUEST_PREFIX + (secret as string));
    cookie.attributes.maxAge = Math.max(1, Math.floor((Date.parse(guest.expiresAt) - Date.now()) / 1000));
    return { principal: guest.principal, cookie: cookie.serialize() };
  }

  #refuseAfterFailures(who: string): void {
    const now = Date.now();
    // The table stays small: whoever has been quiet for the window is forgotten.
    if (this.#failures.size > 10_000)
      for (const [key, one] of this.#failures) if (now - one.since > FAILURE_WINDOW_MS) this.#failures.delete(key);
    const failed = this.#failures.get(who);
    if (!failed) return;
    const left = failed.since + FAILURE_WINDOW_MS - now;
    if (left <= 0) this.#failures.delete(who);
    else if (failed.count >= FAILURES) {
      throw new KithError(429, 'too_many_attempts', 'Too many wrong passwords; wait a moment and try again.', {
        retryAfter: Math.ceil(left / 1000),
      });
    }
  }

  /** Ends the session of a cookie and answers the cookie that clears it. */
  async signOut(cookieHeader: string | null | undefined): Promise<string> {
    const id = this.#lucia.readSessionCookie(cookieHeader ?? '');
    if (id && !id.startsWith(GUEST_PREFIX)) {
      const { user } = await this.#lucia.validateSession(id);
      await this.#lucia.invalidateSession(id);
      this.forget();
      // Sockets that came in with this session are asked who they are again.
      if (user) this.#o.accessChanged(user.id);
    }
    return this.#lucia.createBlankSessionCookie().serialize();
  }

  /** Who sends a request: a bearer key before a cookie. Null when it says nobody or somebody unknown. */
  async authenticate(headers: {
    authorization?: string | null | undefined;
    cookie?: string | null | undefined;
  }): Promise<Authenticated | null> {
    const bearer = /^Bearer\s+(\S+)$/i.exec(headers.authorization ?? '')?.[1];
    if (bearer !== undefined) return this.#believe(`key ${sha256(bearer)}`, () => this.#byKey(bearer));
    if (headers.authorization) return null;
    const id = headers.cookie ? this.#lucia.readSessionCookie(headers.cookie) : null;
    if (id?.startsWith(GUEST_PREFIX)) {
      const guest = await guestOf(this.#o.pool, id.slice(GUEST_PREFIX.length));
      return guest && { principal: guest.principal, via: 'cookie' };
    }
    return id ? this.#believe(`cookie ${sha256(id)}`, () => this.#byCookie(id)) : null;
  }

  /** What the database says, or said a moment ago. Of people from outside it is asked each time: their access ends at once. */
  async #believe(key: string, ask: () => Promise<Authenticated | null>): Promise<Authenticated | null> {
    const now = Date.now();
    const known = this.#believed.get(key);
    if (known && known.until > now) return known.answer;
    if (this.#believed.size > 5_000) this.#believed.clear();
    const answer = await ask();
    if (answer?.cookie === undefined && answer?.principal.outside === undefined)
      this.#believed.set(key, { until: now + BELIEVE_MS, answer });
    return answer;
  }

  /** Forgets what it believed: somebody's rights changed. */
  forget(): void {
    this.#believed.clear();
  }

  async #byKey(key: string): Promise<Authenticated | null> {
    const { rows } = await this.#o.pool.query<{ id: string; name: string; role: Role }>({
      name: 'kith_key',
      text: 'select id, name, role from kith.api_key where hash = $1 and revoked_at is null',
      values: [sha256(key)],
    });
    const row = rows[0];
    return row ? { principal: { id: row.id, kind: 'key', name: row.name, roles: [row.role] }, via: 'key' } : null;
  }

  async #byCookie(id: string): Promise<Authenticated | null> {
    const { session } = await this.#lucia.validateSession(id);
    if (!session) return null;
    const [, full] = await new PostgresAdapter(this.#o.pool).getSessionAndUser(id);
    if (!full) return null;
    const person = userOf(full.attributes);
    return {
      principal: principalOf(person),
      via: 'cookie',
      user: person,
      ...(session.fresh ? { cookie: this.#lucia.createSessionCookie(id).serialize() } : {}),
    };
  }

  /** Makes a person of the staff. Without a password they can only come in by an invitation. */
  async createUser(
    input: { email: string; name?: string; role: string; password?: string; color?: number; id?: string; language?: string },
    on: Queryable = this.#o.pool,
  ): Promise<string> {
    const problems = [];
    const email = input.email.trim();
    if (!/^[^\s@]+@[^\s@]+$/.test(email) || email.length > 254)
      problems.push({ field: 'email', code: 'invalid', message: 'must be an e-mail address' });
    if (!(ROLES as readonly string[]).includes(input.role))
      problems.push({ field: 'role', code: 'unknown_option', message: `must be one of ${ROLES.join(', ')}` });
    if (input.password !== undefined) problems.push(...passwordProblems('password', input.password));
    if (problems.length > 0) throw invalid(problems);
    const { id, name, language, color } = input;
    return insertUser(on, {
      ...(id === undefined ? {} : { id }),
      ...(language === undefined ? {} : { language }),
      ...(color === undefined ? {} : { color }),
      email,
      name: name?.trim() || email.split('@')[0]!,
      role: input.role as Role,
      passwordHash: input.password === undefined ? null : await argon2(input.password),
    });
  }

  /** Makes an API key; the key itself is answered once and never again. */
  async createKey(input: { name: string; role: string }): Promise<{ id: string; key: string }> {
    if (input.name.trim() === '') throw invalid([{ field: 'name', code: 'required', message: 'must not be empty' }]);
    if (!(ROLES as readonly string[]).includes(input.role)) {
      throw invalid([{ field: 'role', code: 'unknown_option', message: `must be one of ${ROLES.join(', ')}` }]);
    }
    const id = newId();
    const key = KEY_PREFIX + token();
    await this.#o.pool.query('insert into kith.api_key (id, name, role, hash) values ($1, $2, $3, $4)', [
      id,
      input.name.trim(),
      input.role,
      sha256(key),
    ]);
    return { id, key };
  }

  /** Invites somebody to the staff. The token is answered once. */
  async invite(
    by: Principal,
    input: { email: unknown; name: unknown; role: unknown },
  ): Promise<{ email: string; name: string; secret: string; expiresAt: string }> {
    const problems = invitedProblems(input);
    if (!(ROLES as readonly unknown[]).includes(input.role))
      problems.push({ field: 'role', code: 'unknown_option', message: `must be one of ${ROLES.join(', ')}` });
    if (problems.length > 0) throw invalid(problems);
    const person = invited(input);
    const { secret, expiresAt } = await invite(this.#o.pool, by, { ...person, role: input.role as Role });
    return { ...person, secret, expiresAt };
  }

  /** What an invitation says. @throws 404 when it is unknown, used or too old */
  async invitation(secret: string): Promise<Invitation> {
    const { rows } = await this.#o.pool.query<Invitation>(
      `select email, name, role, audience, company, admin, created_by as "createdBy"
       from kith.invitation where token_hash = $1 and used_at is null and expires_at > now()`,
      [sha256(secret)],
    );
    if (!rows[0]) throw invitationGone();
    return rows[0];
  }

  /** Accepts an invitation once: makes the person, of the staff or a partner, and signs them in. */
  async accept(secret: string, input: { name: unknown; password: unknown }): Promise<string> {
    await this.invitation(secret);
    const problems = passwordProblems('password', input.password);
    const name = typeof input.name === 'string' ? input.name.trim() : '';
    if (name === '') problems.push({ field: 'name', code: 'required', message: 'must not be empty' });
    if (name.length > 200) problems.push({ field: 'name', code: 'too_long', message: 'must have at most 200 characters' });
    if (problems.length > 0) throw invalid(problems);
    const passwordHash = await argon2(input.password as string);
    // The invitation is used up if and only if the person came of it.
    const id = await transaction(this.#o.pool, async (client) => {
      const { rows } = await client.query<Invitation>(
        `update kith.invitation set used_at = now() where token_hash = $1 and used_at is null and expires_at > now()
         returning email, name, role, audience, company, admin, created_by as "createdBy"`,
        [sha256(secret)],
      );
      const invitation = rows[0];
      if (!invitation) throw invitationGone();
      const { email, role, audience, company, admin } = invitation;
      return insertUser(client, {
        email,
        name,
        passwordHash,
        ...(role === null ? { audience: audience!, company: company!, admin } : { role }),
      });
    });
    return this.open(id);
  }

  /** All staff. */
  async people(): Promise<{ id: string; name: string; email: string; color: number; role: string; active: boolean }[]> {
    const { rows } = await this.#o.pool.query<{ id: string; name: string; email: string; color: number; role: string; active: boolean }>(
      `select id, name, email, color, role, active from kith."user" where kind = 'staff' order by name, id`,
    );
    return rows;
  }

  /** Changes somebody's role or lets them in no more; their open sockets and sessions follow within a second. */
  async changeUser(by: Principal, id: string, input: { role?: unknown; active?: unknown }): Promise<void> {
    if (input.role !== undefined && !(ROLES as readonly unknown[]).includes(input.role)) {
      throw invalid([{ field: 'role', code: 'unknown_option', message: `must be one of ${ROLES.join(', ')}` }]);
    }
    if (input.active !== undefined && typeof input.active !== 'boolean')
      throw invalid([{ field: 'active', code: 'invalid', message: 'must be true or false' }]);
    if (id === by.id) throw forbidden('You cannot change your own role or access; ask another administrator.');
    // Sockets and flushes that began on the old right are refused from the commit on, not only once they have heard.
    await transaction(this.#o.pool, async (client) => {
      await client.query('select kith.rights_changed()');
      const { rowCount } = await client.query(
        `update kith."user" set role = coalesce($2, role), active = coalesce($3, active) where id = $1 and kind = 'staff'`,
        [id, input.role ?? null, input.active ?? null],
      );
      if (rowCount === 0) throw notFound('user');
      if (input.active === false) await endSessions(client, id);
    });
    this.forget();
    this.#o.accessChanged(id);
  }

  /** Changes what a person says of themselves. */
  async changeProfile(id: string, input: Record<string, unknown>): Promise<void> {
    const problems = [];
    const { name, language, timeZone, theme } = input;
    if (name !== undefined && (typeof name !== 'string' || name.trim() === '' || name.length > 200))
      problems.push({ field: 'name', code: 'invalid', message: 'must not be empty' });
    if (language !== undefined && language !== null && language !== 'en' && language !== 'de')
      problems.push({ field: 'language', code: 'unknown_option', message: 'must be en or de' });
    if (theme !== undefined && theme !== 'light' && theme !== 'dark' && theme !== 'system')
      problems.push({ field: 'theme', code: 'unknown_option', message: 'must be light, dark or system' });
    if (timeZone !== undefined && timeZone !== null && !isTimeZone(timeZone))
      problems.push({ field: 'timeZone', code: 'invalid', message: 'must be a time zone like Europe/Berlin' });
    if (problems.length > 0) throw invalid(problems);
    const has = (key: string): boolean => input[key] !== undefined;
    await this.#o.pool.query(
      `update kith."user" set name = coalesce($2, name), theme = coalesce($3, theme),
        language = case when $4 then $5 else language end, time_zone = case when $6 then $7 else time_zone end where id = $1`,
      [
        id,
        typeof name === 'string' ? name.trim() : null,
        theme ?? null,
        has('language'),
        language ?? null,
        has('timeZone'),
        timeZone ?? null,
      ],
    );
    this.forget();
  }

  /** Changes a password; the old one must be known. Other sessions of the person end. */
  async changePassword(id: string, current: unknown, next: unknown): Promise<string> {
    const { rows } = await this.#o.pool.query<{ password_hash: string | null }>('select password_hash from kith."user" where id = $1', [
      id,
    ]);
    const fits =
      typeof current === 'string' && rows[0]?.password_hash ? await verify(rows[0].password_hash, current).catch(() => false) : false;
    if (!fits) throw invalid([{ field: 'current', code: 'wrong_credentials', message: 'is not your password' }]);
    const problems = passwordProblems('next', next);
    if (problems.length > 0) throw invalid(problems);
    await this.#o.pool.query('update kith."user" set password_hash = $2 where id = $1', [id, await argon2(next as string)]);
    await this.#lucia.invalidateUserSessions(id);
    this.forget();
    return this.open(id);
  }

  /** Who somebody is now; undefined when they may come in no more. */
  async principal(id: string): Promise<Principal | undefined> {
    const { rows } = await this.#o.pool.query<UserRow>('select * from kith."user" where id = $1 and active', [id]);
    return rows[0] && principalOf(userOf(rows[0]));
  }

  /** One person as a session sees them. */
  async user(id: string): Promise<SessionUser | undefined> {
    const { rows } = await this.#o.pool.query<UserRow>('select * from kith."user" where id = $1', [id]);
    return rows[0] && userOf(rows[0]);
  }
}

function isTimeZone(value: unknown): boolean {
  try {
    return typeof value === 'string' && Boolean(new Intl.DateTimeFormat('en', { timeZone: value }));
  } catch {
    return false;
  }
}

const userOf = (row: UserRow): SessionUser => ({
  id: row.id,
  kind: row.kind,
  email: row.email,
  name: row.name,
  roles: row.role === null ? [] : [row.role],
  ...(row.audience !== null && row.company !== null ? { partner: { audience: row.audience, company: row.company, admin: row.admin } } : {}),
  language: row.language,
  timeZone: row.time_zone,
  theme: row.theme as SessionUser['theme'],
  color: row.color,
});

const principalOf = ({ id, kind, name, roles, partner }: SessionUser): Principal => ({
  id,
  kind,
  name,
  roles,
  ...(partner
    ? { outside: { audience: partner.audience, company: partner.company, ...(partner.admin ? { admin: true as const } : {}) } }
    : {}),
});
