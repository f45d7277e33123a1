use proptest::prelude::*;

use super::{Directory, Severity};
use crate::address::Mailbox;

fn mailbox(address: &str) -> Mailbox {
    Mailbox::parse(address).expect("the test's address is valid")
}

fn findings(read: (Directory, Vec<super::Finding>)) -> String {
    let lines = read.1.iter().map(|finding| {
        let severity = if finding.severity == Severity::Error { "error" } else { "warning" };
        format!("{severity} {}: {}: {}", finding.line, finding.key, finding.message)
    });
    lines.collect::<Vec<_>>().join("\n")
}

const PEOPLE: &str = r#"
[[group]]
id = "sales"
name = "Sales"
address = "sales@example.com"
members = ["partner@elsewhere.example", "grace@example.com"]

[[group]]
id = "all"

[[person]]
address = "Ada.King@Example.com"
aliases = ["ada@example.com"]
groups = ["sales", "all"]
[person.attributes]
displayName = "Ada King"
title = ""
phone = "+49 30 1234"

[[person]]
address = "grace@example.com"
"#;

#[test]
fn a_person_is_found_by_every_address_whatever_its_case() {
    let (directory, findings) = Directory::from_toml(PEOPLE.as_bytes());
    assert_eq!(findings, []);
    assert_eq!(directory.people(), 2);
    assert_eq!(directory.all_groups(), ["all", "sales"]);
    for address in ["ada.king@example.com", "ADA@EXAMPLE.COM", "Ada.King@Example.com"] {
        let person = directory.person(&mailbox(address));
        assert_eq!(person.local, mailbox(address).local());
        assert_eq!(person.domain, "example.com");
        assert_eq!(person.attributes, [("displayName".to_owned(), "Ada King".to_owned()), ("phone".to_owned(), "+49 30 1234".to_owned())]);
        assert_eq!(person.groups, ["all", "sales"]);
    }
}

#[test]
fn groups_are_known_for_members_of_any_kind_and_for_the_groups_own_address() {
    let (directory, _) = Directory::from_toml(PEOPLE.as_bytes());
    for (address, groups) in [
        ("partner@elsewhere.example", vec!["sales"]),
        ("grace@example.com", vec!["sales"]),
        ("Sales@example.com", vec!["sales"]),
        ("nobody@example.com", vec![]),
    ] {
        assert_eq!(directory.groups(&mailbox(address)), groups, "{address}");
    }
    let stranger = directory.person(&mailbox("nobody@example.com"));
    assert_eq!((stranger.attributes.len(), stranger.groups.len()), (0, 0));
    assert!(!directory.contains(&mailbox("nobody@example.com")));
}

