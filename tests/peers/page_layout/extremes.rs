//! Names that do not fit in a line, logos of every shape, and a colour on which white cannot be read.

use serde_json::json;

use super::super::demo::sign_in_as;
use super::super::legacy_app::LegacyApp;
use super::super::processes::TempDir;
use super::super::setup::{Menshen, Setup};
use super::super::wecom::{CORP_ID, OTHER_AGENT_ID, OTHER_SECRET, Options, WeCom};
use super::{PageOwner, SCREENS, check};

/// Names of the routes: one without a place to break, and one of many words.
const ROUTE: &str = "expense-reimbursement-and-payment-approval-production";
const PERSON: &str = "阿卜杜热合曼·买买提吐尔逊江（财务共享服务中心）";

/// Logos, each with a name.
const LOGOS: [(&str, &str); 3] = [
    (
        "tall",
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 96"><path fill="#0b57d0" d="M2 2h20v92H2z"/></svg>"##,
    ),
    (
        "wide",
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 40"><path fill="#0b57d0" d="M4 4h592v32H4z"/></svg>"##,
    ),
    (
        "large",
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="2048" height="2048"><circle cx="1024" cy="1024" r="1000" fill="#0b57d0"/></svg>"##,
    ),
];

/// The tables of a site on which everything is long.
fn tables(wecom: &WeCom, app: &LegacyApp, logo: &str) -> String {
    format!(
        r##"
        [pages]
        name = {{ zh = "示例控股集团有限公司统一身份认证与应用访问平台（华东区）", en = "Example Holding Group Identity and Application Access Platform (East)" }}
        logo = "{logo}"
        color = "#fff2a8"
        help = {{ zh = "请联系信息技术部服务台（内线 8000，工作日 8:30–17:30），或在内网门户“IT 服务”中提交工单，并附上本页截图", en = "https://servicedesk.information-technology.holding.corp.example/portal/requests/new?category=sign-in" }}
        footer = {{ zh = "版权所有 © 2003–2026 示例控股集团有限公司 | 京ICP备00000000号-1 | 内部系统，未经授权不得使用", en = "© 2003–2026 Example Holding Group Company Limited. For authorised use only." }}

        [connector.partners]
        display_name = {{ zh = "合作伙伴与供应商统一身份认证平台（外部人员使用）", en = "Identity-and-access-management-of-partners-and-suppliers" }}
        auto_login = "never"
        [connector.partners.wecom]
        corp_id = "{CORP_ID}"
        agent_id = {OTHER_AGENT_ID}
        secret = "{OTHER_SECRET}"
        api_base = "{api}"
        authorize_url = "{authorize}"
        login_url = "{login}"

        [[route]]
        name = "{ROUTE}"
        upstream = ["{app}"]
        allow = "'nobody' in user.groups"
        access_tokens = true
        "##,
        api = wecom.base_url(),
        authorize = wecom.authorize_url(),
        login = wecom.login_url(),
        app = app.base_url(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn long_names_and_logos_of_every_shape_fit_on_every_screen() {
    let wecom = WeCom::start(Options::default()).await.unwrap();
    wecom.member("zhangsan", |member| member.name = PERSON.to_owned());
    let app = LegacyApp::start(([127, 0, 0, 1], 0).into(), "门后").await;
    let app = app.unwrap();
    let folder = TempDir::new();
    for (shape, logo) in LOGOS {
        let logo = folder.write(&format!("{shape}.svg"), logo);
        let rest = tables(&wecom, &app, &logo.display().to_string());
        let setup = Setup {
            rest: &rest,
            ..Setup::default()
        };
        let menshen = Menshen::start(&wecom, setup).await;
        for screen in SCREENS {
            let browser = screen.browser().await;
            browser.open(&format!("{}/todo", menshen.url)).await;
            let name = format!("30-long-names-{shape}");
            check(&browser, screen, &name, PageOwner::Ours).await;
            let size = "const box = document.querySelector('.logo').getBoundingClientRect();
                return [box.width, box.height]";
            let size = browser.script(size, json!([])).await;
            let [width, height] = [0, 1].map(|at| size[at].as_f64().unwrap());
            assert!((1.0..=176.0).contains(&width), "{name} {size}");
            assert!((1.0..=48.0).contains(&height), "{name} {size}");
            if shape != "tall" {
                continue;
            }
            sign_in_as(&browser, "zhangsan").await;
            browser
                .until("a dead end", async || browser.has(".request-id").await)
                .await;
            check(&browser, screen, "31-long-no-access", PageOwner::Ours).await;
            let own = format!("{}/.menshen", menshen.url);
            browser.open(&format!("{own}/sign_in")).await;
            check(&browser, screen, "32-long-signed-in", PageOwner::Ours).await;
            browser.open(&format!("{own}/tokens")).await;
            check(&browser, screen, "33-long-tokens", PageOwner::Ours).await;
        }
    }
}
