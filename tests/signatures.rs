//! `signet signatures`, as an operator uses it: the real binary on a copy of the demo's folder, good and bad.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use signet::demo::materials::random_name;

/// A copy of `config/demo` that ends with this value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("signet-signatures-{}", random_name().expect("a name")));
        copy(&demo(), &folder);
        Self(folder)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("the path is text")
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.0.join(name), content).expect("the file can be written");
    }

    fn append(&self, name: &str, content: &str) {
        let old = fs::read_to_string(self.0.join(name)).expect("the file is there");
        self.write(name, &(old + content));
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/demo")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the folder can be made");
    for entry in fs::read_dir(from).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("the file can be copied");
        }
    }
}

fn signatures(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_signet")).arg("signatures").args(arguments).output().expect("the program runs")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_demo_is_sound_and_holds_its_own_expectations() {
    let demo = demo();
    let demo = demo.to_str().expect("the path is text");
    let checked = signatures(&["check", demo]);
    assert!(checked.status.success() && text(&checked).contains(" 0 errors, 0 warnings"), "{}", text(&checked));
    let tested = signatures(&["test", demo]);
    assert!(tested.status.success() && text(&tested).contains(" passed, 0 failed"), "{}", text(&tested));
}

#[test]
fn a_check_says_what_each_signature_weighs_and_for_whom() {
    let folder = Folder::new();
    let words = "words ".repeat(400);
    folder.append(
        "people.toml",
        &format!("\n[[person]]\naddress = \"long@northwind.example\"\n[person.attributes]\ndisplayName = \"{words}\"\n"),
    );
    let checked = text(&signatures(&["check", folder.path()]));
    let row = |id: &str| {
        let row = checked.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).find(|row| row.first() == Some(&id));
        row.unwrap_or_else(|| panic!("{id} in\n{checked}")).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("signature"), ["signature", "HTML", "text", "images", "octets", "largest", "for"]);
    let ids = ["banner", "campaign", "card", "classic", "company", "compact", "executive", "full", "modern", "reply", "rtl"];
    for id in ids {
        let row = row(id);
        let octets = |column: usize| row[column].parse::<usize>().expect("a number");
        assert!(octets(1) > octets(2) && octets(2) > 0, "{row:?}");
        assert_eq!(octets(3) == 0, octets(4) == 0, "{row:?}");
    }
    let logo = fs::metadata(folder.0.join("assets/logo.png")).expect("it is there").len();
    let full = row("full");
    assert_eq!((full[3].as_str(), full[4].as_str(), full[5].as_str()), ("1", logo.to_string().as_str(), "long@northwind.example"));
    assert!(full[1].parse::<usize>().expect("a number") > words.trim_end().len(), "{full:?}");
}

#[test]
fn mistakes_are_all_found_at_once_with_file_and_line() {
    let folder = Folder::new();
    folder.append("rules.toml", "\n[[rule]]\nname = \"Broken\"\nsignature = \"full\"\nsender.colour = \"blue\"\n");
    folder.append("templates/full.html", "\n<p>{{ displayName | nosuchfilter }}</p>\n");
    folder.append("people.toml", "\n[[person]]\naddress = \"nobody\"\n");
    folder.write("tenant.toml", "domains = [\"northwind.example\"]\ntime_zone = \"Berlin\"\n");
    let checked = signatures(&["check", folder.path()]);
    let text = text(&checked);
    assert!(!checked.status.success(), "{text}");
    let lines = |name: &str| fs::read_to_string(folder.0.join(name)).expect("the file is there").lines().count();
    for expected in [
        format!("error: rules.toml:{}: rule[8].sender.colour", lines("rules.toml")),
        format!("error: templates/full.html:{}", lines("templates/full.html")),
        format!("error: people.toml:{}: person.address", lines("people.toml")),
        "error: tenant.toml: time_zone: \"Berlin\"".to_owned(),
    ] {
        assert!(text.contains(&expected), "{expected} in\n{text}");
    }
}

#[test]
fn what_does_not_fit_together_is_found() {
    let folder = Folder::new();
    folder.append(
        "rules.toml",
        "\n[[rule]]\nname = \"Nobody\"\norder = -1\nsignature = \"absent\"\nsender.groups = [\"no-such-group\"]\n\
         sender.attributes = [{ name = \"shoeSize\", present = true }]\n",
    );
    folder.write("templates/spare.txt", "{{ displayName }}\n");
    let checked = signatures(&["check", folder.path()]);
    let text = text(&checked);
    assert!(!checked.status.success(), "{text}");
    for expected in [
        "signature: chooses signature \"absent\", which no template defines",
        "groups: the directory has no group \"no-such-group\"",
        "attribute: nobody in the directory has the attribute \"shoeSize\"",
        "warning: templates: spare: no rule chooses this signature",
    ] {
        assert!(text.contains(expected), "{expected} in\n{text}");
    }
}

