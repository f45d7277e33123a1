//! The console: the pages on which a tenant is connected, and the same as JSON under `/api/v1` (documented in `docs/api.md`).
//!
//! - [`table`]: every route, and who may use it. `guard`: how that is enforced, for all of them alike.
//! - `gate`: names and passwords; `sessions`: cookies and form tokens (RFC 6265).
//! - `home`, `connect`, `people`, `settings`, `account`: the pages; their HTML is in `pages/`. `api`: the JSON.
//! - [`plane`] and [`view`]: what the console asks of the rest of Signet, as traits.
//! - [`server`]: HTTP/1.1 (RFC 9112) with TLS and limits.
//!
//! Pages work without JavaScript; nothing is loaded from elsewhere. The console decides nothing about connections and knows nothing about
//! mail.

mod account;
mod api;
mod assets;
mod connect;
mod failure;
mod fields;
mod gate;
mod guard;
mod home;
mod people;
pub mod plane;
pub mod server;
mod sessions;
mod settings;
mod show;
pub mod table;
pub mod view;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::middleware::from_fn_with_state;

use crate::config;
use crate::smtp::auth::AuthError;
use gate::Gate;
use plane::Plane;
use sessions::{CookieStyle, FormTokens, Sessions};
use view::DirectoryView;

/// What the console stands on.
pub struct Foundation {
    /// Its users, its address for browsers, how long sessions last.
    pub settings: config::Console,
    /// The connections.
    pub plane: Arc<dyn Plane>,
    /// The people.
    pub directory: Arc<dyn DirectoryView>,
}

/// The console of this process.
#[derive(Clone)]
pub struct Console(Arc<Shared>);

/// What handlers share.
struct Shared {
    url: String,
    cookies: CookieStyle,
    plane: Arc<dyn Plane>,
    directory: Arc<dyn DirectoryView>,
    gate: Gate,
    sessions: Sessions,
    tokens: FormTokens,
    requests: tokio::sync::Semaphore,
}

impl Console {
    /// With nobody signed in.
    pub fn new(foundation: Foundation) -> Result<Self, AuthError> {
        let Foundation { settings, plane, directory } = foundation;
        Ok(Self(Arc::new(Shared {
            cookies: CookieStyle { https: settings.url.starts_with("https://") },
            plane,
            directory,
            gate: Gate::new(&settings.users)?,
            sessions: Sessions::new(settings.idle, settings.lifetime),
            tokens: FormTokens::new().ok_or(AuthError::Random)?,
            requests: tokio::sync::Semaphore::new(server::MAX_REQUESTS),
            url: settings.url,
        })))
    }

    /// Other users, passwords and roles from the next request on. All else of the settings takes a restart.
    pub fn replace_users(&self, users: &[config::User]) -> Result<(), AuthError> {
        self.0.gate.replace(users)
    }

    /// All routes, guarded.
    pub fn router(&self) -> Router {
        let shared = &self.0;
        let guarded = |router: Router<Arc<Shared>>, route: &'static table::Route| {
            let guard = from_fn_with_state((Arc::clone(shared), route), guard::guard);
            router.route(route.path, (route.make)().route_layer(guard))
        };
        table::ROUTES
            .iter()
            .fold(Router::new(), guarded)
            .fallback(guard::no_such_page)
            .method_not_allowed_fallback(guard::no_such_method)
            .layer(from_fn_with_state(Arc::clone(shared), guard::finish))
            .with_state(Arc::clone(shared))
    }
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
