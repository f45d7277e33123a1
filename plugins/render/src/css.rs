//! Style sheets as templates bring them, read into rules (CSS Syntax Level 3, the part that can become an inline style), and what no style
//! may do. What mail clients would not keep is told apart from what is broken.

use std::ops::Range;

use crate::markup::Problem;
use crate::selector::{Refusal, Selector};

/// What a correct rule looks like, for errors.
const EXAMPLE: &str = "for example `td.name { color: #333333; }`";

/// What a style may not have in it, without white space and in lower case, and what it would do.
const HARMFUL: [(&str, &str); 11] = [
    ("url(", "it fetches something"),
    ("image-set(", "it fetches something"),
    ("@import", "it fetches something"),
    ("expression(", "it runs code"),
    ("behavior:", "it runs code"),
    ("-moz-binding:", "it runs code"),
    ("position:fixed", "it reaches beyond the signature"),
    ("position:absolute", "it reaches beyond the signature"),
    ("position:sticky", "it reaches beyond the signature"),
    ("\\", "a character by its number may hide anything"),
    ("/*", "a comment may hide anything"),
];

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Where it begins.
    pub(crate) offset: usize,
    pub(crate) selectors: Vec<Selector>,
    pub(crate) declarations: Vec<Declaration>,
}

/// `color:red`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Declaration {
    /// The name, a colon and the value, without `!important`.
    pub(crate) text: String,
    pub(crate) important: bool,
}

/// A style sheet.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    pub(crate) rules: Vec<Rule>,
    /// What cannot be inlined.
    pub(crate) left_out: Vec<Problem>,
}

/// Reads a style sheet; offsets are in `text`.
pub(crate) fn parse(text: &str) -> Result<Sheet, Problem> {
    let text = &without_comments(text)?;
    let mut sheet = Sheet::default();
    let mut at = 0;
    loop {
        at = text.len() - text[at..].trim_start().len();
        let rest = &text[at..];
        // Old browsers were kept from showing the style sheet by a comment of HTML around it.
        if let Some(mark) = ["<!--", "-->"].into_iter().find(|mark| rest.starts_with(mark)) {
            at += mark.len();
        } else if rest.starts_with('@') {
            at = sheet.at_rule(text, at)?;
        } else if rest.is_empty() {
            return Ok(sheet);
        } else {
            at = sheet.rule(text, at)?;
        }
    }
}

/// Why a style, or a declaration, cannot stay.
pub(crate) fn harm(style: &str) -> Option<&'static str> {
    let style: String = style.chars().filter(|char| !char.is_whitespace()).collect::<String>().to_ascii_lowercase();
    HARMFUL.iter().find(|(word, _)| style.contains(word)).map(|(_, why)| *why)
}

/// The declarations of a `style` attribute, as they stand there; a `;` that ends a character reference separates nothing.
pub(crate) fn inline(style: &str) -> Vec<&str> {
    let mut declarations = Vec::new();
    let mut start = 0;
    for (at, _) in style.match_indices(';') {
        let name = style[start..at].rfind('&').map(|reference| &style[start + reference + 1..at]);
        let is_reference = |name: &str| !name.is_empty() && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '#');
        if !name.is_some_and(is_reference) {
            declarations.push(&style[start..at]);
            start = at + 1;
        }
    }
    declarations.push(&style[start..]);
    declarations.into_iter().map(str::trim).filter(|declaration| !declaration.is_empty()).collect()
}

impl Sheet {
    fn leave_out(&mut self, offset: usize, key: &str, why: &str) {
        let message = format!("is left out: {why}");
        self.left_out.push(Problem { offset, key: key.to_owned(), message });
    }

    /// Skips `@media ... { ... }` and the like.
    fn at_rule(&mut self, text: &str, start: usize) -> Result<usize, Problem> {
        let broken = || problem(start, &line_of(text, start), "has no end");
        let (mut at, mark) = find(text, start, &['{', '}', ';']).unwrap_or((text.len(), ';'));
        self.leave_out(start, text[start..at].trim(), "mail clients keep inline styles only");
        match mark {
            '}' => return Err(broken()),
            '{' => {
                let mut depth = 1;
                while depth > 0 {
                    let (next, mark) = find(text, at + 1, &['{', '}']).ok_or_else(broken)?;
                    depth = if mark == '{' { depth + 1 } else { depth - 1 };
                    at = next;
                }
            }
            _ => (),
        }
        Ok((at + 1).min(text.len()))
    }

