use proptest::prelude::*;
use rsasl::prelude::SASLClient;

use super::*;

const DECOY: [u8; KEY] = [7; KEY];

fn keys(password: &str) -> StoredKeys {
    StoredKeys::derive(password, b"0123456789abcdef", MIN_ITERATIONS).unwrap()
}

fn logins() -> Arc<Logins> {
    Arc::new(Logins::new([("joe".to_owned(), keys("secret")), ("ann@example.com".to_owned(), keys("pencil"))], &DECOY).unwrap())
}

fn run(exchange: Exchange, response: &[u8]) -> Outcome {
    Attempt::new(exchange, STANDARD.encode(response).as_bytes()).unwrap().run(&logins())
}

fn plain(response: &str) -> Option<String> {
    match run(Exchange::new(Mechanism::Plain), response.as_bytes()) {
        Outcome::Success(login) => Some(login.to_string()),
        Outcome::Failure => None,
        Outcome::Continue(..) => panic!("PLAIN has one step"),
    }
}

/// A whole SCRAM exchange with the client of the library.
fn scram(authzid: Option<&str>, name: &str, password: &str) -> Option<String> {
    let config = SASLConfig::with_credentials(authzid.map(str::to_owned), name.to_owned(), password.to_owned()).unwrap();
    let mut client = SASLClient::new(config).start_suggested(&[SCRAM_SHA256.mechanism]).unwrap();
    let mut exchange = Exchange::new(Mechanism::ScramSha256);
    let mut challenge = None;
    loop {
        let mut response = Vec::new();
        client.step(challenge.as_deref(), &mut response).ok()?;
        match run(exchange, &response) {
            Outcome::Continue(next, octets) => (exchange, challenge) = (next, Some(octets)),
            Outcome::Success(login) => return Some(login.to_string()),
            Outcome::Failure => return None,
        }
    }
}

#[test]
fn plain_checks_the_password() {
    for (response, login) in [
        ("\0joe\0secret", Some("joe")),
        ("joe\0joe\0secret", Some("joe")),
        ("\0ann@example.com\0pencil", Some("ann@example.com")),
        ("ann@example.com\0joe\0secret", None),
        ("\0joe\0Secret", None),
        ("\0joe\0", None),
        ("\0\0secret", None),
        ("\0nobody\0secret", None),
        ("\0JOE\0secret", None),
        ("\0joe\0secret\0", None),
        ("joe\0secret", None),
        ("", None),
        ("\0", None),
    ] {
        assert_eq!(plain(response).as_deref(), login, "{response:?}");
    }
}

#[test]
fn scram_checks_the_password() {
    assert_eq!(scram(None, "joe", "secret").as_deref(), Some("joe"));
    assert_eq!(scram(Some("joe"), "joe", "secret").as_deref(), Some("joe"));
    assert_eq!(scram(Some("ann@example.com"), "joe", "secret"), None);
    assert_eq!(scram(None, "joe", "Secret"), None);
    assert_eq!(scram(None, "nobody", "secret"), None);
}

#[test]
fn scram_needs_the_final_acknowledgement() {
    let exchange = Exchange(Stage::Proven("joe".into()));
    assert!(matches!(run(exchange, b"x"), Outcome::Failure));
    assert!(matches!(run(Exchange(Stage::Proven("joe".into())), b""), Outcome::Success(_)));
}

#[test]
fn malformed_scram_messages_fail() {
    for first in [
        "",
        "n",
        "n,",
        "n,,",
        "n,,n",
        "n,,n=",
        "n,,n=joe",
        "n,,n=joe,",
        "n,,n=joe,r",
        "n,,n=joe,r=",
        "n,a,n=joe,r=abc",
        "n,a=,n=joe,r=abc",
        "x,,n=joe,r=abc",
        "p=tls-unique,,n=joe,r=abc",
        "n,,m=x,n=joe,r=abc",
        "n,,r=abc,n=joe",
        "n,,n=joe,r=abc,x",
        ",,,",
        "n,,,",
    ] {
        assert!(matches!(run(Exchange::new(Mechanism::ScramSha256), first.as_bytes()), Outcome::Failure), "{first:?}");
    }
    for last in [
        "",
        "c",
        "c=",
        "c=biws",
        "c=biws,r",
        "c=biws,r=abc",
        "c=biws,r=abc,p",
        "c=biws,r=abc,p=",
        "c=biws,r=abc,p=x,",
        "c=!,r=abc,p=AAAA",
        ",,,",
    ] {
        let Outcome::Continue(exchange, _) = run(Exchange::new(Mechanism::ScramSha256), b"n,,n=joe,r=abc") else { panic!() };
        assert!(matches!(run(exchange, last.as_bytes()), Outcome::Failure), "{last:?}");
    }
}

