//! A text argument, read through a stack buffer: most labels are short, and an allocation each would be felt.

use napi::bindgen_prelude::{FromNapiValue, TypeName, Utf16String, ValidateNapiValue};
use napi::{Result, Status, ValueType, sys};
use spendrail::{Code, Error};
use std::ffi::c_char;

const SHORT: usize = 64;

/// A text of JavaScript.
pub(crate) enum Text {
    Short([u8; SHORT], usize),
    Long(String),
    /// It has half of a surrogate pair: two different texts of this kind would look the same.
    Broken,
}

impl Text {
    /// The text.
    ///
    /// # Errors
    /// `label_invalid` if it is not Unicode.
    pub(crate) fn get(&self, field: &str) -> std::result::Result<&str, Error> {
        let found = match self {
            Self::Short(bytes, length) => {
                bytes.get(..*length).and_then(|text| std::str::from_utf8(text).ok())
            }
            Self::Long(text) => Some(text.as_str()),
            Self::Broken => None,
        };
        found.ok_or_else(|| {
            Error::new(Code::LabelInvalid, "is not valid Unicode: it has half of a surrogate pair")
                .field(field)
        })
    }
}

impl TypeName for Text {
    fn type_name() -> &'static str {
        "String"
    }

    fn value_type() -> ValueType {
        ValueType::String
    }
}

impl ValidateNapiValue for Text {}

impl FromNapiValue for Text {
    #[expect(unsafe_code, reason = "Node-API is C; napi's own String allocates twice per argument")]
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let mut bytes = [0u8; SHORT];
        let mut length = 0;
        // SAFETY: the buffer has the size that is passed, `length` is ours, and `value` belongs to `env`.
        let status = unsafe {
            let buffer = bytes.as_mut_ptr().cast::<c_char>();
            sys::napi_get_value_string_utf8(env, value, buffer, SHORT, &raw mut length)
        };
        if status != sys::Status::napi_ok {
            return Err(napi::Error::new(Status::from(status), "a text was expected".to_owned()));
        }
        // Node-API cuts at the last whole character before the terminating zero.
        let text = if length + 4 < SHORT {
            Self::Short(bytes, length)
        } else {
            // SAFETY: as above.
            Self::Long(unsafe { String::from_napi_value(env, value)? })
        };
        // Node-API puts U+FFFD where a text is not Unicode. It may as well have been there before.
        let doubtful = text.get("").is_ok_and(|text| text.contains('\u{FFFD}'));
        if doubtful {
            // SAFETY: as above.
            let units = unsafe { Utf16String::from_napi_value(env, value)? };
            if char::decode_utf16(units.iter().copied()).any(|unit| unit.is_err()) {
                return Ok(Self::Broken);
            }
        }
        Ok(text)
    }
}
