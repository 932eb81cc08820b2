//! Notices that files may have changed. It watches folders, not files, so that an atomic rename and a Kubernetes
//! `..data` link are seen; what really changed is found out by reading.

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

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
    folders: BTreeSet<PathBuf>,
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
        let watcher = notify::recommended_watcher(notice).ok();
        let mut watch =
            Self { events, seen: 0, pending: None, polled: now, folders: BTreeSet::new(), watcher };
        watch.follow(files);
        watch
    }

    /// Watches the folders of these files too; a policy may name new ones.
    pub fn follow(&mut self, files: &[PathBuf]) {
        for folder in files.iter().flat_map(|file| folders(file)) {
            if self.folders.contains(&folder) {
                continue;
            }
            if let Some(watcher) = &mut self.watcher {
                // A folder that is not there yet is found by polling.
                let _ = watcher.watch(&folder, RecursiveMode::NonRecursive);
            }
            self.folders.insert(folder);
        }
    }

    /// Whether it is time to read the files again.
    pub fn due(&mut self, now: Instant) -> bool {
        let events = self.events.load(Ordering::Relaxed);
        if events != self.seen {
            self.seen = events;
            self.pending = Some(now);
        }
        let quiet = self.pending.is_some_and(|since| now.duration_since(since) >= QUIET);
        let poll = now.duration_since(self.polled) >= POLL;
        if quiet || poll {
            self.pending = None;
            self.polled = now;
        }
        quiet || poll
    }
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
