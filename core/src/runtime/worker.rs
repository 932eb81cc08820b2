//! The one background thread: it does the guard's chores and exports telemetry. Callers reach it by messages only and
//! never wait for it, except in `flush` and `close`, and there only until their deadline.

use crate::codes::Code;
use crate::error::{Error, Result};
use crate::telemetry::{Exporter, FlushMark, FlushReport, Recorder};
use parking_lot::Mutex;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How often the chores are called.
const TICK: Duration = Duration::from_millis(200);
/// How long a worker that was dropped without `close` may still export, in the background.
const PARTING: Duration = Duration::from_secs(2);
/// What the thread keeps of a deadline for counting and answering.
const ANSWERING: Duration = Duration::from_millis(20);
/// "Wait for ever" is not offered: a larger timeout means this one.
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// The guard's chores: reaping expired holds, a debounced reload.
pub(crate) trait Jobs: Send {
    /// Called on the background thread about every 200 ms. Must not wait; a panic is caught and the next call comes.
    fn tick(&mut self, now: Instant);
}

/// The handle of the background thread.
#[derive(Debug)]
pub(crate) struct Worker {
    inbox: Arc<Inbox>,
    recorder: Recorder,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

/// Messages to the thread.
#[derive(Debug)]
struct Inbox {
    requests: Mutex<Vec<Request>>,
    wake: Arc<Notify>,
}

/// "Export what there is until the deadline, then answer", and perhaps "then stop".
#[derive(Debug)]
struct Request {
    deadline: Instant,
    then_stop: bool,
    answer: Option<SyncSender<bool>>,
}

impl Worker {
    /// Starts the thread.
    ///
    /// # Errors
    /// `io` if the operating system gives no thread or no event queue.
    pub(crate) fn spawn(jobs: Box<dyn Jobs>, recorder: Recorder, exporter: Option<Exporter>) -> Result<Self> {
        let no =
            |what: &str, why: std::io::Error| Error::new(Code::Io, format!("cannot start {what}: {why}"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // Name resolution only: it blocks, so it has a thread of its own for as long as it takes.
            .max_blocking_threads(1)
            .thread_keep_alive(Duration::from_secs(1))
            .thread_name("spendrail-dns")
            .build()
            .map_err(|why| no("the background runtime", why))?;
        let wake = exporter.as_ref().map_or_else(Arc::default, Exporter::wake);
        let inbox = Arc::new(Inbox { requests: Mutex::default(), wake });
        let mut run = Run { jobs, exporter, inbox: Arc::clone(&inbox), waiting: Vec::new() };
        let body = move || {
            // Whatever breaks the loop itself must not end the thread while the guard lives.
            while catch_unwind(AssertUnwindSafe(|| runtime.block_on(run.until_stopped()))).is_err() {
                std::thread::sleep(TICK);
            }
            drop(run);
            // A resolver that hangs is left behind.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("spendrail".into()).spawn(body);
        let thread = thread.map_err(|why| no("the background thread", why))?;
        Ok(Self { inbox, recorder, thread: Mutex::new(Some(thread)) })
    }

    /// Exports what was recorded so far; returns at `timeout` at the latest, whatever the receiver does.
    pub(crate) fn flush(&self, timeout: Duration) -> FlushReport {
        self.ask(timeout, false)
    }

    /// The same, then ends the thread. Later calls report only.
    pub(crate) fn close(&self, timeout: Duration) -> FlushReport {
        let deadline = Instant::now() + timeout.min(TIMEOUT_MAX);
        let report = self.ask(timeout, true);
        self.recorder.stop();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // The thread answers before it drops its connections; that is quick, but not worth missing a deadline.
            while !thread.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        report
    }

    fn ask(&self, timeout: Duration, then_stop: bool) -> FlushReport {
        let timeout = timeout.min(TIMEOUT_MAX);
        if self.thread.lock().as_ref().is_none_or(std::thread::JoinHandle::is_finished) {
            return self.recorder.report(false);
        }
        let (answer, answered) = sync_channel(1);
        // The thread gives up a little earlier than the asker, so that the answer is there in time.
        let deadline = Instant::now() + timeout.saturating_sub(ANSWERING.min(timeout / 4));
        self.inbox.send(Request { deadline, then_stop, answer: Some(answer) });
        let complete = answered.recv_timeout(timeout).unwrap_or(false);
        self.recorder.report(complete)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.inbox.send(Request { deadline: Instant::now() + PARTING, then_stop: true, answer: None });
    }
}

impl Inbox {
    fn send(&self, request: Request) {
        self.requests.lock().push(request);
        self.wake.notify_one();
    }
}

/// The thread's own side.
struct Run {
    jobs: Box<dyn Jobs>,
    exporter: Option<Exporter>,
    inbox: Arc<Inbox>,
    waiting: Vec<(Request, Option<FlushMark>)>,
}

impl Run {
    async fn until_stopped(&mut self) {
        let mut next_tick = Instant::now();
        loop {
            let now = Instant::now();
            if now >= next_tick {
                // A chore that panics has its own invariants to look after; the thread goes on.
                let _ = catch_unwind(AssertUnwindSafe(|| self.jobs.tick(now)));
                next_tick = now + TICK;
            }
            self.receive(now);
            if let Some(exporter) = &mut self.exporter
                && catch_unwind(AssertUnwindSafe(|| exporter.step(now))).is_err()
            {
                exporter.recover();
            }
            if self.answer(now) {
                return;
            }
            let due = self
                .exporter
                .as_ref()
                .and_then(Exporter::next_due)
                .map_or(next_tick, |due| due.min(next_tick));
            let due = self.waiting.iter().fold(due, |due, (request, _)| due.min(request.deadline));
            let wake = Arc::clone(&self.inbox.wake);
            // An export that ended, a queue that fills and a request all wake; what woke is found by looking. The tasks
            // that export share this thread: let them run even if something is due already.
            tokio::task::yield_now().await;
            let _ = tokio::time::timeout_at(due.into(), wake.notified()).await;
        }
    }

    /// Takes new requests in and marks what each has to wait for.
    fn receive(&mut self, now: Instant) {
        for request in std::mem::take(&mut *self.inbox.requests.lock()) {
            let mark = self.exporter.as_mut().map(|exporter| exporter.mark(now));
            self.waiting.push((request, mark));
        }
    }

    /// Answers the requests that are done or out of time; true = stop.
    fn answer(&mut self, now: Instant) -> bool {
        let mut stop = false;
        for (request, mark) in std::mem::take(&mut self.waiting) {
            let reached = match (&self.exporter, mark) {
                (Some(exporter), Some(mark)) => exporter.reached(mark),
                _ => Some(true),
            };
            if reached.is_none() && now < request.deadline {
                self.waiting.push((request, mark));
                continue;
            }
            if request.then_stop {
                stop = true;
                self.exporter.as_mut().map(Exporter::abandon);
            }
            if let Some(answer) = request.answer {
                // The asker may have run out of time.
                let _ = answer.try_send(reached == Some(true));
            }
        }
        stop
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Counts its calls and panics at every other one.
    struct Chores(Arc<AtomicU64>);

    impl Jobs for Chores {
        fn tick(&mut self, _now: Instant) {
            assert_eq!(std::thread::current().name(), Some("spendrail"));
            assert_ne!(self.0.fetch_add(1, Ordering::Relaxed) % 2, 0, "every other call");
        }
    }

    #[test]
    fn chores_go_on_after_a_panic_and_end_with_close() {
        let ticks = Arc::new(AtomicU64::new(0));
        let worker = Worker::spawn(Box::new(Chores(Arc::clone(&ticks))), Recorder::off(), None).unwrap();
        let start = Instant::now();
        while ticks.load(Ordering::Relaxed) < 3 {
            assert!(start.elapsed() < Duration::from_secs(5));
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(worker.flush(Duration::from_secs(5)).complete);
        assert!(worker.close(Duration::from_secs(5)).complete);
        let after = ticks.load(Ordering::Relaxed);
        std::thread::sleep(TICK * 2);
        assert_eq!(ticks.load(Ordering::Relaxed), after);
        assert!(!worker.close(Duration::MAX).complete);
    }

    #[test]
    fn a_worker_that_is_dropped_stops_by_itself() {
        let ticks = Arc::new(AtomicU64::new(1));
        let worker = Worker::spawn(Box::new(Chores(Arc::clone(&ticks))), Recorder::off(), None).unwrap();
        drop(worker);
        let start = Instant::now();
        while Arc::strong_count(&ticks) > 1 {
            assert!(start.elapsed() < Duration::from_secs(5));
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
