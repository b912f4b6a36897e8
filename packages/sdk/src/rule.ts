/**
 * Rules: who may do what with which rows. A rule is data that compiles to SQL
 * and to a predicate (core/access), so that the two cannot differ by hand.
 */
import type { FieldValue } from './field.ts';
import type { Operator } from './filter.ts';

export const ROLES = ['admin', 'manager', 'member', 'reader'] as const;
/** A role of staff. Each may do what the ones after it may. */
export type Role = (typeof ROLES)[number];

export type Rule =
  | { everyone: true }
  | { nobody: true }
  | { role: Role[] }
  /** Staff whose role has this named permission of the plugin. */
  | { permission: string }
  /** The acting user is the value of this user field. */
  | { owner: string }
  /** The acting partner's company is the value of this reference, or the record itself for `id`. */
  | { company: string }
  /** The acting guest was given this very record. */
  | { guest: true }
  | { field: string; op: Exclude<Operator, 'contains' | 'startsWith'>; value?: FieldValue | FieldValue[] }
  | { and: Rule[] }
  | { or: Rule[] }
  | { not: Rule };

export const everyone: Rule = { everyone: true };
export const nobody: Rule = { nobody: true };
export const role = (...roles: Role[]): Rule => ({ role: roles });
/** Whoever has a permission that the same plugin declares under `permissions`. */
export const permission = (name: string): Rule => ({ permission: name });
export const owner = (field: string): Rule => ({ owner: field });
export const company = (field: string): Rule => ({ company: field });
export const guest: Rule = { guest: true };
export const allOf = (...rules: Rule[]): Rule => ({ and: rules });
export const anyOf = (...rules: Rule[]): Rule => ({ or: rules });
export const not = (rule: Rule): Rule => ({ not: rule });

/** What staff may do with an object's records. */
export interface Access {
  /** Who sees which records. */
  read: Rule;
  /** Who makes records. */
  create: Rule;
  /** Who changes which records. */
  update: Rule;
  /** Who puts which records into the bin. */
  delete: Rule;
}

const EDITORS = role('admin', 'manager', 'member');
/** Everyone on the staff reads; everyone but readers writes. */
export const DEFAULT_ACCESS: Access = { read: everyone, create: EDITORS, update: EDITORS, delete: EDITORS };
