//! The other pages, and that no value from elsewhere becomes markup.

use axum::http::StatusCode;

use super::client::{Browser, console};
use super::fake::{ONE, trouble};
use crate::console::table::ROUTES;
use crate::control::report::{Stage, Trouble};

const HOSTILE: &str = "<script>alert(1)</script>\"'&";

fn path(page: &str) -> String {
    format!("/tenants/{ONE}/{page}")
}

#[tokio::test]
async fn no_value_from_elsewhere_becomes_markup() {
    let (router, fake) = console();
    let mut olga = Browser::signed_in(&router, "olga").await;
    fake.say(HOSTILE);
    let paths: Vec<String> = ROUTES
        .iter()
        .filter(|route| route.method == "GET" && !route.path.starts_with("/api/") && !route.path.starts_with("/static/"))
        .filter(|route| !route.path.ends_with("/script") && !route.path.ends_with("/signature"))
        .map(|route| route.path.replace("{tenant}", ONE).replace("{address}", "%3Cscript%3E").replace("{token}", "%3Cscript%3E%22"))
        .chain([path("people?text=%3Cscript%3E%22"), path("connect?step=%3Cscript%3E"), "/sign-in?to=/%3Cscript%3E%22".to_owned()])
        .collect();
    let stages = [
        Stage::Disconnected,
        Stage::SignedIn,
        Stage::ChoosePeople,
        Stage::ChooseRouting,
        Stage::Authorize,
        Stage::InProgress,
        Stage::Connected,
    ];
    let mut seen = 0;
    for stage in stages {
        fake.set(stage);
        fake.adjust(|overview| {
            overview.trouble = Some(trouble(HOSTILE));
            overview.synchronised.trouble = Some(Trouble { kind: "shrunk".to_owned(), ..trouble(HOSTILE) });
        });
        for failing in [false, true] {
            fake.fail(failing.then(|| trouble(HOSTILE)));
            for path in &paths {
                let page = olga.get(path).await;
                assert!(!page.body.contains("<script>"), "{stage:?} {path}: {}", page.body);
                seen += page.body.matches("&#60;script&#62;").count();
            }
        }
        fake.fail(None);
        for (choice, act) in [("people-choice", "search"), ("routing-choice", "choose")] {
            let page = olga.post(&path(choice), &[("scope", "group"), ("text", HOSTILE), ("act", act)]).await;
            assert!(!page.body.contains("<script>"), "{stage:?} {choice}: {}", page.body);
        }
    }
    assert!(seen > 500, "the word stood in the pages {seen} times");
}

