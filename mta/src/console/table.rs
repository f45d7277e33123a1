//! Every route of the console with the least that its caller must be. Nothing is served that is not in [`ROUTES`].

use std::sync::Arc;

use axum::routing::{MethodRouter, get, post};

use super::{Shared, account, api, assets, connect, home, people, settings};
use crate::config::Role;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// Users with at least that role.
    Role(Role),
    /// The same, and a guest who was invited to complete the connection of the tenant in the path.
    Guest(Role),
}

/// One route.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// As axum writes it.
    pub path: &'static str,
    /// Who may.
    pub access: Access,
    pub(super) make: fn() -> MethodRouter<Arc<Shared>>,
}

const PUBLIC: Access = Access::Public;
const AUDITOR: Access = Access::Role(Role::Auditor);
const ADMINISTRATOR: Access = Access::Role(Role::Administrator);
const OWNER: Access = Access::Role(Role::Owner);
const AUDITOR_OR_GUEST: Access = Access::Guest(Role::Auditor);
const OWNER_OR_GUEST: Access = Access::Guest(Role::Owner);

const fn route(method: &'static str, path: &'static str, access: Access, make: fn() -> MethodRouter<Arc<Shared>>) -> Route {
    Route { method, path, access, make }
}

/// All of them.
pub static ROUTES: &[Route] = &[
    route("GET", "/static/console.css", PUBLIC, || get(assets::style)),
    route("GET", "/static/console.js", PUBLIC, || get(assets::script)),
    route("GET", "/sign-in", PUBLIC, || get(account::show_sign_in)),
    route("POST", "/sign-in", PUBLIC, || post(account::sign_in)),
    route("POST", "/sign-out", PUBLIC, || post(account::sign_out)),
    route("GET", "/invite/{token}", PUBLIC, || get(account::show_invitation)),
    route("POST", "/invite/{token}", PUBLIC, || post(account::redeem)),
    route("GET", "/", AUDITOR, || get(home::show)),
    route("GET", "/connect/return", OWNER_OR_GUEST, || get(connect::returned)),
    route("GET", "/tenants/{tenant}/connect", AUDITOR_OR_GUEST, || get(connect::show)),
    route("POST", "/tenants/{tenant}/begin", OWNER_OR_GUEST, || post(connect::begin)),
    route("POST", "/tenants/{tenant}/people-choice", OWNER_OR_GUEST, || post(connect::choose_people)),
    route("POST", "/tenants/{tenant}/routing-choice", OWNER_OR_GUEST, || post(connect::choose_routing)),
    route("POST", "/tenants/{tenant}/authorize", OWNER_OR_GUEST, || post(connect::authorize)),
    route("GET", "/tenants/{tenant}/script", OWNER_OR_GUEST, || get(connect::script)),
    route("POST", "/tenants/{tenant}/script-run", OWNER_OR_GUEST, || post(connect::script_run)),
    route("POST", "/tenants/{tenant}/go-on", OWNER_OR_GUEST, || post(connect::go_on)),
    route("POST", "/tenants/{tenant}/abandon", OWNER_OR_GUEST, || post(connect::abandon)),
    route("POST", "/tenants/{tenant}/invitation", OWNER, || post(connect::invite)),
    route("GET", "/tenants/{tenant}/spf", AUDITOR_OR_GUEST, || get(settings::spf)),
    route("GET", "/tenants/{tenant}/status", AUDITOR, || get(settings::status)),
    route("GET", "/tenants/{tenant}/people", AUDITOR, || get(people::search)),
    route("GET", "/tenants/{tenant}/people/{address}", AUDITOR, || get(people::show)),
    route("GET", "/tenants/{tenant}/people/{address}/signature", AUDITOR, || get(people::signature)),
    route("GET", "/tenants/{tenant}/settings", AUDITOR, || get(settings::show)),
    route("POST", "/tenants/{tenant}/synchronise", ADMINISTRATOR, || post(settings::synchronise)),
    route("POST", "/tenants/{tenant}/accept-shrink", ADMINISTRATOR, || post(settings::accept_shrink)),
    route("GET", "/tenants/{tenant}/disconnect", OWNER, || get(settings::show_disconnect)),
    route("POST", "/tenants/{tenant}/disconnect", OWNER, || post(connect::disconnect)),
    route("GET", "/api/v1/tenants", AUDITOR, || get(api::tenants)),
    route("GET", "/api/v1/tenants/{tenant}", AUDITOR_OR_GUEST, || get(api::overview)),
    route("GET", "/api/v1/tenants/{tenant}/groups", OWNER_OR_GUEST, || get(api::groups)),
    route("POST", "/api/v1/tenants/{tenant}/begin", OWNER_OR_GUEST, || post(api::begin)),
    route("POST", "/api/v1/tenants/{tenant}/people-choice", OWNER_OR_GUEST, || post(api::choose_people)),
    route("POST", "/api/v1/tenants/{tenant}/routing-choice", OWNER_OR_GUEST, || post(api::choose_routing)),
    route("POST", "/api/v1/tenants/{tenant}/authorize", OWNER_OR_GUEST, || post(api::authorize)),
    route("GET", "/api/v1/tenants/{tenant}/plan", AUDITOR, || get(api::plan)),
    route("GET", "/api/v1/tenants/{tenant}/script", OWNER_OR_GUEST, || get(connect::script)),
    route("POST", "/api/v1/tenants/{tenant}/script-run", OWNER_OR_GUEST, || post(api::script_run)),
    route("POST", "/api/v1/tenants/{tenant}/go-on", OWNER_OR_GUEST, || post(api::go_on)),
    route("POST", "/api/v1/tenants/{tenant}/abandon", OWNER_OR_GUEST, || post(api::abandon)),
    route("POST", "/api/v1/tenants/{tenant}/invitation", OWNER, || post(api::invite)),
    route("POST", "/api/v1/tenants/{tenant}/synchronise", ADMINISTRATOR, || post(api::synchronise)),
    route("POST", "/api/v1/tenants/{tenant}/accept-shrink", ADMINISTRATOR, || post(api::accept_shrink)),
    route("GET", "/api/v1/tenants/{tenant}/status", AUDITOR, || get(api::status)),
    route("GET", "/api/v1/tenants/{tenant}/spf", AUDITOR, || get(api::spf)),
    route("POST", "/api/v1/tenants/{tenant}/disconnect", OWNER, || post(api::disconnect)),
    route("GET", "/api/v1/tenants/{tenant}/people", AUDITOR, || get(api::people)),
    route("GET", "/api/v1/tenants/{tenant}/people/{address}", AUDITOR, || get(api::person)),
];
