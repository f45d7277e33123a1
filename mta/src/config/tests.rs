mod folder;

use std::time::Duration;

use folder::{Folder, now};
use proptest::prelude::*;

use super::{Config, FaultPolicy, ListenerTls, Unaligned};
use crate::address::{Domain, Mailbox};
use crate::tls::{ClientAuthentication, Roots};

const EXAMPLE: &str = include_str!("../../../config/signet.toml");
const MINIMAL: &str = include_str!("../../../config/minimal.toml");

/// A whole small configuration, one setting a line.
const BASE: &str = r#"version = 1
hostname = "mx.signet.example"

[limits]
message_size = "150 MB"

[[listener]]
address = "0.0.0.0:25"
tls = "starttls"
certificate = "tls/mx.pem"
key = "tls/mx.key"
client_certificate = "optional"
client_roots = "tls/roots.pem"

[timeouts]
server = "5 min"

[[tenant]]
id = "one"
domains = ["one.example"]
[tenant.proof]
certificate_names = ["*.one.example"]
[[tenant.seal.key]]
domain = "one.example"
selector = "s"
file = "secrets/dkim.pem"
[tenant.return]
host = "one.next.example"
port = 25
roots = "tls/roots.pem"

[[tenant]]
id = "two"
domains = ["two.example"]
[tenant.proof]
networks = ["192.0.2.0/24"]
[tenant.return]
host = "127.0.0.1"
plaintext_loopback = true
"#;

/// The findings for BASE with each first text of a pair replaced by the second.
fn findings(folder: &Folder, edits: &[(&str, &str)]) -> String {
    findings_in(folder, BASE, edits)
}

fn findings_in(folder: &Folder, base: &str, edits: &[(&str, &str)]) -> String {
    let text = edits.iter().fold(base.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from:?} is not in the base configuration");
        text.replacen(from, to, 1)
    });
    let path = folder.write("signet.toml", text.as_bytes());
    match Config::load_at(&path, now()) {
        Ok(config) if config.warnings.is_empty() => "accepted".to_owned(),
        Ok(config) => {
            let warnings: Vec<String> = config.warnings.iter().map(|warning| format!("warning: {warning}")).collect();
            folder.shorten(&warnings.join("\n"))
        }
        Err(errors) => folder.shorten(&errors.to_string()),
    }
}

/// What is tried, and the edits to BASE.
type Cases = &'static [(&'static str, &'static [(&'static str, &'static str)])];

fn table(cases: &[(&str, &[(&str, &str)])]) -> String {
    let folder = Folder::new();
    cases.iter().map(|(name, edits)| format!("== {name}\n{}\n", findings(&folder, edits))).collect()
}

#[test]
fn the_example_loads_with_every_value_in_its_place() {
    let folder = Folder::new();
    // The machine that runs the tests may trust nobody.
    let path = folder.secret("signet.toml", EXAMPLE.replace("\"system\"", "\"tls/roots.pem\"").as_bytes());
    let config = match Config::load_at(&path, now()) {
        Ok(config) => config,
        Err(errors) => panic!("{}", folder.shorten(&errors.to_string())),
    };
    let warnings: Vec<String> = config.warnings.iter().map(|warning| folder.shorten(&warning.to_string())).collect();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(config.hostname.as_str(), "mx.signet.example");
    assert_eq!(config.limits.message_size, 150_000_000);
    assert_eq!(config.listeners.len(), 3);
    let ListenerTls::StartTls { settings, required: true } = &config.listeners[0].tls else { panic!("it is a STARTTLS listener") };
    assert_eq!(settings.certificates.len(), 2);
    assert_eq!(settings.client, ClientAuthentication::Optional(Roots::File(folder.path("tls/roots.pem"))));
    let control = config.control.as_ref().expect("it has a control plane");
    assert_eq!(control.egress.len(), 4);
    assert_eq!(control.egress[1].to_string(), "GET,POST,DELETE https://graph.microsoft.com:443/v1.0/domains");
    assert_eq!(control.synchronise_every, Duration::from_secs(900));
    assert!(matches!(control.setup.credential, super::ApplicationCredential::Secret(_)));
    let console = config.console.as_ref().expect("it has a console");
    assert_eq!((console.url.as_str(), console.tls.is_some()), ("https://signet.example", true));
    assert_eq!((console.users[0].name.as_str(), console.users[0].role), ("ada", super::Role::Owner));
    let connection = config.tenants[0].connection.as_ref().expect("the tenant is to be connected");
    assert_eq!(connection.certificate_domain.as_str(), "k7q2m4x9.smtp.signet.example");
    assert_eq!((connection.size_limit, connection.photos, config.tenants[1].connection.is_some()), (35_000_000, false, false));
    let [microsoft, works] = &config.tenants[..] else { panic!("there are two tenants") };
    assert_eq!(microsoft.proof.cross_tenant_id.as_deref(), Some("3b4a7a2c-6a35-4c0a-9d0e-2f3b8a1c5d7e"));
    assert_eq!(microsoft.proof.secret_header.as_ref().map(|header| header.value.as_str()), Some("a-long-random-word"));
    assert_eq!((microsoft.unaligned, microsoft.fault), (Unaligned::RelayUnsigned, FaultPolicy::RelayUnsigned));
    assert_eq!(microsoft.zone.name(), "Europe/Berlin");
    let templates: Vec<&str> = microsoft.templates.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(templates, ["plain/standard.txt", "standard.html"]);
    assert_eq!((microsoft.assets[0].name.as_str(), microsoft.assets[0].media_type.as_str()), ("logo.png", "image/png"));
    assert_eq!(microsoft.seal.arc_key.as_ref().map(|key| key.selector.as_str()), Some("arc"));
    assert!(microsoft.directory.contains(&Mailbox::parse("ADA@example.com").expect("it is an address")));
    assert_eq!(works.directory.people(), 1);
    assert_eq!(works.logins.iter().map(|login| login.name.as_str()).collect::<Vec<_>>(), ["printer", "crm"]);
    assert_eq!(works.route.tls, None);
}

