//! One step of the plan. Every step begins with what is there, so that it can be repeated after it was done and after a crash between
//! any two of its requests.
//!
//! The rule is never on for more than the probe's sender before the loop was tried: what narrows it comes before switching it on, and
//! what widens it comes after switching it off.

use serde_json::{Value as Json, json};
use signet_plugin_sdk::control::{Cause, Connection, Goal, Outcome, Problem, Surroundings, Trial};

use super::objects::{self, Kind, Scope, Setting, all, changes, comment, conflict, forget, identity, keep, ours, remember, text};
use super::{domain, is_accepted, is_enabled, probe_sender, scope, unknown};
use crate::exchange::{Failure, Object, ROLE_WAIT, invoke};

/// Seconds between two looks for a new domain in Exchange Online, which takes minutes.
const DOMAIN_WAIT: u32 = 60;

/// Milliseconds that a rule may still be in use after it was switched off (CodeTwo and Microsoft's own advice: up to an hour).
const SETTLE: u64 = 3_600_000;

/// Seconds between two calls while that time passes.
const SETTLE_WAIT: u64 = 300;

/// Milliseconds for which a refusal may mean that a role has not reached Exchange Online yet.
const REPLICATION: u64 = 3_600_000;

/// When the rule was switched off, in milliseconds.
const OFF: &str = "mail-flow/switched-off";

/// The loop that was tried.
const TRIED: &str = "mail-flow/tried";

/// When Exchange Online first refused, in milliseconds.
const REFUSED: &str = "mail-flow/refused";

/// What a step came to, inside.
enum Stop {
    Problem(Problem),
    Unready(Problem),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        // Only Exchange's own refusals have a wait and one of these causes: those of sign-in have none.
        let refused = matches!(problem.cause, Cause::Permission | Cause::Credential) && problem.wait.is_some();
        if refused { Self::Unready(problem) } else { Self::Problem(problem) }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unready(problem) => Self::Unready(problem),
            other => Self::Problem(other.into()),
        }
    }
}

type Result<T> = std::result::Result<T, Stop>;

/// Does one step.
pub(crate) fn apply_step(
    around: &dyn Surroundings,
    connection: &Connection,
    goal: &Goal,
    step: &str,
    trial: &Trial,
) -> std::result::Result<Outcome, Problem> {
    let outcome = match goal {
        Goal::Connect => connect(around, connection, step, trial),
        Goal::Disconnect => disconnect(around, connection, step),
        Goal::Other(other) => Err(unknown("goal", other).into()),
    };
    match outcome {
        Ok(outcome) => {
            around.remove(REFUSED);
            Ok(outcome)
        }
        Err(Stop::Problem(problem)) => Err(problem),
        Err(Stop::Unready(problem)) => later(around, problem),
    }
}

/// A refusal soon after consent is no answer yet: it is asked again for an hour.
fn later(around: &dyn Surroundings, problem: Problem) -> std::result::Result<Outcome, Problem> {
    let since = time(around, REFUSED).unwrap_or_else(|| around.now());
    if around.now().saturating_sub(since) >= REPLICATION {
        return Err(Problem { wait: None, ..problem });
    }
    keep(around, REFUSED, &since.to_string())?;
    Ok(Outcome::Again((
        ROLE_WAIT,
        format!("Exchange Online does not know the permission yet, which takes minutes to an hour. {}", problem.detail),
    )))
}

fn time(around: &dyn Surroundings, key: &str) -> Option<u64> {
    String::from_utf8(around.read(key)?).ok()?.parse().ok()
}

fn connect(around: &dyn Surroundings, connection: &Connection, step: &str, trial: &Trial) -> Result<Outcome> {
    match step {
        "certificate-domain" => Ok(domain::ensure(around, connection)?),
        "accepted-domain" if is_accepted(around, connection)? => Ok(Outcome::Done(Vec::new())),
        "accepted-domain" => {
            let why = format!("Exchange Online does not know {} yet; a new domain takes some minutes.", connection.certificate_domain);
            Ok(Outcome::Again((DOMAIN_WAIT, why)))
        }
        "inbound-connector" => connector(around, connection, Kind::Inbound, objects::inbound(connection)),
        "outbound-connector" => connector(around, connection, Kind::Outbound, objects::outbound(connection)),
        "rule" => rule(around, connection),
        "probe" => probe(around, connection, trial),
        "enable" => enable(around, connection),
        other => Err(unknown("step", other).into()),
    }
}

