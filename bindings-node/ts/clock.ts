/** A clock that a test moves. */
import { failed } from "./errors";
import { NONE, native } from "./native";

const lost = new FinalizationRegistry<number>((handle) => native.clockDrop(handle));

/** Stands where it is put. Pass it to `new Guard({ …, clock })`. */
export class ManualClock {
  readonly #handle: number;

  /** `at`: an instant in RFC 3339, or a Date. */
  constructor(at: string | Date = "2026-01-01T00:00:00Z") {
    this.#handle = native.clockNew(text(at));
    if (this.#handle === NONE) throw failed();
    lost.register(this, this.#handle);
  }

  /** @internal */
  static handle(clock: ManualClock | undefined): number {
    return clock === undefined ? NONE : clock.#handle;
  }

  /** Puts the clock at an instant; it may go back. */
  set(to: string | Date): void {
    if (!native.clockSet(this.#handle, text(to))) throw failed();
  }

  /** Moves the clock by milliseconds. */
  advance(millis: number): void {
    native.clockAdvance(this.#handle, millis);
  }

  /** Where it stands, in RFC 3339. */
  now(): string {
    return native.clockNow(this.#handle) as string;
  }
}

function text(at: string | Date): string {
  return at instanceof Date ? at.toISOString() : at;
}
