/** Server-sent events, seen as they pass by. */

const END = /\r\n\r\n|\n\r\n|\n\n|\r\r/g;
const LINE = /\r\n|\n|\r/;

/**
 * Cuts a stream of text into its events, whatever the chunks. `see` is told of each and answers whether it should be
 * hidden.
 */
export class Events {
  readonly #see: (name: string, data: string) => boolean;
  #buffer = "";

  constructor(see: (name: string, data: string) => boolean) {
    this.#see = see;
  }

  /** The text that may pass now: whole events that are not hidden. */
  feed(text: string): string {
    // An end may lie across two chunks: look again at the last three characters.
    END.lastIndex = Math.max(0, this.#buffer.length - 3);
    this.#buffer += text;
    let out = "";
    let from = 0;
    for (let found = END.exec(this.#buffer); found !== null; found = END.exec(this.#buffer)) {
      const event = this.#buffer.slice(from, END.lastIndex);
      from = END.lastIndex;
      if (!this.#hidden(event)) out += event;
    }
    this.#buffer = this.#buffer.slice(from);
    return out;
  }

  /** What is left when the stream has ended: an event without its empty line, or part of one. */
  end(): string {
    const rest = this.#buffer;
    this.#buffer = "";
    return rest === "" || this.#hidden(rest) ? "" : rest;
  }

  #hidden(event: string): boolean {
    let name = "";
    const data: string[] = [];
    for (const line of event.split(LINE)) {
      const colon = line.indexOf(":");
      const value = line.slice(colon + 1).replace(/^ /, "");
      if (line.startsWith("event:")) name = value;
      else if (line.startsWith("data:")) data.push(value);
    }
    return data.length > 0 && this.#see(name, data.join("\n"));
  }
}
