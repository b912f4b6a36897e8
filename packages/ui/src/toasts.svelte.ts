/** Short notices at the foot of the screen, announced politely; they offer undo rather than asking before. */

export interface Toast {
  id: number;
  text: string;
  tone: 'plain' | 'good' | 'bad';
  /** Label and deed of the one button. */
  action?: { label: string; run: () => void | Promise<void> };
}

export class Toasts {
  items = $state<Toast[]>([]);
  #next = 1;
  readonly #timers = new Map<number, ReturnType<typeof setTimeout>>();

  say(text: string, options: { tone?: Toast['tone']; action?: Toast['action']; seconds?: number } = {}): number {
    const id = this.#next++;
    const tone = options.tone ?? 'plain';
    this.items = [...this.items.filter((one) => one.text !== text).slice(-3), { id, text, tone, action: options.action }];
    this.#timers.set(
      id,
      setTimeout(() => this.drop(id), (options.seconds ?? (options.action || tone === 'bad' ? 10 : 5)) * 1000),
    );
    return id;
  }

  drop(id: number): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    this.items = this.items.filter((one) => one.id !== id);
  }

  async act(toast: Toast): Promise<void> {
    this.drop(toast.id);
    await toast.action?.run();
  }
}
