//! Where telemetry goes and what it carries: the `[telemetry]` table of the file, overruled by the standard
//! `OTEL_*` variables.

use super::environment::Environment;
use super::settings::{Endpoint, Settings};
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
        let resource = env.pairs("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let named = resource.iter().any(|(key, _)| key == "service.name");
        let service_name = self.service_name.clone().filter(|_| !named);
        let batch_max = env.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, 1, 65_536);
        let queue_max = env.number("OTEL_BSP_MAX_QUEUE_SIZE", 2048, 1, 1 << 20);
        Ok(Settings {
            traces,
            metrics,
            sampler: env.sampler(),
            service_name: env.text("OTEL_SERVICE_NAME").or(service_name),
            resource,
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

    /// Checks what the table says, whatever the environment adds.
    ///
    /// # Errors
    /// `config_invalid`.
    pub(crate) fn check(&self) -> Result<()> {
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
        for (field, dimensions) in [("metric_attributes", &self.metric_attributes), ("hash", &self.hash)] {
            let foreign =
                |d: &&Dimension| matches!(d, Dimension::Provider | Dimension::Model | Dimension::Tool);
            if let Some(dimension) = dimensions.iter().find(foreign) {
                let hint = "the conventions' own attributes carry it";
                return Err(bad(field, format!("{dimension} is not part of a scope"), hint));
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
        let own = env.url(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"), signal, protocol);
        let base =
            || env.url("OTEL_EXPORTER_OTLP_ENDPOINT", signal, protocol).or_else(|| self.endpoint.clone());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::sampler::Sampler;

    fn settings(config: &TelemetryConfig, variables: &[(&str, &str)]) -> Settings {
        let find =
            |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        config.resolve(&find).unwrap()
    }

    fn auto(variables: &[(&str, &str)]) -> Settings {
        settings(&TelemetryConfig::default(), variables)
    }

    fn url(endpoint: Option<&Endpoint>) -> &str {
        endpoint.map_or("", |endpoint| endpoint.url.as_str())
    }

    const BASE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://otel.example/base/");

    #[test]
    fn auto_is_off_until_an_endpoint_is_configured() {
        let silent = auto(&[("OTEL_SERVICE_NAME", "shop")]);
        assert!(silent.traces.is_none() && silent.metrics.is_none() && silent.warnings.is_empty());
        let native = settings(&TelemetryConfig { mode: Mode::Native, ..Default::default() }, &[]);
        assert_eq!(url(native.traces.as_ref()), "http://localhost:4318/v1/traces");
        let code = TelemetryConfig { endpoint: Some("http://code:1".into()), ..Default::default() };
        assert_eq!(url(settings(&code, &[]).metrics.as_ref()), "http://code:1/v1/metrics");
        assert_eq!(url(settings(&code, &[BASE]).metrics.as_ref()), "https://otel.example/base/v1/metrics");
        for off in [("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_TRACES_EXPORTER", "none")] {
            assert!(auto(&[BASE, off]).traces.is_none());
        }
        assert!(auto(&[BASE, ("OTEL_TRACES_EXPORTER", "none")]).metrics.is_some());
    }

    #[test]
    fn the_signals_own_variable_wins_and_is_used_as_it_is() {
        let mixed = auto(&[
            BASE,
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:1/here"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
            ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "3000"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=1"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "b=%C3%A4,c=x%20y"),
        ]);
        let (traces, metrics) = (mixed.traces.unwrap(), mixed.metrics.unwrap());
        assert_eq!((traces.url.as_str(), traces.timeout.as_secs()), ("http://traces:1/here", 2));
        assert_eq!(
            (metrics.url.as_str(), metrics.timeout.as_secs()),
            ("https://otel.example/base/v1/metrics", 3)
        );
        assert_eq!(traces.headers, [("a".to_owned(), "1".to_owned())]);
        assert_eq!(metrics.headers, [("c".to_owned(), "x y".to_owned())]);
        assert_eq!(mixed.warnings, ["OTEL_EXPORTER_OTLP_HEADERS=\"…\" is ignored: a part is not a header"]);
        let own = auto(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:1/")]);
        assert!(own.traces.is_some() && own.metrics.is_none());
    }

    #[test]
    fn grpc_may_leave_the_scheme_out() {
        let grpc = |more: &[(&str, &str)]| {
            let base =
                [("OTEL_EXPORTER_OTLP_PROTOCOL", "GRPC"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")];
            let settings = auto(&[&base[..], more].concat());
            assert_eq!(settings.traces.as_ref().unwrap().protocol, Protocol::Grpc);
            settings.traces.unwrap().url
        };
        assert_eq!(grpc(&[]), "https://collector:4317");
        assert_eq!(grpc(&[("OTEL_EXPORTER_OTLP_INSECURE", "true")]), "http://collector:4317");
        assert_eq!(grpc(&[("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "true")]), "http://collector:4317");
    }

    #[test]
    fn a_variable_that_cannot_be_obeyed_is_a_warning() {
        let settings = auto(&[
            BASE,
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_TRACES_SAMPLER", "xray"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
            ("OTEL_METRICS_EXPORTER", "prometheus"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "traces:1"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "both"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a%20b,broken"),
        ]);
        assert_eq!(settings.warnings.len(), 8, "{:#?}", settings.warnings);
        assert_eq!(url(settings.traces.as_ref()), "https://otel.example/base/v1/traces");
        assert_eq!(settings.traces.unwrap().protocol, Protocol::HttpProtobuf);
        assert_eq!((settings.sampler, settings.queue_max), (Sampler::default(), 2048));
        assert_eq!(settings.resource, [("service.name".to_owned(), "a b".to_owned())]);
        assert!(settings.metrics.is_none());
    }

    #[test]
    fn the_service_name_of_a_variable_wins() {
        let config = TelemetryConfig { service_name: Some("file".into()), ..Default::default() };
        assert_eq!(settings(&config, &[]).service_name.as_deref(), Some("file"));
        assert_eq!(settings(&config, &[("OTEL_SERVICE_NAME", "env")]).service_name.as_deref(), Some("env"));
        let resource = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=env");
        assert_eq!(settings(&config, &[resource]).service_name, None);
    }

    #[test]
    fn a_bad_table_is_an_error_that_names_the_field() {
        let field = |config: TelemetryConfig| {
            let error = config.resolve(&|_| None).unwrap_err();
            assert_eq!(error.code(), Code::ConfigInvalid);
            error.field_name().unwrap_or_default().to_owned()
        };
        let base = TelemetryConfig::default;
        assert_eq!(field(TelemetryConfig { mode: Mode::Host, ..base() }), "telemetry.mode");
        assert_eq!(
            field(TelemetryConfig { endpoint: Some("otel:4318".into()), ..base() }),
            "telemetry.endpoint"
        );
        let headers = vec![("x\r\ny".to_owned(), "1".to_owned())];
        assert_eq!(field(TelemetryConfig { headers, ..base() }), "telemetry.headers");
        for dimension in [Dimension::Run, Dimension::Model] {
            let metric_attributes = vec![dimension];
            assert_eq!(field(TelemetryConfig { metric_attributes, ..base() }), "telemetry.metric_attributes");
        }
        for text in ["v1.41", "both", "old"] {
            assert_eq!(Conventions::parse(text).unwrap_err().field_name(), Some("telemetry.conventions"));
        }
        assert!(Mode::parse("on").is_err() && Protocol::parse("http/json").is_err());
    }
}
