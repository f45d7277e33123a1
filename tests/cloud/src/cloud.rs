//! The whole: one request in, one answer out.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, bail};

use crate::call::{Answer, Call, Delivery};
use crate::entra::keys::{Identity, SigningKey};
use crate::entra::token::issue;
use crate::random::Id;
use crate::seed::{self, Size};
use crate::tenant::Kind;
use crate::world::{Received, Resource, World};
use crate::{control, entra, exchange, faults, graph};

/// How many requests are remembered at most; a first sync of a large tenant sends some thousands.
const REMEMBERED: usize = 200_000;

/// The certificate and key of an application, PEM.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The registered certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// The stand-in.
pub struct Cloud {
    world: Mutex<World>,
    credential: Credential,
}

impl Cloud {
    /// The small organisation, seen by clients under `base` (`https://127.0.0.1:8443`).
    pub fn small(base: &str) -> Result<Self> {
        Self::sized(base, &Size::default())
    }

    /// The small organisation, with so many more people and groups.
    pub fn sized(base: &str, size: &Size) -> Result<Self> {
        let signing = SigningKey::generate()?;
        let identity = Identity::generate("signet-sync")?;
        let mut world = World::new(base, size.seed, signing);
        seed::fill(&mut world, size, &identity.certificate);
        let credential = Credential { certificate: identity.certificate_pem, key: identity.key_pem };
        Ok(Self { world: Mutex::new(world), credential })
    }

    /// The certificate and key that both applications are registered with.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the state, or changes it.
    pub fn with<T>(&self, what: impl FnOnce(&mut World) -> T) -> T {
        what(&mut self.lock())
    }

    /// Answers one request.
    pub fn answer(&self, call: &Call) -> Answer {
        let world = &mut *self.lock();
        let path = call.path().to_owned();
        if path.starts_with("/_control") {
            return control::answer(world, call);
        }
        let cmdlet = if path.starts_with("/adminapi") { exchange::cmdlet(call) } else { String::new() };
        let wrong = faults::due(world, &path, &cmdlet);
        if let Some(answer) = wrong.as_ref().and_then(|wrong| faults::instead(world, call, wrong)) {
            world.remember(call, &answer, &cmdlet);
            return answer;
        }
        let mut answer = route(world, call, &path);
        world.remember(call, &answer, &cmdlet);
        if let Some(wrong) = wrong {
            faults::spoil(&world.base, call, &mut answer, &wrong);
        }
        if call.method == "HEAD" {
            answer.body.clear();
        }
        answer
    }

    /// Grants an organisation's application all that its registration asks for, as an administrator's consent does.
    pub fn grant(&self, tenant: &str, application: &str) -> Result<()> {
        let world = &mut *self.lock();
        let found = world.applications.iter().find(|known| known.name == application || known.client_id == application).cloned();
        let application = found.with_context(|| format!("no application {application:?}; there are sync and setup"))?;
        let tenant = world.tenant_mut(tenant).context("no such tenant")?;
        let grant = tenant.grants.entry(application.client_id).or_default();
        grant.roles.extend(application.roles);
        grant.scopes.extend(application.scopes);
        Ok(())
    }

    /// An access token for an application of the first organisation, after granting it what it asks for.
    pub fn application_token(&self, application: &str, resource: Resource) -> Result<String> {
        self.token(application, resource, None)
    }

    /// An access token for a person of the first organisation, after granting the application what it asks for.
    pub fn person_token(&self, application: &str, resource: Resource, login: &str) -> Result<String> {
        self.token(application, resource, Some(login))
    }

    fn token(&self, application: &str, resource: Resource, login: Option<&str>) -> Result<String> {
        let tenant = self.with(|world| world.tenants[0].id.clone());
        self.grant(&tenant, application)?;
        let world = &mut *self.lock();
        let found = world.applications.iter().find(|known| known.name == application || known.client_id == application).cloned();
        let application = found.context("no such application")?;
        let user = match login {
            Some(login) => Some(world.tenants[0].find(login, Kind::User).map(|user| user.id).with_context(|| format!("no user {login}"))?),
            None => None,
        };
        let prefix = format!("{}/", resource.uri());
        let keys = if user.is_some() { &application.scopes } else { &application.roles };
        let permissions: BTreeSet<String> = keys.iter().filter_map(|key| key.strip_prefix(&prefix)).map(str::to_owned).collect();
        Ok(issue(world, resource, &tenant, &application.client_id, user, permissions))
    }

