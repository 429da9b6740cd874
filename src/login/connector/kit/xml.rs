//! Reads small XML documents of sources, bounded and without document type definitions.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// The limits of a document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct XmlLimits {
    pub(crate) bytes: usize,
    /// The most elements.
    pub(crate) elements: usize,
    /// The most elements inside each other.
    pub(crate) depth: usize,
}

/// An element. Attributes are checked and not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    /// The name with its prefix, as written.
    pub(crate) name: String,
    /// The text directly inside this element, with references replaced.
    pub(crate) text: String,
    pub(crate) children: Vec<Self>,
}

/// Why a document is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum XmlError {
    #[error("the document exceeds the limit of {0}")]
    TooLarge(&'static str),
    #[error("the document is not UTF-8")]
    NotUtf8,
    /// Entities of a document type could expand without limit or read files.
    #[error("the document has {0}, which is not allowed")]
    Forbidden(&'static str),
    #[error("the document is not well-formed")]
    Malformed,
    #[error("the document is not well-formed")]
    Syntax(#[source] quick_xml::Error),
}

impl Element {
    /// Reads a document and returns its root element.
    pub(crate) fn read(document: &[u8], limits: XmlLimits) -> Result<Self, XmlError> {
        if document.len() > limits.bytes {
            return Err(XmlError::TooLarge("bytes"));
        }
        let text = std::str::from_utf8(document).map_err(|_| XmlError::NotUtf8)?;
        let mut tree = Tree::new(limits);
        let mut reader = Reader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
        reader.config_mut().enable_all_checks(true);
        loop {
            match reader.read_event().map_err(XmlError::Syntax)? {
                Event::Start(start) => tree.open(&start)?,
                Event::Empty(start) => {
                    tree.open(&start)?;
                    tree.close()?;
                }
                Event::End(_) => tree.close()?,
                Event::Text(text) => tree.add_text(&text.xml10_content())?,
                Event::CData(text) => tree.add_text(&text.xml10_content())?,
                Event::GeneralRef(reference) => tree.add_reference(&reference)?,
                Event::Comment(_) => {}
                Event::Decl(declaration) => {
                    let is_utf8 = match declaration.encoding() {
                        None => true,
                        Some(encoding) => {
                            encoding.is_ok_and(|encoding| encoding.eq_ignore_ascii_case("utf-8"))
                        }
                    };
                    if !is_utf8 {
                        return Err(XmlError::NotUtf8);
                    }
                }
                Event::PI(_) => return Err(XmlError::Forbidden("a processing instruction")),
                Event::DocType(_) => return Err(XmlError::Forbidden("a document type")),
                Event::Eof => return tree.finish(),
            }
        }
    }

    /// The only child with this name; `None` if there is none or several.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        let mut named = self.children.iter().filter(|child| child.name == name);
        named.next().filter(|_| named.next().is_none())
    }

    /// The text of the only child with this name, without white space at its ends.
    pub(crate) fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }
}

/// The document as far as it is read.
struct Tree {
    limits: XmlLimits,
    elements: usize,
    /// The elements that are not closed, outermost first.
    open: Vec<Element>,
    root: Option<Element>,
}

