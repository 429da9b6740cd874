//! The sign-in page of a person who is signed in: who they are, and where to go from here.

use askama::Template;

use super::texts::SignedInTexts;
use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, PersonName, render_page};

/// The sign-in page of a person who is signed in and has nothing more to prove.
#[derive(Clone, Debug)]
pub struct SignedInPage<'a> {
    pub info: PageInfo<'a>,
    pub person: PersonName<'a>,
    /// Where the person goes on, if anything is there.
    pub continue_to: Option<Href>,
    /// Whether that is the page which the person wanted, and not their home page.
    pub returns: bool,
    /// What the home page is called, if the person goes on there.
    pub home_name: Option<&'a str>,
    /// The form target that signs out and leads to the connectors.
    pub switch_account: Href,
    /// The form target that signs out.
    pub sign_out: Href,
}

#[derive(Template)]
#[template(path = "signed_in.html")]
struct SignedInTemplate<'a> {
    layout: Layout<'a>,
    page: &'a SignedInPage<'a>,
    texts: &'static SignedInTexts,
}

impl SignedInPage<'_> {
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        let template = SignedInTemplate {
            texts: &layout.texts.signed_in,
            layout,
            page: self,
        };
        render_page(&template, self.info, lang, PagePolicy::Plain)
    }
}
