/** What the apps and collab use of the server besides the runtime. */
export { transaction } from './database.ts';
export { KithError, BootError, isDatabaseError, isOutage } from './errors.ts';
export { escapeHtml } from './html.ts';
export { newId } from './ids.ts';
export { createLog, errorData, withIds, type Log } from './log.ts';
export { flushed, requestAnswered, traced } from './telemetry.ts';
export { SYSTEM, hasRole } from './principal.ts';
export { commit, wasCommitted, type Changes, type DocumentWrite, type LedgerWrite, type Taken, type Unit } from './records/commit.ts';
export {
  claimClients,
  compact,
  isFromOlderLife,
  lagging,
  lockRecord,
  openStored,
  readStored,
  readTail,
  type Stored,
  type StoredDocument,
} from './records/documents.ts';
export { explain, type Actor, type Committed } from './records/door.ts';
export { docBit, facetNamed, facetNumbered, facetOf, fieldsIn, type Facet } from './records/facets.ts';
export { accessOf, joinOf, mayRead, portalOf } from './access/grant.ts';
export { readEpoch } from './access/rights.ts';
export { applyGuard } from './records/prepare.ts';
export { titleOf, referencesOf, type References } from './query/present.ts';
export { parseFilter } from './access/filter.ts';
export type { ListChange } from './live/lists.ts';
export { languageOf } from './rest/meta.ts';
export { sendResponse, toRequest } from './rest/http.ts';
export type { SessionUser, Authenticated } from './sessions/sessions.ts';
export { isSchedule, nextTime } from './jobs/jobs.ts';