fn find(around: &dyn Surroundings, connection: &Connection, kind: Kind) -> Result<Option<Object>> {
    let objects = all(around, connection, kind)?;
    Ok(ours(around, connection, kind, &objects)?.cloned())
}

/// A connector's name and id, by either of which a rule may name it.
pub(super) fn reference(connector: &Object) -> (String, String) {
    (text(connector, "Name").to_owned(), identity(connector).to_owned())
}

fn parameters(settings: &[Setting]) -> Object {
    settings.iter().map(|setting| (setting.name.to_owned(), setting.value.json())).collect()
}

/// Creates an object with our name and marker.
fn create(around: &dyn Surroundings, connection: &Connection, kind: Kind, wanted: &[Setting], more: Object) -> Result<Vec<String>> {
    let given = wanted.iter().filter(|setting| !matches!(setting.value, objects::Value::Nothing | objects::Value::Empty)).cloned();
    let mut all = parameters(&given.collect::<Vec<_>>());
    all.insert("Name".to_owned(), json!(kind.name()));
    all.insert(kind.comment().to_owned(), json!(comment(connection)));
    all.extend(more);
    match invoke(around, connection, &format!("New-{}", kind.noun()), all) {
        Ok(answer) => {
            if let Some(object) = answer.objects.first().filter(|object| !identity(object).is_empty()) {
                remember(around, kind, object)?;
            }
            let mut done = vec![format!("Created the {} {:?}.", kind.word(), kind.name())];
            done.extend(answer.warnings.iter().map(|warning| format!("Exchange Online remarks: {warning}")));
            Ok(done)
        }
        Err(Failure::Exists(_)) => Err(conflict(kind).into()),
        Err(failure) => Err(failure.into()),
    }
}

/// Changes what differs.
fn change(around: &dyn Surroundings, kind: Kind, connection: &Connection, object: &Object, settings: &[Setting]) -> Result<Vec<String>> {
    if settings.is_empty() {
        return Ok(Vec::new());
    }
    let mut all = parameters(settings);
    all.insert("Identity".to_owned(), json!(identity(object)));
    invoke(around, connection, &format!("Set-{}", kind.noun()), all)?;
    let line = |difference: &signet_plugin_sdk::control::Difference| {
        let name = text(object, "Name");
        format!("Changed {} of the {} {name:?} from {:?} to {:?}.", difference.property, kind.word(), difference.before, difference.after)
    };
    Ok(objects::differences(Some(object), settings).iter().map(line).collect())
}

fn connector(around: &dyn Surroundings, connection: &Connection, kind: Kind, wanted: Vec<Setting>) -> Result<Outcome> {
    let done = match find(around, connection, kind)? {
        None => create(around, connection, kind, &wanted, Object::new())?,
        Some(object) => {
            remember(around, kind, &object)?;
            let changes = changes(connection, kind, &object, wanted);
            if changes.is_empty() {
                return Ok(Outcome::Done(Vec::new()));
            }
            match change(around, kind, connection, &object, &changes) {
                Ok(done) => done,
                // A tenant that may not have connectors refuses to switch one on, too.
                Err(Stop::Problem(problem)) if problem.cause == Cause::Protocol && is_off(&object) => {
                    return Ok(off(&object, &problem.detail));
                }
                Err(stop) => return Err(stop),
            }
        }
    };
    // Some tenants may not have working connectors yet: Exchange Online then creates them switched off and says so only in a warning.
    let Some(object) = find(around, connection, kind)? else {
        return Ok(Outcome::Again((DOMAIN_WAIT, format!("Exchange Online does not show the connector {:?} yet.", kind.name()))));
    };
    remember(around, kind, &object)?;
    Ok(if is_off(&object) { off(&object, &done.join(" ")) } else { Outcome::Done(done) })
}

fn is_off(connector: &Object) -> bool {
    connector.get("Enabled").and_then(Json::as_bool) == Some(false)
}

fn off(connector: &Object, done: &str) -> Outcome {
    Outcome::ActionNeeded(format!(
        "{done} Exchange Online keeps the connector {:?} switched off. Switch it on in the Exchange admin center under Mail flow, Connectors; if that is \
         refused, ask Microsoft's support to enable it for this tenant. Then go on.",
        text(connector, "Name")
    ))
}

/// The step before it is not done.
fn too_early(missing: &str) -> Outcome {
    Outcome::ActionNeeded(format!(
        "The step {missing} has to be done first: somebody removed what it made. Make the plan again and apply it in order."
    ))
}

