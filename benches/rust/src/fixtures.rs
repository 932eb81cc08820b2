//! What the measured calls have in common: a price list, budgets, scopes, an answer.

use crate::sink;
use spendrail::catalog::Source;
use spendrail::guard::{Guard, Hold, Settlement};
use spendrail::values::{Bucket, Dimension, Scope};
use spendrail::{Call, Usage};
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

pub const TENANTS: usize = 100_000;
pub const MODEL: &str = "claude-sonnet-4-6";

/// Rules that no measured call ever meets the end of.
const BUDGETS: [&str; 4] = [
    "[[budgets]]\nname = \"tenant-day\"\nper = [\"tenant\"]\nlimit = \"900000000 USD\"\nwindow = \"day\"\n",
    "[[budgets]]\nname = \"company-month\"\nlimit = \"900000000 USD\"\nwindow = \"month\"\n",
    "[[budgets]]\nname = \"user-day\"\nper = [\"tenant\", \"user\"]\nlimit = \"900000000000000 tokens\"\nwindow = \"day\"\n",
    "[[budgets]]\nname = \"tenant-rate\"\nper = [\"tenant\"]\nlimit = \"900000000000000 requests\"\nwindow = \"hour\"\n",
];

/// Where telemetry goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Telemetry {
    Off,
    /// To a receiver in this process, so that the background thread does its whole work.
    On,
}

/// A guard with the first `count` budgets.
pub fn guard(count: usize, telemetry: Telemetry) -> Guard {
    guard_with(&BUDGETS[..count].concat(), telemetry)
}

/// A guard with these rules, and no other environment than the receiver's address.
pub fn guard_with(config: &str, telemetry: Telemetry) -> Guard {
    let mut environment = HashMap::new();
    if telemetry == Telemetry::On {
        environment.insert("OTEL_EXPORTER_OTLP_ENDPOINT", sink::address());
        environment.insert("OTEL_BSP_SCHEDULE_DELAY", "50".to_owned());
    }
    Guard::builder()
        .config_text("bench", config)
        .environment(Arc::new(move |name| environment.get(name).cloned()))
        .build()
        .expect("the rules are good")
}

pub fn scope(tenant: &str) -> Arc<Scope> {
    let mut scope = Scope::default();
    for (dimension, value) in [
        (Dimension::Tenant, tenant),
        (Dimension::User, "user-17"),
        (Dimension::Feature, "search"),
        (Dimension::Agent, "researcher"),
    ] {
        scope.set(&dimension, Some(value)).expect("a good label");
    }
    Arc::new(scope)
}

pub fn call(scope: &Arc<Scope>) -> Call {
    Call::new("anthropic", MODEL).scope(Arc::clone(scope)).input_tokens(1_200).max_output_tokens(500)
}

pub fn tenant(nth: usize) -> String {
    format!("tenant-{nth:06}")
}

/// What every measured call used.
pub fn usage() -> Usage {
    Usage::new().with(Bucket::Input, 180).with(Bucket::CacheRead, 1_000).with(Bucket::Output, 120)
}

/// The same as the provider says it.
pub const REPLY: &str = r#"{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message","role":"assistant",
    "model":"claude-sonnet-4-6","content":[{"type":"text","text":"The guard rail holds: nothing was spent beyond the limit."}],
    "stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":180,"cache_creation_input_tokens":0,
    "cache_read_input_tokens":1000,"output_tokens":120,"service_tier":"standard"}}"#;

/// Reserves; the call is admitted, or the measurement is wrong.
pub fn reserve(guard: &Guard, call: &Call) -> Hold {
    guard.reserve(call).unwrap_or_else(|why| panic!("{why}"))
}

/// Settles; looks at the receipt where it is, because moving it is not the guard's work.
#[inline(always)]
pub fn settle<'a>(hold: Hold, with: impl Into<Settlement<'a>>) {
    let receipt = hold.settle(with);
    assert!(black_box(&receipt).is_ok(), "it does not settle");
}

/// A price list of so many models, as a machine writes it.
pub fn price_list(models: usize, toml: bool) -> Source {
    let mut text = String::from(if toml {
        "catalog = 1\nprovider = \"big\"\n"
    } else {
        "{\"catalog\": 1, \"provider\": \"big\", \"models\": {"
    });
    for nth in 0..models {
        let (input, output) = (nth % 97 + 1, nth % 89 + 5);
        let model = if toml {
            format!(
                "[models.\"family-{nth}-chat\"]\nmax_input_tokens = 200000\nmax_output_tokens = 8192\n\
                 [[models.\"family-{nth}-chat\".prices]]\n\
                 rates = {{ input = \"0.{input:02}\", cache_read = \"0.0{input:02}\", output = \"1.{output:02}\" }}\n"
            )
        } else {
            let comma = if nth == 0 { "" } else { "," };
            format!(
                "{comma}\"family-{nth}-chat\": {{\"max_input_tokens\": 200000, \"max_output_tokens\": 8192, \"prices\": \
                 [{{\"rates\": {{\"input\": \"0.{input:02}\", \"cache_read\": \"0.0{input:02}\", \"output\": \"1.{output:02}\"}}}}]}}"
            )
        };
        text.push_str(&model);
    }
    if !toml {
        text.push_str("}}");
    }
    Source { name: if toml { "big.toml" } else { "big.json" }.to_owned(), text }
}

/// A file of litellm's shape: about 700 bytes a model, as in the original.
pub fn litellm_file(models: usize) -> String {
    let mut text = String::from("{\"sample_spec\": {\"litellm_provider\": \"one of many\"}");
    for nth in 0..models {
        let (input, output) = (nth % 97 + 1, nth % 89 + 5);
        let provider = ["openai", "anthropic", "gemini", "bedrock", "mistral", "together_ai"][nth % 6];
        text.push_str(&format!(
            ", \"family-{nth}-chat\": {{\"litellm_provider\": \"{provider}\", \"mode\": \"chat\", \
             \"max_tokens\": 8192, \"max_input_tokens\": 200000, \"max_output_tokens\": 8192, \
             \"input_cost_per_token\": {input}e-07, \"output_cost_per_token\": {output}e-06, \
             \"cache_read_input_token_cost\": {input}e-08, \"cache_creation_input_token_cost\": {input}.25e-07, \
             \"input_cost_per_token_above_200k_tokens\": {input}.5e-07, \
             \"output_cost_per_token_above_200k_tokens\": {output}.5e-06, \
             \"input_cost_per_token_batches\": {input}e-08, \"output_cost_per_token_batches\": {output}e-07, \
             \"supports_function_calling\": true, \"supports_vision\": true, \"supports_prompt_caching\": true, \
             \"supports_response_schema\": true, \"supports_tool_choice\": true, \
             \"source\": \"https://example.com/pricing/models/family-{nth}\"}}"
        ));
    }
    text.push('}');
    text
}

/// A different number every time, the same sequence in every run.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}
