/**
 * Why a company has its class: its share of all revenue, and what it and all
 * larger ones have together. Stored as a sentence, so that the ledger can be
 * read by itself; on screen it is said in the reader's language.
 */

export interface Reason {
  /** Fractions of all revenue. */
  share: number;
  cumulated: number;
}

const PATTERN = /^(\d+\.\d{2}) % of revenue; cumulated (\d+\.\d{2}) %$/;

/** The sentence that is stored. */
export const reasonText = ({ share, cumulated }: Reason): string =>
  `${(share * 100).toFixed(2)} % of revenue; cumulated ${(cumulated * 100).toFixed(2)} %`;

/** What a stored sentence says; undefined for any other. */
export function readReason(text: string): Reason | undefined {
  const found = PATTERN.exec(text);
  return found ? { share: Number(found[1]) / 100, cumulated: Number(found[2]) / 100 } : undefined;
}