fn switch(around: &dyn Surroundings, connection: &Connection, rule: &Object, on: bool) -> Result<String> {
    let cmdlet = if on { "Enable-TransportRule" } else { "Disable-TransportRule" };
    let mut parameters = Object::from_iter([("Identity".to_owned(), json!(identity(rule)))]);
    if !on {
        parameters.insert("Confirm".to_owned(), json!(false));
    }
    invoke(around, connection, cmdlet, parameters)?;
    Ok(format!("Switched the rule {:?} {}.", text(rule, "Name"), if on { "on" } else { "off" }))
}

/// Gives the rule its settings; an enabled one that was never tried is switched off first.
fn settled(
    around: &dyn Surroundings,
    connection: &Connection,
    rule: &Object,
    wanted: Vec<Setting>,
    live: bool,
) -> Result<(Vec<String>, bool)> {
    remember(around, Kind::Rule, rule)?;
    let changes = changes(connection, Kind::Rule, rule, wanted);
    let mut done = Vec::new();
    let mut enabled = is_enabled(rule);
    if enabled && !live && !changes.is_empty() {
        done.push(switch(around, connection, rule, false)?);
        enabled = false;
    }
    done.extend(change(around, Kind::Rule, connection, rule, &changes)?);
    Ok((done, enabled))
}

/// Whether the rule is in its trial: on for one sender only.
fn is_narrow(rule: &Object) -> bool {
    rule.get("FromAddressMatchesPatterns").is_some_and(|found| match found {
        Json::Array(list) => !list.is_empty(),
        Json::String(text) => !text.is_empty(),
        _ => false,
    })
}

fn rule(around: &dyn Surroundings, connection: &Connection) -> Result<Outcome> {
    let scope = scope(around, connection)?;
    let Some(outbound) = find(around, connection, Kind::Outbound)? else { return Ok(too_early("outbound-connector")) };
    let wanted = objects::rule(connection, reference(&outbound), &scope);
    match find(around, connection, Kind::Rule)? {
        None => {
            let more = Object::from_iter([("Enabled".to_owned(), json!(false)), ("Priority".to_owned(), json!(0))]);
            Ok(Outcome::Done(create(around, connection, Kind::Rule, &wanted, more)?))
        }
        Some(found) => {
            let live = tried(around, connection) && !is_narrow(&found);
            Ok(Outcome::Done(settled(around, connection, &found, wanted, live)?.0))
        }
    }
}

/// What a trial is good for: another host, certificate or field needs another one; another scope does not.
fn loop_of(connection: &Connection) -> String {
    // FNV-1a, so that the secret word itself is not kept once more.
    let secret = connection.processed.value.bytes();
    let hash = secret.fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3));
    format!("{} {} {} {hash:016x}", connection.smart_host, connection.certificate_domain, connection.processed.name)
}

/// Whether this loop was tried.
pub(super) fn tried(around: &dyn Surroundings, connection: &Connection) -> bool {
    around.read(TRIED).as_deref() == Some(loop_of(connection).as_bytes())
}

fn probe(around: &dyn Surroundings, connection: &Connection, trial: &Trial) -> Result<Outcome> {
    if *trial == Trial::None && tried(around, connection) {
        return Ok(Outcome::Done(Vec::new()));
    }
    let scope = scope(around, connection)?;
    let Some(outbound) = find(around, connection, Kind::Outbound)? else { return Ok(too_early("outbound-connector")) };
    let Some(found) = find(around, connection, Kind::Rule)? else { return Ok(too_early("rule")) };
    let sender = probe_sender(connection);
    if *trial == Trial::None {
        let narrow = objects::rule(connection, reference(&outbound), &Scope::Only(sender.clone()));
        let (_, enabled) = settled(around, connection, &found, narrow, false)?;
        if !enabled {
            switch(around, connection, &found, true)?;
        }
        return Ok(Outcome::Probe(sender));
    }
    let wide = objects::rule(connection, reference(&outbound), &scope);
    let live = tried(around, connection) && !is_narrow(&found);
    let (mut done, enabled) = settled(around, connection, &found, wide, live)?;
    match trial {
        Trial::Passed => {
            keep(around, TRIED, &loop_of(connection))?;
            done.insert(0, "A message went through the loop and came back.".to_owned());
            Ok(Outcome::Done(done))
        }
        other => {
            if enabled {
                switch(around, connection, &found, false)?;
            }
            around.remove(TRIED);
            let why = if let Trial::Failed(why) = other { why.as_str() } else { "no reason was given" };
            Ok(Outcome::ActionNeeded(format!(
                "The trial failed: {why}. The rule is off, so mail flows as before, unsigned. Put right what the reason names, then repeat the trial; new \
                 connectors need a quarter of an hour, rules up to an hour."
            )))
        }
    }
}

