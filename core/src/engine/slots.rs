//! Places that are used again.

/// A list whose places are used again; a place is a `u32`.
#[derive(Debug)]
pub(super) struct Slots<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    #[inline]
    pub(super) fn insert(&mut self, value: T) -> u32 {
        let reused = self.free.pop();
        if let Some(slot) = reused
            && let Some(place) = usize::try_from(slot).ok().and_then(|at| self.places.get_mut(at))
        {
            *place = Some(value);
            return slot;
        }
        let slot = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.places.push(Some(value));
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<T> {
        let value = self.places.get_mut(usize::try_from(slot).ok()?)?.take();
        if value.is_some() {
            self.free.push(slot);
        }
        value
    }

    /// As [`Slots::remove`], in place.
    pub(super) fn clear(&mut self, slot: u32) {
        let place = usize::try_from(slot).ok().and_then(|at| self.places.get_mut(at));
        if let Some(place) = place.filter(|place| place.is_some()) {
            *place = None;
            self.free.push(slot);
        }
    }

    #[inline]
    pub(super) fn get(&self, slot: u32) -> Option<&T> {
        self.places.get(usize::try_from(slot).ok()?)?.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.places.get_mut(usize::try_from(slot).ok()?)?.as_mut()
    }

    pub(super) fn len(&self) -> usize {
        self.places.len().saturating_sub(self.free.len())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let place = |(at, value): (usize, &'_ Option<T>)| u32::try_from(at).ok().filter(|_| value.is_some());
        (self.places.iter().enumerate())
            .filter_map(move |(at, value)| Some((place((at, value))?, value.as_ref()?)))
    }

    pub(super) fn visit(&self, cursor: u32, max: usize, mut look: impl FnMut(u32, &T)) -> Option<u32> {
        let start = usize::try_from(cursor).ok()?;
        let end = start.saturating_add(max);
        for at in start..end.min(self.places.len()) {
            let slot = u32::try_from(at).ok()?;
            if let Some(value) = self.get(slot) {
                look(slot, value);
            }
        }
        (end < self.places.len()).then(|| u32::try_from(end).ok()).flatten()
    }
}
