//! The API: who may, what it answers, and that its document is complete.

use axum::http::StatusCode;

use super::client::{Browser, PASSWORD, basic, console};
use super::fake::{INVITATION, ONE, trouble};
use crate::config::Role;
use crate::console::table::{Access, ROUTES};
use crate::control::report::{Overview, Stage, Trouble};

const OLGA: (&str, &str) = ("olga", PASSWORD);

fn path(page: &str) -> String {
    format!("/api/v1/tenants/{ONE}{page}")
}

#[test]
fn the_document_names_every_route_with_its_role_and_no_other() {
    let document = include_str!("../../../../docs/api.md");
    let mut expected: Vec<String> = ROUTES
        .iter()
        .filter(|route| route.path.starts_with("/api/"))
        .map(|route| {
            let role = match route.access {
                Access::Role(role) => word(role).to_owned(),
                Access::Guest(role) => format!("{}, or invited", word(role)),
                Access::Public => "anybody".to_owned(),
            };
            format!("### {} {} ({role})", route.method, route.path)
        })
        .collect();
    let mut described: Vec<&str> = document.lines().filter(|line| line.starts_with("### ")).collect();
    expected.sort();
    described.sort();
    assert_eq!(described, expected);
}

fn word(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Administrator => "administrator",
        Role::Editor => "editor",
        Role::Auditor => "auditor",
    }
}

