//! The page before a login that keeps the URL's fragment, which browsers never send.

use askama::Template;

use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, render_page};

/// The script of the page, served as `{prefix}/fragment.js`, `text/javascript`.
///
/// It appends the fragment to the value of `rd` in the start URL and navigates to it.
pub const FRAGMENT_JS: &str = include_str!("../../../templates/fragment.js");

/// The page before a login that keeps the URL's fragment.
#[derive(Clone, Debug)]
pub struct FragmentPage<'a> {
    /// The data that every page shows.
    pub info: PageInfo<'a>,
    /// The URL that starts the login. Its query must contain `rd`, percent-encoded.
    pub start: Href,
    /// The URL of [`FRAGMENT_JS`], on this host.
    pub script: Href,
}

#[derive(Template)]
#[template(path = "fragment.html")]
struct FragmentTemplate<'a> {
    layout: Layout<'a>,
    page: &'a FragmentPage<'a>,
}

impl FragmentPage<'_> {
    /// Renders the page as HTML.
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        render_page(
            &FragmentTemplate { layout, page: self },
            lang,
            PagePolicy::Script,
        )
    }
}
