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

/// A site whose texts do not fit in a line.
pub(super) static LONG_COMPANYS: LazyLock<Pages> = LazyLock::new(|| {
    let label = |zh, en| Label::each(zh, en).unwrap();
    Pages {
        name: Some(label(
            "示例控股集团有限公司统一身份认证与应用访问平台（华东区）",
            "Example Holding Group Identity and Application Access Platform (East)",
        )),
        logo: Some(Logo {
            content_type: "image/png",
            bytes: bytes::Bytes::new(),
            version: "1".to_owned(),
        }),
        logo_path: "/.menshen/logo".to_owned(),
        palette: Color::try_from("#fff2a8".to_owned()).ok().map(Palette::of),
        background: Background::Doors,
        help: Help::try_from(label(
            "请联系信息技术部服务台（内线 8000，工作日 8:30–17:30），或在内网门户“IT 服务”中提交工单，并附上本页截图",
            "https://servicedesk.information-technology.holding.corp.example/portal/requests/new?category=sign-in",
        ))
        .ok(),
        footer: Some(label(
            "版权所有 © 2003–2026 示例控股集团有限公司 | 京ICP备00000000号-1 | 京公网安备 00000000000000号 | 内部系统，未经授权不得使用",
            "© 2003–2026 Example Holding Group Company Limited. For authorised use only. Use of this system is recorded.",
        )),
        home: Some(Home {
            name: label(
                "集团员工自助服务与协同办公门户",
                "Employee Self-Service and Collaboration Portal",
            ),
            url: "https://sso.corp.example/desk".parse().unwrap(),
        }),
    }
});

pub(super) const LONG_INPUTS: Inputs<'_> = Inputs {
    host: "expense-reimbursement.finance-shared-services.intranet.holding.corp.example:8443",
    connector_name: "集团统一身份认证平台（企业微信及合作伙伴门户）",
    route: "财务共享服务中心-费用报销与付款管理系统-Production",
    name: "阿卜杜热合曼·买买提吐尔逊江（财务共享服务中心）",
    login: "abdurahman.memet-tursunjan.finance@subsidiary.holding.corp.example",
    owner: Owner::LongCompany,
    ..PLAIN
};

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
