//! Finds elements in a tree, and places one in it.

use super::{Declaration, Element, Node};

impl Element {
    /// Calls `visit` for this element and all elements inside, in the order of the document.
    pub fn visit<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        for element in self.elements() {
            element.visit(visit);
        }
    }

    /// The elements around `inner`, outermost first; `None` if `inner` is not part of this tree.
    pub fn ancestors_of<'a>(&'a self, inner: &Self) -> Option<Vec<&'a Self>> {
        if std::ptr::eq(self, inner) {
            return Some(Vec::new());
        }
        let mut ancestors = self
            .elements()
            .find_map(|element| element.ancestors_of(inner))?;
        ancestors.insert(0, self);
        Some(ancestors)
    }

    /// The element with this value of the attribute `ID`.
    pub fn with_id<'a>(&'a self, id: &str) -> Option<&'a Self> {
        if self.attribute("ID") == Some(id) {
            return Some(self);
        }
        self.elements().find_map(|element| element.with_id(id))
    }

    /// The declarations in effect inside `inner`, an element of this tree.
    pub fn declarations_inside(&self, inner: &Self) -> Option<Vec<Declaration>> {
        let mut declared: Vec<Declaration> = Vec::new();
        let ancestors = self.ancestors_of(inner)?;
        for element in ancestors.into_iter().chain([inner]) {
            for own in &element.declarations {
                declared.retain(|outer| outer.prefix != own.prefix);
                declared.push(own.clone());
            }
        }
        Some(declared)
    }

    /// Places `inserted` directly inside the element with this `ID`, as the child element number `at`. Does
    /// nothing if there is no such element.
    pub(in crate::login::connector::kit) fn insert_into(
        &mut self,
        id: &str,
        at: usize,
        inserted: Self,
    ) {
        let Some(element) = self.with_id_mut(id) else {
            return;
        };
        let mut places = element.children.iter().enumerate();
        let place = places
            .by_ref()
            .filter(|(_, child)| matches!(child, Node::Element(_)))
            .nth(at)
            .map_or(element.children.len(), |(place, _)| place);
        element.children.insert(place, Node::Element(inserted));
    }

    fn with_id_mut(&mut self, id: &str) -> Option<&mut Self> {
        if self.attribute("ID") == Some(id) {
            return Some(self);
        }
        self.children.iter_mut().find_map(|child| match child {
            Node::Element(element) => element.with_id_mut(id),
            Node::Text(_) => None,
        })
    }
}
