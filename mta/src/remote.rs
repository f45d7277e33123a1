//! `signet tenant`: what the console does, from a terminal, by the API of a running Signet (`docs/api.md`); and the replay of a recorded call, which
//! needs none.
//!
//! A terminal cannot sign in to Microsoft: `invite` prints the link with which a browser can. Nothing is decided here.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use thiserror::Error;
use url::Url;

use crate::config::Console;
use crate::control::recording;
use crate::control::report::Trouble;
use crate::plugin::{ControlLimits, Controller, Engine};
use crate::tls::{ClientTls, ClientTlsSettings, Roots};

/// A plan is read from the service meanwhile.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is asked.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// The tenants and how far each is.
    List,
    /// Everything about one tenant.
    Show(Tenant),
    /// A link that works once: whoever opens it signs in at Microsoft and connects, re-connects or disconnects the tenant.
    Invite(Tenant),
    /// Mail-enabled security groups whose name or address begins with a text.
    Groups {
        /// Which tenant.
        tenant: String,
        /// The beginning.
        text: String,
    },
    /// Choose whose people are read.
    ChoosePeople {
        /// Which tenant.
        tenant: String,
        /// Only the members of the group with that id; everybody without it.
        #[arg(long)]
        limited: Option<String>,
    },
    /// Choose whose mail is routed.
    ChooseRouting {
        /// Which tenant.
        tenant: String,
        /// Only that of the members of the group with that id; all users' without it.
        #[arg(long)]
        group: Option<String>,
    },
    /// What would be done in the tenant.
    Plan(Errand),
    /// The same as a PowerShell script, to be read and run by an administrator.
    Script(Errand),
    /// Say that the script was run.
    ScriptRun(Errand),
    /// Try again what failed or waits for somebody.
    GoOn(Tenant),
    /// Forget what was chosen and not applied.
    Abandon(Tenant),
    /// What in the tenant differs from what was set up, and who is routed but not synchronised or the other way round.
    Status(Tenant),
    /// The SPF record that each domain should have.
    Spf(Tenant),
    /// Read people and groups now.
    Synchronise(Tenant),
    /// Take over what was held back because too many people were gone.
    AcceptShrink(Tenant),
    /// Find people by the beginning of a name or an address.
    Search {
        /// Which tenant.
        tenant: String,
        /// The beginning.
        text: String,
    },
    /// A person's attributes and groups, and the signature they would get now.
    Person {
        /// Which tenant.
        tenant: String,
        /// The address.
        address: String,
    },
    /// Give a recorded call to the plugin again and print how it differs.
    Replay {
        /// A file of the folder `control.recordings`.
        file: PathBuf,
        /// Another component than the embedded one.
        #[arg(long)]
        plugin: Option<PathBuf>,
    },
}

/// A tenant.
#[derive(Debug, Args)]
pub struct Tenant {
    /// Its id.
    tenant: String,
}

/// A tenant and what is to be done there.
#[derive(Debug, Args)]
pub struct Errand {
    /// Its id.
    tenant: String,
    /// Take away what was set up, instead of setting it up.
    #[arg(long)]
    disconnect: bool,
}

impl Errand {
    fn goal(&self) -> &'static str {
        if self.disconnect { "disconnect" } else { "connect" }
    }
}

