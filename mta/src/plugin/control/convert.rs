//! Which export a call is, and its arguments as the guest's types. What comes back is still the guest's; `answer` judges it.

use wasmtime::Store;

use super::host::ControlHost;
use crate::control::words::{self, Call};
use crate::plugin::bindings::control::exports::signet::control::controller as guest;

/// An answer that nobody has looked at.
pub(super) enum Raw {
    Administrator(guest::Administrator),
    Organisation(guest::Organisation),
    Groups(Vec<guest::Group>),
    Group(guest::Group),
    Plan(guest::Plan),
    Outcome(guest::Outcome),
    Script(String),
    Page(guest::Page),
    Photo(Option<guest::Photo>),
    Status(guest::Status),
    SpfAdvice(guest::SpfAdvice),
}

/// Makes the call.
pub(super) fn ask(
    controller: &guest::Guest,
    store: &mut Store<ControlHost>,
    about: &guest::Connection,
    call: &Call,
) -> wasmtime::Result<Result<Raw, guest::Problem>> {
    Ok(match call {
        Call::CheckAdministrator { person } => controller.call_check_administrator(store, about, person)?.map(Raw::Administrator),
        Call::ReadOrganisation => controller.call_read_organisation(store, about)?.map(Raw::Organisation),
        Call::FindGroups { text, limit } => controller.call_find_groups(store, about, text, *limit)?.map(Raw::Groups),
        Call::ReadGroup { id } => controller.call_read_group(store, about, id)?.map(Raw::Group),
        Call::MakePlan { goal } => controller.call_make_plan(store, about, &(*goal).into())?.map(Raw::Plan),
        Call::ApplyStep { goal, step, trial } => {
            controller.call_apply_step(store, about, &(*goal).into(), step, &trial.into())?.map(Raw::Outcome)
        }
        Call::WriteScript { goal } => controller.call_write_script(store, about, &(*goal).into())?.map(Raw::Script),
        Call::SyncPage { cursor } => controller.call_sync_page(store, about, cursor.as_deref())?.map(Raw::Page),
        Call::ReadPhoto { person, tag } => controller.call_read_photo(store, about, person, tag.as_deref())?.map(Raw::Photo),
        Call::ReadStatus => controller.call_read_status(store, about)?.map(Raw::Status),
        Call::AdviseSpf { domain, published } => Ok(Raw::SpfAdvice(controller.call_advise_spf(store, about, domain, published)?)),
    })
}

impl From<&words::Word> for guest::Word {
    fn from(word: &words::Word) -> Self {
        Self { name: word.name.clone(), value: word.value.clone() }
    }
}

impl From<&words::Connection> for guest::Connection {
    fn from(connection: &words::Connection) -> Self {
        Self {
            tenant: connection.tenant.clone(),
            endpoints: connection.endpoints.iter().map(Into::into).collect(),
            credentials: connection.credentials.clone(),
            synchronisation: match &connection.synchronisation {
                words::Synchronisation::Full => guest::Synchronisation::Full,
                words::Synchronisation::Limited(group) => guest::Synchronisation::Limited(group.clone()),
            },
            routing: match &connection.routing {
                words::Routing::AllUsers => guest::Routing::AllUsers,
                words::Routing::Group(group) => guest::Routing::Group(group.clone()),
            },
            smart_host: connection.smart_host.clone(),
            certificate_domain: connection.certificate_domain.clone(),
            processed: (&connection.processed).into(),
            identification: connection.identification.as_ref().map(Into::into),
            size_limit: connection.size_limit,
            domains: connection.domains.clone(),
            spf_term: connection.spf_term.clone(),
        }
    }
}

impl From<words::Goal> for guest::Goal {
    fn from(goal: words::Goal) -> Self {
        match goal {
            words::Goal::Connect => Self::Connect,
            words::Goal::Disconnect => Self::Disconnect,
        }
    }
}

impl From<&words::Trial> for guest::Trial {
    fn from(trial: &words::Trial) -> Self {
        match trial {
            words::Trial::None => Self::None,
            words::Trial::Passed => Self::Passed,
            words::Trial::Failed(why) => Self::Failed(why.clone()),
        }
    }
}
