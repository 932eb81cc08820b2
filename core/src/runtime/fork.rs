//! `fork()`: the child has no threads and may have locks that nobody will ever open. It learns of its birth from a
//! counter and builds everything of its own; what it inherited is leaked, never dropped.

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

static GENERATION: AtomicU64 = AtomicU64::new(0);
static REGISTER: Once = Once::new();

/// How many forks lie between the first process and this one. One relaxed load.
pub(crate) fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// Counts forks from now on. Called when a guard is built.
pub(crate) fn register() {
    REGISTER.call_once(|| {
        #[cfg(unix)]
        #[expect(
            unsafe_code,
            reason = "pthread_atfork is the only way to learn of a fork; the handler is one atomic add"
        )]
        // SAFETY: the handler is async-signal-safe: it touches nothing but an atomic.
        unsafe {
            libc::pthread_atfork(None, None, Some(in_child));
        }
    });
}

#[cfg(unix)]
extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}
