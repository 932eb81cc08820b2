//! Where telemetry goes and what it carries: the `[telemetry]` table of the file, overruled by the standard
//! `OTEL_*` variables.

use super::environment::Environment;
use super::sampler::Sampler;
use crate::codes::Code;
use crate::error::{Error, Result};
use crate::values::Dimension;
use std::path::PathBuf;
use std::time::Duration;

/// Most dimensions that metrics can carry.
pub const METRIC_ATTRIBUTES_MAX: usize = 8;

/// Who exports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Native where an OTLP endpoint is configured, else off.
    #[default]
    Auto,
    /// The core's own exporter, to `localhost` if no endpoint is configured.
    Native,
    /// The application's own OpenTelemetry SDK.
    Host,
    /// Nobody.
    Off,
}

impl Mode {
    /// Reads `"auto"`, `"native"`, `"host"` or `"off"`.
    ///
    /// # Errors
    /// `config_invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(match text {
            "auto" => Self::Auto,
            "native" => Self::Native,
            "host" => Self::Host,
            "off" => Self::Off,
            _ => return Err(bad("mode", format!("{text:?} is not a mode"), "write auto, native or off")),
        })
    }
}

/// Which names spans and metrics have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conventions {
    /// The GenAI conventions of October 2026.
    #[default]
    Latest,
}

impl Conventions {
    /// Reads `"latest"`.
    ///
    /// # Errors
    /// `config_invalid`, also for `"v1.41"` and `"both"`, which this version does not speak.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "latest" => Ok(Self::Latest),
            "v1.41" | "both" => {
                Err(bad("conventions", format!("{text:?} is not in this version"), "write \"latest\""))
            }
            _ => Err(bad("conventions", format!("{text:?} is not a set of conventions"), "write \"latest\"")),
        }
    }
}

/// How OTLP travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// `http/protobuf`
    #[default]
    HttpProtobuf,
    /// `grpc`
    Grpc,
}

impl Protocol {
    /// Reads `"http/protobuf"` or `"grpc"`.
    ///
    /// # Errors
    /// `config_invalid`, also for `"http/json"`.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "http/protobuf" => Ok(Self::HttpProtobuf),
            "grpc" => Ok(Self::Grpc),
            _ => {
                let hint = "write \"http/protobuf\" or \"grpc\"";
                Err(bad("protocol", format!("{text:?} is not a protocol of this version"), hint))
            }
        }
    }
}

/// The `[telemetry]` table, or the same from code. An `OTEL_*` variable wins over its field here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// Who exports.
    pub mode: Mode,
    /// Which names.
    pub conventions: Conventions,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: the base URL of both signals.
    pub endpoint: Option<String>,
    /// `OTEL_EXPORTER_OTLP_PROTOCOL`
    pub protocol: Option<Protocol>,
    /// `OTEL_EXPORTER_OTLP_HEADERS`
    pub headers: Vec<(String, String)>,
    /// `OTEL_SERVICE_NAME`
    pub service_name: Option<String>,
    /// Dimensions that metrics carry besides the conventions' own.
    pub metric_attributes: Vec<Dimension>,
    /// Dimensions that leave the process only as keyed hashes.
    pub hash: Vec<Dimension>,
    /// The key of those hashes (`SPENDRAIL_HASH_KEY` wins). Without one each process makes its own, and hashes can be
    /// compared only within it.
    pub hash_key: Option<String>,
}

/// How to reach the receiver of one signal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "only the exporter reads it"))]
pub(crate) struct Endpoint {
    pub(crate) protocol: Protocol,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) timeout: Duration,
    pub(crate) gzip: bool,
    pub(crate) certificate: Option<PathBuf>,
}

/// What a counter reports: the sum since the start or since the last report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Temporality {
    #[default]
    Cumulative,
    Delta,
    LowMemory,
}

/// The configuration after the environment has been asked.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "only the exporter reads most of it"))]
pub(crate) struct Settings {
    pub(crate) traces: Option<Endpoint>,
    pub(crate) metrics: Option<Endpoint>,
    pub(crate) sampler: Sampler,
    pub(crate) service_name: Option<String>,
    pub(crate) resource: Vec<(String, String)>,
    pub(crate) queue_max: usize,
    pub(crate) batch_max: usize,
    pub(crate) batch_delay: Duration,
    pub(crate) metric_interval: Duration,
    pub(crate) temporality: Temporality,
    pub(crate) metric_attributes: Vec<Dimension>,
    pub(crate) hash: Vec<Dimension>,
    pub(crate) hash_key: Option<String>,
    /// Variables that could not be obeyed. By OpenTelemetry's rule they are ignored, never fatal.
    pub(crate) warnings: Vec<String>,
}

impl Default for Settings {
    /// Nothing goes anywhere.
    fn default() -> Self {
        Self {
            traces: None,
            metrics: None,
            sampler: Sampler::default(),
            service_name: None,
            resource: Vec::new(),
            queue_max: 2048,
            batch_max: 512,
            batch_delay: Duration::from_secs(5),
            metric_interval: Duration::from_secs(60),
            temporality: Temporality::default(),
            metric_attributes: Vec::new(),
            hash: Vec::new(),
            hash_key: None,
            warnings: Vec::new(),
        }
    }
}

