//! `Pager`: links to the previous and the next page of a list.

use super::request::ConsoleRequest;

/// The links of a page of a list.
#[derive(Debug, Default)]
pub(super) struct Pager {
    pub(super) previous: Option<String>,
    pub(super) next: Option<String>,
    /// Which part of the list the page shows.
    pub(super) label: String,
}

impl Pager {
    pub(super) fn has_several(&self) -> bool {
        self.previous.is_some() || self.next.is_some()
    }

    /// Of a list of this length, whose pages are numbered in the query. Also returns the range of this page.
    pub(super) fn numbered(
        request: &ConsoleRequest<'_>,
        length: usize,
        per_page: usize,
    ) -> (Self, std::ops::Range<usize>) {
        let last = length.saturating_sub(1) / per_page;
        let number = request
            .parameter("page")
            .and_then(|page| page.parse::<usize>().ok());
        let index = number.unwrap_or(1).saturating_sub(1).min(last);
        let range = index * per_page..length.min((index + 1) * per_page);
        let address = |number: usize| {
            let query = request.query_with("page", Some(&number.to_string()));
            format!("/console{}{query}", request.path)
        };
        let pager = Self {
            previous: (index > 0).then(|| address(index)),
            next: (index < last).then(|| address(index + 2)),
            label: format!("{}–{} / {length}", range.start + 1, range.end),
        };
        (pager, range)
    }

    /// Of a list whose next page begins after an item, which the query names in `after`.
    pub(super) fn continued(request: &ConsoleRequest<'_>, next_after: Option<&str>) -> Self {
        let address = |query: String| format!("/console{}{query}", request.path);
        let is_first = request.parameter("after").is_none();
        Self {
            previous: (!is_first).then(|| address(request.query_with("after", None))),
            next: next_after.map(|after| address(request.query_with("after", Some(after)))),
            label: String::new(),
        }
    }
}
