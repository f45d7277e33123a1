//! What an HTML element means for finding a boundary: its place in the content model, and the marks that mail clients put on it.
//!
//! The marks are data: one row an id or class. Ids and classes are compared without case and without any number of `x_` prefixes,
//! which Outlook on the web puts in front of what it quotes.

use super::tokenizer::Attributes;

/// The start of the class, and of the anchor's name, that mark what we inserted; a version number follows.
pub(in super::super) const OWN_MARK: &str = "signet-signature-";

/// Where an element stands in the content model, as far as nesting depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Class {
    /// `html` and `body`: closing them closes nothing.
    Root,
    /// Any element that ends a line of text.
    Block,
    Paragraph,
    ListItem,
    /// Table cells: text may stand in them, and end tags do not reach through them.
    Cell,
    /// Elements of a table or list in which text may not stand.
    Structure,
    /// Elements whose end tag does not close a block.
    Formatting,
    /// Every other element.
    Inline,
    /// Elements without content.
    Void,
    /// `br` and `hr`.
    Break,
}

/// What an open element contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    None,
    /// Quoted mail.
    Quote,
    /// Gmail's container: quoted mail, and answers between its block quotes.
    GmailQuote,
    /// Word's div around the whole text.
    Section,
    /// What we inserted earlier.
    Own,
    /// A signature that the author's client added.
    Signature,
}

