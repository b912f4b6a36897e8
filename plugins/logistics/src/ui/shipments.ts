/** What the fields of a shipment mean to people. */
import type { Format } from '@kith/ui/format.ts';
import type { Rec } from '@kith/ui/types.ts';

export const SHIPMENT = 'logistics.shipment';
export const MILESTONE = 'logistics.milestone';

export const KINDS = ['pickedUp', 'departed', 'arrived', 'delivered'] as const;
export type Kind = (typeof KINDS)[number];
export type Status = 'planned' | 'inTransit' | 'delivered' | 'exception';

export const KIND_ICONS: Record<Kind | 'exception', string> = {
  pickedUp: 'package-open',
  departed: 'truck',
  arrived: 'map-pin',
  delivered: 'package-check',
  exception: 'triangle-alert',
};
export const STATUS_LOOK = {
  planned: ['clock', 'grey'],
  inTransit: ['truck', 'blue'],
  delivered: ['package-check', 'green'],
  exception: ['triangle-alert', 'red'],
} as const;

const text = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);

export interface Shipment {
  status: Status;
  estimate: string | null;
  shipBy: string | null;
  daysLate: number;
  place: string | null;
  reason: string | null;
}
export function shipmentOf({ fields }: Rec): Shipment {
  return {
    status: (text(fields.status) ?? 'planned') as Status,
    estimate: text(fields.estimatedArrival),
    shipBy: text(fields.shipBy),
    daysLate: typeof fields.daysLate === 'number' ? fields.daysLate : 0,
    place: text(fields.lastPlace),
    reason: text(fields.exceptionReason),
  };
}

/** What is usually reported next. */
export function nextKind(status: Status, last: string | undefined): Kind {
  if (status === 'planned' || last === undefined) return 'pickedUp';
  if (last === 'pickedUp') return 'departed';
  if (last === 'departed') return 'arrived';
  return 'delivered';
}

/** Later than wanted, or overdue. */
export function lateOf(format: Format, { status, estimate, daysLate }: Shipment): { days: number } | 'overdue' | null {
  if (daysLate > 0) return { days: daysLate };
  if (status === 'delivered' || !estimate) return null;
  return estimate < format.today() ? 'overdue' : null;
}
