//! The openspf test suite for RFC 7208, all of it, through the running server: client addresses by PROXY protocol, zones from a DNS server.
//!
//! `judges/spf_suite.py` has the zones, the client and the next hop, and reads the SPF result from the Authentication-Results field that arrives. The
//! protocol itself is mail-auth's; what it does differently is listed here with the reason, and the list must be exact in both directions.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use serde_json::Value;

use crate::harness::*;
use crate::judges::{self, Running};

/// So many cases has the suite of 2014.
const CASES: usize = 203;

const WIRE: &str = "RFC 5321 has no such address or host name: the command is refused before SPF is asked";
const SEVERAL: &str = "mail-auth takes the first of several records (section 4.5 wants permerror)";
const OCTETS: &str = "mail-auth takes every octet for a part of a name, and CR and LF for spaces (section 4.6.1 wants permerror)";
const TOP_LABEL: &str = "mail-auth asks for names whose last label section 7.1 forbids, and finds nothing (permerror wanted)";
const NO_NAME: &str = "what cannot be a name cannot be asked for; mail-auth makes temperror of it (section 7.1: permerror, or no match)";
const PREFIX: &str =
    "mail-auth cuts prefix lengths to what fits, and takes leading zeros and one slash for two (sections 5.3 and 5.6: permerror)";
const COLON: &str = "mail-auth's parser knows no colon, slash or dot in this place (section 7.1 allows them)";
const MODIFIER: &str = "mail-auth passes over what is no modifier, and looks at targets only when it needs them (section 6: permerror)";
const FINAL_DOT: &str = "mail-auth compares and inserts PTR names with their final dot";
const EXISTS: &str = "mail-auth's exists is content with an AAAA record (section 5.7 wants A only)";
const MAPPED: &str = "mail-auth compares IPv4 addresses with ip6 networks in their mapped form (section 5.6: no match)";
const VOID: &str = "mail-auth does not count lookups without an answer (section 4.6.4: more than two SHOULD be permerror)";

/// Case, what we say, why. A result here is never better for a sender than what the domain's own record, read kindly, grants.
const DIFFERENCES: [(&str, &str, &str); 53] = [
    ("toolonglabel", "refused: 553", WIRE),
    ("emptylabel", "refused: 553", WIRE),
    ("nolocalpart", "refused: 553", WIRE),
    ("dorky-sentinel", "refused: 553", WIRE),
    ("invalid-domain-long-via-macro", "refused: 501", WIRE),
    ("invalid-hello-macro", "refused: 501", WIRE),
    ("non-ascii-policy", "fail", OCTETS),
    ("non-ascii-mech", "fail", OCTETS),
    ("control-char-policy", "pass", OCTETS),
    ("badip4", "pass", OCTETS),
    ("multitxt1", "fail", SEVERAL),
    ("multitxt2", "fail", SEVERAL),
    ("modifier-charset-good", "permerror", COLON),
    ("redirect-after-mechanisms2", "permerror", COLON),
    ("a-colon-domain", "permerror", COLON),
    ("a-colon-domain-ip4mapped", "permerror", COLON),
    ("mx-colon-domain", "permerror", COLON),
    ("mx-colon-domain-ip4mapped", "permerror", COLON),
    ("invalid-domain", "fail", TOP_LABEL),
    ("a-numeric", "neutral", TOP_LABEL),
    ("a-numeric-toplabel", "neutral", TOP_LABEL),
    ("a-only-toplabel", "neutral", TOP_LABEL),
    ("a-only-toplabel-trailing-dot", "neutral", TOP_LABEL),
    ("mx-numeric-top-label", "neutral", TOP_LABEL),
    ("invalid-domain-empty-label", "temperror", NO_NAME),
    ("invalid-domain-long", "temperror", NO_NAME),
    ("a-bad-domain", "temperror", NO_NAME),
    ("a-null", "temperror", NO_NAME),
    ("a-bad-toplabel", "temperror", NO_NAME),
    ("mx-bad-domain", "temperror", NO_NAME),
    ("mx-null", "temperror", NO_NAME),
    ("mx-bad-toplab", "temperror", NO_NAME),
    ("macro-mania-in-domain", "temperror", NO_NAME),
    ("hello-domain-literal", "temperror", NO_NAME),
    ("a-bad-cidr4", "fail", PREFIX),
    ("a-bad-cidr6", "fail", PREFIX),
    ("a-dual-cidr-ip4-err", "pass", PREFIX),
    ("mx-bad-cidr4", "fail", PREFIX),
    ("mx-bad-cidr6", "fail", PREFIX),
    ("cidr4-33", "pass", PREFIX),
    ("cidr4-032", "pass", PREFIX),
    ("cidr6-129", "neutral", PREFIX),
    ("redirect-syntax-error", "neutral", MODIFIER),
    ("invalid-modifier", "neutral", MODIFIER),
    ("empty-modifier-name", "neutral", MODIFIER),
    ("exp-syntax-error", "neutral", MODIFIER),
    ("ptr-match-implicit", "fail", FINAL_DOT),
    ("ptr-match-ip6", "fail", FINAL_DOT),
    ("p-macro-multiple", "temperror", FINAL_DOT),
    ("exists-ip6only", "pass", EXISTS),
    ("cidr6-0-ip4", "pass", MAPPED),
    ("cidr6-ip4", "pass", MAPPED),
    ("void-over-limit", "neutral", VOID),
];

