//! Whole calls: the hostile controller of `tests/guests/controller`, the real way out, state and recordings.

use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::super::recording::replay;
use super::super::stand_in::{Names, Server, connection, egress, hostile, plain, settings};
use super::super::words::{Cause, Change};
use super::*;
use crate::plugin::{ControlLimits, Engine};

/// One component for all tests, with little processor time so that endless guests end soon.
fn controller() -> Arc<Controller> {
    static CONTROLLER: LazyLock<Arc<Controller>> = LazyLock::new(|| {
        let limits = ControlLimits { deadline: Duration::from_millis(500), host_calls: 2000, memory: 64 << 20, ..ControlLimits::default() };
        let engine = Engine::new(&limits.engine()).expect("the engine starts");
        Arc::new(Controller::load(&engine, hostile(), &limits).unwrap_or_else(|error| panic!("{error}")))
    });
    Arc::clone(&CONTROLLER)
}

fn caller(egress: Arc<Egress>, recordings: Option<PathBuf>) -> Caller {
    Caller::new(controller(), egress, Store::in_memory().expect("open"), recordings)
}

fn alone() -> Caller {
    caller(egress(settings(&[]), Names::default(), ""), None)
}

async fn act(caller: &Caller, script: &str) -> Result<String, CallError> {
    caller.check_administrator(&connection("https://graph.example"), script).await.map(|found| found.explanation)
}

async fn seen(caller: &Caller, script: &str) -> String {
    act(caller, script).await.unwrap_or_else(|error| panic!("{script}: {error}"))
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("signet-control-{}-{name}", std::process::id()));
    drop(std::fs::remove_dir_all(&folder));
    folder
}

#[tokio::test]
async fn every_call_has_its_answer_in_the_products_words() {
    let caller = alone();
    let about = connection("https://graph.example");
    assert_eq!(controller().description().name, "hostile");
    let organisation = caller.read_organisation(&about).await.expect("answered");
    assert_eq!((organisation.id.as_str(), organisation.initial_domain.as_str()), ("north", "example.org"));
    for part in ["Routing::Group(\"g\")", "in.signet.example", "the-tenants-secret-word", "size-limit: 1", "https://graph.example"] {
        assert!(organisation.name.contains(part), "{part}: {}", organisation.name);
    }
    assert_eq!(caller.find_groups(&about, "sal", 3).await.expect("answered").len(), 3);
    let error = caller.find_groups(&about, "too many", 3).await.expect_err("it is more than asked for");
    assert_eq!(error.to_string(), "the plugin's answer is not usable: 4 groups; at most 3 are allowed");
    assert_eq!(caller.read_group(&about, "7").await.expect("answered").id, "7");
    let plan = caller.make_plan(&about, Goal::Disconnect).await.expect("answered");
    assert_eq!((plan.steps[0].id.as_str(), plan.steps[0].differences[0].after.as_str()), ("only-step", "true"));
    for (step, trial, expected) in [
        ("again", Trial::None, Outcome::Again { seconds: 7, reason: "Soon.".to_owned() }),
        ("ask", Trial::None, Outcome::ActionNeeded("Line 1\nLine 2".to_owned())),
        ("probe", Trial::None, Outcome::Probe("probe@example.org".to_owned())),
        ("probe", Trial::Passed, Outcome::Done(vec!["Trial::Passed".to_owned()])),
        ("x", Trial::None, Outcome::Done(Vec::new())),
    ] {
        assert_eq!(caller.apply_step(&about, Goal::Connect, step, trial).await.expect("answered"), expected);
    }
    assert_eq!(caller.write_script(&about, Goal::Connect).await.expect("answered"), "# A script\nGet-Date\n");
    assert_eq!(caller.read_photo(&about, "1", None).await.expect("answered").expect("a picture").content, b"GIF89a\xff");
    assert_eq!(caller.read_photo(&about, "1", Some("1")).await.expect("answered"), None);
    let status = caller.read_status(&about).await.expect("answered");
    assert_eq!((status.routed_only[0].name.as_str(), status.notes[0].as_str()), ("Ada", "a b"));
    let advice = caller.advise_spf(&about, "example.org", vec!["v=spf1 -all".to_owned()]).await.expect("answered");
    assert_eq!(advice.publish, "v=spf1 include:spf.signet.example -all");
}