    fn rule(&mut self, text: &str, start: usize) -> Result<usize, Problem> {
        let (open, mark) = find(text, start, &['{', '}', ';']).unwrap_or((text.len(), '}'));
        if mark != '{' {
            return Err(problem(start, &line_of(text, start), "is no rule: a selector and declarations in braces"));
        }
        let Some((close, '}')) = find(text, open + 1, &['{', '}']) else {
            return Err(problem(start, text[start..open].trim(), "has no `}` at its end"));
        };
        let selectors = self.selectors(text, start..open)?;
        let declarations = self.declarations(text, open + 1..close)?;
        if !selectors.is_empty() {
            self.rules.push(Rule { offset: start, selectors, declarations });
        }
        Ok(close + 1)
    }

    fn selectors(&mut self, text: &str, span: Range<usize>) -> Result<Vec<Selector>, Problem> {
        let mut selectors = Vec::new();
        for part in parts(text, span, ',') {
            let written = text[part.clone()].trim();
            match Selector::parse(written) {
                Ok(selector) => selectors.push(selector),
                Err(Refusal::Unsupported(why)) => {
                    self.leave_out(part.start, written, &format!("{why}, and mail clients keep inline styles only"));
                }
                Err(Refusal::Broken) => return Err(problem(part.start, written, "is no selector")),
            }
        }
        Ok(selectors)
    }

    fn declarations(&mut self, text: &str, span: Range<usize>) -> Result<Vec<Declaration>, Problem> {
        let mut declarations = Vec::new();
        for part in parts(text, span, ';') {
            let written = text[part.clone()].trim();
            if written.is_empty() {
                continue;
            }
            let offset = part.end - text[part.clone()].trim_start().len();
            let Some((name, value)) = written.split_once(':') else {
                return Err(problem(offset, written, "is no declaration: a name, a colon and a value"));
            };
            let (name, (value, important)) = (name.trim_end().to_ascii_lowercase(), without_important(value.trim()));
            let declaration = Declaration { text: format!("{name}:{value}"), important };
            if let Some(why) = harm(&declaration.text) {
                self.leave_out(offset, written, why);
            } else if !name.chars().all(|char| char.is_ascii_alphanumeric() || char == '-') || name.is_empty() {
                self.leave_out(offset, written, "no mail client knows a property of this name");
            } else if value.is_empty() || value.contains(['{', '}']) {
                self.leave_out(offset, written, "this is no value that an inline style can have");
            } else {
                declarations.push(declaration);
            }
        }
        Ok(declarations)
    }
}

/// A text with every comment made white space, so that offsets stay.
fn without_comments(text: &str) -> Result<String, Problem> {
    let mut blank = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(char) = text[at..].chars().next() {
        let rest = &text[at..];
        let length = match char {
            '/' if rest.starts_with("/*") => {
                let end = rest[2..].find("*/").ok_or_else(|| problem(at, &line_of(text, at), "is a comment without `*/`"))?;
                at += end + 4;
                blank.extend(std::iter::repeat_n(' ', end + 4));
                continue;
            }
            _ => step(rest, char),
        };
        blank.push_str(&rest[..length]);
        at += length;
    }
    Ok(blank)
}

/// The octets of a character, of a text in quotes (which a line end ends) or of an escaped character.
fn step(rest: &str, char: char) -> usize {
    match char {
        '\\' => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        '"' | '\'' => {
            let mut at = 1;
            while let Some(next) = rest[at..].chars().next() {
                if next == '\n' {
                    break;
                }
                at += if next == '\\' { step(&rest[at..], next) } else { next.len_utf8() };
                if next == char {
                    break;
                }
            }
            at
        }
        _ => char.len_utf8(),
    }
}

