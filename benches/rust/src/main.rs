//! What a guarded call costs, measured. Prints one JSON line per piece of work; `benches/run.py` makes the table.
//!
//! ```text
//! spendrail-benches [NAME…]            time these, or everything
//! spendrail-benches --once NAME N      run one work N times inside `measured`, for callgrind
//! spendrail-benches --list             the names
//! ```

mod fixtures;
mod harness;
mod memory;
mod neighbours;
mod sink;
mod threads;
mod work;

use harness::Prepared;
use std::hint::black_box;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--list"] => work::all().iter().for_each(|work| println!("{}", work.name)),
        ["--once", name, count] => once(name, count.parse().expect("a count")),
        names => time(names),
    }
}

fn time(names: &[&str]) {
    let wanted = |name: &str| names.is_empty() || names.contains(&name);
    for work in work::all().into_iter().filter(|work| wanted(work.name)) {
        harness::report(&work);
    }
    if wanted("threads") {
        threads::report();
    }
    if wanted("memory") {
        memory::report();
    }
}

/// One work, warm, for a tool that counts instructions inside [`measured`].
fn once(name: &str, count: u32) {
    let work = work::all().into_iter().find(|work| work.name == name).expect("a name of --list");
    let mut prepared = (work.prepare)();
    (prepared.run)(100);
    (prepared.rest)();
    measured(&mut prepared, count);
}

/// Callgrind collects between entering and leaving this function (`--toggle-collect=*measured*`).
#[inline(never)]
fn measured(prepared: &mut Prepared, count: u32) {
    (black_box(prepared).run)(black_box(count));
}
