//! Controllers: the trait, the macro, what a controller is given and what it answers.
//!
//! A controller keeps nothing between calls but what it writes through [`Surroundings`], so it needs no configuration and is made anew
//! for every call. Natively, tests give it surroundings of their own.

use crate::Description;
pub use crate::bindings::control::exports::signet::control::controller::{
    Action, Administrator, Cause, Change, Connection, Difference, Entry, Goal, Group, Listed, Organisation, Outcome, Page, Photo, Plan,
    Problem, Progress, Routing, SpfAdvice, Standing, Status, Step, Synchronisation, Trial, Word,
};
pub use crate::bindings::control::signet::control::http::{HttpError, Request, Response};

/// All that a controller can reach.
pub trait Surroundings {
    /// Sends one request and waits for its answer.
    fn send(&self, request: &Request) -> Result<Response, HttpError>;
    /// What was kept under that key.
    fn read(&self, key: &str) -> Option<Vec<u8>>;
    /// Keeps a value until it is written again or removed.
    fn write(&self, key: &str, value: &[u8]) -> Result<(), String>;
    /// Forgets a key.
    fn remove(&self, key: &str);
    /// The keys that begin with `prefix`, ascending.
    fn keys(&self, prefix: &str) -> Vec<String>;
    /// Milliseconds since 1970-01-01T00:00:00Z; the same for a whole call.
    fn now(&self) -> u64;
}

/// A plugin that connects mail services. Register it with [`controller!`](crate::controller!). The calls are those of `wit/control`.
pub trait Controller: Sized + 'static {
    /// The controller of one call.
    fn new() -> Self;
    /// Who the plugin is.
    fn describe(&self) -> Description;
    /// How that person holds the administrator role.
    fn check_administrator(&self, around: &dyn Surroundings, connection: &Connection, person: &str) -> Result<Administrator, Problem>;
    /// The organisation.
    fn read_organisation(&self, around: &dyn Surroundings, connection: &Connection) -> Result<Organisation, Problem>;
    /// Groups that can be chosen.
    fn find_groups(&self, around: &dyn Surroundings, connection: &Connection, text: &str, limit: u32) -> Result<Vec<Group>, Problem>;
    /// One group, if it can be chosen.
    fn read_group(&self, around: &dyn Surroundings, connection: &Connection, id: &str) -> Result<Group, Problem>;
    /// What has to be done.
    fn make_plan(&self, around: &dyn Surroundings, connection: &Connection, goal: &Goal) -> Result<Plan, Problem>;
    /// Does one step.
    fn apply_step(
        &self,
        around: &dyn Surroundings,
        connection: &Connection,
        goal: &Goal,
        step: &str,
        trial: &Trial,
    ) -> Result<Outcome, Problem>;
    /// The plan as a script.
    fn write_script(&self, around: &dyn Surroundings, connection: &Connection, goal: &Goal) -> Result<String, Problem>;
    /// The next page of the directory.
    fn sync_page(&self, around: &dyn Surroundings, connection: &Connection, cursor: Option<&[u8]>) -> Result<Page, Problem>;
    /// The picture of a person.
    fn read_photo(
        &self,
        around: &dyn Surroundings,
        connection: &Connection,
        person: &str,
        tag: Option<&str>,
    ) -> Result<Option<Photo>, Problem>;
    /// How the service differs from what was set up.
    fn read_status(&self, around: &dyn Surroundings, connection: &Connection) -> Result<Status, Problem>;
    /// What SPF record a domain should have.
    fn advise_spf(&self, connection: &Connection, domain: &str, published: &[String]) -> SpfAdvice;
}

/// The surroundings inside a component: the world's imports.
#[doc(hidden)]
#[derive(Debug)]
pub struct Imports;