/// The next of some characters that stands in no quotes and no parentheses.
fn find(text: &str, start: usize, wanted: &[char]) -> Option<(usize, char)> {
    let (mut at, mut depth) = (start, 0_usize);
    while let Some(char) = text[at..].chars().next() {
        // A brace ends parentheses that nobody closed, or the rest of the sheet would be lost in them.
        if wanted.contains(&char) && (depth == 0 || matches!(char, '{' | '}')) {
            return Some((at, char));
        }
        match char {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ => (),
        }
        at += step(&text[at..], char);
    }
    None
}

/// The parts of a list.
fn parts(text: &str, span: Range<usize>, separator: char) -> Vec<Range<usize>> {
    let (text, mut start) = (&text[..span.end], span.start);
    let mut parts = Vec::new();
    while let Some((at, _)) = find(text, start, &[separator]) {
        parts.push(start..at);
        start = at + 1;
    }
    parts.push(start..span.end);
    parts
}

fn without_important(value: &str) -> (&str, bool) {
    match value.rsplit_once('!') {
        Some((before, word)) if word.trim().eq_ignore_ascii_case("important") => (before.trim_end(), true),
        _ => (value, false),
    }
}

fn problem(offset: usize, key: &str, message: &str) -> Problem {
    Problem { offset, key: key.to_owned(), message: format!("{message}; {EXAMPLE}") }
}

