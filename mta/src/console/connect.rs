//! Connect and Re-connect: one page that follows the stage of the connection, and what its buttons do.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Redirect, Response};
use url::Url;

use super::Shared;
use super::failure::Failure;
use super::guard::Visit;
use super::show::{self, Answered, Layout, StepLine, WorkView, page, segment};
use crate::config::Role;
use crate::control::plane::Return;
use crate::control::report::{Overview, People, Senders, Stage, StepState, Trouble};
use crate::control::words::{Goal, Group};

/// For reading the plan while somebody waits for the page; without it the page says the same in general words.
const PLAN_TIME: Duration = Duration::from_secs(15);

/// Which of the two choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    People,
    Routing,
}

/// The form of a choice, and what was filled in so far.
struct Chooser {
    choice: Choice,
    /// `all`, `group`, or nothing.
    scope: &'static str,
    text: String,
    chosen: Option<Group>,
    /// What the search without a script found; none when nothing was searched.
    found: Option<Vec<Group>>,
    problem: Option<String>,
}

impl Chooser {
    /// As it was chosen before.
    fn new(choice: Choice, overview: &Overview) -> Self {
        let choices = if choice == Choice::People && overview.choices.people.is_none()
            || choice == Choice::Routing && overview.choices.senders.is_none()
        {
            overview.connected.clone().unwrap_or_default()
        } else {
            overview.choices.clone()
        };
        let (scope, chosen) = match (choice, choices.people, choices.senders) {
            (Choice::People, Some(People::Limited(group)), _) | (Choice::Routing, _, Some(Senders::Group(group))) => ("group", Some(group)),
            // Recommended, so it is what is chosen unless somebody changes it.
            _ => ("all", None),
        };
        let text = chosen.as_ref().map(|group| group.name.clone()).unwrap_or_default();
        Self { choice, scope, text, chosen, found: None, problem: None }
    }

    fn is_people(&self) -> bool {
        self.choice == Choice::People
    }
}

#[derive(Template)]
#[template(path = "connect.html")]
struct ConnectPage<'a> {
    layout: Layout,
    overview: &'a Overview,
    id: String,
    /// Whether they may do anything here.
    may: bool,
    owner: bool,
    guest: bool,
    again: bool,
    chooser: Option<Chooser>,
    plan: Vec<StepLine>,
    plan_notes: Vec<String>,
    work: Option<WorkView>,
    people: String,
    senders: String,
    rules: Option<String>,
    /// Whether the page is to be loaded again by itself.
    live: bool,
    sign_in_again: bool,
    half_made: bool,
}

#[derive(Template)]
#[template(path = "onward.html")]
struct OnwardPage {
    layout: Layout,
    url: String,
    host: String,
    back: String,
}

#[derive(Template)]
#[template(path = "invite.html")]
struct InvitePage {
    layout: Layout,
    name: String,
    link: String,
    expires: String,
    id: String,
}

pub(super) async fn show(State(shared): State<Arc<Shared>>, Extension(visit): Extension<Visit>, Path(tenant): Path<String>) -> Answered {
    let overview = shared.plane.overview(&tenant).await?;
    let step = match (overview.stage, visit.fields.get("step")) {
        (Stage::ChoosePeople, _) | (Stage::ChooseRouting | Stage::Authorize, Some("people")) => Some(Choice::People),
        (Stage::ChooseRouting, _) | (Stage::Authorize, Some("routing")) => Some(Choice::Routing),
        _ => None,
    };
    let chooser = step.filter(|_| visit.connects()).map(|choice| Chooser::new(choice, &overview));
    Ok(connect_page(StatusCode::OK, &shared, &visit, &overview, chooser).await)
}

