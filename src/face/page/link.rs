//! The page that asks whether another identity may sign in to the account.

use askama::Template;

use super::texts::LinkTexts;
use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, PersonName, render_page};

#[derive(Clone, Debug)]
pub struct LinkPage<'a> {
    pub info: PageInfo<'a>,
    pub connector_name: &'a str,
    /// The person who is signed in.
    pub current: PersonName<'a>,
    /// The person at the connector's source.
    pub identity: PersonName<'a>,
    pub post_to: Href,
    /// The ID of the pending login.
    pub flow: &'a str,
    pub cancel: Href,
}

#[derive(Template)]
#[template(path = "link.html")]
struct LinkTemplate<'a> {
    layout: Layout<'a>,
    page: &'a LinkPage<'a>,
    texts: &'static LinkTexts,
}

impl LinkPage<'_> {
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        let texts = &layout.texts.link;
        let template = LinkTemplate {
            layout,
            page: self,
            texts,
        };
        render_page(&template, self.info, lang, PagePolicy::IsolatedForm)
    }
}
