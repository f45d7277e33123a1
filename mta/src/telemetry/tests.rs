use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{Health, LogFormat, LogSettings, Metrics, clean, log_message, serve, subscriber};
use crate::event::{Authentication, CopyEvent, MessageEvent, Micros};

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no test panics while writing").extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no test panics while writing").clone()).expect("log lines are text")
    }
}

fn logged(format: LogFormat, level: &str, what: impl FnOnce()) -> String {
    let output = Shared::default();
    let settings = LogSettings { level: level.to_owned(), format };
    let (subscriber, guard) = subscriber(&settings, output.clone()).expect("the level is valid");
    tracing::subscriber::with_default(subscriber, what);
    drop(guard);
    output.text()
}

fn event() -> MessageEvent {
    MessageEvent {
        id: "m1".to_owned(),
        tenant: "one".to_owned(),
        size: 2048,
        authentication: Authentication { spf: "pass", dkim: "none", dmarc: "pass", arc: "none" },
        copies: vec![CopyEvent { recipients: 2, signatures: vec!["standard".to_owned()], ..CopyEvent::default() }],
        outcome: "delivered",
        micros: Micros { verify: 1500, select: 30, total: 4000, ..Micros::default() },
        ..MessageEvent::default()
    }
}

#[test]
fn hidden_characters_are_removed_and_long_values_cut() {
    for (text, most, shown) in [
        ("plain", 10, "plain"),
        ("two\r\nlines", 20, "twolines"),
        ("\u{1b}[31mred\u{202e}", 20, "[31mred"),
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("ä\u{0}ö", 2, "äö"),
        ("", 5, ""),
    ] {
        assert_eq!(clean(text, most), shown, "{text:?}");
    }
}

#[test]
fn a_log_line_is_one_json_object_with_the_events_fields() {
    let text = logged(LogFormat::Json, "info", || {
        tracing::info!(event = "connection.opened", peer = "192.0.2.1:25\r\nforged", octets = 5_u64, tls = true, "connection opened");
        tracing::debug!("not at this level");
    });
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    let line = &lines[0];
    assert_eq!(line["message"], "connection opened");
    assert_eq!(line["level"], "info");
    assert_eq!(line["event"], "connection.opened");
    assert_eq!(line["peer"], "192.0.2.1:25forged");
    assert_eq!((&line["octets"], &line["tls"]), (&serde_json::json!(5), &serde_json::json!(true)));
    assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z')));
}

#[test]
fn a_message_is_logged_as_one_record() {
    let text = logged(LogFormat::Json, "warn,signet::message=info", || log_message(&event()));
    let line: serde_json::Value = serde_json::from_str(text.trim()).expect("the line is JSON");
    assert_eq!(line["record"]["tenant"], "one");
    assert_eq!(line["record"]["micros"]["verify"], 1500);
    assert_eq!(line["record"]["copies"][0]["signatures"][0], "standard");
}

#[test]
fn the_text_format_is_for_people() {
    let text = logged(LogFormat::Text, "info", || tracing::info!(event = "listener.ready", "listening"));
    assert!(text.contains("INFO") && text.contains("listening") && text.contains("listener.ready"), "{text}");
}

#[test]
fn a_level_that_is_none_is_refused() {
    let settings = LogSettings { level: "info=loud=1".to_owned(), format: LogFormat::Json };
    assert!(subscriber(&settings, Shared::default()).is_err());
}

/// Nobody reads: writing blocks until the test lets go.
struct Stuck(Arc<Mutex<()>>, Shared);

