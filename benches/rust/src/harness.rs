//! Timing: warm in batches (those count in which the core was ours alone), cold call by call with the caches emptied in between.

use crate::neighbours::{pace, quiet};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Larger than the caches that one core has to itself.
const COLD_BYTES: usize = 8 << 20;
const BATCHES: usize = 400;
/// As many more until so many were undisturbed.
const QUIET_BATCHES: usize = 100;
const BATCHES_MAX: usize = 4 * BATCHES;
/// With fewer than these the undisturbed ones say nothing, and all batches count.
const QUIET_LEAST: usize = 20;
const COLD_CALLS: usize = 400;
const BATCH_TIME: Duration = Duration::from_micros(400);
/// A batch fits into the telemetry queue of its default size, so that nothing is dropped.
const BATCH_MAX: u32 = 1_000;
/// Calls before each batch that are not timed: after a rest the caches are not warm.
const WARM_UP: u32 = 64;

/// Something to measure.
pub struct Work {
    /// Stable: `benches/run.py` and `benches/limits.toml` use it.
    pub name: &'static str,
    /// Makes it ready.
    pub prepare: fn() -> Prepared,
    /// Measured cold as well.
    pub cold: bool,
}

/// Work that is ready to run.
pub struct Prepared {
    /// Does it so many times.
    pub run: Box<dyn FnMut(u32)>,
    /// Between batches, not measured: lets the background thread catch up.
    pub rest: Box<dyn FnMut()>,
    /// So many calls right before a batch that are not timed.
    pub ahead: u32,
}

impl Prepared {
    /// Work that leaves nothing behind.
    pub fn new(mut once: impl FnMut() + 'static) -> Self {
        let run = move |count: u32| {
            for _ in 0..count {
                once();
            }
        };
        Self { run: Box::new(run), rest: Box::new(|| {}), ahead: WARM_UP }
    }

    /// The same with something to do between batches.
    pub fn resting(mut self, rest: impl FnMut() + 'static) -> Self {
        self.rest = Box::new(rest);
        self
    }

    /// The same with so many calls right before each batch that are not timed.
    pub fn after(mut self, ahead: u32) -> Self {
        self.ahead = ahead;
        self
    }
}

/// Measures and prints.
pub fn report(work: &Work) {
    let mut prepared = (work.prepare)();
    let warm = warm(&mut prepared);
    let cold = work.cold.then(|| cold(&mut prepared));
    let line = serde_json::json!({
        "name": work.name, "unit": "ns", "value": round(warm.undisturbed), "of_all": round(warm.all.median),
        "min": round(warm.all.least), "p99": round(warm.all.p99), "quiet": round(warm.quiet),
        "cold": cold.map(|cold| round(cold.median)),
    });
    println!("{line}");
}

/// Nanoseconds per call.
pub struct Spread {
    pub least: f64,
    pub median: f64,
    pub p99: f64,
}

impl Spread {
    pub fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let at = |share: f64| samples[((samples.len() - 1) as f64 * share) as usize];
        Self { least: at(0.0), median: at(0.5), p99: at(0.99) }
    }
}

/// Nanoseconds per call in many batches.
struct Warm {
    /// The median of the batches in which nobody else was on the core; of all of them if there were hardly any.
    undisturbed: f64,
    all: Spread,
    /// How many of a hundred batches were undisturbed.
    quiet: f64,
}

struct Batch {
    per_call: f64,
    /// Of the core, right before and right after: the slower one.
    pace: u64,
}

fn warm(prepared: &mut Prepared) -> Warm {
    (prepared.run)(1);
    (prepared.rest)();
    let once = time(prepared, 8) / 8.0;
    let count = (BATCH_TIME.as_nanos() as f64 / once.max(1.0)).clamp(1.0, f64::from(BATCH_MAX)) as u32;
    let slow = once > 1e6;
    let (least, most) = if slow { (BATCHES / 20, BATCHES / 20) } else { (BATCHES, BATCHES_MAX) };
    let ahead = if once > 1e5 { 0 } else { prepared.ahead };
    let mut batch = || {
        let before = pace();
        (prepared.run)(ahead);
        let elapsed = time(prepared, count);
        let pace = pace().max(before);
        (prepared.rest)();
        Batch { per_call: elapsed / f64::from(count), pace }
    };
    for _ in 0..least / 10 {
        batch();
    }
    let mut batches: Vec<Batch> = (0..least).map(|_| batch()).collect();
    while batches.len() < most && undisturbed(&batches).len() < QUIET_BATCHES {
        batches.extend((0..BATCHES / 10).map(|_| batch()));
    }
    let all = Spread::of(batches.iter().map(|batch| batch.per_call).collect());
    let quiet = undisturbed(&batches);
    let share = 100.0 * quiet.len() as f64 / batches.len() as f64;
    let enough = quiet.len() >= QUIET_LEAST.min(batches.len());
    Warm { undisturbed: if enough { Spread::of(quiet).median } else { all.median }, all, quiet: share }
}

fn undisturbed(batches: &[Batch]) -> Vec<f64> {
    batches.iter().filter(|batch| quiet(batch.pace)).map(|batch| batch.per_call).collect()
}

fn cold(prepared: &mut Prepared) -> Spread {
    let mut memory = vec![1u8; COLD_BYTES];
    let clock = Spread::of((0..1_000).map(|_| time_of(|| {})).collect()).median;
    let mut call = || {
        for line in memory.iter_mut().step_by(64) {
            *line = line.wrapping_add(1);
        }
        black_box(&memory);
        // The clock's own page is warm for everybody who asks it often.
        black_box(Instant::now());
        let elapsed = time(prepared, 1) - clock;
        (prepared.rest)();
        elapsed
    };
    Spread::of((0..COLD_CALLS).map(|_| call()).collect())
}

fn time(prepared: &mut Prepared, count: u32) -> f64 {
    time_of(|| (prepared.run)(count))
}

fn time_of(work: impl FnOnce()) -> f64 {
    let started = Instant::now();
    work();
    started.elapsed().as_nanos() as f64
}

pub fn round(ns: f64) -> f64 {
    (ns * 10.0).round() / 10.0
}
