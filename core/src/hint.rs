//! The nearest known word, for messages about typos.

/// The known key within two edits, if there is one.
pub(crate) fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let close = known.iter().map(|candidate| (edits(key, candidate), *candidate)).min()?;
    (close.0 <= 2 || close.0.saturating_mul(3) <= key.len()).then_some(close.1)
}

fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(64).enumerate() {
        let mut next = vec![i.saturating_add(1)];
        for (j, (cb, pair)) in b.iter().zip(row.windows(2)).enumerate() {
            let [diagonal, up] = pair else { continue };
            let left = next.get(j).copied().unwrap_or(usize::MAX);
            let change = diagonal.saturating_add(usize::from(ca != *cb));
            next.push(change.min(up.saturating_add(1)).min(left.saturating_add(1)));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_found_and_a_far_one_is_not() {
        let known = ["cache_read", "cache_write", "input"];
        assert_eq!(nearest("cash_read", &known), Some("cache_read"));
        assert_eq!(nearest("imput", &known), Some("input"));
        assert_eq!(nearest("price", &known), None);
        assert_eq!(nearest("x", &[]), None);
    }
}
