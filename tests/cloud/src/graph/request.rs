//! A request to Graph whose token was found good, and its query options.

use super::errors::Refusal;
use crate::call::{Call, Fields};
use crate::tenant::Tenant;
use crate::world::{Access, World};

/// A request.
pub(crate) struct Request<'a> {
    pub(crate) call: &'a Call,
    pub(crate) access: Access,
    pub(crate) options: Fields,
}

impl Request<'_> {
    /// The organisation of the token.
    pub(crate) fn tenant<'w>(&self, world: &'w World) -> Result<&'w Tenant, Refusal> {
        world.tenant(&self.access.tenant).ok_or_else(|| Refusal::missing(&self.access.tenant))
    }

    /// The organisation of the token, to change.
    pub(crate) fn tenant_mut<'w>(&self, world: &'w mut World) -> Result<&'w mut Tenant, Refusal> {
        world.tenant_mut(&self.access.tenant).ok_or_else(|| Refusal::missing(&self.access.tenant))
    }

    /// `ConsistencyLevel: eventual`.
    pub(crate) fn eventual(&self) -> bool {
        self.call.field("consistencylevel").is_some_and(|level| level.eq_ignore_ascii_case("eventual"))
    }

    /// Refuses options that are not among those named.
    pub(crate) fn allow(&self, allowed: &[&str]) -> Result<(), Refusal> {
        let mut seen: Vec<&str> = Vec::new();
        for (name, _) in &self.options.0 {
            if name == "$skip" {
                return Err(Refusal::bad("'$skip' is not supported by the service."));
            }
            if !allowed.contains(&name.as_str()) {
                let text =
                    format!("Query option '{name}' was not recognized or is not supported here. Known here: {}.", allowed.join(", "));
                return Err(Refusal::new(400, "BadRequest", text));
            }
            if seen.contains(&name.as_str()) {
                return Err(Refusal::new(400, "BadRequest", format!("Query option '{name}' was specified more than once.")));
            }
            seen.push(name);
        }
        Ok(())
    }

    /// The selected names, each judged.
    pub(crate) fn select(&self, judge: &dyn Fn(&str) -> Result<(), Refusal>) -> Result<Option<Vec<String>>, Refusal> {
        let Some(text) = self.options.value("$select") else { return Ok(None) };
        let names: Vec<String> = text.split(',').map(str::to_owned).collect();
        for name in &names {
            if name.is_empty() || name.contains(' ') {
                return Err(Refusal::new(400, "BadRequest", format!("Parsing OData Select and Expand failed: '{text}' is malformed.")));
            }
            judge(name)?;
        }
        Ok(Some(names))
    }

    /// `$top`, or `otherwise`.
    pub(crate) fn top(&self, otherwise: usize, most: usize) -> Result<usize, Refusal> {
        let Some(text) = self.options.value("$top") else { return Ok(otherwise) };
        match text.parse::<usize>() {
            Ok(top) if (1..=most).contains(&top) => Ok(top),
            _ => Err(Refusal::bad(format!("Invalid page size specified: '{text}'. Must be between 1 and {most} inclusive."))),
        }
    }
}

/// `@odata.context`.
pub(crate) fn context(world: &World, set: &str) -> String {
    format!("{}/v1.0/$metadata#{set}", world.base)
}
