//! The answers of the simulated directory to binds and searches.

use super::super::encoding::{self, elements};
use super::super::evaluation::matches;
use super::super::person::Entry;
use super::super::{SERVICE_DN, SERVICE_PASSWORD};
use super::{On, Received, State, lock};

pub(super) fn bind(state: &State, id: i32, content: &[u8], is_secure: bool) -> (On, Vec<u8>, bool) {
    let parts = elements(content);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (name, password) = (text(parts[1].1), text(parts[2].1));
    lock(&state.received).push(Received::Bind {
        name: name.clone(),
        password: password.clone(),
        is_secure,
    });
    let on = match name == SERVICE_DN {
        true => On::ServiceBind,
        false => On::PersonBind,
    };
    let entries = lock(&state.entries);
    let person = entries.iter().find(|entry| {
        entry.dn.eq_ignore_ascii_case(&name)
            || entry
                .values("userPrincipalName")
                .contains(&name.clone().into_bytes())
    });
    let (code, message, controls) = match person {
        // The hole of old directories.
        _ if password.is_empty() => (0, String::new(), Vec::new()),
        _ if name == SERVICE_DN && password == SERVICE_PASSWORD => (0, String::new(), Vec::new()),
        Some(person) if person.password.as_ref() == Some(&password) => person.bind_answer.clone(),
        _ => (49, "wrong".to_owned(), Vec::new()),
    };
    let answer = encoding::result(0x61, code, &message);
    (on, encoding::message(id, &answer, &controls), code == 0)
}

pub(super) fn search(state: &State, id: i32, content: &[u8], is_bound: bool) -> Vec<u8> {
    let parts = elements(content);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let base = text(parts[0].1);
    let scope = parts[1].1[0];
    let size_limit = parts[3]
        .1
        .iter()
        .fold(0, |limit, byte| limit << 8 | i32::from(*byte));
    let (filter_tag, filter) = parts[6];
    let names: Vec<_> = elements(parts[7].1)
        .iter()
        .map(|(_, name)| text(name))
        .collect();
    lock(&state.received).push(Received::Search {
        base: base.clone(),
        filter: encoding::element(filter_tag, &[filter]),
        attributes: names.clone(),
        size_limit,
    });
    if !is_bound && !base.starts_with("ou=open") {
        return encoding::search_done(id, 50, "bind first");
    }
    let is_in_scope = |entry: &Entry| {
        let (dn, base) = (entry.dn.to_lowercase(), base.to_lowercase());
        match scope {
            0 => dn == base,
            1 => dn.split_once(',').is_some_and(|(_, above)| above == base),
            _ => dn == base || dn.ends_with(&format!(",{base}")),
        }
    };
    let entries = lock(&state.entries);
    let found = entries.iter().filter(|entry| is_in_scope(entry));
    let found: Vec<_> = found
        .filter(|entry| matches(entry, filter_tag, filter))
        .collect();
    let limit = usize::try_from(size_limit).unwrap();
    let mut answer = Vec::new();
    for entry in found.iter().take(limit) {
        let is_asked = |name: &str| names.iter().any(|asked| asked.eq_ignore_ascii_case(name));
        let attributes: Vec<_> = entry
            .attributes
            .iter()
            .filter(|(name, _)| is_asked(name))
            .cloned()
            .collect();
        answer.extend(encoding::entry(id, &entry.dn, &attributes));
    }
    let code = if found.len() > limit { 4 } else { 0 };
    answer.extend(encoding::search_done(id, code, ""));
    answer
}