async fn connect_page(status: StatusCode, shared: &Shared, visit: &Visit, overview: &Overview, chooser: Option<Chooser>) -> Response {
    let again = overview.connected.is_some();
    let (plan, plan_notes) = if overview.stage == Stage::Authorize && chooser.is_none() && visit.connects() {
        match tokio::time::timeout(PLAN_TIME, shared.plane.plan(&overview.tenant, Goal::Connect)).await {
            Ok(Ok(plan)) => (plan.steps.iter().map(StepLine::planned).collect(), plan.notes),
            // Nobody has authorised yet, which is what this page is for.
            Ok(Err(_)) | Err(_) => (Vec::new(), Vec::new()),
        }
    } else {
        (Vec::new(), Vec::new())
    };
    let work = overview.work.as_ref().filter(|_| shows_work(overview)).map(|work| WorkView::new(work, overview.stage));
    let title = if again { "Re-connect" } else { "Connect" };
    let choices = match (&overview.connected, overview.stage) {
        (Some(connected), Stage::Connected) => connected,
        _ => &overview.choices,
    };
    let rules = shared.directory.rules(&overview.tenant).await.map(|rules| rules.folder);
    let template = ConnectPage {
        layout: Layout::of(visit, overview, title, "connect"),
        overview,
        id: segment(&overview.tenant),
        may: visit.connects(),
        owner: visit.is(Role::Owner),
        guest: visit.connects() && !visit.is(Role::Owner),
        again,
        chooser,
        plan,
        plan_notes,
        work,
        people: show::people_words(choices),
        senders: show::senders_words(choices),
        rules,
        live: overview.stage == Stage::InProgress && overview.trouble.is_none(),
        sign_in_again: overview.trouble.as_ref().is_some_and(wants_sign_in),
        half_made: show::half_made(overview),
    };
    page(status, &template)
}

/// A plan is shown while it is applied, and its result until something else begins.
fn shows_work(overview: &Overview) -> bool {
    match overview.stage {
        Stage::InProgress | Stage::Connected => true,
        Stage::Disconnected => show::half_made(overview) || overview.work.as_ref().is_some_and(|work| work.goal == Goal::Disconnect),
        _ => false,
    }
}

fn wants_sign_in(trouble: &Trouble) -> bool {
    matches!(trouble.kind.as_str(), "credential" | "permission" | "role" | "declined")
}

pub(super) async fn begin(State(shared): State<Arc<Shared>>, Extension(visit): Extension<Visit>, Path(tenant): Path<String>) -> Answered {
    let url = shared.plane.begin(&tenant, visit.browser()?).await?;
    Ok(onward(&visit, &tenant, &url))
}

pub(super) async fn authorize(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Visit>,
    Path(tenant): Path<String>,
) -> Answered {
    let goal = permitted_goal(&shared, &visit, &tenant).await?;
    let url = shared.plane.authorize(&tenant, goal, visit.browser()?).await?;
    Ok(onward(&visit, &tenant, &url))
}

/// The goal in the request. An invited guest completes a connection, or goes on with what an owner began; only an owner begins to
/// disconnect.
pub(super) async fn permitted_goal(shared: &Shared, visit: &Visit, tenant: &str) -> Result<Goal, Failure> {
    let goal = show::goal(visit.fields.get("goal"))?;
    if goal == Goal::Disconnect && !visit.is(Role::Owner) && !disconnecting(&shared.plane.overview(tenant).await?) {
        let detail = "Only an owner may begin to disconnect.";
        return Err(Failure::new(StatusCode::FORBIDDEN, "forbidden", detail, "Ask the owner who invited you."));
    }
    Ok(goal)
}

/// Whether disconnecting has begun and is not finished.
fn disconnecting(overview: &Overview) -> bool {
    overview.stage == Stage::InProgress && overview.work.as_ref().is_some_and(|work| work.goal == Goal::Disconnect)
}

pub(super) async fn disconnect(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Visit>,
    Path(tenant): Path<String>,
) -> Answered {
    let url = shared.plane.authorize(&tenant, Goal::Disconnect, visit.browser()?).await?;
    Ok(onward(&visit, &tenant, &url))
}

