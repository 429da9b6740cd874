//! `LocalEntitlements`: the department and the groups that menshen itself gives a person, beside those of
//! the sources.

use serde::{Deserialize, Serialize};

use crate::setting::text_schema;
use crate::wording::error_of_text;

/// The most groups.
pub const LOCAL_GROUPS_MAX: usize = 100;

/// The longest department path and the longest group, in characters.
const CHARS_MAX: usize = 256;

/// The department and the groups that menshen itself gives a person. What a source says later does not
/// change them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LocalEntitlements {
    pub department: Option<DepartmentPath>,
    pub groups: Vec<GroupName>,
}

/// A department, as its path from the root: names joined by `/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DepartmentPath(String);

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupName(String);

/// The text is no path of a department.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepartmentPathError;

error_of_text!(DepartmentPathError: "a department is a name or a path such as 公司/外包: 1 to {CHARS_MAX} characters, not only digits, \
     no control characters, no empty name and no white space around a name", "部门应为名称或路径，例如 公司/外包：1 到 {CHARS_MAX} 个字符，不能全是数字，不含控制字符和空名称，名称前后不留空白");

/// The text is not the name of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupNameError;

error_of_text!(GroupNameError: "a group has 1 to {CHARS_MAX} characters, no comma, no control characters and no white space around \
     it", "组名为 1 到 {CHARS_MAX} 个字符，不含逗号和控制字符，前后不留空白");

text_schema! {
    DepartmentPath: "Names of departments joined by '/', from the root.",
    GroupName: "The name of a group, without a comma.",
}

impl DepartmentPath {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the department itself, the last of the path.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl GroupName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DepartmentPath {
    type Error = DepartmentPathError;

    fn try_from(text: String) -> Result<Self, DepartmentPathError> {
        // Rules take a number for the ID of a department at the source.
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        match is_plain(&text) && !is_number && text.split('/').all(is_plain) {
            true => Ok(Self(text)),
            false => Err(DepartmentPathError),
        }
    }
}

impl TryFrom<String> for GroupName {
    type Error = GroupNameError;

    fn try_from(text: String) -> Result<Self, GroupNameError> {
        // Headers and `allowed_groups` join groups by commas.
        match is_plain(&text) && !text.contains(',') {
            true => Ok(Self(text)),
            false => Err(GroupNameError),
        }
    }
}

impl From<DepartmentPath> for String {
    fn from(path: DepartmentPath) -> Self {
        path.0
    }
}

impl From<GroupName> for String {
    fn from(name: GroupName) -> Self {
        name.0
    }
}

fn is_plain(text: &str) -> bool {
    (1..=CHARS_MAX).contains(&text.chars().count())
        && text.trim() == text
        && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_department_is_a_path_of_names() {
        for (text, is_path) in [
            ("外部人员", true),
            ("公司/外部人员", true),
            ("a b/2024", true),
            ("", false),
            ("2024", false),
            ("/外部", false),
            ("外部/", false),
            ("公司//外部", false),
            ("公司/ 外部", false),
            (" 外部", false),
            ("外\n部", false),
        ] {
            let parsed = DepartmentPath::try_from(text.to_owned());
            assert_eq!(parsed.is_ok(), is_path, "{text:?}");
        }
        for (length, is_path) in [(256, true), (257, false)] {
            let parsed = DepartmentPath::try_from("部".repeat(length));
            assert_eq!(parsed.is_ok(), is_path, "{length}");
        }
        let path = DepartmentPath::try_from("公司/外部".to_owned()).unwrap();
        assert_eq!(path.name(), "外部");
    }

    #[test]
    fn a_group_has_no_comma() {
        for (text, is_name) in [
            ("guests", true),
            ("外部 人员", true),
            ("a/b", true),
            ("7", true),
            ("", false),
            (" a", false),
            ("a,b", false),
            ("a\0", false),
        ] {
            let parsed = GroupName::try_from(text.to_owned());
            assert_eq!(parsed.is_ok(), is_name, "{text:?}");
        }
    }
}