/// The rest of a line, for the key of an error.
fn line_of(text: &str, at: usize) -> String {
    text[at..].lines().next().unwrap_or_default().trim().chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(css: &str) -> Vec<String> {
        let sheet = parse(css).unwrap_or_else(|problem| panic!("{css}: {problem:?}"));
        let show = |rule: Rule| {
            let selectors: Vec<String> = rule.selectors.into_iter().map(|selector| selector.text).collect();
            let declarations = rule.declarations.into_iter().map(|one| format!("{}{}", one.text, if one.important { "!" } else { "" }));
            format!("{}{{{}}}", selectors.join(","), declarations.collect::<Vec<_>>().join(";"))
        };
        sheet.rules.into_iter().map(show).collect()
    }

    #[test]
    fn rules_are_read() {
        for (css, expected) in [
            ("td{color:red}", vec!["td{color:red}"]),
            ("<!-- p , li.a { Color : red ; ; margin:0 } -->", vec!["p,li.a{color:red;margin:0}"]),
            ("/* } */ a { b: c /* ; */ }", vec!["a{b:c}"]),
            ("a{font:1px 'x;y\"',b;c:d ! IMPORTANT}", vec!["a{font:1px 'x;y\"',b;c:d!}"]),
            ("a{color:rgba(0,0,0,.5);b:f(;)}\n.é{b:c}", vec!["a{color:rgba(0,0,0,.5);b:f(;)}", ".é{b:c}"]),
            ("a{}b{c:d}", vec!["a{}", "b{c:d}"]),
            ("@media print{#a{b:c}} a:hover,b{c:d}", vec!["b{c:d}"]),
            ("", vec![]),
        ] {
            assert_eq!(shown(css), expected, "{css}");
        }
    }

    #[test]
    fn what_cannot_be_inlined_is_named_where_it_stands() {
        for (css, expected) in [
            ("@import url(x.css);a{}", "0 @import url(x.css)"),
            ("a{}@media (max-width:1px){a{b:c}}", "3 @media (max-width:1px)"),
            ("@font-face{src:url(x)}", "0 @font-face"),
            ("@charset 'x'", "0 @charset 'x'"),
            ("a, b:hover{}", "2 b:hover"),
            ("a{ background: url( x )}", "3 background: url( x )"),
            ("a{b:c; POSITION : Fixed }", "7 POSITION : Fixed"),
            ("a{behavior:x}", "2 behavior:x"),
            ("a{b:\\65}", "2 b:\\65"),
            ("a{*zoom:1}", "2 *zoom:1"),
            ("a{b:}", "2 b:"),
            ("a{b:'{#'}", "2 b:'{#'"),
            ("a{b:'}'}", "2 b:'}'"),
        ] {
            let left_out = parse(css).unwrap_or_else(|problem| panic!("{css}: {problem:?}")).left_out;
            let left_out: Vec<String> = left_out.iter().map(|problem| format!("{} {}", problem.offset, problem.key)).collect();
            assert_eq!(left_out, [expected], "{css}");
        }
    }

    #[test]
    fn a_broken_style_sheet_is_an_error_with_an_example() {
        for (css, expected) in [
            ("a{b:c", "0 a: has no `}` at its end"),
            ("a{b:c d{e:f}", "0 a: has no `}` at its end"),
            ("a{}}", "3 }: is no rule"),
            ("color:red;", "0 color:red;: is no rule"),
            ("a{b c}", "2 b c: is no declaration"),
            ("a,{b:c}", "2 : is no selector"),
            ("{b:c}", "0 : is no selector"),
            ("a{}/* b", "3 /* b: is a comment without `*/`"),
            ("@media x{a{b:c}", "0 @media x{a{b:c}: has no end"),
        ] {
            let Problem { offset, key, message } = parse(css).expect_err(css);
            let found = format!("{offset} {key}: {message}");
            assert!(found.starts_with(expected) && found.ends_with(EXAMPLE), "{css}: {found}");
        }
    }

    #[test]
    fn inline_styles_are_taken_apart_at_their_semicolons_only() {
        for (style, expected) in [
            ("a:b; c : d;", vec!["a:b", "c : d"]),
            ("font:&quot;A B&quot;,&#39;c&#39;;d:e", vec!["font:&quot;A B&quot;,&#39;c&#39;", "d:e"]),
            (";;", vec![]),
        ] {
            assert_eq!(inline(style), expected, "{style}");
        }
    }

    /// The selectors and the declarations of a rule.
    type Written = (Vec<String>, Vec<(String, String)>);

    /// Rules as a person writes them.
    fn rules() -> impl Strategy<Value = Vec<Written>> {
        let selector = "[a-z]{1,4}(\\.[a-z][a-z0-9-]{0,3})?(#[a-z]{1,3})?( > [a-z]{1,2}| \\.[a-z]{1,2})?";
        let value = prop_oneof!["[a-z0-9#%., -]{0,9}[a-z0-9]", "'[a-z;: é]{0,6}'", "rgb\\([0-9, ]{1,8}\\)", "\"[a-z;:,' ]{0,6}\""];
        let declaration = ("[a-z]{2,6}(-[a-z]{1,4})?", value);
        prop::collection::vec((prop::collection::vec(selector, 1..3), prop::collection::vec(declaration, 0..4)), 0..5)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_read_or_refused(css in "[a-z{};:,.#@'\"()!*/<>\\\\é\\[\\] \n-]{0,60}", other in any::<String>()) {
            for text in [css, other] {
                if let Ok(sheet) = parse(&text) {
                    prop_assert!(sheet.left_out.iter().all(|problem| text.is_char_boundary(problem.offset)));
                }
            }
        }

        #[test]
        fn no_declaration_of_an_accepted_sheet_is_lost(rules in rules(), space in "[ \n\t]{0,2}|/\\*[a-z;}]{0,3}\\*/ ") {
            let declared = |(name, value): &(String, String)| format!("{space}{name}{space}:{space}{value}{space}");
            let ruled = |(selectors, declarations): &Written| {
                let declarations: Vec<String> = declarations.iter().map(declared).collect();
                format!("{}{space}{{{}}}{space}", selectors.join(&format!("{space},{space}")), declarations.join(";"))
            };
            let sheet = parse(&rules.iter().map(ruled).collect::<String>()).unwrap();
            prop_assert_eq!(&sheet.left_out, &vec![]);
            let read: Vec<_> = sheet.rules.iter().map(|rule| {
                let declarations = rule.declarations.iter().map(|one| one.text.clone()).collect::<Vec<_>>();
                (rule.selectors.iter().map(|selector| selector.text.clone()).collect::<Vec<_>>(), declarations)
            }).collect();
            let written: Vec<_> = rules.into_iter().map(|(selectors, declarations)| {
                (selectors, declarations.iter().map(|(name, value)| format!("{name}:{}", value.trim())).collect::<Vec<_>>())
            }).collect();
            prop_assert_eq!(read, written);
        }
    }
}
