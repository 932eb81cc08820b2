//! What the handles stand for. One store per JavaScript thread, so that no lock is needed.

use crate::failure::Failure;
use spendrail::clock::ManualClock;
use spendrail::ffi::HoldFacts;
use spendrail::guard::{Hold, Receipt, Run};
use spendrail::{Call, Guard};
use std::cell::RefCell;
use std::mem::ManuallyDrop;

/// Everything that this thread's JavaScript holds a handle of.
pub(crate) struct Store {
    pub(crate) guards: Slab<Guard>,
    pub(crate) clocks: Slab<ManualClock>,
    pub(crate) runs: Slab<Run>,
    pub(crate) holds: Slab<Place>,
    /// How many of the places hold a receipt.
    receipts: usize,
    pub(crate) forms: Ring<Call>,
    /// Why the last function had no answer.
    pub(crate) failure: Option<Failure>,
}

impl Store {
    const EMPTY: Self = Self {
        guards: Slab::EMPTY,
        clocks: Slab::EMPTY,
        runs: Slab::EMPTY,
        holds: Slab::EMPTY,
        receipts: 0,
        forms: Ring::EMPTY,
        failure: None,
    };

    /// An open hold.
    pub(crate) fn hold(&mut self, handle: f64) -> Option<&mut Hold> {
        match self.holds.get(handle)? {
            Place::Open(hold) => Some(hold),
            Place::Settled(..) => None,
        }
    }

    /// Puts the receipt in the hold's place. Returns how many receipts are kept now.
    pub(crate) fn settle(&mut self, handle: f64, receipt: Receipt, held: HoldFacts) -> usize {
        if let Some(place) = self.holds.get(handle) {
            *place = Place::Settled(receipt, held);
            self.receipts += 1;
        }
        self.receipts
    }

    /// Takes a hold, or its receipt, out.
    pub(crate) fn let_go(&mut self, handle: f64) -> Option<Place> {
        let place = self.holds.remove(handle);
        if let Some(Place::Settled(..)) = place {
            self.receipts -= 1;
        }
        place
    }
}

/// What is under the handle of a hold: the same handle leads to the receipt, so that JavaScript has one thing to lose.
pub(crate) enum Place {
    Open(Hold),
    Settled(Receipt, HoldFacts),
}

thread_local! {
    /// Never dropped by the thread's end, when half of the process may be gone; [`clear`] is the orderly way.
    static STORE: ManuallyDrop<RefCell<Store>> = const { ManuallyDrop::new(RefCell::new(Store::EMPTY)) };
}

/// Works with this thread's store. Nothing in `body` may run JavaScript.
pub(crate) fn with<T>(body: impl FnOnce(&mut Store) -> T) -> T {
    STORE.with(|store| body(&mut store.borrow_mut()))
}

/// Drops everything: this thread's JavaScript is over. Open holds are abandoned.
pub(crate) fn clear() {
    drop(with(|store| std::mem::replace(store, Store::EMPTY)));
}

/// Values under handles. A handle is a whole number that fits in a double: the place in its low 24 bits, above them
/// how often the place was used before. A handle of something that is gone finds nothing, whoever has its place now.
pub(crate) struct Slab<T> {
    places: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

const PLACE_BITS: u32 = 24;
const USES_MAX: u32 = (1 << (53 - PLACE_BITS)) - 1;

impl<T> Slab<T> {
    const EMPTY: Self = Self { places: Vec::new(), free: Vec::new() };

    /// Keeps a value. `Err`: 16 million are kept already.
    pub(crate) fn insert(&mut self, value: T) -> Result<f64, T> {
        let place = match self.free.pop() {
            Some(place) => place,
            None if self.places.len() >> PLACE_BITS != 0 => return Err(value),
            None => {
                self.places.push((0, None));
                u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let Some(slot) = self.places.get_mut(place as usize) else { return Err(value) };
        slot.0 += 1;
        slot.1 = Some(value);
        Ok(((u64::from(slot.0) << PLACE_BITS) | u64::from(place)) as f64)
    }

    pub(crate) fn get(&mut self, handle: f64) -> Option<&mut T> {
        self.slot(handle)?.1.as_mut()
    }

    pub(crate) fn remove(&mut self, handle: f64) -> Option<T> {
        let slot = self.slot(handle)?;
        let (uses, value) = (slot.0, slot.1.take());
        // A place that has seen all its handles is given up.
        if value.is_some() && uses < USES_MAX {
            self.free.push(place_of(handle));
        }
        value
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().filter_map(|(_, value)| value.as_ref())
    }

    fn slot(&mut self, handle: f64) -> Option<&mut (u32, Option<T>)> {
        let uses = (handle as u64 >> PLACE_BITS) as u32;
        self.places.get_mut(place_of(handle) as usize).filter(|slot| slot.0 == uses)
    }
}

/// The latest values under handles: a new one takes the place of the oldest.
pub(crate) struct Ring<T> {
    places: Vec<(u64, T)>,
    made: u64,
}

impl<T> Ring<T> {
    const EMPTY: Self = Self { places: Vec::new(), made: 0 };
    const PLACES_MAX: u64 = 4096;

    /// Keeps a value. Its handle is the number of values that were kept so far.
    pub(crate) fn insert(&mut self, value: T) -> f64 {
        let at = (self.made % Self::PLACES_MAX) as usize;
        self.made += 1;
        match self.places.get_mut(at) {
            Some(place) => *place = (self.made, value),
            None => self.places.push((self.made, value)),
        }
        self.made as f64
    }

    /// `None`: newer ones have taken its place.
    pub(crate) fn get(&self, handle: f64) -> Option<&T> {
        let made = handle as u64;
        let at = made.checked_sub(1)? % Self::PLACES_MAX;
        self.places.get(at as usize).filter(|place| place.0 == made).map(|place| &place.1)
    }
}

fn place_of(handle: f64) -> u32 {
    (handle as u64 & ((1 << PLACE_BITS) - 1)) as u32
}
