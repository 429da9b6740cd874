//! Texts with a name inside.

use crate::face::page::PersonName;

/// Where the characters of East Asian writing begin.
const EAST_ASIAN: char = '\u{2e80}';

/// A text with a name inside: the parts before and after the name. Those in English include the spaces.
///
/// Those in Chinese have none, because Chinese text is written without spaces: there is one only between
/// a Chinese character and a Latin letter or a digit of the name.
#[derive(Debug)]
pub(in crate::face::page) struct AroundName {
    pub(super) before: &'static str,
    pub(super) after: &'static str,
}

impl AroundName {
    /// The part before this name.
    pub(in crate::face::page) fn before(&self, name: &str) -> String {
        format!("{}{}", self.before, space_between(self.before, name))
    }

    /// The part after this name.
    pub(in crate::face::page) fn after(&self, name: &str) -> String {
        format!("{}{}", space_between(name, self.after), self.after)
    }

    /// The part before the names of this person.
    pub(in crate::face::page) fn before_person(&self, person: &PersonName<'_>) -> String {
        self.before(person.name.unwrap_or(person.login))
    }

    /// The part after the names of this person: a login name after a display name stands in parentheses.
    pub(in crate::face::page) fn after_person(&self, person: &PersonName<'_>) -> String {
        match person.name {
            Some(_) => self.after.to_owned(),
            None => self.after(person.login),
        }
    }
}

fn space_between(left: &str, right: &str) -> &'static str {
    let (Some(left), Some(right)) = (left.chars().next_back(), right.chars().next()) else {
        return "";
    };
    if is_chinese(left) && is_western(right) || is_western(left) && is_chinese(right) {
        " "
    } else {
        ""
    }
}

/// Whether a character is a letter or a digit of another writing than those of East Asia, or `_` of an identifier.
fn is_western(character: char) -> bool {
    character == '_' || character < EAST_ASIAN && character.is_alphanumeric()
}

/// Whether a character is a Chinese one; punctuation is none.
fn is_chinese(character: char) -> bool {
    character >= EAST_ASIAN && character.is_alphabetic()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_space_stands_only_between_chinese_and_latin() {
        let text = AroundName {
            before: "使用",
            after: "登录",
        };
        for (name, expected) in [
            ("企业微信", "使用企业微信登录"),
            ("Keycloak", "使用 Keycloak 登录"),
            ("oa.corp.example:8443", "使用 oa.corp.example:8443 登录"),
            ("__token__", "使用 __token__ 登录"),
            ("企业微信 2", "使用企业微信 2 登录"),
            ("GitHub 企业版", "使用 GitHub 企业版登录"),
            ("“门户”", "使用“门户”登录"),
            ("飞书（测试）", "使用飞书（测试）登录"),
            ("", "使用登录"),
        ] {
            let sentence = format!("{}{name}{}", text.before(name), text.after(name));
            assert_eq!(sentence, expected);
        }
        let text = AroundName {
            before: "当前账号：",
            after: "。",
        };
        let sentence = format!("{}lisi{}", text.before("lisi"), text.after("lisi"));
        assert_eq!(sentence, "当前账号：lisi。");
        let text = AroundName {
            before: "Sign in with ",
            after: "",
        };
        assert_eq!(text.before("企业微信"), "Sign in with ");
    }
}
