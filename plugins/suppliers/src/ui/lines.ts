/** What the fields of a purchase order and its lines mean to people. */
import type { Format } from '@kith/ui/format.ts';
import type { Money, Rec } from '@kith/ui/types.ts';

export const ORDER = 'suppliers.purchaseOrder';
export const LINE = 'suppliers.purchaseOrderLine';

export type LineStatus = 'open' | 'confirmed' | 'countered' | 'rejected';
export type OrderStatus = 'open' | 'confirmed' | 'changed' | 'rejected' | 'shipped' | 'closed';

/** A line as far as the reader may know it. */
export interface Line {
  id: string;
  item: string;
  status: LineStatus;
  ordered: number;
  /** The day that counts: what was agreed, else what was required. */
  required: string | null;
  agreed: string | null;
  confirmed: number | null;
  ready: string | null;
  daysLate: number;
  reason: string | null;
  answer: string | null;
  cost: Money | null;
  netSales: Money | null;
  internalCost: Money | null;
  updatedAt: string;
}

const text = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);
const number = (value: unknown): number | null => (typeof value === 'number' ? value : null);
const money = (value: unknown): Money | null =>
  typeof value === 'object' && value !== null && 'amount' in value ? (value as Money) : null;

export function lineOf(record: Rec): Line {
  const { fields } = record;
  const agreed = text(fields.agreedDate);
  return {
    id: record.id,
    item: text(fields.item) ?? record.title,
    status: (text(fields.status) ?? 'open') as LineStatus,
    ordered: number(fields.orderedQuantity) ?? 0,
    required: agreed ?? text(fields.requiredDate),
    agreed,
    confirmed: number(fields.confirmedQuantity),
    ready: text(fields.confirmedDate),
    daysLate: number(fields.daysLate) ?? 0,
    reason: text(fields.reason),
    answer: text(fields.answer),
    cost: money(fields.unitCost),
    netSales: money(fields.netSales),
    internalCost: money(fields.internalCost),
    updatedAt: record.updatedAt,
  };
}

export const orderStatus = (record: Rec): OrderStatus => (text(record.fields.status) ?? 'open') as OrderStatus;
/** Whether the supplier may still answer. */
export const takesAnswers = (status: OrderStatus): boolean => status === 'open' || status === 'confirmed' || status === 'changed';

/** What is wrong or may become so; days are those late, or those that are left. */
export type Risk = { kind: 'late' | 'risk'; days: number } | { kind: 'overdue' } | null;
/** Days before the required one from which an unanswered line is at risk. */
const RISK_DAYS = 7;

export function riskOf(format: Format, line: Pick<Line, 'status' | 'required' | 'daysLate'>, underWay: boolean): Risk {
  if (line.status === 'rejected') return null;
  if (line.daysLate > 0) return { kind: 'late', days: line.daysLate };
  if (!underWay || line.status === 'confirmed' || !line.required) return null;
  const left = format.daysBetween(format.today(), line.required);
  if (left < 0) return { kind: 'overdue' };
  return left <= RISK_DAYS ? { kind: 'risk', days: left } : null;
}

/** How late the ready day is for the required one. */
export const lateness = (format: Format, ready: string | null, required: string | null): number =>
  ready && required ? Math.max(0, format.daysBetween(required, ready)) : 0;

/** Whether an order or a line waits for the supplier's answer, as far as the loaded fields tell. */
export function waits({ object, fields }: Rec): boolean {
  if (object === LINE)
    return fields.status === 'open' && (fields.orderStatus === undefined || takesAnswers(fields.orderStatus as OrderStatus));
  return (
    takesAnswers((text(fields.status) ?? 'closed') as OrderStatus) &&
    (fields.openLines === undefined ? fields.status === 'open' : Number(fields.openLines) > 0)
  );
}
