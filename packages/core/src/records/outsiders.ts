/** What the door does differently for people from outside: whether they are still let in, and what they see of a record. */
import type { ModelObject, Principal, Rec } from '@kith/sdk';
import { sql, type RawBuilder } from 'kysely';
import { creatableFields, readableFields, writableFields } from '../access/grant.ts';
import { KithError } from '../errors.ts';
import { audienceColumns } from './columns.ts';
import type { Stored } from './documents.ts';

/** Whether somebody from outside writes a reference themselves, when creating or changing. */
export const writesTo = (object: ModelObject, principal: Principal, name: string): boolean =>
  writableFields(object, principal)?.has(name) === true || creatableFields(object, principal)?.has(name) === true;

/** Nothing is done for somebody from outside whose access was withdrawn meanwhile, whatever was believed when they knocked. */
export const stillIn = (principal: Principal): RawBuilder<boolean> =>
  principal.kind === 'partner' && !principal.outside?.preview
    ? sql<boolean>`exists (select from kith."user" u where u.id = ${principal.id} and u.active)`
    : principal.kind === 'guest'
      ? sql<boolean>`exists (select from kith.guest g where g.id = ${principal.id} and g.revoked_at is null and g.expires_at > now())`
      : sql<boolean>`true`;

/** @throws 412 when the record has moved on since the caller saw it; for people from outside, what they see of it */
export function requireVersion(object: ModelObject, principal: Principal, stored: Stored, wanted: number | undefined): void {
  if (wanted === undefined) return;
  const version = versionFor(object, principal, stored);
  if (version === wanted) return;
  throw new KithError(412, 'version_mismatch', `The record is at version ${version}, not ${wanted}; read it again and repeat the change.`);
}

/** The version of a record as somebody counts it: for people from outside, by what they may read. */
export function versionFor(object: ModelObject, { outside }: Principal, { row }: Stored): number {
  if (!outside || !object.portals.has(outside.audience)) return row.version;
  return (row as unknown as Record<string, number>)[audienceColumns(outside.audience).version]!;
}

/** What somebody from outside may see of a record: of a new or just changed one, without asking again. */
export function masked(object: ModelObject, principal: Principal, rec: Rec): Rec {
  const readable = readableFields(object, principal);
  if (readable === null) return rec;
  const fields = Object.fromEntries(Object.entries(rec.fields).filter(([name]) => readable.has(name)));
  if (!principal.outside) return { ...rec, fields };
  const { createdBy: _createdBy, updatedBy: _updatedBy, ...rest } = rec;
  return { ...rest, fields };
}
