//! Identical repeats: the plainest loop there is.

use std::collections::VecDeque;

/// How many requests of a run are remembered.
const REMEMBERED: usize = 64;

/// The last requests of one root run, as fingerprints; its child runs share it.
#[derive(Debug, Default)]
pub struct Repeats {
    last: VecDeque<u64>,
}

impl Repeats {
    /// Whether this request may be made: fewer than `most` of the last 64 are the same. If so it is remembered.
    pub fn admit(&mut self, fingerprint: u64, most: u32) -> bool {
        let same = self.last.iter().filter(|seen| **seen == fingerprint).count();
        if u32::try_from(same).unwrap_or(u32::MAX) >= most {
            return false;
        }
        if self.last.len() >= REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(fingerprint);
        true
    }

    /// Forgets the latest such request: it was refused for another reason and never made.
    pub fn undo(&mut self, fingerprint: u64) {
        if let Some(at) = self.last.iter().rposition(|seen| *seen == fingerprint) {
            self.last.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fourth_of_three_is_refused_wherever_it_comes() {
        let mut repeats = Repeats::default();
        for fingerprint in [7, 8, 7, 9, 7] {
            assert!(repeats.admit(fingerprint, 3));
        }
        assert!(!repeats.admit(7, 3));
        assert!(repeats.admit(8, 3));
    }

    #[test]
    fn what_was_not_made_does_not_count() {
        let mut repeats = Repeats::default();
        for _ in 0..10 {
            assert!(repeats.admit(7, 1));
            repeats.undo(7);
        }
    }

    #[test]
    fn only_the_last_sixty_four_count() {
        let mut repeats = Repeats::default();
        assert!((0..200).all(|at| repeats.admit(at % 65, 1)));
    }
}
