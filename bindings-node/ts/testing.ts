/** What tests of applications need. */
export { ManualClock } from "./clock";
