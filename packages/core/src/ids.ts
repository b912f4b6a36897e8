/** UUIDv7: ids that sort by their time, so that keys fill their index from one side. */
import { randomFillSync } from 'node:crypto';

/** Random bytes, drawn a few thousand at a time: each draw is a call into the system's library. */
const pool = Buffer.allocUnsafe(4096);
let used = pool.length;

function random(bytes: number): Buffer {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += bytes;
  return pool.subarray(used - bytes, used);
}

let last = 0;
let count = 0;

/** A new id; ids made by one process rise strictly. */
export function newId(): string {
  const now = Date.now();
  if (now > last) {
    last = now;
    count = 0;
  } else if (++count > 0xfff) {
    last++;
    count = 0;
  }
  const hex = last.toString(16).padStart(12, '0');
  const rest = random(8);
  rest[0] = 0x80 | (rest[0]! & 0x3f);
  const tail = rest.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7${count.toString(16).padStart(3, '0')}-${tail.slice(0, 4)}-${tail.slice(4)}`;
}
