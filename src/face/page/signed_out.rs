//! The page after a sign-out. It does not begin a new login by itself.

use askama::Template;

use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, render_page};

/// The page after a sign-out.
#[derive(Clone, Debug)]
pub struct SignedOutPage<'a> {
    pub info: PageInfo<'a>,
    /// The display name of a connector whose provider keeps its own session, such as 企业微信.
    pub connector_name: Option<&'a str>,
    /// Whether all sessions of the person were ended.
    pub everywhere: bool,
    /// The link to the sign-in page.
    pub sign_in: Href,
}

#[derive(Template)]
#[template(path = "signed_out.html")]
struct SignedOutTemplate<'a> {
    layout: Layout<'a>,
    page: &'a SignedOutPage<'a>,
}

impl SignedOutPage<'_> {
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        render_page(
            &SignedOutTemplate { layout, page: self },
            self.info,
            lang,
            PagePolicy::Plain,
        )
    }
}