#[test]
fn an_explanation_shows_every_rule_and_the_message_as_it_would_leave() {
    let folder = Folder::new();
    let output = folder.0.join("out.eml");
    let from = "hanna.lindqvist@northwind.example";
    let explained = signatures(&[
        "explain",
        "--folder",
        folder.path(),
        "--from",
        from,
        "--to",
        "bob@contoso.example",
        "--to",
        "ada.king@northwind.example",
        "--subject",
        "Berth 4",
        "--at",
        "2026-11-24T10:00:00",
        "--output",
        output.to_str().expect("text"),
    ]);
    let printed = text(&explained);
    assert!(explained.status.success(), "{printed}");
    let rules = fs::read_to_string(folder.0.join("rules.toml")).expect("the rules are there");
    for name in rules.lines().filter_map(|line| line.strip_prefix("name = \"")).map(|name| name.trim_end_matches('"')) {
        assert_eq!(printed.matches(&format!(" {name}: ")).count(), 2, "{name} is explained once a copy:\n{printed}");
    }
    assert!(printed.contains("= signature full, banner") && printed.contains("= signature reply"), "{printed}");
    let copies = [fs::read_to_string(&output), fs::read_to_string(folder.0.join("out.eml.2"))].map(|copy| copy.expect("it was written"));
    assert!(copies.iter().all(|copy| copy.contains("Hanna Lindqvist")) && copies[0] != copies[1]);
    let nobody = signatures(&["explain", "--folder", folder.path(), "--to", "bob@contoso.example"]);
    assert!(!nobody.status.success() && text(&nobody).contains("--from ada@example.com"), "{}", text(&nobody));
}

#[test]
fn a_preview_is_one_page_with_four_views_and_its_images() {
    let folder = Folder::new();
    let page = folder.0.join("page.html");
    let person = "hanna.lindqvist@northwind.example";
    let arguments = ["preview", person, "--signature", "full", "--folder", folder.path(), "--output", page.to_str().expect("text")];
    let previewed = signatures(&arguments);
    assert!(previewed.status.success(), "{}", text(&previewed));
    let page = fs::read_to_string(page).expect("it was written");
    assert_eq!((page.matches("<iframe").count(), page.matches("data:image/png;base64,").count(), page.matches("cid:").count()), (4, 4, 0));
    let unknown = signatures(&["preview", person, "--signature", "absent", "--folder", folder.path()]);
    assert!(!unknown.status.success() && text(&unknown).contains("absent"), "{}", text(&unknown));
}

#[test]
fn an_expectation_that_does_not_hold_is_printed_as_a_difference() {
    let folder = Folder::new();
    folder.write(
        "tests/wrong.toml",
        "[[decision]]\nname = \"All get the banner\"\nfrom = \"hanna.lindqvist@northwind.example\"\nto = [\"bob@contoso.example\"]\n\
         kind = \"reply\"\n[[decision.copy]]\nto = [\"bob@contoso.example\"]\nsignatures = [\"banner\"]\n",
    );
    folder.append("tests/hanna-reply.txt", "and more\n");
    let tested = signatures(&["test", folder.path()]);
    let printed = text(&tested);
    assert!(!tested.status.success(), "{printed}");
    for expected in [
        "\"All get the banner\" does not hold",
        "-bob@contoso.example: signature banner",
        "+bob@contoso.example: signature reply",
        "-and more",
    ] {
        assert!(printed.contains(expected), "{expected} in\n{printed}");
    }
    assert!(signatures(&["test", folder.path(), "--update"]).status.code() == Some(1), "a decision cannot be updated away");
    fs::remove_file(folder.0.join("tests/wrong.toml")).expect("it is there");
    let tested = signatures(&["test", folder.path()]);
    assert!(tested.status.success(), "{}", text(&tested));
    folder.write("tests/broken.toml", "[[decision]]\nnam = \"x\"\n");
    let broken = signatures(&["test", folder.path()]);
    assert!(
        !broken.status.success() && text(&broken).contains("tests/broken.toml") && text(&broken).contains("line 2"),
        "{}",
        text(&broken)
    );
}

