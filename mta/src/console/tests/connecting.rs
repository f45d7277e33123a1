//! The way from Connect to Connected, without a script in the browser.

use axum::http::StatusCode;

use super::client::{Browser, console};
use super::fake::{ONE, trouble};
use crate::control::report::{Stage, Trouble};

fn path(page: &str) -> String {
    format!("/tenants/{ONE}/{page}")
}

#[tokio::test]
async fn the_sign_in_leaves_by_a_page_because_the_policy_forbids_a_redirect_behind_a_form() {
    let (router, fake) = console();
    let mut olga = Browser::signed_in(&router, "olga").await;
    let page = olga.get(&path("connect")).await;
    assert!(page.body.contains(&format!("action=\"{}\"", path("begin"))), "{}", page.body);
    fake.asked();
    let page = olga.post(&path("begin"), &[]).await;
    assert_eq!((page.status, page.location()), (StatusCode::OK, ""));
    let url = "https://login.example/authorize?state=a&#38;x=%27%22";
    assert!(page.body.contains(&format!("<a class=\"button primary wide\" href=\"{url}\"")), "{}", page.body);
    assert!(page.body.contains(&format!("content=\"1; url={url}\"")), "{}", page.body);
    let page = olga.get("/connect/return?state=a&admin_consent").await;
    assert_eq!((page.status, page.location()), (StatusCode::SEE_OTHER, "https://login.example/consent"));
    let page = olga.get("/connect/return?code=b&state=a").await;
    assert_eq!((page.status, page.location()), (StatusCode::SEE_OTHER, path("connect").as_str()));
    assert_eq!(fake.asked(), [format!("begin {ONE}"), "returned state=a&admin_consent".to_owned(), "returned code=b&state=a".to_owned()]);
}

#[tokio::test]
async fn a_return_that_went_wrong_says_what_happened_what_was_changed_and_the_next_step() {
    let (router, fake) = console();
    let mut olga = Browser::signed_in(&router, "olga").await;
    fake.fail(Some(trouble("")));
    let page = olga.get("/connect/return?error=access_denied").await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    for words in [
        "What happened",
        "The sign-in has ended.",
        "What was changed so far",
        "Made the connector",
        "The next step",
        "Sign in again.",
        "Assign the role directly.",
    ] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
}

#[tokio::test]
async fn a_group_that_is_gone_at_the_return_leads_back_to_the_connection() {
    let (router, fake) = console();
    let mut olga = Browser::signed_in(&router, "olga").await;
    for kind in ["missing", "unfit"] {
        let gone = Trouble { kind: kind.to_owned(), ..trouble("") };
        fake.adjust(|overview| overview.trouble = Some(gone.clone()));
        fake.fail(Some(gone));
        let page = olga.get("/connect/return?code=a&state=b").await;
        assert_eq!(page.status, StatusCode::CONFLICT, "{kind}");
        let back = format!("<a class=\"button\" href=\"{}\">Back to the connection</a>", path("connect"));
        for words in ["What happened", "Made the connector", "The next step", back.as_str()] {
            assert!(page.body.contains(words), "{words}: {}", page.body);
        }
    }
}

#[tokio::test]
async fn each_stage_shows_its_own_next_step_and_nothing_to_press_for_those_who_only_look() {
    let (router, fake) = console();
    let mut olga = Browser::signed_in(&router, "olga").await;
    let mut auke = Browser::signed_in(&router, "auke").await;
    for (stage, action) in [
        (Stage::Disconnected, "begin"),
        (Stage::SignedIn, "begin"),
        (Stage::ChoosePeople, "people-choice"),
        (Stage::ChooseRouting, "routing-choice"),
        (Stage::Authorize, "authorize"),
        (Stage::InProgress, "go-on"),
        (Stage::Connected, "begin"),
    ] {
        fake.set(stage);
        let form = format!("action=\"{}\"", path(action));
        let page = olga.get(&path("connect")).await;
        assert!(page.body.contains(&form), "{stage:?}: {}", page.body);
        let page = auke.get(&path("connect")).await;
        assert_eq!(page.status, StatusCode::OK);
        assert_eq!(page.body.matches("method=\"post\"").count(), 1, "{stage:?}: only signing out: {}", page.body);
    }
}

#[tokio::test]
async fn connect_becomes_re_connect_when_the_tenant_is_connected() {
    let (router, fake) = console();
    let mut olga = Browser::signed_in(&router, "olga").await;
    let entry = |words: &str| format!("<a href=\"{}\" aria-current=\"page\">{words}</a>", path("connect"));
    let page = olga.get(&path("connect")).await;
    assert!(page.body.contains(&entry("Connect")), "{}", page.body);
    fake.set(Stage::Connected);
    let page = olga.get(&path("connect")).await;
    assert!(page.body.contains(&entry("Re-connect")), "{}", page.body);
    assert!(page.body.contains("Your mail service is connected") && page.body.contains("Create the first signature"), "{}", page.body);
}