/// BASE with a control plane, a console and a tenant that is connected.
const CONTROLLED: &str = r#"
[state]
directory = "state"
[control]
egress = ["GET https://graph.microsoft.com/v1.0/users"]
[control.synchronisation]
client_id = "6f1d2c3b-4a59-4687-8796-a5b4c3d2e1f0"
secret_file = "secrets/setup.txt"
[control.setup]
client_id = "6f1d2c3b-4a59-4687-8796-a5b4c3d2e1f1"
certificate = "tls/entra.pem"
key = "tls/entra.key"
[console]
address = "127.0.0.1:9726"
[[console.user]]
name = "ada"
role = "owner"
secret_file = "secrets/crm.txt"
[[tenant]]
id = "3b4a7a2c-6a35-4c0a-9d0e-2f3b8a1c5d7e"
domains = ["three.example"]
[tenant.proof]
networks = ["198.51.100.0/24"]
[tenant.seal.loop]
key_file = "secrets/loop.key"
word = "v4Jq7GZ9mT2c"
[tenant.connection]
certificate_domain = "k7q2m4x9.smtp.signet.example"
[tenant.return]
host = "three.next.example"
roots = "tls/roots.pem"
certificate = "tls/example.pem"
key = "tls/example.key"
"#;

#[test]
fn mistakes_in_the_control_plane_name_the_place_and_the_way_out() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("as it should be", &[]),
        ("no place for what is known", &[("[state]\ndirectory = \"state\"\n", "")]),
        ("an unknown method", &[("GET https://graph.microsoft.com/v1.0/users", "FETCH https://graph.microsoft.com/")]),
        ("http to another machine", &[("GET https://graph.microsoft.com", "GET http://192.0.2.7")]),
        ("an application without a credential", &[("secret_file = \"secrets/setup.txt\"\n", "")]),
        ("two credentials", &[("key = \"tls/entra.key\"", "key = \"tls/entra.key\"\nsecret_file = \"secrets/setup.txt\"")]),
        ("a client id that is none", &[("\"6f1d2c3b-4a59-4687-8796-a5b4c3d2e1f0\"", "\"signet\"")]),
        ("a console for everybody without TLS", &[("127.0.0.1:9726", "192.0.2.1:9726")]),
        ("nobody who may connect", &[("role = \"owner\"", "role = \"auditor\"")]),
        ("nobody", &[("[[console.user]]\nname = \"ada\"\nrole = \"owner\"\nsecret_file = \"secrets/crm.txt\"\n", "")]),
        ("an unknown role", &[("\"owner\"", "\"root\"")]),
        ("a connection without a word", &[("word = \"v4Jq7GZ9mT2c\"\n", "")]),
        ("an id that is no tenant's", &[("\"3b4a7a2c-6a35-4c0a-9d0e-2f3b8a1c5d7e\"", "\"three\"")]),
        ("no certificate of its own", &[("certificate_domain = \"k7q2m4x9.smtp.signet.example\"\n", "")]),
        ("a certificate with another name", &[("\"k7q2m4x9.smtp", "\"k8.smtp")]),
        ("no certificate", &[("certificate = \"tls/example.pem\"\nkey = \"tls/example.key\"\n", "")]),
        ("nothing may be sent", &[("egress = [\"GET https://graph.microsoft.com/v1.0/users\"]\n", "")]),
        ("a term that is none", &[("[tenant.connection]\n", "[tenant.connection]\nspf_term = \"v=spf1 -all\"\n")]),
        ("a time without a unit", &[("[control]\n", "[control]\nsynchronise_every = 15\n")]),
    ];
    let folder = Folder::new();
    let base = format!("{BASE}{CONTROLLED}");
    let told = cases.iter().map(|(name, edits)| format!("== {name}\n{}\n", findings_in(&folder, &base, edits)));
    insta::assert_snapshot!(told.collect::<String>());
}