#[tokio::test]
async fn a_program_with_a_password_may_what_its_user_may() {
    let (router, fake) = console();
    for (user, method, page, body, status) in [
        (OLGA, "GET", "", "", 200),
        (OLGA, "POST", "/abandon", "", 200),
        (OLGA, "POST", "/people-choice", r#"{"choice": "full"}"#, 200),
        (("auke", PASSWORD), "GET", "", "", 200),
        (("auke", PASSWORD), "POST", "/synchronise", "", 403),
        (("anton", PASSWORD), "POST", "/synchronise", "", 200),
        (("anton", PASSWORD), "POST", "/abandon", "", 403),
        (("olga", "wrong"), "GET", "", "", 401),
        (("nobody", PASSWORD), "GET", "", "", 401),
    ] {
        let page_of = basic(&router, user, method, &path(page), body).await;
        assert_eq!(page_of.status.as_u16(), status, "{user:?} {method} {page}: {}", page_of.body);
        if status == 401 {
            assert!(page_of.header("www-authenticate").starts_with("Basic "), "{user:?}");
        }
    }
    assert_eq!(fake.asked(), [format!("abandon {ONE}"), format!("choose_people {ONE} None"), format!("synchronise {ONE}")]);
    let page = basic(&router, OLGA, "GET", &format!("/tenants/{ONE}/settings"), "").await;
    assert!(page.location().starts_with("/sign-in"), "a password opens the API only");
}

#[tokio::test]
async fn a_browser_needs_its_token_and_is_never_asked_for_a_password_by_itself() {
    let (router, fake) = console();
    let mut olga = Browser::signed_in(&router, "olga").await;
    fake.asked();
    assert_eq!(olga.api("POST", &path("/abandon"), "").await.status, StatusCode::OK);
    let learned = olga.api("GET", &path(""), "").await.header("x-signet-token").to_owned();
    assert_eq!(learned, olga.token);
    olga.token = "x".to_owned();
    let page = olga.api("POST", &path("/abandon"), "").await;
    assert_eq!((page.status, page.json()["kind"].as_str()), (StatusCode::FORBIDDEN, Some("forgery")));
    assert_eq!(fake.asked().len(), 1);
    let page = Browser::new(&router).api("GET", &path(""), "").await;
    assert_eq!((page.status, page.header("www-authenticate")), (StatusCode::UNAUTHORIZED, "Session"));
}

#[tokio::test]
async fn an_overview_is_what_the_control_plane_says() {
    let (router, fake) = console();
    fake.set(Stage::InProgress);
    let page = basic(&router, OLGA, "GET", &path(""), "").await;
    assert_eq!(page.header("content-type"), "application/json");
    let overview: Overview = serde_json::from_str(&page.body).unwrap();
    assert_eq!((overview.stage, overview.tenant.as_str()), (Stage::InProgress, ONE));
    let list = basic(&router, OLGA, "GET", "/api/v1/tenants", "").await.json();
    assert_eq!(list, serde_json::json!([{ "id": ONE, "name": "Contoso", "stage": "in-progress", "words": "In progress" }]));
}

#[tokio::test]
async fn trouble_is_json_with_a_fitting_status() {
    let (router, fake) = console();
    for (kind, status) in [
        ("stage", 409),
        ("credential", 409),
        ("conflict", 409),
        ("unfit", 422),
        ("missing", 404),
        ("unavailable", 503),
        ("store", 503),
        ("something new", 409),
    ] {
        fake.fail(Some(Trouble { kind: kind.to_owned(), ..trouble("") }));
        let page = basic(&router, OLGA, "POST", &path("/go-on"), "").await;
        assert_eq!(page.status.as_u16(), status, "{kind}");
        let answered: Trouble = serde_json::from_str(&page.body).unwrap();
        assert_eq!((answered.kind.as_str(), answered.changed.len(), answered.steps.len()), (kind, 1, 2));
    }
}

#[tokio::test]
async fn a_body_that_does_not_say_what_is_wanted_is_refused_with_an_example() {
    let (router, fake) = console();
    for (page, body, status) in [
        ("/people-choice", "", 400),
        ("/people-choice", r#"{"choice": "limited"}"#, 400),
        ("/people-choice", r#"{"choice": "full", "group": "g1"}"#, 400),
        ("/people-choice", r#"{"choice": "all-users"}"#, 400),
        ("/people-choice", "choice=full", 400),
        ("/people-choice", r#"{"choice": "limited", "group": "g1"}"#, 200),
        ("/routing-choice", r#"{"choice": "all-users"}"#, 200),
        ("/routing-choice", r#"{"choice": "group", "group": "g1"}"#, 200),
        ("/script-run", r#"{"goal": "destroy"}"#, 400),
        ("/script-run", r#"{"goal": "disconnect"}"#, 200),
    ] {
        let answer = basic(&router, OLGA, "POST", &path(page), body).await;
        assert_eq!(answer.status.as_u16(), status, "{page} {body}: {}", answer.body);
        if status == 400 {
            assert!(!answer.json()["next_step"].as_str().unwrap().is_empty());
        }
    }
    assert_eq!(fake.asked().len(), 4);
}

#[tokio::test]
async fn signing_in_to_the_service_takes_a_browser() {
    let (router, _) = console();
    for page in ["/begin", "/authorize", "/disconnect"] {
        let answer = basic(&router, OLGA, "POST", &path(page), "").await;
        assert_eq!((answer.status, answer.json()["kind"].as_str()), (StatusCode::CONFLICT, Some("browser")), "{page}");
        let mut olga = Browser::signed_in(&router, "olga").await;
        let answer = olga.api("POST", &path(page), "").await;
        assert!(answer.json()["url"].as_str().unwrap().starts_with("https://login.example/"), "{page}");
    }
}

#[tokio::test]
async fn the_rest_answers_what_its_page_shows() {
    let (router, _) = console();
    let invited = basic(&router, OLGA, "POST", &path("/invitation"), "").await.json();
    assert_eq!(invited["url"], format!("https://signet.example/invite/{INVITATION}"));
    assert_eq!(basic(&router, OLGA, "GET", &path("/groups?text=sal"), "").await.json()[0]["id"], "g1");
    assert_eq!(basic(&router, OLGA, "GET", &path("/plan"), "").await.json()["steps"][0]["id"], "certificate-domain");
    assert_eq!(basic(&router, OLGA, "GET", &path("/status"), "").await.json()["routed_only_count"], 140);
    assert_eq!(basic(&router, OLGA, "GET", &path("/spf"), "").await.json()[1]["domain"], "contoso.org");
    assert_eq!(basic(&router, OLGA, "GET", &path("/script"), "").await.body, "Connect-ExchangeOnline\n");
    assert_eq!(basic(&router, OLGA, "GET", &path("/people?text=ada"), "").await.json().as_array().unwrap().len(), 50);
    let person = basic(&router, OLGA, "GET", &path("/people/ada@contoso.example"), "").await.json();
    assert_eq!((person["person"]["groups"][0].as_str(), person["signature"]["ids"][0].as_str()), (Some("Sales"), Some("standard")));
    assert_eq!(basic(&router, OLGA, "GET", &path("/people/nobody@x"), "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(basic(&router, OLGA, "GET", "/api/v1/tenants/unknown/people", "").await.status, StatusCode::NOT_FOUND);
}
