/** What an update's bytes tell before it is integrated. */
import * as decoding from 'lib0/decoding';
import * as Y from 'yjs';

/** The clients whose structs an update carries, and the clock up to which it brings each. */
export function clientsOf(update: Uint8Array): Map<number, { from: number; to: number | undefined }> {
  const decoder = decoding.createDecoder(update);
  const sections = decoding.readVarUint(decoder);
  if (sections === 0) return new Map();
  if (sections === 1) {
    // Nearly all updates: one client's section, whose head can be read without decoding what follows.
    decoding.readVarUint(decoder);
    const client = decoding.readVarUint(decoder);
    return new Map([[client, { from: decoding.readVarUint(decoder), to: undefined }]]);
  }
  const { from, to } = Y.parseUpdateMeta(update);
  return new Map([...to].map(([client, clock]) => [client, { from: from.get(client) ?? 0, to: clock }]));
}

/** The clocks that an update reaches, whatever the number of its sections. */
export const reachOf = (update: Uint8Array): Map<number, number> => Y.parseUpdateMeta(update).to;

/** Whether integrating an update would change nothing: all its structs and deletions are there. */
export function isKnown(doc: Y.Doc, update: Uint8Array): boolean {
  const { structs, ds } = Y.decodeUpdate(update);
  for (const struct of structs) {
    if (struct.id.clock + struct.length > Y.getState(doc.store, struct.id.client)) return false;
  }
  for (const [client, deletions] of ds.clients) {
    const known = doc.store.clients.get(client);
    for (const { clock, len } of deletions) {
      if (!known || clock + len > Y.getState(doc.store, client)) return false;
      for (let i = Y.findIndexSS(known, clock); i < known.length && known[i]!.id.clock < clock + len; i++)
        if (!known[i]!.deleted) return false;
    }
  }
  return true;
}
