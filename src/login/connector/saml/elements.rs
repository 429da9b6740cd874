//! Finds elements in an assertion.

use super::super::kit::xml::{self, Element};
use super::names::ASSERTION;
use super::refusal::ResponseRefusal;

/// The child with this name. Two are refused, because readers differ in which one they take.
pub(super) fn only<'a>(
    parent: &'a Element,
    name: &'static str,
) -> Result<Option<&'a Element>, ResponseRefusal> {
    let child = parent.only_child(ASSERTION, name);
    child.map_err(|_| ResponseRefusal::Repeated(name))
}

/// The text of an element, with its blanks but without line breaks around it; `None` if it has elements inside.
pub(super) fn leaf_text(element: &Element) -> Option<String> {
    let is_leaf = element.elements().next().is_none();
    is_leaf.then(|| xml::without_layout(&element.text()).to_owned())
}
