//! Which spans are exported. The answer is given on the caller, with the ids.

use super::span_ids::{ParentSpan, SpanIds};
use crate::values::Decimal;
use crate::values::ids::IdMaker;

/// `OTEL_TRACES_SAMPLER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sampler {
    /// Ask the parent first.
    pub(crate) parent_based: bool,
    /// A root (or every span) is sampled if the low 63 bits of its trace id are below this.
    pub(crate) below: u64,
}

const ALWAYS: u64 = 1 << 63;

impl Default for Sampler {
    fn default() -> Self {
        Self { parent_based: true, below: ALWAYS }
    }
}

impl Sampler {
    /// Reads the name and the argument of a sampler; a missing ratio is 1.
    pub(crate) fn parse(name: &str, argument: Option<&str>) -> Option<Self> {
        let ratio = || argument.map_or(Some(ALWAYS), threshold);
        let (parent_based, below) = match name {
            "always_on" => (false, ALWAYS),
            "always_off" => (false, 0),
            "traceidratio" => (false, ratio()?),
            "parentbased_always_on" => (true, ALWAYS),
            "parentbased_always_off" => (true, 0),
            "parentbased_traceidratio" => (true, ratio()?),
            _ => return None,
        };
        Some(Self { parent_based, below })
    }

    /// A new span under `parent` (with a zero id it is no parent), or a root.
    pub(crate) fn start(self, parent: Option<&ParentSpan>, ids: &IdMaker) -> SpanIds {
        let parent = parent.filter(|parent| parent.trace_id != 0 && parent.span_id != 0);
        let (trace_id, span_id) = match parent {
            Some(parent) => (parent.trace_id, ids.next_u64()),
            None => {
                let (trace, span) = ids.next_pair();
                (trace.0, span)
            }
        };
        let sampled = match parent {
            Some(parent) if self.parent_based => parent.sampled,
            _ => self.takes(trace_id),
        };
        SpanIds {
            trace_id,
            span_id,
            parent_span_id: parent.map_or(0, |parent| parent.span_id),
            parent_is_remote: parent.is_some_and(|parent| parent.is_remote),
            sampled,
        }
    }

    /// The ratio sampler of the OpenTelemetry SDKs: the same answer for one trace in every process.
    fn takes(self, trace_id: u128) -> bool {
        let low = u64::try_from(trace_id & u128::from(u64::MAX)).unwrap_or(0);
        (low >> 1) < self.below
    }
}

/// A ratio from 0 to 1 as a bound on 63 bits, without floats.
fn threshold(ratio: &str) -> Option<u64> {
    const ONE: i128 = 1_000_000_000_000_000_000;
    let value = Decimal::parse(ratio.trim()).ok()?.at_scale(18)?;
    if !(0..=ONE).contains(&value) {
        return None;
    }
    u64::try_from(value.checked_mul(i128::from(ALWAYS))?.checked_div(ONE)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sampled_parent_decides_unless_told_otherwise() {
        let ids = IdMaker::new();
        let parent = ParentSpan { trace_id: 7, span_id: 9, sampled: false, is_remote: true };
        let child = Sampler::default().start(Some(&parent), &ids);
        assert_eq!((child.trace_id, child.parent_span_id, child.sampled), (7, 9, false));
        assert!(child.parent_is_remote && child.span_id != 9);
        let always = Sampler::parse("always_on", None).unwrap();
        assert!(always.start(Some(&parent), &ids).sampled);
        let nobody = ParentSpan { trace_id: 0, ..parent };
        let root = Sampler::default().start(Some(&nobody), &ids);
        assert!(root.sampled && root.parent_span_id == 0 && root.trace_id != 7);
    }

    #[test]
    fn a_ratio_takes_its_share() {
        let ids = IdMaker::new();
        let tenth = Sampler::parse("parentbased_traceidratio", Some("0.1")).unwrap();
        let taken = (0..10_000).filter(|_| tenth.start(None, &ids).sampled).count();
        assert!((800..1_200).contains(&taken), "{taken}");
        let none = Sampler::parse("traceidratio", Some("0")).unwrap();
        assert!(!none.takes(0) && Sampler::parse("traceidratio", Some("1")).unwrap().takes(u128::MAX));
        for (name, argument) in [("traceidratio", Some("1.1")), ("traceidratio", Some("x")), ("xray", None)] {
            assert_eq!(Sampler::parse(name, argument), None);
        }
    }
}
