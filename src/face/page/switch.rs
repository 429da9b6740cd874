//! The page that asks before a login replaces the session of another person.

use askama::Template;

use super::texts::SwitchTexts;
use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, PersonName, render_page};

/// The page that asks before a login replaces the session of another person.
#[derive(Clone, Debug)]
pub struct SwitchPage<'a> {
    pub info: PageInfo<'a>,
    /// The person who is signed in.
    pub current: PersonName<'a>,
    /// The person whom the entry token names.
    pub new_person: PersonName<'a>,
    pub post_to: Href,
    /// The ID of the pending login.
    pub flow: &'a str,
    /// The ID of the new person's account.
    pub account: &'a str,
    /// The link that keeps the current session.
    pub keep_current: Href,
}

#[derive(Template)]
#[template(path = "switch.html")]
struct SwitchTemplate<'a> {
    layout: Layout<'a>,
    page: &'a SwitchPage<'a>,
    texts: &'static SwitchTexts,
}

impl SwitchPage<'_> {
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        let texts = &layout.texts.switch;
        let template = SwitchTemplate {
            layout,
            page: self,
            texts,
        };
        render_page(&template, self.info, lang, PagePolicy::IsolatedForm)
    }
}
