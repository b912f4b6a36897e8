/** Which loans are late: the same for every screen that shows them. */
import type { Filter } from '@kith/sdk';

export const LOAN = 'example.loan';
export const LATE: Filter = {
  and: [
    { field: 'status', op: 'eq', value: 'out' },
    { field: 'due', op: 'lt', value: { days: 0 } },
  ],
};
export const listOf = (...conditions: Filter[]): string =>
  `/o/${LOAN}?${new URLSearchParams({ filter: JSON.stringify(conditions) }).toString()}`;