#[test]
fn unknown_names_look_like_known_ones() {
    let challenge = |name: &str| {
        let Outcome::Continue(_, octets) = run(Exchange::new(Mechanism::ScramSha256), format!("n,,n={name},r=abc").as_bytes()) else {
            panic!()
        };
        String::from_utf8(octets).unwrap().split_once(",s=").unwrap().1.to_owned()
    };
    assert_eq!(challenge("nobody"), challenge("nobody"));
    assert_ne!(challenge("nobody"), challenge("noone"));
    assert_eq!(challenge("nobody").len(), challenge("joe").len());
    assert!(challenge("nobody").ends_with(",i=4096"));
}

#[test]
fn responses_are_base64() {
    for line in [&b"!"[..], b"YQ", b"YQ= ", b"YQ==="] {
        assert_eq!(Attempt::new(Exchange::new(Mechanism::Plain), line).unwrap_err(), AuthError::Base64);
    }
}

#[test]
fn the_stored_form_is_that_of_postgresql() {
    // RFC 7677 section 3: user "user", password "pencil".
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let keys = StoredKeys::derive("pencil", &salt, 4096).unwrap();
    let text = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    assert_eq!(keys.to_string(), text);
    assert_eq!(text.parse::<StoredKeys>().unwrap(), keys);
    assert!(!format!("{keys:?}").contains("W22Z"));
}

#[test]
fn malformed_stored_forms_are_refused() {
    let good = keys("secret").to_string();
    for text in ["", "md5abc", "SCRAM-SHA-1$4096:x$y:z", &good.replace("4096", "x"), &good.replace(':', ";"), &good[..good.len() - 2]] {
        assert_eq!(text.parse::<StoredKeys>(), Err(AuthError::Stored), "{text}");
    }
    assert_eq!(good.replace("4096", "4095").parse::<StoredKeys>(), Err(AuthError::Iterations(4095)));
    assert_eq!(good.replace("4096", "4000000000").parse::<StoredKeys>(), Err(AuthError::Iterations(4_000_000_000)));
    assert_eq!(StoredKeys::derive("secret", b"short", MIN_ITERATIONS), Err(AuthError::Salt(5)));
    assert_eq!(StoredKeys::derive("", b"0123456789abcdef", MIN_ITERATIONS), Err(AuthError::Password));
    assert_eq!(StoredKeys::derive("größer", b"0123456789abcdef", MIN_ITERATIONS), Err(AuthError::Password));
    for name in ["", "a b", "a,b", "a=b", "jörg", "a\0"] {
        assert_eq!(Logins::new([(name.to_owned(), keys("secret"))], &DECOY).unwrap_err(), AuthError::Name(name.to_owned()));
    }
}

proptest! {
    #[test]
    fn no_response_makes_the_mechanisms_panic(first in "[npy]?,?(a=)?[a-z]{0,2},?(n=|m=|r=)?[a-z]{0,3},?(r=)?[a-z]{0,3},?[a-z=]{0,3}", last in "(c=|p=|,)?[a-z]{0,4},?(r=)?[ -~]{0,6},?(p=)?[A-Za-z=]{0,50}") {
        prop_assert!(plain(&first).is_none());
        match run(Exchange::new(Mechanism::ScramSha256), first.as_bytes()) {
            Outcome::Continue(exchange, _) => prop_assert!(matches!(run(exchange, last.as_bytes()), Outcome::Failure)),
            Outcome::Failure => {}
            Outcome::Success(_) => prop_assert!(false),
        }
        let Outcome::Continue(exchange, _) = run(Exchange::new(Mechanism::ScramSha256), b"n,,n=joe,r=abc") else { panic!() };
        prop_assert!(matches!(run(exchange, last.as_bytes()), Outcome::Failure));
    }
}
