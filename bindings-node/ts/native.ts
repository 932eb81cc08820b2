/** The native module: module functions, integer handles, return codes. The other side is `src/*.rs`. */

/** What a handle of nothing is. */
export const NONE = 0;

/** How the end of a hold went: not at all; the receipt is kept there; it is, and is to be read at once. */
export type Ending = 0 | 1 | typeof READ_NOW;
export const READ_NOW = 2;

/** What `reserve` answers for a form that is not kept any longer. */
export const FORGOTTEN = -1;

/**
 * The functions of the native module. `0`, `false` and `null` mean: ask `takeFailure`. `kept`: when it is collected, the
 * core lets go of the hold, or of its receipt.
 */
interface Native {
  takeFailure(): string;
  codes(): string;
  tables(): string;

  clockNew(at: string): number;
  clockSet(clock: number, to: string): boolean;
  clockAdvance(clock: number, millis: number): void;
  clockNow(clock: number): string | null;
  clockDrop(clock: number): void;

  guardNew(args: string, clock: number, several: string | undefined): number;
  guardDrop(guard: number): void;
  invoke(guard: number, method: string, args: string): string | null;
  invokeLater(guard: number, method: string, args: string): Promise<string>;
  simulateLater(args: string): Promise<string>;
  closeAll(timeoutMs: number): void;
  subscribe(guard: number, kind: string, listener: (event: string) => void): boolean;
  checkScope(args: string): boolean;
  usage(args: string): string | null;

  form(
    run: number,
    provider: string | undefined,
    model: string,
    tenant: string | undefined,
    user: string | undefined,
    feature: string | undefined,
    agent: string | undefined,
    session: string | undefined,
  ): number;
  reserve(
    guard: number,
    run: number,
    form: number,
    inputTokens: number,
    maxOutputTokens: number,
    parent: string | undefined,
    kept: object,
  ): number;
  reserveJson(guard: number, run: number, args: string, labels: string, kept: object): number;
  reserveRequest(
    guard: number,
    run: number,
    args: string,
    labels: string,
    api: string,
    path: string,
    body: string,
    kept: object,
  ): number;
  check(guard: number, run: number, args: string, labels: string): string | null;
  passage(
    guard: number,
    run: number,
    args: string,
    labels: string,
    method: string,
    path: string,
  ): string | null;
  requestWantsUsage(api: string, path: string, body: string): boolean;

  holdFacts(hold: number): string | null;
  holdSpan(hold: number): string | null;
  settleUsage(
    hold: number,
    bucket1: number,
    quantity1: number,
    bucket2: number,
    quantity2: number,
    bucket3: number,
    quantity3: number,
    bucket4: number,
    quantity4: number,
  ): Ending;
  settle(hold: number, args: string, errorType: string | undefined): Ending;
  settleReply(hold: number, reply: string, errorType: string | undefined): Ending;
  receiptText(hold: number): string | null;
  receiptPosted(hold: number): number | null;
  lostAttempt(hold: number): boolean;
  stream(hold: number, api: string | undefined): void;
  chunk(hold: number, event: string): boolean;
  isComplete(hold: number): boolean;
  finish(hold: number): Ending;
  close(hold: number): Ending;
  cut(hold: number, errorType: string | undefined): Ending;
  release(hold: number, errorType: string | undefined): boolean;
  detach(hold: number): string | null;
  abandon(hold: number): void;

  runStart(guard: number, above: number, args: string): number;
  runResume(guard: number, carried: string): number;
  runHeaders(run: number): string | null;
  runFacts(run: number): string | null;
  runState(run: number): string | null;
  runEnd(run: number, errorType: string | undefined): void;
  runDrop(run: number): void;
}

/** The native module, built for Node-API 6: Node 20 and later. */
export const native: Native = require("./spendrail.node");
