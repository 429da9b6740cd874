//! Builds the tree of a document from the tags and texts in it.

use quick_xml::Reader;
use quick_xml::events::{BytesDecl, BytesStart, Event};

use super::attributes::{self, WrittenAttribute};
use super::characters::{are_allowed, is_white_space, normalize_line_ends, referenced};
use super::namespaces::{self, Namespaces};
use super::{Attribute, Declaration, Element, Name, Node, XML_NAMESPACE, XmlError, XmlLimits};

pub(super) fn read(
    document: &[u8],
    limits: XmlLimits,
    surrounding: &[Declaration],
) -> Result<Element, XmlError> {
    if document.len() > limits.bytes {
        return Err(XmlError::TooLarge("bytes"));
    }
    let text = std::str::from_utf8(document).map_err(|_| XmlError::NotUtf8)?;
    let text = normalize_line_ends(text.strip_prefix('\u{feff}').unwrap_or(text));
    // The tokenizer would skip a second byte order mark.
    if text.starts_with('\u{feff}') {
        return Err(XmlError::Malformed);
    }
    if !are_allowed(&text) {
        return Err(XmlError::Forbidden("a control character"));
    }
    let mut tree = Tree::new(limits, surrounding);
    let mut reader = Reader::from_str(&text);
    reader.config_mut().enable_all_checks(true);
    let mut is_first = true;
    loop {
        match reader.read_event().map_err(XmlError::Syntax)? {
            Event::Start(start) => tree.open(&start)?,
            Event::Empty(start) => {
                tree.open(&start)?;
                tree.close()?;
            }
            Event::End(_) => tree.close()?,
            // XML 1.0 §2.4 forbids it, so that the end of a CDATA section cannot be mistaken.
            Event::Text(text) if text.contains("]]>") => return Err(XmlError::Malformed),
            Event::Text(text) => tree.add_text(&text)?,
            Event::CData(text) => tree.add_character_data(&text)?,
            Event::GeneralRef(reference) => {
                let character = referenced(&reference)?;
                tree.add_character_data(character.encode_utf8(&mut [0; 4]))?;
            }
            Event::Comment(_) => {}
            Event::Decl(declaration) if is_first => check_declaration(&declaration)?,
            Event::Decl(_) => return Err(XmlError::Malformed),
            Event::PI(_) => return Err(XmlError::Forbidden("a processing instruction")),
            Event::DocType(_) => return Err(XmlError::Forbidden("a document type")),
            Event::Eof => return tree.finish(),
        }
        is_first = false;
    }
}

/// Refuses a declaration that announces anything but XML 1.0 in UTF-8.
fn check_declaration(declaration: &BytesDecl<'_>) -> Result<(), XmlError> {
    let attributes = declaration.strip_prefix("xml").unwrap_or_default();
    let attributes = attributes::split(attributes, 3)?;
    let mut rest = attributes.as_slice();
    let mut take = |name: &str| {
        let (first, others) = rest.split_first().filter(|(first, _)| first.name == name)?;
        rest = others;
        Some(first.value)
    };
    let version = take("version");
    let encoding = take("encoding");
    let standalone = take("standalone");
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("utf-8")) {
        return Err(XmlError::NotUtf8);
    }
    let is_known = version == Some("1.0") && matches!(standalone, None | Some("yes" | "no"));
    if is_known && rest.is_empty() {
        Ok(())
    } else {
        Err(XmlError::Malformed)
    }
}

/// The document as far as it is read.
struct Tree<'a> {
    limits: XmlLimits,
    /// What the elements around the document declare, if it is part of a larger one.
    surrounding: &'a [Declaration],
    elements: usize,
    namespaces: Namespaces,
    /// The elements that are not closed, outermost first.
    open: Vec<Element>,
    root: Option<Element>,
}