#[tokio::test]
async fn a_problem_is_cleaned_for_people() {
    let error = act(&alone(), "fail").await.expect_err("it fails");
    let CallError::Failed(Failed::Problem(problem)) = error else { panic!("{error:?}") };
    assert_eq!((problem.detail.as_str(), problem.next_step.as_str()), ("It was  told to.", "Try again."));
    assert_eq!((problem.cause, problem.wait), (Cause::Other("test".to_owned()), Some(86_400)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hostile_call_ends_in_its_outcome_class_and_the_next_is_fine() {
    let caller = alone();
    for (script, class) in
        [("loop", "deadline"), ("bomb", "memory"), ("panic", "trap"), ("chatter", "host-calls"), ("clocks", "host-calls")]
    {
        let start = Instant::now();
        let error = act(&caller, script).await.expect_err(script);
        assert!(matches!(&error, CallError::Failed(Failed::Fault(fault)) if fault.as_str() == class), "{script}: {error:?}");
        assert!(start.elapsed() < Duration::from_secs(20), "{script} took {:?}", start.elapsed());
        assert_eq!(seen(&caller, "write a 1\nread a").await, "Ok(()) | 1", "after {script}");
    }
}

#[tokio::test]
async fn the_list_is_in_force_for_the_guest() {
    let server = Server::echo().await;
    let (address, port) = (server.address, server.address.port());
    let rules = [format!("GET http://{address}/v1.0/"), format!("GET https://inside.example:{port}/")];
    let names = Names::default().with("inside.example", &[&["10.0.0.1"], &["127.0.0.1"]]);
    let caller = caller(egress(settings(&rules), names, &server.url("")), None);
    for (script, expected) in [
        (format!("send GET http://{address}/v1.0/users -"), "200 "),
        (format!("send POST http://{address}/v1.0/users -"), "the method"),
        (format!("send DELETE http://{address}/v1.0/users -"), "the method"),
        (format!("send GET http://{address}/beta/users -"), "the path"),
        (format!("send GET http://{address}/v1.0/../beta -"), "normal form"),
        (format!("send GET http://{address}/v1.0/%2e%2e/beta -"), "normal form"),
        ("send GET http://127.0.0.1:1/v1.0/ -".to_owned(), "the port"),
        (format!("send GET https://{address}/v1.0/ -"), "the scheme"),
        (format!("send GET http://127.0.0.2:{port}/v1.0/ -"), "the host"),
        (format!("send GET http://localhost:{port}/v1.0/ -"), "the host"),
        (format!("send GET https://inside.example:{port}/ -"), "the address 10.0.0.1 of `inside.example` is not public"),
        (format!("send GET http://{address}/v1.0/ - Authorization:Bearer-x"), "is the host's"),
        (format!("send GET http://{address}/v1.0/ - hOsT:evil.example"), "is the host's"),
        (format!("send GET http://{address}/v1.0/ - Cookie:a=b"), "is the host's"),
        (format!("send GET http://{address}/v1.0/ administrator"), "nobody has signed in for `administrator`"),
    ] {
        let found = seen(&caller, &script).await;
        assert!(found.contains(expected), "{script}: {found}");
    }
    assert_eq!(server.count(), 1, "one request was allowed");
}

#[tokio::test]
async fn the_guest_never_sees_the_token() {
    let server = Server::start("127.0.0.1:0", None, |request| plain("200 OK", "", request)).await;
    let caller = caller(egress(settings(&[format!("GET {}", server.url("/"))]), Names::default(), &server.url("")), None);
    let found = seen(&caller, &format!("send GET {} directory", server.url("/"))).await;
    assert!(found.contains("authorization: Bearer [credential]") && !found.contains("token-of"), "{found}");
}

#[tokio::test]
async fn a_guest_that_follows_a_redirect_meets_the_list_again() {
    let secret = Server::echo().await;
    let to = format!("Location: {}\r\n", secret.url("/"));
    let server = Server::start("127.0.0.1:0", None, move |_| plain("307 Temporary Redirect", &to, "")).await;
    let caller = caller(egress(settings(&[format!("GET {}", server.url("/"))]), Names::default(), ""), None);
    let found = seen(&caller, &format!("follow {}", server.url("/"))).await;
    assert!(found.starts_with(&secret.url("/")) && found.contains("the port"), "{found}");
    assert_eq!(secret.count(), 0);
}

#[tokio::test]
async fn bodies_state_and_requests_are_bounded() {
    let large = "x".repeat(8 << 20);
    let server = Server::start("127.0.0.1:0", None, move |request| match request.split(' ').nth(1) {
        Some("/large") => plain("200 OK", "", &large),
        Some("/larger") => plain("200 OK", "", &format!("{large}x")),
        _ => plain("200 OK", "", ""),
    })
    .await;
    let settings = super::super::egress::EgressSettings { requests: 5, ..settings(&[format!("GET,POST {}", server.url("/"))]) };
    let caller = caller(egress(settings, Names::default(), ""), None);
    for (script, expected) in [
        (format!("length {}", server.url("/large")), "8388608"),
        (format!("length {}", server.url("/larger")), "HttpError::TooLarge(8388608)"),
        (format!("post {} 1048576", server.url("/")), "200"),
        (format!("post {} 1048577", server.url("/")), "a body of 1048577 octets; at most 1048576 are sent"),
        (format!("storm {}", server.url("/")), "5 HttpError::Exhausted(5)"),
        ("hoard".to_owned(), "15 the tenant's state would have 16777"),
        ("long-key".to_owned(), "a key of 257 octets; 1 to 256 are allowed"),
    ] {
        let found = seen(&caller, &script).await;
        assert!(found.contains(expected), "{script}: {}", &found[..found.len().min(300)]);
    }
}

#[tokio::test]
async fn waiting_for_the_network_is_not_the_guests_time() {
    let server = Server::start("127.0.0.1:0", None, |_| {
        std::thread::sleep(Duration::from_millis(700));
        plain("200 OK", "", "late")
    })
    .await;
    let caller = caller(egress(settings(&[format!("GET {}", server.url("/"))]), Names::default(), ""), None);
    let script = format!("send GET {0} -\nsend GET {0} -", server.url("/"));
    let start = Instant::now();
    assert_eq!(seen(&caller, &script).await.matches("late").count(), 2);
    assert!(start.elapsed() > Duration::from_millis(1200), "twice longer than the deadline");
}

#[tokio::test]
async fn state_is_kept_when_a_call_ends_well_and_only_then() {
    let caller = alone();
    assert_eq!(
        seen(&caller, "write a/1 one\nwrite a/2 two\nwrite b three\nkeys a/\nread a/1").await,
        "Ok(()) | Ok(()) | Ok(()) | a/1,a/2 | one"
    );
    for script in ["write a/1 lost\nremove b\nfail", "write a/1 lost\npanic", "write a/1 lost\nloop"] {
        assert!(act(&caller, script).await.is_err(), "{script}");
    }
    assert_eq!(seen(&caller, "read a/1\nkeys \nremove b\nread b").await, "one | a/1,a/2,b |  | none");
    assert_eq!(seen(&caller, "keys ").await, "a/1,a/2");
    let other = Connection { tenant: "south".to_owned(), ..connection("https://graph.example") };
    assert_eq!(caller.check_administrator(&other, "keys ").await.expect("answered").explanation, "");
}

#[tokio::test]
async fn the_clock_stands_still_in_a_call() {
    let times = seen(&alone(), "now").await;
    let (first, second) = times.split_once(' ').expect("two times");
    assert_eq!(first, second);
    assert!(first.parse::<u64>().expect("a number") > 1_700_000_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_than_instances_wait_for_their_turn() {
    let caller = alone();
    let calls: Vec<_> = (0..3 * CALLS)
        .map(|_| {
            let caller = caller.clone();
            tokio::spawn(async move { act(&caller, "now").await.is_ok() })
        })
        .collect();
    for call in calls {
        assert!(call.await.expect("it ends"));
    }
}

fn recordings(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    found.sort();
    found
}

#[tokio::test]
async fn a_recording_has_no_secrets_and_replays_to_the_octet() {
    let server = Server::start("127.0.0.1:0", None, |request| {
        let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
        plain("200 OK", "", &format!("{{\"@odata.deltaLink\":\"http://{host}/v1.0/users/delta?$deltatoken=OpaqueOfService\"}}"))
    })
    .await;
    let folder = folder("replay");
    let caller = caller(egress(settings(&[format!("GET {}", server.url("/"))]), Names::default(), &server.url("")), Some(folder.clone()));
    let about = connection(&server.url(""));
    let first = caller.sync_page(&about, None).await.expect("a page");
    assert_eq!(first.changes[1], Change::Member { group: "g".to_owned(), member: "1".to_owned() });
    assert!(first.restarted && String::from_utf8_lossy(&first.cursor).ends_with("OpaqueOfService"), "the plugin gets the real one");
    caller.sync_page(&about, Some(first.cursor)).await.expect("another page");
    act(&caller, "keys l\nread y\nwrite x y\nremove x\nnow\nsend GET https://evil.example/ -").await.expect("answered");
    assert!(act(&caller, "fail").await.is_err());
    assert!(act(&caller, "panic").await.is_err());
    let files = recordings(&folder);
    assert_eq!(files.len(), 5);
    for file in &files {
        let text = std::fs::read_to_string(file).expect("it can be read");
        for secret in ["OpaqueOfService", "the-tenants-secret-word", "token-of-"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert_eq!(replay(file, &controller()).expect("it replays"), Vec::<String>::new(), "{}", file.display());
    }
    let page = std::fs::read_to_string(&files[1]).expect("it can be read");
    assert!(page.contains("delta?$deltatoken=redacted-2\"") && page.contains("\"line\":\"next redacted-2\""), "{page}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&files[0]).expect("a file").permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&folder).expect("a folder").permissions().mode() & 0o777, 0o700);
    }
    std::fs::remove_dir_all(folder).expect("removed");
}

#[tokio::test]
async fn a_replay_says_how_a_call_went_differently() {
    let server =
        Server::start("127.0.0.1:0", None, |_| plain("200 OK", "", "{\"next\":\"http://a.example/?$deltatoken=OpaqueOfService\"}")).await;
    let folder = folder("differs");
    let caller = caller(egress(settings(&[format!("GET {}", server.url("/"))]), Names::default(), &server.url("")), Some(folder.clone()));
    caller.sync_page(&connection(&server.url("")), None).await.expect("a page");
    let file = recordings(&folder).pop().expect("a recording");
    let text = std::fs::read_to_string(&file).expect("it can be read");
    for (from, to, expected) in [
        ("\"method\":\"GET\"", "\"method\":\"POST\"", "line 2: it does {\"request\":{"),
        ("\"key\":\"last\"", "\"key\":\"first\"", "line 4: it does {\"write\":{"),
        ("\"id\":\"1\"", "\"id\":\"2\"", "it ended otherwise"),
    ] {
        std::fs::write(&file, text.replace(from, to)).expect("written");
        let differences = replay(&file, &controller()).expect("it replays");
        assert!(differences.iter().any(|difference| difference.contains(expected)), "{from}: {differences:?}");
    }
    let cut: String = text.lines().take(2).map(|line| format!("{line}\n")).collect();
    for (damaged, reason) in [(cut.as_str(), "the end of the call is missing"), ("", "not a call"), ("{}\n", "line 1")] {
        std::fs::write(&file, damaged).expect("written");
        let error = replay(&file, &controller()).expect_err(reason).to_string();
        assert!(error.contains(reason), "{error}");
    }
    std::fs::remove_dir_all(folder).expect("removed");
}
