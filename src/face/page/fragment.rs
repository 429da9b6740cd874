//! The stop before a login that carries the URL's fragment along, which browsers never send.

use askama::Template;

use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, render_page};

/// The script of the stop; served as `{prefix}/fragment.js`, `text/javascript`.
///
/// It appends the fragment to the value of `rd` in the start address and goes there.
pub const FRAGMENT_JS: &str = include_str!("../../../templates/fragment.js");

/// The stop before a login that carries the URL's fragment along.
#[derive(Clone, Debug)]
pub struct FragmentPage<'a> {
    /// What every page says of itself.
    pub info: PageInfo<'a>,
    /// Opens the login; its query must hold `rd`, percent-encoded.
    pub start: Href,
    /// Where [`FRAGMENT_JS`] is, on this host.
    pub script: Href,
}

#[derive(Template)]
#[template(path = "fragment.html")]
struct FragmentTemplate<'a> {
    layout: Layout<'a>,
    page: &'a FragmentPage<'a>,
}

impl FragmentPage<'_> {
    /// The page as HTML, in a language.
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        render_page(
            &FragmentTemplate { layout, page: self },
            lang,
            PagePolicy::Script,
        )
    }
}
