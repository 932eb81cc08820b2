//! The shared vectors, random histories and properties, run against the engine from Rust. The Rust snippets of the
//! documents are doctests here.

pub mod folder;
pub mod runner;
pub mod story;

/// The README's snippets.
#[doc = include_str!("../../../README.md")]
pub struct Readme;

/// The snippets of CONTRIBUTING.
#[doc = include_str!("../../../CONTRIBUTING.md")]
pub struct Contributing;
