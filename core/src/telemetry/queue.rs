//! Records on their way from the callers to the exporter.

use super::record::Record;
use crate::apart::Apart;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::Notify;

/// A bounded queue that is emptied as a whole: the exporter takes all there is and leaves its own empty memory.
///
/// In a ring both sides mark every slot, so that each call would wait for memory that the exporter's processor holds.
/// Here a caller meets the exporter only at the lock, which is held for one write or one swap.
#[derive(Debug)]
pub(super) struct Queue {
    /// No memory before the first record, so that an idle guard holds none.
    filling: Apart<Mutex<VecDeque<Record>>>,
    max: usize,
    /// At this length the exporter is woken.
    wake_at: usize,
    wake: Arc<Notify>,
}

impl Queue {
    /// Takes so many records, but at least one.
    pub(super) fn new(max: usize) -> Self {
        let max = max.max(1);
        Self { filling: Apart::default(), max, wake_at: (max / 4).max(1), wake: Arc::default() }
    }

    /// Appends `record`. `false`: the queue is full, and it is dropped.
    #[inline]
    #[must_use]
    pub(super) fn push(&self, record: Record) -> bool {
        let mut filling = self.filling.lock();
        if filling.len() >= self.max {
            return false;
        }
        if filling.capacity() == 0 {
            // All of it at once: no later call pays for growth. The system gives memory only as it is written.
            filling.reserve_exact(self.max);
        }
        filling.push_back(record);
        let length = filling.len();
        drop(filling);
        if length == self.wake_at {
            self.wake.notify_one();
        }
        true
    }

    /// Moves everything to the end of `taken`.
    pub(super) fn take(&self, taken: &mut VecDeque<Record>) {
        if taken.is_empty() {
            // Also sets it back to its first slot: memory that was in use a moment ago.
            taken.clear();
            std::mem::swap(&mut *self.filling.lock(), taken);
        } else {
            taken.append(&mut self.filling.lock());
        }
    }

    /// What wakes the exporter.
    pub(super) fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Flags, InferenceRecord, Operation, Outcome, SpanIds, Subject};
    use crate::values::{NanoUsd, Scope, Timestamp};

    fn record(cost: i64) -> Record {
        Record::Inference(InferenceRecord {
            span: SpanIds::NONE,
            operation: Operation::Chat,
            started: Timestamp::from_nanos(1),
            ended: Timestamp::from_nanos(2),
            subject: Arc::new(Subject {
                scope: Arc::new(Scope::default()),
                provider: "openai".into(),
                request_model: None,
                price_version: None,
            }),
            details: None,
            usage: None,
            cost: Some(NanoUsd(cost)),
            flags: Flags::NONE,
            outcome: Outcome::default(),
        })
    }

    fn cost(record: Record) -> i64 {
        match record {
            Record::Inference(InferenceRecord { cost: Some(cost), .. }) => cost.0,
            other => panic!("{other:?}"),
        }
    }

    fn taken(queue: &Queue, into: &mut VecDeque<Record>) -> Vec<i64> {
        queue.take(into);
        std::iter::from_fn(|| into.pop_front()).map(cost).collect()
    }

    #[test]
    fn what_is_pushed_is_taken_once_and_in_order() {
        let (queue, mut into) = (Queue::new(4), VecDeque::new());
        for round in 0..5 {
            for nth in 0..3 {
                assert!(queue.push(record(round * 10 + nth)));
            }
            assert_eq!(taken(&queue, &mut into), [round * 10, round * 10 + 1, round * 10 + 2]);
            assert!(taken(&queue, &mut into).is_empty());
        }
    }

    #[test]
    fn a_full_queue_drops_the_record_and_has_room_when_it_was_taken() {
        let (queue, mut into) = (Queue::new(2), VecDeque::new());
        assert!((1..=2).all(|nth| queue.push(record(nth))));
        assert!(!queue.push(record(3)));
        assert_eq!(taken(&queue, &mut into), [1, 2]);
        assert!(queue.push(record(4)));
        assert_eq!(taken(&queue, &mut into), [4]);
    }

    #[test]
    fn what_was_taken_before_and_not_looked_at_comes_first() {
        let (queue, mut into) = (Queue::new(4), VecDeque::new());
        assert!(queue.push(record(1)));
        queue.take(&mut into);
        assert!(queue.push(record(2)));
        assert_eq!(taken(&queue, &mut into), [1, 2]);
    }

    #[test]
    fn memory_is_made_by_the_first_record_and_used_again() {
        let (queue, mut into) = (Queue::new(8), VecDeque::new());
        assert_eq!(queue.filling.lock().capacity(), 0);
        for _ in 0..4 {
            assert!(queue.push(record(1)));
            assert_eq!(queue.filling.lock().capacity(), 8);
            assert_eq!(taken(&queue, &mut into), [1]);
        }
        assert_eq!(into.capacity(), 8);
    }

    #[tokio::test]
    async fn a_quarter_of_the_queue_wakes_the_exporter() {
        let queue = Queue::new(8);
        let wake = queue.wake();
        assert!(queue.push(record(1)));
        assert!(tokio::time::timeout(std::time::Duration::ZERO, wake.notified()).await.is_err());
        assert!(queue.push(record(2)));
        tokio::time::timeout(std::time::Duration::from_secs(10), wake.notified()).await.expect("it wakes");
    }
}
