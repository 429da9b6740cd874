//! The language of pages.

use crate::login::connector::LocalizedText;
use crate::setting::Label;
use crate::wording::{Language, Text};

/// The most ranges of an Accept-Language header that are read.
const RANGES_MAX: usize = 32;
/// The weight of a range without `q`, in thousandths.
const WEIGHT_MAX: u16 = 1000;

/// The language of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lang {
    /// 简体中文.
    #[default]
    Zh,
    En,
}

impl Lang {
    /// The language of a page for an Accept-Language header (RFC 9110 §12.5.4): English if English is
    /// preferred to Chinese, or if the header names only other languages; otherwise Chinese.
    pub fn of(accept_language: Option<&str>) -> Self {
        Self::preferred(accept_language).unwrap_or(Self::Zh)
    }

    /// The language of a problem document. It is that of a page, but English if the client names no
    /// language, as most programs do.
    pub fn for_program(accept_language: Option<&str>) -> Self {
        Self::preferred(accept_language).unwrap_or(Self::En)
    }

    /// The language that an Accept-Language header prefers; `None` if it names no language.
    fn preferred(accept_language: Option<&str>) -> Option<Self> {
        let (mut zh, mut en, mut other) = (0, 0, 0);
        for range in accept_language
            .unwrap_or_default()
            .split(',')
            .take(RANGES_MAX)
        {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
            let primary = tag.trim().split('-').next().unwrap_or_default();
            let weight = weight(parameters);
            let best = match primary {
                "" | "*" => continue,
                _ if primary.eq_ignore_ascii_case("zh") => &mut zh,
                _ if primary.eq_ignore_ascii_case("en") => &mut en,
                _ => &mut other,
            };
            *best = weight.max(*best);
            if zh == WEIGHT_MAX {
                // No weight is higher, and Chinese wins a tie.
                return Some(Self::Zh);
            }
        }
        let prefers_other = en == 0 && other > 0;
        if zh == 0 && prefers_other || en > zh {
            Some(Self::En)
        } else {
            (zh > 0).then_some(Self::Zh)
        }
    }

    /// The text in this language.
    pub fn pick(self, text: LocalizedText) -> &'static str {
        match self {
            Self::Zh => text.zh,
            Self::En => text.en,
        }
    }

    /// The text of the configuration in this language.
    pub fn label(self, label: &Label) -> &str {
        match self {
            Self::Zh => label.zh(),
            Self::En => label.en(),
        }
    }

    pub fn text(self, text: &Text) -> &str {
        text.in_language(self.language())
    }

    pub fn language(self) -> Language {
        match self {
            Self::Zh => Language::Chinese,
            Self::En => Language::English,
        }
    }

    /// The BCP 47 tag for `lang` and Content-Language.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Zh => "zh-CN",
            Self::En => "en",
        }
    }
}

/// The weight in thousandths; the maximum without a valid `q`.
fn weight(parameters: &str) -> u16 {
    let after_q = parameters
        .trim()
        .strip_prefix(['q', 'Q'])
        .map(str::trim_start);
    let Some(q) = after_q.and_then(|rest| rest.strip_prefix('=')) else {
        return WEIGHT_MAX;
    };
    let q = q.trim();
    let (whole, fraction) = q.split_once('.').unwrap_or((q, ""));
    let digits = fraction.bytes().chain(*b"000").take(3);
    let thousandths = digits.fold(0, |sum, digit| {
        sum * 10 + u16::from(digit.wrapping_sub(b'0') % 10)
    });
    if whole == "0" {
        thousandths
    } else {
        WEIGHT_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_follows_accept_language() {
        for (header, lang) in [
            (None, Lang::Zh),
            (Some(""), Lang::Zh),
            (Some("*"), Lang::Zh),
            (Some("zh-CN,zh;q=0.9,en;q=0.8"), Lang::Zh),
            (Some("en-GB,en;q=0.9,zh-CN;q=0.8"), Lang::En),
            (Some("en;q=0.1, ZH-hant;q=0.25"), Lang::Zh),
            (Some("zh;q=0, en;q=0.001"), Lang::En),
            (Some("zh;q=0.001, en;q=0"), Lang::Zh),
            (Some("en, zh"), Lang::Zh),
            (Some("fr-FR, fr;q=0.9"), Lang::En),
            (Some("fr-FR, zh;q=0.1"), Lang::Zh),
            (Some("fr; q = 0.5, *;q=0.1"), Lang::En),
            (Some(",;,;q=;q=x,\u{7f}"), Lang::En),
        ] {
            assert_eq!(Lang::of(header), lang, "{header:?}");
            let names_none = matches!(header, None | Some("" | "*"));
            let expected = if names_none { Lang::En } else { lang };
            assert_eq!(Lang::for_program(header), expected, "{header:?}");
        }
    }
}
