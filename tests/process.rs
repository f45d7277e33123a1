//! The real binary: exit codes, messages, signals.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::harness::setup::Surroundings;
use crate::harness::*;

const FROM: &str = "ada@northwind.example";
const TO: &str = "lucia@contoso.example";

fn signet(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signet"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn with_config(command: &str, file: &Path) -> Output {
    signet(&[command, "--config"]).arg(file).output().expect("the program runs")
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// A running `signet serve`, and its log line by line.
struct Serving {
    child: Child,
    log: mpsc::Receiver<String>,
    seen: String,
}

impl Serving {
    fn start(file: &Path) -> Self {
        let mut child = signet(&["serve", "--config"]).arg(file).stdout(Stdio::piped()).spawn().expect("the program runs");
        let (sender, log) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().expect("its output is ours"));
        std::thread::spawn(move || output.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        Self { child, log, seen: String::new() }
    }

    /// Waits for the line with these words.
    fn wait_for(&mut self, words: &str) -> String {
        loop {
            let line = self.log.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{words} in {}", self.seen));
            self.seen.push_str(&line);
            self.seen.push('\n');
            if line.contains(words) {
                return line;
            }
        }
    }

    /// The first listener's address, from the log.
    fn address(&mut self) -> SocketAddr {
        let line = self.wait_for("server.started");
        let start = line.find("127.0.0.1:").expect("an address");
        let rest = &line[start..];
        rest[..rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(rest.len())].parse().expect("an address")
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().expect("kill runs").success());
    }

    fn exit_code(&mut self) -> Option<i32> {
        for _ in 0..600 {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("it does not end: {}", self.seen);
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn surroundings() -> Surroundings {
    run(Setup::new().section("log", "level = \"info\"").surroundings())
}

#[test]
fn check_accepts_a_good_configuration_and_binds_nothing() {
    let place = surroundings();
    let output = with_config("check", &place.configuration);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("ok: 1 listener(s), 1 tenant(s)"), "{}", text(&output.stdout));
}

#[test]
fn a_bad_configuration_is_refused_by_check_and_serve_with_file_line_key_and_example() {
    let place = surroundings();
    let good = std::fs::read_to_string(&place.configuration).unwrap();
    for (from, to, said) in [
        ("version = 1", "version = 1\nlisteners = 3", &["signet.toml:2", "listeners"][..]),
        ("timeout = \"1 s\"", "timeout = \"1\"", &["dns.timeout", "\"3 s\""]),
        ("tls/authority.pem", "tls/nowhere.pem", &["nowhere.pem", "client_roots"]),
        ("reverse_path = true", "reverse_path = \"yes\"", &["reverse_path", "true"]),
        ("domains = [\"northwind.example\"]", "domains = [\"not a domain\"]", &["domains", "example.com"]),
        ("networks = [\"127.0.0.0/8\"]", "networks = [\"0.0.0.0/0\"]", &["open relay", "certificate_names"]),
        ("version = 1", "version = 1\n[[[", &["signet.toml:2"]),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        std::fs::write(&place.configuration, &bad).unwrap();
        for command in ["check", "serve"] {
            let output = with_config(command, &place.configuration);
            assert_eq!(output.status.code(), Some(2), "{command}: {to}");
            for words in said {
                assert!(text(&output.stderr).contains(words), "{command}: {words} in {}", text(&output.stderr));
            }
        }
    }
    let output = with_config("check", Path::new("/nowhere/signet.toml"));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("/nowhere/signet.toml"));
}

#[test]
fn a_damaged_component_is_refused_naming_both_sums() {
    let place = surroundings();
    let file = place.folder.path().join(format!("selector-{TENANT}.wasm"));
    std::fs::write(&file, b"\0asm").unwrap();
    let output = with_config("check", &place.configuration);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("sha256"), "{}", text(&output.stderr));
}

