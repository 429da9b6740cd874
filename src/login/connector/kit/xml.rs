//! Reads XML documents of sources into one tree: bounded, with namespaces, and without document type
//! definitions. Whatever two XML readers could understand differently is refused.

use std::fmt;
use std::sync::Arc;

use crate::text;
use crate::wording::{Text, error_of_text};

mod attributes;
mod characters;
mod namespaces;
mod reader;
mod search;
#[cfg(test)]
mod tests;
mod time;

pub use time::{duration, timestamp};

/// The namespace of the prefix `xml`, which every document has without a declaration.
pub const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";

/// The limits of a document.
#[derive(Clone, Copy, Debug)]
pub struct XmlLimits {
    pub bytes: usize,
    /// The most elements.
    pub elements: usize,
    /// The most elements inside each other.
    pub depth: usize,
    /// The most attributes of one element, namespace declarations included.
    pub attributes: usize,
}

/// An element. Its `Debug` names it and shows nothing inside, because documents carry secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Element {
    name: Name,
    attributes: Vec<Attribute>,
    /// The namespaces that this element declares.
    declarations: Vec<Declaration>,
    children: Vec<Node>,
}

/// What an element has inside, in the order of the document. Comments are dropped, and adjacent text is
/// one node, so a comment does not split a text.
#[derive(Clone, PartialEq, Eq)]
pub enum Node {
    Element(Element),
    /// With references replaced.
    Text(String),
}

/// The name of an element or attribute.
#[derive(Clone, PartialEq, Eq)]
pub struct Name {
    /// The prefix, a colon, and the local name; or only the local name.
    written: Box<str>,
    local_name_at: usize,
    namespace: Option<Arc<str>>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Attribute {
    pub name: Name,
    /// With references replaced and white space normalised.
    pub value: String,
}

/// `xmlns:prefix="namespace"`; the default namespace has an empty prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    pub prefix: Box<str>,
    /// `None` for `xmlns=""`.
    pub namespace: Option<Arc<str>>,
}