/// Who asks, and how the answer is printed.
#[derive(Clone, Debug)]
pub struct Manner {
    /// A user of the console.
    pub user: String,
    /// Their password.
    pub password: String,
    /// Who vouches for the console's certificate, when the system does not.
    pub roots: Option<PathBuf>,
    /// The answer as it came.
    pub json: bool,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum RemoteError {
    /// Signet does not run, or elsewhere.
    #[error("{url} does not answer: {reason}; is `signet serve` running with this configuration?")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        reason: String,
    },
    /// The certificate authorities.
    #[error(transparent)]
    Tls(#[from] crate::tls::TlsError),
    /// It refused, or failed.
    #[error("{}", told(.0))]
    Trouble(Box<Trouble>),
    /// It answered something else.
    #[error("{url} answered {status} and no JSON; is that the console?")]
    Answer {
        /// Where.
        url: String,
        /// The status code.
        status: u16,
    },
    /// The recording.
    #[error("{path}: {reason}")]
    Replay {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The terminal is gone.
    #[error("cannot print: {0}")]
    Print(#[from] std::io::Error),
}

fn told(trouble: &Trouble) -> String {
    let mut text = trouble.detail.clone();
    if !trouble.changed.is_empty() {
        text.push_str(&format!("\nchanged so far: {}", trouble.changed.join("\n                ")));
    }
    text.push_str(&format!("\nnext: {}", trouble.next_step));
    for (number, step) in trouble.steps.iter().enumerate() {
        text.push_str(&format!("\n  {}. {step}", number + 1));
    }
    text
}

/// One request: whether something changes, the path below the tenants, a query or a body.
struct Question {
    changes: bool,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Value,
}

impl Question {
    fn look(path: &[&str]) -> Self {
        Self { changes: false, path: path.iter().map(|&part| part.to_owned()).collect(), query: Vec::new(), body: Value::Null }
    }

    fn change(path: &[&str], body: Value) -> Self {
        Self { changes: true, body, ..Self::look(path) }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.query.push((name, value.to_owned()));
        self
    }

    /// What a command asks; none for one that needs no running Signet.
    fn of(command: &TenantCommand) -> Option<Self> {
        Some(match command {
            TenantCommand::List => Self::look(&[]),
            TenantCommand::Show(Tenant { tenant }) => Self::look(&[tenant]),
            TenantCommand::Invite(Tenant { tenant }) => Self::change(&[tenant, "invitation"], json!({})),
            TenantCommand::Groups { tenant, text } => Self::look(&[tenant, "groups"]).with("text", text),
            TenantCommand::ChoosePeople { tenant, limited } => {
                let choice = if limited.is_some() { "limited" } else { "full" };
                Self::change(&[tenant, "people-choice"], json!({"choice": choice, "group": limited}))
            }
            TenantCommand::ChooseRouting { tenant, group } => {
                let choice = if group.is_some() { "group" } else { "all-users" };
                Self::change(&[tenant, "routing-choice"], json!({"choice": choice, "group": group}))
            }
            TenantCommand::Plan(errand) => Self::look(&[&errand.tenant, "plan"]).with("goal", errand.goal()),
            TenantCommand::Script(errand) => Self::look(&[&errand.tenant, "script"]).with("goal", errand.goal()),
            TenantCommand::ScriptRun(errand) => Self::change(&[&errand.tenant, "script-run"], json!({"goal": errand.goal()})),
            TenantCommand::GoOn(Tenant { tenant }) => Self::change(&[tenant, "go-on"], json!({})),
            TenantCommand::Abandon(Tenant { tenant }) => Self::change(&[tenant, "abandon"], json!({})),
            TenantCommand::Status(Tenant { tenant }) => Self::look(&[tenant, "status"]),
            TenantCommand::Spf(Tenant { tenant }) => Self::look(&[tenant, "spf"]),
            TenantCommand::Synchronise(Tenant { tenant }) => Self::change(&[tenant, "synchronise"], json!({})),
            TenantCommand::AcceptShrink(Tenant { tenant }) => Self::change(&[tenant, "accept-shrink"], json!({})),
            TenantCommand::Search { tenant, text } => Self::look(&[tenant, "people"]).with("text", text),
            TenantCommand::Person { tenant, address } => Self::look(&[tenant, "people", address]),
            TenantCommand::Replay { .. } => return None,
        })
    }
}

/// Asks the Signet whose console is configured so, and prints the answer.
pub async fn ask(console: &Console, manner: &Manner, command: &TenantCommand, out: &mut dyn Write) -> Result<(), RemoteError> {
    let Some(question) = Question::of(command) else { return Ok(()) };
    let (answer, is_json) = send(console, manner, question).await?;
    if manner.json || !is_json {
        return Ok(writeln!(out, "{}", answer.trim_end())?);
    }
    let value: Value = serde_json::from_str(&answer).unwrap_or_default();
    let mut text = String::new();
    print(&value, 0, &mut text);
    Ok(write!(out, "{text}")?)
}

async fn send(console: &Console, manner: &Manner, question: Question) -> Result<(String, bool), RemoteError> {
    let scheme = if console.tls.is_some() { "https" } else { "http" };
    // The console's own address is on this machine; its name for browsers may not be known here.
    let base = if console.tls.is_some() { console.url.clone() } else { format!("{scheme}://{}", console.address) };
    let unreachable = |reason: String| RemoteError::Unreachable { url: base.clone(), reason };
    let mut url: Url = format!("{base}/api/v1/tenants").parse().map_err(|error: url::ParseError| unreachable(error.to_string()))?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.extend(&question.path);
    }
    if !question.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&question.query);
    }
    let roots = manner.roots.clone().map_or(Roots::Native, Roots::File);
    let tls = ClientTls::load(&ClientTlsSettings { certificate: None, roots }, SystemTime::now())?;
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
    let client = client.tls_backend_preconfigured((*tls.config).clone()).build().map_err(|error| unreachable(error.to_string()))?;
    let method = if question.changes { reqwest::Method::POST } else { reqwest::Method::GET };
    let basic = STANDARD.encode(format!("{}:{}", manner.user, manner.password));
    let mut request = client.request(method, url).header("authorization", format!("Basic {basic}"));
    if question.changes {
        request = request.header("content-type", "application/json").body(question.body.to_string());
    }
    let answer = request.send().await.map_err(|error| unreachable(innermost(&error)))?;
    let status = answer.status();
    let is_json = answer.headers().get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let text = answer.text().await.map_err(|error| unreachable(error.without_url().to_string()))?;
    if status.is_success() {
        return Ok((text, is_json));
    }
    let trouble: Option<Trouble> = serde_json::from_str(&text).ok();
    Err(trouble.map_or(RemoteError::Answer { url: base, status: status.as_u16() }, |trouble| RemoteError::Trouble(Box::new(trouble))))
}

