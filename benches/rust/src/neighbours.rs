//! Who else is on this core. On a shared machine another guest may run on the same core (its other hardware thread):
//! everything then takes up to twice as long, for milliseconds or minutes. A fixed piece of arithmetic tells when.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const ROUNDS: u64 = 8_000;
/// So much slower than ever in this process, and somebody else is here.
const DISTURBED: f64 = 1.05;

/// The quickest pace that this process has seen, in picoseconds per round.
static BEST: AtomicU64 = AtomicU64::new(u64::MAX);

/// How long a round takes right now, in picoseconds. Independent chains, so that they use all that a core can do at
/// once: that is what a neighbour takes away. No memory is touched.
pub fn pace() -> u64 {
    let started = Instant::now();
    let (mut a, mut b, mut c, mut d) = black_box((1u64, 2u64, 3u64, 4u64));
    for round in 0..black_box(ROUNDS) {
        a = a.wrapping_mul(3).wrapping_add(round);
        b = (b ^ (b << 1)).wrapping_add(round);
        c = c.wrapping_add(c >> 3) ^ round;
        d = d.wrapping_mul(5).wrapping_add(1);
    }
    black_box((a, b, c, d));
    let pace = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX).saturating_mul(1_000) / ROUNDS;
    BEST.fetch_min(pace, Ordering::Relaxed);
    pace
}

/// At this pace the core was ours alone.
pub fn quiet(pace: u64) -> bool {
    pace as f64 <= BEST.load(Ordering::Relaxed) as f64 * DISTURBED
}
