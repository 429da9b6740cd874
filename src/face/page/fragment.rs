//! The page that adds the URL fragment to a login, because browsers do not send fragments.

use askama::Template;

use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, render_page};

/// The script of the page, served at `{prefix}/fragment.js`. It appends the fragment to `rd` in the
/// start URL and navigates there.
pub const FRAGMENT_JS: &str = include_str!("../../../templates/fragment.js");

/// The page that adds the URL fragment to a login.
#[derive(Clone, Debug)]
pub struct FragmentPage<'a> {
    pub info: PageInfo<'a>,
    /// The URL that begins the login; its query must have a percent-encoded `rd`.
    pub start_url: Href,
    /// The URL of [`FRAGMENT_JS`].
    pub script: Href,
}

#[derive(Template)]
#[template(path = "fragment.html")]
struct FragmentTemplate<'a> {
    layout: Layout<'a>,
    page: &'a FragmentPage<'a>,
}

impl FragmentPage<'_> {
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        render_page(
            &FragmentTemplate { layout, page: self },
            self.info,
            lang,
            PagePolicy::Script,
        )
    }
}
