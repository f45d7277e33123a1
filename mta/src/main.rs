//! The command line: `serve`, `check`, `demo`, `plugin`, `login`. Signals become calls; errors become text and an exit code.
//!
//! Exit codes: 0 done, 1 it failed, 2 the command line or the configuration is wrong (nothing was started).

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use signet::config::Config;
use signet::plugin::Inspection;
use signet::serve::{Server, check};
use signet::telemetry::{self, LogGuard};

/// A mail transfer agent that gives every message the sender's company signature.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Take mail and pass it on, until SIGTERM; SIGHUP reloads the configuration.
    Serve {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Check the configuration and everything it names: keys, certificates, rules, templates, people. No port is bound.
    Check {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Send demonstration mail through Signet, with stand-ins for Microsoft's hosts, all on this machine.
    Demo {
        /// Where the page with before and after of each message goes.
        #[arg(long, default_value = "signet-demo")]
        output: PathBuf,
    },
    /// Build and look at plugins.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Print what `[[tenant.login]]` needs for a password that is read from standard input.
    Login {
        /// The login's name.
        name: String,
    },
}

#[derive(Subcommand)]
enum PluginCommand {
    /// Make a component from a Rust guest crate.
    Build {
        /// The crate's folder.
        folder: PathBuf,
        /// Where the component goes; by default FOLDER/NAME.wasm.
        #[arg(long)]
        output: Option<PathBuf>,
    },
    /// Print what a component can do: its imports are all that it can reach.
    Inspect {
        /// The component.
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Serve { config } => serve(&config),
        Command::Check { config } => checked(&config),
        Command::Demo { output } => demo(&output),
        Command::Plugin(PluginCommand::Build { folder, output }) => plugin_build(&folder, output).map(|()| ExitCode::SUCCESS),
        Command::Plugin(PluginCommand::Inspect { file }) => plugin_inspect(&file).map(|()| ExitCode::SUCCESS),
        Command::Login { name } => login(&name).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        complain(&format!("signet: {error:#}"));
        ExitCode::FAILURE
    })
}

/// The configuration is wrong; nothing was started.
const WRONG_CONFIGURATION: u8 = 2;

fn complain(text: &str) {
    // Standard error may be closed; then there is nobody to tell.
    writeln!(io::stderr(), "{text}").ok();
}

fn load(path: &Path) -> Result<Config, ExitCode> {
    Config::load(path).map_err(|errors| {
        complain(&errors.to_string());
        ExitCode::from(WRONG_CONFIGURATION)
    })
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime does not start")
}

fn serve(path: &Path) -> anyhow::Result<ExitCode> {
    let config = match load(path) {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let (subscriber, guard) = telemetry::subscriber(&config.log, io::stdout())?;
    tracing::subscriber::set_global_default(subscriber).context("a log is already installed")?;
    let outcome = runtime()?.block_on(serve_until_stopped(path, config, &guard));
    drop(guard);
    outcome
}

/// How often dropped log lines become a metric.
const LOG_CHECK: Duration = Duration::from_secs(10);

async fn serve_until_stopped(path: &Path, config: Config, log: &LogGuard) -> anyhow::Result<ExitCode> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let server = Server::start(config, None).await?;
    tracing::info!(event = "server.started", listeners = ?server.addresses(), operations = %server.operations(), "serving");
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => reload(path, &server).await,
            () = tokio::time::sleep(LOG_CHECK) => server.log_lines_dropped(log.dropped()),
        }
    }
    let drained = server.stop().await;
    Ok(if drained.cut_off == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn reload(path: &Path, server: &Server) {
    let file = path.to_owned();
    let loaded = tokio::task::spawn_blocking(move || Config::load(&file)).await;
    let outcome = match loaded {
        Ok(Ok(config)) => server.reload(config).await.map_err(|error| error.to_string()),
        Ok(Err(errors)) => {
            server.configuration_refused();
            Err(errors.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = outcome {
        tracing::error!(event = "config.refused", %error, "the new configuration is not used; the old one stays in force");
    }
}

fn checked(path: &Path) -> anyhow::Result<ExitCode> {
    let config = match load(path) {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    for warning in &config.warnings {
        complain(&format!("warning: {warning}"));
    }
    if let Err(error) = check(&config) {
        complain(&format!("{}: {error}", path.display()));
        return Ok(ExitCode::from(WRONG_CONFIGURATION));
    }
    let people: usize = config.tenants.iter().map(|tenant| tenant.directory.people()).sum();
    writeln!(
        io::stdout(),
        "{}: ok: {} listener(s), {} tenant(s), {people} people, digest {}",
        path.display(),
        config.listeners.len(),
        config.tenants.len(),
        config.digest_hex()
    )?;
    Ok(ExitCode::SUCCESS)
}

fn demo(output: &Path) -> anyhow::Result<ExitCode> {
    let good = runtime()?.block_on(signet::demo::run(output, &mut io::stdout()))?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn plugin_build(folder: &Path, output: Option<PathBuf>) -> anyhow::Result<()> {
    let component = signet::plugin::component::build(folder, &folder.join("target"))?;
    let inspection = signet::plugin::inspect(&component)?;
    let output = match output {
        Some(output) => output,
        None => {
            let folder = folder.canonicalize().with_context(|| format!("{} is not there", folder.display()))?;
            let Some(name) = folder.file_name() else { bail!("{} has no name; say --output FILE", folder.display()) };
            folder.join(name).with_extension("wasm")
        }
    };
    std::fs::write(&output, &component).with_context(|| format!("{} cannot be written", output.display()))?;
    writeln!(io::stdout(), "{}", output.display())?;
    report(&inspection)
}

fn plugin_inspect(file: &Path) -> anyhow::Result<()> {
    let component = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    report(&signet::plugin::inspect(&component)?)
}

/// What a security team asks first: which world it is for, and the whole list of what it can reach.
fn report(inspection: &Inspection) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "sha256    {}", inspection.sha256)?;
    writeln!(out, "size      {} octets, {} core module(s), {} functions", inspection.size, inspection.modules, inspection.functions)?;
    writeln!(out, "world     {}", inspection.world.unwrap_or("none that Signet knows"))?;
    writeln!(out, "imports   {}", if inspection.imports.is_empty() { "nothing".to_owned() } else { inspection.imports.join(", ") })?;
    writeln!(out, "exports   {}", inspection.exports.join(", "))?;
    writeln!(out, "sections  {}", inspection.custom_sections.join(", "))?;
    Ok(())
}

fn login(name: &str) -> anyhow::Result<()> {
    let mut password = String::new();
    io::stdin().read_line(&mut password).context("the password cannot be read from standard input")?;
    let stored = signet::stored_keys(password.trim_end_matches(['\r', '\n']))?;
    writeln!(io::stdout(), "[[tenant.login]]\nname = {name:?}\nsecret = \"{stored}\"")?;
    Ok(())
}