    /// Does what a person does on the pages: signs in at `target` (path and query of an authorize or consent request), and accepts or
    /// cancels. Gives the address that the browser is sent to; an error holds the page on which it ended.
    pub fn sign_in(&self, target: &str, login: &str, password: &str, accept: bool) -> Result<String> {
        let mut answer = self.answer(&Call::get(target));
        let decision = if accept { "accept" } else { "cancel" };
        // Sign-in, account choice and consent are the only pages.
        for _ in 0..4 {
            if let Some(location) = answer.field("location") {
                return Ok(location.to_owned());
            }
            let page = String::from_utf8_lossy(&answer.body).into_owned();
            let between = |start: &str| page.split(start).nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned);
            let (Some(action), Some(flow)) = (between("action=\""), between("name=\"flow\" value=\"")) else {
                bail!("the sign-in ended on this page: {page}");
            };
            let fields: Vec<(&str, &str)> = if page.contains("name=\"passwd\"") && !page.contains("role=\"alert\"") {
                vec![("flow", &flow), ("step", "password"), ("login", login), ("passwd", password)]
            } else if page.contains("name=\"decision\"") {
                vec![("flow", &flow), ("step", "consent"), ("decision", decision)]
            } else {
                bail!("the sign-in ended on this page: {page}");
            };
            answer = self.answer(&Call::form(&action, &fields));
        }
        bail!("the sign-in did not end")
    }

    /// The id of a user or group of the first organisation, by name or address.
    pub fn id(&self, name: &str) -> Option<Id> {
        self.with(|world| {
            let tenant = &world.tenants[0];
            tenant.find(name, Kind::User).or_else(|| tenant.find(name, Kind::Group)).map(|object| object.id)
        })
    }
}

fn route(world: &mut World, call: &Call, path: &str) -> Answer {
    if path.starts_with("/v1.0/") {
        return graph::answer(world, call);
    }
    if path.starts_with("/adminapi/") {
        return exchange::answer(world, call);
    }
    entra::answer(world, call).unwrap_or_else(|| Answer::text(404, "There is nothing here."))
}

impl World {
    /// Remembers what was asked, without secrets.
    pub(crate) fn remember(&mut self, call: &Call, answer: &Answer, cmdlet: &str) {
        if self.received.len() >= REMEMBERED {
            return;
        }
        let access = self.access(call.field("authorization"));
        let token = match access {
            None => "",
            Some(access) if access.user.is_some() => "delegated",
            Some(_) => "application",
        };
        let received = Received {
            method: call.method.clone(),
            path: call.path().to_owned(),
            query: without_tokens(call.query()),
            headers: call.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect(),
            token,
            permissions: access.map(|access| access.permissions.iter().cloned().collect()).unwrap_or_default(),
            cmdlet: cmdlet.to_owned(),
            status: if answer.delivery == Delivery::Dropped { 0 } else { answer.status },
        };
        self.received.push(received);
    }

    /// Signs with a new key from now on; the old one stays published.
    pub fn rotate_keys(&mut self) -> Result<()> {
        let old = std::mem::replace(&mut self.signing, SigningKey::generate()?);
        self.retired.push(old);
        Ok(())
    }

    /// Makes all delta links that were given so far too old.
    pub fn expire_delta_tokens(&mut self) {
        for cursor in self.cursors.values_mut() {
            if let graph::cursor::Cursor::Delta(cursor) = cursor {
                cursor.expired = true;
            }
        }
    }
}

fn without_tokens(query: &str) -> String {
    const SECRET: [&str; 5] = ["$deltatoken=", "$skiptoken=", "code=", "state=", "nonce="];
    let parts = query.split('&').map(|part| match SECRET.iter().find(|name| part.starts_with(**name)) {
        Some(name) if part.len() > name.len() => format!("{name}..."),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<String>>().join("&")
}
