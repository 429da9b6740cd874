//! The page for a signed-in person without access, with a button to switch accounts.

use askama::Template;

use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, PersonName, render_page};

/// The page for a signed-in person without access.
#[derive(Clone, Debug)]
pub struct ForbiddenPage<'a> {
    pub info: PageInfo<'a>,
    /// The name of the route.
    pub route: &'a str,
    pub person: PersonName<'a>,
    /// The form target that switches accounts: the sign-out path with `rd` in its query.
    pub switch_account: Href,
    /// A link back to an accessible page.
    pub back: Option<Href>,
}

#[derive(Template)]
#[template(path = "forbidden.html")]
struct ForbiddenTemplate<'a> {
    layout: Layout<'a>,
    page: &'a ForbiddenPage<'a>,
}

impl ForbiddenPage<'_> {
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        render_page(
            &ForbiddenTemplate { layout, page: self },
            self.info,
            lang,
            PagePolicy::Plain,
        )
    }
}
