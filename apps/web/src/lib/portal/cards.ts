/** What a portal's cards and lists say of a record. */
import { shownFields } from '@kith/ui/meta.ts';
import type { Portal, PortalPage } from '@kith/ui/portal.ts';
import type { FieldMeta, Filter, ObjectMeta, Page } from '@kith/ui/types.ts';

const MOST = 5;

/** The fields beside the title, most telling first: those of a page, else of the object's first page or view. */
export function columnsOf(portal: Portal, object: ObjectMeta, page?: PortalPage): FieldMeta[] {
  const names = (page ?? portal.pages.find((one) => one.object === object.name))?.columns ?? object.views[0]?.columns ?? [];
  const found = names.flatMap((name) => object.fields.find((field) => field.name === name) ?? []);
  const rest = found.length > 0 ? found : shownFields(object).filter((field) => field.type !== 'longText' && field.type !== 'richText');
  return rest.filter((field) => !object.title.includes(field.name));
}

/** What a card needs to be read. */
export const cardFields = (portal: Portal, object: ObjectMeta): string[] => [
  ...object.title.filter((name) => object.fields.some((field) => field.name === name)),
  ...columnsOf(portal, object)
    .slice(0, MOST)
    .map((field) => field.name),
];

/** The records under one heading, as far as they come from one object. */
export interface Part {
  object: string;
  filter: Filter;
  sort: string[];
  fields: string[];
  page: Page;
}
