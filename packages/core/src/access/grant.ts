/**
 * What a principal may do with an object's records: for staff the object's own
 * access rules, for people from outside what a portal opens to their audience.
 */
import { everyone, nobody, type Access, type Facet, type ModelObject, type ModelPortal, type Principal, type Rule } from '@kith/sdk';

const CLOSED: Access = { read: nobody, create: nobody, update: nobody, delete: nobody };

/** The portal through which somebody from outside sees an object; undefined for staff, and where none is open. */
export function portalOf(object: ModelObject, principal: Principal): ModelPortal | undefined {
  const portal = principal.outside && object.portals.get(principal.outside.audience);
  return portal?.off ? undefined : portal;
}

/** Which rows a principal may read, create, change and delete. */
export function accessOf(object: ModelObject, principal: Principal): Access {
  if (!principal.outside) return principal.kind === 'plugin' ? EVERYTHING : object.access;
  const portal = portalOf(object, principal);
  if (!portal) return CLOSED;
  const acts = !principal.outside.preview;
  return {
    read: portal.rows,
    create: acts && portal.create ? portal.rows : nobody,
    update: acts && portal.write.size > 0 ? portal.rows : nobody,
    delete: nobody,
  };
}
/** A plugin that follows up on a change was let in with whoever made it. */
const EVERYTHING: Access = { read: everyone, create: everyone, update: everyone, delete: everyone };

/** Who may run an action. */
export function actionRule(object: ModelObject, principal: Principal, name: string): Rule {
  const action = object.actions.get(name);
  if (!action) return nobody;
  if (!principal.outside) return action.permission ?? accessOf(object, principal).update;
  const portal = portalOf(object, principal);
  return portal?.actions.has(name) && !principal.outside.preview ? portal.rows : nobody;
}

/** The fields that somebody may read, change, or give to a new record. Null where there is no limit besides the field's own mode. */
export const readableFields = (object: ModelObject, principal: Principal): ReadonlySet<string> | null =>
  principal.outside ? shownOf(object, portalOf(object, principal)?.read) : (object.shown ?? null);
export const writableFields = (object: ModelObject, principal: Principal): ReadonlySet<string> | null =>
  principal.outside ? shownOf(object, !principal.outside.preview && portalOf(object, principal)?.write) : (object.shown ?? null);
export const creatableFields = (object: ModelObject, principal: Principal): ReadonlySet<string> | null =>
  principal.outside ? shownOf(object, !principal.outside.preview && portalOf(object, principal)?.create) : (object.shown ?? null);
const NONE: ReadonlySet<string> = new Set();
/** Without the fields of plugins that are switched off. */
const shownOf = ({ shown }: ModelObject, names: ReadonlySet<string> | null | undefined | false): ReadonlySet<string> =>
  names ? (shown ? new Set([...names].filter((name) => shown.has(name))) : names) : NONE;

/** Whether a principal may read a field. */
export const mayRead = (object: ModelObject, principal: Principal, name: string): boolean =>
  readableFields(object, principal)?.has(name) ?? true;

/**
 * How a principal who may read (and perhaps change) a record joins one of its documents; null for not at all. Whoever
 * joins reads all that is in it, so every field must be theirs.
 */
export function joinOf(object: ModelObject, principal: Principal, facet: Facet, mayUpdate: boolean): 'write' | 'read' | null {
  if (!principal.outside) return mayUpdate ? 'write' : 'read';
  const readable = readableFields(object, principal)!;
  const names = [...facet.fields];
  if (names.length === 0 || !names.every((name) => readable.has(name))) return null;
  const writable = writableFields(object, principal)!;
  return mayUpdate && names.every((name) => writable.has(name)) ? 'write' : 'read';
}
