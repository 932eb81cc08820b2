//! `[telemetry]`.

use super::matcher::dimension;
use super::tree::{Node, Table, place, text};
use crate::error::Result;
use crate::telemetry::{Conventions, Protocol, TelemetryConfig, TelemetryMode};
use crate::values::Dimension;

/// Reads the table.
pub(super) fn read(mut table: Table) -> Result<TelemetryConfig> {
    let mut config = TelemetryConfig::default();
    let keys = ["mode", "endpoint", "headers", "metric_attributes", "hash"];
    let lines = keys.map(|key| (table.key(key), table.line_of(key)));
    if let Some(mode) = word(&mut table, "mode", TelemetryMode::parse)? {
        config.mode = mode;
    }
    if let Some(conventions) = word(&mut table, "conventions", Conventions::parse)? {
        config.conventions = conventions;
    }
    config.protocol = word(&mut table, "protocol", Protocol::parse)?;
    config.endpoint = table.text("endpoint")?.map(|(text, _)| text);
    config.service_name = table.text("service_name")?.map(|(text, _)| text);
    config.hash_key = table.text("hash_key")?.map(|(text, _)| text);
    config.metric_attributes = dimensions(&mut table, "metric_attributes")?;
    config.hash = dimensions(&mut table, "hash")?;
    let path = table.key("headers");
    let header = |(name, node): (String, Node)| Ok((name, text(&node, &path)?.to_owned()));
    config.headers = table.table("headers")?.into_entries().map(header).collect::<Result<_>>()?;
    table.finish()?;
    config.check().map_err(|error| {
        let field = error.field_name().unwrap_or_default().to_owned();
        let line = lines.iter().find(|(key, _)| *key == field).map_or(0, |(_, line)| *line);
        place(error, &field, line)
    })?;
    Ok(config)
}

fn word<T>(table: &mut Table, key: &'static str, parse: impl Fn(&str) -> Result<T>) -> Result<Option<T>> {
    let path = table.key(key);
    let found = table.text(key)?;
    found.map(|(text, line)| parse(&text).map_err(|e| place(e, &path, line))).transpose()
}

fn dimensions(table: &mut Table, key: &'static str) -> Result<Vec<Dimension>> {
    let path = table.key(key);
    let texts = table.texts(key)?.unwrap_or_default();
    texts.into_iter().map(|(text, line)| dimension(&text, &path, line)).collect()
}
