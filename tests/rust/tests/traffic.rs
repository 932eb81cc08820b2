//! A third-party price file that is swapped under traffic: no call fails, none waits for a reload, none is priced from
//! two versions, and every receipt costs what the version that it names says.
//!
//! Short here; in full (1,000 swaps of a file of 3 MB) by `make faults-reload`, which sets `SPENDRAIL_SWAPS` and
//! `SPENDRAIL_MODELS`.

use spendrail::engine::Call;
use spendrail::guard::{EventKind, Guard};
use spendrail::values::{Bucket, Usage};
use spendrail_tests::folder::Folder;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const THREADS: usize = 8;
/// A reserve or a settle that takes longer has waited for something. Wide, because the machine of a gate is shared;
/// what a blocked call would take is a whole load of the file, every time.
const PATIENCE: Duration = Duration::from_secs(2);

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Version `k` of the file: model `i` costs `(i % 50 + 1) × (1 + k % 2)` USD per million tokens of input, so that no
/// price moves more than twofold, and twice that per million of output.
fn file(models: usize, version: usize) -> String {
    let mut text = String::from("{\n\"sample_spec\": {\"litellm_provider\": \"one of many\"}");
    for model in 0..models {
        let input = price(model, version);
        // As wide as LiteLLM's entries are: flags, limits, a source.
        let _ = write!(
            text,
            ",\n\"m-{model}\": {{\"litellm_provider\": \"openai\", \"mode\": \"chat\", \"max_input_tokens\": 128000, \
             \"max_output_tokens\": 16384, \"input_cost_per_token\": {input}e-06, \"output_cost_per_token\": {}e-06, \
             \"input_cost_per_token_batches\": {input}e-06, \"cache_read_input_token_cost\": {input}e-07, \
             \"supports_function_calling\": true, \"supports_parallel_function_calling\": true, \
             \"supports_prompt_caching\": true, \"supports_reasoning\": false, \"supports_response_schema\": true, \
             \"supports_system_messages\": true, \"supports_tool_choice\": true, \"supports_vision\": true, \
             \"supported_endpoints\": [\"/v1/chat/completions\", \"/v1/batch\", \"/v1/responses\"], \
             \"source\": \"https://example.com/pricing\", \"metadata\": {{\"version\": {version}}}}}",
            2 * input
        );
    }
    text.push_str("\n}\n");
    text
}

fn price(model: usize, version: usize) -> usize {
    (model % 50 + 1) * (1 + version % 2)
}

/// What 1,000 tokens of input and 1,000 of output cost, in nano-USD.
fn cost(model: usize, version: usize) -> i64 {
    i64::try_from(price(model, version) * 3 * 1_000_000).unwrap()
}

fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, path).unwrap();
}

#[derive(Default)]
struct Seen {
    calls: AtomicUsize,
    /// Longest reserve or settle, in microseconds.
    longest_us: AtomicU64,
    /// What each version's receipts said, by the version they name: whether prices were doubled.
    versions: Mutex<HashMap<String, usize>>,
    wrong: Mutex<Vec<String>>,
}

impl Seen {
    fn took(&self, since: Instant) {
        let micros = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.longest_us.fetch_max(micros, Ordering::Relaxed);
    }

    fn complain(&self, why: String) {
        let mut wrong = self.wrong.lock().unwrap();
        if wrong.len() < 20 {
            wrong.push(why);
        }
    }
}

fn call(guard: &Guard, seen: &Seen, known: &Mutex<HashMap<String, usize>>, model: usize) {
    let call = Call::new("openai", &format!("m-{model}")).input_tokens(1_000).max_output_tokens(1_000);
    let started = Instant::now();
    let hold = match guard.reserve(&call) {
        Ok(hold) => hold,
        Err(why) => return seen.complain(format!("m-{model} was not admitted: {why:?}")),
    };
    seen.took(started);
    let held = hold.reserved().0;
    let usage = Usage::new().with(Bucket::Input, 1_000).with(Bucket::Output, 1_000);
    let started = Instant::now();
    let receipt = match hold.settle(&usage) {
        Ok(receipt) => receipt,
        Err(why) => return seen.complain(format!("m-{model} was not settled: {why}")),
    };
    seen.took(started);
    seen.calls.fetch_add(1, Ordering::Relaxed);
    let version = receipt.price_version().to_string();
    let posted = receipt.posted.0;
    let parity = match posted {
        posted if posted == cost(model, 0) => 0,
        posted if posted == cost(model, 1) => 1,
        _ => return seen.complain(format!("m-{model} cost {posted}, which no version says")),
    };
    if held != posted {
        seen.complain(format!("m-{model} held {held} and cost {posted}: two versions"));
    }
    let first = *seen.versions.lock().unwrap().entry(version.clone()).or_insert(parity);
    let told = known.lock().unwrap().get(&version).copied();
    if first != parity || told.is_some_and(|told| told != parity) {
        seen.complain(format!("version {version} priced m-{model} at {posted}, and otherwise elsewhere"));
    }
}

#[test]
fn prices_are_swapped_under_traffic() {
    let (swaps, models) = (number("SPENDRAIL_SWAPS", 60), number("SPENDRAIL_MODELS", 40));
    let folder = Folder::new();
    let prices = folder.config().with_file_name("litellm.json");
    std::fs::write(&prices, file(models, 0)).unwrap();
    let size = std::fs::metadata(&prices).unwrap().len();
    let config = r#"{"prices": {"builtin": false, "files": ["litellm.json"]},
        "budgets": [{"name": "all", "limit": "900000000 USD", "window": "lifetime"}]}"#;
    std::fs::write(folder.config(), config).unwrap();
    let guard = Guard::builder().config_file(folder.config()).build().unwrap();
    let failures = guard.subscribe(&[EventKind::ReloadFailed]).unwrap();
    // What the one who writes the files knows: which version costs what.
    let known: Mutex<HashMap<String, usize>> = Mutex::default();
    known.lock().unwrap().insert(guard.price_version().unwrap().to_string(), 0);
    let (seen, done) = (Seen::default(), AtomicBool::new(false));
    let started = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (guard, seen, known, done) = (&guard, &seen, &known, &done);
            scope.spawn(move || {
                let mut model = thread;
                while !done.load(Ordering::Relaxed) {
                    call(guard, seen, known, model % models);
                    model = model.wrapping_mul(31).wrapping_add(7);
                }
            });
        }
        // The watcher reloads too, on its own thread; whoever comes first, the version is the same.
        for version in 1..=swaps {
            replace(&prices, &file(models, version));
            match guard.reload() {
                Ok(report) => {
                    known.lock().unwrap().insert(report.price_version.to_string(), version % 2);
                }
                Err(why) => seen.complain(format!("swap {version}: {why}")),
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    let wrong = seen.wrong.lock().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(failures.next(Duration::ZERO).unwrap().is_none(), "a reload failed");
    let (calls, used) = (seen.calls.load(Ordering::Relaxed), seen.versions.lock().unwrap().len());
    let longest = Duration::from_micros(seen.longest_us.load(Ordering::Relaxed));
    println!(
        "{swaps} swaps of {size} bytes in {:?}: {calls} calls under {used} versions, the longest took {longest:?}",
        started.elapsed()
    );
    assert!(known.lock().unwrap().len() > swaps / 2, "the files were not reloaded");
    assert!(used > swaps / 4, "only {used} versions priced a call");
    assert!(calls > swaps * THREADS, "only {calls} calls");
    assert!(longest < PATIENCE, "a call took {longest:?}");
}
