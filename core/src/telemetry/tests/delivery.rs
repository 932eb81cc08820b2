//! What arrives, what is counted when it does not, and how long anybody waits.

use super::fixtures::*;
use super::receiver::{Manner, Receiver};
use crate::telemetry::record::Record;
use crate::telemetry::{TelemetryConfig, recorder};
use crate::values::ids::IdMaker;
use std::time::{Duration, Instant};

/// More than a deadline plus what two busy cores may add.
fn in_time(since: Instant, deadline: Duration) {
    let took = since.elapsed();
    assert!(took < deadline + Duration::from_millis(500), "{took:?} for {deadline:?}");
}

#[test]
fn http_with_headers_and_gzip() {
    let receiver = Receiver::http(&[Manner::Accept]);
    let rig = Rig::to(
        &receiver,
        &[
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20a%3D%25b"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ],
    );
    rig.calls(3);
    let report = rig.worker.flush(5 * SECOND);
    assert!(report.complete && report.exported == 3 && report.failed + report.dropped == 0, "{report:?}");
    assert_eq!(receiver.spans().len(), 3);
    for headers in &receiver.received.lock().headers {
        assert!(headers.contains(&("authorization".into(), "Basic a=%b".into())), "{headers:?}");
        assert!(headers.contains(&("content-encoding".into(), "gzip".into())));
        assert!(headers.contains(&("content-type".into(), "application/x-protobuf".into())));
    }
}

#[test]
fn grpc_with_headers_and_gzip() {
    let receiver = Receiver::grpc(&[Manner::Accept]);
    let variables =
        [("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret"), ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip")];
    let rig = Rig::to(&receiver, &variables);
    rig.calls(3);
    assert!(rig.worker.flush(5 * SECOND).complete);
    assert_eq!((receiver.spans().len(), receiver.received.lock().metrics.len()), (3, 1));
    assert!(receiver.received.lock().headers[0].contains(&("x-key".into(), "secret".into())));
}

#[test]
fn tls_over_http_and_grpc_trusts_only_the_named_certificate() {
    for receiver in [Receiver::https(), Receiver::grpcs()] {
        let protocol = receiver.protocol;
        let rig = Rig::to(&receiver, &[]);
        rig.calls(1);
        let report = rig.worker.flush(5 * SECOND);
        assert!(report.complete, "{protocol}: {report:?}");
        assert_eq!(receiver.spans().len(), 1);

        // The system's own roots do not know it.
        let url = ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url.as_str());
        let spoken = ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
        let wary = Rig::new(&[url, spoken, ("OTEL_EXPORTER_OTLP_TIMEOUT", "300")]);
        wary.calls(1);
        let report = wary.worker.flush(5 * SECOND);
        assert!(!report.complete && report.failed == 1, "{protocol}: {report:?}");
        let missing = ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem");
        let lost = Rig::new(&[url, spoken, missing]);
        lost.calls(1);
        let report = lost.worker.flush(5 * SECOND);
        assert!(report.last_error.as_ref().unwrap().contains("/nowhere/ca.pem"), "{protocol}: {report:?}");
    }
}

#[test]
fn a_black_hole_costs_nobody_time() {
    for receiver in [Receiver::http(&[Manner::Never]), Receiver::grpc(&[Manner::Never])] {
        let rig = Rig::to(&receiver, &[("OTEL_BSP_SCHEDULE_DELAY", "0"), ("OTEL_BSP_MAX_QUEUE_SIZE", "64")]);
        rig.calls(10);
        let start = Instant::now();
        let report = rig.worker.flush(Duration::from_millis(300));
        in_time(start, Duration::from_millis(300));
        assert!(!report.complete && start.elapsed() >= Duration::from_millis(250), "{report:?}");

        // Callers go on while the export hangs, and what does not fit is counted.
        let start = Instant::now();
        for _ in 0..20 {
            rig.calls(50);
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(start.elapsed() < SECOND);
        let start = Instant::now();
        let report = rig.worker.close(Duration::from_millis(200));
        in_time(start, Duration::from_millis(200));
        assert_eq!((report.exported, report.complete), (0, false));
        assert!(report.dropped >= 1_000 - 64, "{report:?}");
        assert!(!rig.recorder.enabled());
        rig.calls(1);
        let start = Instant::now();
        rig.worker.flush(SECOND);
        in_time(start, Duration::ZERO);
    }
}

#[test]
fn a_refused_port_fails_soon_and_says_so() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for protocol in ["http/protobuf", "grpc"] {
        let url = format!("http://127.0.0.1:{port}");
        let variables =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
        let rig = Rig::new(&variables);
        rig.calls(5);
        let start = Instant::now();
        let report = rig.worker.flush(10 * SECOND);
        assert!(start.elapsed() < 5 * SECOND);
        assert!(
            !report.complete && report.failed == 5 && report.last_error.is_some(),
            "{protocol}: {report:?}"
        );
        if protocol == "http/protobuf" {
            assert!(report.last_error.unwrap().contains("refused"));
        }
    }
}

#[test]
fn a_slow_receiver_gets_everything_in_the_end() {
    let receiver = Receiver::http(&[Manner::Slow(Duration::from_millis(400))]);
    let rig = Rig::to(&receiver, &[]);
    rig.calls(4);
    assert!(!rig.worker.flush(Duration::from_millis(100)).complete);
    let report = rig.worker.flush(10 * SECOND);
    assert!(report.complete && report.exported == 4, "{report:?}");
    assert_eq!(receiver.spans().len(), 4);
}

#[test]
fn an_answer_of_503_is_tried_again_and_one_of_404_is_not() {
    let variables = [("OTEL_METRICS_EXPORTER", "none")];
    let receiver = Receiver::http(&[Manner::Refuse(503), Manner::Refuse(503), Manner::Accept]);
    let rig = Rig::to(&receiver, &variables);
    rig.calls(2);
    let report = rig.worker.flush(10 * SECOND);
    assert!(report.complete && report.exported == 2, "{report:?}");
    assert_eq!(receiver.spans().len(), 2);
    assert_eq!(receiver.received.lock().headers.len(), 3);

    let receiver = Receiver::http(&[Manner::Refuse(404), Manner::Accept]);
    let rig = Rig::to(&receiver, &variables);
    rig.calls(2);
    let report = rig.worker.flush(10 * SECOND);
    assert!(!report.complete && report.failed == 2, "{report:?}");
    assert!(report.last_error.unwrap().contains("404"));
    // One refusal is not the end.
    rig.calls(1);
    let report = rig.worker.flush(10 * SECOND);
    assert!(
        report.complete && report.exported == 1 && report.failed == 2 && report.last_error.is_none(),
        "{report:?}"
    );
}

#[test]
fn a_full_queue_drops_the_newest_and_counts_it() {
    // Nobody empties this queue: no thread has been started.
    let lookup = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("http://127.0.0.1:9".to_owned()),
        "OTEL_BSP_MAX_QUEUE_SIZE" => Some("8".to_owned()),
        _ => None,
    };
    let recorder = recorder(&TelemetryConfig::default(), &lookup).unwrap();
    let ids = IdMaker::new();
    for _ in 0..11 {
        recorder.push(Record::Inference(call(recorder.start_span(None, &ids))));
    }
    assert_eq!(recorder.dropped(), 3);
}

#[test]
fn what_was_dropped_is_a_metric() {
    let receiver = Receiver::http(&[Manner::Refuse(400), Manner::Refuse(400), Manner::Accept]);
    let rig = Rig::to(&receiver, &[]);
    rig.calls(3);
    assert!(!rig.worker.flush(5 * SECOND).complete);
    rig.worker.flush(5 * SECOND);
    let dropped = super::metrics::points(&receiver, "spendrail.telemetry.dropped");
    assert!(dropped.contains(&(vec!["spendrail.reason=export_failed".into()], 3.0)), "{dropped:?}");
}

#[test]
fn batches_leave_by_themselves() {
    let receiver = Receiver::http(&[Manner::Accept]);
    let rig = Rig::to(
        &receiver,
        &[
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "100"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4"),
        ],
    );
    rig.calls(10);
    let start = Instant::now();
    while receiver.spans().len() < 10 || super::metrics::sum(&receiver, "spendrail.decisions") < 10.0 {
        assert!(start.elapsed() < 5 * SECOND);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(receiver.received.lock().traces.len() >= 3);
}
