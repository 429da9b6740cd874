//! `Answer`: what a CAS server says about a ticket.

use std::collections::BTreeMap;

use super::super::kit::xml::{self, Element, XmlError, XmlLimits};
use super::config::Version;

use crate::text;
use crate::wording::{Text, error_of_text};

/// The longest accepted answer, in bytes.
pub(super) const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// The namespace of every element that counts (CAS Protocol 3.0, appendix A).
const NAMESPACE: &str = "http://www.yale.edu/tp/cas";

const LIMITS: XmlLimits = XmlLimits {
    bytes: ANSWER_BYTES_MAX,
    elements: 20_000,
    depth: 16,
    attributes: 16,
};

/// What a CAS server says about a ticket.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Valid(Box<Person>),
    Invalid { code: String, text: String },
}

/// The person of a valid ticket.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) user: String,
    /// Each attribute with its values, in their order.
    pub(super) attributes: BTreeMap<String, Vec<String>>,
    /// The callback URLs of the proxies that the ticket passed, the last one first.
    pub(super) proxies: Vec<String>,
}

/// Why an answer is not used.
#[derive(Debug)]
pub(super) enum AnswerError {
    /// The text of the cause stands here, and not that of its own cause, which could quote the answer.
    Xml(XmlError),
    Text,
    Root,
    Outcome,
    User,
    Proxies,
}

impl AnswerError {
    fn text(&self) -> Text {
        match self {
            Self::Xml(it) => text!(
                "the answer is not the XML that a CAS server sends: {it}",
                "响应不是 CAS 服务器发送的 XML：{it:#}"
            ),
            Self::Text => Text::fixed(
                "the answer is neither yes with a user name nor no",
                "响应既不是 yes 加用户名，也不是 no",
            ),
            Self::Root => Text::fixed(
                "the answer is not a serviceResponse of the CAS namespace",
                "响应不是 CAS 命名空间的 serviceResponse",
            ),
            Self::Outcome => Text::fixed(
                "the answer has not exactly one of authenticationSuccess and authenticationFailure",
                "响应中 authenticationSuccess 与 authenticationFailure 必须恰好有一个",
            ),
            Self::User => Text::fixed(
                "the answer does not name exactly one user",
                "响应必须恰好包含一个用户",
            ),
            Self::Proxies => Text::fixed(
                "the answer does not list the proxies as the protocol demands",
                "响应没有按协议列出代理",
            ),
        }
    }
}

error_of_text!(AnswerError);

impl Answer {
    pub(super) fn read(version: Version, body: &[u8]) -> Result<Self, AnswerError> {
        match version {
            Version::V1 => read_text(body),
            Version::V2 | Version::V3 => read_xml(body),
        }
    }
}

/// Reads the two lines of version 1.0: `yes` and the user name, or `no` and an empty line.
fn read_text(body: &[u8]) -> Result<Answer, AnswerError> {
    let text = std::str::from_utf8(body).map_err(|_| AnswerError::Text)?;
    let mut lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
    let (outcome, user) = (lines.next(), lines.next().unwrap_or_default());
    // A third line could be that of somebody else.
    let ends_here = lines.all(str::is_empty);
    match outcome {
        Some("yes") if ends_here => Ok(Answer::Valid(Box::new(Person {
            user: xml::name_in(user).ok_or(AnswerError::Text)?,
            ..Person::default()
        }))),
        Some("no") if ends_here && user.is_empty() => Ok(Answer::Invalid {
            code: "INVALID_TICKET".to_owned(),
            text: "the server answered no".to_owned(),
        }),
        _ => Err(AnswerError::Text),
    }
}

fn read_xml(body: &[u8]) -> Result<Answer, AnswerError> {
    let root = Element::read(body, LIMITS).map_err(AnswerError::Xml)?;
    if !root.is(NAMESPACE, "serviceResponse") {
        return Err(AnswerError::Root);
    }
    // Any further element could be an outcome to a reader that looks for other names.
    let mut outcomes = root.elements();
    match (outcomes.next(), outcomes.next()) {
        (Some(outcome), None) if outcome.is(NAMESPACE, "authenticationSuccess") => {
            person(outcome).map(|person| Answer::Valid(Box::new(person)))
        }
        (Some(outcome), None) if outcome.is(NAMESPACE, "authenticationFailure") => {
            Ok(Answer::Invalid {
                code: outcome.attribute("code").unwrap_or_default().to_owned(),
                text: outcome.text(),
            })
        }
        _ => Err(AnswerError::Outcome),
    }
}

fn person(success: &Element) -> Result<Person, AnswerError> {
    let user = success.only_child(NAMESPACE, "user");
    let user = user.ok().flatten().filter(|user| is_leaf(user));
    let user = user.and_then(|user| xml::name_in(&user.text()));
    Ok(Person {
        user: user.ok_or(AnswerError::User)?,
        attributes: attributes(success),
        proxies: proxies(success)?,
    })
}

/// The attributes in both layouts: `<cas:attributes><cas:NAME>VALUE` and
/// `<cas:attribute name="NAME" value="VALUE"/>`. Values of the same name are joined; a server that writes
/// both layouts repeats each value, which counts once.
fn attributes(success: &Element) -> BTreeMap<String, Vec<String>> {
    let mut attributes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut add = |name: &str, value: String| {
        let values = attributes.entry(name.to_owned()).or_default();
        if !values.contains(&value) {
            values.push(value);
        }
    };
    let pair = |element: &Element| {
        let name = element.attribute("name")?.to_owned();
        Some((name, element.attribute("value")?.to_owned()))
    };
    for element in success.children_named(NAMESPACE, "attribute") {
        if let Some((name, value)) = pair(element) {
            add(&name, value);
        }
    }
    let lists = success.children_named(NAMESPACE, "attributes");
    for element in lists.flat_map(Element::elements) {
        let as_pair = pair(element).filter(|_| element.is(NAMESPACE, "attribute"));
        match (as_pair, leaf_text(element)) {
            (Some((name, value)), _) => add(&name, value),
            (None, Some(value)) => add(element.local_name(), value),
            // Elements inside an attribute have no meaning in the protocol.
            (None, None) => {}
        }
    }
    attributes
}

fn proxies(success: &Element) -> Result<Vec<String>, AnswerError> {
    let list = success.only_child(NAMESPACE, "proxies");
    let list = list.map_err(|_| AnswerError::Proxies)?;
    let proxies = list.into_iter().flat_map(Element::elements);
    proxies
        .map(|proxy| {
            let url = leaf_text(proxy).filter(|_| proxy.is(NAMESPACE, "proxy"));
            url.ok_or(AnswerError::Proxies)
        })
        .collect()
}

fn is_leaf(element: &Element) -> bool {
    element.elements().next().is_none()
}

/// The text of an element, with its blanks but without line breaks around it; `None` if it has elements inside.
fn leaf_text(element: &Element) -> Option<String> {
    is_leaf(element).then(|| xml::without_layout(&element.text()).to_owned())
}

#[cfg(test)]
mod tests;
