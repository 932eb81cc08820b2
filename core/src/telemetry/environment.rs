//! The `OTEL_*` variables. An empty one is unset; one that cannot be obeyed is a warning and ignored, as the
//! OpenTelemetry specification wants it.

use super::config::{Protocol, is_header, is_url};
use super::sampler::Sampler;
use super::settings::Temporality;

/// The environment, through a lookup that tests can supply, and what was wrong with it.
pub(crate) struct Environment<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    warnings: std::cell::RefCell<Vec<String>>,
}

impl<'a> Environment<'a> {
    pub(crate) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, warnings: std::cell::RefCell::default() }
    }

    pub(crate) fn into_warnings(self) -> Vec<String> {
        self.warnings.into_inner()
    }

    fn ignore(&self, name: &str, value: &str, why: &str) {
        let shown: String = value.chars().take(60).collect();
        let warning = format!("{name}={shown:?} is ignored: {why}");
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    pub(crate) fn number(&self, name: &str, default: u64, least: u64, most: u64) -> u64 {
        let Some(text) = self.text(name) else { return default };
        match text.parse() {
            Ok(number) if (least..=most).contains(&number) => number,
            _ => {
                self.ignore(name, &text, &format!("not a whole number from {least} to {most}"));
                default
            }
        }
    }

    /// The signal's own variable, else the general one.
    fn signal(&self, signal: &str, what: &str) -> Option<(String, String)> {
        let names = [format!("OTEL_EXPORTER_OTLP_{signal}_{what}"), format!("OTEL_EXPORTER_OTLP_{what}")];
        names.into_iter().find_map(|name| self.text(&name).map(|value| (name, value)))
    }

    pub(crate) fn signal_text(&self, signal: &str, what: &str) -> Option<String> {
        self.signal(signal, what).map(|(_, value)| value)
    }

    pub(crate) fn signal_number(&self, signal: &str, what: &str, default: u64, least: u64, most: u64) -> u64 {
        let name = self.signal(signal, what).map(|(name, _)| name);
        name.map_or(default, |name| self.number(&name, default, least, most))
    }

    /// `OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER`: whether this signal goes out by OTLP.
    pub(crate) fn exports(&self, signal: &str) -> bool {
        let name = format!("OTEL_{signal}_EXPORTER");
        let Some(text) = self.text(&name) else { return true };
        let mut kinds = text.split(',').map(str::trim);
        if kinds.any(|kind| kind == "otlp") {
            return true;
        }
        if text != "none" {
            self.ignore(&name, &text, "only otlp and none are known; nothing is exported");
        }
        false
    }

    pub(crate) fn protocol(&self, signal: &str) -> Option<Protocol> {
        let (name, text) = self.signal(signal, "PROTOCOL")?;
        let protocol = Protocol::parse(&text.to_ascii_lowercase()).ok();
        if protocol.is_none() {
            self.ignore(&name, &text, "only http/protobuf and grpc are spoken");
        }
        protocol
    }

    /// An endpoint. gRPC may leave the scheme out; then `OTEL_EXPORTER_OTLP_INSECURE` decides.
    pub(crate) fn url(&self, name: &str, signal: &str, protocol: Protocol) -> Option<String> {
        let text = self.text(name)?;
        if is_url(&text) {
            return Some(text);
        }
        if protocol == Protocol::Grpc && !text.contains("://") {
            let insecure =
                self.signal_text(signal, "INSECURE").is_some_and(|text| text.eq_ignore_ascii_case("true"));
            let scheme = if insecure { "http" } else { "https" };
            return Some(format!("{scheme}://{text}")).filter(|url| is_url(url));
        }
        self.ignore(name, &text, "not an http or https URL");
        None
    }

    /// `k=v,k2=v2` with percent-encoded values.
    pub(crate) fn pairs(&self, name: &str) -> Option<Vec<(String, String)>> {
        let text = self.text(name)?;
        let mut pairs = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let pair = part.split_once('=').and_then(|(key, value)| {
                let (key, value) = (decode(key.trim())?, decode(value.trim())?);
                (!key.is_empty()).then_some((key, value))
            });
            match pair {
                Some(pair) => pairs.push(pair),
                // The value may be a secret.
                None => self.ignore(name, "…", "a part is not key=value, percent-encoded"),
            }
        }
        Some(pairs)
    }

    /// The file's headers, replaced one by one by the variable's.
    pub(crate) fn headers(&self, signal: &str, file: &[(String, String)]) -> Vec<(String, String)> {
        let mut headers = file.to_vec();
        let Some((name, _)) = self.signal(signal, "HEADERS") else { return headers };
        for (key, value) in self.pairs(&name).unwrap_or_default() {
            if !is_header(&key, &value) {
                self.ignore(&name, "…", "a part is not a header");
                continue;
            }
            headers.retain(|(k, _)| !k.eq_ignore_ascii_case(&key));
            headers.push((key, value));
        }
        headers
    }

    /// An unknown compression becomes gzip: the SDK's exporter, which reads the variable too, would refuse it.
    pub(crate) fn gzip(&self, signal: &str) -> bool {
        let Some((name, text)) = self.signal(signal, "COMPRESSION") else { return false };
        if !matches!(text.as_str(), "gzip" | "none") {
            self.ignore(&name, &text, "only gzip and none are known; gzip is used");
        }
        text != "none"
    }

    pub(crate) fn sampler(&self) -> Sampler {
        let Some(name) = self.text("OTEL_TRACES_SAMPLER") else { return Sampler::default() };
        let argument = self.text("OTEL_TRACES_SAMPLER_ARG");
        Sampler::parse(&name, argument.as_deref()).unwrap_or_else(|| {
            let shown = format!("{name} {}", argument.unwrap_or_default());
            self.ignore("OTEL_TRACES_SAMPLER", shown.trim_end(), "not a sampler with a ratio from 0 to 1");
            Sampler::default()
        })
    }

    pub(crate) fn temporality(&self) -> Temporality {
        let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
        let Some(text) = self.text(name) else { return Temporality::default() };
        match text.to_ascii_lowercase().as_str() {
            "cumulative" => Temporality::Cumulative,
            "delta" => Temporality::Delta,
            "lowmemory" => Temporality::LowMemory,
            _ => {
                self.ignore(name, &text, "not cumulative, delta or lowmemory");
                Temporality::default()
            }
        }
    }
}

/// Percent-decoding (RFC 3986); `None` if it is damaged or not UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let pair = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
