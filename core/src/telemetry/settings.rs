//! The configuration after the environment has been asked.

use super::config::Protocol;
use super::sampler::Sampler;
use crate::values::Dimension;
use std::path::PathBuf;
use std::time::Duration;

/// How to reach the receiver of one signal.
#[derive(Clone, Debug, PartialEq, Eq)]
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
