//! How OTLP leaves the process: the SDK's exporters over a small HTTP/1.1 client, or over gRPC.

use super::config::Protocol;
use super::settings::Endpoint;
use async_trait::async_trait;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig};
use opentelemetry_otlp::{
    Compression, MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;
use parking_lot::Mutex;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Largest answer that is read: a receiver has little to say.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Why the last request failed, in the words of the layer that knows.
pub(crate) type Cause = Arc<Mutex<Option<String>>>;

/// The exporter of spans, with the resource set. Must be called inside the runtime.
pub(crate) fn spans(endpoint: &Endpoint, resource: &Resource, cause: &Cause) -> Result<SpanExporter, Fault> {
    let builder = SpanExporter::builder();
    let mut exporter = match endpoint.protocol {
        Protocol::HttpProtobuf => http(builder.with_http(), endpoint, cause)?.build()?,
        Protocol::Grpc => grpc(builder.with_tonic(), endpoint)?.build()?,
    };
    opentelemetry_sdk::trace::SpanExporter::set_resource(&mut exporter, resource);
    Ok(exporter)
}

/// The exporter of metrics. Must be called inside the runtime.
pub(crate) fn metrics(
    endpoint: &Endpoint,
    temporality: Temporality,
    cause: &Cause,
) -> Result<MetricExporter, Fault> {
    let builder = MetricExporter::builder().with_temporality(temporality);
    Ok(match endpoint.protocol {
        Protocol::HttpProtobuf => http(builder.with_http(), endpoint, cause)?.build()?,
        Protocol::Grpc => grpc(builder.with_tonic(), endpoint)?.build()?,
    })
}

fn http<B: WithExportConfig + WithHttpConfig>(
    builder: B,
    endpoint: &Endpoint,
    cause: &Cause,
) -> Result<B, Fault> {
    let client = HttpTransport::new(endpoint, Arc::clone(cause))?;
    // The builder decodes values once more.
    let headers = endpoint.headers.iter().map(|(name, value)| (name.clone(), value.replace('%', "%25")));
    let builder = builder
        .with_endpoint(&endpoint.url)
        .with_timeout(endpoint.timeout)
        .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
        .with_http_client(client)
        .with_headers(headers.collect::<HashMap<_, _>>());
    Ok(if endpoint.gzip { builder.with_compression(Compression::Gzip) } else { builder })
}

fn grpc<B: WithExportConfig + WithTonicConfig>(builder: B, endpoint: &Endpoint) -> Result<B, Fault> {
    let mut headers = http::HeaderMap::new();
    for (name, value) in &endpoint.headers {
        headers.insert(http::HeaderName::from_bytes(name.as_bytes())?, http::HeaderValue::from_str(value)?);
    }
    let mut builder = builder
        .with_endpoint(&endpoint.url)
        .with_timeout(endpoint.timeout)
        .with_metadata(MetadataMap::from_headers(headers));
    if endpoint.url.starts_with("https://") {
        let tls = ClientTlsConfig::new();
        builder = builder.with_tls_config(match &endpoint.certificate {
            Some(path) => tls.ca_certificate(Certificate::from_pem(read(path)?)),
            None => tls.with_enabled_roots(),
        });
    }
    Ok(if endpoint.gzip { builder.with_compression(Compression::Gzip) } else { builder })
}

/// A pooled HTTP/1.1 client on the background thread's own runtime.
#[derive(Debug)]
struct HttpTransport {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
    cause: Cause,
}

impl HttpTransport {
    fn new(endpoint: &Endpoint, cause: Cause) -> Result<Self, Fault> {
        let secure = endpoint.url.starts_with("https://");
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?;
        let tls = match &endpoint.certificate {
            Some(path) if secure => tls.with_root_certificates(roots(path)?),
            None if secure => tls.with_native_roots()?,
            _ => tls.with_root_certificates(rustls::RootCertStore::empty()),
        };
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(endpoint.timeout));
        connector.enforce_http(false);
        connector.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.with_no_client_auth())
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(1)
            .build(connector);
        Ok(Self { client, timeout: endpoint.timeout, cause })
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Fault> {
        let answer = self.client.request(request.map(Full::new)).await?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
        Ok(Response::from_parts(parts, body))
    }
}

#[async_trait]
impl HttpClient for HttpTransport {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = match tokio::time::timeout(self.timeout, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {} ms", self.timeout.as_millis()).into()),
        };
        *self.cause.lock() = answer.as_ref().err().map(|fault| chain(fault.as_ref()));
        answer
    }
}

/// An error and what caused it, in one line.
fn chain(fault: &(dyn std::error::Error + 'static)) -> String {
    let mut text = fault.to_string();
    let mut source = fault.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn roots(path: &Path) -> Result<rustls::RootCertStore, Fault> {
    let mut store = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&read(path)?) {
        store.add(certificate?)?;
    }
    if store.is_empty() {
        return Err(format!("OTEL_EXPORTER_OTLP_CERTIFICATE: {} holds no certificate", path.display()).into());
    }
    Ok(store)
}

fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    std::fs::read(path)
        .map_err(|why| format!("OTEL_EXPORTER_OTLP_CERTIFICATE: {}: {why}", path.display()).into())
}