fn innermost(error: &reqwest::Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}

/// Names and values, indented; what is empty is left out.
fn print(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter().filter(|(_, value)| !is_empty(value)) {
                match plain(name, value) {
                    Some(text) => out.push_str(&format!("{indent}{name}: {text}\n")),
                    None => {
                        out.push_str(&format!("{indent}{name}:\n"));
                        print(value, depth + 1, out);
                    }
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                match plain("-", item) {
                    Some(text) => out.push_str(&format!("{indent}- {text}\n")),
                    None => {
                        let mut inner = String::new();
                        print(item, depth + 1, &mut inner);
                        out.push_str(&format!("{indent}- {}", inner.trim_start()));
                    }
                }
            }
        }
        other => out.push_str(&format!("{indent}{}\n", plain("", other).unwrap_or_default())),
    }
}

/// Members that are times, in milliseconds since 1970.
const TIMES: [&str; 8] = ["at", "begun", "finished", "done", "connected_since", "complete", "next", "expires"];

fn plain(name: &str, value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.contains('\n') => None,
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => {
            let time = number.as_i64().filter(|_| TIMES.contains(&name)).and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
            Some(time.map_or_else(|| number.to_string(), |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()))
        }
        Value::Bool(flag) => Some(if *flag { "yes" } else { "no" }.to_owned()),
        // An item of a list that is a list: the name and the value of an attribute.
        Value::Array(pair) => match pair.as_slice() {
            [Value::String(key), Value::String(value)] if name == "-" && !value.contains('\n') => Some(format!("{key}: {value}")),
            _ => None,
        },
        Value::Null | Value::Object(_) => None,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Gives a recorded call to the plugin again; whether all is as it was.
pub fn replay(file: &Path, plugin: Option<&Path>, out: &mut dyn Write) -> Result<bool, RemoteError> {
    let fail = |reason: String| RemoteError::Replay { path: file.to_owned(), reason };
    let limits = ControlLimits::default();
    let engine = Engine::new(&limits.engine()).map_err(|error| fail(error.to_string()))?;
    let own =
        plugin.map(|path| std::fs::read(path).map_err(|error| RemoteError::Replay { path: path.to_owned(), reason: error.to_string() }));
    let own = own.transpose()?;
    let controller = Controller::load(&engine, own.as_deref().unwrap_or(crate::DEFAULT_CONTROLLER), &limits);
    let controller = controller.map_err(|error| fail(error.to_string()))?;
    let differences = recording::replay(file, &controller).map_err(|error| fail(error.to_string()))?;
    for difference in &differences {
        writeln!(out, "{difference}")?;
    }
    if differences.is_empty() {
        writeln!(out, "The plugin asks and answers as it did.")?;
    }
    Ok(differences.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_printed_as_names_and_values_without_what_is_empty() {
        let answer = json!({
            "name": "Northwind", "stage": "connected", "trouble": null, "connected_since": 1_800_000_000_000_u64, "people": 12,
            "changed": ["Added a domain.", "Verified it."],
            "work": {"steps": [{"title": "Rule", "state": "done"}, {"title": "Trial", "state": "waiting"}], "notes": []},
            "attributes": [["city", "Hamburg"]],
        });
        let mut text = String::new();
        print(&answer, 0, &mut text);
        insta::assert_snapshot!(text, @r"
        attributes:
          - city: Hamburg
        changed:
          - Added a domain.
          - Verified it.
        connected_since: 2027-01-15 08:00:00 UTC
        name: Northwind
        people: 12
        stage: connected
        work:
          steps:
            - state: done
              title: Rule
            - state: waiting
              title: Trial
        ");
    }

    #[test]
    fn trouble_says_what_happened_what_was_changed_and_the_next_step() {
        let mut trouble = Trouble::new("role", "The role comes from a group.", "Assign it directly.", 0);
        trouble.changed = vec!["a connector was made".to_owned()];
        trouble.steps = vec!["Open Entra.".to_owned(), "Assign.".to_owned()];
        insta::assert_snapshot!(told(&trouble), @r"
        The role comes from a group.
        changed so far: a connector was made
        next: Assign it directly.
          1. Open Entra.
          2. Assign.
        ");
    }
}