#[tokio::test]
async fn a_page_has_one_heading_of_the_first_order_one_main_part_and_labelled_fields() {
    let (router, fake) = console();
    let mut olga = Browser::signed_in(&router, "olga").await;
    fake.set(Stage::Connected);
    for path in [
        "/".to_owned(),
        path("connect"),
        path("people"),
        path("people/a@b"),
        path("settings"),
        path("status"),
        path("spf"),
        path("disconnect"),
    ] {
        let page = olga.get(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert_eq!(page.body.matches("<h1>").count(), 1, "{path}");
        assert_eq!(page.body.matches("<main id=\"content\"").count(), 1, "{path}");
        assert!(page.body.contains("<html lang=\"en\">") && page.body.contains("href=\"#content\""), "{path}");
        for field in page.body.split("<input ").skip(1).map(|rest| rest.split('>').next().unwrap()) {
            let hidden = field.contains("type=\"hidden\"") || field.contains("type=\"radio\"");
            let labelled = field
                .split("id=\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next())
                .is_some_and(|id| page.body.contains(&format!("<label for=\"{id}\">")));
            assert!(hidden || labelled, "{path}: {field}");
        }
    }
}

#[tokio::test]
async fn the_start_page_leads_to_the_next_step() {
    let (router, fake) = console();
    let mut olga = Browser::signed_in(&router, "olga").await;
    let mut auke = Browser::signed_in(&router, "auke").await;
    for (stage, words) in [
        (Stage::Disconnected, "Connect"),
        (Stage::SignedIn, "Continue"),
        (Stage::ChoosePeople, "Choose"),
        (Stage::ChooseRouting, "Choose"),
        (Stage::Authorize, "Authorize"),
        (Stage::InProgress, "See how far it is"),
    ] {
        fake.set(stage);
        let button = format!("<a class=\"button primary\" href=\"{}\">{words}</a>", path("connect"));
        let page = olga.get("/").await;
        assert_eq!(page.body.matches(&button).count(), 1, "{stage:?}: {}", page.body);
        assert!(!auke.get("/").await.body.contains("class=\"button primary\""), "{stage:?}");
    }
    fake.set(Stage::Connected);
    let page = olga.get("/").await;
    assert!(page.body.contains("7 of 8 steps are done"), "{}", page.body);
    assert!(page.body.contains("Check the records") && page.body.contains("2 signatures in tenants/contoso/rules"), "{}", page.body);
}

#[tokio::test]
async fn a_change_that_was_given_up_half_way_is_shown_wherever_the_connection_is() {
    let (router, fake) = console();
    let mut olga = Browser::signed_in(&router, "olga").await;
    let half = || Trouble { kind: "half-made".to_owned(), steps: Vec::new(), ..trouble("") };
    fake.set(Stage::InProgress);
    fake.adjust(|overview| {
        overview.stage = Stage::Disconnected;
        overview.trouble = Some(half());
    });
    for page in ["connect".to_owned(), "settings".to_owned()].map(|page| path(&page)) {
        let page = olga.get(&page).await;
        assert!(page.body.contains("Made the connector “Mail from Signet”."), "{}", page.body);
        assert!(page.body.contains(&format!("href=\"{}\"", path("disconnect"))), "{}", page.body);
    }
    assert!(olga.get(&path("connect")).await.body.contains("What was begun and given up"));
    fake.set(Stage::Connected);
    assert!(!olga.get(&path("connect")).await.body.contains("Authorize again"));
    fake.adjust(|overview| overview.trouble = Some(half()));
    let page = olga.get("/").await;
    for words in ["The sign-in has ended.", "Made the connector “Mail from Signet”.", "Sign in again.", "<span class=\"tag needed\">"] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    assert!(olga.get(&path("connect")).await.body.contains("Authorize again"));
}

#[tokio::test]
async fn the_start_page_says_when_a_step_waits_for_somebody() {
    let (router, fake) = console();
    let mut olga = Browser::signed_in(&router, "olga").await;
    fake.set(Stage::InProgress);
    let page = olga.get("/").await;
    assert!(page.body.contains("<span class=\"tag needed\">Action needed</span>"), "{}", page.body);
    assert!(page.body.contains("Mail-flow rule: Enable customization of the organization first."), "{}", page.body);
    assert!(page.body.contains(&format!("<a href=\"{}\">See the step and go on</a>", path("connect"))), "{}", page.body);
    fake.set(Stage::Connected);
    assert!(!olga.get("/").await.body.contains("Action needed"));
}

#[tokio::test]
async fn a_search_shows_fifty_people_and_says_when_there_are_more() {
    let (router, _) = console();
    let mut auke = Browser::signed_in(&router, "auke").await;
    let page = auke.get(&path("people?text=ada")).await;
    assert_eq!(page.body.matches("<li><a href=\"/tenants/").count(), 50 + 3);
    assert!(page.body.contains("The first 50;"), "{}", page.body);
    assert!(page.body.contains(&path("people/ada7%40contoso.example")), "{}", page.body);
    let page = auke.get(&path("people?text=zz")).await;
    assert!(page.body.contains("begins with “zz”"), "{}", page.body);
}

#[tokio::test]
async fn a_person_is_shown_with_the_signature_in_a_frame_without_an_origin() {
    let (router, fake) = console();
    let mut auke = Browser::signed_in(&router, "auke").await;
    fake.asked();
    let page = auke.get(&path("people/ada%40contoso.example")).await;
    for words in ["Head of Analysis", "<li>Sales</li>", "<code>standard</code>", "The rule “standard” matches.", "sandbox title="] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    let source = path("people/ada%40contoso.example/signature");
    assert!(page.body.contains(&format!("src=\"{source}\"")), "{}", page.body);
    let frame = auke.get(&source).await;
    assert!(frame.body.contains("<b style=\"color:#0f7b5f\">Ada Lovelace</b>"), "{}", frame.body);
    assert!(fake.asked().contains(&format!("signature {ONE} ada@contoso.example")));
}

#[tokio::test]
async fn settings_offer_what_the_role_allows() {
    let (router, fake) = console();
    fake.set(Stage::Connected);
    fake.adjust(|overview| overview.synchronised.trouble = Some(Trouble { kind: "shrunk".to_owned(), ..trouble("") }));
    for (name, synchronises, disconnects) in [("olga", true, true), ("anton", true, false), ("edda", false, false), ("auke", false, false)]
    {
        let mut browser = Browser::signed_in(&router, name).await;
        let page = browser.get(&path("settings")).await;
        assert_eq!(page.body.contains("Synchronise now"), synchronises, "{name}");
        assert_eq!(page.body.contains("Accept that people are missing"), synchronises, "{name}");
        assert_eq!(page.body.contains(&path("disconnect")), disconnects, "{name}");
        assert!(page.body.contains("4812") && page.body.contains("1400 of 5000") && page.body.contains("value=\"28\""), "{}", page.body);
    }
    fake.asked();
    let mut anton = Browser::signed_in(&router, "anton").await;
    assert_eq!(anton.post(&path("synchronise"), &[]).await.location(), path("settings"));
    assert_eq!(anton.post(&path("accept-shrink"), &[]).await.location(), path("settings"));
    assert_eq!(fake.asked(), [format!("synchronise {ONE}"), format!("accept_shrink {ONE}")]);
}

#[tokio::test]
async fn a_check_shows_what_differs_and_whom_the_two_groups_do_not_share() {
    let (router, fake) = console();
    fake.set(Stage::Connected);
    let mut auke = Browser::signed_in(&router, "auke").await;
    let page = auke.get(&path("status")).await;
    for words in ["Differs", "Mail-flow rule", "Bea", "The first 2 are shown.", ">140<", "Nobody.", "The rule is not the first."] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    let page = auke.get(&path("spf")).await;
    for words in ["include:spf.signet.example -all", "To be changed", "Will do"] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
}
