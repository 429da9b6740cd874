//! `Text`: what menshen says to those who run it, in English and Chinese.
//!
//! Problems of the configuration and their remedies are texts in both languages; who shows them chooses one
//! ([`Text::in_language`]). Names of keys, fields of the log and JSON are no texts: they never change.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::{Serialize, Serializer};

/// The language of those who run this process, once [`set_operator_language`] has chosen it.
static OPERATOR_LANGUAGE: OnceLock<Language> = OnceLock::new();

/// The language of a [`Text`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    #[default]
    English,
    /// 简体中文.
    Chinese,
}

/// A name that is not one of [`Language::NAMES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a language is en or zh")]
pub struct UnknownLanguage;

/// A message in English and Chinese. It shows no secret.
///
/// `{}` writes it in English and `{:#}` in Chinese, because serde hands the errors of values over as `Display`
/// only.
#[derive(Clone)]
pub struct Text(Words);

/// The words in both languages, in little space: errors contain several texts.
#[derive(Clone)]
enum Words {
    Fixed { en: &'static str, zh: &'static str },
    Written(Box<Written>),
}

/// Words that were put together.
#[derive(Clone)]
struct Written {
    en: Cow<'static, str>,
    zh: Cow<'static, str>,
}

/// A path from the root, as messages show it. A relative path begins in the folder in which menshen was started,
/// which the readers of a log do not see.
pub fn full_path(path: &Path) -> String {
    let from_root = std::path::absolute(path);
    let shown = from_root.as_deref().unwrap_or(path);
    shown.display().to_string()
}

/// A [`Text`] of two literals of `format!`, English first, and the arguments of both. Texts inside of it are
/// written `{name}` in the English literal and `{name:#}` in the Chinese one.
#[macro_export]
macro_rules! text {
    ($en:literal, $zh:literal $(, $argument:expr)* $(,)?) => {
        $crate::wording::Text::formatted(
            ::std::format_args!($en $(, $argument)*),
            ::std::format_args!($zh $(, $argument)*),
        )
    };
}

/// Implements `Display` and `Error` for an error whose words are a [`Text`]: that of its method `text`, or the
/// one that is given. With `caused`, its method `cause` returns its source.
macro_rules! error_of_text {
    ($error:ident, caused) => {
        impl ::std::fmt::Display for $error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&self.text(), f)
            }
        }

        impl ::std::error::Error for $error {
            fn source(&self) -> Option<&(dyn ::std::error::Error + 'static)> {
                self.cause()
            }
        }
    };
    ($error:ident) => {
        impl ::std::fmt::Display for $error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&self.text(), f)
            }
        }

        impl ::std::error::Error for $error {}
    };
    ($error:ident: $en:literal, $zh:literal $(,)?) => {
        impl ::std::fmt::Display for $error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&$crate::text!($en, $zh), f)
            }
        }

        impl ::std::error::Error for $error {}
    };
}
pub(crate) use error_of_text;

impl Language {
    pub const NAMES: [&'static str; 2] = ["en", "zh"];

    /// The language of messages by the environment variables of POSIX: `LC_ALL`, else `LC_MESSAGES`, else
    /// `LANG`. The first that is not empty counts. Every locale but a Chinese one is English.
    pub fn of_locale(variable: impl Fn(&str) -> Option<String>) -> Self {
        let mut values = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().map(variable);
        let locale = values.find_map(|value| value.filter(|value| !value.is_empty()));
        let locale = locale.unwrap_or_default();
        let language = locale.split(['_', '-', '.', '@']).next();
        match language.is_some_and(|language| language.eq_ignore_ascii_case("zh")) {
            true => Self::Chinese,
            false => Self::English,
        }
    }
}

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(name: &str) -> Result<Self, UnknownLanguage> {
        match name {
            "en" => Ok(Self::English),
            "zh" => Ok(Self::Chinese),
            _ => Err(UnknownLanguage),
        }
    }
}

impl Text {
    /// A text that is known when menshen is compiled.
    pub const fn fixed(en: &'static str, zh: &'static str) -> Self {
        Self(Words::Fixed { en, zh })
    }

