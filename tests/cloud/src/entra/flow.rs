//! A sign-in or consent under way: from the application's redirect, over the pages, back to the application.

use super::SHARED;
use super::consent::{Asked, asked, held, may_grant, needs_administrator, words};
use super::pages::{self, Account, Request};
use crate::call::{Answer, Call, Fields, with_query};
use crate::random::Id;
use crate::tenant::{Kind, Life};
use crate::world::{Application, Code, World};

/// How long an authorization code can be redeemed, in milliseconds.
const CODE_LIFE: i64 = 10 * 60 * 1000;
/// The cookie that says who signed in before.
const COOKIE: &str = "ESTSAUTH";

/// What a flow is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A code for the application.
    Authorize,
    /// Consent of the organisation; whether by the older endpoint.
    AdminConsent { older: bool },
}

/// A flow under way.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    purpose: Purpose,
    tenant: String,
    client_id: String,
    redirect: String,
    mode: String,
    scope: String,
    state: Option<String>,
    nonce: Option<String>,
    challenge: Option<String>,
    prompt: String,
    hint: String,
    user: Option<(String, Id)>,
    /// The account page was passed by "use another account".
    other: bool,
    consented: bool,
}

fn failure(number: u32, text: &str) -> Answer {
    Answer::html(400, pages::failure(number, text))
}

/// `GET /{tenant}/oauth2/v2.0/authorize`.
pub(crate) fn authorize(world: &mut World, call: &Call, tenant: &str) -> Answer {
    let fields = if call.method == "POST" { call.form_fields() } else { call.options() };
    let (flow, application) = match begin(world, &fields, tenant, Purpose::Authorize) {
        Ok(begun) => begun,
        Err(answer) => return answer,
    };
    let refuse = |error: &str, number: u32, text: &str| back(&flow, error_fields(&flow, error, number, text));
    if fields.text("response_type") != "code" {
        return refuse("unsupported_response_type", 700_054, "response_type must be 'code' for this application.");
    }
    if !["", "query", "fragment", "form_post"].contains(&flow.mode.as_str()) {
        return refuse("invalid_request", 70_007, "The response_mode is not supported.");
    }
    if !["", "login", "select_account", "consent", "none"].contains(&flow.prompt.as_str()) {
        return refuse("invalid_request", 90_023, "The prompt value is not supported.");
    }
    if flow.challenge.is_none() {
        return refuse("invalid_request", 9_002_325, "Proof Key for Code Exchange is required for authorization code redemption.");
    }
    if fields.text("code_challenge_method") != "S256" {
        return refuse("invalid_request", 501_491, "Invalid size or method of the Code_Challenge parameter; use S256.");
    }
    if let Err((number, text)) = asked(&application, &flow.scope) {
        return refuse("invalid_scope", number, &text);
    }
    start(world, call, flow)
}

/// `GET /{tenant}/v2.0/adminconsent` and the older `/{tenant}/adminconsent`.
pub(crate) fn admin_consent(world: &mut World, call: &Call, tenant: &str, older: bool) -> Answer {
    let fields = call.options();
    let (mut flow, application) = match begin(world, &fields, tenant, Purpose::AdminConsent { older }) {
        Ok(begun) => begun,
        Err(answer) => return answer,
    };
    if ["common", "consumers"].contains(&tenant) {
        return failure(900_971, "The admin consent endpoint takes a tenant or 'organizations', not 'common'.");
    }
    if flow.scope.is_empty() {
        if !older {
            return failure(900_144, "The request must contain the following parameter: 'scope'.");
        }
        "https://graph.microsoft.com/.default https://outlook.office365.com/.default".clone_into(&mut flow.scope);
    }
    if let Err((number, text)) = asked(&application, &flow.scope) {
        return back(&flow, error_fields(&flow, "invalid_scope", number, &text));
    }
    "select_account".clone_into(&mut flow.prompt);
    start(world, call, flow)
}

fn begin(world: &World, fields: &Fields, tenant: &str, purpose: Purpose) -> Result<(Flow, Application), Answer> {
    if !SHARED.contains(&tenant) && world.tenant(tenant).is_none() {
        return Err(failure(90_002, &format!("Tenant '{tenant}' not found.")));
    }
    let client_id = fields.text("client_id");
    let Some(application) = world.application(client_id) else {
        return Err(failure(700_016, &format!("Application with identifier '{client_id}' was not found in the directory '{tenant}'.")));
    };
    let redirect = fields.text("redirect_uri");
    if !registered(application, redirect) {
        let text = format!(
            "The redirect URI '{redirect}' specified in the request does not match the redirect URIs configured for the application '{client_id}'."
        );
        return Err(failure(50_011, &text));
    }
    let own = |name: &str| fields.value(name).map(str::to_owned);
    let flow = Flow {
        purpose,
        tenant: tenant.to_owned(),
        client_id: application.client_id.clone(),
        redirect: redirect.to_owned(),
        mode: fields.text("response_mode").to_owned(),
        scope: fields.text("scope").to_owned(),
        state: own("state"),
        nonce: own("nonce"),
        challenge: own("code_challenge"),
        prompt: fields.text("prompt").to_owned(),
        hint: fields.text("login_hint").to_owned(),
        user: None,
        other: false,
        consented: false,
    };
    Ok((flow, application.clone()))
}

