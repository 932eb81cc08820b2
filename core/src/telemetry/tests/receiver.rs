//! A real OTLP receiver on loopback: HTTP/1.1 and gRPC, plain and TLS, and the ways in which receivers misbehave.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use parking_lot::Mutex;
use prost::Message;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How the receiver treats the requests that come next; the last one stays.
#[derive(Clone, Copy, Debug)]
pub(super) enum Manner {
    Accept,
    Refuse(u16),
    Slow(Duration),
    Never,
}

#[derive(Debug, Default)]
pub(super) struct Received {
    pub(super) traces: Vec<ExportTraceServiceRequest>,
    pub(super) metrics: Vec<ExportMetricsServiceRequest>,
    pub(super) headers: Vec<Vec<(String, String)>>,
    manners: VecDeque<Manner>,
}

/// The receiver. Its threads end with the process.
pub(super) struct Receiver {
    pub(super) url: String,
    pub(super) received: Arc<Mutex<Received>>,
    pub(super) protocol: &'static str,
    /// The certificate to trust, where it speaks TLS.
    pub(super) certificate: Option<PathBuf>,
}

impl Receiver {
    pub(super) fn http(manners: &[Manner]) -> Self {
        Self::start(manners, "http/protobuf", None, serve_http)
    }

    pub(super) fn https() -> Self {
        Self::start(&[Manner::Accept], "http/protobuf", Some(&b"http/1.1"[..]), serve_http)
    }

    pub(super) fn grpc(manners: &[Manner]) -> Self {
        Self::start(manners, "grpc", None, serve_grpc)
    }

    pub(super) fn grpcs() -> Self {
        Self::start(&[Manner::Accept], "grpc", Some(&b"h2"[..]), serve_grpc)
    }

    fn start(
        manners: &[Manner],
        protocol: &'static str,
        alpn: Option<&[u8]>,
        serve: fn(TcpStream, Option<Arc<rustls::ServerConfig>>, Arc<Mutex<Received>>),
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let received =
            Arc::new(Mutex::new(Received { manners: manners.to_vec().into(), ..Received::default() }));
        let tls = alpn.map(|alpn| tls(port, alpn));
        let (config, certificate) = tls.map_or((None, None), |(config, path)| (Some(config), Some(path)));
        let scheme = if config.is_some() { "https" } else { "http" };
        let shared = Arc::clone(&received);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, shared) = (config.clone(), Arc::clone(&shared));
                std::thread::spawn(move || serve(stream, config, shared));
            }
        });
        Self { url: format!("{scheme}://localhost:{port}"), received, protocol, certificate }
    }

    pub(super) fn spans(&self) -> Vec<opentelemetry_proto::tonic::trace::v1::Span> {
        let received = self.received.lock();
        let scopes =
            received.traces.iter().flat_map(|request| &request.resource_spans).flat_map(|r| &r.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }
}

impl Received {
    fn manner(&mut self) -> Manner {
        if self.manners.len() > 1 { self.manners.pop_front().unwrap() } else { self.manners[0] }
    }

    fn take(&mut self, path: &str, body: &[u8]) {
        match path {
            "/v1/traces" | "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => {
                self.traces.push(ExportTraceServiceRequest::decode(body).unwrap());
            }
            "/v1/metrics" | "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => {
                self.metrics.push(ExportMetricsServiceRequest::decode(body).unwrap());
            }
            other => panic!("nobody asked for {other}"),
        }
    }
}

fn tls(port: u16, alpn: &[u8]) -> (Arc<rustls::ServerConfig>, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let path = std::env::temp_dir().join(format!("spendrail-test-{}-{port}.pem", std::process::id()));
    std::fs::write(&path, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![alpn.to_vec()];
    (Arc::new(config), path)
}

fn serve_http(stream: TcpStream, tls: Option<Arc<rustls::ServerConfig>>, received: Arc<Mutex<Received>>) {
    match tls {
        None => converse(BufReader::new(stream), &received),
        Some(config) => {
            let connection = rustls::ServerConnection::new(config).unwrap();
            converse(BufReader::new(rustls::StreamOwned::new(connection, stream)), &received);
        }
    }
}

/// Reads requests until the client hangs up.
fn converse<S: Read + Write>(mut stream: BufReader<S>, received: &Mutex<Received>) {
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            match stream.read_line(&mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if line == "\r\n" => break,
                Ok(_) => lines.push(line.trim_end().to_owned()),
            }
        }
        let path = lines[0].split(' ').nth(1).unwrap().to_owned();
        let headers: Vec<(String, String)> = lines[1..]
            .iter()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let header = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let mut body = vec![0; header("content-length").unwrap().parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        if header("content-encoding") == Some("gzip") {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
            body = plain;
        }
        let manner = received.lock().manner();
        let status = match manner {
            Manner::Never => loop {
                std::thread::sleep(Duration::from_secs(60));
            },
            Manner::Slow(delay) => {
                std::thread::sleep(delay);
                200
            }
            Manner::Refuse(status) => status,
            Manner::Accept => 200,
        };
        let mut received = received.lock();
        received.headers.push(headers);
        if status == 200 {
            received.take(&path, &body);
        }
        drop(received);
        if write!(stream.get_mut(), "HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n").is_err() {
            return;
        }
        let _ = stream.get_mut().flush();
    }
}

fn serve_grpc(stream: TcpStream, tls: Option<Arc<rustls::ServerConfig>>, received: Arc<Mutex<Received>>) {
    stream.set_nonblocking(true).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let stream = tokio::net::TcpStream::from_std(stream).unwrap();
        match tls {
            None => converse_h2(stream, received).await,
            Some(config) => {
                // A client that does not trust us hangs up.
                let Ok(stream) = tokio_rustls::TlsAcceptor::from(config).accept(stream).await else { return };
                converse_h2(stream, received).await;
            }
        }
    });
}

/// gRPC is HTTP/2 with five bytes before each message and a status in the trailers.
async fn converse_h2<S>(stream: S, received: Arc<Mutex<Received>>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    // A client that hangs up at once is not our fault.
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let received = Arc::clone(&received);
        tokio::spawn(async move {
            let (parts, mut stream) = request.into_parts();
            let mut body = Vec::new();
            while let Some(chunk) = stream.data().await {
                let chunk = chunk.unwrap();
                body.extend_from_slice(&chunk);
                let _ = stream.flow_control().release_capacity(chunk.len());
            }
            let manner = received.lock().manner();
            let status = match manner {
                Manner::Never => std::future::pending().await,
                Manner::Slow(delay) => {
                    tokio::time::sleep(delay).await;
                    "0"
                }
                Manner::Refuse(_) => "14",
                Manner::Accept => "0",
            };
            let mut message = body[5..].to_vec();
            if body[0] == 1 {
                message.clear();
                flate2::read::GzDecoder::new(&body[5..]).read_to_end(&mut message).unwrap();
            }
            {
                let mut received = received.lock();
                let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
                    (name.to_string(), value.to_str().unwrap().to_owned())
                };
                received.headers.push(parts.headers.iter().map(header).collect());
                if status == "0" {
                    received.take(parts.uri.path(), &message);
                }
            }
            let head = http::Response::builder().header("content-type", "application/grpc").body(()).unwrap();
            let mut send = respond.send_response(head, false).unwrap();
            send.send_data(vec![0u8; 5].into(), false).unwrap();
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", status.parse().unwrap());
            let _ = send.send_trailers(trailers);
        });
    }
}
