//! The two functions that every call goes through, written against Node-API itself: the glue that `#[napi]` writes keeps
//! a list of borrowed arguments for each call, with an allocation and two locks, and takes as long as a step of the
//! engine. Numbers are not borrowed.
#![expect(unsafe_code, reason = "Node-API is C, and napi offers its values only behind its glue")]

use crate::failure::{Failure, none};
use crate::text::Text;
use crate::{call, hold};
use napi::bindgen_prelude::{Env, FromNapiValue, JsObjectValue, Object};
use napi::sys;
use napi_derive::napi;
use spendrail::{Code, Error};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;

/// Puts them beside the functions that have glue.
#[napi(module_exports)]
pub fn export(mut exports: Object, env: Env) -> napi::Result<()> {
    exports.set_named_property("reserve", env.create_function::<(), f64>("reserve", reserve)?)?;
    exports.set_named_property("settleUsage", env.create_function::<(), f64>("settleUsage", settle_usage)?)
}

/// See [`call::reserve`]: guard, run, form, input tokens, maximum output tokens, parent, and what keeps the hold.
unsafe extern "C" fn reserve(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    answered(env, || {
        let [guard, run, form, input, output, parent, kept] = arguments(env, info);
        // SAFETY: the values belong to `env`.
        let parent = unsafe { Option::<Text>::from_napi_value(env, parent) }.ok().flatten();
        let [guard, run, form, input, output] = numbers(env, [guard, run, form, input, output]);
        let hold = call::reserve(guard, run, form, input, output, parent.as_ref());
        if hold > 0.0 { hold::keep(env, kept, hold) } else { hold }
    })
}

/// See [`hold::settle_usage`]: the hold, and four times a bucket and a quantity.
unsafe extern "C" fn settle_usage(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    answered(env, || {
        let [hold, b1, q1, b2, q2, b3, q3, b4, q4] = numbers(env, arguments(env, info));
        f64::from(hold::settle_usage(hold, &[(b1, q1), (b2, q2), (b3, q3), (b4, q4)]))
    })
}

/// The arguments of the function that is called; `undefined` where there are fewer.
fn arguments<const N: usize>(env: sys::napi_env, info: sys::napi_callback_info) -> [sys::napi_value; N] {
    let (mut values, mut count) = ([null_mut(); N], N);
    // SAFETY: `info` is that of a call in `env`, and there is room for `count` values.
    unsafe { sys::napi_get_cb_info(env, info, &raw mut count, values.as_mut_ptr(), null_mut(), null_mut()) };
    values
}

/// What is no number is 0: the handle of nothing, and a count that is too small.
fn numbers<const N: usize>(env: sys::napi_env, values: [sys::napi_value; N]) -> [f64; N] {
    values.map(|value| {
        let mut number = 0.0;
        // SAFETY: `value` belongs to `env`.
        unsafe { sys::napi_get_value_double(env, value, &raw mut number) };
        number
    })
}

/// The answer as a number of JavaScript. A panic must not reach C: it is a failure like any other.
fn answered(env: sys::napi_env, body: impl FnOnce() -> f64) -> sys::napi_value {
    let answer = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
        none(Err::<f64, _>(Failure::Failed(Error::new(Code::Internal, "the core has panicked"))))
            .unwrap_or(0.0)
    });
    let mut number = null_mut();
    // SAFETY: `env` is that of the call.
    unsafe { sys::napi_create_double(env, answer, &raw mut number) };
    number
}
