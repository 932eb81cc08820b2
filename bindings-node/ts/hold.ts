/** A hold: reserved amounts, to be settled once. */
import { errorType, type Failure, failed, failures } from "./errors";
import { encode, encodeForeign } from "./json";
import { native } from "./native";
import { active } from "./otel";
import { type RawHold, Receipt } from "./receipt";
import { flat, toCore, Usage } from "./usage";

/**
 * What a hold is settled with: a provider's reply (an object, or its JSON text), a `Usage`, a stated cost, or nothing
 * (as reserved: a tool call).
 */
export type Settlement = Usage | { readonly cost: string } | object | string | undefined;

/** What was open when its handle was lost is abandoned: its input counts, the rest follows the expiry policy. */
const lost = new FinalizationRegistry<number>((handle) => native.abandon(handle));

/**
 * Reserved amounts. A hold that is neither settled, released nor detached is abandoned when it is collected: nobody
 * knows whether the provider was called, so its input counts as used and the rest stays unconfirmed.
 */
export class Hold {
  readonly #handle: number;
  // The guard and the run live as long as their holds.
  readonly #owner: object;
  #facts: RawHold | undefined;
  #receipt: Receipt | undefined;
  #open = true;

  /** @internal */
  constructor(handle: number, owner: object) {
    this.#handle = handle;
    this.#owner = owner;
    lost.register(this, handle);
  }

  /** @internal The core's side of it, and whether it is open. */
  static of(hold: Hold): { handle: number; open: boolean; owner: object } {
    return { handle: hold.#handle, open: hold.#open, owner: hold.#owner };
  }

  /** @internal */
  static closed(hold: Hold, told: string | null): Receipt {
    if (told === null) throw failed();
    hold.#open = false;
    hold.#receipt = new Receipt(told);
    return hold.#receipt;
  }

  /** @internal */
  static settle(hold: Hold, settlement: Settlement, errorType?: string): Receipt {
    return Hold.closed(hold, settle(hold.#handle, settlement, errorType));
  }

  /** @internal */
  static release(hold: Hold, errorType: string | undefined): void {
    hold.#remember();
    if (!native.release(hold.#handle, errorType)) throw failed();
    hold.#open = false;
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
  async settle(settlement?: Settlement, options?: { errorType?: string }): Promise<Receipt> {
    return Hold.settle(this, settlement, options?.errorType);
  }

  /** Gives everything back, because nothing was billed. */
  async release(options?: { errorType?: string }): Promise<void> {
    Hold.release(this, options?.errorType);
  }

  /** Lets the hold outlive this object and this process. Returns the token for `guard.settle` and `guard.release`. */
  detach(): string {
    this.#remember();
    const token = native.detach(this.#handle);
    if (token === null) throw failed();
    this.#open = false;
    return token;
  }

  /** The reply will come in pieces, in the events of this API: pass each to `chunk`. */
  stream(api?: string): void {
    native.stream(this.#handle, api);
  }

  /** One event of a streamed reply. True: it says nothing but the usage. */
  chunk(event: unknown): boolean {
    return native.chunk(this.#handle, encodeForeign(event));
  }

  /** The stream has ended by itself. */
  async finish(): Promise<Receipt> {
    return Hold.closed(this, native.finish(this.#handle));
  }

  /** We closed the stream early: what was counted and a margin is used, the rest is released. */
  async close(): Promise<Receipt> {
    return Hold.closed(this, native.close(this.#handle));
  }

  /** The connection broke: what was counted is used, the rest follows the expiry policy. */
  async cut(errorType?: string): Promise<Receipt> {
    return Hold.closed(this, native.cut(this.#handle, errorType));
  }

  /** Lets go of it, as if this object were lost. */
  abandon(): void {
    if (!this.#open) return;
    this.#remember();
    native.abandon(this.#handle);
    this.#open = false;
  }

  /** What was reserved: asked for while the core has it, kept afterwards. */
  #remember(): RawHold {
    if (this.#facts !== undefined) return this.#facts;
    if (this.#receipt !== undefined) {
      this.#facts = Receipt.hold(this.#receipt);
    } else {
      const told = native.holdFacts(this.#handle);
      if (told === null) throw failed();
      this.#facts = JSON.parse(told) as RawHold;
    }
    return this.#facts;
  }
}

/** Runs `body` inside of the hold's span. What it leaves open is abandoned, or cut if it failed. */
export async function during<T>(hold: Hold, body: (hold: Hold) => T | Promise<T>): Promise<T> {
  try {
    return await active(native.holdSpan(Hold.of(hold).handle), () => body(hold));
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

function settle(handle: number, given: Settlement, errorType: string | undefined): string | null {
  if (given instanceof Usage && errorType === undefined) {
    const pairs = flat(given);
    if (pairs !== undefined) {
      const [b1, q1, b2, q2, b3, q3, b4, q4] = pairs as [
        number,
        number,
        number,
        number,
        number,
        number,
        number,
        number,
      ];
      return native.settleUsage(handle, b1, q1, b2, q2, b3, q3, b4, q4);
    }
  }
  const args = settlement(given);
  if ("reply" in args) return native.settleReply(handle, encodeForeign(args.reply), errorType);
  return native.settle(handle, encode(args), errorType);
}