/// A page that goes on to the service. Not a redirect: `form-action` would forbid that one behind a form.
fn onward(visit: &Visit, tenant: &str, url: &Url) -> Response {
    let back = format!("/tenants/{}/connect", segment(tenant));
    let host = url.host_str().unwrap_or_default().to_owned();
    page(StatusCode::OK, &OnwardPage { layout: Layout::new(visit, "On to Microsoft 365", ""), url: url.to_string(), host, back })
}

/// The service sends the browser here.
pub(super) async fn returned(State(shared): State<Arc<Shared>>, Extension(visit): Extension<Visit>, RawQuery(query): RawQuery) -> Answered {
    match shared.plane.returned(&query.unwrap_or_default(), visit.browser()?).await {
        Ok(Return::Onward(url)) => Ok(Redirect::to(url.as_str()).into_response()),
        Ok(Return::Tenant(tenant)) => Ok(to_connect(&tenant)),
        Err(trouble) => Err(no_return(&shared, trouble).await),
    }
}

/// A sign-in that came to nothing. The way back is the connection that says the same.
async fn no_return(shared: &Shared, trouble: Trouble) -> Failure {
    let mut failure = Failure::from(trouble);
    // The page is there; a group that was chosen is not, or not any more what it was.
    if matches!(failure.trouble.kind.as_str(), "missing" | "unfit") {
        failure.status = StatusCode::CONFLICT;
    }
    for (tenant, _) in shared.plane.tenants() {
        if shared.plane.overview(&tenant).await.is_ok_and(|overview| overview.trouble.as_ref() == Some(&*failure.trouble)) {
            failure.tenant = Some(tenant);
            break;
        }
    }
    failure
}

fn to_connect(tenant: &str) -> Response {
    Redirect::to(&format!("/tenants/{}/connect", segment(tenant))).into_response()
}

pub(super) async fn choose_people(shared: State<Arc<Shared>>, visit: Extension<Visit>, tenant: Path<String>) -> Answered {
    choose(&shared, &visit, &tenant, Choice::People).await
}

pub(super) async fn choose_routing(shared: State<Arc<Shared>>, visit: Extension<Visit>, tenant: Path<String>) -> Answered {
    choose(&shared, &visit, &tenant, Choice::Routing).await
}

async fn choose(shared: &Shared, visit: &Visit, tenant: &str, choice: Choice) -> Answered {
    let fields = &visit.fields;
    let text = fields.get("text").unwrap_or_default().to_owned();
    let searching = fields.get("act") == Some("search");
    let (status, found, problem) = match (searching, fields.get("scope"), fields.get("group")) {
        (true, ..) if text.is_empty() => {
            (StatusCode::UNPROCESSABLE_ENTITY, None, Some("Enter the beginning of the group's name.".to_owned()))
        }
        (true, ..) => (StatusCode::OK, Some(shared.plane.find_groups(tenant, &text).await?), None),
        (false, Some("all"), _) => return chosen(shared, tenant, choice, None).await,
        (false, Some("group"), Some(group)) => match chosen(shared, tenant, choice, Some(group)).await {
            Ok(response) => return Ok(response),
            // The group is not what it has to be; another one may be.
            Err(Failure { trouble, .. }) if matches!(trouble.kind.as_str(), "unfit" | "missing") => {
                (StatusCode::UNPROCESSABLE_ENTITY, None, Some(format!("{} {}", trouble.detail, trouble.next_step)))
            }
            Err(failure) => return Err(failure),
        },
        (false, Some("group"), None) => {
            let found = if text.is_empty() { None } else { Some(shared.plane.find_groups(tenant, &text).await?) };
            let problem = "Select a group from the list; a name that is only typed does not count.".to_owned();
            (StatusCode::UNPROCESSABLE_ENTITY, found, Some(problem))
        }
        (false, ..) => (StatusCode::UNPROCESSABLE_ENTITY, None, Some("Choose one of the two.".to_owned())),
    };
    let overview = shared.plane.overview(tenant).await?;
    let chooser = Chooser { choice, scope: "group", text, chosen: None, found, problem };
    Ok(connect_page(status, shared, visit, &overview, Some(chooser)).await)
}

