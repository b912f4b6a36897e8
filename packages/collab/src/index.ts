/** The live side of the web: `/collab` for documents and `/live` for lists. */
export { attach, type Collab } from './server.ts';
export { LIST_OPS } from './lists.ts';
export { MESSAGE_KINDS } from './protocol.ts';
