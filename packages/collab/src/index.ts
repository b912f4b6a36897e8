/** The live side of the web: `/collab` for documents and `/live` for lists. */
export { attach, type Collab } from './server.ts';
