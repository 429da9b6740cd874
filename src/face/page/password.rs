//! The form for a user name and a password.

use askama::Template;

use super::texts::Password;
use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, render_page};

/// The form for a user name and a password.
#[derive(Clone)]
pub struct PasswordPage<'a> {
    /// What every page says of itself.
    pub info: PageInfo<'a>,
    /// Where the account is, as people know it.
    pub source: &'a str,
    /// Where the form is posted.
    pub post_to: Href,
    /// The name of the login that this browser remembers.
    pub flow: &'a str,
    /// Where the person wants to go, in case the login is lost.
    pub return_to: &'a str,
    /// The user name that was typed before.
    pub login: &'a str,
    /// What went wrong before.
    pub notice: Option<PasswordNotice>,
    /// The page with the other ways to sign in, where there are some.
    pub others: Option<Href>,
    /// Whether a page in another site's frame opened the tab and waits for it.
    pub for_frame: bool,
}

impl std::fmt::Debug for PasswordPage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordPage")
            .field("notice", &self.notice)
            .finish_non_exhaustive()
    }
}

/// LoginReason the form is shown again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordNotice {
    /// The user name and the password do not belong together.
    WrongPassword,
    /// The form was open for too long.
    Expired,
    /// The browser does not remember the login, or the form came incomplete.
    Incomplete,
}

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordTemplate<'a> {
    layout: Layout<'a>,
    page: &'a PasswordPage<'a>,
    texts: &'static Password,
    notice: Option<&'static str>,
}

impl PasswordPage<'_> {
    /// The page as HTML, in a language.
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        let texts = &layout.texts.password;
        let notice = self.notice.map(|notice| match notice {
            PasswordNotice::WrongPassword => texts.wrong_password,
            PasswordNotice::Expired => texts.expired,
            PasswordNotice::Incomplete => texts.incomplete,
        });
        // A frame that waits for the ticket is the opener of the tab.
        let policy = match self.for_frame {
            true => PagePolicy::RedirectingForm,
            false => PagePolicy::IsolatedForm,
        };
        let template = PasswordTemplate {
            layout,
            page: self,
            texts,
            notice,
        };
        render_page(&template, lang, policy)
    }
}
