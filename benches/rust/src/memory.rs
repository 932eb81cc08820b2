//! Resident bytes of an account with its name, over a million of them.

use crate::fixtures::{Telemetry, call, guard_with, reserve, scope, settle, tenant, usage};

const ACCOUNTS: usize = 1_000_000;
const PAGE: usize = 4096;

pub fn report() {
    let config = "[ledger]\nmax_accounts = 1000001\n[[budgets]]\nname = \"tenant-day\"\nper = [\"tenant\"]\n\
                  limit = \"900000 USD\"\nwindow = \"month\"\n";
    let guard = guard_with(config, Telemetry::Off);
    let spend = |nth: usize| {
        settle(reserve(&guard, &call(&scope(&tenant(nth)))), &usage());
    };
    spend(0);
    let before = resident();
    (1..ACCOUNTS).for_each(spend);
    let per_account = (resident() - before) / ACCOUNTS;
    println!("{}", serde_json::json!({ "name": "account_bytes", "unit": "bytes", "value": per_account }));
}

/// Resident memory of this process.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or(0) * PAGE
}
