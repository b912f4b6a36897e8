/** Naming a colleague in a text: after an `@`, the staff's names are offered. */
import type { StaffUser } from '../types.ts';

const MOST = 6;
/** Longest name that is looked for. */
const LONGEST = 40;

/** The name that is being typed before the caret, and where its mark stands. */
export function nameBefore(text: string): { from: number; query: string } | null {
  const tail = text.slice(-LONGEST - 2);
  const found = /(?:^|[^\p{L}\p{N}@.])@((?:[\p{L}\p{N}][\p{L}\p{N}'’.-]*(?: (?=$|[\p{L}\p{N}]))?){0,4})$/u.exec(tail);
  return found ? { from: text.length - (found[1]?.length ?? 0) - 1, query: found[1] ?? '' } : null;
}

/** Who may be meant: every word that was typed begins a word of the name, in order. */
export function fitting(users: readonly StaffUser[], query: string, me: string | undefined): StaffUser[] {
  const typed = fold(query).split(' ').filter(Boolean);
  // A finished name with a blank behind it is nobody's beginning any more.
  if (query.endsWith(' ') && users.some(({ name }) => fold(name) === fold(query.trim()))) return [];
  const fits = ({ name }: StaffUser): boolean => {
    const words = fold(name).split(/[\s-]+/u);
    let at = 0;
    return typed.every((one) => {
      while (at < words.length && !words[at]!.startsWith(one)) at++;
      return at++ < words.length;
    });
  };
  return users
    .filter((user) => user.active && user.name.trim() !== '' && user.id !== me && fits(user))
    .sort((a, b) => a.name.localeCompare(b.name))
    .slice(0, MOST);
}
const fold = (text: string): string => text.normalize('NFKD').replace(/\p{M}/gu, '').toLocaleLowerCase();

/** The list of names that is open, if one is. */
export class Mention {
  found = $state.raw<StaffUser[]>([]);
  active = $state(0);
  /** How many characters before the caret the name takes, with its mark. */
  length = 0;
  /** Put away with Escape: it stays so until another mark is typed. */
  #refused = -1;
  readonly #users: () => readonly StaffUser[];
  readonly #me: () => string | undefined;

  constructor(users: () => readonly StaffUser[], me: () => string | undefined) {
    this.#users = users;
    this.#me = me;
  }

  get open(): boolean {
    return this.found.length > 0;
  }

  /** Looks at the text before the caret. */
  look(before: string): void {
    const name = nameBefore(before);
    if (!name) this.#refused = -1;
    if (!name || name.from === this.#refused) return this.close();
    const found = fitting(this.#users(), name.query, this.#me());
    if (found.map(({ id }) => id).join() !== this.found.map(({ id }) => id).join()) this.active = 0;
    this.found = found;
    this.length = name.query.length + 1;
    this.#from = name.from;
  }
  #from = -1;

  close(): void {
    if (this.found.length > 0) this.found = [];
  }

  /** What a key means while the list is open: whoever is to be named, or whether the key was used. */
  key(event: KeyboardEvent): StaffUser | boolean {
    if (!this.open || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      this.active = (this.active + step + this.found.length) % this.found.length;
      return true;
    }
    if (event.key === 'Escape') {
      this.#refused = this.#from;
      this.close();
      return true;
    }
    if ((event.key === 'Enter' || event.key === 'Tab') && !event.shiftKey) return this.found[this.active] ?? false;
    return false;
  }
}
