//! What pages have in common: the frame around them, and values of the control plane in plain words.

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Response};
use serde::Serialize;

use super::failure::Failure;
use super::guard::{Visit, Who};
use crate::config::Role;
use crate::control::report::{Choices, Overview, People, Senders, Stage, StepRecord, StepState, Trouble, Work};
use crate::control::words::{Action, Difference, Goal, Step};

/// What a handler of a page or of the API comes to.
pub(super) type Answered = Result<Response, Failure>;

/// The frame around a page.
pub(super) struct Layout {
    pub(super) title: String,
    pub(super) token: String,
    pub(super) who: Option<Signed>,
    pub(super) tenant: Option<Section>,
    /// The entry of the navigation that is shown.
    pub(super) here: &'static str,
}

/// Who is signed in, for people.
pub(super) struct Signed {
    pub(super) name: String,
    pub(super) role: &'static str,
    pub(super) guest: bool,
}

/// The tenant whose pages are in the navigation.
pub(super) struct Section {
    /// As a part of a path.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) connected: bool,
}

impl Layout {
    pub(super) fn new(visit: &Visit, title: impl Into<String>, here: &'static str) -> Self {
        let who = visit.who.as_ref().map(|who| match who {
            Who::User { name, role } => Signed { name: name.clone(), role: role_word(*role), guest: false },
            Who::Guest { .. } => Signed { name: "Invited".to_owned(), role: "completes a connection", guest: true },
        });
        Self { title: title.into(), token: visit.token.clone(), who, tenant: None, here }
    }

    /// For a page about one tenant.
    pub(super) fn of(visit: &Visit, overview: &Overview, title: &str, here: &'static str) -> Self {
        let section = Section { id: segment(&overview.tenant), name: overview.name.clone(), connected: overview.connected.is_some() };
        Self { tenant: Some(section), ..Self::new(visit, title, here) }
    }
}

/// A page of that status.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => (status, Html(text)).into_response(),
        // Templates write to memory and call nothing that fails.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// JSON of that status.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => (status, [(CONTENT_TYPE, "application/json")], format!("{text}\n")).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage<'a> {
    layout: Layout,
    trouble: &'a Trouble,
    heading: &'a str,
    /// Whether nothing can have been changed, so that nothing needs to be said about it.
    brief: bool,
    back: String,
    back_words: &'static str,
}

/// A failure as a page.
pub(super) fn failure_page(failure: &Failure, visit: &Visit) -> Response {
    let heading = match failure.status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::FORBIDDEN => "Not allowed",
        StatusCode::METHOD_NOT_ALLOWED => "Not possible",
        StatusCode::PAYLOAD_TOO_LARGE => "Too large",
        StatusCode::TOO_MANY_REQUESTS => "Too many attempts",
        StatusCode::BAD_REQUEST => "Not understood",
        _ => "That did not work",
    };
    let (back, back_words) = match (&visit.who, &failure.tenant) {
        (Some(Who::Guest { tenant }), _) | (Some(Who::User { .. }), Some(tenant)) => {
            (format!("/tenants/{}/connect", segment(tenant)), "Back to the connection")
        }
        _ => ("/".to_owned(), "Back to the start page"),
    };
    let layout = Layout::new(visit, heading, "");
    let tried = matches!(failure.status, StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::SERVICE_UNAVAILABLE);
    let brief = !tried && failure.trouble.changed.is_empty() && failure.trouble.steps.is_empty();
    page(failure.status, &FailurePage { layout, trouble: &failure.trouble, heading, brief, back, back_words })
}

/// A step as pages show it.
pub(super) struct StepLine {
    pub(super) title: String,
    pub(super) purpose: String,
    /// A class for the style.
    pub(super) class: &'static str,
    pub(super) state: String,
    /// What somebody has to do, or why it waits.
    pub(super) detail: String,
    pub(super) changed: Vec<String>,
    pub(super) differences: Vec<Difference>,
}