impl Tree {
    fn new(limits: XmlLimits) -> Self {
        Self {
            limits,
            elements: 0,
            open: Vec::new(),
            root: None,
        }
    }

    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), XmlError> {
        self.elements += 1;
        if self.elements > self.limits.elements {
            return Err(XmlError::TooLarge("elements"));
        }
        if self.open.len() >= self.limits.depth {
            return Err(XmlError::TooLarge("depth"));
        }
        if self.root.is_some() || start.attributes().any(|attribute| attribute.is_err()) {
            return Err(XmlError::Malformed);
        }
        self.open.push(Element {
            name: start.name().as_ref().to_owned(),
            ..Element::default()
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), XmlError> {
        let closed = self.open.pop().ok_or(XmlError::Malformed)?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(closed),
            None => self.root = Some(closed),
        }
        Ok(())
    }

    fn add_text(&mut self, text: &str) -> Result<(), XmlError> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => return Err(XmlError::Malformed),
        }
        Ok(())
    }

    /// Adds the character of a numeric reference or of one of the five predefined entities.
    fn add_reference(&mut self, reference: &BytesRef<'_>) -> Result<(), XmlError> {
        let number = reference.resolve_char_ref().map_err(XmlError::Syntax)?;
        let character = match number {
            Some(character) => character,
            None => match &*reference.xml10_content() {
                "lt" => '<',
                "gt" => '>',
                "amp" => '&',
                "apos" => '\'',
                "quot" => '"',
                _ => return Err(XmlError::Forbidden("an entity")),
            },
        };
        self.add_text(character.encode_utf8(&mut [0; 4]))
    }

    fn finish(self) -> Result<Element, XmlError> {
        match self.root {
            Some(root) if self.open.is_empty() => Ok(root),
            _ => Err(XmlError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: XmlLimits = XmlLimits {
        bytes: 1_000,
        elements: 8,
        depth: 3,
    };

    fn read(text: &str) -> Result<Element, XmlError> {
        Element::read(text.as_bytes(), LIMITS)
    }

    #[test]
    fn text_and_cdata_of_children_are_read() {
        let root = read(
            "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<xml><a><![CDATA[<1>&amp;]]></a>\
             <!-- no -->\n<b x='1'> 张&lt;三&#x4E09;&#50; </b><c/><d><e>5</e></d></xml>\n",
        );
        let root = root.unwrap();
        assert_eq!(root.name, "xml");
        assert_eq!(root.child_text("a"), Some("<1>&amp;"));
        assert_eq!(root.child_text("b"), Some("张<三三2"));
        assert_eq!(root.child_text("c"), Some(""));
        let inner = root.child("d").and_then(|child| child.child_text("e"));
        assert_eq!(inner, Some("5"));
        assert_eq!(root.child_text("e"), None);
    }

    #[test]
    fn a_repeated_child_is_ambiguous_and_not_returned() {
        assert_eq!(read("<x><a>1</a><a>2</a></x>").unwrap().child("a"), None);
    }

    #[test]
    fn document_types_entities_and_instructions_are_refused() {
        for bad in [
            "<!DOCTYPE x><x/>",
            "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>",
            "<!DOCTYPE x [<!ENTITY a 'a'><!ENTITY b '&a;&a;'>]><x>&b;</x>",
            "<x>&nbsp;</x>",
            "<?php x?><x/>",
            "<x><?xml-stylesheet href='a'?></x>",
        ] {
            assert!(matches!(read(bad), Err(XmlError::Forbidden(_))), "{bad}");
        }
    }

    #[test]
    fn malformed_documents_are_refused() {
        for bad in [
            "",
            " ",
            "x",
            "<x>",
            "</x>",
            "<x></y>",
            "<x/><y/>",
            "<x/>y",
            "y<x/>",
            "<x a='1' a='2'/>",
            "<x a=1/>",
            "<x><![CDATA[a</x>",
            "<x>&#0;</x>",
            "<x>&#xD800;</x>",
            "<x>a & b</x>",
            "<?xml version='1.0' encoding='gbk'?><x/>",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(Element::read(b"<x>\xff</x>", LIMITS).is_err());
    }

    #[test]
    fn documents_over_a_limit_are_refused() {
        assert!(read("<a><b><c/></b></a>").is_ok());
        for (bad, limit) in [
            ("<a><b><c><d/></c></b></a>", "depth"),
            ("<a><b/><b/><b/><b/><b/><b/><b/><b/></a>", "elements"),
        ] {
            assert!(
                matches!(read(bad), Err(XmlError::TooLarge(what)) if what == limit),
                "{bad}"
            );
        }
        let long = format!("<a>{}</a>", "x".repeat(994));
        assert!(matches!(read(&long), Err(XmlError::TooLarge("bytes"))));
        assert!(read(&long.replacen('x', "", 1)).is_ok());
    }
}
