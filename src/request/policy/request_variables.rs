//! The variables that rules and custom headers read: `user`, `request`, `session`, `claims`.

use std::borrow::Cow;

use crate::expression::{Budget, Field, Record, Variable, Variables};
use crate::people::session::Session;
use crate::request::access_token;
use crate::request::gate::Caller;
use crate::request::head::Head;

/// The variables of one request.
#[derive(Debug)]
pub struct RequestVariables<'a> {
    caller: &'a Caller,
    request: RequestRecord<'a>,
    session: Option<SessionRecord<'a>>,
}

impl<'a> RequestVariables<'a> {
    /// `path` is the reading of the path to be judged.
    pub fn new(caller: &'a Caller, head: &'a Head<'a>, path: &'a str) -> Self {
        let session = match caller {
            Caller::Person(person) => Some(SessionRecord {
                session: &person.session,
                head,
            }),
            Caller::Anonymous(_) | Caller::Program(_) => None,
        };
        let request = RequestRecord {
            head,
            path,
            headers: HeaderRecord(head),
            tls: TlsRecord(head),
        };
        Self {
            caller,
            request,
            session,
        }
    }
}

impl Variables for RequestVariables<'_> {
    fn variable(&self, name: &str) -> Option<Variable<'_>> {
        match (name, self.caller) {
            ("request", _) => Some(Variable::Record(&self.request)),
            ("user", Caller::Person(person)) => Some(Variable::Document(&person.entitlements.user)),
            ("claims", Caller::Program(program)) => Some(Variable::Document(&program.claims)),
            ("session", Caller::Person(_)) => self
                .session
                .as_ref()
                .map(|session| Variable::Record(session)),
            ("user" | "claims" | "session", _) => Some(Variable::Null),
            _ => None,
        }
    }

    fn budget(&self) -> Option<&Budget> {
        Some(&self.request.head.budget)
    }
}

#[derive(Debug)]
struct RequestRecord<'a> {
    head: &'a Head<'a>,
    path: &'a str,
    headers: HeaderRecord<'a>,
    tls: TlsRecord<'a>,
}

impl Record for RequestRecord<'_> {
    fn field(&self, name: &str) -> Option<Field<'_>> {
        if self.head.unknown.hides_variable(name) {
            return None;
        }
        Some(match name {
            "host" => Field::Text(Cow::Borrowed(self.head.host.as_str())),
            "path" => Field::Text(Cow::Borrowed(self.path)),
            "method" => Field::Text(Cow::Borrowed(self.head.method.as_str())),
            "ip" => Field::Text(Cow::Owned(self.head.client_ip.to_string())),
            "headers" => Field::Record(&self.headers),
            "tls" => Field::Record(&self.tls),
            _ => return None,
        })
    }
}

#[derive(Debug)]
struct HeaderRecord<'a>(&'a Head<'a>);

impl Record for HeaderRecord<'_> {
    fn field(&self, name: &str) -> Option<Field<'_>> {
        // Cookies contain sessions, which no expression may copy elsewhere.
        if name.eq_ignore_ascii_case("cookie") {
            return None;
        }
        // A repeated header has no single value that a rule could trust.
        let mut values = self.0.headers.get_all(name.to_ascii_lowercase()).iter();
        match (values.next(), values.next()) {
            // Nor may one copy an access token, which no application receives.
            (Some(value), None)
                if name.eq_ignore_ascii_case("authorization") && access_token::is_in(value) =>
            {
                None
            }
            (Some(value), None) => Some(Field::Text(String::from_utf8_lossy(value.as_bytes()))),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct TlsRecord<'a>(&'a Head<'a>);

impl Record for TlsRecord<'_> {
    fn field(&self, name: &str) -> Option<Field<'_>> {
        (name == "subject").then(|| {
            self.0
                .tls_subject
                .map_or(Field::Null, |text| Field::Text(Cow::Borrowed(text)))
        })
    }
}

#[derive(Debug)]
struct SessionRecord<'a> {
    session: &'a Session,
    head: &'a Head<'a>,
}

impl Record for SessionRecord<'_> {
    fn field(&self, name: &str) -> Option<Field<'_>> {
        Some(match name {
            "minted_at" => Field::Int(self.session.minted_at.unix_s()),
            "age" => {
                let age = self
                    .head
                    .received_at
                    .since(self.session.minted_at)
                    .as_secs();
                Field::Int(i64::try_from(age).unwrap_or(i64::MAX))
            }
            "acr" => match &self.session.auth_context.acr {
                Some(acr) => Field::Text(Cow::Borrowed(acr)),
                None => Field::Null,
            },
            "amr" => Field::Document(&self.session.amr),
            _ => return None,
        })
    }
}