impl StepLine {
    /// A step that is being applied.
    pub(super) fn applied(record: &StepRecord) -> Self {
        let (class, state, detail) = match &record.state {
            StepState::Waiting => ("waiting", "Waiting".to_owned(), ""),
            StepState::Running => ("running", "Running".to_owned(), ""),
            StepState::Again { at, reason } => ("again", format!("Again at {}", time(*at)), reason.as_str()),
            StepState::ActionNeeded(what) => ("needed", "Action needed".to_owned(), what.as_str()),
            StepState::Done => ("done", "Done".to_owned(), ""),
        };
        let line = Self::planned(&record.step);
        let changed = record.changed.iter().filter(|line| *line != detail).cloned().collect();
        Self { class, state, detail: detail.to_owned(), changed, differences: Vec::new(), ..line }
    }

    /// A step that may be applied.
    pub(super) fn planned(step: &Step) -> Self {
        let (class, state) = match &step.action {
            Action::Create => ("create", "Will be created"),
            Action::Change => ("change", "Will be changed"),
            Action::Keep => ("keep", "Is as it should be"),
            Action::Remove => ("remove", "Will be removed"),
            Action::Check => ("check", "Will be checked"),
            Action::Other(word) => ("check", word.as_str()),
        };
        let (title, purpose, differences) = (step.title.clone(), step.purpose.clone(), step.differences.clone());
        Self { title, purpose, class, state: state.to_owned(), detail: String::new(), changed: Vec::new(), differences }
    }
}

/// A plan that is being applied, as pages show it.
pub(super) struct WorkView {
    pub(super) heading: &'static str,
    pub(super) summary: String,
    pub(super) notes: Vec<String>,
    pub(super) steps: Vec<StepLine>,
    pub(super) goal: &'static str,
    /// Whether it is being applied.
    pub(super) under_way: bool,
}

impl WorkView {
    /// Of a plan at that stage of the connection.
    pub(super) fn new(work: &Work, stage: Stage) -> Self {
        let under_way = work.finished.is_none() && stage == Stage::InProgress;
        let done = work.steps.iter().filter(|step| step.state == StepState::Done).count();
        let heading = match (work.goal, work.finished) {
            (_, None) if !under_way => "What was begun and given up",
            (Goal::Connect, None) => "In progress",
            (Goal::Connect, Some(_)) => "What was set up",
            (Goal::Disconnect, None) => "Disconnecting",
            (Goal::Disconnect, Some(_)) => "What was removed",
        };
        let steps: Vec<StepLine> = work.steps.iter().map(StepLine::applied).collect();
        let summary = match work.finished {
            Some(at) => format!("All {} steps were done on {}.", steps.len(), time(at)),
            None if steps.is_empty() => "What is there is being read.".to_owned(),
            None => format!("{done} of {} steps are done.", steps.len()),
        };
        Self { heading, summary, notes: work.notes.clone(), steps, goal: goal_word(work.goal), under_way }
    }
}

/// As forms and the API write it.
pub(super) fn goal_word(goal: Goal) -> &'static str {
    match goal {
        Goal::Connect => "connect",
        Goal::Disconnect => "disconnect",
    }
}

/// A goal that somebody wrote; connecting when they wrote nothing.
pub(super) fn goal(word: Option<&str>) -> Result<Goal, Failure> {
    match word {
        None | Some("connect") => Ok(Goal::Connect),
        Some("disconnect") => Ok(Goal::Disconnect),
        Some(other) => Err(Failure::bad_request(format!("{other:?} is no goal."), "Write \"connect\" or \"disconnect\".")),
    }
}

/// For people.
pub(super) fn role_word(role: Role) -> &'static str {
    match role {
        Role::Owner => "Owner",
        Role::Administrator => "Administrator",
        Role::Editor => "Editor",
        Role::Auditor => "Auditor",
    }
}

