//! Letter case by language (Unicode chapter 5.18): `i` becomes `İ` in Turkish, `ij` becomes `IJ` in Dutch, `ß` becomes `SS`.

use icu_casemap::CaseMapper;
use icu_casemap::options::TitlecaseOptions;
use icu_locale_core::{LanguageIdentifier, Locale};

/// In capitals.
pub(crate) fn upper(text: &str, locale: &str) -> String {
    CaseMapper::new().uppercase_to_string(text, &language(locale)).into_owned()
}

/// In small letters.
pub(crate) fn lower(text: &str, locale: &str) -> String {
    CaseMapper::new().lowercase_to_string(text, &language(locale)).into_owned()
}

/// Every word with a capital and small letters behind it; `-`, `/` and brackets begin words, an apostrophe does not.
pub(crate) fn title(text: &str, locale: &str) -> String {
    let language = language(locale);
    let words = text.split_inclusive(|char: char| char.is_whitespace() || "-–/()&+".contains(char));
    words.map(|word| capitalised(word, &language)).collect()
}

/// The first letter as a capital. The rest becomes small only where everything was in capitals, because names and abbreviations among
/// small letters are meant; in German, where nouns have capitals, the words then keep theirs.
pub(crate) fn sentence(text: &str, locale: &str) -> String {
    let tag = language(locale);
    let shouted = !text.chars().any(char::is_lowercase);
    if shouted && tag.language.as_str() == "de" {
        return title(text, locale);
    }
    if shouted {
        return capitalised(text, &tag);
    }
    let first = text.chars().next().map_or(0, char::len_utf8);
    format!("{}{}", capitalised(&text[..first], &tag), &text[first..])
}

fn capitalised(word: &str, language: &LanguageIdentifier) -> String {
    let options = TitlecaseOptions::default();
    CaseMapper::new().titlecase_segment_with_only_case_data_to_string(word, language, options).into_owned()
}

fn language(locale: &str) -> LanguageIdentifier {
    locale.parse::<Locale>().unwrap_or(Locale::UNKNOWN).id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_follow_the_language() {
        for (change, text, locale, expected) in [
            (upper as fn(&str, &str) -> String, "istanbul", "tr", "İSTANBUL"),
            (upper, "istanbul", "en-GB", "ISTANBUL"),
            (upper, "Straße", "de-DE", "STRASSE"),
            (upper, "Άθωνας", "el", "ΑΘΩΝΑΣ"),
            (lower, "ISPARTA", "tr-TR", "ısparta"),
            (lower, "ÄRZTIN", "", "ärztin"),
            (title, "HARBOUR MASTER", "en", "Harbour Master"),
            (title, "maria-luise o'brien", "", "Maria-Luise O'brien"),
            (title, "ijmuiden", "nl", "IJmuiden"),
            (title, "izmir", "tr", "İzmir"),
            (sentence, "head of IT", "en", "Head of IT"),
            (sentence, "HEAD OF SALES", "en", "Head of sales"),
            (sentence, "LEITER VERTRIEB", "de-AT", "Leiter Vertrieb"),
            (sentence, "", "de", ""),
            (upper, "a", "no tag!", "A"),
        ] {
            assert_eq!(change(text, locale), expected);
        }
    }
}
