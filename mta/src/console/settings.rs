//! The settings of a connection: what is connected, how the people are, what differs, SPF records, and the way out.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};

use super::Shared;
use super::guard::Visit;
use super::show::{self, Answered, Layout, StepLine, page, segment};
use crate::config::Role;
use crate::control::report::{Choices, Comparison, Overview};
use crate::control::words::{Listed, SpfAdvice};

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage<'a> {
    layout: Layout,
    overview: &'a Overview,
    id: String,
    state: &'static str,
    people: String,
    senders: String,
    since: Option<String>,
    next: Option<String>,
    complete: Option<String>,
    left: Option<String>,
    /// Whether a round was held back.
    shrunk: bool,
    synchronises: bool,
    owner: bool,
    half_made: bool,
}

#[derive(Template)]
#[template(path = "status.html")]
struct StatusPage {
    layout: Layout,
    id: String,
    compared: bool,
    drift: Vec<StepLine>,
    lists: [List; 2],
    notes: Vec<String>,
    at: String,
    owner: bool,
}

/// One of the two lists of people that the two groups do not have in common.
struct List {
    title: &'static str,
    text: &'static str,
    people: Vec<Listed>,
    count: u64,
}

impl List {
    /// Whether there are more than are shown.
    fn is_cut(&self) -> bool {
        u64::try_from(self.people.len()).is_ok_and(|shown| shown < self.count)
    }
}

#[derive(Template)]
#[template(path = "spf.html")]
struct SpfPage {
    layout: Layout,
    advice: Vec<SpfAdvice>,
}

#[derive(Template)]
#[template(path = "disconnect.html")]
struct DisconnectPage<'a> {
    layout: Layout,
    overview: &'a Overview,
    id: String,
}

pub(super) async fn show(State(shared): State<Arc<Shared>>, Extension(visit): Extension<Visit>, Path(tenant): Path<String>) -> Answered {
    let overview = shared.plane.overview(&tenant).await?;
    let choices: &Choices = overview.connected.as_ref().unwrap_or(&overview.choices);
    let synchronised = &overview.synchronised;
    let template = SettingsPage {
        layout: Layout::of(&visit, &overview, "Settings", "settings"),
        id: segment(&tenant),
        state: show::stage_words(&overview),
        people: show::people_words(choices),
        senders: show::senders_words(choices),
        since: overview.connected_since.map(show::time),
        next: synchronised.next.map(show::time),
        complete: synchronised.complete.map(show::time),
        left: synchronised.seconds_left.map(show::span),
        shrunk: synchronised.trouble.as_ref().is_some_and(|trouble| trouble.kind == "shrunk"),
        synchronises: visit.is(Role::Administrator),
        owner: visit.is(Role::Owner),
        half_made: show::half_made(&overview),
        overview: &overview,
    };
    Ok(page(StatusCode::OK, &template))
}

pub(super) async fn synchronise(State(shared): State<Arc<Shared>>, Path(tenant): Path<String>) -> Answered {
    shared.plane.synchronise(&tenant).await?;
    Ok(to_settings(&tenant))
}

pub(super) async fn accept_shrink(State(shared): State<Arc<Shared>>, Path(tenant): Path<String>) -> Answered {
    shared.plane.accept_shrink(&tenant).await?;
    Ok(to_settings(&tenant))
}

fn to_settings(tenant: &str) -> axum::response::Response {
    Redirect::to(&format!("/tenants/{}/settings", segment(tenant))).into_response()
}

pub(super) async fn status(State(shared): State<Arc<Shared>>, Extension(visit): Extension<Visit>, Path(tenant): Path<String>) -> Answered {
    let overview = shared.plane.overview(&tenant).await?;
    let Comparison { compared, status } = shared.plane.status(&tenant).await?;
    let lists = [
        List {
            title: "Routed, but not synchronised",
            text: "Their mail goes through Signet, which does not know them: they get no signature, or one with gaps.",
            people: status.routed_only,
            count: status.routed_only_count,
        },
        List {
            title: "Synchronised, but not routed",
            text: "Signet knows them, but their mail does not pass it: they get no signature.",
            people: status.synchronised_only,
            count: status.synchronised_only_count,
        },
    ];
    let template = StatusPage {
        layout: Layout::of(&visit, &overview, "Check", "settings"),
        id: segment(&tenant),
        compared,
        drift: status.drift.iter().map(StepLine::planned).collect(),
        lists,
        notes: status.notes,
        at: show::time(super::now()),
        owner: visit.is(Role::Owner),
    };
    Ok(page(StatusCode::OK, &template))
}

pub(super) async fn spf(State(shared): State<Arc<Shared>>, Extension(visit): Extension<Visit>, Path(tenant): Path<String>) -> Answered {
    let overview = shared.plane.overview(&tenant).await?;
    let advice = shared.plane.spf(&tenant).await?;
    Ok(page(StatusCode::OK, &SpfPage { layout: Layout::of(&visit, &overview, "SPF records", "settings"), advice }))
}

pub(super) async fn show_disconnect(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Visit>,
    Path(tenant): Path<String>,
) -> Answered {
    let overview = shared.plane.overview(&tenant).await?;
    let template =
        DisconnectPage { layout: Layout::of(&visit, &overview, "Disconnect", "settings"), id: segment(&tenant), overview: &overview };
    Ok(page(StatusCode::OK, &template))
}

impl SettingsPage<'_> {
    /// How much of a round is read, in percent.
    fn percent(&self) -> Option<u64> {
        let progress = self.overview.synchronised.progress.as_ref()?;
        let expected = progress.expected.filter(|expected| *expected > 0)?;
        Some((progress.objects.saturating_mul(100) / expected).min(100))
    }
}
