//! The form with which a person changes their own password.

use askama::Template;

use super::texts::PasswordChangeTexts;
use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, render_page};

/// The form with which a person changes their own password.
#[derive(Clone, Debug)]
pub struct PasswordChangePage<'a> {
    pub info: PageInfo<'a>,
    /// The login name of the person.
    pub login: &'a str,
    pub post_to: Href,
    /// The ID of the pending change.
    pub flow: &'a str,
    pub notice: Option<PasswordChangeNotice>,
}

/// Why the form is shown, if the person did not open it, or why it is shown again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordChangeNotice {
    /// The password must be changed before the person gets further.
    Demanded,
    WrongPassword,
    /// The two new passwords differ.
    Differ,
    /// The new password is the old one.
    Same,
    TooShort,
    TooLong,
    NotOneLine,
    /// The form was open for too long.
    Expired,
    /// The flow cookie is missing or the form is incomplete.
    Incomplete,
}

#[derive(Template)]
#[template(path = "password_change.html")]
struct PasswordChangeTemplate<'a> {
    layout: Layout<'a>,
    page: &'a PasswordChangePage<'a>,
    texts: &'static PasswordChangeTexts,
    notice: Option<&'static str>,
}

impl PasswordChangePage<'_> {
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        let texts = &layout.texts.password_change;
        let notice = self.notice.map(|notice| match notice {
            PasswordChangeNotice::Demanded => texts.demanded,
            PasswordChangeNotice::WrongPassword => texts.wrong_password,
            PasswordChangeNotice::Differ => texts.differ,
            PasswordChangeNotice::Same => texts.same,
            PasswordChangeNotice::TooShort => texts.too_short,
            PasswordChangeNotice::TooLong => texts.too_long,
            PasswordChangeNotice::NotOneLine => texts.not_one_line,
            PasswordChangeNotice::Expired => layout.texts.password.expired,
            PasswordChangeNotice::Incomplete => texts.incomplete,
        });
        let template = PasswordChangeTemplate {
            layout,
            page: self,
            texts,
            notice,
        };
        render_page(&template, self.info, lang, PagePolicy::IsolatedForm)
    }
}