#[tokio::test]
async fn a_group_is_found_and_chosen_without_a_script() {
    let (router, fake) = console();
    let mut olga = Browser::signed_in(&router, "olga").await;
    for (stage, choice, asked) in
        [(Stage::ChoosePeople, "people-choice", "choose_people"), (Stage::ChooseRouting, "routing-choice", "choose_routing")]
    {
        fake.set(stage);
        olga.get(&path("connect")).await;
        fake.asked();
        let page = olga.post(&path(choice), &[("scope", "group"), ("text", "sal"), ("act", "search")]).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.body.contains("<input type=\"radio\" name=\"group\" value=\"g1\">"), "{}", page.body);
        assert!(page.body.contains("value=\"g2&#34;&#62;&#60;b&#62;\""), "{}", page.body);
        assert!(page.body.contains("value=\"group\" checked"), "what was chosen stays chosen: {}", page.body);
        let page = olga.post(&path(choice), &[("scope", "group"), ("text", "sal"), ("group", "g1"), ("act", "choose")]).await;
        assert_eq!((page.status, page.location()), (StatusCode::SEE_OTHER, path("connect").as_str()));
        assert_eq!(fake.asked(), [format!("find_groups {ONE} sal"), format!("{asked} {ONE} Some(\"g1\")")]);
        let page = olga.post(&path(choice), &[("scope", "all"), ("text", "sal"), ("group", "g1"), ("act", "choose")]).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER);
        assert_eq!(fake.asked(), [format!("{asked} {ONE} None")], "everybody means everybody, whatever stands in the hidden field");
    }
}

#[tokio::test]
async fn a_name_that_is_only_typed_chooses_nothing() {
    let (router, fake) = console();
    let mut olga = Browser::signed_in(&router, "olga").await;
    fake.set(Stage::ChoosePeople);
    olga.get(&path("connect")).await;
    for (fields, words) in [
        (vec![("scope", "group"), ("text", "Sales"), ("act", "choose")], "only typed does not count"),
        (vec![("scope", "group"), ("act", "choose")], "only typed does not count"),
        (vec![("act", "choose")], "Choose one of the two."),
        (vec![("scope", "group"), ("act", "search")], "Enter the beginning"),
    ] {
        fake.asked();
        let page = olga.post(&path("people-choice"), &fields).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{fields:?}");
        assert!(page.body.contains(words), "{fields:?}: {}", page.body);
        assert!(fake.asked().iter().all(|asked| asked.starts_with("find_groups")), "{fields:?}");
    }
}

#[tokio::test]
async fn what_will_be_changed_is_shown_before_anybody_authorizes() {
    let (router, fake) = console();
    let mut olga = Browser::signed_in(&router, "olga").await;
    fake.set(Stage::Authorize);
    let page = olga.get(&path("connect")).await;
    for words in [
        "Mail-flow rule",
        "Will be created",
        "SmartHosts",
        "A rule of another product",
        "Members of Sales",
        "Download the script",
        "I have run it",
    ] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    // Nobody has signed in for it yet, so the plan cannot be read.
    fake.fail(Some(trouble("")));
    let page = olga.get(&path("connect")).await;
    for words in [
        "One domain",
        "One connector to Signet",
        "One connector from Signet",
        "Sender is a member of the group Sales",
        "only after you have authorized",
    ] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    fake.fail(None);
    fake.asked();
    let script = olga.get(&path("script?goal=connect")).await;
    assert_eq!(script.header("content-disposition"), "attachment; filename=\"signet-connect.ps1\"");
    assert_eq!(script.body, "Connect-ExchangeOnline\n");
    olga.post(&path("script-run"), &[("goal", "connect")]).await;
    olga.post(&path("authorize"), &[("goal", "connect")]).await;
    olga.post(&path("disconnect"), &[]).await;
    assert_eq!(
        fake.asked(),
        [
            format!("script {ONE} Connect"),
            format!("script_was_run {ONE} Connect"),
            format!("authorize {ONE} Connect"),
            format!("authorize {ONE} Disconnect")
        ]
    );
}

#[tokio::test]
async fn work_in_progress_keeps_itself_current_with_and_without_a_script() {
    let (router, fake) = console();
    let mut olga = Browser::signed_in(&router, "olga").await;
    fake.set(Stage::InProgress);
    let page = olga.get(&path("connect")).await;
    assert!(page.body.contains("<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>"), "{}", page.body);
    assert!(page.body.contains(&format!("data-poll=\"/api/v1/tenants/{ONE}\"")), "{}", page.body);
    for words in ["2 of 5 steps are done.", "Made the connector", "Action needed", "Enable customization", "Again at", "has not reached"] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    fake.adjust(|overview| overview.trouble = Some(trouble("")));
    let page = olga.get(&path("connect")).await;
    assert!(!page.body.contains("http-equiv=\"refresh\""), "nothing changes by itself while it stands still");
    assert!(page.body.contains("class=\"primary\">Sign in again</button>"), "{}", page.body);
    let page = olga.post(&path("go-on"), &[]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
}