/// Why a document is refused.
#[derive(Debug)]
pub enum XmlError {
    TooLarge(&'static str),
    NotUtf8,
    /// Entities of a document type could expand without limit or read files.
    Forbidden(&'static str),
    UndeclaredPrefix,
    RepeatedAttribute,
    RepeatedElement(String),
    Malformed,
    Syntax(quick_xml::Error),
}

impl XmlError {
    fn text(&self) -> Text {
        match self {
            Self::TooLarge(it) => text!(
                "the document exceeds the limit of {it}",
                "文档超出限制：{it}"
            ),
            Self::NotUtf8 => Text::fixed("the document is not UTF-8", "文档不是 UTF-8"),
            Self::Forbidden(it) => text!(
                "the document has {it}, which is not allowed",
                "文档含有不允许的内容：{it}"
            ),
            Self::UndeclaredPrefix => Text::fixed(
                "the document uses a namespace prefix that it does not declare",
                "文档使用了没有声明的命名空间前缀",
            ),
            Self::RepeatedAttribute => Text::fixed(
                "an element has the same attribute twice",
                "元素的同一个属性出现了两次",
            ),
            Self::RepeatedElement(it) => text!(
                "an element has the element {it} twice",
                "元素中的 {it} 出现了两次"
            ),
            Self::Malformed => {
                Text::fixed("the document is not well-formed", "文档不是格式良好的 XML")
            }
            Self::Syntax(_) => {
                Text::fixed("the document is not well-formed", "文档不是格式良好的 XML")
            }
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Syntax(source) => Some(source),
            Self::TooLarge(_)
            | Self::NotUtf8
            | Self::Forbidden(_)
            | Self::UndeclaredPrefix
            | Self::RepeatedAttribute
            | Self::RepeatedElement(_)
            | Self::Malformed => None,
        }
    }
}

error_of_text!(XmlError, caused);

impl Element {
    /// Reads a document and returns its root element.
    pub fn read(document: &[u8], limits: XmlLimits) -> Result<Self, XmlError> {
        reader::read(document, limits, &[])
    }

    /// Reads a part of a larger document, in which the surrounding elements declare `surrounding`. The root
    /// then has these declarations, so that it can be understood on its own.
    pub fn read_fragment(
        fragment: &[u8],
        limits: XmlLimits,
        surrounding: &[Declaration],
    ) -> Result<Self, XmlError> {
        reader::read(fragment, limits, surrounding)
    }

    pub fn namespace(&self) -> Option<&str> {
        self.name.namespace()
    }

    pub fn local_name(&self) -> &str {
        self.name.local_name()
    }

    /// The name as written and its namespace.
    pub fn name(&self) -> &Name {
        &self.name
    }

    pub fn is(&self, namespace: &str, local_name: &str) -> bool {
        self.name.is(Some(namespace), local_name)
    }

    /// The value of an attribute that has no namespace, as those of SAML and XML Signature have none.
    pub fn attribute(&self, local_name: &str) -> Option<&str> {
        let named = |attribute: &&Attribute| attribute.name.is(None, local_name);
        Some(&self.attributes.iter().find(named)?.value)
    }

    /// All attributes, without the declarations of namespaces.
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    pub fn declarations(&self) -> &[Declaration] {
        &self.declarations
    }

    pub fn children(&self) -> &[Node] {
        &self.children
    }

    /// The elements directly inside this one.
    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|child| match child {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    pub fn children_named<'a>(
        &'a self,
        namespace: &'a str,
        local_name: &'a str,
    ) -> impl Iterator<Item = &'a Self> {
        self.elements()
            .filter(move |element| element.is(namespace, local_name))
    }

    /// The child with this name, if there is one. Two are an error, because readers differ in which one
    /// they take.
    pub fn only_child(&self, namespace: &str, local_name: &str) -> Result<Option<&Self>, XmlError> {
        let mut named = self
            .elements()
            .filter(|element| element.is(namespace, local_name));
        match (named.next(), named.next()) {
            (only, None) => Ok(only),
            (_, Some(_)) => Err(XmlError::RepeatedElement(local_name.to_owned())),
        }
    }

    /// All text directly inside this element. Comments do not split it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for child in &self.children {
            if let Node::Text(part) = child {
                text.push_str(part);
            }
        }
        text
    }

    /// The text of the only child with this name and no namespace, without white space at its ends; `None`
    /// if there is no such child or there are several.
    pub fn child_text(&self, local_name: &str) -> Option<String> {
        let mut named = self
            .elements()
            .filter(|element| element.name.is(None, local_name));
        let only = named.next().filter(|_| named.next().is_none())?;
        Some(only.text().trim().to_owned())
    }
}

impl Name {
    /// The prefix; empty if the name has none.
    pub fn prefix(&self) -> &str {
        self.written[..self.local_name_at].trim_end_matches(':')
    }

    pub fn local_name(&self) -> &str {
        &self.written[self.local_name_at..]
    }

    pub fn written(&self) -> &str {
        &self.written
    }

    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    pub fn is(&self, namespace: Option<&str>, local_name: &str) -> bool {
        self.local_name() == local_name && self.namespace() == namespace
    }
}

/// The name of a person in a text, which may stand on lines of its own. `None` if it is empty or has other white
/// space at its ends: a name with a blank at its end may be that of somebody else.
pub fn name_in(text: &str) -> Option<String> {
    let name = without_layout(text);
    let is_name = !name.is_empty() && name.trim() == name;
    is_name.then(|| name.to_owned())
}

/// A text without the white space before and after it that has a line break. Other blanks are part of it.
pub fn without_layout(text: &str) -> &str {
    let is_space = |c| matches!(c, ' ' | '\t' | '\r' | '\n');
    let from_start = text.trim_start_matches(is_space);
    let before = &text[..text.len() - from_start.len()];
    let text = if before.contains('\n') {
        from_start
    } else {
        text
    };
    let to_end = text.trim_end_matches(is_space);
    let after = &text[to_end.len()..];
    if after.contains('\n') { to_end } else { text }
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.name.written)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Element(element) => element.fmt(f),
            Self::Text(text) => write!(f, "text of {} bytes", text.len()),
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}
