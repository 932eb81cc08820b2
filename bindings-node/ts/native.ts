/** The native module: module functions, integer handles, return codes. The other side is `src/*.rs`. */

/** What a handle of nothing is. */
export const NONE = 0;

/** The functions of the native module. `0`, `false` and `null` mean: ask `takeFailure`. */
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
  closeAll(timeoutMs: number): void;
  subscribe(guard: number, kind: string, listener: (event: string) => void): boolean;
  checkScope(args: string): boolean;
  usage(args: string): string | null;

  reserve(
    guard: number,
    run: number,
    provider: string | undefined,
    model: string,
    inputTokens: number,
    maxOutputTokens: number,
    tenant: string | undefined,
    user: string | undefined,
    feature: string | undefined,
    agent: string | undefined,
    session: string | undefined,
    parent: string | undefined,
  ): number;
  reserveJson(guard: number, run: number, args: string, labels: string): number;
  reserveRequest(
    guard: number,
    run: number,
    args: string,
    labels: string,
    api: string,
    path: string,
    body: string,
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
  ): string | null;
  settle(hold: number, args: string, errorType: string | undefined): string | null;
  settleReply(hold: number, reply: string, errorType: string | undefined): string | null;
  stream(hold: number, api: string | undefined): void;
  chunk(hold: number, event: string): boolean;
  isComplete(hold: number): boolean;
  finish(hold: number): string | null;
  close(hold: number): string | null;
  cut(hold: number, errorType: string | undefined): string | null;
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