impl Write for Stuck {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        drop(self.0.lock());
        self.1.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_stands_still_costs_lines_and_not_mail() {
    let (gate, output) = (Arc::new(Mutex::new(())), Shared::default());
    let closed = gate.lock().expect("the gate is new");
    let settings = LogSettings { level: "info".to_owned(), format: LogFormat::Json };
    let (subscriber, guard) = subscriber(&settings, Stuck(Arc::clone(&gate), output.clone())).expect("the level is valid");
    tracing::subscriber::with_default(subscriber, || {
        for number in 0..10_000 {
            tracing::info!(number, "one of many");
        }
    });
    assert!(guard.dropped() > 1000, "{} dropped", guard.dropped());
    drop(closed);
    let dropped = guard.dropped();
    drop(guard);
    let text = output.text();
    assert!(text.contains(&format!(r#""event":"log.dropped","dropped":{dropped}"#)));
    assert_eq!(text.matches("one of many").count() as u64 + dropped, 10_000);
}

#[test]
fn a_message_is_counted_by_tenant_outcome_and_stage() {
    let metrics = Metrics::new().expect("metrics start");
    metrics.message(&event());
    metrics.message(&event());
    metrics.connection_opened();
    metrics.connection_refused("limit");
    metrics.configured(1, "aa");
    metrics.configured(2, "bb");
    metrics.configuration_refused();
    let text = metrics.render();
    for line in [
        r#"signet_messages_total{tenant="one",outcome="delivered"} 2"#,
        r#"signet_stage_seconds_bucket{stage="verify",le="0.001"} 0"#,
        r#"signet_stage_seconds_bucket{stage="verify",le="0.002"} 2"#,
        r#"signet_stage_seconds_count{stage="select"} 2"#,
        r#"signet_message_seconds_bucket{le="0.005"} 2"#,
        r#"signet_message_octets_total 4096"#,
        r#"signet_authentication_total{check="dmarc",result="pass"} 2"#,
        r#"signet_copies_total{tenant="one",signed="yes"} 2"#,
        r#"signet_connections 1"#,
        r#"signet_connections_refused_total{reason="limit"} 1"#,
        r#"signet_config_generation 2"#,
        r#"signet_config_info{digest="aa"} 0"#,
        r#"signet_config_info{digest="bb"} 1"#,
        r#"signet_config_reloads_total{result="refused"} 1"#,
        "# HELP signet_stage_seconds Time of one message in one stage",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
    assert!(!text.contains(r#"stage="seal",le"#) || text.contains(r#"signet_stage_seconds_count{stage="seal"} 0"#));
}

#[test]
fn it_is_ready_when_every_component_is() {
    let health = Health::new();
    assert!(!health.is_ready(), "nothing is known yet");
    health.set_ready("listener");
    health.set_waiting("dns", "no answer from 127.0.0.1:53");
    assert!(!health.is_ready());
    assert_eq!(health.readiness().components["dns"], "no answer from 127.0.0.1:53");
    health.set_ready("dns");
    assert!(health.is_ready());
    health.set_waiting("dns", "again");
    health.remove("dns");
    assert!(health.is_ready());
    health.set_broken("the processing threads have stopped");
    assert!(!health.is_ready());
}

async fn get(address: std::net::SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the server answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("it is HTTP");
    (head[9..12].parse().expect("it has a status"), body.to_owned())
}

#[tokio::test]
async fn the_pages_show_metrics_and_health() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let (metrics, health) = (Metrics::new().expect("metrics start"), Health::new());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, metrics.clone(), health.clone(), async move {
        drop(stopped.await);
    }));
    health.set_waiting("listener", "starting");
    assert_eq!(get(address, "/readyz").await, (503, "{\"components\":{\"listener\":\"starting\"},\"ready\":false}\n".to_owned()));
    assert_eq!(get(address, "/livez").await, (200, "ok\n".to_owned()));
    health.set_ready("listener");
    assert_eq!(get(address, "/readyz").await.0, 200);
    metrics.memory(10, 100);
    let (status, text) = get(address, "/metrics").await;
    assert_eq!(status, 200);
    assert!(text.contains("signet_memory_budget_octets 100") && text.contains("signet_ready 1"), "{text}");
    health.set_broken("stuck");
    assert_eq!(get(address, "/livez").await, (503, "stuck\n".to_owned()));
    assert_eq!(get(address, "/other").await.0, 404);
    drop(stop);
    let ended = tokio::time::timeout(Duration::from_secs(5), server).await.expect("it stops when told to");
    ended.expect("it does not panic").expect("it ends well");
}
