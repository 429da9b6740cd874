//! `Namespaces`: which prefix stands for which namespace at the place that is being read.

use std::collections::HashMap;
use std::sync::Arc;

use super::characters::is_name;
use super::{Declaration, Name, XML_NAMESPACE, XmlError};

const XMLNS_NAMESPACE: &str = "http://www.w3.org/2000/xmlns/";

/// The namespaces in scope. A look-up costs the same however many elements and declarations surround the
/// place.
pub(super) struct Namespaces {
    /// For each prefix the namespaces of the open elements that declare it, innermost last.
    declared: HashMap<Box<str>, Vec<Option<Arc<str>>>>,
    xml: Arc<str>,
}

impl Namespaces {
    pub(super) fn new() -> Self {
        Self {
            declared: HashMap::new(),
            xml: Arc::from(XML_NAMESPACE),
        }
    }

    pub(super) fn open(&mut self, declarations: &[Declaration]) {
        for Declaration { prefix, namespace } in declarations {
            match self.declared.get_mut(prefix) {
                Some(namespaces) => namespaces.push(namespace.clone()),
                None => {
                    self.declared
                        .insert(prefix.clone(), vec![namespace.clone()]);
                }
            }
        }
    }

    pub(super) fn close(&mut self, declarations: &[Declaration]) {
        for declaration in declarations {
            if let Some(namespaces) = self.declared.get_mut(&declaration.prefix) {
                namespaces.pop();
            }
        }
    }

    /// The name of an element. Without a prefix it is in the default namespace.
    pub(super) fn element_name(&self, written: &str) -> Result<Name, XmlError> {
        let local_name_at = split(written)?;
        let namespace = match local_name_at {
            0 => self.in_scope("").flatten(),
            _ => Some(self.of_prefix(&written[..local_name_at - 1])?),
        };
        Ok(Name {
            written: written.into(),
            local_name_at,
            namespace,
        })
    }

    /// The name of an attribute. Without a prefix it has no namespace.
    pub(super) fn attribute_name(&self, written: &str) -> Result<Name, XmlError> {
        let local_name_at = split(written)?;
        let namespace = match local_name_at {
            0 => None,
            _ => Some(self.of_prefix(&written[..local_name_at - 1])?),
        };
        Ok(Name {
            written: written.into(),
            local_name_at,
            namespace,
        })
    }

    fn of_prefix(&self, prefix: &str) -> Result<Arc<str>, XmlError> {
        if prefix == "xml" {
            return Ok(Arc::clone(&self.xml));
        }
        let namespace = self.in_scope(prefix).flatten();
        namespace.ok_or(XmlError::UndeclaredPrefix)
    }

    fn in_scope(&self, prefix: &str) -> Option<Option<Arc<str>>> {
        self.declared.get(prefix)?.last().cloned()
    }
}

/// Where the local name of a name begins.
fn split(written: &str) -> Result<usize, XmlError> {
    let (prefix, local_name) = match written.split_once(':') {
        Some((prefix, local_name)) => (Some(prefix), local_name),
        None => (None, written),
    };
    if prefix.is_none_or(is_name) && is_name(local_name) {
        Ok(written.len() - local_name.len())
    } else {
        Err(XmlError::Malformed)
    }
}

/// The declaration in an attribute, if it is one. The prefixes `xml` and `xmlns` and their namespaces are
/// fixed and cannot be declared.
pub(super) fn declaration(name: &str, value: &str) -> Result<Option<Declaration>, XmlError> {
    let prefix = match name.strip_prefix("xmlns") {
        Some("") => "",
        Some(prefixed) if prefixed.starts_with(':') => &prefixed[1..],
        _ => return Ok(None),
    };
    if matches!(prefix, "xml" | "xmlns") || matches!(value, XML_NAMESPACE | XMLNS_NAMESPACE) {
        return Err(XmlError::Forbidden("a declaration of a fixed prefix"));
    }
    if !prefix.is_empty() && (!is_name(prefix) || value.is_empty()) {
        return Err(XmlError::Malformed);
    }
    if name.ends_with(':') {
        return Err(XmlError::Malformed);
    }
    Ok(Some(Declaration {
        prefix: prefix.into(),
        namespace: (!value.is_empty()).then(|| Arc::from(value)),
    }))
}
