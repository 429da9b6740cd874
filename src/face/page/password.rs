//! The form for a user name and a password.

use askama::Template;

use super::texts::PasswordTexts;
use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, render_page};

/// The form for a user name and a password.
#[derive(Clone)]
pub struct PasswordPage<'a> {
    pub info: PageInfo<'a>,
    /// The display name of the connector.
    pub connector_name: &'a str,
    pub post_to: Href,
    /// The ID of the pending login.
    pub flow: &'a str,
    /// The return address, in case the flow cookie is lost.
    pub return_to: &'a str,
    /// The user name of the previous attempt.
    pub login: &'a str,
    pub notice: Option<PasswordNotice>,
    /// The link to the other connectors, if there are any.
    pub other_connectors: Option<Href>,
    /// Whether a frame of another site opened the tab and waits for the login.
    pub opened_by_frame: bool,
}

impl std::fmt::Debug for PasswordPage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordPage")
            .field("notice", &self.notice)
            .finish_non_exhaustive()
    }
}

/// Why the form is shown again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordNotice {
    WrongPassword,
    /// The form was open for longer than a login may take.
    Expired,
    /// The flow cookie is missing or the form is incomplete.
    Incomplete,
}

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordTemplate<'a> {
    layout: Layout<'a>,
    page: &'a PasswordPage<'a>,
    texts: &'static PasswordTexts,
    notice: Option<&'static str>,
}

impl PasswordPage<'_> {
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        let texts = &layout.texts.password;
        let notice = self.notice.map(|notice| match notice {
            PasswordNotice::WrongPassword => texts.wrong_password,
            PasswordNotice::Expired => texts.expired,
            PasswordNotice::Incomplete => texts.incomplete,
        });
        // The waiting frame is the opener of this tab, so the page must not be isolated from it.
        let policy = match self.opened_by_frame {
            true => PagePolicy::RedirectingForm,
            false => PagePolicy::IsolatedForm,
        };
        let template = PasswordTemplate {
            layout,
            page: self,
            texts,
            notice,
        };
        render_page(&template, self.info, lang, policy)
    }
}
