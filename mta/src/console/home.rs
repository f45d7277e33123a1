//! The start page: for each tenant what is done, what comes next, and one button for that.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;

use super::Shared;
use super::guard::Visit;
use super::show::{Answered, Layout, half_made, needed, page, segment, stage_words, time};
use super::view::RulesView;
use crate::config::Role;
use crate::control::report::{Overview, Stage, Trouble};

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    layout: Layout,
    tenants: Vec<Card>,
}

/// One tenant.
struct Card {
    id: String,
    name: String,
    state: &'static str,
    state_class: &'static str,
    steps: Vec<Item>,
    done: usize,
    facts: Vec<(&'static str, String)>,
    trouble: Option<Trouble>,
    /// What somebody has to do before a step goes on.
    needed: Option<String>,
    warnings: Vec<String>,
}

/// One line of the checklist.
struct Item {
    title: &'static str,
    text: String,
    class: &'static str,
    word: &'static str,
    /// Where to do it: words and path.
    link: Option<(&'static str, String)>,
    next: bool,
}

pub(super) async fn show(State(shared): State<Arc<Shared>>, Extension(visit): Extension<Visit>) -> Answered {
    let (mut tenants, known) = (Vec::new(), shared.plane.tenants());
    let mut layout = Layout::new(&visit, "Home", "home");
    // Where there is one tenant only, its pages are in the navigation from the beginning.
    let single = known.len() == 1;
    for (id, name) in known {
        tenants.push(match shared.plane.overview(&id).await {
            Ok(overview) if single => {
                layout = Layout::of(&visit, &overview, "Home", "home");
                card(&overview, shared.directory.rules(&id).await, visit.is(Role::Owner))
            }
            Ok(overview) => card(&overview, shared.directory.rules(&id).await, visit.is(Role::Owner)),
            Err(trouble) => unknown(&id, name, trouble),
        });
    }
    Ok(page(StatusCode::OK, &HomePage { layout, tenants }))
}

fn unknown(id: &str, name: String, trouble: Trouble) -> Card {
    Card {
        id: segment(id),
        name,
        state: "Unknown",
        state_class: "needed",
        steps: Vec::new(),
        done: 0,
        facts: Vec::new(),
        trouble: Some(trouble),
        needed: None,
        warnings: Vec::new(),
    }
}

fn card(overview: &Overview, rules: Option<RulesView>, may_connect: bool) -> Card {
    let steps = checklist(overview, rules.as_ref(), may_connect);
    let (synchronised, needed) = (&overview.synchronised, needed(overview));
    let mut facts = Vec::new();
    if let Some(since) = overview.connected_since {
        facts.push(("Connected since", time(since)));
    }
    if let Some(at) = synchronised.complete {
        facts.push(("People", synchronised.people.to_string()));
        facts.push(("Groups", synchronised.groups.to_string()));
        facts.push(("Read", time(at)));
    }
    Card {
        id: segment(&overview.tenant),
        name: overview.name.clone(),
        state: match needed {
            Some(_) => "Action needed",
            None => stage_words(overview),
        },
        state_class: match overview.stage {
            _ if needed.is_some() || half_made(overview) => "needed",
            Stage::Connected => "done",
            Stage::Disconnected => "waiting",
            _ => "running",
        },
        done: steps.iter().filter(|step| step.class == "done").count(),
        steps,
        facts,
        trouble: overview.trouble.clone().or_else(|| synchronised.trouble.clone()),
        needed: needed.map(|(title, what)| format!("{title}: {what}")),
        warnings: overview.warnings.clone(),
    }
}

/// The way to a tenant whose mail has signatures.
fn checklist(overview: &Overview, rules: Option<&RulesView>, may_connect: bool) -> Vec<Item> {
    let path = |page: &str| format!("/tenants/{}/{page}", segment(&overview.tenant));
    let stages = [
        (Stage::SignedIn, "Sign in to Microsoft 365", "As a Global Administrator.", "Connect"),
        (Stage::ChoosePeople, "Consent to reading the directory", "Signet reads people and groups, and changes nothing there.", "Continue"),
        (Stage::ChooseRouting, "Choose whose people are synchronised", "Full, or Limited to one group.", "Choose"),
        (Stage::Authorize, "Choose whose mail is routed", "All users, or one group.", "Choose"),
        (Stage::InProgress, "Authorize the change of mail flow", "Or run a script that does the same.", "Authorize"),
        (Stage::Connected, "Connected", "The connectors and the rule are in place.", "See how far it is"),
    ];
    let connected = overview.connected.is_some();
    let done = |reached: Stage| connected || rank(overview.stage) >= rank(reached);
    let mut found_next = false;
    let mut next = |done: bool| !done && !std::mem::replace(&mut found_next, true);
    let mut items: Vec<Item> = stages
        .into_iter()
        .map(|(reached, title, text, action)| {
            let (is_done, is_next) = (done(reached), next(done(reached)));
            let link = (is_next && may_connect).then(|| (action, path("connect")));
            Item { title, text: text.to_owned(), class: class(is_done, is_next), word: word(is_done, is_next), link, next: is_next }
        })
        .collect();
    items.push(Item {
        title: "Publish the SPF records",
        text: "Each domain that sends mail names Signet in its record, so that recipients do not take it for spam.".to_owned(),
        class: "check",
        word: if connected { "To be checked" } else { "Later" },
        link: connected.then(|| ("Check the records", path("spf"))),
        next: false,
    });
    let made = rules.is_some_and(|rules| rules.signatures > 0);
    let is_next = next(made) && connected;
    let text = match rules {
        Some(rules) if made => format!("{} in {}.", count(rules.signatures, "signature"), rules.folder),
        Some(rules) => format!("Signatures are files; put the first one into {}.", rules.folder),
        None => "Name a folder for rules and templates in the configuration of the tenant.".to_owned(),
    };
    items.push(Item {
        title: "Create the first signature",
        text,
        class: class(made, is_next),
        word: word(made, is_next),
        link: None,
        next: is_next,
    });
    items
}

fn rank(stage: Stage) -> usize {
    let order = [
        Stage::Disconnected,
        Stage::SignedIn,
        Stage::ChoosePeople,
        Stage::ChooseRouting,
        Stage::Authorize,
        Stage::InProgress,
        Stage::Connected,
    ];
    order.iter().position(|candidate| *candidate == stage).unwrap_or_default()
}

fn class(done: bool, next: bool) -> &'static str {
    if done {
        "done"
    } else if next {
        "running"
    } else {
        "waiting"
    }
}

fn word(done: bool, next: bool) -> &'static str {
    if done {
        "Done"
    } else if next {
        "Next"
    } else {
        "Later"
    }
}

fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}