#[test]
fn a_difference_names_the_messages_that_would_leave_otherwise() {
    let (old, new) = (Folder::new(), Folder::new());
    let mail = old.0.join("mail");
    let mail = mail.to_str().expect("text");
    let at = ["--at", "2026-11-24T10:00:00"];
    let same = text(&signatures(&[&["diff", old.path(), new.path(), "--mail", mail][..], &at].concat()));
    assert!(same.contains("0 of 12 messages would leave otherwise"), "{same}");
    let rules = fs::read_to_string(new.0.join("rules.toml")).expect("the rules are there");
    new.write("rules.toml", &rules.replace("signature = \"banner\"\nfrom = 2026-09-01", "signature = \"banner\"\nfrom = 2027-09-01"));
    let changed = text(&signatures(&[&["diff", old.path(), new.path(), "--mail", mail][..], &at].concat()));
    assert!(
        changed.contains("01-new-message.eml:") && changed.contains("signature full, banner") && changed.contains("-> signature full"),
        "{changed}"
    );
    assert!(!changed.contains("04-reply-gmail.eml:"), "{changed}");
}

#[test]
fn a_signature_that_no_message_can_take_is_an_error_with_the_line_of_its_template() {
    let folder = Folder::new();
    folder.append("templates/full.html", "\n<p>Too much</p></div>\n");
    folder.append("templates/reply.html", "\n{% if displayName %}<table><tr><td>x</td></tr>{% endif %}\n");
    let checked = signatures(&["check", folder.path()]);
    let lines = text(&checked);
    let last = |name: &str| fs::read_to_string(folder.0.join(name)).expect("the file is there").lines().count();
    for expected in [
        format!("error: templates/full.html:{}: full: </div> closes nothing", last("templates/full.html")),
        format!("error: templates/reply.html:{}: reply: <table> is not closed", last("templates/reply.html")),
    ] {
        assert!(lines.contains(&expected), "{expected}\n{lines}");
    }
    assert!(!checked.status.success());
}

#[test]
fn what_strangers_would_get_and_what_nobody_can_get_is_warned_about() {
    let folder = Folder::new();
    folder.write("templates/full.de.html", "<p>{{ displayName }}</p>");
    folder.append("templates/company.html", "<p>{{ jobTitle }}</p>");
    folder.append("templates/signatures.toml", "\n[group.\"Commercail\".variables]\nslogan = \"x\"\n");
    folder.write("tenant.toml", "domains = [\"northwind.example\"]\nlocale = \"en-GB\"\n");
    let lines = text(&signatures(&["check", folder.path()]));
    for expected in [
        "templates/full.de.html: is never used: every message has the tenant's locale \"en-GB\"",
        "signature: somebody whom the directory does not know gets this signature",
        "group: the directory has no group \"Commercail\"; it has \"commercial\"",
    ] {
        assert!(lines.contains(expected), "{expected}\n{lines}");
    }
}

#[test]
fn the_language_is_the_persons_or_the_messages_when_the_tenant_says_so() {
    let folder = Folder::new();
    fs::remove_file(folder.0.join("templates/full.txt")).expect("the file is there");
    folder.write("templates/full.html", "<p>EN {{ locale }}</p>");
    folder.write("templates/full.de.html", "<p>DE {{ locale }}</p>");
    let name = fs::read_to_string(folder.0.join("people.toml")).expect("people");
    let address = name.split("address = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("somebody").to_owned();
    folder.write("people.toml", &format!("[[person]]\naddress = \"{address}\"\n[person.attributes]\npreferredLanguage = \"de-AT\"\n"));
    let eml = folder.0.join("fr.eml");
    let message = format!("From: {address}\r\nTo: b@b.example\r\nContent-Language: fr\r\n\r\nBonjour\r\n");
    fs::write(&eml, message).expect("the message can be written");
    fs::remove_dir_all(folder.0.join("rules")).expect("the folder is there");
    folder.write("rules.toml", "[[rule]]\nname = \"all\"\nsignature = \"full\"\n");
    let out = folder.0.join("out.eml");
    let (eml, out_path) = (eml.to_str().expect("text"), out.to_str().expect("text"));
    for (origins, expected) in [("[]", "EN en-GB"), ("[\"person\"]", "DE de-AT"), ("[\"message\", \"person\"]", "EN fr")] {
        folder.write("tenant.toml", &format!("locale = \"en-GB\"\nlocale_from = {origins}\n"));
        let explained = signatures(&["explain", "--folder", folder.path(), "--eml", eml, "--output", out_path]);
        let signed = fs::read_to_string(&out).unwrap_or_default();
        assert!(signed.contains(expected), "{origins}: {signed}\n{}", text(&explained));
    }
}
