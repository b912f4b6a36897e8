/** What people are called. */
export const nameOf = (person: { firstName: string | null; lastName: string | null } | undefined): string =>
  [person?.firstName, person?.lastName].filter(Boolean).join(' ');