#[test]
fn the_openspf_suite_differs_in_nothing_but_what_is_listed() {
    let Some(judges) = judges::installed("the openspf suite") else { return };
    let suite = judges.source("pyspf-2.0.14").join("test/rfc7208-tests.yml");
    let mut program = Running::start(judges.script("spf_suite.py").arg(suite).stdout(Stdio::piped()));
    let mut lines = BufReader::new(program.0.stdout.take().expect("it is piped")).lines().map(|line| {
        let line = line.expect("the program writes text");
        serde_json::from_str::<Value>(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    });
    let ports = lines.next().expect("the program starts");
    let rig = run(setup(&ports).start());
    writeln!(program.0.stdin.take().expect("it is piped"), "{}", rig.address().port()).expect("the program reads");

    let mut wrong = Vec::new();
    let (mut cases, mut differences) = (0, 0);
    for case in lines {
        cases += 1;
        let name = case["case"].as_str().expect("a name");
        let got = case["got"].as_str().expect("a result");
        let expected = case["expected"].as_array().expect("a list");
        let listed = DIFFERENCES.iter().find(|(listed, _, _)| *listed == name);
        match (expected.iter().any(|expected| expected == got), listed) {
            (true, None) => {}
            (true, Some(_)) => wrong.push(format!("{name} is {got}, as the suite wants; it is listed as a difference")),
            (false, Some((_, result, reason))) if got.starts_with(result) => {
                differences += 1;
                eprintln!("{name}: {result}, the suite says {}: {reason}", case["expected"]);
            }
            (false, _) => wrong.push(format!("{}: {name} is {got}, the suite says {}", case["group"], case["expected"])),
        }
    }
    eprintln!(
        "openspf RFC 7208 suite: {cases} cases, {} as it says, {differences} differences listed above",
        cases - differences - wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((cases, differences), (CASES, DIFFERENCES.len()));
}

/// Every client is the tenant's; nothing is remembered from one group of cases to the next.
fn setup(ports: &Value) -> Setup {
    let port = |name: &str| u16::try_from(ports[name].as_u64().expect("a number")).expect("a port");
    let mut tenant = TenantSetup::new("suite", "suite.example")
        .proof("networks = [\"0.0.0.0/1\", \"128.0.0.0/1\", \"::/1\", \"8000::/1\"]\nreverse_path = false\nsecret_header = { name = \"X-Suite\", value = \"openspf\" }");
    tenant.return_to = Some(([127, 0, 0, 1], port("sink")).into());
    tenant.return_plain = true;
    let dns = format!("servers = [\"127.0.0.1:{}\"]\ntimeout = \"2 s\"\nattempts = 1\nnegative_ttl = \"0 s\"", port("dns"));
    Setup::new().listener("tls = \"plain\"\nproxy_networks = [\"127.0.0.1/32\"]").dns(&dns).tenant(tenant)
}
