//! Signing in and out, and the link for an administrator without an account.

use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};

use super::Shared;
use super::failure::Failure;
use super::gate::Verdict;
use super::guard::{Visit, Who, too_many};
use super::sessions::{Holder, fresh};
use super::show::{Answered, Layout, page, segment};

#[derive(Template)]
#[template(path = "sign-in.html")]
struct SignInPage {
    layout: Layout,
    to: String,
    name: String,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "invitation.html")]
struct InvitationPage {
    layout: Layout,
    token: String,
}

pub(super) async fn show_sign_in(State(shared): State<Arc<Shared>>, Extension(visit): Extension<Visit>) -> Answered {
    let to = own_path(visit.fields.raw("to")).to_owned();
    match &visit.who {
        Some(Who::User { .. }) => Ok(Redirect::to(&to).into_response()),
        _ => with_cookie(&shared, visit, |visit| sign_in_page(StatusCode::OK, visit, to, None)),
    }
}

pub(super) async fn sign_in(State(shared): State<Arc<Shared>>, Extension(visit): Extension<Visit>) -> Answered {
    let to = own_path(visit.fields.raw("to")).to_owned();
    let name = visit.fields.get("name").unwrap_or_default().to_owned();
    let peer = visit.peer;
    match shared.gate.check(&name, visit.fields.raw("password"), peer, Instant::now()).await {
        Verdict::Known => {
            tracing::info!(event = "console.signed-in", user = name, "a user signed in");
            enter(&shared, &visit, Holder::User(name), &to)
        }
        Verdict::Wrong => {
            // The name is not logged: people type passwords there.
            tracing::warn!(event = "console.sign-in-failed", %peer, way = "form", "a name and password were wrong");
            Ok(sign_in_page(StatusCode::UNAUTHORIZED, &visit, to, Some("Name and password do not belong together.".to_owned())))
        }
        Verdict::TooMany => {
            let Failure { status, trouble, .. } = too_many();
            Ok(sign_in_page(status, &visit, to, Some(format!("{} {}", trouble.detail, trouble.next_step))))
        }
    }
}

pub(super) async fn sign_out(State(shared): State<Arc<Shared>>, Extension(visit): Extension<Visit>) -> Answered {
    if let Some(secret) = &visit.secret {
        shared.sessions.end(secret);
    }
    Ok((AppendHeaders([(SET_COOKIE, shared.cookies.clear())]), Redirect::to("/sign-in")).into_response())
}

/// Only shows a button: whatever opens links to look at them must not use the invitation up.
pub(super) async fn show_invitation(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Visit>,
    Path(token): Path<String>,
) -> Answered {
    with_cookie(&shared, visit, |visit| {
        let layout = Layout { who: None, ..Layout::new(visit, "Complete the connection", "") };
        page(StatusCode::OK, &InvitationPage { layout, token: segment(&token) })
    })
}

pub(super) async fn redeem(State(shared): State<Arc<Shared>>, Extension(visit): Extension<Visit>, Path(token): Path<String>) -> Answered {
    if !shared.gate.guess(visit.peer, Instant::now()).await {
        return Err(too_many());
    }
    match shared.plane.redeem(&token).await {
        Ok(tenant) => {
            tracing::info!(event = "console.invitation-redeemed", tenant, "an invitation was used");
            let to = format!("/tenants/{}/connect", segment(&tenant));
            enter(&shared, &visit, Holder::Guest(tenant), &to)
        }
        Err(trouble) => {
            shared.gate.guessed_wrong(visit.peer, Instant::now()).await;
            Err(trouble.into())
        }
    }
}

/// A new session in the place of whatever the browser had.
fn enter(shared: &Shared, visit: &Visit, holder: Holder, to: &str) -> Answered {
    let secret = fresh().ok_or_else(Failure::no_random)?;
    if let Some(old) = &visit.secret {
        shared.sessions.end(old);
    }
    shared.sessions.begin(&secret, holder, Instant::now());
    Ok((AppendHeaders([(SET_COOKIE, shared.cookies.set(&secret))]), Redirect::to(to)).into_response())
}

/// A page with a form for a browser that may not have a cookie yet.
fn with_cookie(shared: &Shared, mut visit: Visit, make: impl FnOnce(&Visit) -> Response) -> Answered {
    if visit.secret.is_some() {
        return Ok(make(&visit));
    }
    let secret = fresh().ok_or_else(Failure::no_random)?;
    visit.token = shared.tokens.token(&secret);
    let answer = make(&visit);
    Ok((AppendHeaders([(SET_COOKIE, shared.cookies.set(&secret))]), answer).into_response())
}

fn sign_in_page(status: StatusCode, visit: &Visit, to: String, problem: Option<String>) -> Response {
    let layout = Layout { who: None, ..Layout::new(visit, "Sign in", "") };
    let name = visit.fields.get("name").unwrap_or_default().to_owned();
    page(status, &SignInPage { layout, to, name, problem })
}

/// A path of ours, or the start page: nobody is sent elsewhere after signing in.
fn own_path(wanted: &str) -> &str {
    let ours =
        wanted.starts_with('/') && !wanted.starts_with("//") && wanted.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'\\');
    if ours { wanted } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::own_path;

    #[test]
    fn nobody_is_sent_to_another_site_after_signing_in() {
        for (wanted, to) in [
            ("/tenants/a/settings?x=1", "/tenants/a/settings?x=1"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("/a\r\nX: y", "/"),
            ("/\t/evil.example", "/"),
            ("", "/"),
        ] {
            assert_eq!(own_path(wanted), to, "{wanted:?}");
        }
    }
}
