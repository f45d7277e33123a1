//! People, groups and pictures: joined from the branch that reads the directory.

use signet_plugin_sdk::control::{Cause, Connection, Page, Photo, Problem, Surroundings};

fn absent() -> Problem {
    Problem {
        cause: Cause::Other("not-built".to_owned()),
        detail: "This build reads no directory.".to_owned(),
        next_step: "Use a release.".to_owned(),
        wait: None,
    }
}

pub(crate) fn page(_: &dyn Surroundings, _: &Connection, _: Option<&[u8]>) -> Result<Page, Problem> {
    Err(absent())
}

pub(crate) fn photo(_: &dyn Surroundings, _: &Connection, _: &str, _: Option<&str>) -> Result<Option<Photo>, Problem> {
    Err(absent())
}