#[test]
fn mistakes_in_toml_are_named_with_their_lines() {
    insta::assert_snapshot!(findings(Directory::from_toml(br#"
[[group]]
id = "sales"
[[group]]
id = "sales"

[[person]]
address = "ada@example.com"
groups = ["slaes"]

[[person]]
address = "grace at example.com"

[[person]]
address = "linus@example.com"
aliases = ["ADA@example.com"]
attributes = { title = "a\u0007b" }
"#)), @r#"
    error 5: group.id: "sales" is already the id of another group
    warning 9: person.groups: "slaes" is the id of no [[group]] in this file
    error 12: person.address: address "grace at example.com" has no "@"; write local-part@domain
    error 16: person.aliases: "ada@example.com" is already an address on line 8
    error 17: person.attributes.title: holds a control character; remove it
    "#);
    insta::assert_snapshot!(findings(Directory::from_toml(b"[[person]]\naddress = \"a@example.com\"\nattribute = {}")), @r#"error 3: : unknown field `attribute`, expected one of `address`, `aliases`, `groups`, `attributes`"#);
    insta::assert_snapshot!(findings(Directory::from_toml(b"[[person]]\naddress = 1")), @r#"error 2: : invalid type: integer `1`, expected a string"#);
}

#[test]
fn csv_columns_become_attributes_and_groups() {
    let text = "\u{feff}address,displayName,title,aliases,groups\r\n\
        ada@example.com,\"King, Ada\",Countess,ada.king@example.com; a@example.com,sales;all\r\n\
        grace@example.com,Grace Hopper,,,\r\n";
    let (directory, findings) = Directory::from_csv(text.as_bytes());
    assert_eq!(findings, []);
    let ada = directory.person(&mailbox("a@example.com"));
    assert_eq!(ada.attributes, [("displayName".to_owned(), "King, Ada".to_owned()), ("title".to_owned(), "Countess".to_owned())]);
    assert_eq!(ada.groups, ["all", "sales"]);
    assert_eq!(directory.person(&mailbox("grace@example.com")).attributes, [("displayName".to_owned(), "Grace Hopper".to_owned())]);
}

#[test]
fn mistakes_in_csv_are_named_with_their_lines() {
    let text = "address,name,name,\nada@example.com,A,,\nbroken,B,,\n\"ada@example.com\",\"two\nlines\",,\nshort@example.com,C\nADA@example.com,D,,\n";
    insta::assert_snapshot!(findings(Directory::from_csv(text.as_bytes())), @r#"
    error 1: name: is the name of two columns
    error 1: : column 4 has no name
    error 3: address: address "broken" has no "@"; write local-part@domain
    error 4: address: "ada@example.com" is already an address on line 2
    error 6: : has 2 columns where the header line has 4
    error 7: address: "ada@example.com" is already an address on line 2
    "#);
    insta::assert_snapshot!(findings(Directory::from_csv(b"mail,name\nada@example.com,Ada\n")), @r#"error 1: address: is missing in the header line; for example address,displayName,title,groups"#);
    insta::assert_snapshot!(findings(Directory::from_csv(b"address\nada@example.com\n\xff@example.com\n")), @r#"error 3: : is not UTF-8 text; save it as "CSV UTF-8""#);
}

#[test]
fn a_hundred_thousand_people_are_all_found() {
    let mut text = "address,displayName,department,groups\n".to_owned();
    for number in 0..100_000 {
        text.push_str(&format!("person{number}@example.com,Person {number},Department {},group{};all\n", number % 100, number % 1000));
    }
    let (directory, findings) = Directory::from_csv(text.as_bytes());
    assert_eq!(findings, []);
    assert_eq!(directory.people(), 100_000);
    for number in (0..100_000).step_by(997) {
        let person = directory.person(&mailbox(&format!("PERSON{number}@example.com")));
        assert_eq!(person.attributes[0].1, format!("Person {number}"));
        assert_eq!(person.groups, ["all".to_owned(), format!("group{}", number % 1000)]);
    }
}

#[test]
fn members_of_a_group_are_members_of_what_the_group_is_a_member_of() {
    let text = r#"
        [[group]]
        id = "all"
        member_of = ["sales-berlin"]
        [[group]]
        id = "sales"
        member_of = ["all"]
        [[group]]
        id = "sales-berlin"
        member_of = ["sales", "nowhere"]
        members = ["ada@example.com"]
        [[person]]
        address = "bob@example.com"
        groups = ["sales"]
    "#;
    let (directory, findings) = Directory::from_toml(text.as_bytes());
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!((findings[0].line, findings[0].key.as_str()), (10, "group.member_of"));
    assert_eq!(directory.groups(&mailbox("ada@example.com")), ["all", "sales", "sales-berlin"]);
    assert_eq!(directory.groups(&mailbox("bob@example.com")), ["all", "sales", "sales-berlin"], "the groups are members of each other");
}

#[test]
fn a_person_has_the_attributes_of_the_manager() {
    let text = r#"
        [[person]]
        address = "ada@example.com"
        attributes = { displayName = "Ada King", manager = "GRACE@example.com" }
        [[person]]
        address = "grace@example.com"
        attributes = { displayName = "Grace Hopper", title = "Admiral", manager = "ada@example.com" }
        [[person]]
        address = "joan@example.com"
        attributes = { displayName = "Joan Clarke", manager = "nobody@example.com" }
    "#;
    let (directory, findings) = Directory::from_toml(text.as_bytes());
    assert_eq!(findings, []);
    let attributes = directory.person(&mailbox("ada@example.com")).attributes;
    let of_manager: Vec<_> = attributes.iter().filter(|(name, _)| name.starts_with("manager.")).collect();
    let expected = [("manager.email", "GRACE@example.com"), ("manager.displayName", "Grace Hopper"), ("manager.title", "Admiral")];
    assert_eq!(of_manager, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).iter().collect::<Vec<_>>());
    assert_eq!(directory.person(&mailbox("joan@example.com")).attributes.len(), 2);
    assert_eq!(directory.people_addresses().collect::<Vec<_>>(), ["ada@example.com", "grace@example.com", "joan@example.com"]);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..300), text in "[\\[\\]a-z@.=\"\n ,;{}#]{0,300}") {
        for octets in [octets.as_slice(), text.as_bytes()] {
            for (directory, findings) in [Directory::from_toml(octets), Directory::from_csv(octets)] {
                let lines = octets.iter().filter(|octet| **octet == b'\n').count() + 1;
                prop_assert!(findings.iter().all(|finding| finding.line <= lines));
                prop_assert!(directory.people() <= octets.len());
            }
        }
    }

    #[test]
    fn everyone_who_is_written_down_is_found(names in proptest::collection::btree_set("[a-z]{1,8}", 1..20)) {
        let rows: String = names.iter().map(|name| format!("{name}@example.com,{name} {name}\n")).collect();
        let (directory, findings) = Directory::from_csv(format!("address,displayName\n{rows}").as_bytes());
        prop_assert_eq!(findings, []);
        for name in &names {
            let person = directory.person(&mailbox(&format!("{}@EXAMPLE.com", name.to_uppercase())));
            prop_assert_eq!(&person.attributes[0].1, &format!("{name} {name}"));
        }
    }
}

#[test]
fn a_group_among_the_members_by_address_or_id_brings_its_members() {
    let text = r#"
[[group]]
id = "world"
members = ["emea"]
[[group]]
id = "emea"
members = ["Sales@example.com", "grace@example.com"]
[[group]]
id = "sales"
address = "sales@example.com"
members = ["ada@example.com", "emea"]
[[person]]
address = "ada@example.com"
[[person]]
address = "grace@example.com"
"#;
    let (directory, findings) = Directory::from_toml(text.as_bytes());
    assert_eq!(findings, []);
    for address in ["ada@example.com", "sales@example.com", "grace@example.com"] {
        assert_eq!(directory.groups(&mailbox(address)), ["emea", "sales", "world"], "{address}");
    }
}
