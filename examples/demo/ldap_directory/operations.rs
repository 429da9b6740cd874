//! The answers of the simulated directory to binds, searches and extended operations.

use super::encoding::{self, elements};
use super::evaluation::matches;
use super::person::Entry;
use super::{Next, On, Received, State, Tls, lock};

/// The account with which a client may search.
pub const SERVICE_DN: &str = "cn=gate,dc=corp";
pub const SERVICE_PASSWORD: &str = "hunter2-of-the-gate";

/// An honest answer.
pub(super) struct Answer {
    pub(super) id: i32,
    pub(super) on: On,
    pub(super) bytes: Vec<u8>,
    pub(super) next: Next,
}

/// The answer to a request; `None` closes the connection: an unbind, or what is no request.
pub(super) fn answer(
    state: &State,
    request: &[u8],
    is_bound: &mut bool,
    is_secure: bool,
) -> Option<Answer> {
    let parts = elements(request);
    let [(0x02, id), (tag, content), ..] = parts[..] else {
        return None;
    };
    let id = number(id);
    let (on, bytes, next) = match tag {
        0x42 => {
            state.remember(Received::Unbind);
            return None;
        }
        0x77 => start_tls(state, id),
        0x60 => {
            let (on, bytes, succeeded) = bind(state, id, content, is_secure)?;
            *is_bound = succeeded;
            (on, bytes, Next::Continue)
        }
        0x63 => {
            let bytes = search(state, id, content, *is_bound)?;
            (On::Search, bytes, Next::Continue)
        }
        _ => return None,
    };
    Some(Answer {
        id,
        on,
        bytes,
        next,
    })
}

fn number(digits: &[u8]) -> i32 {
    let digits = digits.iter();
    digits.fold(0, |number, digit| number << 8 | i32::from(*digit))
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

fn start_tls(state: &State, id: i32) -> (On, Vec<u8>, Next) {
    state.remember(Received::StartTls);
    let (code, next) = match &state.tls {
        Some((_, Tls::OnRequest)) => (0, Next::StartTls),
        _ => (2, Next::Continue),
    };
    let operation = encoding::result(0x78, code, "unsupported");
    (On::StartTls, encoding::message(id, &operation, &[]), next)
}

fn bind(state: &State, id: i32, content: &[u8], is_secure: bool) -> Option<(On, Vec<u8>, bool)> {
    let parts = elements(content);
    let [_, (_, name), (_, password), ..] = parts[..] else {
        return None;
    };
    let (name, password) = (text(name)?, text(password)?);
    state.remember(Received::Bind {
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
    let answer = encoding::message(id, &answer, &controls);
    Some((on, answer, code == 0))
}

fn search(state: &State, id: i32, content: &[u8], is_bound: bool) -> Option<Vec<u8>> {
    let parts = elements(content);
    let [
        (_, base),
        (_, scope),
        _,
        (_, size_limit),
        _,
        _,
        (filter_tag, filter),
        (_, names),
        ..,
    ] = parts[..]
    else {
        return None;
    };
    let (base, size_limit) = (text(base)?, number(size_limit));
    let names = elements(names).into_iter().map(|(_, name)| text(name));
    let names = names.collect::<Option<Vec<_>>>()?;
    state.remember(Received::Search {
        base: base.clone(),
        filter: encoding::element(filter_tag, &[filter]),
        attributes: names.clone(),
        size_limit,
    });
    if !is_bound && !base.starts_with("ou=open") {
        return Some(encoding::search_done(id, 50, "bind first"));
    }
    let entries = lock(&state.entries);
    let found = entries.iter().filter(|entry| {
        is_in_scope(&entry.dn, &base, number(scope)) && matches(entry, filter_tag, filter)
    });
    let found: Vec<_> = found.collect();
    let limit = usize::try_from(size_limit).ok()?;
    let mut answer = Vec::new();
    for entry in found.iter().take(limit) {
        answer.extend(entry_with(entry, id, &names));
    }
    let code = if found.len() > limit { 4 } else { 0 };
    answer.extend(encoding::search_done(id, code, ""));
    Some(answer)
}

fn is_in_scope(dn: &str, base: &str, scope: i32) -> bool {
    let (dn, base) = (dn.to_lowercase(), base.to_lowercase());
    match scope {
        0 => dn == base,
        1 => dn.split_once(',').is_some_and(|(_, above)| above == base),
        _ => dn == base || dn.ends_with(&format!(",{base}")),
    }
}

/// An entry with the attributes that were asked for.
fn entry_with(entry: &Entry, id: i32, names: &[String]) -> Vec<u8> {
    let is_asked = |name: &str| names.iter().any(|asked| asked.eq_ignore_ascii_case(name));
    let attributes = entry.attributes.iter();
    let attributes = attributes.filter(|(name, _)| is_asked(name)).cloned();
    encoding::entry(id, &entry.dn, &attributes.collect::<Vec<_>>())
}
