//! Boxes of large values.

/// A box of a value that is written where it stays: the memory is taken first and the value built there, not on the
/// stack and copied.
macro_rules! boxed {
    ($value:expr) => {{
        let memory = Box::new_uninit();
        Box::write(memory, $value)
    }};
}

pub(crate) use boxed;
