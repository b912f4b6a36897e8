/** The plugins of this build as the API tells administrators of them. */
import type { Part } from '@kith/sdk';
import type { FieldMeta, FieldValue } from '@kith/ui/types.ts';

export interface Kept {
  records: number;
  exact: boolean;
  bytes: number;
  tables: { name: string; rows: number; exact: boolean; bytes: number }[];
  columns: { table: string; column: string; rows: number; exact: boolean }[];
  files: { count: number; bytes: number };
}

export interface InstalledPlugin {
  id: string;
  label: string;
  version: string;
  part: Part;
  enabled: boolean;
  /** On, but something that it needs is off. */
  waits: boolean;
  changedAt: string | null;
  changedBy: string | null;
  needs: { id: string; range: string; on: boolean }[];
  neededBy: { id: string; on: boolean }[];
  contributes: {
    objects: { name: string; label: string }[];
    fields: number;
    actions: number;
    portals: string[];
    workflows: string[];
    routes: number;
    jobs: number;
    schedules: number;
    consumers: number;
    importers: string[];
    settings: number;
  };
  services: ServiceMeta[];
  stored: Kept;
}

/** Code of a plugin that runs all the time, in one process. */
export interface ServiceMeta {
  name: string;
  label: string;
  /** `pausing`: it failed and is tried again; `none`: no process runs it. */
  state: 'running' | 'pausing' | 'none';
  owner: string | null;
  since: string | null;
  /** The last error, whether it has run since or not. */
  error: string | null;
  failedAt: string | null;
  resumesAt: string | null;
}

interface SettingBase {
  name: string;
  label: string;
  help?: string;
  /** Whether somebody has said something. */
  set: boolean;
  /** A secret that was stored under another KITH_SECRET. */
  unreadable: boolean;
  changedAt: string | null;
  changedBy: string | null;
}
/** What administrators tell a plugin. */
export type SettingMeta = (SettingBase & FieldMeta & { value: FieldValue }) | (SettingBase & { type: 'secret' });

export interface PluginList {
  data: InstalledPlugin[];
  /** Those that are installed no more and have left something. */
  orphans: { id: string; stored: Kept }[];
}
