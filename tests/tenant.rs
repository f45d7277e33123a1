//! Whose mail it is: every factor that a tenant demands must agree, or nothing goes on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use signet::demo::return_host::{Action, Step};

use crate::harness::setup::STARTTLS;
use crate::harness::*;

const FROM: &str = "ada@northwind.example";
const TO: &str = "lucia@contoso.example";
const OTHER_SNI: &str = "other.smtp.signet.example";
const SOUTH: &str = "0b1c9a52-7d0e-4b86-9c41-5e2a8d6b7f10";

/// A rig whose listener has a second certificate, for `OTHER_SNI`.
fn two_names(setup: Setup) -> Setup {
    let identity = authority().issue(&[OTHER_SNI]).expect("a certificate");
    let listener = format!("{STARTTLS}\n[[listener.identity]]\ncertificate = \"tls/other.pem\"\nkey = \"tls/other.key\"");
    setup.listener(&listener).file("tls/other.pem", &identity.certificate_pem).file("tls/other.key", &identity.key_pem)
}

/// What one attempt shows; `ok` is what the tenant demands.
#[derive(Clone)]
struct Attempt {
    certificate: &'static [&'static str],
    server_name: &'static str,
    from: &'static str,
    fields: Vec<String>,
}

fn ok() -> Attempt {
    Attempt {
        certificate: &[MICROSOFT],
        server_name: SIGNET,
        from: FROM,
        fields: vec![format!("X-MS-Exchange-CrossTenant-Id: {TENANT}"), "X-Secret: swordfish".to_owned()],
    }
}

async fn attempt(rig: &Rig, attempt: &Attempt) -> Reply {
    let mut client = rig.connect().await;
    client.ehlo().await;
    let mut client = client.start_tls(&client::tls(attempt.certificate), attempt.server_name).await.expect("the handshake succeeds");
    client.ehlo().await;
    let fields: String = attempt.fields.iter().map(|field| format!("{field}\r\n")).collect();
    let mail = [fields.as_bytes(), &message(FROM, "factors", "hi\r\n")].concat();
    client.mail(attempt.from, &[TO], &mail).await
}

#[test]
fn each_factor_that_is_missing_wrong_or_doubled_refuses_the_message() {
    run(async {
        let proof = format!(
            "networks = [\"127.0.0.0/8\"]\ncertificate_names = [{MICROSOFT:?}]\nserver_names = [{SIGNET:?}]\nreverse_path = true\n\
             cross_tenant_id = true\nsecret_header = {{ name = \"X-Secret\", value = \"swordfish\" }}"
        );
        let rig = two_names(Setup::new().tenant(TenantSetup::northwind().proof(&proof))).start().await;
        attempt(&rig, &ok()).await.is("250");
        let event = rig.event();
        let agreed: Vec<_> = event.factors.iter().map(|factor| (factor.name, factor.agrees)).collect();
        let all = ["network", "certificate", "server-name", "reverse-path", "cross-tenant-id", "secret-header"];
        assert_eq!(agreed, all.map(|name| (name, true)));
        assert_eq!(event.tenant, TENANT);
        let received = rig.one();
        assert_eq!(field(&received.content, "X-Secret"), Vec::<String>::new(), "the secret must not leave");
        assert_eq!(field(&received.content, "X-MS-Exchange-CrossTenant-Id"), [TENANT]);

        let with = |fields: &[&str]| Attempt { fields: fields.iter().map(|&field| field.to_owned()).collect(), ..ok() };
        let id = format!("X-MS-Exchange-CrossTenant-Id: {TENANT}");
        let other = format!("x-ms-exchange-crosstenant-id: {SOUTH}");
        let organisation = "X-OriginatorOrg: mallory.example";
        for (number, wrong) in [
            Attempt { certificate: &[], ..ok() },
            Attempt { certificate: &["mail.protection.outlook.com.mallory.example"], ..ok() },
            Attempt { server_name: OTHER_SNI, ..ok() },
            Attempt { from: "ada@mallory.example", ..ok() },
            Attempt { from: "ada@sub.northwind.example", ..ok() },
            with(&["X-Secret: swordfish"]),
            with(&[&other, "X-Secret: swordfish"]),
            with(&[&id, &id, "X-Secret: swordfish"]),
            with(&[&id, &other, "X-Secret: swordfish"]),
            with(&[&other, &id, "X-Secret: swordfish"]),
            with(&[&id]),
            with(&[&id, "X-Secret: Swordfish"]),
            with(&[&id, "X-Secret: swordfish", "X-Secret: swordfish"]),
            with(&[&id, "X-Secret: swordfish", organisation]),
        ]
        .iter()
        .enumerate()
        {
            let reply = attempt(&rig, wrong).await;
            assert!(reply.text().starts_with("550 5.7.1"), "case {number}: {reply:?}");
            assert_eq!(rig.arrived().len(), 0, "case {number}");
            if let Some(event) = rig.events().pop() {
                assert!(event.factors.iter().any(|factor| !factor.agrees), "case {number}: {event:?}");
                assert!(!event.factors.iter().any(|factor| factor.value.contains("word")), "a secret is never logged");
                assert_eq!(event.outcome, "refused");
            }
        }
    });
}

#[test]
fn a_peer_of_no_tenant_is_refused_at_mail() {
    run(async {
        let rig = Setup::new().change(|tenant| tenant.proof = "networks = [\"192.0.2.0/24\"]".to_owned()).start().await;
        let mut client = rig.secure(&[]).await;
        for from in [FROM, "", "postmaster@mallory.example"] {
            client.command(&format!("MAIL FROM:<{from}>")).await.is("550 5.7.1");
        }
        client.command(&format!("RCPT TO:<{TO}>")).await.is("503");
    });
}

