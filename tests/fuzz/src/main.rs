//! `cargo run --release -p spendrail-fuzz -- [seconds per target] [target] [seed]`: the exit status tells.

use spendrail_fuzz::{run, targets};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let seconds: u64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(60);
    let wanted = arguments.next().filter(|name| name != "all");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs());
    let seed = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(now);
    let chosen: Vec<_> = targets::ALL
        .iter()
        .filter(|target| wanted.as_deref().is_none_or(|name| name == target.name))
        .collect();
    if chosen.is_empty() {
        let names: Vec<&str> = targets::ALL.iter().map(|target| target.name).collect();
        println!("there is no target of that name; there are: {}", names.join(", "));
        return ExitCode::FAILURE;
    }
    println!("seed {seed}");
    // A fault is told once, by us.
    std::panic::set_hook(Box::new(|_| {}));
    let mut failed = false;
    for target in chosen {
        let told = run(target, seed, Duration::from_secs(seconds));
        println!(
            "{}: {} inputs, {} of them good, the longest took {:?}",
            target.name, told.inputs, told.accepted, told.longest
        );
        if let Some((input, said)) = told.fault {
            let path = std::env::temp_dir().join(format!("spendrail-fuzz-{}", target.name));
            let kept = std::fs::write(&path, &input)
                .map_or_else(|why| why.to_string(), |()| path.display().to_string());
            println!("{}: FAILED: {said}\n    the input: {kept}", target.name);
            failed = true;
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
