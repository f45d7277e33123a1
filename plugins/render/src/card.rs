//! A person's business card: vCard 3.0 (RFC 2426) and 4.0 (RFC 6350).
//!
//! Lines are not folded: folding is a SHOULD, and readers of QR codes are careless about it. It has no photo.

/// Versions, by the names that templates use. Address books read 3.0 everywhere.
pub(crate) const VERSIONS: [&str; 2] = ["3.0", "4.0"];

/// Attributes that a card takes from a person.
pub(crate) const ATTRIBUTES: [&str; 14] = [
    "businessPhone",
    "city",
    "companyName",
    "country",
    "department",
    "displayName",
    "givenName",
    "jobTitle",
    "mobilePhone",
    "postalCode",
    "state",
    "streetAddress",
    "surname",
    "website",
];

/// The card of the person whose attributes `value` knows; each is one printable line. With `address` it has the postal address, too.
pub(crate) fn card(version: &str, address: bool, value: &dyn Fn(&str) -> String) -> String {
    let mut card = Card { lines: vec!["BEGIN:VCARD".to_owned(), format!("VERSION:{version}")] };
    let email = value("email");
    let name = [value("displayName"), email.clone()].into_iter().find(|name| !name.is_empty()).unwrap_or_default();
    card.property("N", &[&value("surname"), &value("givenName"), "", "", ""]);
    card.property("FN", &[&name]);
    let (company, department) = (value("companyName"), value("department"));
    // A card must not say that a department is a company.
    if !company.is_empty() {
        let both = [company.as_str(), department.as_str()];
        card.property("ORG", if department.is_empty() { &both[..1] } else { &both });
    }
    card.property("TITLE", &[&value("jobTitle")]);
    let kinds = if version == "4.0" {
        ["TEL;TYPE=work,voice", "TEL;TYPE=cell", "EMAIL;TYPE=work", "ADR;TYPE=work"]
    } else {
        ["TEL;TYPE=WORK,VOICE", "TEL;TYPE=CELL", "EMAIL;TYPE=INTERNET", "ADR;TYPE=WORK"]
    };
    card.property(kinds[0], &[&value("businessPhone")]);
    card.property(kinds[1], &[&value("mobilePhone")]);
    card.property(kinds[2], &[&email]);
    if address {
        let parts = ["streetAddress", "city", "state", "postalCode", "country"].map(value);
        card.property(kinds[3], &["", "", &parts[0], &parts[1], &parts[2], &parts[3], &parts[4]]);
    }
    let website = value("website");
    if !website.is_empty() {
        // A URI, which has no escapes of the card's (RFC 6350 section 6.7.8).
        card.lines.push(format!("URL:{website}"));
    }
    card.lines.push("END:VCARD\r\n".to_owned());
    card.lines.join("\r\n")
}

struct Card {
    lines: Vec<String>,
}

impl Card {
    /// Writes a property with its components, unless all of them are empty. `N` has to be there always.
    fn property(&mut self, name: &str, components: &[&str]) {
        if name == "N" || components.iter().any(|component| !component.is_empty()) {
            let components: Vec<String> = components.iter().map(|component| escaped(component)).collect();
            self.lines.push(format!("{name}:{}", components.join(";")));
        }
    }
}

/// RFC 6350 section 3.4.
fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for char in value.chars() {
        match char {
            '\\' | ',' | ';' => escaped.extend(['\\', char]),
            '\n' => escaped.push_str("\\n"),
            _ if char.is_control() => (),
            _ => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(version: &str, address: bool, attributes: &[(&str, &str)]) -> String {
        card(version, address, &|name| {
            attributes.iter().find(|(known, _)| *known == name).map_or(String::new(), |(_, value)| (*value).into())
        })
    }

    #[test]
    fn a_card_has_what_is_known() {
        let attributes = [
            ("displayName", "Hanna Lindqvist"),
            ("givenName", "Hanna"),
            ("surname", "Lindqvist"),
            ("companyName", "Northwind; Harbour, Ltd"),
            ("department", "Office"),
            ("businessPhone", "+494055501410"),
            ("email", "hanna@northwind.example"),
            ("streetAddress", "Nordkai 3"),
            ("city", "Hamburg"),
            ("website", "https://northwind.example/?a=1,2"),
        ];
        assert_eq!(
            of("3.0", true, &attributes),
            "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Lindqvist;Hanna;;;\r\nFN:Hanna Lindqvist\r\nORG:Northwind\\; Harbour\\, Ltd;Office\r\n\
             TEL;TYPE=WORK,VOICE:+494055501410\r\nEMAIL;TYPE=INTERNET:hanna@northwind.example\r\n\
             ADR;TYPE=WORK:;;Nordkai 3;Hamburg;;;\r\nURL:https://northwind.example/?a=1,2\r\nEND:VCARD\r\n"
        );
        assert_eq!(
            of("4.0", false, &[("email", "a@b.example"), ("department", "Office"), ("streetAddress", "x")]),
            "BEGIN:VCARD\r\nVERSION:4.0\r\nN:;;;;\r\nFN:a@b.example\r\nEMAIL;TYPE=work:a@b.example\r\nEND:VCARD\r\n"
        );
    }

    #[test]
    fn no_value_can_begin_a_line_of_its_own() {
        for value in ["a\r\nEND:VCARD", "a\nb", "a;b,c\\", "\u{0}"] {
            let card = of("3.0", true, &[("displayName", value)]);
            assert_eq!(card.lines().count(), 5, "{card}");
        }
        assert_eq!(escaped("a\r\nb;c,d\\e"), "a\\nb\\;c\\,d\\\\e");
    }
}