fn south() -> TenantSetup {
    TenantSetup::new(SOUTH, "southwind.example")
}

#[test]
fn two_tenants_are_told_apart_by_the_domain_of_the_reverse_path() {
    run(async {
        let rig = Setup::new().tenant(TenantSetup::northwind()).tenant(south()).start().await;
        for (from, tenant) in [(FROM, TENANT), ("sue@southwind.example", SOUTH)] {
            rig.send(from, &[TO, "b@contoso.example"], &message(from, "two", "hi\r\n")).await.is("250");
            assert_eq!(rig.event().tenant, tenant);
            assert_eq!(rig.one().recipients.len(), 2);
        }
        rig.send("m@mallory.example", &[TO], &message(FROM, "none", "hi\r\n")).await.is("550 5.7.1");
        assert_eq!(rig.arrived().len(), 0);
    });
}

#[test]
fn the_null_reverse_path_belongs_to_the_tenant_of_the_author() {
    run(async {
        let rig = Setup::new().tenant(TenantSetup::northwind()).tenant(south()).start().await;
        let mut client = rig.secure(&[]).await;
        for (author, tenant) in [(FROM, TENANT), ("sue@southwind.example", SOUTH)] {
            client.mail("<>", &[TO], &message(author, "bounce", "hi\r\n")).await.is("250");
            assert_eq!(rig.event().tenant, tenant);
            let received = rig.one();
            assert!(received.mail_from.starts_with("<>"), "{}", received.mail_from);
        }
        // Proven or not, what nobody may answer gets no signature.
        client.mail("<>", &[TO], &dkim_sign(&message(FROM, "bounce", "hi\r\n"))).await.is("250");
        assert_eq!(rig.event().passed, "null-reverse-path");
        assert_eq!(rig.arrived().len(), 1);
        client.mail("<>", &[TO], &message("m@mallory.example", "bounce", "hi\r\n")).await.is("550 5.7.1");
        let two_authors =
            String::from_utf8(message(FROM, "bounce", "hi\r\n")).unwrap().replace("From:", "From: <sue@southwind.example>\r\nFrom:");
        client.mail("<>", &[TO], two_authors.as_bytes()).await.is("550 5.7.1");
        assert_eq!(rig.arrived().len(), 0);
    });
}

#[test]
fn while_the_tenant_is_open_a_second_recipient_waits_and_the_next_hop_still_answers() {
    run(async {
        let rig = Setup::new().tenant(TenantSetup::northwind()).tenant(south()).start().await;
        let mut client = rig.secure(&[]).await;
        client.command("MAIL FROM:<>").await.is("250");
        client.command(&format!("RCPT TO:<{TO}>")).await.is("250");
        client.command("RCPT TO:<b@contoso.example>").await.is("452 4.5.3");
        client.command("DATA").await.is("354");
        client.send(client::dotted(&message(FROM, "open", "hi\r\n"))).await;
        client.reply().await.is("250");
        assert_eq!(rig.one().recipients, [format!("<{TO}>")]);
        rig.script.always(Step::Recipient, Action::Reply("550 5.1.1 unknown".to_owned()));
        client.mail("<>", &[TO], &message(FROM, "open-2", "hi\r\n")).await.is("550 5.1.1");
        assert_eq!(rig.arrived().len(), 0);
    });
}

#[test]
fn two_tenants_are_told_apart_by_the_server_name() {
    run(async {
        let proof = |name: &str| format!("networks = [\"127.0.0.0/8\"]\nserver_names = [{name:?}]\nreverse_path = false");
        let setup = Setup::new().tenant(TenantSetup::northwind().proof(&proof(SIGNET))).tenant(south().proof(&proof(OTHER_SNI)));
        let rig = two_names(setup).start().await;
        for (server_name, tenant) in [(SIGNET, TENANT), (OTHER_SNI, SOUTH)] {
            attempt(&rig, &Attempt { server_name, certificate: &[], ..ok() }).await.is("250");
            assert_eq!(rig.event().tenant, tenant);
        }
    });
}

#[test]
fn two_tenants_are_told_apart_by_the_login_and_no_login_opens_the_other() {
    run(async {
        let login = |name: &str| {
            let stored = signet::stored_keys("correct horse").unwrap();
            format!("[[tenant.login]]\nname = {name:?}\nsecret = \"{stored}\"")
        };
        let rig = Setup::new()
            .tenant(TenantSetup::northwind().proof("login = true").more(&login("north")))
            .tenant(south().proof("login = true").more(&login("south")))
            .start()
            .await;
        for (name, from, tenant) in [("north", FROM, TENANT), ("south", "sue@southwind.example", SOUTH)] {
            let mut client = rig.secure(&[]).await;
            let response = STANDARD.encode(format!("\0{name}\0correct horse"));
            client.command(&format!("AUTH PLAIN {response}")).await.is("235");
            client.mail(from, &[TO], &message(from, name, "hi\r\n")).await.is("250");
            assert_eq!(rig.event().tenant, tenant);
            let other = if name == "north" { "sue@southwind.example" } else { FROM };
            client.mail(other, &[TO], &message(other, name, "hi\r\n")).await.is("550 5.7.1");
        }
        assert_eq!(rig.arrived().len(), 2);
    });
}
