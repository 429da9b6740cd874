//! The preset `feishu` of `oauth2` points to this kind.

use crate::conf::parse;

const SERVER: &str = "[server]\nexternal_url = 'https://sso.corp.example'\n";

#[test]
fn check_points_from_the_preset_to_the_kind() {
    let warnings = |preset: &str| {
        let text = format!(
            "{SERVER}[connector.x.oauth2]\npreset = '{preset}'\nclient_id = 'me'\n\
             client_secret = {{ file = '/etc/menshen/x.secret' }}\n"
        );
        let warnings = parse(&text).warnings();
        let texts = warnings.iter().map(|warning| format!("{warning:?}"));
        texts.collect::<String>()
    };
    let text = warnings("feishu");
    assert!(
        text.contains("[connector.ID.lark]") && text.contains("tenant"),
        "{text}"
    );
    assert!(!warnings("gitee").contains("lark"));
}
