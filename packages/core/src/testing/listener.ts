/** A client of `GET /events` for tests: keeps what it was told. */

export interface Heard {
  id: string;
  event: string;
  data: {
    object: string;
    record: string;
    kind: string;
    version?: number;
    at: string;
    by?: string;
    changes: Record<string, unknown>;
    event?: string;
    data?: Record<string, unknown>;
  };
}

export class Listener {
  readonly heard: Heard[] = [];
  /** The id to go on from, as a browser would keep it. */
  last = '';
  /** Everything that came, as it came. */
  text = '';
  ended = false;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #left = '';

  constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.getReader();
    void this.#read();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    try {
      for (;;) {
        const { done, value } = await this.#reader.read();
        if (done) break;
        const text = decoder.decode(value, { stream: true });
        this.text += text;
        const parts = (this.#left + text).split('\n\n');
        this.#left = parts.pop()!;
        for (const part of parts) this.#take(part);
      }
    } catch {
      // Broken off.
    }
    this.ended = true;
  }

  #take(message: string): void {
    const lines = new Map(message.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
    const id = lines.get('id');
    if (id !== undefined) this.last = id;
    const data = lines.get('data');
    if (data !== undefined) this.heard.push({ id: this.last, event: lines.get('event')!, data: JSON.parse(data) as Heard['data'] });
  }

  /** What was heard, in short: the event and the record. */
  get short(): string[] {
    return this.heard.map(({ event, data }) => `${event} ${data.record}`);
  }

  async until(condition: (heard: readonly Heard[]) => boolean, ms = 5_000): Promise<boolean> {
    const end = Date.now() + ms;
    while (!condition(this.heard)) {
      if (Date.now() > end) return false;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return true;
  }

  async close(): Promise<void> {
    await this.#reader.cancel().catch(() => undefined);
  }
}
