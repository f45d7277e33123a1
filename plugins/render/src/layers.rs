//! Values that an operator sets in `signatures.toml`, by whom they are for, and which of them comes first.

use std::collections::BTreeMap;

use crate::locale;

/// Values by name.
pub(crate) type Values = Vec<(String, String)>;

/// Values of everything but the single signature.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    /// By group id, in the order of the file.
    pub(crate) groups: Vec<(String, Values)>,
    /// By tag in lower case.
    pub(crate) locales: BTreeMap<String, Values>,
    pub(crate) tenant: Values,
}

impl Layers {
    /// The value of `name`: the signature's own, else that of the first of the person's groups in the file that has one, else that of
    /// the nearest locale, else everybody's. The person's own attribute comes before all of them; who calls this sees to it.
    pub(crate) fn find<'v>(&'v self, signature: &'v Values, groups: &[String], tag: &str, name: &str) -> Option<&'v str> {
        let mut of_groups = self.groups.iter().filter(|(group, _)| groups.contains(group));
        value_in(signature, name)
            .or_else(|| of_groups.find_map(|(_, values)| value_in(values, name)))
            .or_else(|| locale::chain(tag).find_map(|tag| value_in(self.locales.get(&tag)?, name)))
            .or_else(|| value_in(&self.tenant, name))
    }
}

fn value_in<'v>(values: &'v Values, name: &str) -> Option<&'v str> {
    values.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_that_is_nearest_to_the_person_comes_first() {
        let values = |of: &str, names: &[&str]| names.iter().map(|name| ((*name).to_owned(), of.to_owned())).collect::<Values>();
        let layers = Layers {
            groups: vec![("sales".into(), values("sales", &["b", "c"])), ("harbour".into(), values("harbour", &["b", "d"]))],
            locales: [("de".into(), values("de", &["b", "e", "f"])), ("de-at".into(), values("de-at", &["e"]))].into(),
            tenant: values("tenant", &["a", "b", "c", "d", "e", "f", "g"]),
        };
        let signature = values("signature", &["a"]);
        let groups = ["harbour".to_owned(), "sales".to_owned()];
        let found: Vec<_> =
            ["a", "b", "c", "d", "e", "f", "g", "h"].map(|name| layers.find(&signature, &groups, "de-AT", name).unwrap_or("-")).into();
        assert_eq!(found, ["signature", "sales", "sales", "harbour", "de-at", "de", "tenant", "-"]);
        assert_eq!(layers.find(&signature, &[], "fr", "b"), Some("tenant"));
    }
}
