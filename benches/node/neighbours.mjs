// Who else is on this core: see benches/rust/src/neighbours.rs. Rounds count in which the core was ours alone.

const STEPS = 50_000;
const DISTURBED = 1.05;
/** So many undisturbed rounds are looked for; with fewer than the least of them all rounds count. */
const [QUIET, QUIET_LEAST, MORE] = [40, 10, 5];

let best = Number.POSITIVE_INFINITY;

/**
 * How long a fixed piece of arithmetic takes right now. Independent chains, so that they use all that a core can do at
 * once: that is what a neighbour takes away.
 */
function pace() {
  const started = process.hrtime.bigint();
  let [a, b, c, d, e, f, g, h] = [1, 2, 3, 4, 5, 6, 7, 8];
  for (let step = 0; step < STEPS; step++) {
    a = (a + (a << 1) + step) | 0;
    b = (b ^ (b << 1)) + 1;
    c = (c + (c >> 3)) ^ step;
    d = (d + (d << 2) + 1) | 0;
    e = (e ^ (e >> 1)) + step;
    f = (f + (f << 3)) ^ 1;
    g = (g ^ (g << 3)) + step;
    h = (h + (h >> 1)) ^ step;
  }
  const taken = Number(process.hrtime.bigint() - started) + ((a ^ b ^ c ^ d ^ e ^ f ^ g ^ h) & 0);
  best = Math.min(best, taken);
  return taken;
}

/**
 * Nanoseconds per call in rounds of `count` calls: the means of the undisturbed rounds, and of all. Not medians: what
 * the garbage collector takes falls on some of the rounds and belongs to all.
 */
export async function warm(round, rounds, count) {
  for (let n = 0; n < 20; n++) pace();
  const taken = [];
  const quiet = () => taken.filter((one) => one.pace <= best * DISTURBED);
  while (taken.length < rounds || (taken.length < MORE * rounds && quiet().length < QUIET)) {
    const before = pace();
    const started = process.hrtime.bigint();
    await round(count);
    const nanos = Number(process.hrtime.bigint() - started) / count;
    taken.push({ nanos, pace: Math.max(before, pace()) });
  }
  const [alone, all] = [quiet(), taken].map((some) => some.map((one) => one.nanos));
  return { value: mean(alone.length < QUIET_LEAST ? all : alone), of_all: mean(all) };
}

function mean(numbers) {
  return numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
}
