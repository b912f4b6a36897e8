/**
 * The host's own tables, in schema `kith`: documents, ledger, outbox, people.
 * The statements run once each, in order; the list only grows.
 */
import type { FieldValue } from '@kith/sdk';
import type { ColumnType, Generated, JSONColumnType } from 'kysely';

type Time = ColumnType<string, string | Date | undefined, string | Date>;

export interface HostTables {
  'kith.migration': { plugin: string; name: string; applied_at: Time };
  'kith.field': { object: string; name: string; num: number; facet: number };
  'kith.user': {
    id: string;
    email: string;
    name: string;
    /** Null for partners. */
    role: string | null;
    kind: Generated<'staff' | 'partner'>;
    audience: string | null;
    company: string | null;
    admin: Generated<boolean>;
    seen_at: Time | null;
    visited_at: Time | null;
    active: Generated<boolean>;
    password_hash: string | null;
    language: string | null;
    time_zone: string | null;
    theme: Generated<string>;
    color: Generated<number>;
    created_at: Time;
  };
  'kith.session': { id: string; user_id: string; expires_at: Time; created_at: Time };
  'kith.api_key': {
    id: string;
    name: string;
    role: string;
    hash: string;
    created_at: Time;
    revoked_at: Time | null;
  };
  'kith.invitation': {
    id: string;
    token_hash: string;
    email: string;
    name: string;
    role: string;
    created_by: string;
    created_at: Time;
    expires_at: Time;
    used_at: Time | null;
  };
  'kith.setting': { name: string; value: JSONColumnType<Record<string, FieldValue>> };
  'kith.view': {
    id: string;
    object: string;
    name: string;
    owner: string;
    shared: boolean;
    definition: JSONColumnType<Record<string, unknown>>;
    created_at: Time;
  };
}

