/** What tests of applications need: a clock that only moves when told to, and a provider that answers what it is told. */
export { ManualClock } from "./clock";
export { ReplayProvider, type ReplayRequest, type Reply } from "./replay";
