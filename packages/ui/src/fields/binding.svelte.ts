/**
 * A field as its widget sees it. The record page binds widgets to the live
 * document, a list cell to a PATCH, a create form to plain state; the widget
 * does not know which.
 */
import type { FieldMeta, FieldValue } from '../types.ts';
import type { Awareness } from 'y-protocols/awareness';
import type * as Y from 'yjs';

/** Text that somebody is typing and that is not a value yet. */
export interface Draft {
  field: string;
  text: string;
  start: number;
  end: number;
}

/** Somebody else in the same record, once per open tab. */
export interface Remote {
  client: number;
  id: string;
  name: string;
  color: number;
  field?: string;
  draft?: Draft;
  cursor?: { anchor: unknown; head: unknown } | null;
}

/** What text widgets need to edit in place with others. */
export interface SharedText {
  doc: Y.Doc;
  awareness: Awareness;
  /** Origin of local edits: what undo follows. */
  origin: unknown;
  text: Y.Text | null;
  rich: Y.XmlFragment | null;
}

export interface FieldBinding {
  readonly meta: FieldMeta;
  readonly value: FieldValue;
  readonly editable: boolean;
  /** Why the last value was refused, in the reader's language. */
  readonly complaint: string | null;
  readonly others: readonly Remote[];
  readonly shared: SharedText | null;
  set(value: FieldValue): void;
  complain(message: string | null): void;
  draft(draft: Omit<Draft, 'field'> | null): void;
  enter(): void;
  leave(): void;
}

/** A field of a form that is not sent yet. */
export class FormField implements FieldBinding {
  readonly meta: FieldMeta;
  readonly editable = true;
  readonly others: readonly Remote[] = [];
  readonly shared = null;
  value = $state<FieldValue>(null);
  complaint = $state<string | null>(null);

  constructor(meta: FieldMeta, value: FieldValue = null) {
    this.meta = meta;
    this.value = value;
  }
  set(value: FieldValue): void {
    this.value = value;
    this.complaint = null;
  }
  complain(message: string | null): void {
    this.complaint = message;
  }
  draft(): void {}
  enter(): void {}
  leave(): void {}
}

/** A cell of a list: it saves by itself, through whoever owns the list. */
export class CellField implements FieldBinding {
  readonly meta: FieldMeta;
  readonly others: readonly Remote[] = [];
  readonly shared = null;
  complaint = $state<string | null>(null);
  readonly #read: () => FieldValue;
  readonly #write: (value: FieldValue) => void;
  readonly #editable: boolean;

  constructor(meta: FieldMeta, editable: boolean, read: () => FieldValue, write: (value: FieldValue) => void) {
    this.meta = meta;
    this.#editable = editable;
    this.#read = read;
    this.#write = write;
  }
  get value(): FieldValue {
    return this.#read();
  }
  get editable(): boolean {
    return this.#editable;
  }
  set(value: FieldValue): void {
    this.complaint = null;
    this.#write(value);
  }
  complain(message: string | null): void {
    this.complaint = message;
  }
  draft(): void {}
  enter(): void {}
  leave(): void {}
}
