//! TLS on the way in, and logins over it.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsasl::mechanisms::scram::SCRAM_SHA256;
use rsasl::prelude::{SASLClient, SASLConfig};
use rustls::ClientConfig;
use signet::demo::materials::Authority;

use crate::harness::setup::{IMPLICIT, PLAIN, STARTTLS};
use crate::harness::*;

const FROM: &str = "ada@northwind.example";
const TO: &str = "lucia@contoso.example";

#[test]
fn tls_from_the_first_octet_takes_mail() {
    run(async {
        let rig = Setup::new().listener(IMPLICIT).start().await;
        let mut client = Client::implicit(rig.address(), &client::tls(&[]), SIGNET).await;
        let offer = client.ehlo().await;
        assert!(!offer.lines.contains(&"STARTTLS".to_owned()));
        client.mail(FROM, &[TO], &message(FROM, "implicit", "hi\r\n")).await.is("250");
        assert_eq!(rig.arrived().len(), 1);
        assert!(rig.event().tls.starts_with("TLSv1.3 "));
        // Plaintext on that port is no session.
        let mut client = Client::raw(rig.address()).await;
        client.send("EHLO a.example\r\n").await;
        assert!(!client.rest().await.starts_with(b"2"));
    });
}

fn versions(versions: &[&'static rustls::SupportedProtocolVersion]) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).expect("the settings are good");
    Arc::new(config.with_root_certificates(authority().roots().expect("the settings are good")).with_no_client_auth())
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_the_message_says_which() {
    run(async {
        let rig = Setup::new().start().await;
        for (version, word) in [(&rustls::version::TLS12, "TLSv1.2"), (&rustls::version::TLS13, "TLSv1.3")] {
            let mut client = rig.connect().await;
            client.ehlo().await;
            let mut client = client.start_tls(&versions(&[version]), SIGNET).await.unwrap();
            client.ehlo().await;
            client.mail(FROM, &[TO], &message(FROM, word, "hi\r\n")).await.is("250");
            let event = rig.event();
            assert!(event.tls.starts_with(word), "{}", event.tls);
            let received = field(&rig.one().content, "Received");
            assert!(received[0].contains(word) && received[0].contains("with ESMTPS"), "{received:?}");
        }
    });
}

/// Whether a client with these settings gets through EHLO after STARTTLS.
async fn gets_through(rig: &Rig, tls: &Arc<ClientConfig>) -> bool {
    let mut client = rig.connect().await;
    client.ehlo().await;
    match client.start_tls(tls, SIGNET).await {
        Ok(mut client) => client.try_command("EHLO mail.northwind.example").await.is_ok(),
        Err(_) => false,
    }
}

#[test]
fn a_client_certificate_is_optional_or_required_and_never_untrusted() {
    run(async {
        let stranger = Authority::new().unwrap();
        let identity = stranger.issue(&[MICROSOFT]).unwrap();
        // The stranger's certificate, and trust in our authority.
        let untrusted = {
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let chain = vec![rustls_pki_types::pem::PemObject::from_pem_slice(identity.certificate_pem.as_bytes()).unwrap()];
            let key = rustls_pki_types::pem::PemObject::from_pem_slice(identity.key_pem.as_bytes()).unwrap();
            let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
            Arc::new(builder.with_root_certificates(authority().roots().unwrap()).with_client_auth_cert(chain, key).unwrap())
        };
        let optional = Setup::new().start().await;
        assert!(gets_through(&optional, &client::tls(&[])).await);
        assert!(gets_through(&optional, &client::tls(&[MICROSOFT])).await);
        assert!(!gets_through(&optional, &untrusted).await);
        let required = Setup::new().listener(&STARTTLS.replace("optional", "required")).start().await;
        assert!(!gets_through(&required, &client::tls(&[])).await);
        assert!(gets_through(&required, &client::tls(&[MICROSOFT])).await);
        assert!(!gets_through(&required, &untrusted).await);
    });
}

#[test]
fn a_certificate_is_chosen_by_the_server_name() {
    run(async {
        let identity = authority().issue(&["northwind.smtp.signet.example"]).unwrap();
        let listener = format!("{STARTTLS}\n[[listener.identity]]\ncertificate = \"tls/sni.pem\"\nkey = \"tls/sni.key\"");
        let rig = Setup::new()
            .listener(&listener)
            .file("tls/sni.pem", &identity.certificate_pem)
            .file("tls/sni.key", &identity.key_pem)
            .start()
            .await;
        for name in [SIGNET, "northwind.smtp.signet.example"] {
            let mut client = rig.connect().await;
            client.ehlo().await;
            // The client verifies the name.
            let mut client = client.start_tls(&client::tls(&[]), name).await.unwrap();
            client.ehlo().await;
        }
    });
}

/// The password is `correct horse`.
async fn with_login() -> Rig {
    let stored = signet::stored_keys("correct horse").expect("keys");
    let login = format!("[[tenant.login]]\nname = \"printer\"\nsecret = \"{stored}\"");
    Setup::new().tenant(TenantSetup::northwind().proof("login = true\nreverse_path = true").more(&login)).start().await
}

fn plain(password: &str) -> String {
    STANDARD.encode(format!("\0printer\0{password}"))
}

#[test]
fn a_login_by_plain_proves_the_tenant() {
    run(async {
        let rig = with_login().await;
        let mut client = rig.secure(&[]).await;
        assert!(
            client
                .ehlo()
                .await
                .lines
                .iter()
                .any(|line| line.starts_with("AUTH ") && line.contains("PLAIN") && line.contains("SCRAM-SHA-256"))
        );
        client.command(&format!("MAIL FROM:<{FROM}>")).await.is("530 5.7.0");
        client.command(&format!("AUTH PLAIN {}", plain("correct horse"))).await.is("235 2.7.0");
        client.mail(FROM, &[TO], &message(FROM, "plain", "hi\r\n")).await.is("250");
        let factors = rig.event().factors;
        assert!(factors.iter().any(|factor| factor.name == "login" && factor.agrees && factor.value == "printer"), "{factors:?}");
        assert!(field(&rig.one().content, "Received")[0].contains("with ESMTPSA"));
        client.command("AUTH PLAIN").await.is("503");

        // Without an initial response.
        let mut client = rig.secure(&[]).await;
        client.command("AUTH PLAIN").await.is("334");
        client.command(&plain("correct horse")).await.is("235 2.7.0");
        client.command("MAIL FROM:<ada@elsewhere.example>").await.is("550 5.7.1");
    });
}

#[test]
fn a_login_by_scram_proves_the_tenant_and_the_server() {
    run(async {
        let rig = with_login().await;
        for (password, good) in [("correct horse", true), ("wrong horse", false)] {
            let mut client = rig.secure(&[]).await;
            let config = SASLConfig::with_credentials(None, "printer".to_owned(), password.to_owned()).unwrap();
            let mut scram = SASLClient::new(config).start_suggested(&[SCRAM_SHA256.mechanism]).unwrap();
            let mut response = Vec::new();
            scram.step(None, &mut response).unwrap();
            let mut reply = client.command(&format!("AUTH SCRAM-SHA-256 {}", STANDARD.encode(&response))).await;
            while reply.code == 334 {
                response.clear();
                let challenge = STANDARD.decode(&reply.lines[0]).unwrap();
                match scram.step(Some(&challenge), &mut response) {
                    Ok(_) => reply = client.command(&STANDARD.encode(&response)).await,
                    Err(error) => panic!("the server's part is wrong: {error}"),
                }
            }
            if good {
                reply.is("235 2.7.0");
                client.mail(FROM, &[TO], &message(FROM, "scram", "hi\r\n")).await.is("250");
                assert_eq!(rig.arrived().len(), 1);
            } else {
                reply.is("535 5.7.8");
                client.command(&format!("MAIL FROM:<{FROM}>")).await.is("530 5.7.0");
            }
        }
    });
}

#[test]
fn wrong_passwords_are_refused_and_the_third_ends_the_connection() {
    run(async {
        let rig = with_login().await;
        let mut client = rig.secure(&[]).await;
        client.command("AUTH PLAIN ???").await.is("501 5.5.2");
        client.command("AUTH PLAIN").await.is("334");
        client.command("*").await.is("501 5.7.0");
        client.command("AUTH LOGIN").await.is("504 5.5.4");
        client.command(&format!("AUTH PLAIN {}", plain("wrong"))).await.is("535 5.7.8");
        client.command(&format!("AUTH PLAIN {}", STANDARD.encode("\0nobody\0correct horse"))).await.is("535 5.7.8");
        client.command(&format!("AUTH PLAIN {}", plain(""))).await.is("421 4.7.0");
        assert!(client.closed().await);
        assert_eq!(rig.arrived().len(), 0);
    });
}

#[test]
fn nobody_may_log_in_before_tls() {
    run(async {
        let rig = with_login().await;
        let mut client = rig.connect().await;
        let offer = client.ehlo().await;
        assert!(!offer.lines.iter().any(|line| line.starts_with("AUTH")), "{offer:?}");
        client.command(&format!("AUTH PLAIN {}", plain("correct horse"))).await.is("538 5.7.11");
    });
}

#[test]
fn a_key_that_others_can_read_keeps_the_server_from_starting() {
    run(async {
        let setup = Setup::new();
        let rig = setup.start().await;
        let key = rig.folder.path().join("tls/listener.key");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = rig.reload().await.unwrap_err();
        assert!(error.contains("listener.key") && error.contains("chmod 600"), "{error}");
    });
}

#[test]
fn listeners_of_all_kinds_serve_side_by_side() {
    run(async {
        let rig = Setup::new().also_listener(IMPLICIT).also_listener(PLAIN).start().await;
        let [_, implicit, plain] = rig.server.addresses() else { panic!("three listeners") };
        let starttls = rig.secure(&[]).await;
        let implicit = Client::implicit(*implicit, &client::tls(&[]), SIGNET).await;
        let plain = Client::connect(*plain).await;
        for (mut client, id, with) in [(starttls, "starttls", "ESMTPS"), (implicit, "implicit", "ESMTPS"), (plain, "plain", "ESMTP")] {
            client.ehlo().await;
            client.mail(FROM, &[TO], &message(FROM, id, "hi\r\n")).await.is("250");
            assert!(field(&rig.one().content, "Received")[0].contains(&format!("with {with} ")));
        }
    });
}
