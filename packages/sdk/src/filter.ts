/** Filters: the one form in which lists, boards, segments, views and rules say which records they mean. */
import type { FieldType, FieldValue } from './field.ts';

export const OPERATORS = ['eq', 'ne', 'lt', 'lte', 'gt', 'gte', 'in', 'nin', 'contains', 'startsWith', 'isNull', 'between'] as const;
export type Operator = (typeof OPERATORS)[number];

/** A day counted from today: `{ days: 7 }` is today in a week. For date fields, so that a saved list does not grow old. */
export interface RelativeDay {
  /** Days from today, negative for the past. */
  days: number;
}

/** A comparison of one field. `field` may be a dotted path over references (`company.country`). */
export interface Comparison {
  /** A field, or a path over references to one. */
  field: string;
  /** How it is compared; which operators fit depends on the type of the field. */
  op: Operator;
  /** What it is compared with: a list for `in`, `nin` and `between`, true or false for `isNull`. */
  value?: FieldValue | FieldValue[] | RelativeDay;
}

export type Filter = Comparison | { and: Filter[] } | { or: Filter[] } | { not: Filter };

/** Deepest nesting of and, or and not that is accepted. */
export const FILTER_DEPTH = 8;
/** Most comparisons in one filter. */
export const FILTER_SIZE = 200;

const EQUALITY: Operator[] = ['eq', 'ne', 'in', 'nin', 'isNull'];
const ORDER: Operator[] = ['lt', 'lte', 'gt', 'gte', 'between'];
const TEXT: Operator[] = ['contains', 'startsWith'];

/** The operators that make sense for a type. */
export function operatorsFor(type: FieldType): Operator[] {
  switch (type) {
    case 'text':
    case 'email':
    case 'phone':
    case 'url':
      return [...EQUALITY, ...TEXT, ...ORDER];
    case 'longText':
    case 'richText':
      return ['contains', 'isNull'];
    case 'number':
    case 'money':
    case 'date':
    case 'dateTime':
      return [...EQUALITY, ...ORDER];
    case 'boolean':
    case 'select':
    case 'ref':
    case 'user':
    case 'anyRef':
      return EQUALITY;
    case 'multiSelect':
    case 'refs':
      return ['eq', 'ne', 'contains', 'in', 'nin', 'isNull'];
    case 'address':
      return ['contains', 'isNull'];
  }
}
