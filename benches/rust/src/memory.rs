//! Resident bytes: of the shipped catalog, and of an account with its name, over a million of them.

use crate::fixtures::{Telemetry, call, guard_with, price_list, reserve, scope, settle, tenant, usage};
use spendrail::catalog::Catalog;

const ACCOUNTS: usize = 1_000_000;
const PAGE: usize = 4096;

pub fn report() {
    catalog();
    accounts();
}

/// Of the shipped catalog, compiled.
fn catalog() {
    // What the first build leaves behind for every other one is not the catalog's.
    drop(Catalog::build_only(&[price_list(10, false)]).expect("a catalog"));
    let before = resident();
    let catalog = Catalog::build(&[]).expect("the shipped catalog");
    let bytes = resident().saturating_sub(before);
    drop(catalog);
    println!("{}", serde_json::json!({ "name": "catalog_bytes", "unit": "bytes", "value": bytes }));
}

fn accounts() {
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