/// Whether the application may be answered there.
fn registered(application: &Application, redirect: &str) -> bool {
    let plain = without_loopback_port(redirect);
    application.redirects.iter().any(|known| match known.strip_suffix('*') {
        Some(start) => plain.starts_with(start) || redirect.starts_with(start),
        None => plain == *known || redirect == known,
    })
}

fn without_loopback_port(url: &str) -> String {
    for host in ["http://localhost", "http://127.0.0.1", "http://[::1]", "https://localhost", "https://127.0.0.1"] {
        if let Some(rest) = url.strip_prefix(host) {
            let rest = rest.strip_prefix(':').map_or(rest, |port| port.trim_start_matches(|letter: char| letter.is_ascii_digit()));
            return format!("{host}{rest}");
        }
    }
    url.to_owned()
}

fn start(world: &mut World, call: &Call, flow: Flow) -> Answer {
    let id = world.random.token(2);
    world.flows.insert(id.clone(), flow);
    proceed(world, call, &id)
}

/// `POST /{tenant}/login`: what the person did on a page.
pub(crate) fn step(world: &mut World, call: &Call) -> Answer {
    let fields = call.form_fields();
    let id = fields.text("flow").to_owned();
    let Some(flow) = world.flows.get(&id).cloned() else {
        return failure(50_196, "The sign-in has expired or was finished before. Go back to the application and begin anew.");
    };
    match fields.text("step") {
        "password" => password(world, call, &id, &flow, &fields),
        "account" => {
            let chosen = known_accounts(world, call).into_iter().find(|(_, user)| user.to_string() == fields.text("account"));
            set(world, &id, |flow| flow.user = chosen);
            proceed(world, call, &id)
        }
        "other" => {
            set(world, &id, |flow| (flow.user, flow.other) = (None, true));
            proceed(world, call, &id)
        }
        "consent" if fields.text("decision") == "accept" => accept(world, call, &id, &flow, fields.value("organisation").is_some()),
        "consent" | "refused" => {
            world.flows.remove(&id);
            declined(&flow)
        }
        _ => failure(90_015, "The page sent a step that does not exist."),
    }
}

fn set(world: &mut World, id: &str, change: impl FnOnce(&mut Flow)) {
    if let Some(flow) = world.flows.get_mut(id) {
        change(flow);
    }
}

fn password(world: &mut World, call: &Call, id: &str, flow: &Flow, fields: &Fields) -> Answer {
    let login = fields.text("login").trim();
    let found = world.tenants.iter().find_map(|tenant| tenant.find(login, Kind::User).map(|user| (tenant.id.clone(), user)));
    let Some((tenant, user)) = found else {
        let text = format!("We couldn't find an account with that username ({login}). AADSTS50034");
        return Answer::html(200, pages::sign_in(&flow.tenant, id, login, &text));
    };
    if user.password.is_none() || user.password.as_deref() != Some(fields.text("passwd")) {
        let text = "Your account or password is incorrect. AADSTS50126";
        return Answer::html(200, pages::sign_in(&flow.tenant, id, login, text));
    }
    if !user.properties.flag("accountEnabled") {
        return Answer::html(200, pages::sign_in(&flow.tenant, id, login, "Your account has been locked. AADSTS50057"));
    }
    let account = (tenant, user.id);
    let session = cookie(call).unwrap_or_else(|| world.random.token(4));
    let accounts = world.sessions.entry(session.clone()).or_default();
    if !accounts.contains(&account) {
        accounts.push(account.clone());
    }
    set(world, id, |flow| flow.user = Some(account));
    let secure = if world.base.starts_with("https:") { "; Secure" } else { "" };
    proceed(world, call, id).header("set-cookie", &format!("{COOKIE}={session}; Path=/; HttpOnly; SameSite=Lax{secure}"))
}

fn cookie(call: &Call) -> Option<String> {
    let pairs = call.field("cookie")?.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(name, _)| *name == COOKIE).map(|(_, value)| value.to_owned())
}