/// What the attributes of a start tag say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Earlier mail starts here and runs to the end.
    Flat { rule: &'static str, forward: bool },
    /// Earlier mail, in this element.
    Contained { rule: &'static str, forward: bool },
    /// Gmail's container.
    Gmail,
    /// A block quote that is a quote only if something else says so.
    PossibleQuote { cite: bool },
    /// A block with a line above it, as Outlook puts around its header block.
    BorderTop,
    /// A plain rule.
    Rule,
    /// An element that does not hold quoted mail.
    Holds(Role),
}

type Row = (&'static str, &'static str, bool);

/// Ids after which everything is earlier mail: id, rule, forward.
const FLAT_IDS: &[Row] = &[
    ("appendonsend", "outlook-web", false),
    ("divrplyfwdmsg", "outlook-web", false),
    ("mail-editor-reference-message-container", "outlook-new", false),
    ("olk_src_body_section", "outlook-mac", false),
    ("stopspelling", "hotmail", false),
    ("reply-intro", "roundcube", false),
    ("forwardbody", "roundcube", true),
    ("isforwardcontent", "foxmail", true),
    ("isreplycontent", "foxmail", false),
    ("oriMsgHtmlSeperator", "alimail", false),
];

/// Classes after which everything is earlier mail.
const FLAT_CLASSES: &[Row] = &[("outlookmessageheader", "outlook-2003", false), ("moz-email-headers-table", "thunderbird-forward", true)];

/// Classes of elements that hold earlier mail.
const CONTAINER_CLASSES: &[Row] = &[
    ("moz-cite-prefix", "thunderbird", false),
    ("moz-forward-container", "thunderbird-forward", true),
    ("yahoo_quoted", "yahoo", false),
    ("zmail_extra", "zoho", false),
    ("protonmail_quote", "proton", false),
    ("tutanota_quote", "tuta", false),
    ("front-blockquote", "front", false),
    ("spark_quote", "spark", false),
    ("airmail_ext_on", "airmail", false),
    ("bloop_original_html", "airmail", false),
    ("mcntgmail_quote", "mailchimp", false),
];

/// What the standard says of an element's place.
pub(in super::super) fn class(name: &[u8]) -> Class {
    let mut lower = [0; 12];
    let Some(lower) = lower.get_mut(..name.len()) else {
        return Class::Inline;
    };
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    match &*lower {
        b"html" | b"body" => Class::Root,
        b"p" => Class::Paragraph,
        b"li" | b"dt" | b"dd" | b"option" => Class::ListItem,
        b"td" | b"th" | b"caption" => Class::Cell,
        b"table" | b"tbody" | b"thead" | b"tfoot" | b"tr" | b"colgroup" | b"ul" | b"ol" | b"dl" | b"select" => Class::Structure,
        b"a" | b"b" | b"big" | b"code" | b"em" | b"font" | b"i" | b"nobr" | b"s" | b"small" | b"strike" | b"strong" | b"tt" | b"u" => {
            Class::Formatting
        }
        b"br" | b"hr" => Class::Break,
        b"area" | b"base" | b"col" | b"embed" | b"img" | b"input" | b"link" | b"meta" | b"param" | b"source" | b"track" | b"wbr" => {
            Class::Void
        }
        b"div" | b"blockquote" | b"center" | b"head" | b"header" | b"footer" | b"section" | b"article" | b"aside" | b"main" | b"nav"
        | b"pre" | b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6" | b"form" | b"fieldset" | b"address" | b"figure" | b"details"
        | b"summary" | b"dir" | b"menu" | b"hgroup" => Class::Block,
        _ => Class::Inline,
    }
}

/// Elements whose content is never markup.
pub(in super::super) fn is_raw(name: &[u8]) -> bool {
    ["script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "plaintext"]
        .iter()
        .any(|raw| name.eq_ignore_ascii_case(raw.as_bytes()))
}

/// Elements whose text is not shown.
pub(in super::super) fn is_hidden(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"head") || name.eq_ignore_ascii_case(b"template")
}

/// What the attributes of a start tag say.
pub(super) fn mark(name: &[u8], attributes: &[u8]) -> Option<Mark> {
    let is = |wanted: &[u8]| name.eq_ignore_ascii_case(wanted);
    let mut found = match () {
        () if is(b"hr") => Some(Mark::Rule),
        () if is(b"blockquote") => Some(Mark::PossibleQuote { cite: false }),
        () => None,
    };
    if attributes.is_empty() {
        return found;
    }
    for (key, value) in Attributes(attributes) {
        let mark = match key.len() {
            2 if key.eq_ignore_ascii_case(b"id") => id_mark(value),
            5 if key.eq_ignore_ascii_case(b"class") => class_mark(value, is(b"blockquote")),
            4 if key.eq_ignore_ascii_case(b"name") && is(b"a") => name_mark(value),
            4 if key.eq_ignore_ascii_case(b"type") && is(b"blockquote") && value.eq_ignore_ascii_case(b"cite") => {
                Some(Mark::PossibleQuote { cite: true })
            }
            5 if key.eq_ignore_ascii_case(b"style") && is(b"div") && has_border(value, b"border-top") => Some(Mark::BorderTop),
            5 if key.eq_ignore_ascii_case(b"style") && is(b"blockquote") && has_border(value, b"border-left") => {
                (found != Some(Mark::PossibleQuote { cite: true })).then_some(Mark::PossibleQuote { cite: true })
            }
            11 if key.eq_ignore_ascii_case(b"data-marker") && value == b"__DIVIDER__" => {
                Some(Mark::Flat { rule: "zimbra", forward: false })
            }
            _ => None,
        };
        match mark {
            // A name or border says less than an id or class.
            Some(Mark::BorderTop | Mark::Holds(_)) if matches!(found, Some(Mark::Flat { .. } | Mark::Contained { .. })) => {}
            Some(mark) => found = Some(mark),
            None => {}
        }
    }
    found
}

/// Without `x_` prefixes, in lower case.
fn canonical(token: &[u8], buffer: &mut [u8; 64]) -> usize {
    let mut token = token;
    while let Some(rest) = token.strip_prefix(b"x_").or_else(|| token.strip_prefix(b"X_")) {
        token = rest;
    }
    let length = token.len().min(buffer.len());
    buffer[..length].copy_from_slice(&token[..length]);
    buffer[..length].make_ascii_lowercase();
    length
}

fn id_mark(value: &[u8]) -> Option<Mark> {
    let mut buffer = [0; 64];
    let length = canonical(value.trim_ascii(), &mut buffer);
    let id = &buffer[..length];
    if id.starts_with(b"yahoo_quoted") || id.starts_with(b"ydp") && id.ends_with(b"yahoo_quoted") {
        return Some(Mark::Contained { rule: "yahoo", forward: false });
    }
    FLAT_IDS.iter().find(|(name, ..)| id.eq_ignore_ascii_case(name.as_bytes())).map(|&(_, rule, forward)| Mark::Flat { rule, forward })
}

fn class_mark(value: &[u8], blockquote: bool) -> Option<Mark> {
    let mut buffer = [0; 64];
    for token in value.split(u8::is_ascii_whitespace).filter(|token| !token.is_empty()) {
        let length = canonical(token, &mut buffer);
        let class = &buffer[..length];
        let known = |rows: &[Row]| rows.iter().find(|(name, ..)| class == name.as_bytes()).copied();
        if class.starts_with(OWN_MARK.as_bytes()) {
            return Some(Mark::Holds(Role::Own));
        }
        if let Some((_, rule, forward)) = known(FLAT_CLASSES) {
            return Some(Mark::Flat { rule, forward });
        }
        if let Some((_, rule, forward)) = known(CONTAINER_CLASSES) {
            return Some(Mark::Contained { rule, forward });
        }
        match class {
            b"gmail_quote" | b"gmail_quote_container" if blockquote => return Some(Mark::Contained { rule: "gmail", forward: false }),
            b"gmail_quote" | b"gmail_quote_container" => return Some(Mark::Gmail),
            b"gmail_signature" | b"moz-signature" => return Some(Mark::Holds(Role::Signature)),
            // Yahoo puts a prefix that differs from mail to mail in front of its class.
            _ if class.starts_with(b"ydp") && class.ends_with(b"yahoo_quoted") => {
                return Some(Mark::Contained { rule: "yahoo", forward: false });
            }
            _ if class.starts_with(b"wordsection") => return Some(Mark::Holds(Role::Section)),
            _ => {}
        }
    }
    None
}

fn name_mark(value: &[u8]) -> Option<Mark> {
    let mut buffer = [0; 64];
    let length = canonical(value.trim_ascii(), &mut buffer);
    match &buffer[..length] {
        b"_mailoriginal" => Some(Mark::Flat { rule: "outlook-original", forward: false }),
        name if name.starts_with(OWN_MARK.as_bytes()) => Some(Mark::Holds(Role::Own)),
        _ => None,
    }
}

/// Whether a style attribute draws a line on that side.
fn has_border(style: &[u8], side: &[u8]) -> bool {
    let lower = style.to_ascii_lowercase();
    let mut declarations = lower.split(|&octet| octet == b';').map(<[u8]>::trim_ascii);
    declarations.any(|declaration| {
        declaration.strip_prefix(side).is_some_and(|rest| {
            let value = rest.iter().position(|&octet| octet == b':').map_or(&[][..], |colon| &rest[colon + 1..]);
            rest.starts_with(b"-style") && value.trim_ascii() == b"solid"
                || rest.trim_ascii_start().starts_with(b":") && memchr::memmem::find(value, b"solid").is_some()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_under_any_prefix_and_case() {
        let flat = |rule| Some(Mark::Flat { rule, forward: false });
        for (tag, attributes, expected) in [
            ("div", r#" id="appendonsend""#, flat("outlook-web")),
            ("div", r#" id=x_x_divRplyFwdMsg dir=ltr"#, flat("outlook-web")),
            ("hr", r#" id="stopSpelling""#, flat("hotmail")),
            ("hr", r#" data-marker="__DIVIDER__""#, flat("zimbra")),
            ("hr", "", Some(Mark::Rule)),
            ("div", r#" class="x_gmail_quote x_gmail_quote_container""#, Some(Mark::Gmail)),
            ("div", r#" class="ydp1234yahoo_quoted""#, Some(Mark::Contained { rule: "yahoo", forward: false })),
            ("div", r#" id="yahoo_quoted_123""#, Some(Mark::Contained { rule: "yahoo", forward: false })),
            ("blockquote", r#" type="cite""#, Some(Mark::PossibleQuote { cite: true })),
            ("blockquote", r#" style="margin:0 0 0 40px;border:none""#, Some(Mark::PossibleQuote { cite: false })),
            ("blockquote", r#" style="border-left: 1px solid #ccc""#, Some(Mark::PossibleQuote { cite: true })),
            ("div", " style='border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm'", Some(Mark::BorderTop)),
            (
                "div",
                r#" style="border-top-color: rgb(229, 229, 229); border-top-width: 1px; border-top-style: solid;""#,
                Some(Mark::BorderTop),
            ),
            ("div", r#" class="WordSection1""#, Some(Mark::Holds(Role::Section))),
            ("div", r#" class="x_signet-signature-1""#, Some(Mark::Holds(Role::Own))),
            ("a", r#" name="_MailEndCompose""#, None),
            ("a", r#" name="_MailOriginal""#, flat("outlook-original")),
            ("div", r#" id="ms-outlook-mobile-body-separator-line""#, None),
            ("div", r#" id="divTagDefaultWrapper""#, None),
        ] {
            assert_eq!(mark(tag.as_bytes(), attributes.as_bytes()), expected, "{tag}{attributes}");
        }
    }
}