fn enable(around: &dyn Surroundings, connection: &Connection) -> Result<Outcome> {
    if !tried(around, connection) {
        return Ok(too_early("probe"));
    }
    let scope = scope(around, connection)?;
    let Some(outbound) = find(around, connection, Kind::Outbound)? else { return Ok(too_early("outbound-connector")) };
    let Some(found) = find(around, connection, Kind::Rule)? else { return Ok(too_early("rule")) };
    let wanted = objects::rule(connection, reference(&outbound), &scope);
    let (mut done, enabled) = settled(around, connection, &found, wanted, !is_narrow(&found))?;
    if !enabled {
        done.push(switch(around, connection, &found, true)?);
    }
    around.remove(OFF);
    Ok(Outcome::Done(done))
}

fn disconnect(around: &dyn Surroundings, connection: &Connection, step: &str) -> Result<Outcome> {
    match step {
        "enable" => disable(around, connection),
        "settle" => Ok(settle(around)),
        "rule" => remove(around, connection, Kind::Rule),
        "outbound-connector" => remove(around, connection, Kind::Outbound),
        "inbound-connector" => remove(around, connection, Kind::Inbound),
        "certificate-domain" => {
            let outcome = domain::remove(around, connection)?;
            around.remove(TRIED);
            around.remove(OFF);
            Ok(outcome)
        }
        // Nothing of ours is left of what these made.
        "accepted-domain" | "probe" => Ok(Outcome::Done(Vec::new())),
        other => Err(unknown("step", other).into()),
    }
}

fn disable(around: &dyn Surroundings, connection: &Connection) -> Result<Outcome> {
    let Some(found) = find(around, connection, Kind::Rule)? else { return Ok(Outcome::Done(Vec::new())) };
    remember(around, Kind::Rule, &found)?;
    let on = is_enabled(&found);
    let done = if on { vec![switch(around, connection, &found, false)?] } else { Vec::new() };
    // A rule that was tried may have been on until a moment ago, by a call whose end was lost; an untried one never was for anybody.
    if on || (around.read(TRIED).is_some() && time(around, OFF).is_none()) {
        keep(around, OFF, &around.now().to_string())?;
    }
    Ok(Outcome::Done(done))
}

fn settle(around: &dyn Surroundings) -> Outcome {
    let Some(since) = time(around, OFF) else { return Outcome::Done(Vec::new()) };
    let left = SETTLE.saturating_sub(around.now().saturating_sub(since)).div_ceil(1000);
    if left == 0 {
        return Outcome::Done(Vec::new());
    }
    let wait = u32::try_from(left.min(SETTLE_WAIT)).unwrap_or(ROLE_WAIT);
    Outcome::Again((wait, format!("Some servers may still use the rule; what it needs stays for another {} minutes.", left.div_ceil(60))))
}

fn remove(around: &dyn Surroundings, connection: &Connection, kind: Kind) -> Result<Outcome> {
    let Some(found) = find(around, connection, kind)? else {
        forget(around, kind);
        return Ok(Outcome::Done(Vec::new()));
    };
    // In order, whatever the host does: what a rule in use needs is not taken away.
    if kind == Kind::Rule && is_enabled(&found) {
        return Ok(too_early("enable"));
    }
    if kind != Kind::Rule && find(around, connection, Kind::Rule)?.is_some() {
        return Ok(too_early("rule"));
    }
    if !matches!(settle(around), Outcome::Done(_)) {
        return Ok(settle(around));
    }
    let parameters = Object::from_iter([("Identity".to_owned(), json!(identity(&found))), ("Confirm".to_owned(), json!(false))]);
    match invoke(around, connection, &format!("Remove-{}", kind.noun()), parameters) {
        Ok(_) | Err(Failure::Absent(_)) => {
            forget(around, kind);
            Ok(Outcome::Done(vec![format!("Removed the {} {:?}.", kind.word(), text(&found, "Name"))]))
        }
        // Another rule uses the connector.
        Err(Failure::Other(problem)) if problem.cause == Cause::Protocol => Ok(Outcome::ActionNeeded(format!(
            "The {} {:?} could not be removed. {} Change or remove what uses it, then go on.",
            kind.word(),
            text(&found, "Name"),
            problem.detail
        ))),
        Err(failure) => Err(failure.into()),
    }
}
