//! The page after a sign-out. It starts nothing by itself.

use askama::Template;

use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, render_page};

/// The page after a sign-out.
#[derive(Clone, Debug)]
pub struct SignedOutPage<'a> {
    /// What every page says of itself.
    pub info: PageInfo<'a>,
    /// The display name of the source that stays signed in itself, such as 企业微信.
    pub source: Option<&'a str>,
    /// Whether every session of the person was ended, not this browser's alone.
    pub everywhere: bool,
    /// Leads to the sign-in page.
    pub sign_in: Href,
}

#[derive(Template)]
#[template(path = "signed_out.html")]
struct SignedOutTemplate<'a> {
    layout: Layout<'a>,
    page: &'a SignedOutPage<'a>,
}

impl SignedOutPage<'_> {
    /// The page as HTML, in a language.
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        render_page(
            &SignedOutTemplate { layout, page: self },
            lang,
            PagePolicy::Plain,
        )
    }
}