#[test]
fn the_example_repeats_the_defaults() {
    let folder = Folder::new();
    let path = folder.secret("signet.toml", EXAMPLE.replace("\"system\"", "\"tls/roots.pem\"").as_bytes());
    let example = Config::load_at(&path, now()).expect("the example is valid");
    let path = folder.write("minimal.toml", MINIMAL.as_bytes());
    let minimal = Config::load_at(&path, now()).expect("the smallest example is valid");
    assert_eq!(example.limits, minimal.limits);
    assert_eq!(example.timeouts, minimal.timeouts);
    assert_eq!(example.log, minimal.log);
    assert_eq!((example.operations, example.drain_deadline), (minimal.operations, minimal.drain_deadline));
    assert_eq!(super::Dns { servers: Vec::new(), ..example.dns }, minimal.dns);
    assert_eq!(super::State { directory: None, ..example.state }, minimal.state);
    assert_eq!(super::Plugins { workers: None, instances: None, ..example.plugins }, minimal.plugins);
    let route = &minimal.tenants[0].route;
    assert_eq!(example.tenants[0].route.timeouts, route.timeouts);
    assert_eq!((example.tenants[0].route.idle, example.tenants[0].route.wait), (route.idle, route.wait));
    assert_eq!(minimal.authserv_id, "mx.signet.example");
    assert!(minimal.tenants[0].proof.reverse_path);
    assert!(!minimal.tenants[0].seal.arc, "without a key there is nothing to seal with");
}

const NETWORK: &str = "networks = [\"192.0.2.0/24\"]";

const VALUES: Cases = &[
    ("as it is", &[]),
    ("unknown key", &[("hostname =", "hostnaem =")]),
    ("unknown key in a table", &[("message_size", "mesage_size")]),
    ("not TOML", &[("version = 1", "version = = 1")]),
    ("other version", &[("version = 1", "version = 2")]),
    ("no version", &[("version = 1\n", "")]),
    ("value where a table belongs", &[("[timeouts]\nserver = \"5 min\"", "[timeouts]\n[dns]\nservers = \"127.0.0.1\"")]),
    ("table where a value belongs", &[("message_size = \"150 MB\"", "message_size = { megabytes = 150 }")]),
    ("no unit of time", &[("server = \"5 min\"", "server = 300")]),
    ("no unit of time in a text", &[("server = \"5 min\"", "server = \"300\"")]),
    ("no duration", &[("server = \"5 min\"", "server = \"soon\"")]),
    ("duration out of range", &[("server = \"5 min\"", "server = \"0\"")]),
    ("no unit of size", &[("\"150 MB\"", "150000000")]),
    ("no size", &[("\"150 MB\"", "\"big\"")]),
    ("budget below a message", &[("message_size = \"150 MB\"", "message_size = \"150 MB\"\nmemory_budget = \"100 MB\"")]),
    ("count out of range", &[("message_size = \"150 MB\"", "recipients = 10")]),
];

const LISTENERS: Cases = &[
    ("no address", &[("\"0.0.0.0:25\"", "\"localhost\"")]),
    ("not a choice", &[("tls = \"starttls\"", "tls = \"ssl\"")]),
    (
        "plain for the world",
        &[
            (
                "tls = \"starttls\"\ncertificate = \"tls/mx.pem\"\nkey = \"tls/mx.key\"\nclient_certificate = \"optional\"\nclient_roots = \"tls/roots.pem\"",
                "tls = \"plain\"",
            ),
            ("certificate_names = [\"*.one.example\"]", "networks = [\"198.51.100.0/24\"]"),
        ],
    ),
    ("no certificate", &[("certificate = \"tls/mx.pem\"\nkey = \"tls/mx.key\"\n", "")]),
    ("no key", &[("key = \"tls/mx.key\"\n", "")]),
    ("missing file", &[("tls/mx.pem", "tls/mail.pem")]),
    ("expired certificate", &[("tls/mx.pem", "tls/expired.pem")]),
    ("key of another certificate", &[("tls/mx.key", "tls/other.key")]),
    ("key that others can read", &[("tls/mx.key", "tls/exposed.key")]),
    ("not a key", &[("tls/mx.key", "secrets/loop.key")]),
    ("client certificates without roots", &[("client_roots = \"tls/roots.pem\"\n", "")]),
    ("roots that are none", &[("client_roots = \"tls/roots.pem\"", "client_roots = \"rules.toml\"")]),
    (
        "two listeners at one address",
        &[("[timeouts]", "[[listener]]\naddress = \"0.0.0.0:25\"\ncertificate = \"tls/mx.pem\"\nkey = \"tls/mx.key\"\n[timeouts]")],
    ),
    ("not a log level", &[("[timeouts]", "[log]\nlevel = \"info=loud=1\"\n[timeouts]")]),
    ("no folder", &[("[timeouts]", "[state]\ndirectory = \"var\"\n[timeouts]")]),
    ("operations for the world", &[("[timeouts]", "[operations]\naddress = \"0.0.0.0:9725\"\n[timeouts]")]),
];

