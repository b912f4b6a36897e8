/** Filters as people put them together: conditions that must all hold. */
import type { Comparison, Filter } from '@kith/sdk';

/** A filter as a list of conditions that must all hold. */
export function conditionsOf(filter: Filter | undefined): Filter[] {
  if (!filter) return [];
  return 'and' in filter ? filter.and : [filter];
}
export function filterOf(conditions: readonly Filter[]): Filter | undefined {
  if (conditions.length === 0) return undefined;
  return conditions.length === 1 ? conditions[0] : { and: [...conditions] };
}
export const isComparison = (filter: Filter): filter is Comparison => 'field' in filter;
