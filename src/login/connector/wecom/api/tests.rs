use super::*;

fn api(base: &str) -> Api {
    let clock = Clock::system();
    let outbound = Outbound::build(&crate::outbound::Config::default()).unwrap();
    let secret = Secret::new("hunter2".to_owned());
    Api::new(
        outbound,
        Url::parse(base).unwrap(),
        "ww1".to_owned(),
        secret,
        clock,
    )
}

#[test]
fn the_api_base_may_have_a_path() {
    let url = |base: &str| api(base).url("user/get").to_string();
    assert_eq!(
        url("https://qyapi.weixin.qq.com"),
        "https://qyapi.weixin.qq.com/cgi-bin/user/get"
    );
    for base in [
        "https://relay.example/wecom",
        "https://relay.example/wecom/",
    ] {
        assert_eq!(url(base), "https://relay.example/wecom/cgi-bin/user/get");
    }
}

#[test]
fn a_missing_or_zero_error_code_means_success() {
    assert!(without_error_code("x", json!({ "access_token": "t" }), &[]).is_ok());
    assert!(
        without_error_code("x", json!({ "errcode": 0, "errmsg": "ok" }), &[])
            .unwrap()
            .is_empty()
    );
    let refused = without_error_code("x", json!({ "errcode": "40029", "errmsg": "no" }), &[]);
    assert!(matches!(refused, Err(ApiError::Refused(refusal)) if refusal.code == 40029));
    for odd in [
        json!([]),
        json!("ok"),
        json!({ "errcode": {} }),
        json!({ "errcode": 1.5 }),
    ] {
        assert!(matches!(
            without_error_code("x", odd, &[]),
            Err(ApiError::NoUsableResponse(_))
        ));
    }
}

#[test]
fn both_spellings_of_field_names_are_read() {
    for name in ["userid", "UserId"] {
        let fields = json!({ name: "ZhangSan", "DeviceId": "d", "user_ticket": "t" });
        let code_owner = code_owner("x", fields.as_object().unwrap());
        assert_eq!(code_owner.userid.as_deref(), Some("ZhangSan"));
        assert_eq!(code_owner.user_ticket.as_deref(), Some("t"));
    }
    for stranger in [
        json!({ "OpenId": "o" }),
        json!({ "openid": "o", "userid": "" }),
    ] {
        assert_eq!(code_owner("x", stranger.as_object().unwrap()).userid, None);
    }
}

#[test]
fn debug_output_hides_the_secret() {
    assert!(!format!("{:?}", api("https://qyapi.weixin.qq.com")).contains("hunter2"));
}