const PROOF: Cases = &[
    ("no domain", &[("domains = [\"one.example\"]\n", "")]),
    ("not a domain", &[("\"one.example\"", "\"one example\"")]),
    ("not an id", &[("id = \"one\"", "id = \"number one\"")]),
    ("same id", &[("id = \"two\"", "id = \"ONE\"")]),
    ("same domain", &[("\"two.example\"", "\"two.example\", \"One.Example\"")]),
    (
        "same server name",
        &[
            ("certificate_names =", "server_names = [\"in.signet.example\"]\ncertificate_names ="),
            (NETWORK, "networks = [\"192.0.2.0/24\"]\nserver_names = [\"in.signet.example\"]"),
        ],
    ),
    ("nothing tells them apart", &[("certificate_names =", "reverse_path = false\ncertificate_names =")]),
    ("no peer factor", &[(NETWORK, "")]),
    ("everybody's network", &[(NETWORK, "networks = [\"0.0.0.0/0\"]")]),
    ("a server name alone", &[(NETWORK, "server_names = [\"two.signet.example\"]")]),
    ("Microsoft's certificate alone", &[("\"*.one.example\"", "\"mail.protection.outlook.com\"")]),
    ("host bits", &[("192.0.2.0/24", "192.0.2.1/24")]),
    ("nobody asks for certificates", &[("client_certificate = \"optional\"\nclient_roots = \"tls/roots.pem\"", "")]),
    ("id that is no GUID", &[(NETWORK, "networks = [\"192.0.2.0/24\"]\ncross_tenant_id = true")]),
    ("login without logins", &[(NETWORK, "login = true")]),
    ("secret in the wrong form", &[("id = \"two\"", "id = \"two\"\nlogin = [{ name = \"printer\", secret = \"hunter2\" }]")]),
    ("secret with a space", &[(NETWORK, "networks = [\"192.0.2.0/24\"]\nsecret_header = { name = \"X-S\", value = \"open sesame\" }")]),
    (
        "two forms of one secret",
        &[(
            NETWORK,
            "networks = [\"192.0.2.0/24\"]\nsecret_header = { name = \"X-S\", value = \"a\", value_file = \"secrets/example.txt\" }",
        )],
    ),
];