async fn chosen(shared: &Shared, tenant: &str, choice: Choice, group: Option<&str>) -> Answered {
    match choice {
        Choice::People => shared.plane.choose_people(tenant, group).await.map(|_| ())?,
        Choice::Routing => shared.plane.choose_routing(tenant, group).await.map(|_| ())?,
    }
    Ok(to_connect(tenant))
}

/// The plan for somebody who rather reads and runs it themselves.
pub(super) async fn script(State(shared): State<Arc<Shared>>, Extension(visit): Extension<Visit>, Path(tenant): Path<String>) -> Answered {
    let goal = permitted_goal(&shared, &visit, &tenant).await?;
    let script = shared.plane.script(&tenant, goal).await?;
    let disposition = format!("attachment; filename=\"signet-{}.ps1\"", show::goal_word(goal));
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, disposition)], script).into_response())
}

pub(super) async fn script_run(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Visit>,
    Path(tenant): Path<String>,
) -> Answered {
    let goal = permitted_goal(&shared, &visit, &tenant).await?;
    shared.plane.script_was_run(&tenant, goal).await?;
    Ok(to_connect(&tenant))
}

pub(super) async fn go_on(State(shared): State<Arc<Shared>>, Path(tenant): Path<String>) -> Answered {
    shared.plane.go_on(&tenant).await?;
    Ok(to_connect(&tenant))
}

pub(super) async fn abandon(State(shared): State<Arc<Shared>>, Path(tenant): Path<String>) -> Answered {
    shared.plane.abandon(&tenant).await?;
    Ok(to_connect(&tenant))
}

pub(super) async fn invite(State(shared): State<Arc<Shared>>, Extension(visit): Extension<Visit>, Path(tenant): Path<String>) -> Answered {
    let overview = shared.plane.overview(&tenant).await?;
    let invitation = shared.plane.invite(&tenant).await?;
    let template = InvitePage {
        layout: Layout::of(&visit, &overview, "Invitation", "connect"),
        name: overview.name.clone(),
        link: invitation_link(&shared, &invitation.token),
        expires: show::time(invitation.expires),
        id: segment(&tenant),
    };
    Ok(page(StatusCode::OK, &template))
}

/// What is given to the administrator.
pub(super) fn invitation_link(shared: &Shared, token: &str) -> String {
    format!("{}/invite/{}", shared.url, segment(token))
}

impl ConnectPage<'_> {
    /// The place of the stage in the trail: 1 to 5.
    fn place(&self) -> usize {
        match self.overview.stage {
            Stage::Disconnected | Stage::SignedIn => 1,
            Stage::ChoosePeople => 2,
            Stage::ChooseRouting => 3,
            Stage::Authorize => 4,
            Stage::InProgress | Stage::Connected => 5,
        }
    }

    fn trail(&self) -> [(usize, &'static str); 5] {
        let last = if self.overview.stage == Stage::InProgress { "In progress" } else { "Connected" };
        [(1, "Sign in"), (2, "People"), (3, "Mail routing"), (4, "Authorize"), (5, last)]
    }

    /// Whether a step waits for somebody, or everything stands still.
    fn waits(&self) -> bool {
        let needed = |work: &crate::control::report::Work| work.steps.iter().any(|step| matches!(step.state, StepState::ActionNeeded(_)));
        self.overview.trouble.is_some() || self.overview.work.as_ref().is_some_and(needed)
    }

    fn condition(&self) -> Option<String> {
        match &self.overview.choices.senders {
            Some(Senders::Group(group)) => Some(group.name.clone()),
            _ => None,
        }
    }

    fn since(&self) -> Option<String> {
        self.overview.connected_since.map(show::time)
    }
}
