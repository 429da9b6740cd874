//! Pages of a site whose `[pages]` says everything that it can say.

use std::sync::LazyLock;

use super::*;
use crate::setting::Label;
use crate::site::{Color, Help, Home, Logo, Palette};

/// A site with everything that `[pages]` can say.
pub(super) static COMPANYS: LazyLock<Pages> = LazyLock::new(|| {
    let label = |zh, en| Label::each(zh, en).unwrap();
    Pages {
        name: Some(label("示例公司", "Example <i>")),
        logo: Some(Logo {
            content_type: "image/png",
            bytes: bytes::Bytes::new(),
            version: "1".to_owned(),
        }),
        logo_path: "/.menshen/logo".to_owned(),
        palette: Color::try_from("#0b57d0".to_owned()).ok().map(Palette::of),
        background: Background::Plain,
        help: Help::try_from(label("内线 <i>", "mailto:it@corp.example")).ok(),
        footer: Some(label("版权所有 <i>", "© Example <i>")),
        home: Some(Home {
            name: label("工作台 <i>", "Workbench <i>"),
            url: "https://sso.corp.example/desk".parse().unwrap(),
        }),
    }
});

pub(super) fn inputs() -> Inputs<'static> {
    Inputs {
        owner: Owner::Company,
        ..PLAIN
    }
}

#[test]
fn every_page_shows_what_the_company_says_as_text() {
    for (name, page) in pages(&inputs()) {
        let lang = page.lang;
        let footer = COMPANYS.footer.as_ref().map(|footer| lang.label(footer));
        let footer = footer.unwrap_or_default().replace("<i>", "&#60;i&#62;");
        for part in [
            footer.as_str(),
            "<img class=\"logo\" src=\"/.menshen/logo?v=1\"",
            "<body class=\"plain\">",
            texts::of(lang).need_help.trim(),
        ] {
            assert!(page.html.contains(part), "{name} {part}");
        }
        assert!(!page.html.contains("<i>"), "{name}");
        let policy = page.content_security_policy(&[]);
        assert_eq!(policy.matches("'sha256-").count(), 2, "{name}");
    }
}