const REST: Cases = &[
    ("not a port", &[("port = 25", "port = 70000")]),
    ("no next hop", &[("host = \"one.next.example\"\n", "")]),
    ("plaintext to the world", &[("host = \"127.0.0.1\"", "host = \"192.0.2.9\"")]),
    ("plaintext with a certificate", &[("plaintext_loopback = true", "plaintext_loopback = true\nroots = \"system\"")]),
    ("small key", &[("secrets/dkim.pem", "secrets/small.pem")]),
    ("key that is none", &[("secrets/dkim.pem", "secrets/loop.key")]),
    ("key that others can read", &[("secrets/dkim.pem", "tls/exposed.key")]),
    ("Ed25519 alone", &[("secrets/dkim.pem", "secrets/ed25519.pem")]),
    (
        "Ed25519 for ARC",
        &[(
            "[[tenant.seal.key]]",
            "[tenant.seal]\narc_key = { domain = \"one.example\", selector = \"a\", file = \"secrets/ed25519.pem\" }\n[[tenant.seal.key]]",
        )],
    ),
    ("foreign domain", &[("domain = \"one.example\"", "domain = \"other.example\"")]),
    (
        "seal without a key",
        &[("[[tenant.seal.key]]\ndomain = \"one.example\"\nselector = \"s\"\nfile = \"secrets/dkim.pem\"", "[tenant.seal]\narc = true")],
    ),
    ("short loop key", &[("[[tenant.seal.key]]", "[tenant.seal.loop]\nkey_file = \"secrets/short.key\"\n[[tenant.seal.key]]")]),
    (
        "not a header name",
        &[("[[tenant.seal.key]]", "[tenant.seal.loop]\nheader = \"Received\"\nkey_file = \"secrets/loop.key\"\n[[tenant.seal.key]]")],
    ),
    (
        "other plugin than approved",
        &[(
            "[[tenant.seal.key]]",
            "[tenant.plugins]\nselector = { path = \"rules.toml\", sha256 = \"24eaf3439a60c96764c4f2c92a0a81b52bd4fe5d5b91f090184a0f6486b1bf29\" }\n[[tenant.seal.key]]",
        )],
    ),
    (
        "rules that are missing",
        &[("[[tenant.seal.key]]", "[tenant.signatures]\nrules = [\"rules.toml\", \"more.toml\"]\n[[tenant.seal.key]]")],
    ),
    ("images that are none", &[("[[tenant.seal.key]]", "[tenant.signatures]\nassets = \"text\"\n[[tenant.seal.key]]")]),
    (
        "people with mistakes",
        &[
            ("[[tenant.seal.key]]", "[tenant.directory]\npeople = \"broken.toml\"\n[[tenant.seal.key]]"),
            (NETWORK, "networks = [\"192.0.2.0/24\"]\n[tenant.directory]\npeople = \"broken.csv\""),
        ],
    ),
    ("no time zone", &[("id = \"two\"", "id = \"two\"\ntime_zone = \"Europe/Atlantis\"\nlocale = \"German\"")]),
    ("policies", &[("id = \"two\"", "id = \"two\"\nalignment = { unaligned = \"drop\" }\nplugins = { fault = \"ignore\" }")]),
];

