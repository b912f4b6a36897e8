/** What is posted here by those who cannot sign in. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { PluginCall } from '@kith/sdk';

/** Whether the header bears the HMAC-SHA256 of the body under this key, in hexadecimal. */
export function isSigned({ raw, headers }: PluginCall, key: string): boolean {
  const right = createHmac('sha256', key).update(raw).digest();
  const given = Buffer.from(headers.get('desk-signature') ?? '', 'hex');
  return given.length === right.length && timingSafeEqual(given, right);
}
