use super::*;

fn console() -> ConsoleSettings {
    ConsoleSettings {
        callback_host: "sso.corp.example:8443".to_owned(),
        agent_id: "1000002".to_owned(),
    }
}

fn error(call: &'static str, code: i64, message: &str) -> ConnectorError {
    ApiError::Refused(refusal(call, code, message, &[])).into_error(&console())
}

fn remedy_of(call: &'static str, code: i64, message: &str) -> Text {
    match error(call, code, message) {
        ConnectorError::Misconfigured { remedy, source } => {
            assert_eq!(source.code, code);
            remedy
        }
        other => panic!("{code}: {other:?}"),
    }
}

#[test]
fn a_used_or_expired_code_restarts_the_login() {
    for code in [40029, 40078, 42003, 42022] {
        let error = error("auth/getuserinfo", code, "invalid code");
        assert!(matches!(error, ConnectorError::CodeRejected(_)), "{code}");
    }
}

#[test]
fn a_member_out_of_range_is_refused() {
    for code in [40003, 46004, 50002, 60011, 60021, 60111, 301_021] {
        let error = error("user/get", code, "no");
        let ConnectorError::Refused { why, .. } = error else {
            panic!("{code}")
        };
        assert_eq!(why, RefusalReason::NotVisibleToApp);
    }
}

#[test]
fn rate_limits_mean_a_busy_source() {
    for code in [-1, 45009, 45033] {
        assert!(
            matches!(error("user/get", code, "busy"), ConnectorError::Busy(_)),
            "{code}"
        );
    }
}

#[test]
fn wrong_secrets_and_too_many_calls_are_lasting_refusals() {
    let lasts = |code| {
        let error = ApiError::Refused(refusal(GET_TOKEN, code, "no", &[]));
        error.lasting_refusal().is_some()
    };
    assert!(lasts(40001) && lasts(45009) && !lasts(-1));
    let error = OutboundError::Timeout { call: GET_TOKEN };
    assert!(
        ApiError::NoUsableResponse(error)
            .lasting_refusal()
            .is_none()
    );
}

#[test]
fn every_configuration_error_has_a_remedy_that_names_the_setting() {
    for (code, word) in [
        (40013, "企业ID"),
        (40014, "api_base"),
        (40056, "1000002"),
        (40080, "自建应用"),
        (40082, "自建应用"),
        (40083, "自建应用"),
        (40084, "自建应用"),
        (40085, "自建应用"),
        (40091, "Secret"),
        (41002, "企业ID"),
        (41004, "Secret"),
        (42001, "api_base"),
        (42007, "自建应用"),
        (42009, "自建应用"),
        (48001, "通讯录同步"),
        (48002, "通讯录同步"),
        (48004, "授权"),
        (48005, "api_base"),
        (48006, "授权"),
        (48009, "通讯录同步"),
        (50001, "sso.corp.example:8443"),
        (50001, "授权回调域"),
        (50001, "可信域名"),
        (50003, "启用"),
        (60020, "企业可信IP"),
        (60031, "启用"),
        (301_002, "1000002"),
        (301_007, "企业不可用"),
    ] {
        let remedy = remedy_of("user/get", code, "no");
        assert!(remedy.to_string().contains(word), "{code}: {remedy}");
    }
    assert!(
        remedy_of(GET_TOKEN, 40001, "no")
            .to_string()
            .contains("copy the Secret")
    );
    assert!(
        remedy_of("user/get", 40001, "no")
            .to_string()
            .contains("已启用")
    );
}

#[test]
fn the_remedy_of_any_other_code_links_to_its_explanation() {
    let others = [
        40035, 40058, 40063, 40066, 40073, 41001, 41008, 41009, 42012, 43004, 45029, 50100, 60003,
        60004, 60123, 987_654,
    ];
    for code in others {
        let remedy = remedy_of("user/get", code, "no").to_string();
        assert!(remedy.ends_with(&format!("query?e={code}")));
    }
}

#[test]
fn the_remedy_names_the_ip_address_from_the_message() {
    let text = |ip: &str| {
        format!(
            "not allow to access from your ip, hint: [1655882753557010848204971], from ip: \
             {ip}, more info at https://open.work.weixin.qq.com/devtool/query?e=60020"
        )
    };
    for ip in ["203.0.113.9", "2408:8207:1::a1"] {
        assert!(
            remedy_of("user/get", 60020, &text(ip))
                .to_string()
                .contains(&format!("enter {ip} at"))
        );
    }
    for odd in [
        text("nonsense"),
        text(""),
        String::new(),
        "from ip:".to_owned(),
    ] {
        assert!(
            remedy_of("user/get", 60020, &odd)
                .to_string()
                .contains("outgoing address"),
            "{odd}"
        );
    }
}

#[test]
fn a_message_keeps_its_hint_and_no_secret() {
    let original = "invalid credential hunter2\r\n, hint: [168640223], from ip: 192.0.2.1, \
                more info at https://open.work.weixin.qq.com/devtool/query?e=40001";
    let message = refusal(GET_TOKEN, 40001, original, &["hunter2", ""]).message;
    assert_eq!(
        message,
        "invalid credential …, hint: [168640223], from ip: 192.0.2.1"
    );
    assert_eq!(
        refusal(GET_TOKEN, 1, &"企".repeat(999), &[])
            .message
            .chars()
            .count(),
        300
    );
}

#[test]
fn status_404_and_code_48005_mean_a_missing_call() {
    let status = |status| {
        let content_type = Text::same("text/html");
        ApiError::NoUsableResponse(OutboundError::Status {
            call: "x",
            status,
            content_type,
        })
    };
    assert!(status(404).is_missing_call() && !status(502).is_missing_call());
    assert!(ApiError::Refused(refusal("x", 48005, "", &[])).is_missing_call());
    assert!(!ApiError::Refused(refusal("x", 40029, "", &[])).is_missing_call());
}
