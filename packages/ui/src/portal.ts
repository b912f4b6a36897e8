/** What the API tells a portal's screens, and what they hand to the plugins that fill them. */
import type { Filter } from '@kith/sdk';

export interface PortalPage {
  id: string;
  label: string;
  object: string;
  icon: string;
  columns: string[];
  filter?: Filter | null;
  sort?: string[] | null;
}
/** Records that the start page shows under a heading. */
export interface PortalSelection {
  object: string;
  filter: Filter;
  sort?: string[] | null;
}

/** The answer of `GET /portal`. */
export interface Portal {
  audience: string;
  audienceLabel: string;
  /** Whose portal it is. */
  host: { name: string };
  /** The company that these people belong to; guests have none. */
  partner: { id: string; name: string } | null;
  person: { id: string; name: string; admin: boolean };
  /** A member of the staff looks at what these partners see. */
  preview: boolean;
  /** Guests: the one record that they see. */
  record?: { object: string; id: string };
  pages: PortalPage[];
  start: { answer: PortalSelection[]; late: PortalSelection[]; changed: string[] };
  /** When the visit before this one ended. */
  since: string | null;
  /** What it is made of is switched off. */
  closed?: boolean;
}

/** Somebody from outside with access. */
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
export interface PartnerPeople {
  data: PartnerPerson[];
  invitations: PartnerInvitation[];
  /** Staff: the sorts of partners that companies can be. */
  audiences?: { key: string; label: string; of: string }[];
}
