//! Exclusive XML canonicalization without comments: <https://www.w3.org/TR/xml-exc-c14n/>.
//!
//! A prefix is declared where an element or attribute uses it and its namespace is not in effect in the
//! output already. The prefixes in `inclusive` are declared wherever they are in scope, because texts, such
//! as those of `xsi:type`, may use them; Shibboleth and Okta name `xs` there.

use std::collections::HashMap;

use super::super::xml::{Attribute, Declaration, Element, Node};

/// What is written, and how.
pub(super) struct Canonical<'a> {
    pub(super) element: &'a Element,
    /// The elements around it, outermost first.
    pub(super) ancestors: &'a [&'a Element],
    /// The prefixes of `InclusiveNamespaces`; the default namespace is the empty prefix.
    pub(super) inclusive: &'a [&'a str],
    /// The signature that is left out, because it cannot sign itself.
    pub(super) without: Option<&'a Element>,
    pub(super) bytes_max: usize,
}

/// The canonical form has more bytes than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Canonical<'_> {
    pub(super) fn write(&self) -> Result<String, TooLong> {
        let mut writer = Writer {
            in_scope: self
                .inclusive
                .iter()
                .map(|prefix| (*prefix, None))
                .collect(),
            rendered: HashMap::new(),
            without: self.without,
            bytes_max: self.bytes_max,
            output: String::new(),
        };
        for ancestor in self.ancestors {
            writer.enter_scope(ancestor.declarations());
        }
        writer.write_element(self.element)?;
        Ok(writer.output)
    }
}

type Namespace<'a> = Option<&'a str>;

struct Writer<'a> {
    /// The inclusive prefixes and what they stand for at the element that is being written.
    in_scope: Vec<(&'a str, Namespace<'a>)>,
    /// What the prefixes stand for in the output.
    rendered: HashMap<&'a str, Namespace<'a>>,
    without: Option<&'a Element>,
    bytes_max: usize,
    output: String,
}

impl<'a> Writer<'a> {
    fn write_element(&mut self, element: &'a Element) -> Result<(), TooLong> {
        let scope_before = self.in_scope.clone();
        self.enter_scope(element.declarations());
        let declared = self.declare(element);
        let name = element.name().written();
        self.output.push('<');
        self.output.push_str(name);
        for (prefix, _) in &declared {
            self.write_declaration(prefix);
        }
        let mut attributes: Vec<&Attribute> = element.attributes().iter().collect();
        attributes.sort_unstable_by_key(|attribute| {
            (attribute.name.namespace(), attribute.name.local_name())
        });
        for attribute in attributes {
            self.write_attribute(attribute.name.written(), &attribute.value);
        }
        self.output.push('>');
        for child in element.children() {
            match child {
                Node::Text(text) => self.write_text(text),
                Node::Element(child) if self.is_left_out(child) => {}
                Node::Element(child) => self.write_element(child)?,
            }
            self.check_length()?;
        }
        self.output.push_str("</");
        self.output.push_str(name);
        self.output.push('>');
        for (prefix, before) in declared {
            match before {
                Some(namespace) => self.rendered.insert(prefix, namespace),
                None => self.rendered.remove(prefix),
            };
        }
        self.in_scope = scope_before;
        self.check_length()
    }

    fn is_left_out(&self, element: &Element) -> bool {
        self.without
            .is_some_and(|without| std::ptr::eq(without, element))
    }

    fn check_length(&self) -> Result<(), TooLong> {
        if self.output.len() > self.bytes_max {
            return Err(TooLong);
        }
        Ok(())
    }

    fn enter_scope(&mut self, declarations: &'a [Declaration]) {
        for (prefix, namespace) in &mut self.in_scope {
            let mut own = declarations.iter();
            if let Some(declared) = own.find(|declared| *declared.prefix == **prefix) {
                *namespace = declared.namespace.as_deref();
            }
        }
    }

    /// Notes the prefixes that this element declares in the output. Returns them in order, with what they
    /// stood for before.
    fn declare(&mut self, element: &'a Element) -> Vec<(&'a str, Option<Namespace<'a>>)> {
        let mut needed = vec![(element.name().prefix(), element.namespace())];
        for attribute in element.attributes() {
            if !attribute.name.prefix().is_empty() {
                needed.push((attribute.name.prefix(), attribute.name.namespace()));
            }
        }
        for (prefix, namespace) in &self.in_scope {
            if prefix.is_empty() || namespace.is_some() {
                needed.push((prefix, *namespace));
            }
        }
        let mut declared = Vec::new();
        for (prefix, namespace) in needed {
            let before = self.rendered.get(prefix).copied();
            // The prefix `xml` is never declared. No default namespace needs to be said only where another
            // one is in effect.
            if prefix != "xml" && before.flatten() != namespace {
                self.rendered.insert(prefix, namespace);
                declared.push((prefix, before));
            }
        }
        declared.sort_unstable_by_key(|(prefix, _)| *prefix);
        declared
    }

    fn write_declaration(&mut self, prefix: &'a str) {
        let namespace = self.rendered.get(prefix).copied().flatten();
        let namespace = namespace.unwrap_or_default();
        if prefix.is_empty() {
            self.write_attribute("xmlns", namespace);
        } else {
            self.output.push_str(" xmlns:");
            self.output.push_str(prefix);
            self.write_value(namespace);
        }
    }

    fn write_attribute(&mut self, name: &str, value: &str) {
        self.output.push(' ');
        self.output.push_str(name);
        self.write_value(value);
    }

    fn write_value(&mut self, value: &str) {
        self.output.push_str("=\"");
        self.write_escaped(value, &['&', '<', '"', '\t', '\n', '\r']);
        self.output.push('"');
    }

    fn write_text(&mut self, text: &str) {
        self.write_escaped(text, &['&', '<', '>', '\r']);
    }

    fn write_escaped(&mut self, text: &str, special: &[char]) {
        let mut rest = text;
        while let Some(at) = rest.find(special) {
            self.output.push_str(&rest[..at]);
            self.output.push_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                b'\t' => "&#x9;",
                b'\n' => "&#xA;",
                _ => "&#xD;",
            });
            rest = &rest[at + 1..];
        }
        self.output.push_str(rest);
    }
}