    /// For [`text!`].
    pub fn formatted(en: fmt::Arguments<'_>, zh: fmt::Arguments<'_>) -> Self {
        let text = |arguments: fmt::Arguments<'_>| match arguments.as_str() {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(arguments.to_string()),
        };
        Self::written(text(en), text(zh))
    }

    fn written(en: Cow<'static, str>, zh: Cow<'static, str>) -> Self {
        Self(match (en, zh) {
            (Cow::Borrowed(en), Cow::Borrowed(zh)) => Words::Fixed { en, zh },
            (en, zh) => Words::Written(Box::new(Written { en, zh })),
        })
    }

    /// A text without words, such as a list of keys, or the message of the system.
    pub fn same(text: impl Into<Cow<'static, str>>) -> Self {
        let text = text.into();
        Self::written(text.clone(), text)
    }

    /// What `shown` writes as `{}` and as `{:#}`.
    pub fn of(shown: &(impl fmt::Display + ?Sized)) -> Self {
        let (en, zh) = (format!("{shown}"), format!("{shown:#}"));
        Self::written(Cow::Owned(en), Cow::Owned(zh))
    }

    pub fn in_language(&self, language: Language) -> &str {
        match (&self.0, language) {
            (Words::Fixed { en, .. }, Language::English) => en,
            (Words::Fixed { zh, .. }, Language::Chinese) => zh,
            (Words::Written(words), Language::English) => &words.en,
            (Words::Written(words), Language::Chinese) => &words.zh,
        }
    }

    /// The Chinese words, unless they are the same as the English ones: for the member `NAME_zh` beside a member
    /// `NAME` in JSON, which is always English.
    pub fn other_chinese(&self) -> Option<String> {
        let chinese = self.in_language(Language::Chinese);
        (chinese != self.in_language(Language::English)).then(|| chinese.to_owned())
    }

    /// The text in the language of the log and of the command line.
    pub fn for_operator(&self) -> &str {
        self.in_language(operator_language())
    }

    pub fn is_empty(&self) -> bool {
        self.in_language(Language::English).is_empty()
    }

    /// The texts with a separator between them, such as `; ` and `；`.
    pub fn join<'a>(texts: impl IntoIterator<Item = &'a Self>, separator: &Self) -> Self {
        let texts: Vec<_> = texts.into_iter().collect();
        let joined = |language| {
            let texts = texts.iter().map(|text| text.in_language(language));
            let texts: Vec<_> = texts.collect();
            Cow::Owned(texts.join(separator.in_language(language)))
        };
        Self::written(joined(Language::English), joined(Language::Chinese))
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::fixed("", "")
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        let languages = [Language::English, Language::Chinese];
        let mut languages = languages.into_iter();
        languages.all(|language| self.in_language(language) == other.in_language(language))
    }
}

impl Eq for Text {}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.in_language(Language::English), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let language = match f.alternate() {
            true => Language::Chinese,
            false => Language::English,
        };
        f.write_str(self.in_language(language))
    }
}

impl std::error::Error for Text {}

/// In English: JSON never changes with the language.
impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.in_language(Language::English))
    }
}

/// Chooses the language of the log and of the command line, once for the process; without it they are English.
pub fn set_operator_language(language: Language) {
    // A second choice has no effect.
    let _ = OPERATOR_LANGUAGE.set(language);
}

pub fn operator_language() -> Language {
    OPERATOR_LANGUAGE.get().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_locale_that_is_set_chooses_the_language() {
        for (variables, language) in [
            (&[][..], Language::English),
            (&[("LANG", "zh_CN.UTF-8")], Language::Chinese),
            (&[("LANG", "zh")], Language::Chinese),
            (&[("LC_MESSAGES", "zh_TW")], Language::Chinese),
            (&[("LC_ALL", ""), ("LANG", "zh-Hans")], Language::Chinese),
            (&[("LC_ALL", "C"), ("LANG", "zh_CN")], Language::English),
            (&[("LC_ALL", "zh_CN"), ("LANG", "en_US")], Language::Chinese),
            (
                &[("LC_MESSAGES", "en_US"), ("LANG", "zh_CN")],
                Language::English,
            ),
            (&[("LANG", "zha_CN")], Language::English),
        ] {
            let variable = |name: &str| {
                let found = variables.iter().find(|(other, _)| *other == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(Language::of_locale(variable), language, "{variables:?}");
        }
    }

    #[test]
    fn a_text_has_its_words_in_both_languages() {
        let id = "corp";
        let inner = text!("there is no connector {id}", "没有认证源 {id}");
        let outer = text!("[admin]: {inner}", "[admin]：{inner:#}");
        assert_eq!(
            outer.in_language(Language::English),
            "[admin]: there is no connector corp"
        );
        assert_eq!(
            outer.in_language(Language::Chinese),
            "[admin]：没有认证源 corp"
        );
        assert_eq!(outer.to_string(), outer.in_language(Language::English));
        assert_eq!(format!("{outer:#}"), outer.in_language(Language::Chinese));
        let both = Text::join([&inner, &inner], &Text::fixed("; ", "；"));
        assert_eq!(
            both.in_language(Language::Chinese),
            "没有认证源 corp；没有认证源 corp"
        );
    }
}
