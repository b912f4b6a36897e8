/** What the API tells the screens, in the shapes in which it travels. */
import type { Address, AnyRef, FieldMode, FieldType, FieldValue, Filter, Merge, Money, Operator, Option, Part, Role } from '@kith/sdk';

export type { Address, AnyRef, FieldType, FieldValue, Filter, Money, Operator };

export interface OptionMeta extends Option {
  value: string;
  label: string;
}

/** A field of an object, labelled in the reader's language. */
export interface FieldMeta {
  name: string;
  type: FieldType;
  label: string;
  group?: string;
  groupLabel?: string;
  required: boolean;
  mode: FieldMode;
  merge: Merge;
  options?: OptionMeta[];
  to?: string;
  min?: number;
  max?: number;
  integer?: boolean;
  percent?: boolean;
  operators: Operator[];
  sortable: boolean;
  default?: FieldValue;
  /** The object that it belongs to. */
  of?: string;
  /** Whether the caller may change it, by whatever way its mode has. */
  writable?: boolean;
  /** Shown by its plugin's own screens only. */
  hidden?: boolean;
}

export interface ActionMeta {
  name: string;
  label: string;
  offered: ('button' | 'bulk')[];
  input: FieldMeta[];
  allowed: boolean;
}

export interface ViewMeta {
  id: string;
  label: string;
  type: 'table' | 'board';
  columns: string[];
  filter?: Filter | null;
  sort?: string[] | null;
  groupBy?: string | null;
  sum?: string | null;
}

/** A view that somebody saved. */
export interface SavedView extends Omit<ViewMeta, 'label'> {
  object: string;
  name: string;
  owner: string;
  shared: boolean;
}

export interface ObjectMeta {
  name: string;
  plugin: string;
  part: Part;
  icon: string;
  nav: boolean;
  label: { one: string; many: string };
  title: string[];
  search: boolean;
  fields: FieldMeta[];
  relations: { object: string; field: string; label: string; listed: boolean }[];
  actions: ActionMeta[];
  views: ViewMeta[];
  stages?: string;
  facets: { name: string; fields: string[]; access: 'write' | 'read' }[];
  rights: { read: boolean; create: boolean; update: boolean; delete: boolean };
  /** What its plugin tells of its records. */
  events?: { name: string; label: string }[];
  /** Kinds of files that can be read into its records. */
  importers?: ImporterMeta[];
}
export interface ImporterMeta {
  name: string;
  label: string;
  accepts: string[];
}

/** A record, with the words it is known by. */
export interface Rec {
  id: string;
  object: string;
  version: number;
  title: string;
  createdAt: string;
  /** People from outside do not learn who. */
  createdBy?: string;
  updatedAt: string;
  updatedBy?: string;
  deletedAt?: string | null;
  deletedBy?: string | null;
  fields: Record<string, FieldValue>;
}

/** What an id in an answer refers to. */
export interface Reference {
  object: string;
  title: string;
  /** Users only: their place in the palette of people. */
  color?: number;
}
export type Refs = Record<string, Reference>;

export type Total = { sum?: number | string | null | Money[]; avg?: number | string | null | Money[] };
export interface Group {
  value: FieldValue;
  count: number;
  sum?: number | string | null | Money[];
}

export interface Page {
  data: Rec[];
  nextCursor: string | null;
  count?: number;
  countCapped?: boolean;
  totals?: Record<string, Total>;
  groups?: Group[];
  refs?: Refs;
}

/** A colleague. */
export interface StaffUser {
  id: string;
  name: string;
  email: string;
  color: number;
  role: Role;
  active: boolean;
}

/** The person at the screen. */
export interface Me {
  id: string;
  kind: 'staff' | 'partner' | 'guest';
  name: string;
  email: string;
  roles: readonly Role[];
  language: Language | null;
  timeZone: string | null;
  theme: Theme;
  color: number;
}
export type Language = 'en' | 'de';
export type Theme = 'light' | 'dark' | 'system';

export type TimelineItem =
  | { kind: 'created'; at: string; by: string }
  | {
      kind: 'change' | 'deleted' | 'restored';
      at: string;
      by: string;
      cause?: Cause | null;
      fields: Record<string, [FieldValue, FieldValue]>;
    }
  /** A record about this one; the kind is its object's key. */
  | {
      kind: string;
      at: string;
      by: string;
      record: Rec;
      /** What a plugin keeps of the same thing, such as the mail that an activity tells of. */ behind?: Rec;
    };

export interface Cause {
  kind: string;
  id?: string | null;
}
export interface HistoryEntry {
  id: string;
  kind?: 'change' | 'delete' | 'restore';
  at: string;
  by: string;
  cause?: Cause | null;
  changes: Record<string, [FieldValue, FieldValue]>;
}

export interface Hit {
  object: string;
  id: string;
  title: string;
  subtitle?: string | null;
}
