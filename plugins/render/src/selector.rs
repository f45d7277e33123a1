//! Selectors of style sheets, and whether an element is meant (Selectors Level 4, the part that needs no browser): types, classes, ids and
//! `*`, put together and below each other.

/// An element of a template, as far as a selector looks at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    /// In lower case.
    pub(crate) name: String,
    pub(crate) id: Option<String>,
    pub(crate) classes: Vec<String>,
}

/// What one element has to be: `td.name`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Compound {
    name: Option<String>,
    ids: Vec<String>,
    classes: Vec<String>,
    /// Whether it has to be right below what is left of it: `tr > td`.
    child: bool,
}

/// `table.card tr > td`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selector {
    /// As it was written, without surplus white space.
    pub(crate) text: String,
    compounds: Vec<Compound>,
}

/// Why a text is no selector of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It means something that inline styles cannot say.
    Unsupported(&'static str),
    /// It means nothing.
    Broken,
}

impl Selector {
    /// Reads one selector, which is not a list of them.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let spaced = text.replace('>', " > ");
        if let Some(why) = text.chars().find_map(unsupported) {
            return Err(Refusal::Unsupported(why));
        }
        let (mut compounds, mut child) = (Vec::new(), false);
        for word in spaced.split_whitespace() {
            if word == ">" {
                if child || compounds.is_empty() {
                    return Err(Refusal::Broken);
                }
                child = true;
            } else {
                compounds.push(Compound { child, ..Compound::parse(word).ok_or(Refusal::Broken)? });
                child = false;
            }
        }
        if child || compounds.is_empty() {
            return Err(Refusal::Broken);
        }
        Ok(Self { text, compounds })
    }

    /// Whether the last element of a path from the outermost one down is meant.
    pub(crate) fn matches(&self, path: &[Element]) -> bool {
        // Where in the path the compounds so far can end.
        let mut ends = Vec::new();
        for (at, compound) in self.compounds.iter().enumerate() {
            let mut above = false;
            let fits = path.iter().enumerate().map(|(depth, element)| {
                let parent = depth > 0 && at > 0 && ends[depth - 1];
                above |= parent;
                let placed = at == 0 || if compound.child { parent } else { above };
                placed && compound.matches(element)
            });
            ends = fits.collect();
        }
        ends.last() == Some(&true)
    }

    /// How many ids, classes and types it names: the higher one wins.
    pub(crate) fn specificity(&self) -> [usize; 3] {
        let sum = |count: fn(&Compound) -> usize| self.compounds.iter().map(count).sum();
        [sum(|one| one.ids.len()), sum(|one| one.classes.len()), sum(|one| usize::from(one.name.is_some()))]
    }

    /// The classes that it names.
    pub(crate) fn classes(&self) -> impl Iterator<Item = &str> {
        self.compounds.iter().flat_map(|compound| compound.classes.iter().map(String::as_str))
    }
}

impl Compound {
    fn parse(text: &str) -> Option<Self> {
        let mut compound = Self::default();
        let name_end = text.find(['.', '#']).unwrap_or(text.len());
        match &text[..name_end] {
            "" | "*" => (),
            name => compound.name = Some(identifier(name)?.to_ascii_lowercase()),
        }
        let mut rest = &text[name_end..];
        while let Some(mark) = rest.chars().next() {
            let end = rest[1..].find(['.', '#']).map_or(rest.len(), |at| at + 1);
            let name = identifier(&rest[1..end])?.to_owned();
            if mark == '.' {
                compound.classes.push(name)
            } else {
                compound.ids.push(name)
            }
            rest = &rest[end..];
        }
        Some(compound)
    }

    fn matches(&self, element: &Element) -> bool {
        self.name.as_ref().is_none_or(|name| *name == element.name)
            && self.ids.iter().all(|id| element.id.as_ref() == Some(id))
            && self.classes.iter().all(|class| element.classes.contains(class))
    }
}

/// What a character means that only a browser with the message open could follow.
fn unsupported(char: char) -> Option<&'static str> {
    match char {
        ':' => Some("it asks for a state or a part of an element"),
        '[' => Some("it asks for an attribute"),
        '+' | '~' => Some("it asks for a neighbour"),
        '|' | '\\' => Some("it names a namespace or a character by its number"),
        _ => None,
    }
}

fn identifier(text: &str) -> Option<&str> {
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_') || !char.is_ascii();
    let first = text.trim_start_matches('-').chars().next()?;
    (!first.is_ascii_digit() && text.chars().all(fits)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(text: &str) -> Element {
        let Compound { name, ids, classes, .. } = Compound::parse(text).unwrap();
        Element { name: name.unwrap_or_default(), id: ids.first().cloned(), classes }
    }

    #[test]
    fn a_selector_means_the_elements_that_a_browser_would_take() {
        let path: Vec<Element> = ["div#top", "table.card.wide", "tr", "td.name", "table", "tr.row", "td"].map(element).to_vec();
        for (selector, expected) in [
            ("td", true),
            ("TD", true),
            ("*", true),
            ("tr > td", true),
            ("tr>td", true),
            ("table td", true),
            ("table > td", false),
            ("table.card td", true),
            (".card.wide .name td", true),
            (".card > tr > .name td", true),
            (".name > td", false),
            (".name > table > .row > td", true),
            ("#top td", true),
            ("div#top > table td", true),
            ("div#top > tr td", false),
            ("#bottom td", false),
            ("td td", true),
            ("td td td", false),
            (".Card td", false),
            ("table", false),
        ] {
            assert_eq!(Selector::parse(selector).unwrap().matches(&path), expected, "{selector}");
        }
    }

    #[test]
    fn ids_count_more_than_classes_and_classes_more_than_types() {
        for (selector, expected) in
            [("*", [0, 0, 0]), ("td", [0, 0, 1]), ("table td.name", [0, 1, 2]), ("#a .b.c > d", [1, 2, 1]), ("*.x", [0, 1, 0])]
        {
            assert_eq!(Selector::parse(selector).unwrap().specificity(), expected, "{selector}");
        }
    }

    #[test]
    fn what_is_no_selector_is_told_from_what_cannot_be_inlined() {
        for text in ["a:hover", "p::before", "td[width]", "h1 + p", "h1 ~ p", "v\\:*"] {
            assert!(matches!(Selector::parse(text), Err(Refusal::Unsupported(_))), "{text}");
        }
        for text in ["", ">", "> td", "td >", "a > > b", "td..name", ".", "#", ".1a", "td{", "50%", "td;", "."] {
            assert_eq!(Selector::parse(text), Err(Refusal::Broken), "{text}");
        }
    }
}
