//! The native side of the Node package. It translates and decides nothing.
//!
//! Module functions with integer handles and return codes: a class instance or a thrown error costs Node-API more than
//! a whole guarded call. A function that cannot answer returns 0, `false` or `null`, and leaves the reason for
//! [`failure::take_failure`]; objects, errors and bigints are made in TypeScript when somebody reads them.
//! `ts/native.ts` is the other side of this border and lists every function.

#![cfg_attr(
    test,
    allow(
        dead_code,
        unused_imports,
        reason = "what is exported to Node is registered outside of tests only"
    )
)]

mod call;
mod clock;
mod events;
mod failure;
mod guard;
mod hold;
mod hot;
mod run;
mod store;
mod text;
