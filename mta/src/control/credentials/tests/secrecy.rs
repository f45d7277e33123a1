//! Nothing that is printed holds a secret, whatever the secret is.

use proptest::prelude::*;

use super::key::{Client, Evidence};
use super::secret::Secret;
use super::token::Issued;
use super::*;

proptest! {
    #[test]
    fn no_printed_form_holds_a_secret(text in "[A-Za-z0-9~_-]{12,60}") {
        let secret = || Secret::new(text.clone());
        let folder = folder();
        let file = folder.join("file");
        fs::write(&file, &text).unwrap();
        let resource = Arc::new("https://graph.microsoft.com".parse::<Url>().unwrap());
        let bearer = Bearer::new(secret(), Arc::clone(&resource), later(60));
        let issued = || Issued { access: secret(), refresh: Some(secret()), id_token: Some(secret()), expires: later(60) };
        let delegation = Delegation::new(issued(), resource, now());
        let application = Application { client_id: SETUP, credential: Credential::Secret(file.clone()) };
        let printed = [
            format!("{:?}", secret()),
            format!("{bearer:?} {bearer} {bearer:#?}"),
            format!("{:?}", issued()),
            format!("{delegation:#?}"),
            format!("{:?}", Slot::holding(bearer.clone(), now())),
            format!("{:?}", Client::load(&application).unwrap()),
            format!("{:?} {:?}", Evidence::Secret(secret()), Evidence::Assertion(secret())),
            format!("{:?}", BrowserBinding::of(text.as_bytes())),
        ];
        fs::remove_dir_all(&folder).unwrap();
        for printed in printed {
            prop_assert!(!printed.contains(&text), "{}", printed);
        }
        prop_assert_eq!(&*bearer.authorization(), &format!("Bearer {text}"));
    }
}

#[tokio::test]
async fn all_credentials_printed_hold_no_secret_and_no_state() {
    let service = Service::start().await;
    let credentials = service.credentials();
    let url = credentials.begin(None, Purpose::SignIn, BrowserBinding::of(b"cookie"), now()).unwrap();
    let values: HashMap<String, String> = url.query_pairs().into_owned().collect();
    service.reply(Reply::token("first", &["User.Read.All"], 3599));
    credentials.bearer(TENANT, DIRECTORY, now()).await.unwrap();
    let printed = format!("{credentials:#?} {:?} {:?} {:?}", credentials.pending, credentials.delegations, credentials.directory);
    for secret in [SECRET_VALUE, &values["state"], &values["nonce"], &access_token("first", &["User.Read.All"])] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn errors_hold_no_more_of_the_service_s_words_than_a_log_may_see() {
    let hostile = format!("bad\r\nevent=forged {}", "x".repeat(1000));
    let refusal = answer::Refusal::redirected(&hostile, "AADSTS1 Correlation ID: <b>");
    let said = refusal.explain(None).said.unwrap();
    assert_eq!(said.error.len(), 64);
    assert!(said.error.starts_with("badeventforgedxx"), "{}", said.error);
    assert_eq!((said.numbers, said.correlation), (vec![1], None));
}
