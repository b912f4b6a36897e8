/**
 * Facets: the documents of a record, one per class of fields that the same
 * audiences read and write. Which field is where is stored, and a field only
 * ever moves to another document when who may read it parts from its neighbours.
 */
import type { Facet, ModelField, ModelObject } from '@kith/sdk';

export type { Facet } from '@kith/sdk';

/** The fields that live in a facet's document. */
export const fieldsIn = (object: ModelObject, facet: Facet): ModelField[] =>
  [...facet.fields].flatMap((name) => {
    const field = object.fields.get(name);
    return field && field.merge !== 'none' ? [field] : [];
  });
/** The facet that a field lives in; undefined when it lives in none. */
export const facetOf = (object: ModelObject, name: string): Facet | undefined => object.facets.find((facet) => facet.fields.has(name));
export const facetNamed = (object: ModelObject, name: string): Facet | undefined => object.facets.find((facet) => facet.name === name);
export const facetNumbered = (object: ModelObject, num: number): Facet | undefined => object.facets.find((facet) => facet.num === num);
/** The row's bit that says that a facet has a document. */
export const docBit = (facet: Facet): number => 2 ** facet.num;
/** Whether a row says that a facet has a document. Bits beyond 31 are out of reach of JavaScript's operators. */
export const hasDocument = (docs: number, facet: Facet): boolean => Math.floor(docs / docBit(facet)) % 2 === 1;
/** Most facets of an object: their bits are exact in a number of JavaScript. */
export const MOST_FACETS = 50;

/** Replaces what the declarations say by what is stored. Fields that are stored nowhere stay where they are declared. */
export function adoptFacets(object: ModelObject, stored: readonly { num: number; name: string; fields: readonly string[] }[]): void {
  object.facets = stored
    .map(({ num, name, fields }) => ({ num, name, fields: new Set(fields.filter((field) => object.fields.get(field)?.merge !== 'none')) }))
    .sort((a, b) => a.num - b.num);
}
