//! Rules that change while calls are in flight: real files, real renames, the watcher's own thread.

use spendrail::engine::Call;
use spendrail::guard::{Event, EventKind, Guard, Subscription};
use spendrail::values::{Bucket, Usage};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("spendrail-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn config(limit: &str) -> String {
    format!(
        "[prices]\nbuiltin = false\nfiles = [\"prices.toml\"]\n[[budgets]]\nname = \"all\"\nlimit = \"{limit}\"\nwindow = \"lifetime\"\n"
    )
}

fn prices(output: &str) -> String {
    format!(
        "catalog = 1\nprovider = \"test\"\n[models.m]\nmax_output_tokens = 1000\n[[models.m.prices]]\nrates = {{ input = \"1\", output = \"{output}\" }}\n"
    )
}

/// As a careful program writes: beside it, then renamed over it.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(&beside, path).unwrap();
}

fn wait_for(events: &Subscription) -> Event {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Some(event) = events.next(Duration::from_millis(100)).unwrap() {
            return event;
        }
    }
    panic!("no event came");
}

fn one_call() -> Call {
    Call::new("test", "m").input_tokens(100).max_output_tokens(100)
}

fn used() -> Usage {
    Usage::new().with(Bucket::Input, 100).with(Bucket::Output, 100)
}

#[test]
fn a_call_in_flight_keeps_its_price() {
    let folder = Folder::new("pinned");
    fs::write(folder.path("spendrail.toml"), config("1 USD")).unwrap();
    fs::write(folder.path("prices.toml"), prices("2")).unwrap();
    let guard = Guard::builder().config_file(folder.path("spendrail.toml")).build().unwrap();
    let events = guard.subscribe(&[EventKind::Reloaded, EventKind::ReloadFailed]).unwrap();
    let before = guard.reserve(&one_call()).unwrap();
    replace(&folder.path("prices.toml"), &prices("20"));
    let Event::Reloaded(report) = wait_for(&events) else { panic!("not reloaded") };
    assert!(report.prices_changed);
    let after = guard.reserve(&one_call()).unwrap();
    let (before, after) = (before.settle(&used()).unwrap(), after.settle(&used()).unwrap());
    assert_eq!((before.total().to_string(), after.total().to_string()), ("0.0003".into(), "0.0021".into()));
    assert_ne!(before.price_version(), after.price_version());
    assert_eq!(*after.price_version(), report.price_version);
}

#[test]
fn a_bad_file_changes_nothing_and_says_where() {
    let folder = Folder::new("bad");
    fs::write(folder.path("spendrail.toml"), config("1 USD")).unwrap();
    fs::write(folder.path("prices.toml"), prices("2")).unwrap();
    let guard = Guard::builder().config_file(folder.path("spendrail.toml")).build().unwrap();
    let events = guard.subscribe(&[EventKind::Reloaded, EventKind::ReloadFailed]).unwrap();
    replace(&folder.path("spendrail.toml"), &config("1 USD").replace("window", "windwo"));
    let Event::ReloadFailed(error) = wait_for(&events) else { panic!("not refused") };
    assert_eq!(error.line(), Some(7), "{error}");
    assert!(error.file().unwrap().ends_with("spendrail.toml"));
    assert_eq!(error.field_name(), Some("budgets[0].windwo"));
    let hold = guard.reserve(&one_call()).unwrap();
    assert_eq!(hold.settle(&used()).unwrap().total().to_string(), "0.0003");
    // The same bad bytes are not told again; good ones are taken.
    replace(&folder.path("spendrail.toml"), &config("0.0005 USD"));
    let Event::Reloaded(_) = wait_for(&events) else { panic!("not reloaded") };
    let balance = &guard.balances(&Default::default()).unwrap().items[0];
    assert_eq!((balance.limit, balance.available), (500_000, 200_000));
}

#[test]
fn a_file_that_is_being_written_does_not_lift_the_budgets() {
    let folder = Folder::new("empty");
    fs::write(folder.path("spendrail.toml"), config("1 USD")).unwrap();
    fs::write(folder.path("prices.toml"), prices("2")).unwrap();
    let guard = Guard::builder().config_file(folder.path("spendrail.toml")).build().unwrap();
    fs::write(folder.path("spendrail.toml"), "\n").unwrap();
    let error = guard.reload().unwrap_err();
    assert_eq!(error.code(), spendrail::Code::ConfigInvalid);
    assert!(error.file().unwrap().ends_with("spendrail.toml"));
    assert_eq!(guard.balances(&Default::default()).unwrap().items[0].limit, 1_000_000_000);
}

#[cfg(unix)]
#[test]
fn a_kubernetes_data_link_is_followed() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new("kubernetes");
    for (version, limit) in [("..1", "1 USD"), ("..2", "2 USD")] {
        fs::create_dir(folder.path(version)).unwrap();
        fs::write(folder.path(version).join("spendrail.toml"), config(limit)).unwrap();
        fs::write(folder.path(version).join("prices.toml"), prices("2")).unwrap();
    }
    symlink("..1", folder.path("..data")).unwrap();
    for file in ["spendrail.toml", "prices.toml"] {
        symlink(format!("..data/{file}"), folder.path(file)).unwrap();
    }
    let guard = Guard::builder().config_file(folder.path("spendrail.toml")).build().unwrap();
    let events = guard.subscribe(&[EventKind::Reloaded, EventKind::ReloadFailed]).unwrap();
    // As the kubelet does: a new link beside, renamed over the old one.
    symlink("..2", folder.path("..data_tmp")).unwrap();
    fs::rename(folder.path("..data_tmp"), folder.path("..data")).unwrap();
    let Event::Reloaded(_) = wait_for(&events) else { panic!("not reloaded") };
    let page = guard.balances(&Default::default()).unwrap();
    assert_eq!(page.items[0].limit, 2_000_000_000);
}

#[test]
fn a_budget_does_not_change_its_unit_under_its_name() {
    let folder = Folder::new("unit");
    fs::write(folder.path("spendrail.toml"), config("1 USD")).unwrap();
    fs::write(folder.path("prices.toml"), prices("2")).unwrap();
    let guard = Guard::builder().config_file(folder.path("spendrail.toml")).build().unwrap();
    replace(&folder.path("spendrail.toml"), &config("5 tokens"));
    let error = guard.reload().unwrap_err();
    assert_eq!(error.field_name(), Some("budgets[0].limit"), "{error}");
    assert!(guard.reserve(&one_call()).is_ok());
}
