//! The people of a provider, and a handle to edit them.

use serde_json::{Map, Value, json};

use super::state::Shared;

/// A person in the provider's directory.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) login: String,
    /// Whether logins and refreshes are refused.
    pub(crate) disabled: bool,
    /// The claims of the person, except for `sub`.
    pub(crate) claims: Map<String, Value>,
}

impl Person {
    /// A person with a login name only.
    pub(super) fn new(login: &str) -> Self {
        let claims = json!({ "preferred_username": login, "name": login });
        Self {
            login: login.to_owned(),
            disabled: false,
            claims: claims.as_object().cloned().unwrap_or_default(),
        }
    }

    fn with(mut self, more: &Value) -> Self {
        self.claims
            .extend(more.as_object().cloned().unwrap_or_default());
        self
    }
}

/// The `sub` of a person. All begin with the same characters, so that a comparison of prefixes fails.
pub(super) fn sub(login: &str) -> String {
    format!("f5b7e6c0-{login}")
}

/// 张三 with all claims, 李四 without an e-mail address, 王芳 with an unverified one.
pub(super) fn people() -> Vec<Person> {
    vec![
        Person::new("zhangsan").with(&json!({
            "name": "张三", "email": "zhangsan@corp.example", "email_verified": true,
            "phone_number": "+8613800000001", "groups": ["财务部", "平台部"],
        })),
        Person::new("lisi").with(&json!({ "name": "李四", "groups": ["人事部"] })),
        Person::new("wangfang").with(&json!({
            "name": "王芳", "email": "wangfang@corp.example", "email_verified": false,
            "groups": ["平台部"],
        })),
    ]
}

/// A handle to edit a person; every call takes effect at once.
#[derive(Clone, Copy)]
pub(crate) struct PersonHandle<'a> {
    shared: &'a Shared,
    at: usize,
}

impl<'a> PersonHandle<'a> {
    pub(super) fn of(shared: &'a Shared, login: &str) -> Self {
        let at = shared.state().person_index(login);
        Self { shared, at }
    }

    fn edit(self, edit: impl FnOnce(&mut Person)) -> Self {
        edit(&mut self.shared.state().people[self.at]);
        self
    }

    pub(crate) fn groups(self, groups: &[&str]) -> Self {
        self.claim("groups", json!(groups))
    }

    /// Sets a claim; null removes it.
    pub(crate) fn claim(self, name: &str, value: Value) -> Self {
        self.edit(|person| {
            if value.is_null() {
                person.claims.remove(name);
            } else {
                person.claims.insert(name.to_owned(), value);
            }
        })
    }

    /// Sets whether logins and refreshes are refused.
    pub(crate) fn disabled(self, disabled: bool) -> Self {
        self.edit(|person| person.disabled = disabled)
    }
}
