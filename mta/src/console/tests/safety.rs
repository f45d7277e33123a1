//! Sessions, forged requests, roles, invitations, and the fields of every answer.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Request, StatusCode};

use super::client::{Browser, PASSWORD, USERS, basic, console, console_at, send, users};
use super::fake::{INVITATION, ONE, TWO};
use crate::config::Role;
use crate::console::table::{Access, ROUTES};
use crate::control::report::Stage;
use crate::control::words::Goal;
use crate::telemetry::{LogFormat, LogSettings, subscriber};

fn filled(path: &str) -> String {
    path.replace("{tenant}", ONE).replace("{address}", "ada@contoso.example").replace("{token}", INVITATION)
}

#[tokio::test]
async fn each_route_lets_in_whom_the_table_names_and_nobody_else() {
    let (router, fake) = console();
    let mut visitors = vec![("nobody", None, Browser::new(&router))];
    for (name, role) in USERS {
        visitors.push((name, Some(role), Browser::signed_in(&router, name).await));
    }
    let mut guest = Browser::new(&router);
    guest.get(&format!("/invite/{INVITATION}")).await;
    let page = guest.post(&format!("/invite/{INVITATION}"), &[]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
    guest.get(page.location()).await;
    visitors.push(("guest", None, guest));
    for route in ROUTES.iter().filter(|route| route.access != Access::Public) {
        let path = filled(route.path);
        for (name, role, browser) in &mut visitors {
            fake.asked();
            let page = match (route.method, path.starts_with("/api/")) {
                (method, true) => browser.api(method, &path, "").await,
                ("GET", false) => browser.get(&path).await,
                (_, false) => browser.post(&path, &[]).await,
            };
            let least = match route.access {
                Access::Role(least) | Access::Guest(least) => least,
                Access::Public => unreachable!("filtered"),
            };
            let may = role.is_some_and(|role| role <= least) || *name == "guest" && matches!(route.access, Access::Guest(_));
            let refused =
                page.status == StatusCode::FORBIDDEN || page.status == StatusCode::UNAUTHORIZED || page.location().starts_with("/sign-in");
            assert_eq!(!refused, may, "{} {path} as {name}: {} {}", route.method, page.status, page.body);
            if refused {
                assert_eq!(fake.asked(), Vec::<String>::new(), "{} {path} as {name} did something", route.method);
            }
        }
    }
}

#[tokio::test]
async fn the_table_gives_no_change_to_those_who_only_look() {
    for route in ROUTES.iter().filter(|route| route.method == "POST") {
        let least = match route.access {
            Access::Role(least) | Access::Guest(least) => least,
            Access::Public => continue,
        };
        assert!(least <= Role::Administrator, "{}", route.path);
    }
}

#[tokio::test]
async fn every_answer_carries_the_policy_and_is_not_stored() {
    let (router, _) = console();
    let mut browser = Browser::signed_in(&router, "olga").await;
    for path in ROUTES.iter().filter(|route| route.method == "GET").map(|route| filled(route.path)).chain(["/nowhere".to_owned()]) {
        let page = browser.get(&path).await;
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; "), "{path}: {policy}");
        if path.ends_with("/signature") {
            assert!(policy.ends_with("frame-ancestors 'self'; sandbox") && !policy.contains("script"), "{path}: {policy}");
        } else {
            for part in ["script-src 'self'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
                assert!(policy.contains(part), "{path}: {policy}");
            }
            assert!(!page.body.contains("style=\"") && !page.body.contains("onclick"), "{path} has what the policy forbids");
        }
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(page.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        assert_eq!(page.header("strict-transport-security"), "max-age=31536000", "{path}");
    }
}

#[tokio::test]
async fn signing_in_makes_a_new_session_and_signing_out_ends_it() {
    let (router, _) = console();
    let mut browser = Browser::new(&router);
    let first = browser.get("/sign-in").await;
    let set = first.header("set-cookie").to_owned();
    assert!(set.starts_with("__Host-signet=") && set.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{set}");
    let planted = browser.cookie.clone();
    let page = browser.post("/sign-in", &[("name", "olga"), ("password", PASSWORD), ("to", "/tenants/x/settings")]).await;
    assert_eq!(page.location(), "/tenants/x/settings");
    assert_ne!(browser.cookie, planted, "the secret from before is not the one of the session");
    let mut other = Browser::new(&router);
    other.cookie = planted;
    assert!(other.get("/").await.location().starts_with("/sign-in"), "who planted the cookie is not signed in");
    let home = browser.get("/").await;
    assert_eq!(home.status, StatusCode::OK);
    assert!(home.header("set-cookie").is_empty());
    let mut kept = browser.clone();
    let out = browser.post("/sign-out", &[]).await;
    assert_eq!(out.location(), "/sign-in");
    assert!(out.header("set-cookie").ends_with("; Max-Age=0"));
    assert!(kept.get("/").await.location().starts_with("/sign-in"), "the old cookie is worth nothing");
}

#[tokio::test]
async fn without_tls_the_cookie_has_the_name_that_browsers_take() {
    let (console, _) = console_at("http://127.0.0.1:9726");
    let page = Browser::new(&console.router()).get("/sign-in").await;
    assert!(page.header("set-cookie").starts_with("signet="));
    assert!(!page.header("set-cookie").contains("Secure"));
    assert_eq!(page.header("strict-transport-security"), "");
}

#[tokio::test]
async fn who_is_no_user_any_more_has_no_session() {
    let (console, _) = console_at("https://signet.example");
    let router = console.router();
    let mut browser = Browser::signed_in(&router, "anton").await;
    console.replace_users(&users()[..1]).unwrap();
    assert!(browser.get("/").await.location().starts_with("/sign-in"));
}

#[tokio::test]
async fn a_wrong_password_says_nothing_about_names_and_too_many_are_stopped() {
    let (router, _) = console();
    let mut bodies = Vec::new();
    for name in ["olga", "nobody"] {
        let mut browser = Browser::new(&router);
        browser.get("/sign-in").await;
        let page = browser.post("/sign-in", &[("name", name), ("password", "wrong")]).await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED);
        assert!(page.header("set-cookie").is_empty());
        bodies.push(page.body.replace(name, "NAME").replace(&browser.token, "TOKEN"));
    }
    assert_eq!(bodies[0], bodies[1]);
    let mut browser = Browser::new(&router);
    browser.get("/sign-in").await;
    for _ in 0..4 {
        browser.post("/sign-in", &[("name", "olga"), ("password", "wrong")]).await;
    }
    let page = browser.post("/sign-in", &[("name", "olga"), ("password", PASSWORD)]).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(basic(&router, ("olga", PASSWORD), "GET", "/api/v1/tenants", "").await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn requests_that_do_not_come_from_our_own_pages_change_nothing() {
    let (router, fake) = console();
    let mut olga = Browser::signed_in(&router, "olga").await;
    let token = olga.token.clone();
    let stranger = Browser::signed_in(&router, "olga").await.token;
    let path = format!("/tenants/{ONE}/abandon");
    fake.asked();
    let ours = ("sec-fetch-site", "same-origin");
    for (token, headers, passes) in [
        (token.as_str(), vec![ours], true),
        (&token, vec![ours, ("origin", "null")], true),
        (&token, vec![("origin", "https://signet.example")], true),
        (&token, vec![], true),
        ("", vec![ours], false),
        ("x", vec![ours], false),
        (&stranger, vec![ours], false),
        (&token, vec![("sec-fetch-site", "cross-site")], false),
        (&token, vec![("sec-fetch-site", "same-site")], false),
        (&token, vec![("sec-fetch-site", "none")], false),
        (&token, vec![("origin", "https://evil.example")], false),
        (&token, vec![("origin", "null")], false),
        (&token, vec![("origin", "http://signet.example")], false),
    ] {
        let page = olga.post_with(&path, &[], token, &headers).await;
        let expected = if passes { StatusCode::SEE_OTHER } else { StatusCode::FORBIDDEN };
        assert_eq!(page.status, expected, "{token} {headers:?}");
        assert_eq!(fake.asked().len(), usize::from(passes), "{token} {headers:?}");
    }
    let mut before = Browser::new(&router);
    before.get("/sign-in").await;
    let page = before.post_with("/sign-in", &[("name", "olga"), ("password", PASSWORD)], "", &[ours]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN, "nobody is signed in by somebody else's form");
}

#[tokio::test]
async fn an_invitation_is_used_up_by_its_button_and_opens_one_tenant_only() {
    let (router, fake) = console();
    let mut olga = Browser::signed_in(&router, "olga").await;
    let invited = olga.post(&format!("/tenants/{ONE}/invitation"), &[]).await;
    assert!(invited.body.contains(&format!("https://signet.example/invite/{INVITATION}")), "{}", invited.body);
    assert!(invited.body.contains("21 September 2026, 14:13 UTC"), "{}", invited.body);
    let path = format!("/invite/{INVITATION}");
    // Link scanners look, and follow no button.
    for _ in 0..3 {
        assert_eq!(Browser::new(&router).get(&path).await.status, StatusCode::OK);
    }
    let mut guest = Browser::new(&router);
    guest.get(&path).await;
    let entered = guest.post(&path, &[]).await;
    let connect = format!("/tenants/{ONE}/connect");
    assert_eq!(entered.location(), connect);
    let page = guest.get(&connect).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.body.contains(">Connect</button>") && !page.body.contains("/settings") && !page.body.contains("/people\""),
        "{}",
        page.body
    );
    for (path, status) in [
        (format!("/tenants/{TWO}/connect"), StatusCode::FORBIDDEN),
        (format!("/tenants/{ONE}/people"), StatusCode::FORBIDDEN),
        (format!("/tenants/{ONE}/settings"), StatusCode::FORBIDDEN),
        ("/".to_owned(), StatusCode::FORBIDDEN),
        (format!("/api/v1/tenants/{ONE}"), StatusCode::OK),
        (format!("/api/v1/tenants/{TWO}"), StatusCode::FORBIDDEN),
        ("/api/v1/tenants".to_owned(), StatusCode::FORBIDDEN),
    ] {
        assert_eq!(guest.get(&path).await.status, status, "{path}");
    }
    let mut late = Browser::new(&router);
    late.get(&path).await;
    assert_eq!(late.post(&path, &[]).await.status, StatusCode::NOT_FOUND, "it works once");
    fake.asked();
    let begun = guest.post(&format!("/tenants/{ONE}/authorize"), &[("goal", "disconnect")]).await;
    assert_eq!(begun.status, StatusCode::FORBIDDEN, "a guest does not begin to disconnect");
    assert_eq!(fake.asked(), Vec::<String>::new());
    fake.set(Stage::InProgress);
    fake.adjust(|overview| overview.work.as_mut().unwrap().goal = Goal::Disconnect);
    let continued = guest.post(&format!("/tenants/{ONE}/authorize"), &[("goal", "disconnect")]).await;
    assert_eq!(continued.status, StatusCode::OK, "but goes on with it");
}

#[tokio::test]
async fn guessing_invitations_is_stopped() {
    let (router, _) = console();
    let mut browser = Browser::new(&router);
    browser.get("/invite/guess").await;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(browser.post("/invite/guess", &[]).await.status.as_u16());
    }
    assert_eq!(statuses, [404, 404, 404, 404, 404, 429]);
}

#[tokio::test]
async fn what_is_not_there_not_allowed_or_too_large_has_a_page_too() {
    let (router, _) = console();
    let mut olga = Browser::signed_in(&router, "olga").await;
    let large = "x".repeat(100 * 1024);
    for (page, status, words) in [
        (olga.get("/nowhere").await, StatusCode::NOT_FOUND, "Not found"),
        (olga.get("/tenants/unknown/connect").await, StatusCode::NOT_FOUND, "No tenant has this id."),
        (olga.get(&format!("/tenants/{ONE}/people/nobody@x")).await, StatusCode::NOT_FOUND, "Nobody in the directory"),
        (olga.post("/", &[]).await, StatusCode::METHOD_NOT_ALLOWED, "Not possible"),
        (olga.post(&format!("/tenants/{ONE}/go-on"), &[("x", &large)]).await, StatusCode::PAYLOAD_TOO_LARGE, "Too large"),
        (olga.post(&format!("/tenants/{ONE}/script-run"), &[("goal", "<i>")]).await, StatusCode::BAD_REQUEST, "Not understood"),
    ] {
        assert_eq!(page.status, status, "{}", page.body);
        assert!(page.body.contains(words) && page.body.contains("<h1>") && page.body.contains("console.css"), "{}", page.body);
    }
    assert!(olga.get("/nowhere").await.body.contains("<b>olga</b>"), "who is signed in stays so");
    let nowhere = olga.api("GET", "/api/v1/nowhere", "").await;
    assert_eq!((nowhere.status, nowhere.json()["kind"].as_str()), (StatusCode::NOT_FOUND, Some("missing")));
    let head = send(&router, Request::builder().method("HEAD").uri("/sign-in").body(Body::empty()).unwrap()).await;
    assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, ""));
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_says_who_did_what_to_which_tenant_and_nothing_about_people() {
    let log = Log::default();
    let settings = LogSettings { level: "debug".to_owned(), format: LogFormat::Json };
    let (subscriber, flushed) = subscriber(&settings, log.clone()).unwrap();
    let logging = tracing::subscriber::set_default(subscriber);
    // A place that logs for the first time in another test's thread just now may be taken for one that nobody listens to; after that it is known.
    for _ in 0..2 {
        let (router, fake) = console();
        let mut olga = Browser::signed_in(&router, "olga").await;
        fake.set(Stage::Connected);
        olga.get(&format!("/tenants/{ONE}/people?text=ada")).await;
        olga.get(&format!("/tenants/{ONE}/people/ada%40contoso.example")).await;
        olga.post(&format!("/tenants/{ONE}/invitation"), &[]).await;
        olga.post(&format!("/tenants/{ONE}/script-run"), &[("goal", "what")]).await;
        basic(&router, ("anton", PASSWORD), "POST", &format!("/api/v1/tenants/{ONE}/synchronise"), "").await;
        olga.post("/sign-out", &[]).await;
        olga.get("/sign-in").await;
        olga.post("/sign-in", &[("name", "a secret"), ("password", "typed wrongly")]).await;
        tracing::callsite::rebuild_interest_cache();
    }
    drop((logging, flushed));
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = |event: &str, user: &str, action: &str| {
        let field =
            |line: &serde_json::Value, name: &str| line.pointer(&format!("/fields/{name}")).or(line.get(name)).cloned().unwrap_or_default();
        lines.iter().any(|line| {
            field(line, "event") == event
                && field(line, "user") == user
                && (action.is_empty() || field(line, "action") == action && field(line, "tenant") == ONE)
        })
    };
    assert!(told("console.signed-in", "olga", ""), "{text}");
    assert!(told("console.action", "olga", "invitation"), "{text}");
    assert!(told("console.action", "olga", "script-run"), "{text}");
    assert!(told("console.action", "anton", "synchronise"), "{text}");
    assert!(text.contains("console.sign-in-failed"), "{text}");
    for personal in ["ada", "Ada", "a secret", "typed wrongly", PASSWORD, INVITATION] {
        assert!(!text.contains(personal), "{personal}: {text}");
    }
}
