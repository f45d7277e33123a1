//! What Signet costs: messages per second, processor time a message, time to 250, memory, and where the time goes.
//!
//! The method is printed with the numbers ([`METHOD`]). This is a program, not a test: nothing here passes or fails by time, but it stops with
//! an error when a message is refused, unsigned or unsealed, because then the numbers would mean nothing.

mod generator;
mod mail;
mod measure;
mod plugins;
mod report;
mod scale;
mod scenario;
mod server;
mod sink;
mod stage;
mod synchronise;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use scenario::{Rounds, Scenario};

const METHOD: &str = "\
Method. `signet serve` runs as a process of its own on loopback, with the demo's rules, templates and directory and its default log level. The
generator sends over TLS with a client certificate, as Microsoft 365 does: MAIL, RCPT and BDAT pipelined, 20 messages a connection, then a new
one. The messages are replies as Outlook on the web writes them (text and HTML, with quoted history; 100 KB: with an attachment), each with
its own Message-ID and a valid RSA-2048 DKIM signature of the sender's domain. Signet checks SPF, DKIM, DMARC and ARC (DNS on loopback, cached
after the first message), selects and renders a signature through two fresh WebAssembly instances, inserts it into both forms of the body, adds
its trace fields, with \"sealed\" also a DKIM signature and an ARC set (three RSA-2048 operations), and delivers over TLS with a client
certificate to the sink, whose 250 is the sender's. Generator and sink run in one further process on the same cores: what they use is missing
for the server, so messages/s is not what the server alone could do.
Each line: a fresh server, one round to warm up, then rounds of equal length; the table shows medians of the rounds. Processor time is user and
system time of all threads of the server (/proc/PID/stat) over accepted messages. Time to 250 is from writing MAIL to the reply at the end of
data. Memory is the peak of resident memory (VmHWM) since the warm-up. Stages are wall time from the server's own metrics, so that on
busy cores they include waiting for a core.";

/// Messages sent in turn. The same one must not be under way twice, or the server takes the second for an impatient sender's.
const DISTINCT: usize = 1000;

/// What the command line asks for.
struct Arguments {
    server: PathBuf,
    rounds: Rounds,
    only: Option<String>,
    quick: bool,
    scale: bool,
    synchronise: bool,
    stand_in: bool,
}

fn arguments() -> Result<Arguments> {
    let sibling = std::env::current_exe()?.with_file_name("signet");
    let rounds = Rounds { number: 5, length: Duration::from_secs(5) };
    let mut parsed = Arguments { server: sibling, rounds, only: None, quick: false, scale: false, synchronise: false, stand_in: false };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--server" => parsed.server = value()?.into(),
            "--rounds" => parsed.rounds.number = value()?.parse()?,
            "--seconds" => parsed.rounds.length = Duration::from_secs_f64(value()?.parse()?),
            "--only" => parsed.only = Some(value()?),
            "--scale" => parsed.scale = true,
            "--synchronise" => parsed.synchronise = true,
            // For itself: the service that it synchronises with.
            "--stand-in" => parsed.stand_in = true,
            "--quick" => {
                parsed.quick = true;
                parsed.rounds = Rounds { number: 3, length: Duration::from_secs(2) };
            }
            other => {
                bail!(
                    "{other} is no option; there are --server FILE, --rounds NUMBER, --seconds NUMBER, --only TEXT, --quick, --scale, --synchronise"
                )
            }
        }
    }
    Ok(parsed)
}

fn main() -> Result<()> {
    let arguments = arguments()?;
    if arguments.scale {
        return scale::run(&mut io::stdout());
    }
    // The generator must never be what is waited for.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(async {
        if arguments.stand_in {
            synchronise::stand_in(&mut io::stdout()).await
        } else if arguments.synchronise {
            synchronise::run(&mut io::stdout()).await
        } else {
            run(&arguments).await
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

async fn run(arguments: &Arguments) -> Result<()> {
    let mut out = io::stdout();
    let Rounds { number, length } = arguments.rounds;
    writeln!(out, "{METHOD}\n\n{number} rounds of {} s a line. {}\n", length.as_secs_f64(), report::machine())?;
    let stage = stage::Stage::set().await?;
    let mut lines = Vec::new();
    let mut messages = HashMap::new();
    for scenario in scenarios(arguments) {
        let messages = match messages.entry(scenario.kilobytes) {
            Entry::Occupied(entry) => Arc::clone(entry.get()),
            Entry::Vacant(entry) => {
                Arc::clone(entry.insert(Arc::new(mail::messages(scenario.kilobytes * 1024, DISTINCT, &stage.microsoft)?)))
            }
        };
        let line = scenario::run(scenario, messages, arguments.rounds, &arguments.server, &stage).await;
        let line = line.with_context(|| scenario.to_string())?;
        report::throughput(&mut out, lines.is_empty(), &line)?;
        lines.push(line);
    }
    report::stages(&mut out, &lines)?;
    let calls = if arguments.quick { 5_000 } else { 20_000 };
    let plugins = tokio::task::spawn_blocking(move || plugins::measure(calls)).await??;
    report::plugins(&mut out, calls, &plugins)?;
    Ok(())
}

fn scenarios(arguments: &Arguments) -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for kilobytes in [10, 100] {
        for connections in [20, 100] {
            for sealed in [false, true] {
                scenarios.push(Scenario { kilobytes, connections, sealed });
            }
        }
    }
    if let Some(only) = &arguments.only {
        scenarios.retain(|scenario| scenario.to_string().contains(only));
    } else if arguments.quick {
        scenarios.retain(|scenario| scenario.connections == 20);
    }
    scenarios
}