fn known_accounts(world: &World, call: &Call) -> Vec<(String, Id)> {
    let live = |(tenant, user): &&(String, Id)| {
        world.tenant(tenant).and_then(|tenant| tenant.any(*user)).is_some_and(|user| user.life == Life::Live)
    };
    cookie(call).and_then(|session| world.sessions.get(&session)).into_iter().flatten().filter(live).cloned().collect()
}

/// The next page, or the end.
fn proceed(world: &mut World, call: &Call, id: &str) -> Answer {
    let Some(mut flow) = world.flows.get(id).cloned() else { return failure(50_196, "The sign-in has expired.") };
    if flow.user.is_none() {
        match choose(world, call, id, &flow) {
            Ok(account) => flow.user = Some(account),
            Err(answer) => return answer,
        }
        world.flows.insert(id.to_owned(), flow.clone());
    }
    let Some((home, user)) = flow.user.clone() else { return failure(50_058, "Nobody is signed in.") };
    let login =
        world.tenant(&home).and_then(|tenant| tenant.any(user)).map_or("", |user| user.properties.text("userPrincipalName")).to_owned();
    if !SHARED.contains(&flow.tenant.as_str()) && !world.tenant(&home).is_some_and(|tenant| tenant.is(&flow.tenant)) {
        let text = format!(
            "User account '{login}' from identity provider does not exist in tenant '{}' and cannot access the application '{}' in that tenant. \
             The account needs to be added as an external user in the tenant first. Sign out and sign in again with a different account.",
            flow.tenant, flow.client_id
        );
        return failure(50_020, &text);
    }
    let Some(application) = world.application(&flow.client_id).cloned() else { return failure(700_016, "The application is gone.") };
    let Ok(asked) = asked(&application, &flow.scope) else { return failure(70_011, "The scope is not valid.") };
    match missing(world, &flow, &asked, &home, user) {
        Some(_) if flow.prompt == "none" => {
            world.flows.remove(id);
            back(
                &flow,
                error_fields(&flow, "consent_required", 65_001, "The user or administrator has not consented to use the application."),
            )
        }
        Some(permissions) => {
            let administrator = may_grant(world, &home, user);
            let whole = matches!(flow.purpose, Purpose::AdminConsent { .. });
            let needs = whole || permissions.iter().any(|key| needs_administrator(key));
            if needs && !administrator {
                return Answer::html(200, pages::approval(&flow.tenant, id, &application.display_name, &login));
            }
            let permissions = permissions.iter().filter_map(|key| words(key)).map(str::to_owned).collect();
            let request = Request { application: &application.display_name, login: &login, permissions, whole, offer: administrator };
            Answer::html(200, pages::permissions(&flow.tenant, id, &request))
        }
        None => finish(world, id, &flow, &home, user),
    }
}

fn choose(world: &mut World, call: &Call, id: &str, flow: &Flow) -> Result<(String, Id), Answer> {
    let accounts = known_accounts(world, call);
    let describe = |(home, user): &(String, Id)| {
        let person = world.tenant(home).and_then(|tenant| tenant.any(*user));
        let text = |name| person.map_or("", |person| person.properties.text(name)).to_owned();
        Account { id: user.to_string(), name: text("displayName"), login: text("userPrincipalName") }
    };
    let described: Vec<Account> = accounts.iter().map(describe).collect();
    let hinted = described.iter().position(|account| account.login.eq_ignore_ascii_case(&flow.hint));
    if ["", "none", "consent"].contains(&flow.prompt.as_str())
        && !flow.other
        && let Some(account) = hinted.or((accounts.len() == 1 && flow.hint.is_empty()).then_some(0))
    {
        return Ok(accounts[account].clone());
    }
    if flow.prompt == "none" {
        world.flows.remove(id);
        return Err(back(
            flow,
            error_fields(flow, "login_required", 50_058, "A silent sign-in request was sent but no user is signed in."),
        ));
    }
    let page = if described.is_empty() || flow.other || flow.prompt == "login" || (!flow.hint.is_empty() && hinted.is_none()) {
        pages::sign_in(&flow.tenant, id, &flow.hint, "")
    } else {
        pages::accounts(&flow.tenant, id, &described)
    };
    Err(Answer::html(200, page))
}

/// The permissions to show on the consent page; none when no page is needed.
fn missing(world: &World, flow: &Flow, asked: &Asked, home: &str, user: Id) -> Option<Vec<String>> {
    if flow.consented {
        return None;
    }
    if matches!(flow.purpose, Purpose::AdminConsent { .. }) {
        return Some(asked.roles.iter().chain(&asked.scopes).cloned().collect());
    }
    let held = held(world.tenant(home).and_then(|tenant| tenant.grants.get(&flow.client_id)), user);
    let missing: Vec<String> = asked.scopes.iter().filter(|key| !held.contains(*key)).cloned().collect();
    if flow.prompt == "consent" && !asked.scopes.is_empty() {
        return Some(asked.scopes.iter().cloned().collect());
    }
    (!missing.is_empty()).then_some(missing)
}

