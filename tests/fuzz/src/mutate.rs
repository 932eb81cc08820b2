//! Damage: what happens to files in transit and to replies of servers that changed their mind, and what an attacker
//! would try. Deterministic.

/// Longest input.
const BYTES_MAX: usize = 1 << 16;

/// Texts that parsers trip over.
const TROUBLE: [&str; 40] = [
    "0",
    "-1",
    "1e-7",
    "1e400",
    "-0.0",
    "9999999999999999999999999999",
    "18446744073709551615",
    "9223372036854775808",
    "0.1",
    "null",
    "true",
    "\"\"",
    "[]",
    "{}",
    "[[[[[[[[[[",
    "{\"a\":{\"a\":{\"a\":",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "é",
    "\u{202e}",
    "NaN",
    "Infinity",
    "1_000",
    "\"5 USD\"",
    "1099511627777",
    "\"2026-02-30\"",
    "\"2026-11-20\"",
    "\"*\"",
    "\"**\"",
    "\"!global\"",
    "\"00:00-24:00\"",
    "\"${HOME}\"",
    "\"litellm_provider\"",
    "\"catalog\"",
    "\"or\"",
    "\"regex\"",
    "\"^(a|b)?$\"",
    "\"input\"",
    "\"remove\"",
    "\"same_as\"",
];

/// A small generator of random numbers (xorshift64*).
#[derive(Debug)]
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// The same seed makes the same inputs.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1 }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Below `bound`, 0 if that is 0.
    fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { usize::try_from(self.next() % bound as u64).unwrap_or(0) }
    }

    /// A damaged seed.
    pub fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            let other = self.below(seeds.len());
            self.damage(&mut input, &seeds[other]);
        }
        input.truncate(BYTES_MAX);
        input
    }

    fn damage(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(input.len() + 1);
        match self.below(9) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = b"\"{}[]:,.-0e\n"[self.below(12)],
            2 => input.truncate(at),
            3 => {
                let end = (at + 1 + self.below(24)).min(input.len());
                input.drain(at..end);
            }
            // A piece twice.
            4 => {
                let end = (at + self.below(64)).min(input.len());
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
            // A piece of another seed.
            5 => {
                let from = self.below(other.len() + 1);
                let piece = other[from..(from + self.below(200)).min(other.len())].to_vec();
                input.splice(at..at, piece);
            }
            6 => {
                let trouble = TROUBLE[self.below(TROUBLE.len())].bytes();
                input.splice(at..at, trouble);
            }
            // Another value in the place of one.
            _ => self.replace_value(input, at),
        }
    }

    /// The number or text that comes next becomes another one: what stays valid goes deeper.
    fn replace_value(&mut self, input: &mut Vec<u8>, from: usize) {
        let starts = |b: u8| b.is_ascii_digit() || b == b'"';
        let Some(start) = (from..input.len()).find(|at| starts(input[*at])) else { return };
        let end = if input[start] == b'"' {
            (start + 1..input.len()).find(|at| input[*at] == b'"').map(|at| at + 1)
        } else {
            (start..input.len()).find(|at| !matches!(input[*at], b'0'..=b'9' | b'.' | b'e' | b'-'))
        };
        let trouble = TROUBLE[self.below(TROUBLE.len())].bytes();
        input.splice(start..end.unwrap_or(input.len()), trouble);
    }
}
