//! Notices that files may have changed. It watches folders, not files, so that an atomic rename and a Kubernetes
//! `..data` link are seen; what really changed is found out by reading.

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// A change is acted on when nothing more has come for this long.
const QUIET: Duration = Duration::from_millis(200);
/// Network mounts send no events: look again this often.
const POLL: Duration = Duration::from_secs(60);

/// Watches the folders of some files.
pub struct Watch {
    /// Counts events; written by the notifier's own thread.
    events: Arc<AtomicU64>,
    seen: u64,
    /// When the last unhandled event was noticed.
    pending: Option<Instant>,
    polled: Instant,
    /// Each with what it was when it was looked at last; `None`: it is not there.
    folders: BTreeMap<PathBuf, Option<Identity>>,
    watcher: Option<RecommendedWatcher>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("folders", &self.folders).finish_non_exhaustive()
    }
}

impl Watch {
    /// Starts to watch. Where the operating system gives no watcher, polling remains.
    #[must_use]
    pub fn start(files: &[PathBuf], now: Instant) -> Self {
        let events = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&events);
        let notice = move |event: notify::Result<notify::Event>| {
            if !event.is_ok_and(|event| event.kind.is_access()) {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        };
        Self::with(notify::recommended_watcher(notice).ok(), events, files, now)
    }

    fn with(
        watcher: Option<RecommendedWatcher>,
        events: Arc<AtomicU64>,
        files: &[PathBuf],
        now: Instant,
    ) -> Self {
        let mut watch =
            Self { events, seen: 0, pending: None, polled: now, folders: BTreeMap::new(), watcher };
        watch.follow(files);
        watch
    }

    /// Watches the folders of these files too; a policy may name new ones.
    pub fn follow(&mut self, files: &[PathBuf]) {
        for folder in files.iter().flat_map(|file| folders(file)) {
            self.folders.entry(folder).or_default();
        }
        self.look();
    }

    /// Watches every folder that is there now. One that was deleted, or replaced by another of its name, takes its watch
    /// with it.
    fn look(&mut self) {
        for (folder, known) in &mut self.folders {
            let now = identity(folder);
            if now == *known {
                continue;
            }
            if let Some(watcher) = &mut self.watcher {
                if known.is_some() {
                    let _ = watcher.unwatch(folder);
                }
                if now.is_some() {
                    let _ = watcher.watch(folder, RecursiveMode::NonRecursive);
                }
            }
            *known = now;
        }
    }

    /// Whether it is time to read the files again.
    pub fn due(&mut self, now: Instant) -> bool {
        let events = self.events.load(Ordering::Relaxed);
        if events != self.seen {
            self.seen = events;
            self.pending = Some(now);
        }
        if self.pending.is_none()
            && self.folders.iter().any(|(folder, known)| known.is_none() && folder.exists())
        {
            self.pending = Some(now);
        }
        let quiet = self.pending.is_some_and(|since| now.duration_since(since) >= QUIET);
        let poll = now.duration_since(self.polled) >= POLL;
        if quiet || poll {
            self.pending = None;
            self.polled = now;
            // Before the files are read, so that what changes meanwhile is seen.
            self.look();
        }
        quiet || poll
    }
}

/// What tells a folder from another one of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity(u64, u64, Option<SystemTime>);

fn identity(folder: &Path) -> Option<Identity> {
    let told = std::fs::metadata(folder).ok()?;
    #[cfg(unix)]
    let (device, inode) =
        (std::os::unix::fs::MetadataExt::dev(&told), std::os::unix::fs::MetadataExt::ino(&told));
    #[cfg(not(unix))]
    let (device, inode) = (0, 0);
    Some(Identity(device, inode, told.created().ok()))
}

