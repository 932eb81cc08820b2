//! A value as one line of text that travels: a prefix that says what it is, base64, and a checksum that finds damage.
//! It is not signed: take it from whom you trust, as you would take the labels in it.

use crate::codes::Code;
use crate::error::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What is sent, and how much of it is read at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// What every text of this kind begins with.
    pub(super) prefix: &'static str,
    /// For messages: `hold`, `run`.
    pub(super) noun: &'static str,
    /// For messages: where such a text comes from.
    pub(super) source: &'static str,
    /// The longest text that is read.
    pub(super) bytes_max: usize,
}

impl Kind {
    pub(super) fn pack(self, value: &impl Serialize) -> Result<String> {
        let json = serde_json::to_vec(value).map_err(|e| Error::new(Code::Internal, e.to_string()))?;
        let check = checksum(&json);
        Ok(format!("{}{}.{check:08x}", self.prefix, URL_SAFE_NO_PAD.encode(&json)))
    }

    pub(super) fn unpack<T: DeserializeOwned>(self, text: &str) -> Result<T> {
        if text.len() > self.bytes_max {
            return Err(self.damaged("it is too long"));
        }
        let body = text
            .strip_prefix(self.prefix)
            .ok_or_else(|| self.damaged(&format!("it does not start with {:?}", self.prefix)))?;
        let (body, check) = body.rsplit_once('.').ok_or_else(|| self.damaged("its checksum is missing"))?;
        let json = URL_SAFE_NO_PAD.decode(body).map_err(|_| self.damaged("it is not base64"))?;
        if u32::from_str_radix(check, 16).ok() != Some(checksum(&json)) {
            return Err(self.damaged("its checksum does not fit"));
        }
        serde_json::from_slice(&json)
            .map_err(|_| self.damaged(&format!("its content is not a {}", self.noun)))
    }

    pub(super) fn damaged(self, why: &str) -> Error {
        Error::new(Code::TokenInvalid, format!("this is no token of a {}: {why}", self.noun))
            .field("token")
            .hint(format!("pass the text that {} returned, unchanged", self.source))
    }
}

/// FNV-1a: finds damage, not forgery.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811C_9DC5, |hash: u32, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
