//! (to be written)
pub mod normalise;
