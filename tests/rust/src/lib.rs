//! The shared vectors and the end-to-end tests, run from Rust. The Rust snippets of the documents are doctests here.

/// The README's snippets.
#[doc = include_str!("../../../README.md")]
pub struct Readme;

/// The snippets of CONTRIBUTING.
#[doc = include_str!("../../../CONTRIBUTING.md")]
pub struct Contributing;