#[test]
fn serve_takes_mail_reloads_on_sighup_and_ends_on_sigterm_and_logs_no_content() {
    let place = surroundings();
    let mut serving = Serving::start(&place.configuration);
    let address = serving.address();
    let body = "an extremely private sentence\r\n";
    let send = |id: &str| {
        run(async {
            let mut client = Client::connect(address).await;
            client.ehlo().await;
            let mut client = client.start_tls(&client::tls(&[]), SIGNET).await.unwrap();
            client.ehlo().await;
            client.mail(FROM, &[TO], &message(FROM, id, body)).await
        })
    };
    send("subject-of-the-first").is("250");
    let line = serving.wait_for("message handled");
    let entry: serde_json::Value = serde_json::from_str(&line).expect("the log is JSON lines");
    assert!(entry.to_string().contains("delivered"), "{line}");
    assert_eq!(place.sink.take().len(), 1);

    let good = std::fs::read_to_string(&place.configuration).unwrap();
    std::fs::write(&place.configuration, good.replace("version = 1", "version = 1\nwhatever = 2")).unwrap();
    serving.signal("HUP");
    assert!(serving.wait_for("config.refused").contains("whatever"));
    send("subject-of-the-second").is("250");

    std::fs::write(&place.configuration, good.replace("domains = [\"northwind.example\"]", "domains = [\"other.example\"]")).unwrap();
    serving.signal("HUP");
    assert!(serving.wait_for("config.loaded").contains('2'));
    send("subject-of-the-third").is("550 5.7.1");

    serving.signal("TERM");
    assert_eq!(serving.exit_code(), Some(0), "{}", serving.seen);
    while let Ok(line) = serving.log.recv_timeout(Duration::from_secs(1)) {
        serving.seen.push_str(&line);
    }
    assert!(serving.seen.contains("server.stopped"), "{}", serving.seen);
    for content in ["private", "subject-of", "undisclosed"] {
        assert!(!serving.seen.contains(content), "the log holds {content}");
    }
}

#[test]
fn sigterm_at_the_deadline_says_that_something_was_cut_off() {
    let place = run(Setup::new().section("log", "level = \"info\"").section("drain", "deadline = \"300 ms\"").surroundings());
    let mut serving = Serving::start(&place.configuration);
    let address = serving.address();
    let client = run(async {
        let mut client = Client::connect(address).await;
        client.ehlo().await;
        let mut client = client.start_tls(&client::tls(&[]), SIGNET).await.unwrap();
        client.ehlo().await;
        client.command(&format!("MAIL FROM:<{FROM}>")).await.is("250");
        client
    });
    serving.signal("TERM");
    assert_eq!(serving.exit_code(), Some(1));
    drop(client);
}

#[test]
fn login_prints_what_the_configuration_needs() {
    let mut child = signet(&["login", "printer"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"correct horse\n").unwrap();
    let mut printed = String::new();
    child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(printed.starts_with("[[tenant.login]]\nname = \"printer\"\nsecret = \"SCRAM-SHA-256$"), "{printed}");
    assert!(!printed.contains("horse"));
    // What it prints is what the configuration takes.
    let tenant = TenantSetup::northwind().proof("login = true").more(&printed);
    let place = run(Setup::new().tenant(tenant).surroundings());
    let output = with_config("check", &place.configuration);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn plugin_build_makes_a_component_that_inspect_and_the_server_understand() {
    let place = surroundings();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/examples/by-domain");
    let component = place.folder.path().join("by-domain.wasm");
    let output = signet(&["plugin", "build"]).arg(&root).arg("--output").arg(&component).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let built = text(&output.stdout);
    let output = signet(&["plugin", "inspect"]).arg(&component).output().unwrap();
    let inspected = text(&output.stdout);
    assert!(output.status.success() && built.ends_with(&inspected), "{built}\n{inspected}");
    assert!(inspected.contains("selector") && !inspected.contains("wasi"), "{inspected}");
    let output = signet(&["plugin", "inspect"]).arg(&place.configuration).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_wrong_command_line_is_refused() {
    for arguments in [&["serve"][..], &["whatever"], &["check", "--config"]] {
        assert_eq!(signet(arguments).output().unwrap().status.code(), Some(2), "{arguments:?}");
    }
}