impl<'a> Tree<'a> {
    fn new(limits: XmlLimits, surrounding: &'a [Declaration]) -> Self {
        let mut namespaces = Namespaces::new();
        namespaces.open(surrounding);
        Self {
            limits,
            surrounding,
            elements: 0,
            namespaces,
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
        if self.root.is_some() {
            return Err(XmlError::Malformed);
        }
        let written = attributes::split(start.attributes_raw(), self.limits.attributes)?;
        let (declarations, written) = take_declarations(written)?;
        self.namespaces.open(&declarations);
        let attributes = written
            .into_iter()
            .map(|(name, value)| {
                let name = self.namespaces.attribute_name(name)?;
                Ok(Attribute { name, value })
            })
            .collect::<Result<Vec<_>, XmlError>>()?;
        check_attributes(&attributes)?;
        self.open.push(Element {
            name: self.namespaces.element_name(start.name().as_ref())?,
            attributes,
            declarations,
            children: Vec::new(),
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), XmlError> {
        let closed = self.open.pop().ok_or(XmlError::Malformed)?;
        self.namespaces.close(&closed.declarations);
        match self.open.last_mut() {
            Some(parent) => parent.children.push(Node::Element(closed)),
            None => self.root = Some(closed),
        }
        Ok(())
    }

    /// Adds text between tags. Outside the root element only white space may stand.
    fn add_text(&mut self, text: &str) -> Result<(), XmlError> {
        if self.open.is_empty() && text.chars().all(is_white_space) {
            return Ok(());
        }
        self.add_character_data(text)
    }

    fn add_character_data(&mut self, text: &str) -> Result<(), XmlError> {
        let element = self.open.last_mut().ok_or(XmlError::Malformed)?;
        match element.children.last_mut() {
            Some(Node::Text(before)) => before.push_str(text),
            _ => element.children.push(Node::Text(text.to_owned())),
        }
        Ok(())
    }

    fn finish(self) -> Result<Element, XmlError> {
        let mut root = self.root.ok_or(XmlError::Malformed)?;
        if !self.open.is_empty() {
            return Err(XmlError::Malformed);
        }
        for surrounding in self.surrounding {
            let is_same = |own: &Declaration| own.prefix == surrounding.prefix;
            if !root.declarations.iter().any(is_same) {
                root.declarations.push(surrounding.clone());
            }
        }
        Ok(root)
    }
}

type NameAndValue<'a> = (&'a str, String);

/// Separates the declarations of namespaces from the other attributes, and refuses repeated ones.
fn take_declarations(
    written: Vec<WrittenAttribute<'_>>,
) -> Result<(Vec<Declaration>, Vec<NameAndValue<'_>>), XmlError> {
    let mut declarations = Vec::new();
    let mut others = Vec::with_capacity(written.len());
    for WrittenAttribute { name, value } in written {
        let value = attributes::normalize_value(value)?;
        match namespaces::declaration(name, &value)? {
            Some(declaration) => declarations.push(declaration),
            None => others.push((name, value)),
        }
    }
    if has_repetition(declarations.iter().map(|declared| &declared.prefix)) {
        return Err(XmlError::RepeatedAttribute);
    }
    Ok((declarations, others))
}

/// Refuses attributes with the same name and namespace, whatever their prefixes, and `xml:id`, with which
/// an element would have a second identifier.
fn check_attributes(attributes: &[Attribute]) -> Result<(), XmlError> {
    let is_xml_id = |name: &Name| name.is(Some(XML_NAMESPACE), "id");
    if attributes
        .iter()
        .any(|attribute| is_xml_id(&attribute.name))
    {
        return Err(XmlError::Forbidden("an attribute xml:id"));
    }
    let names = attributes.iter().map(|attribute| &attribute.name);
    if has_repetition(names.map(|name| (name.namespace(), name.local_name()))) {
        return Err(XmlError::RepeatedAttribute);
    }
    Ok(())
}

fn has_repetition<T: Ord>(values: impl Iterator<Item = T>) -> bool {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values.windows(2).any(|pair| pair[0] == pair[1])
}
