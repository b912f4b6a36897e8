/**
 * Yjs client ids that belong to the server.
 *
 * Server-made updates use one id per field, so that overwriting a field again
 * and again collapses into one range instead of growing for ever; and other ids
 * in every generation, so that an old copy can never be taken for the new one.
 * Clients draw theirs at random from 32 bits; the few that fall below 1024 are
 * refused (one in four million) and the client draws again.
 */
const PER_GENERATION = 1024;

/** Most fields of one object that a document can hold. */
export const FIELD_NUMBERS = PER_GENERATION - 1;

/** The id under which the server writes field number `num` (0 to 1022) in a generation. */
export function serverClientId(num: number, generation: number): number {
  if (num < 0 || num >= FIELD_NUMBERS) throw new RangeError(`field number ${num} is out of range`);
  return generation === 0 ? num + 1 : 2 ** 32 + generation * PER_GENERATION + num;
}

/** Whether an id is the server's, in whatever generation. */
export const isServerClient = (client: number): boolean => client < PER_GENERATION || client >= 2 ** 32;

/** The generation that a server id belongs to; undefined for other ids and for 0, which no field has. */
export function generationOf(client: number): number | undefined {
  if (client >= 1 && client < PER_GENERATION) return 0;
  return client >= 2 ** 32 ? Math.floor((client - 2 ** 32) / PER_GENERATION) : undefined;
}
