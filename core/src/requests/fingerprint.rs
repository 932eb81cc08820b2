//! A hash of a JSON body that is the same in every process, on every platform and for every order of keys.

use super::DEPTH_MAX;
use crate::codes::Code;
use crate::error::{Error, Result};
use serde_json::Value;

/// Hashes `value`. Two bodies that differ in anything but the order of keys differ (up to chance, 2^-64).
///
/// # Errors
/// `argument_invalid` if it is nested deeper than 128 levels.
pub fn fingerprint(value: &Value) -> Result<u64> {
    hash(value, DEPTH_MAX)
}

fn hash(value: &Value, depth: usize) -> Result<u64> {
    let Some(depth) = depth.checked_sub(1) else { return Err(too_deep()) };
    Ok(match value {
        Value::Null => mix(1, 0),
        Value::Bool(flag) => mix(2, u64::from(*flag)),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(count), _) => mix(3, count),
            (None, Some(count)) => mix(4, u64::from_le_bytes(count.to_le_bytes())),
            (None, None) => mix(5, number.as_f64().map_or(0, f64::to_bits)),
        },
        Value::String(text) => mix(6, of_bytes(text.as_bytes())),
        Value::Array(list) => {
            let mut sum = mix(7, 0);
            for item in list {
                sum = mix(sum, hash(item, depth)?);
            }
            mix(sum, u64::try_from(list.len()).unwrap_or(u64::MAX))
        }
        Value::Object(map) => {
            // A sum does not depend on the order.
            let mut sum = 0u64;
            for (key, item) in map {
                sum = sum.wrapping_add(mix(of_bytes(key.as_bytes()), hash(item, depth)?));
            }
            mix(mix(8, sum), u64::try_from(map.len()).unwrap_or(u64::MAX))
        }
    })
}

/// The error of a body that is nested too deep.
pub(super) fn too_deep() -> Error {
    Error::new(Code::ArgumentInvalid, format!("the request is nested deeper than {DEPTH_MAX} levels"))
}

/// Eight bytes at a time; the length keeps padding apart from zeros.
fn of_bytes(bytes: &[u8]) -> u64 {
    let mut sum = mix(9, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        if let Ok(word) = <[u8; 8]>::try_from(chunk) {
            sum = mix(sum, u64::from_le_bytes(word));
        }
    }
    let mut last = [0u8; 8];
    for (slot, byte) in last.iter_mut().zip(chunks.remainder()) {
        *slot = *byte;
    }
    mix(sum, u64::from_le_bytes(last))
}

/// Both halves of a 128-bit product, folded (as wyhash does): every input bit reaches every output bit.
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0xA076_1D64_78BD_642F).wrapping_mul(u128::from(b ^ 0xE703_7ED1_A0B4_28DB));
    let low = product & u128::from(u64::MAX);
    u64::try_from(low ^ (product >> 64)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::HashSet;

    #[test]
    fn the_same_everywhere() {
        let body =
            json!({"model": "m", "messages": [{"role": "user", "content": "Hello, world: ünïcödé"}], "n": 1});
        assert_eq!(
            fingerprint(&body).unwrap(),
            17_450_231_007_283_696_135,
            "pinned: shared ledgers compare it between processes"
        );
        let other: Value = serde_json::from_str(
            r#"{"n":1,"messages":[{"content":"Hello, world: ünïcödé","role":"user"}],"model":"m"}"#,
        )
        .unwrap();
        assert_eq!(fingerprint(&other), fingerprint(&body));
    }

    #[test]
    fn different_bodies_differ() {
        let mut bodies: Vec<Value> = vec![
            json!(null),
            json!(false),
            json!(true),
            json!(0),
            json!(-1),
            json!(0.5),
            json!(""),
            json!("\0"),
            json!([]),
            json!({}),
            json!([[]]),
            json!([[], []]),
            json!(["a", "b"]),
            json!(["b", "a"]),
            json!(["ab"]),
            json!({"a": "b"}),
            json!({"b": "a"}),
            json!({"a": "b", "b": "a"}),
            json!({"a": "a", "b": "b"}),
            json!({"a": 1, "b": 2}),
            json!({"a": 2, "b": 1}),
            json!("12345678"),
            json!("12345678\0"),
        ];
        bodies.extend(
            (0..10_000).map(|i| json!({"messages": [{"role": "user", "content": format!("step {i}")}]})),
        );
        let prints: HashSet<u64> = bodies.iter().map(|body| fingerprint(body).unwrap()).collect();
        assert_eq!(prints.len(), bodies.len());
    }
}
