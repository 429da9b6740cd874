//! The people a provider knows, and how a test changes them.

use serde_json::{Map, Value, json};

use super::state::Shared;

/// One person, as the provider's own directory has them.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) login: String,
    /// Gone or disabled: logs in nowhere and refreshes nothing.
    pub(crate) disabled: bool,
    /// What it says of them, `sub` aside; `groups` among them.
    pub(crate) claims: Map<String, Value>,
}

impl Person {
    /// Somebody nobody knows more of than their login.
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

/// The name the provider gives to a person: says nothing of their login to whoever compares only
/// the beginning.
pub(super) fn sub(login: &str) -> String {
    format!("f5b7e6c0-{login}")
}

/// 张三 with everything; 李四 without e-mail; 王芳 whose e-mail nobody verified.
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

/// A person in a test's hand: every call changes what the provider says from now on.
#[derive(Clone, Copy)]
pub(crate) struct Login<'a> {
    shared: &'a Shared,
    at: usize,
}

impl<'a> Login<'a> {
    pub(super) fn of(shared: &'a Shared, login: &str) -> Self {
        let at = shared.state().person_at(login);
        Self { shared, at }
    }

    fn edit(self, edit: impl FnOnce(&mut Person)) -> Self {
        edit(&mut self.shared.state().people[self.at]);
        self
    }

    /// The groups they are in.
    pub(crate) fn groups(self, groups: &[&str]) -> Self {
        self.claim("groups", json!(groups))
    }

    /// Any claim; null takes it away.
    pub(crate) fn claim(self, name: &str, value: Value) -> Self {
        self.edit(|person| {
            if value.is_null() {
                person.claims.remove(name);
            } else {
                person.claims.insert(name.to_owned(), value);
            }
        })
    }

    /// Whether they are shut out.
    pub(crate) fn disabled(self, disabled: bool) -> Self {
        self.edit(|person| person.disabled = disabled)
    }
}
