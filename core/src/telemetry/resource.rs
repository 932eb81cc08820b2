//! Who speaks: the process, and this library in it.

use super::semconv::{SCHEMA_URL, SCOPE};
use super::settings::Settings;
use crate::values::ids::IdMaker;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;

const SERVICE_NAME: &str = "service.name";
const INSTANCE_ID: &str = "service.instance.id";

/// The resource of this process. Each call makes a new `service.instance.id` unless the variables name one: two
/// processes with the same one would corrupt each other's counters.
pub(crate) fn resource(settings: &Settings) -> Resource {
    let named = |key: &str| settings.resource.iter().any(|(k, _)| k == key);
    let mut attributes: Vec<KeyValue> =
        settings.resource.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect();
    match &settings.service_name {
        Some(name) => attributes.push(KeyValue::new(SERVICE_NAME, name.clone())),
        None if !named(SERVICE_NAME) => attributes.push(KeyValue::new(SERVICE_NAME, unknown_service())),
        None => {}
    }
    if !named(INSTANCE_ID) {
        attributes.push(KeyValue::new(INSTANCE_ID, uuid(IdMaker::new().next().0)));
    }
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(attributes)
        .build()
}

/// The instrumentation scope of all spans and metrics.
pub(crate) fn instrumentation_scope() -> InstrumentationScope {
    InstrumentationScope::builder(SCOPE)
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(SCHEMA_URL)
        .build()
}

/// The specification's name for a service without one.
fn unknown_service() -> String {
    let program = std::env::current_exe().ok();
    let name = program.as_deref().and_then(std::path::Path::file_name).map(std::ffi::OsStr::to_string_lossy);
    name.map_or_else(|| "unknown_service".to_owned(), |name| format!("unknown_service:{name}"))
}

/// 128 random bits as a UUID of version 4.
fn uuid(bits: u128) -> String {
    let bits = bits & !(0xF << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(resource: &Resource, key: &'static str) -> String {
        resource.get(&key.into()).map(|value| value.as_str().into_owned()).unwrap_or_default()
    }

    #[test]
    fn every_process_has_its_own_instance_id() {
        let settings = Settings { service_name: Some("checkout".into()), ..Settings::default() };
        let (one, two) = (resource(&settings), resource(&settings));
        assert_ne!(value(&one, INSTANCE_ID), value(&two, INSTANCE_ID));
        assert_eq!((value(&one, INSTANCE_ID).len(), value(&one, SERVICE_NAME)), (36, "checkout".to_owned()));
        assert_eq!(value(&one, "telemetry.sdk.language"), "rust");
        let pairs = [(SERVICE_NAME, "a"), (INSTANCE_ID, "pod-1")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let given = resource(&Settings { resource: pairs.to_vec(), ..Settings::default() });
        assert_eq!(
            (value(&given, SERVICE_NAME).as_str(), value(&given, INSTANCE_ID).as_str()),
            ("a", "pod-1")
        );
        assert!(value(&resource(&Settings::default()), SERVICE_NAME).starts_with("unknown_service:"));
    }

    #[test]
    fn a_uuid_says_its_version() {
        assert_eq!(uuid(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uuid(0), "00000000-0000-4000-8000-000000000000");
    }
}
