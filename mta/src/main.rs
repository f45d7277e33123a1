//! The command line: `serve`, `check`, `demo`, `plugin`, `signatures`, `login`. Signals become calls; errors become text and an exit code.
//!
//! Exit codes: 0 done, 1 it failed, 2 the command line or the configuration is wrong (nothing was started).

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use signet::address::Mailbox;
use signet::config::Config;
use signet::demo::Connection;
use signet::plugin::Inspection;
use signet::remote::{self, Manner, TenantCommand};
use signet::serve::{Server, check};
use signet::signature::{Format, Kind};
use signet::signatures::difference::compare;
use signet::signatures::expectations::{self, test};
use signet::signatures::explain::explain;
use signet::signatures::preview::page;
use signet::signatures::{Answered, Question, Workbench, WorkbenchError, finding};
use signet::telemetry::{self, LogGuard};

/// A mail transfer agent that gives every message the sender's company signature.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one, and it is taken apart at once")]
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
        /// Connect the tenant first, through the stand-in for Microsoft's cloud whose cloud.json that is.
        #[arg(long)]
        cloud: Option<PathBuf>,
        /// Let somebody connect it in a browser, within that time: "10 min".
        #[arg(long, requires = "cloud", value_parser = humantime::parse_duration)]
        browser: Option<Duration>,
    },
    /// Build and look at plugins.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Check, try, test and compare rules and templates, without mail.
    #[command(subcommand)]
    Signatures(SignaturesCommand),
    /// Connect tenants of Microsoft 365, and look at their people; the running Signet does it.
    Tenant {
        /// The configuration file of the running Signet: where its console is. Only `replay` needs none.
        #[arg(long)]
        config: Option<PathBuf>,
        /// A user of the console; the password is read from SIGNET_PASSWORD, or from standard input.
        #[arg(long, default_value = "")]
        user: String,
        /// Who vouches for the console's certificate, when the system does not: a PEM file.
        #[arg(long)]
        roots: Option<PathBuf>,
        /// Print the answer as JSON.
        #[arg(long)]
        json: bool,
        #[command(subcommand)]
        command: TenantCommand,
    },
    /// Print what `[[tenant.login]]` or `[[console.user]]` needs for a password that is read from standard input.
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
        /// The component; `select`, `render` and `control` stand for the embedded ones.
        file: PathBuf,
    },
}

