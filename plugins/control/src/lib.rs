//! The default controller: Microsoft 365, through Microsoft Graph and the cmdlet endpoint of Exchange Online.
//!
//! | module | does |
//! |---|---|
//! | `graph` | requests to Microsoft Graph, and what its errors mean |
//! | `exchange` | cmdlets, and what their errors mean |
//! | `administrator` | how a person holds the role Global Administrator |
//! | `directory` | organisation, groups that can be chosen |
//! | `mail_flow` | the plan: certificate domain, connectors, mail-flow rule; its steps; the same as a script |
//! | `status` | drift, the two-group report |
//! | `spf` | the record that a sending domain should publish |
//! | `sync` | people, groups and pictures |
//! | `permissions` | what needs which permission |
//!
//! All knowledge of Microsoft is here; sign-in, tokens, the network and storage are the host's. It never sees a message.

mod administrator;
mod directory;
mod exchange;
mod graph;
mod mail_flow;
#[cfg(test)]
mod oracle;
pub mod permissions;
mod spf;
mod status;
mod sync;
#[cfg(test)]
mod testing;

use signet_plugin_sdk::control::{
    Administrator, Connection, Goal, Group, Organisation, Outcome, Page, Photo, Plan, Problem, SpfAdvice, Status, Surroundings, Trial,
};
use signet_plugin_sdk::{Controller, Description};

/// The controller.
#[derive(Debug)]
pub struct Microsoft365;

impl Controller for Microsoft365 {
    fn new() -> Self {
        Self
    }

    fn describe(&self) -> Description {
        Description::new("microsoft-365", env!("CARGO_PKG_VERSION"))
    }

    fn check_administrator(&self, around: &dyn Surroundings, connection: &Connection, person: &str) -> Result<Administrator, Problem> {
        administrator::check(around, connection, person)
    }

    fn read_organisation(&self, around: &dyn Surroundings, connection: &Connection) -> Result<Organisation, Problem> {
        directory::read_organisation(around, connection)
    }

    fn find_groups(&self, around: &dyn Surroundings, connection: &Connection, text: &str, limit: u32) -> Result<Vec<Group>, Problem> {
        directory::find_groups(around, connection, text, limit)
    }

    fn read_group(&self, around: &dyn Surroundings, connection: &Connection, id: &str) -> Result<Group, Problem> {
        directory::read_group(around, connection, id)
    }

    fn make_plan(&self, around: &dyn Surroundings, connection: &Connection, goal: &Goal) -> Result<Plan, Problem> {
        mail_flow::make_plan(around, connection, goal)
    }

    fn apply_step(
        &self,
        around: &dyn Surroundings,
        connection: &Connection,
        goal: &Goal,
        step: &str,
        trial: &Trial,
    ) -> Result<Outcome, Problem> {
        mail_flow::apply_step(around, connection, goal, step, trial)
    }

    fn write_script(&self, _: &dyn Surroundings, connection: &Connection, goal: &Goal) -> Result<String, Problem> {
        mail_flow::script::write(connection, goal)
    }

    fn sync_page(&self, around: &dyn Surroundings, connection: &Connection, cursor: Option<&[u8]>) -> Result<Page, Problem> {
        sync::page(around, connection, cursor)
    }

    fn read_photo(
        &self,
        around: &dyn Surroundings,
        connection: &Connection,
        person: &str,
        tag: Option<&str>,
    ) -> Result<Option<Photo>, Problem> {
        sync::photo(around, connection, person, tag)
    }

    fn read_status(&self, around: &dyn Surroundings, connection: &Connection) -> Result<Status, Problem> {
        status::read(around, connection)
    }

    fn advise_spf(&self, connection: &Connection, domain: &str, published: &[String]) -> SpfAdvice {
        spf::advise(connection, domain, published)
    }
}

signet_plugin_sdk::controller!(Microsoft365);