export const HOST_MIGRATIONS: readonly { name: string; up: readonly string[] }[] = [
  {
    name: '0001-begin',
    up: [
      `create extension if not exists pg_trgm schema public`,
      `create extension if not exists unaccent schema public`,
      `create extension if not exists btree_gin schema public`,
      // An amount never stands without its currency; as one column it cannot be half-written.
      `create type kith.money as (amount numeric, currency text)`,
      // unaccent() is only stable, since its dictionary may change; an index needs an immutable function.
      `create function kith.fold(value text) returns text language sql immutable parallel safe strict
         return lower(public.unaccent('public.unaccent'::regdictionary, value))`,
      `create function kith.fold_all(variadic parts text[]) returns text language sql immutable parallel safe
         return kith.fold(array_to_string(parts, ' '))`,

      `create table kith.field (
         object text not null, name text not null, num smallint not null, facet smallint not null default 0,
         primary key (object, name), unique (object, num))`,

      `create table kith."user" (
         id uuid primary key, email text not null, name text not null, role text not null,
         active boolean not null default true, password_hash text,
         language text, time_zone text, theme text not null default 'system', color smallint not null default 0,
         created_at timestamptz not null default now())`,
      `create unique index user_email on kith."user" (lower(email))`,
      `create table kith.session (
         id text primary key, user_id uuid not null references kith."user" on delete cascade,
         expires_at timestamptz not null, created_at timestamptz not null default now())`,
      `create index session_of on kith.session (user_id)`,
      `create table kith.api_key (
         id uuid primary key, name text not null, role text not null, hash text not null unique,
         created_at timestamptz not null default now(), revoked_at timestamptz)`,
      `create table kith.invitation (
         id uuid primary key, token_hash text not null unique, email text not null, name text not null, role text not null,
         created_by uuid not null, created_at timestamptz not null default now(),
         expires_at timestamptz not null, used_at timestamptz)`,
      `create table kith.setting (name text primary key, value jsonb not null)`,
      `create table kith.view (
         id uuid primary key, object text not null, name text not null, owner uuid not null,
         shared boolean not null default false, definition jsonb not null, created_at timestamptz not null default now())`,
      `create index view_object on kith.view (object)`,

      // Documents. A head exists if and only if the row's docs bit is set.
      `create table kith.doc_head (
         record uuid not null, facet smallint not null, object text not null,
         generation integer not null default 0, seq bigint not null default 0,
         -- The sequence whose large texts the columns show, while they lag behind; null when they are up to date.
         shown bigint,
         primary key (record, facet)) with (fillfactor = 50)`,
      `create index doc_head_shown on kith.doc_head (object) where shown is not null`,
      `create table kith.doc_log (
         record uuid not null, facet smallint not null, seq bigint not null,
         flush uuid not null, upd bytea not null,
         primary key (record, facet, seq))`,
      `create index doc_log_flush on kith.doc_log (flush)`,
      `create table kith.doc_snapshot (
         record uuid not null, facet smallint not null, upto bigint not null, state bytea not null,
         primary key (record, facet))`,
      `create table kith.doc_client (
         record uuid not null, facet smallint not null, generation integer not null, client bigint not null,
         principal uuid not null,
         primary key (record, facet, generation, client))`,

      `create table kith.ledger (
         id uuid not null, at timestamptz not null default clock_timestamp(),
         object text not null, record uuid not null, author uuid not null,
         kind text not null, cause_kind text not null, cause uuid, changes jsonb not null,
         primary key (id, at)) partition by range (at)`,
      `create table kith.ledger_default partition of kith.ledger default`,
      `create index ledger_record on kith.ledger (record, at desc, id desc)`,
      `create index ledger_cause on kith.ledger (cause) where cause is not null`,

      `create table kith.outbox (
         id bigint generated always as identity primary key,
         object text not null, record uuid not null, kind text not null, author uuid not null,
         version bigint not null, changes jsonb not null, at timestamptz not null default clock_timestamp())`,
      `create table kith.event_log (
         position bigint primary key,
         object text not null, record uuid not null, kind text not null, author uuid not null,
         version bigint not null, changes jsonb not null, at timestamptz not null)`,
      `create index event_log_at on kith.event_log (at)`,
      // One row: the last position given. The leader's update of it also fences a second leader.
      `create table kith.event_counter (one boolean primary key default true check (one), last bigint not null)`,
      `insert into kith.event_counter (last) values (0)`,

      `create table kith.idempotency (
         principal uuid not null, key text not null, request_hash text not null,
         status integer not null, body jsonb not null, created_at timestamptz not null default now(),
         primary key (principal, key))`,
      `create table kith.ticket (
         hash text primary key, principal uuid not null, kind text not null, name text not null, roles text[] not null,
         record uuid not null, object text not null, facet text not null,
         expires_at timestamptz not null)`,
    ],
  },
  {
    name: '0002-search-text',
    up: [
      // What a record is found by: its search fields, folded, each on a line of its own, so that one can be looked into
      // alone, and begun with a space, so that the beginning of a word can be told.
      `create function kith.search_text(variadic parts text[]) returns text language sql immutable parallel safe
         return kith.fold(array_to_string(parts, E' \\n ', ''))`,
      `drop function kith.fold_all(text[]) cascade`,
    ],
  },
  {
    name: '0003-people-from-outside',
    up: [
      // Documents of an object's records. Fields move to new ones and never back, so that none is ever in two.
      `create table kith.facet (object text not null, num smallint not null, name text not null, primary key (object, num), unique (object, name))`,

      // Partners are users of another kind: of a company, in an audience, with no role.
      `alter table kith."user" alter column role drop not null,
         add column kind text not null default 'staff' check (kind in ('staff', 'partner')),
         add column audience text, add column company uuid, add column admin boolean not null default false,
         -- When they were last here, and when the visit before that ended.
         add column seen_at timestamptz, add column visited_at timestamptz,
         add constraint user_of check ((kind = 'staff') = (role is not null) and (kind = 'partner') = (audience is not null and company is not null))`,
      `create index user_company on kith."user" (company) where company is not null`,
      `alter table kith.invitation alter column role drop not null,
         add column audience text, add column company uuid, add column admin boolean not null default false,
         add constraint invitation_to check ((role is null) = (audience is not null and company is not null))`,
      `create index invitation_company on kith.invitation (company) where company is not null`,
      // A link that shows one record to whoever has it.
      `create table kith.guest (
         id uuid primary key, token_hash text not null unique, audience text not null, object text not null, record uuid not null,
         name text not null, created_by uuid not null, created_at timestamptz not null default now(),
         expires_at timestamptz not null, revoked_at timestamptz)`,
      `create index guest_record on kith.guest (record)`,
      // Who a ticket's bearer is, where they come from outside.
      `alter table kith.ticket add column outside jsonb`,

      // What roles may do less than the declarations say.
      `create table kith.permission (
         object text not null, role text not null,
         reads boolean not null, creates boolean not null, updates boolean not null, deletes boolean not null,
         primary key (object, role))`,

      // Counts changes of anybody's rights. Whoever commits for others asks, so that nothing is done on a right that ended.
      `create table kith.rights (one boolean primary key default true check (one), epoch bigint not null)`,
      `insert into kith.rights (epoch) values (0)`,
      // Volatile, so that it sees what was committed while it waited for the lock that a change of rights holds.
      `create function kith.rights_epoch() returns bigint language plpgsql volatile as $$
       begin
         perform pg_advisory_xact_lock_shared(7010);
         return (select epoch from kith.rights);
       end $$`,
      `create function kith.rights_changed() returns bigint language plpgsql volatile as $$
       declare now_at bigint;
       begin
         perform pg_advisory_xact_lock(7010);
         update kith.rights set epoch = epoch + 1 returning epoch into now_at;
         return now_at;
       end $$`,

      // The second wall asks these who is reading. They answer nothing once access was withdrawn.
      `create function kith.reading_company() returns uuid language sql stable security definer set search_path = pg_catalog as $$
         select u.company from kith."user" u
         where u.id = nullif(current_setting('kith.partner', true), '')::uuid and u.active and u.kind = 'partner'
         union all
         select nullif(current_setting('kith.preview', true), '')::uuid from kith."user" u
         where u.id = nullif(current_setting('kith.previewer', true), '')::uuid and u.active and u.role in ('admin', 'manager')
         limit 1
       $$`,
      `create function kith.reading_guest() returns uuid language sql stable security definer set search_path = pg_catalog as $$
         select g.record from kith.guest g
         where g.id = nullif(current_setting('kith.guest', true), '')::uuid and g.revoked_at is null and g.expires_at > now()
       $$`,
    ],
  },
  {
    name: '0004-search-of-a-company',
    up: [
      // What a company finds its records by: every three letters of their search text, and the first letter of each word,
      // each mixed with the company. An index of these holds for each company what an index of letters alone would hold for
      // all, so that a search costs what is one's own. A match may be an accident: LIKE looks again.
      `create function kith.search_tokens(company uuid, value text) returns bigint[] language sql immutable parallel safe
         return (
           select array_agg(distinct hashtextextended(company::text || part, 0)) from (
             select substr(' ' || value, i, 3) as part from generate_series(1, length(value) - 1) i
             union all
             select substr(' ' || value, i, 2) from generate_series(1, length(value)) i where substr(' ' || value, i, 1) = ' ') parts
           where company is not null)`,
    ],
  },
  {
    name: '0005-background',
    up: [
      // Why something changed, by which action of whom, and whether it has come to rest.
      ...['outbox', 'event_log'].map(
        (table) => `alter table kith.${table}
           add column cause_kind text not null default 'api', add column cause uuid, add column act text, add column audience text,
           add column settled boolean not null default true`,
      ),
      // What is being typed: the value from before, until nobody has typed for a while.
      `create table kith.unsettled (
         record uuid not null, field text not null, object text not null, author uuid not null, version bigint not null,
         -- No values for long texts.
         cause_kind text not null, cause uuid, before jsonb, after jsonb, due timestamptz not null,
         primary key (record, field))`,
      `create index unsettled_due on kith.unsettled (due)`,

      // How far each follower of the event log has come. Whoever locks the row follows.
      `create table kith.consumer (name text primary key, position bigint not null, failures smallint not null default 0)`,

      // Work to be done. A queue carries the ids to the workers; what is true stands here: a row goes in the transaction of its effect.
      `create table kith.job (
         id uuid primary key, handler text not null, lane smallint not null, key text, data jsonb not null,
         due timestamptz not null,
         -- waiting: for its time or its turn; queued: handed over; calling: an outside call is under way; parked: for a person to look at.
         state text not null default 'waiting' check (state in ('waiting', 'queued', 'calling', 'parked')),
         -- Until when it is believed to be under way.
         lease timestamptz,
         attempts smallint not null default 0, handed smallint not null default 0,
         error text, failed_at timestamptz,
         -- What an outside call came to, while it is not yet dealt with.
         outcome jsonb, created_at timestamptz not null default clock_timestamp()) with (fillfactor = 70)`,
      `create index job_lane on kith.job (lane, state, due)`,
      `create index job_lease on kith.job (state, lease) where lease is not null`,
      `create index job_parked on kith.job (failed_at, id) where state = 'parked'`,
      `create unique index job_key on kith.job (handler, key) where key is not null and state = 'waiting'`,
      `create table kith.schedule (name text primary key, expression text not null, next timestamptz not null)`,
    ],
  },
  {
    name: '0006-notices',
    up: [
      `create table kith.notice (
         id uuid primary key, person uuid not null references kith."user" on delete cascade, kind text not null,
         object text, record uuid, text text, key text, author uuid not null,
         at timestamptz not null default clock_timestamp(), read_at timestamptz, mailed_at timestamptz)`,
      `create index notice_of on kith.notice (person, at desc, id desc)`,
      `create index notice_unread on kith.notice (person) where read_at is null`,
      `create unique index notice_key on kith.notice (person, key) where key is not null`,
      // What somebody wants to be told; everything unless they said otherwise.
      `create table kith.notice_choice (
         person uuid not null references kith."user" on delete cascade, kind text not null, wanted boolean not null, primary key (person, kind))`,
    ],
  },
  {
    name: '0007-plugins',
    up: [
      // Which plugins are switched on; one without a row is as its declaration says.
      `create table kith.plugin (
         id text primary key, version text not null, enabled boolean not null, changed_at timestamptz, changed_by uuid)`,
    ],
  },
  {
    name: '0009-files',
    up: [
      // Files of plugins, in pieces: none is ever whole in one row, neither in a statement nor in a backup.
      `create table kith.file (
         id uuid primary key, plugin text not null, name text not null, type text not null, size int not null,
         created_at timestamptz not null, created_by uuid not null)`,
      `create index file_plugin on kith.file (plugin)`,
      `create table kith.file_part (file uuid not null, part int not null, data bytea not null, primary key (file, part))`,
      // Most files are compressed as they are.
      `alter table kith.file_part alter column data set storage external`,
    ],
  },
  {
    name: '0010-plugin-settings',
    up: [
      // What administrators said to plugins: a value, or a secret that is encrypted under a key derived from KITH_SECRET.
      `create table kith.plugin_setting (
         plugin text not null, name text not null, value jsonb, secret bytea,
         changed_at timestamptz not null default now(), changed_by uuid,
         primary key (plugin, name), check ((value is null) <> (secret is null)))`,
    ],
  },
  {
    name: '0011-named-permissions',
    up: [
      // What administrators said of plugins' named rights; a role without a row has what the plugin declares.
      `create table kith.named_permission (name text not null, role text not null, allowed boolean not null, primary key (name, role))`,
    ],
  },
  {
    name: '0012-plugin-services',
    up: [
      // Who runs which service, in its how manyth term. Locks decide who does; an owner writes only while the term is its own.
      `create table kith.plugin_service (
         name text primary key, epoch integer not null, owner text, since timestamptz,
         state text not null check (state in ('idle', 'running', 'pausing')), error text, failed_at timestamptz, resumes_at timestamptz)`,
    ],
  },
  {
    name: '0013-events-of-plugins',
    up: [
      // What a plugin tells of a record beyond its changes.
      ...['outbox', 'event_log'].map((table) => `alter table kith.${table} add column event text, add column data jsonb`),
    ],
  },
];