fn accept(world: &mut World, call: &Call, id: &str, flow: &Flow, organisation: bool) -> Answer {
    let (Some((home, user)), Some(application)) = (flow.user.clone(), world.application(&flow.client_id).cloned()) else {
        return failure(50_058, "Nobody is signed in.");
    };
    let Ok(asked) = asked(&application, &flow.scope) else { return failure(70_011, "The scope is not valid.") };
    let administrator = may_grant(world, &home, user);
    let whole = matches!(flow.purpose, Purpose::AdminConsent { .. });
    if !administrator && (whole || organisation || asked.scopes.iter().any(|key| needs_administrator(key))) {
        return failure(90_094, "Only an administrator can grant these permissions.");
    }
    let now = world.now();
    let effective = now + world.knobs.consent_delay;
    let Some(tenant) = world.tenant_mut(&home) else { return failure(90_002, "The tenant is gone.") };
    let known = tenant.grants.contains_key(&flow.client_id);
    let grant = tenant.grants.entry(flow.client_id.clone()).or_default();
    if !asked.scopes.is_subset(&held(Some(grant), user)) || !asked.roles.is_subset(&grant.roles) {
        grant.granted = now;
    }
    if whole {
        let news = !asked.roles.is_subset(&grant.roles);
        grant.roles.extend(asked.roles);
        if news || !known {
            grant.effective = effective;
        }
    }
    if whole || organisation {
        grant.scopes.extend(asked.scopes);
    } else {
        grant.personal.entry(user).or_default().extend(asked.scopes);
    }
    set(world, id, |flow| flow.consented = true);
    proceed(world, call, id)
}

fn finish(world: &mut World, id: &str, flow: &Flow, home: &str, user: Id) -> Answer {
    world.flows.remove(id);
    let mut fields: Vec<(&str, String)> = Vec::new();
    match flow.purpose {
        Purpose::Authorize => {
            let code = format!("0.{}", world.random.token(6));
            let kept = Code {
                tenant: home.to_owned(),
                client_id: flow.client_id.clone(),
                redirect: flow.redirect.clone(),
                user,
                scope: flow.scope.clone(),
                nonce: flow.nonce.clone(),
                challenge: flow.challenge.clone(),
                expires: world.now() + CODE_LIFE,
                used: false,
            };
            world.codes.insert(code.clone(), kept);
            fields.push(("code", code));
            fields.push(("session_state", world.random.id().to_string()));
        }
        Purpose::AdminConsent { older } => {
            fields.push(("admin_consent", "True".to_owned()));
            fields.push(("tenant", home.to_owned()));
            if !older {
                fields.push(("scope", flow.scope.clone()));
            }
        }
    }
    fields.extend(flow.state.clone().map(|state| ("state", state)));
    back(flow, fields)
}

fn declined(flow: &Flow) -> Answer {
    let fields = match flow.purpose {
        Purpose::Authorize => {
            let mut fields = error_fields(flow, "access_denied", 65_004, "User declined to consent to access the app.");
            fields.push(("error_subcode", "cancel".to_owned()));
            fields
        }
        Purpose::AdminConsent { older: false } => {
            let mut fields = vec![("admin_consent", "True".to_owned())];
            fields.extend(error_fields(flow, "consent_required", 65_004, "The resource owner or authorization server denied the request."));
            fields
        }
        Purpose::AdminConsent { older: true } => {
            let mut fields =
                vec![("error", "permission_denied".to_owned()), ("error_description", "The admin canceled the request".to_owned())];
            fields.extend(flow.state.clone().map(|state| ("state", state)));
            fields
        }
    };
    back(flow, fields)
}

fn error_fields(flow: &Flow, error: &str, number: u32, text: &str) -> Vec<(&'static str, String)> {
    let mut fields = vec![("error", error.to_owned()), ("error_description", format!("AADSTS{number}: {text}"))];
    fields.extend(flow.state.clone().map(|state| ("state", state)));
    fields
}

/// Back to the application, in the way it asked for.
fn back(flow: &Flow, fields: Vec<(&'static str, String)>) -> Answer {
    match flow.mode.as_str() {
        "form_post" => Answer::html(200, pages::form_post(&flow.redirect, &fields)),
        "fragment" => {
            let query = with_query("", fields.iter().map(|(name, value)| (*name, value.as_str())));
            Answer::redirect(&format!("{}#{}", flow.redirect, query.trim_start_matches('?')))
        }
        _ => Answer::redirect(&with_query(&flow.redirect, fields.iter().map(|(name, value)| (*name, value.as_str())))),
    }
}
