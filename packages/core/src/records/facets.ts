/**
 * Facets: the documents of a record, one per class of fields that the same
 * audiences read and write. Staff are the only audience so far, so each object
 * has one facet that holds all its live fields.
 */
import type { ModelField, ModelObject } from '@kith/sdk';

export interface Facet {
  name: string;
  num: number;
}
export const STAFF: Facet = { name: 'staff', num: 0 };

/** The facets of an object. */
export const facetsOf = (_object: ModelObject): readonly Facet[] => [STAFF];
/** The fields that live in a facet's document. */
export const fieldsIn = (object: ModelObject, _facet: Facet): ModelField[] =>
  [...object.fields.values()].filter((field) => field.merge !== 'none');
/** The facet that a field lives in; undefined when it lives in none. */
export const facetOf = (field: ModelField): Facet | undefined => (field.merge === 'none' ? undefined : STAFF);
/** The row's bit that says that a facet has a document. */
export const docBit = (facet: Facet): number => 2 ** facet.num;