#[derive(Subcommand)]
enum SignaturesCommand {
    /// Find what is wrong with rules, templates, images and people, and what each signature weighs.
    Check {
        /// The folder with rules.toml, templates, assets, people.toml.
        folder: PathBuf,
    },
    /// Print every rule with why it did or did not apply, the copies and where signatures go.
    Explain {
        /// The author; with --eml, the one in From.
        #[arg(long)]
        from: Option<Mailbox>,
        /// Who sends on the author's behalf.
        #[arg(long)]
        delegate: Option<Mailbox>,
        /// A recipient; may be repeated. With --eml, those in To and Cc.
        #[arg(long)]
        to: Vec<Mailbox>,
        /// The subject of a made-up message.
        #[arg(long, default_value = "")]
        subject: String,
        /// What the author of a made-up message writes.
        #[arg(long)]
        text: Option<String>,
        /// A made-up message answers an earlier one.
        #[arg(long)]
        reply: bool,
        /// The message fails SPF, DKIM and DMARC.
        #[arg(long)]
        unauthenticated: bool,
        /// A message file in place of a made-up one.
        #[arg(long)]
        eml: Option<PathBuf>,
        /// When, for example 2026-12-01T10:00:00; now when absent.
        #[arg(long)]
        at: Option<String>,
        /// Where the message with its signatures goes; with several copies, to NAME.2 and so on as well.
        #[arg(long)]
        output: Option<PathBuf>,
        /// The folder with rules.toml, templates, assets, people.toml.
        #[arg(long, default_value = ".")]
        folder: PathBuf,
    },
    /// Write a page that shows one signature in light and dark, on a desktop and on a phone.
    Preview {
        /// The person's address.
        person: Mailbox,
        /// The signature's id.
        #[arg(long)]
        signature: String,
        /// A language tag; the tenant's when absent.
        #[arg(long)]
        locale: Option<String>,
        /// When; now when absent.
        #[arg(long)]
        at: Option<String>,
        /// Where the page goes.
        #[arg(long, default_value = "preview.html")]
        output: PathBuf,
        /// The folder with rules.toml, templates, assets, people.toml.
        #[arg(long, default_value = ".")]
        folder: PathBuf,
    },
    /// Run the expectations in FOLDER/tests and print the difference of those that do not hold.
    Test {
        /// The folder with rules.toml, templates, assets, people.toml, tests.
        folder: PathBuf,
        /// Write the expected fragments instead of comparing them.
        #[arg(long)]
        update: bool,
    },
    /// Print which messages would leave otherwise.
    Diff {
        /// The folder as it is in force.
        old: PathBuf,
        /// The folder that is to follow.
        new: PathBuf,
        /// A folder of message files (.eml).
        #[arg(long)]
        mail: PathBuf,
        /// When; now when absent.
        #[arg(long)]
        at: Option<String>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Serve { config } => serve(&config),
        Command::Check { config } => checked(&config),
        Command::Demo { output, cloud, browser } => demo(&output, cloud, browser),
        Command::Plugin(PluginCommand::Build { folder, output }) => plugin_build(&folder, output).map(|()| ExitCode::SUCCESS),
        Command::Plugin(PluginCommand::Inspect { file }) => plugin_inspect(&file).map(|()| ExitCode::SUCCESS),
        Command::Signatures(command) => signatures(command),
        Command::Tenant { config, user, roots, json, command } => tenant(config.as_deref(), user, roots, json, &command),
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

fn demo(output: &Path, cloud: Option<PathBuf>, browser: Option<Duration>) -> anyhow::Result<ExitCode> {
    let connection = match (cloud, browser) {
        (None, _) => Connection::None,
        (Some(file), None) => Connection::Played(file),
        (Some(file), Some(time)) => Connection::Browser(file, time),
    };
    let good = runtime()?.block_on(signet::demo::run(output, &connection, &mut io::stdout()))?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tenant(config: Option<&Path>, user: String, roots: Option<PathBuf>, json: bool, command: &TenantCommand) -> anyhow::Result<ExitCode> {
    if let TenantCommand::Replay { file, plugin } = command {
        let same = remote::replay(file, plugin.as_deref(), &mut io::stdout())?;
        return Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let Some(config) = config else { bail!("which Signet is asked? say --config FILE, its configuration") };
    let config = match load(config) {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let Some(console) = config.console else { bail!("the configuration has no [console], by whose address the running Signet is asked") };
    if user.is_empty() {
        bail!("who asks? say --user NAME, one of [[console.user]]");
    }
    let password = match std::env::var("SIGNET_PASSWORD") {
        Ok(password) => password,
        Err(_) => password()?,
    };
    let manner = Manner { user, password, roots, json };
    runtime()?.block_on(remote::ask(&console, &manner, command, &mut io::stdout()))?;
    Ok(ExitCode::SUCCESS)
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
    let embedded = [("select", signet::DEFAULT_SELECTOR), ("render", signet::DEFAULT_RENDERER), ("control", signet::DEFAULT_CONTROLLER)];
    let own = embedded.into_iter().find(|(name, _)| file == Path::new(name) && !file.exists());
    let component = match own {
        Some((_, component)) => component.to_vec(),
        None => std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?,
    };
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

fn signatures(command: SignaturesCommand) -> anyhow::Result<ExitCode> {
    let out = &mut io::stdout().lock();
    let good = match command {
        SignaturesCommand::Check { folder } => check_signatures(folder, out)?,
        SignaturesCommand::Explain { from, delegate, to, subject, text, reply, unauthenticated, eml, at, output, folder } => {
            let workbench = Workbench::open(folder)?;
            let question = Question::at(time(at.as_deref(), &workbench)?);
            let message = eml.map(|eml| std::fs::read(&eml).with_context(|| format!("{} cannot be read", eml.display()))).transpose()?;
            let kind = if reply { Kind::Reply } else { Kind::New };
            let text = text.unwrap_or(question.text);
            let answered = workbench.answer(&Question {
                from,
                delegate,
                to,
                subject,
                text,
                kind,
                message,
                authenticated: !unauthenticated,
                ..question
            })?;
            explain(&answered, out)?;
            if let Some(output) = output {
                write_copies(&answered, &output)?;
            }
            true
        }
        SignaturesCommand::Preview { person, signature, locale, at, output, folder } => {
            let workbench = Workbench::open(folder)?;
            let at = time(at.as_deref(), &workbench)?;
            let known = workbench.person(&person);
            let locale = locale.unwrap_or_else(|| workbench.locale(&known));
            let placed = workbench.render(&signature, &known, &locale, at, Format::Alternative)?;
            std::fs::write(&output, page(&placed, person.as_str())).with_context(|| format!("{} cannot be written", output.display()))?;
            writeln!(out, "{}", output.display())?;
            true
        }
        SignaturesCommand::Test { folder, update } => test(&Workbench::open(folder)?, update, out)?,
        SignaturesCommand::Diff { old, new, mail, at } => {
            let (old, new) = (Workbench::open(old)?, Workbench::open(new)?);
            let at = time(at.as_deref(), &new)?;
            compare(&old, &new, &mail, at, out)?;
            true
        }
    };
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn time(written: Option<&str>, workbench: &Workbench) -> anyhow::Result<SystemTime> {
    Ok(written.map_or_else(|| Ok(SystemTime::now()), |written| expectations::time(written, workbench))?)
}

/// Mistakes that keep the folder from being used are findings like all others here.
fn check_signatures(folder: PathBuf, out: &mut dyn io::Write) -> anyhow::Result<bool> {
    match Workbench::open(folder) {
        Ok(workbench) => Ok(signet::signatures::check::check(&workbench, SystemTime::now(), out)?),
        Err(WorkbenchError::Mistakes(findings)) => {
            findings.iter().try_for_each(|found| writeln!(out, "{}", finding(found)))?;
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

fn write_copies(answered: &Answered, output: &Path) -> anyhow::Result<()> {
    for (number, answer) in (1..).zip(&answered.copies) {
        let path = if number == 1 { output.to_owned() } else { PathBuf::from(format!("{}.{number}", output.display())) };
        let octets: Vec<u8> = answer.copy.pieces().flat_map(|piece| piece.iter().copied()).collect();
        std::fs::write(&path, octets).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

fn password() -> anyhow::Result<String> {
    let mut password = String::new();
    io::stdin().read_line(&mut password).context("the password cannot be read from standard input")?;
    Ok(password.trim_end_matches(['\r', '\n']).to_owned())
}

fn login(name: &str) -> anyhow::Result<()> {
    let stored = signet::stored_keys(&password()?)?;
    writeln!(io::stdout(), "[[tenant.login]]\nname = {name:?}\nsecret = \"{stored}\"")?;
    Ok(())
}