impl Surroundings for Imports {
    fn send(&self, request: &Request) -> Result<Response, HttpError> {
        crate::bindings::control::signet::control::http::send(request)
    }
    fn read(&self, key: &str) -> Option<Vec<u8>> {
        crate::bindings::control::signet::control::state::read(key)
    }
    fn write(&self, key: &str, value: &[u8]) -> Result<(), String> {
        crate::bindings::control::signet::control::state::write(key, value)
    }
    fn remove(&self, key: &str) {
        crate::bindings::control::signet::control::state::remove(key);
    }
    fn keys(&self, prefix: &str) -> Vec<String> {
        crate::bindings::control::signet::control::state::keys(prefix)
    }
    fn now(&self) -> u64 {
        crate::bindings::control::signet::control::clock::now()
    }
}

/// Makes `$plugin`, a [`Controller`], the crate's component.
#[macro_export]
macro_rules! controller {
    ($plugin:ty) => {
        const _: () = {
            use ::std::{option::Option, result::Result, string::String, vec::Vec};
            use $crate::control::{
                Administrator, Connection, Goal, Group, Imports, Organisation, Outcome, Page, Photo, Plan, Problem, SpfAdvice, Status,
                Trial,
            };

            // Natively the exports are left out: their names are no linker's, and tests call the trait.
            #[cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "only a component has a host that calls it"))]
            struct Component;

            #[cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "only a component has a host that calls it"))]
            fn new() -> $plugin {
                $crate::glue::report_panics();
                <$plugin as $crate::Controller>::new()
            }

            impl $crate::bindings::plugin::exports::signet::plugin::describe::Guest for Component {
                fn describe() -> $crate::Description {
                    $crate::Controller::describe(&new())
                }
            }

            impl $crate::bindings::control::exports::signet::control::controller::Guest for Component {
                fn check_administrator(connection: Connection, person: String) -> Result<Administrator, Problem> {
                    $crate::Controller::check_administrator(&new(), &Imports, &connection, &person)
                }
                fn read_organisation(connection: Connection) -> Result<Organisation, Problem> {
                    $crate::Controller::read_organisation(&new(), &Imports, &connection)
                }
                fn find_groups(connection: Connection, text: String, limit: u32) -> Result<Vec<Group>, Problem> {
                    $crate::Controller::find_groups(&new(), &Imports, &connection, &text, limit)
                }
                fn read_group(connection: Connection, id: String) -> Result<Group, Problem> {
                    $crate::Controller::read_group(&new(), &Imports, &connection, &id)
                }
                fn make_plan(connection: Connection, goal: Goal) -> Result<Plan, Problem> {
                    $crate::Controller::make_plan(&new(), &Imports, &connection, &goal)
                }
                fn apply_step(connection: Connection, goal: Goal, step: String, trial: Trial) -> Result<Outcome, Problem> {
                    $crate::Controller::apply_step(&new(), &Imports, &connection, &goal, &step, &trial)
                }
                fn write_script(connection: Connection, goal: Goal) -> Result<String, Problem> {
                    $crate::Controller::write_script(&new(), &Imports, &connection, &goal)
                }
                fn sync_page(connection: Connection, cursor: Option<Vec<u8>>) -> Result<Page, Problem> {
                    $crate::Controller::sync_page(&new(), &Imports, &connection, cursor.as_deref())
                }
                fn read_photo(connection: Connection, person: String, tag: Option<String>) -> Result<Option<Photo>, Problem> {
                    $crate::Controller::read_photo(&new(), &Imports, &connection, &person, tag.as_deref())
                }
                fn read_status(connection: Connection) -> Result<Status, Problem> {
                    $crate::Controller::read_status(&new(), &Imports, &connection)
                }
                fn advise_spf(connection: Connection, domain: String, published: Vec<String>) -> SpfAdvice {
                    $crate::Controller::advise_spf(&new(), &connection, &domain, &published)
                }
            }

            #[cfg(target_family = "wasm")]
            const _: () = {
        $crate::bindings::plugin::export_describe!(Component with_types_in $crate::bindings::plugin);
        $crate::bindings::control::export_controller!(Component with_types_in $crate::bindings::control);
            };
        };
    };
}