impl TelemetryConfig {
    /// Checks the table and asks the environment.
    ///
    /// # Errors
    /// `config_invalid` for the table; a bad variable is a warning.
    pub(crate) fn resolve(&self, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Settings> {
        self.check()?;
        let mut env = Environment::new(lookup);
        let off = self.mode == Mode::Off || env.flag("OTEL_SDK_DISABLED");
        let (mut traces, mut metrics) = (None, None);
        if !off {
            traces = self.endpoint_of(&mut env, "TRACES", "/v1/traces");
            metrics = self.endpoint_of(&mut env, "METRICS", "/v1/metrics");
        }
        let batch_max = env.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, 1, 65_536);
        let queue_max = env.number("OTEL_BSP_MAX_QUEUE_SIZE", 2048, 1, 1 << 20);
        Ok(Settings {
            traces,
            metrics,
            sampler: env.sampler(),
            service_name: env.text("OTEL_SERVICE_NAME").or_else(|| self.service_name.clone()),
            resource: env.pairs("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default(),
            queue_max: usize::try_from(queue_max).unwrap_or(2048),
            batch_max: usize::try_from(batch_max.min(queue_max)).unwrap_or(512),
            batch_delay: Duration::from_millis(env.number("OTEL_BSP_SCHEDULE_DELAY", 5_000, 0, 3_600_000)),
            metric_interval: Duration::from_millis(env.number(
                "OTEL_METRIC_EXPORT_INTERVAL",
                60_000,
                1,
                86_400_000,
            )),
            temporality: env.temporality(),
            metric_attributes: self.metric_attributes.clone(),
            hash: self.hash.clone(),
            hash_key: env.text("SPENDRAIL_HASH_KEY").or_else(|| self.hash_key.clone()),
            warnings: env.into_warnings(),
        })
    }

    fn check(&self) -> Result<()> {
        if self.mode == Mode::Host {
            return Err(bad("mode", "\"host\" is not in this version".into(), "write auto, native or off"));
        }
        if let Some(url) = self.endpoint.as_deref().filter(|url| !is_url(url)) {
            let hint = "write for example \"http://localhost:4318\"";
            return Err(bad("endpoint", format!("{url:?} is not an http or https URL"), hint));
        }
        if let Some((name, _)) = self.headers.iter().find(|(name, value)| !is_header(name, value)) {
            return Err(bad(
                "headers",
                format!("{name:?} is not a header"),
                "write names and values in ASCII",
            ));
        }
        if self.metric_attributes.len() > METRIC_ATTRIBUTES_MAX {
            let count = self.metric_attributes.len();
            let message = format!("has {count} dimensions, at most {METRIC_ATTRIBUTES_MAX} are allowed");
            return Err(bad("metric_attributes", message, "every one multiplies the series"));
        }
        for dimension in self.metric_attributes.iter().chain(&self.hash) {
            if matches!(dimension, Dimension::Provider | Dimension::Model | Dimension::Tool) {
                let hint = "the conventions' own attributes carry it";
                return Err(bad("metric_attributes", format!("{dimension} is not part of a scope"), hint));
            }
        }
        for dimension in &self.metric_attributes {
            if matches!(dimension, Dimension::Run | Dimension::Session) {
                let message = format!("{dimension} has a new value for every run or conversation");
                return Err(bad("metric_attributes", message, "spans carry it"));
            }
        }
        Ok(())
    }

    /// The receiver of one signal, or `None` if the signal is off.
    fn endpoint_of(&self, env: &mut Environment<'_>, signal: &str, path: &str) -> Option<Endpoint> {
        if !env.exports(signal) {
            return None;
        }
        let protocol = env.protocol(signal).or(self.protocol).unwrap_or_default();
        let own = env.url(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"), protocol);
        let base = || env.url("OTEL_EXPORTER_OTLP_ENDPOINT", protocol).or_else(|| self.endpoint.clone());
        let under = |base: String| match protocol {
            Protocol::HttpProtobuf => format!("{}{path}", base.trim_end_matches('/')),
            Protocol::Grpc => base,
        };
        let fallback = || {
            (self.mode == Mode::Native).then(|| match protocol {
                Protocol::HttpProtobuf => "http://localhost:4318".to_owned(),
                Protocol::Grpc => "http://localhost:4317".to_owned(),
            })
        };
        let url = match own {
            Some(url) => url,
            None => under(base().or_else(fallback)?),
        };
        Some(Endpoint {
            protocol,
            url,
            headers: env.headers(signal, &self.headers),
            timeout: Duration::from_millis(env.signal_number(signal, "TIMEOUT", 10_000, 1, 3_600_000)),
            gzip: env.gzip(signal),
            certificate: env.signal_text(signal, "CERTIFICATE").map(PathBuf::from),
        })
    }
}

/// Has a scheme that OTLP travels over and a host.
pub(super) fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic())
    })
}

/// Can be sent as a header.
pub(super) fn is_header(name: &str, value: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(token) && value.bytes().all(|byte| (32..127).contains(&byte))
}

fn bad(field: &str, message: String, hint: &str) -> Error {
    Error::new(Code::ConfigInvalid, message).field(format!("telemetry.{field}")).hint(hint)
}
