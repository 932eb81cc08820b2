//! The shared vectors and the end-to-end tests, run from Rust.
