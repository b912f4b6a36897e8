/** Workflows that are being changed and not saved: they outlive a look at another tab of the page. */
export interface Kept {
  /** The definition as it was saved when the change began. */
  base: string;
  text: string;
}
export const drafts = new Map<string, Kept>();