/// How far a connection is, in two words.
pub(super) fn stage_words(overview: &Overview) -> &'static str {
    let again = overview.connected.is_some();
    match overview.stage {
        Stage::Disconnected => "Not connected",
        Stage::SignedIn => "Consent is missing",
        Stage::ChoosePeople => "Choose people",
        Stage::ChooseRouting => "Choose mail",
        Stage::Authorize => "Authorize",
        Stage::InProgress if again => "Change in progress",
        Stage::InProgress => "In progress",
        Stage::Connected => "Connected",
    }
}

/// Whether a plan was given up that had changed something.
pub(super) fn half_made(overview: &Overview) -> bool {
    let left = |work: &Work| work.finished.is_none() && !work.changed().is_empty();
    let told = overview.trouble.as_ref().is_some_and(|trouble| trouble.kind == "half-made");
    told || overview.stage != Stage::InProgress && overview.work.as_ref().is_some_and(left)
}

/// The step that waits for somebody, and what they have to do.
pub(super) fn needed(overview: &Overview) -> Option<(&str, &str)> {
    let work = overview.work.as_ref().filter(|_| overview.stage == Stage::InProgress)?;
    work.steps.iter().find_map(|step| match &step.state {
        StepState::ActionNeeded(what) => Some((step.step.title.as_str(), what.as_str())),
        _ => None,
    })
}

/// Whose people are read, in words.
pub(super) fn people_words(choices: &Choices) -> String {
    match &choices.people {
        Some(People::Full) => "All members of the organisation (Full)".to_owned(),
        Some(People::Limited(group)) => format!("Members of {} (Limited)", group.name),
        None => "Not chosen yet".to_owned(),
    }
}

/// Whose mail is routed, in words.
pub(super) fn senders_words(choices: &Choices) -> String {
    match &choices.senders {
        Some(Senders::AllUsers) => "All users: the sender is inside the organisation".to_owned(),
        Some(Senders::Group(group)) => format!("Members of {}", group.name),
        None => "Not chosen yet".to_owned(),
    }
}

/// A time for people.
pub(super) fn time(millis: u64) -> String {
    let stamp = i64::try_from(millis).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    stamp.map_or_else(|| "an unknown time".to_owned(), |stamp| stamp.strftime("%-d %B %Y, %H:%M UTC").to_string())
}

/// Seconds for people.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => "less than a minute".to_owned(),
        60..120 => "about a minute".to_owned(),
        120..5400 => format!("about {} minutes", seconds.div_ceil(60)),
        _ => format!("about {} hours", seconds.div_ceil(3600)),
    }
}

/// A value as one segment of a path (RFC 3986 section 3.3).
pub(super) fn segment(text: &str) -> String {
    let mut path = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => path.push(char::from(octet)),
            // "." and ".." alone would be other paths.
            b'.' if text.bytes().any(|octet| octet != b'.') => path.push('.'),
            _ => path.push_str(&format!("%{octet:02X}")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_never_leaves_its_place_in_the_path() {
        for (text, path) in [
            ("8f2d-4", "8f2d-4"),
            ("a@b.example", "a%40b.example"),
            ("../x?y#z", "..%2Fx%3Fy%23z"),
            ("..", "%2E%2E"),
            ("ü", "%C3%BC"),
            ("\"<", "%22%3C"),
        ] {
            assert_eq!(segment(text), path);
        }
    }

    #[test]
    fn times_are_for_people() {
        assert_eq!(time(1_790_000_000_000), "21 September 2026, 14:13 UTC");
        assert_eq!(time(u64::MAX), "an unknown time");
        assert_eq!((span(30), span(61), span(600), span(7200)), {
            let words = ["less than a minute", "about a minute", "about 10 minutes", "about 2 hours"].map(str::to_owned);
            let [a, b, c, d] = words;
            (a, b, c, d)
        });
    }
}
