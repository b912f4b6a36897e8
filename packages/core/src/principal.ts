/** Who acts. */
import type { Principal, Role } from '@kith/sdk';

export type { Principal } from '@kith/sdk';

/** The system itself: demo data, migrations, follow-up. Its id is fixed. */
export const SYSTEM: Principal = {
  id: '00000000-0000-7000-8000-000000000000',
  kind: 'system',
  name: 'Kith',
  roles: ['admin'],
};

/** Whether a principal has one of the roles. */
export const hasRole = (principal: Principal, ...roles: readonly Role[]): boolean =>
  principal.kind === 'system' || principal.roles.some((one) => roles.includes(one));