/// The folder of the file as named, and of what it links to.
fn folders(file: &Path) -> Vec<PathBuf> {
    let parent = |path: &Path| match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let mut out = vec![parent(file)];
    if let Ok(target) = std::fs::canonicalize(file) {
        out.push(parent(&target));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::source::{Loaded, Sources};

    fn seconds(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    /// A network mount: no watcher, no event. What has changed is found out by the hash of every byte, whatever the
    /// file's time and size say.
    #[test]
    fn without_events_a_change_is_found_by_polling() {
        let folder = std::env::temp_dir().join(format!("spendrail-poll-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (config, prices) = (folder.join("spendrail.toml"), folder.join("litellm.json"));
        std::fs::write(&config, "[prices]\nbuiltin = false\nfiles = [\"litellm.json\"]\n").unwrap();
        let write = |price: &str| {
            let entry =
                format!(r#"{{"m": {{"litellm_provider": "openai", "input_cost_per_token": {price}}}}}"#);
            std::fs::write(&prices, entry).unwrap();
        };
        write("1e-06");
        let written = std::fs::metadata(&prices).unwrap().modified().unwrap();
        let sources = Sources {
            file: Some(config),
            text: None,
            values: None,
            prices: Vec::new(),
            environment: Arc::new(|_| None),
        };
        let Loaded { digest, catalog, files, .. } = sources.load().unwrap();
        assert!(files.contains(&prices), "a file of another tool is watched too: {files:?}");

        let start = Instant::now();
        let mut watch = Watch::with(None, Arc::default(), &files, start);
        assert!(!watch.due(seconds(start, 59)));
        assert!(watch.due(seconds(start, 60)), "a minute is over");
        assert!(sources.load_changed(digest, &catalog).unwrap().is_err(), "nothing has changed");
        assert!(!watch.due(seconds(start, 119)), "a minute since the last look is not over");

        // As long as before, and as old.
        write("2e-06");
        std::fs::File::options().append(true).open(&prices).unwrap().set_modified(written).unwrap();
        assert!(watch.due(seconds(start, 120)));
        let changed = sources.load_changed(digest, &catalog).unwrap().expect("it has changed");
        assert_ne!(changed.catalog.version(), catalog.version());
        let _ = std::fs::remove_dir_all(&folder);
    }

    /// A deployment that deletes the folder and makes it again: the watch goes with the folder, and has to come back.
    #[test]
    fn a_folder_that_is_deleted_and_comes_back_is_watched_again() {
        let folder = std::env::temp_dir().join(format!("spendrail-back-{}", std::process::id()));
        let file = folder.join("spendrail.toml");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(&file, "# 0").unwrap();
        let start = Instant::now();
        let mut watch = Watch::start(std::slice::from_ref(&file), start);
        // The watcher has a thread of its own: wait for it in real time, well below the poll.
        let mut noticed = |what: &str| {
            while !watch.due(Instant::now()) {
                assert!(start.elapsed() < POLL / 2, "{what} was not noticed");
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        for round in 0..3 {
            std::fs::remove_dir_all(&folder).unwrap();
            noticed("the end of the folder");
            std::fs::create_dir_all(&folder).unwrap();
            noticed("the new folder");
            std::fs::write(&file, format!("# {round}")).unwrap();
            noticed("a file in the new folder");
        }
        let other = folder.with_extension("other");
        std::fs::create_dir_all(&other).unwrap();
        std::fs::rename(&folder, folder.with_extension("old")).unwrap();
        std::fs::rename(&other, &folder).unwrap();
        noticed("another folder of the same name");
        std::fs::write(&file, "# last").unwrap();
        noticed("a file in the other folder");
        for gone in [&folder, &folder.with_extension("old")] {
            let _ = std::fs::remove_dir_all(gone);
        }
    }

    #[test]
    fn events_are_acted_on_when_they_stop() {
        let events = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        let mut watch = Watch::with(None, Arc::clone(&events), &[], start);
        let at = |millis: u64| start + Duration::from_millis(millis);
        events.fetch_add(1, Ordering::Relaxed);
        assert!(!watch.due(at(0)));
        events.fetch_add(1, Ordering::Relaxed);
        assert!(!watch.due(at(150)), "something has come in between");
        assert!(!watch.due(at(300)));
        assert!(watch.due(at(350)));
        assert!(!watch.due(at(600)), "once");
    }
}
