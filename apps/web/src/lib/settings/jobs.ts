/** Background work as the API tells it. */
export interface ParkedJob {
  id: string;
  handler: string;
  /** What it does, in words. */
  label: string;
  lane: Lane;
  data: unknown;
  attempts: number;
  error: string;
  failedAt: string;
  createdAt: string;
}
export type Lane = 'interactive' | 'default' | 'bulk';

export interface JobsGlance {
  lanes: { lane: Lane; counts: Record<'waiting' | 'queued' | 'calling' | 'parked', number> }[];
  parked: { handler: string; label: string; count: number }[];
}

export interface ParkedPage {
  data: ParkedJob[];
  nextCursor: string | null;
}
