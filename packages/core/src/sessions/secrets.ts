/** Secrets that open something: made here, and stored as their SHA-256 only. */
import { createHash, randomBytes } from 'node:crypto';

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
/** A new secret that nobody guesses. */
export const token = (): string => randomBytes(32).toString('base64url');
