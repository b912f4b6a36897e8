/** What roles may do with records, as the API tells it. */
import type { Role } from '@kith/sdk';

export const RIGHTS = ['read', 'create', 'update', 'delete'] as const;
export type Right = (typeof RIGHTS)[number];
export type Rights = Record<Right, boolean>;

/** A named right of a plugin: who has it, and who would if nobody had said anything. */
export interface NamedPermission {
  name: string;
  label: string;
  plugin: string;
  pluginLabel: string;
  roles: Record<Role, boolean>;
  declared: Record<Role, boolean>;
}

export interface Permission {
  object: string;
  label: string;
  /** What each role may, and what the plugin declares: never more than that. */
  roles: Record<Role, Rights & { declared: Rights }>;
}
