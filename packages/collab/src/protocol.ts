/** The y-websocket protocol, with the two messages that Kith adds: 100, how much is saved, and 101, what was refused. */
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';

export const SYNC = 0;
export const AWARENESS = 1;
export const AUTH = 2;
export const QUERY_AWARENESS = 3;
export const SAVED = 100;
export const NOTICE = 101;

export const STEP_1 = 0;
export const STEP_2 = 1;
export const UPDATE = 2;

export const CLOSE = {
  malformed: 4400,
  unauthenticated: 4401,
  forbidden: 4403,
  notFound: 4404,
  gone: 4410,
  tooLarge: 4413,
  /** The stock client reconnects after it. */
  overload: 1013,
  restart: 1012,
} as const;

/** A client's presence: its id, a counter that orders its states, and the state; null when it left. */
export interface Presence {
  client: number;
  clock: number;
  state: Record<string, unknown> | null;
}

export type Message =
  | { kind: 'step1'; vector: Uint8Array }
  | { kind: 'step2' | 'update'; update: Uint8Array }
  | { kind: 'awareness'; presences: Presence[] }
  | { kind: 'query' }
  | { kind: 'other' };

const KINDS: Readonly<Record<Message['kind'], true>> = {
  step1: true,
  step2: true,
  update: true,
  awareness: true,
  query: true,
  other: true,
};
/** The kinds of messages that a client may send. The test of rights is made from them. */
export const MESSAGE_KINDS: readonly string[] = Object.keys(KINDS);

const MOST_PRESENCES = 1_000;

/** Reads a frame. @throws when it is not one of the protocol */
export function readMessage(frame: Uint8Array): Message {
  const decoder = decoding.createDecoder(frame);
  const type = decoding.readVarUint(decoder);
  switch (type) {
    case SYNC: {
      const step = decoding.readVarUint(decoder);
      const bytes = decoding.readVarUint8Array(decoder);
      if (step === STEP_1) return { kind: 'step1', vector: bytes };
      if (step === STEP_2) return { kind: 'step2', update: bytes };
      if (step === UPDATE) return { kind: 'update', update: bytes };
      throw new Error(`unknown sync step ${step}`);
    }
    case AWARENESS:
      return { kind: 'awareness', presences: readPresences(decoding.readVarUint8Array(decoder)) };
    case QUERY_AWARENESS:
      return { kind: 'query' };
    default:
      return { kind: 'other' };
  }
}

function readPresences(bytes: Uint8Array): Presence[] {
  const decoder = decoding.createDecoder(bytes);
  const count = decoding.readVarUint(decoder);
  if (count > MOST_PRESENCES) throw new Error('too many presences');
  const presences: Presence[] = [];
  for (let i = 0; i < count; i++) {
    const client = decoding.readVarUint(decoder);
    const clock = decoding.readVarUint(decoder);
    const state = JSON.parse(decoding.readVarString(decoder)) as unknown;
    if (state !== null && (typeof state !== 'object' || Array.isArray(state))) throw new Error('a presence must be an object');
    presences.push({ client, clock, state: state as Record<string, unknown> | null });
  }
  return presences;
}

const frame = (write: (encoder: encoding.Encoder) => void): Uint8Array => encoding.encode(write);

export const step1Frame = (vector: Uint8Array): Uint8Array =>
  frame((encoder) => {
    encoding.writeVarUint(encoder, SYNC);
    encoding.writeVarUint(encoder, STEP_1);
    encoding.writeVarUint8Array(encoder, vector);
  });
export const step2Frame = (update: Uint8Array): Uint8Array =>
  frame((encoder) => {
    encoding.writeVarUint(encoder, SYNC);
    encoding.writeVarUint(encoder, STEP_2);
    encoding.writeVarUint8Array(encoder, update);
  });
export const updateFrame = (update: Uint8Array): Uint8Array =>
  frame((encoder) => {
    encoding.writeVarUint(encoder, SYNC);
    encoding.writeVarUint(encoder, UPDATE);
    encoding.writeVarUint8Array(encoder, update);
  });
export const savedFrame = (count: number): Uint8Array =>
  frame((encoder) => {
    encoding.writeVarUint(encoder, SAVED);
    encoding.writeVarUint(encoder, count);
  });
export const noticeFrame = (notice: { code: string; field: string; message: string }): Uint8Array =>
  frame((encoder) => {
    encoding.writeVarUint(encoder, NOTICE);
    encoding.writeVarString(encoder, JSON.stringify(notice));
  });
export const awarenessFrame = (presences: readonly Presence[]): Uint8Array =>
  frame((encoder) => {
    encoding.writeVarUint(encoder, AWARENESS);
    encoding.writeVarUint8Array(
      encoder,
      frame((inner) => {
        encoding.writeVarUint(inner, presences.length);
        for (const { client, clock, state } of presences) {
          encoding.writeVarUint(inner, client);
          encoding.writeVarUint(inner, clock);
          encoding.writeVarString(inner, JSON.stringify(state));
        }
      }),
    );
  });
