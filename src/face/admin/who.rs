//! How histories, versions and the audit trail name the author of a change. The name of a token is never
//! that of an administrator or of a person.

use crate::store::{AdministratorName, LoginName};

/// A token of `[admin]`: `token:NAME`.
pub(super) fn token(name: &str) -> String {
    format!("token:{name}")
}

/// A local administrator: `local:NAME`.
pub(super) fn local_administrator(name: &AdministratorName) -> String {
    format!("local:{name}")
}

/// A person: the login. Other names contain a colon, so one that does is preceded by `person:`.
pub(super) fn person(login: &LoginName) -> String {
    match login.as_str().contains(':') {
        true => format!("person:{login}"),
        false => login.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_the_name_of_somebody_else() {
        let login = |text: &str| person(&text.parse().unwrap());
        let local = |text: &str| local_administrator(&text.parse().unwrap());
        let names = [
            token("admin"),
            local("admin"),
            login("admin"),
            login("local:admin"),
            login("token:admin"),
            login("person:admin"),
        ];
        for (index, name) in names.iter().enumerate() {
            assert!(!names[..index].contains(name), "{name}");
        }
        assert_eq!(login("zhangsan@corp.example"), "zhangsan@corp.example");
    }
}