#[test]
fn a_value_in_the_wrong_form_is_named_with_line_key_and_a_right_one() {
    insta::assert_snapshot!(table(VALUES), @r#"
    == as it is
    accepted
    == unknown key
    signet.toml:2:1: hostnaem: is not a known key; the nearest known key is hostname
    == unknown key in a table
    signet.toml:5:1: limits.mesage_size: is not a known key; the nearest known key is message_size
    == not TOML
    signet.toml:1:11: extra `=`, expected nothing
    signet.toml:1:13: unexpected key or value, expected newline, `#`
    == other version
    signet.toml:1:11: version: 2 is not a version that this program reads; it reads 1; for example version = 1
    == no version
    signet.toml:1: version: is missing; for example version = 1
    == value where a table belongs
    signet.toml:17:11: dns.servers: "127.0.0.1" stands where a list belongs; for example servers = ["127.0.0.1"]
    == table where a value belongs
    signet.toml:5:16: limits.message_size: a table or a date is not a size; for example message_size = "150 MB"
    == no unit of time
    signet.toml:16:10: timeouts.server: 300 has no unit; for example server = "5 min"
    == no unit of time in a text
    signet.toml:16:10: timeouts.server: "300" has no unit; for example server = "5 min"
    == no duration
    signet.toml:16:10: timeouts.server: "soon" is not a duration; for example server = "5 min"
    == duration out of range
    signet.toml:16:10: timeouts.server: "0" is not between 1 ms and 1 d; for example server = "5 min"
    == no unit of size
    signet.toml:5:16: limits.message_size: 150000000 has no unit; for example message_size = "150 MB"
    == no size
    signet.toml:5:16: limits.message_size: "big" is not a size; for example message_size = "150 MB"
    == budget below a message
    signet.toml:6:17: limits.memory_budget: is smaller than message_size, so the largest message could never be taken; for example memory_budget = "1 GiB"
    == count out of range
    signet.toml:5:14: limits.recipients: 10 is not a whole number from 100 to 100000; for example recipients = 1000
    "#);
}

#[test]
fn a_listener_or_service_that_cannot_work_is_named() {
    insta::assert_snapshot!(table(LISTENERS), @r#"
    == no address
    signet.toml:8:11: listener.address: "localhost" is not an address with a port; for example address = "0.0.0.0:25"
    == not a choice
    signet.toml:9:7: listener.tls: "ssl" is none of "starttls", "implicit", "plain"; for example tls = "starttls"
    == plain for the world
    signet.toml:9:7: listener.tls: "plain" on 0.0.0.0:25 would let anyone on the way read and change mail; it is for loopback addresses only; for example tls = "starttls"
    == no certificate
    signet.toml:7:1: listener.certificate: is missing: TLS needs a certificate; for example certificate = "tls/mx.pem"
    == no key
    signet.toml:7:1: listener.key: is missing; for example key = "tls/mx.key"
    == missing file
    signet.toml:10:15: listener.certificate: "tls/mail.pem" (tls/mail.pem) is not there; paths are relative to the folder of the configuration file; for example certificate = "tls/mx.pem"
    == expired certificate
    signet.toml:10:15: listener.certificate: certificate tls/expired.pem (names mx.signet.example, k7q2m4x9.smtp.signet.example) expired at Jan  1 00:00:00 2021 +00:00; renew it
    == key of another certificate
    signet.toml:11:7: listener.key: private key tls/other.key does not belong to certificate tls/mx.pem (names mx.signet.example, k7q2m4x9.smtp.signet.example); name the key that the certificate was requested with
    == key that others can read
    signet.toml:11:7: listener.key: private key tls/exposed.key has mode 0644 and can be read by others; run: chmod 600 tls/exposed.key
    == not a key
    signet.toml:11:7: listener.key: secrets/loop.key holds no PEM private key; it must hold one unencrypted -----BEGIN PRIVATE KEY----- block
    == client certificates without roots
    signet.toml:7:1: listener.client_roots: is missing: client certificates are worth what their roots are worth; for example client_roots = "system"
    == roots that are none
    signet.toml:13:16: listener.client_roots: rules.toml holds no PEM certificate; it must hold -----BEGIN CERTIFICATE----- blocks
    == two listeners at one address
    signet.toml:16:11: listener.address: 0.0.0.0:25 is already the address of the listener on line 8; for example address = "0.0.0.0:587"
    == not a log level
    signet.toml:16:9: log.level: "info=loud=1" is not a log level; for example level = "info"
    == no folder
    signet.toml:16:13: state.directory: "var" (var) is not a folder that can be read; for example directory = "/var/lib/signet"
    == operations for the world
    warning: signet.toml:16:11: operations.address: 0.0.0.0:9725 is not a loopback address: anyone who reaches it can read metrics
    "#);
}

#[test]
fn a_tenant_that_nothing_proves_or_that_collides_with_another_is_named() {
    insta::assert_snapshot!(table(PROOF), @r#"
    == no domain
    signet.toml:18:1: tenant.domains: is missing; for example domains = ["example.com"]
    == not a domain
    signet.toml:20:12: tenant.domains: "one example" is not a domain name; for example domains = ["example.com"]
    == not an id
    signet.toml:19:6: tenant.id: "number one" is not a tenant id of letters, digits, "-", "_" and "."; for example id = "example"
    == same id
    signet.toml:33:6: tenant.id: "one" is already the id of the tenant on line 19
    == same domain
    signet.toml:34:27: tenant.domains: "one.example" is already a domain of tenant "one" on line 20
    == same server name
    signet.toml:38:17: tenant.proof.server_names: "in.signet.example" is already a server name of tenant "one" on line 22
    == nothing tells them apart
    signet.toml:36:1: tenant.proof: the same peer and message could be of tenant "one" on line 18: nothing tells the two apart; for example reverse_path = true, or cross_tenant_id, or a secret_header, in both
    == no peer factor
    signet.toml:35:1: tenant.proof: no factor proves the peer: this is an open relay; for example certificate_names = ["mail.protection.outlook.com"]
    == everybody's network
    signet.toml:36:12: tenant.proof.networks: every address is in these networks, and no other factor proves the peer: this is an open relay; for example certificate_names = ["mail.protection.outlook.com"]
    == a server name alone
    signet.toml:35:1: tenant.proof: any client can ask for a server name, and no other factor proves the peer: this is an open relay; for example certificate_names = ["mail.protection.outlook.com"]
    == Microsoft's certificate alone
    signet.toml:21:1: tenant.proof: tenant one accepts mail.protection.outlook.com, with which every Microsoft 365 tenant's mail arrives; configure cross_tenant_id or secret_header too; for example cross_tenant_id = true
    == host bits
    signet.toml:36:13: tenant.proof.networks: "192.0.2.1/24" has host bits set; the network is 192.0.2.0/24; for example networks = ["192.0.2.0/24"]
    == nobody asks for certificates
    signet.toml:21:21: tenant.proof.certificate_names: no listener asks for client certificates, so this can never agree; for example client_certificate = "optional" in [[listener]]
    == id that is no GUID
    signet.toml:37:19: tenant.proof.cross_tenant_id: true stands for the tenant's id "two", which is not a GUID; for example cross_tenant_id = "3b4a7a2c-6a35-4c0a-9d0e-2f3b8a1c5d7e"
    == login without logins
    signet.toml:36:9: tenant.proof.login: is true, and the tenant has no [[tenant.login]]; for example [[tenant.login]] name = "printer"
    == secret in the wrong form
    signet.toml:34:39: tenant.login.secret: stored login key is not "SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>"; make one with "signet login NAME"; for example secret = "SCRAM-SHA-256$4096:SALT$STORED-KEY:SERVER-KEY"
    == secret with a space
    signet.toml:37:41: tenant.proof.secret_header.value: the value is not a word of printable ASCII without spaces; for example value = "a-long-random-word"
    == two forms of one secret
    signet.toml:37:59: tenant.proof.secret_header.value_file: is given twice: in place and in a file; remove one
    "#);
}

#[test]
fn what_a_tenant_names_must_be_there_and_fit() {
    insta::assert_snapshot!(table(REST), @r#"
    == not a port
    signet.toml:29:8: tenant.return.port: 70000 is not a port; for example port = 25
    == no next hop
    signet.toml:27:1: tenant.return.host: is missing; for example host = "example-com.mail.protection.outlook.com"
    == plaintext to the world
    signet.toml:39:22: tenant.return.plaintext_loopback: is true, and host "192.0.2.9" is not a loopback address; for example plaintext_loopback = false
    == plaintext with a certificate
    signet.toml:40:9: tenant.return.roots: has no use with plaintext_loopback = true; remove one of them; for example plaintext_loopback = false
    == small key
    signet.toml:26:8: tenant.seal.key.file: key file secrets/small.pem holds an RSA key of 1024 bits; 2048 to 4096 are usable, make one with: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out secrets/small.pem
    == key that is none
    signet.toml:26:8: tenant.seal.key.file: key file secrets/loop.key holds no usable private key (no items found); make one with: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out secrets/loop.key
    == key that others can read
    signet.toml:26:8: tenant.seal.key.file: key file tls/exposed.key can be read by others (mode 0644); run: chmod 600 tls/exposed.key
    == Ed25519 alone
    signet.toml:24:10: tenant.seal.key.domain: one.example has an Ed25519 key only, which big receivers do not verify; add an RSA key for it; for example [[tenant.seal.key]]
    == Ed25519 for ARC
    signet.toml:24:60: tenant.seal.arc_key.file: is no RSA key, and ARC knows rsa-sha256 only; for example file = "arc.pem"
    == foreign domain
    warning: signet.toml:24:10: tenant.seal.key.domain: none of the tenant's domains is other.example or below it, so this key signs nothing
    == seal without a key
    signet.toml:24:7: tenant.seal.arc: is true, and the tenant has no key to seal with; for example [[tenant.seal.key]] domain = "example.com"
    == short loop key
    signet.toml:24:12: tenant.seal.loop.key_file: secrets/short.key holds 10 octets, fewer than 16; run: openssl rand -hex 32
    == not a header name
    signet.toml:24:10: tenant.seal.loop.header: "Received" is not the name of an extension header field; for example header = "X-Signet-Loop"
    == other plugin than approved
    signet.toml:24:44: tenant.plugins.selector.sha256: is not the SHA-256 of rules.toml; that is b063d404f1417cfe60efad23a84eb7a9539b123ebc87f401aa0b7c3b86067df1
    == rules that are missing
    signet.toml:24:24: tenant.signatures.rules: "more.toml" (more.toml) is not there; paths are relative to the folder of the configuration file; for example rules = ["rules.toml"]
    == images that are none
    signet.toml:24:10: tenant.signatures.assets: text/readme.txt is not a PNG, JPEG, GIF or WebP image
    == people with mistakes
    broken.csv:2: address: address "ada" has no "@"; write local-part@domain
    broken.csv:3: has 1 columns where the header line has 2
    broken.toml:5: unknown field `alias`, expected one of `address`, `aliases`, `groups`, `attributes`
    == no time zone
    signet.toml:34:13: tenant.time_zone: "Europe/Atlantis" is neither a time zone name nor a distance from UTC; for example time_zone = "Europe/Berlin"
    signet.toml:35:10: tenant.locale: "German" is not a language tag; for example locale = "de-DE"
    == policies
    signet.toml:34:27: tenant.alignment.unaligned: "drop" is none of "relay-unsigned", "reject", "sign"; for example unaligned = "relay-unsigned"
    signet.toml:35:21: tenant.plugins.fault: "ignore" is none of "relay-unsigned", "defer"; for example fault = "relay-unsigned"
    "#);
}

#[test]
fn all_mistakes_are_shown_together_in_the_order_of_the_file() {
    insta::assert_snapshot!(table(&[(
        "five",
        &[
            ("version = 1", "version = 1\ncolour = \"red\""),
            ("\"150 MB\"", "150"),
            ("tls/mx.key", "tls/none.key"),
            ("\"5 min\"", "[\"5 min\"]"),
            ("port = 25", "port = \"smtp\""),
        ],
    )]), @r#"
    == five
    signet.toml:2:1: colour: is not a known key; known here are version, hostname, authserv_id, limits, timeouts, listener, dns, operations, state, drain, plugins, log, control, console, tenant
    signet.toml:6:16: limits.message_size: 150 has no unit; for example message_size = "150 MB"
    signet.toml:12:7: listener.key: "tls/none.key" (tls/none.key) is not there; paths are relative to the folder of the configuration file; for example key = "tls/mx.key"
    signet.toml:17:10: timeouts.server: a list is not a duration; for example server = "5 min"
    signet.toml:30:8: tenant.return.port: "smtp" is not a port; for example port = 25
    "#);
}

#[test]
fn a_file_that_is_no_configuration_is_refused() {
    let folder = Folder::new();
    let missing = Config::load_at(&folder.path("none.toml"), now()).expect_err("there is no such file");
    assert_eq!(folder.shorten(&missing.to_string()), "none.toml: cannot be read: No such file or directory (os error 2)");
    let path = folder.write("latin.toml", b"hostname = \"\xe4\"");
    assert_eq!(folder.shorten(&Config::load_at(&path, now()).expect_err("it is not UTF-8").to_string()), "latin.toml: is not UTF-8 text");
    let path = folder.write("empty.toml", b"");
    insta::assert_snapshot!(folder.shorten(&Config::load_at(&path, now()).expect_err("it is empty").to_string()), @r#"
    empty.toml:1: version: is missing; for example version = 1
    empty.toml:1: hostname: is missing; for example hostname = "mx.signet.example"
    empty.toml:1: listener: is missing; for example [[listener]] address = "0.0.0.0:25"
    empty.toml:1: tenant: is missing: without a tenant no mail is taken; for example [[tenant]] id = "example"
    "#);
}

#[test]
fn the_digest_follows_every_file_and_not_the_folder() {
    let (first, second) = (Folder::new(), Folder::new());
    let digest = |folder: &Folder| {
        let path = folder.write("signet.toml", BASE.as_bytes());
        Config::load_at(&path, now()).expect("the base configuration is valid").digest_hex()
    };
    assert_eq!(digest(&first), digest(&second));
    let before = digest(&first);
    assert_eq!(before.len(), 64);
    first.write("tls/roots.pem", &[std::fs::read(second.path("tls/roots.pem")).expect("it is there"), b"\n".to_vec()].concat());
    assert_ne!(digest(&first), before);
}

#[test]
fn certificates_are_checked_at_the_time_given() {
    let folder = Folder::new();
    let path = folder.write("signet.toml", BASE.as_bytes());
    let later = now() + Duration::from_secs(20 * 365 * 86_400);
    let errors = Config::load_at(&path, later).expect_err("the certificate has expired by then");
    assert_eq!(errors.errors()[0].key, "listener.certificate");
}

#[test]
fn settings_carry_what_was_configured() {
    let folder = Folder::new();
    let path = folder.write("signet.toml", BASE.as_bytes());
    let config = Config::load_at(&path, now()).expect("the base configuration is valid");
    let session = config.session(&config.listeners[0].tls);
    assert_eq!((session.maximum_size, session.starttls, session.tls_required), (150_000_000, true, true));
    assert_eq!(config.timeouts.server().command, Duration::from_secs(300));
    let route = config.route(&config.tenants[0], now()).expect("its roots are valid");
    assert_eq!((route.host.as_str(), route.port, route.tls.is_some()), ("one.next.example", 25, true));
    assert!(config.route(&config.tenants[1], now()).expect("it needs no TLS").tls.is_none());
    let identity = config.tenants[0].identity();
    assert_eq!(identity.domains, [Domain::parse("one.example").expect("it is a domain")]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_damage_is_an_error_with_a_place_or_no_damage(at in 0..BASE.len(), length in 0_usize..40, text in "[\\[\\]a-z0-9.=\"\n ,{}#-]{0,12}") {
        let folder = Folder::new();
        let mut damaged = BASE.to_owned();
        damaged.replace_range(at..(at + length).min(BASE.len()), &text);
        let path = folder.write("signet.toml", damaged.as_bytes());
        if let Err(errors) = Config::load_at(&path, now()) {
            prop_assert!(!errors.errors().is_empty());
            let lines = damaged.lines().count() + 1;
            for error in errors.errors() {
                prop_assert!(error.file != path || (1..=lines).contains(&error.line), "{error}");
                prop_assert!(!error.to_string().contains('\n'), "{error}");
            }
        }
    }
}
