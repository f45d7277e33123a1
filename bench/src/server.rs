//! The server under test: `signet serve` as a process of its own, so that its processor time and memory are its own.
//!
//! The process ends with the value, whatever happened in between.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Compiling the plugins takes about a second.
const START: Duration = Duration::from_secs(60);

/// A running server.
pub(crate) struct Server {
    child: Child,
    /// Where it takes mail.
    pub(crate) port: u16,
    operations: u16,
}

impl Server {
    /// Starts it and waits until it listens.
    pub(crate) fn start(program: &Path, configuration: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["serve", "--config"]).arg(configuration).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let output = child.stdout.take().context("the server has no standard output")?;
        let mut server = Self { child, port: 0, operations: 0 };
        let (sender, receiver) = mpsc::channel();
        std::thread::Builder::new().name("server-log".to_owned()).spawn(move || read_log(output, &sender))?;
        (server.port, server.operations) = receiver.recv_timeout(START).context("the server did not say where it listens")?;
        Ok(server)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Every line of /metrics: name with labels, and value.
    pub(crate) async fn metrics(&self) -> Result<BTreeMap<String, f64>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.operations)).await.context("connecting to /metrics")?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "/metrics answered {:?}", answer.lines().next());
        let samples = answer.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        Ok(samples.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; both only fail then.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Finds the ports, then reads on, as an operator's log collector would.
fn read_log(output: ChildStdout, ports: &mpsc::Sender<(u16, u16)>) {
    for line in BufReader::with_capacity(256 * 1024, output).lines() {
        let Ok(line) = line else { return };
        if line.contains("\"event\":\"server.started\"")
            && let (Some(port), Some(operations)) = (port_of(&line, "\"listeners\":\""), port_of(&line, "\"operations\":\""))
        {
            // Whoever started the server may have given up.
            ports.send((port, operations)).ok();
        }
    }
}

/// The first port number behind `key`.
fn port_of(line: &str, key: &str) -> Option<u16> {
    let (_, rest) = line.split_once(key)?;
    let (_, rest) = rest.split_once(':')?;
    let digits = rest.find(|character: char| !character.is_ascii_digit())?;
    rest[..digits].parse().ok()
}
