/** A hold: reserved amounts, to be settled once. */
import { errorType, type Failure, failed, failures } from "./errors";
import { encode, encodeForeign } from "./json";
import { type Ending, NONE, native, READ_NOW } from "./native";
import { active } from "./otel";
import { type Kept, type RawHold, Receipt } from "./receipt";
import { settleUsage, toCore, Usage } from "./usage";

/**
 * What a hold is settled with: a provider's reply (an object, or its JSON text), a `Usage`, a stated cost, or nothing
 * (as reserved: a tool call).
 */
export type Settlement = Usage | { readonly cost: string } | object | string | undefined;

/**
 * Reserved amounts. A hold that is neither settled, released nor detached is abandoned when it is collected: nobody
 * knows whether the provider was called, so its input counts as used and the rest stays unconfirmed.
 */
export class Hold {
  readonly #kept: Kept;
  #facts: RawHold | undefined;
  #receipt: Receipt | undefined;
  #open = true;

  /** @internal Throws why nothing is kept. */
  constructor(kept: Kept) {
    if (kept.handle === NONE) throw failed();
    this.#kept = kept;
  }

  /** @internal */
  static handle(hold: Hold): number {
    return hold.#kept.handle;
  }

  /** @internal It has ended, or the core says why not. */
  static closed(hold: Hold, ending: Ending): Receipt {
    if (ending === 0) throw failed();
    const receipt = new Receipt(hold.#kept);
    if (ending === READ_NOW) Receipt.read(receipt);
    hold.#receipt = receipt;
    hold.#over();
    return receipt;
  }

  /** @internal */
  static settle(hold: Hold, settlement: Settlement, errorType?: string): Receipt {
    return Hold.closed(hold, settle(hold.#kept.handle, settlement, errorType));
  }

  /** @internal */
  static release(hold: Hold, errorType: string | undefined): void {
    hold.#remember();
    if (!native.release(hold.#kept.handle, errorType)) throw failed();
    hold.#over();
  }

  /** The hold's id. */
  get id(): string {
    return this.#remember().id;
  }
  /** What is on hold in USD. */
  get heldNanoUsd(): bigint {
    return BigInt(this.#remember().held_nano_usd);
  }
  /** The worst case of the input. */
  get inputTokens(): number {
    return this.#remember().input_tokens;
  }
  /** The worst case of the output. */
  get outputTokens(): number {
    return this.#remember().output_tokens;
  }
  /** The same call was reserved before with the same id: this is that hold. */
  get repeated(): boolean {
    return this.#remember().repeated;
  }
  /** An enforcing mode, or an enforcing budget, would have denied. */
  get wouldDeny(): boolean {
    return this.#remember().would_deny;
  }
  /** The accounts that the call does not fit on although it was admitted: soft and observed budgets. */
  get failures(): readonly Failure[] {
    return failures(this.#remember().failures);
  }
  /** What the settle said. */
  get receipt(): Receipt | null {
    return this.#receipt ?? null;
  }
  /** Neither settled nor released nor detached. */
  get open(): boolean {
    return this.#open;
  }

  /**
   * Replaces the hold by what was used. Never refused for money; an answer that cannot be read leaves the hold open.
   * `errorType`: the low-cardinality name of a failure that cost what it cost.
   * @throws InvalidInput `usage_invalid`, `hold_closed`; IdReused.
   */
  settle(settlement?: Settlement, options?: { errorType?: string }): Promise<Receipt> {
    return eventually(() => Hold.settle(this, settlement, options?.errorType));
  }

  /** Gives everything back, because nothing was billed. */
  async release(options?: { errorType?: string }): Promise<void> {
    Hold.release(this, options?.errorType);
  }

  /** Lets the hold outlive this object and this process. Returns the token for `guard.settle` and `guard.release`. */
  detach(): string {
    this.#remember();
    const token = native.detach(this.#kept.handle);
    if (token === null) throw failed();
    this.#over();
    return token;
  }

  /**
   * An attempt of this call was sent and got no answer (it timed out, or the connection broke), and the call is sent
   * again: silence is not "not spent", so its input counts whatever the next attempt answers.
   */
  lostAttempt(): void {
    if (!native.lostAttempt(this.#kept.handle)) throw failed();
  }

  /** The reply will come in pieces, in the events of this API: pass each to `chunk`. */
  stream(api?: string): void {
    native.stream(this.#kept.handle, api);
  }

  /** One event of a streamed reply. True: it says nothing but the usage. */
  chunk(event: unknown): boolean {
    return native.chunk(this.#kept.handle, encodeForeign(event));
  }

  /** The stream has ended by itself. */
  async finish(): Promise<Receipt> {
    return Hold.closed(this, native.finish(this.#kept.handle));
  }

  /** We closed the stream early: what was counted and a margin is used, the rest is released. */
  async close(): Promise<Receipt> {
    return Hold.closed(this, native.close(this.#kept.handle));
  }

  /** The connection broke: what was counted is used, the rest follows the expiry policy. */
  async cut(errorType?: string): Promise<Receipt> {
    return Hold.closed(this, native.cut(this.#kept.handle, errorType));
  }

  /** Lets go of it, as if this object were lost. */
  abandon(): void {
    if (!this.#open) return;
    this.#remember();
    native.abandon(this.#kept.handle);
    this.#over();
  }

  #over(): void {
    this.#open = false;
    this.#kept.owner = undefined;
  }

  /** What was reserved: asked for while the core has it, kept afterwards. */
  #remember(): RawHold {
    if (this.#facts !== undefined) return this.#facts;
    if (this.#receipt !== undefined) {
      this.#facts = Receipt.hold(this.#receipt);
    } else {
      const told = native.holdFacts(this.#kept.handle);
      if (told === null) throw failed();
      this.#facts = JSON.parse(told) as RawHold;
    }
    return this.#facts;
  }
}

/** What `work` answers or throws, as a promise: an `async` function costs more than what it would do here. */
export function eventually<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return Promise.resolve(work());
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Runs `body` inside of the hold's span. What it leaves open is abandoned, or cut if it failed. */
export async function during<T>(hold: Hold, body: (hold: Hold) => T | Promise<T>): Promise<T> {
  try {
    return await active(native.holdSpan(Hold.handle(hold)), () => body(hold));
  } catch (error) {
    if (hold.open) await hold.cut(errorType(error));
    throw error;
  } finally {
    hold.abandon();
  }
}

/** A settlement under the core's names. */
export function settlement(given: Settlement): object {
  if (given === undefined || given === null) return {};
  if (given instanceof Usage) return { usage: toCore(given) };
  if (typeof given === "object" && "cost" in given && Object.keys(given).length === 1)
    return { cost: given.cost };
  return { reply: given };
}

function settle(handle: number, given: Settlement, errorType: string | undefined): Ending {
  if (given instanceof Usage && errorType === undefined) {
    const ending = settleUsage(handle, given);
    if (ending !== undefined) return ending;
  }
  const args = settlement(given);
  if ("reply" in args) return native.settleReply(handle, encodeForeign(args.reply), errorType);
  return native.settle(handle, encode(args), errorType);
}
