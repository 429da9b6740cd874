//! Every row of the table of codes, and that nothing changes after a refusal.

use serde_json::json;

use super::{Call, PREFIX, TOKEN, envelope, get, put, refused, setup, wecom_fields, with};
use crate::setup::Menshen;
use crate::wire;

/// menshen with a connector of WeCom, in version 1.
async fn start() -> Menshen {
    let menshen = setup().start().await;
    put(&menshen, "wechat-work", &wecom_fields(&menshen)).await;
    menshen
}

#[tokio::test]
async fn a_body_that_is_not_one_json_object_is_40000() {
    let menshen = start().await;
    let deep = format!("{{\"a\": {}{}}}", "[".repeat(32), "]".repeat(32));
    for body in [
        &b""[..],
        b"key=ww1",
        b"[]",
        b"\"text\"",
        b"{} {}",
        b"{\"key\": \"a\", \"key\": \"a\"}",
        b"{\"menshen\": {\"wecom\": {\"scope\": \"a\", \"scope\": \"a\"}}}",
        b"{\"key\": \"\xff\"}",
        deep.as_bytes(),
    ] {
        for path in ["wechat-work", "active-auth", "ldap", "hengshi"] {
            let call = Call::put(path, &json!({}));
            let call = Call {
                body: body.to_vec(),
                ..call
            };
            refused(&menshen, &call, 40000).await;
        }
    }
}

#[tokio::test]
async fn a_member_that_is_there_twice_is_named_with_its_place() {
    let menshen = start().await;
    for (body, name) in [
        ("{\"key\": \"a\",\n \"key\": \"a\"}", "\"key\""),
        (
            "{\"menshen\": {\"wecom\": {\"scope\": \"a\",\n\"scope\": \"a\"}}}",
            "\"menshen.wecom.scope\"",
        ),
    ] {
        let call = Call::put("wechat-work", &json!({})).text(body);
        let envelope = refused(&menshen, &call, 40000).await;
        let message = envelope["msg"].as_str().unwrap();
        assert!(message.contains(name), "{message}");
        assert!(message.contains("第 2 行"), "{message}");
    }
}

#[tokio::test]
async fn only_a_right_token_comes_further() {
    let menshen = start().await;
    let paths = [
        "form-items",
        "wechat-work",
        "no-such-kind",
        "jwt-param/generate-key",
    ];
    for path in paths {
        for method in ["GET", "PUT", "POST"] {
            for headers in [
                String::new(),
                "Authorization: Bearer wrong\r\n".to_owned(),
                format!("Authorization: Bearer {TOKEN}x\r\n"),
                format!("X-Token: {TOKEN}\r\n"),
            ] {
                let call = Call {
                    headers,
                    ..Call::new(method, path)
                };
                let answer = call.send(&menshen).await;
                assert_eq!(envelope(&answer)["code"], 40100, "{method} {path}");
                assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            }
        }
    }
}

#[tokio::test]
async fn pages_of_other_sites_are_refused_whatever_else_they_have() {
    let menshen = start().await;
    for header in [
        "Origin: https://evil.example",
        "Origin: null",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ] {
        for call in [
            Call::get("wechat-work"),
            Call::get("no-such-kind"),
            Call::put("wechat-work", &wecom_fields(&menshen)),
            Call {
                headers: String::new(),
                ..Call::get("wechat-work")
            },
        ] {
            refused(&menshen, &call.header(header), 40300).await;
        }
    }
    let own = Call::get("wechat-work").header("Sec-Fetch-Site: none");
    super::data_of(&menshen, &own).await;
}

#[tokio::test]
async fn whoever_may_only_look_changes_nothing() {
    let menshen = start().await;
    let looker = |call: Call| Call {
        headers: call.headers.replace(TOKEN, &format!("looker-{TOKEN}")),
        ..call
    };
    super::data_of(&menshen, &looker(Call::get("wechat-work"))).await;
    for call in [
        Call::put("wechat-work", &wecom_fields(&menshen)),
        Call::put("active-auth", &json!({ "authType": "wechat-work" })),
        Call::new("PUT", "dingtalk/sync"),
        Call::new("PUT", "jwt-param/generate-key"),
    ] {
        refused(&menshen, &looker(call), 40300).await;
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_named() {
    let menshen = start().await;
    for path in [
        "no-such-kind",
        "",
        "wechat-work/sync",
        "ldap/",
        "jwt-param",
        "LDAP",
    ] {
        let call = Call::get(path);
        match path {
            "jwt-param" => {
                assert_eq!(get(&menshen, path).await, json!({}));
            }
            _ => {
                refused(&menshen, &call, 40400).await;
            }
        }
    }
    for (method, path, allowed) in [
        ("POST", "wechat-work", "GET, HEAD, PUT"),
        ("DELETE", "wechat-work", "GET, HEAD, PUT"),
        ("PUT", "form-items", "GET, HEAD"),
        ("GET", "dingtalk/sync", "PUT"),
        ("GET", "jwt-param/generate-key", "PUT"),
        ("PATCH", "active-auth", "GET, HEAD, PUT"),
    ] {
        let answer = Call::new(method, path).send(&menshen).await;
        assert_eq!(envelope(&answer)["code"], 40500, "{method} {path}");
        let mut methods: Vec<_> = answer.header("allow").unwrap().split(", ").collect();
        methods.sort_unstable();
        assert_eq!(methods.join(", "), allowed, "{method} {path}");
    }
}

#[tokio::test]
async fn a_precondition_that_does_not_hold_is_41200() {
    let menshen = start().await;
    let call = |header: &str| Call::put("wechat-work", &wecom_fields(&menshen)).header(header);
    for header in [
        "If-Match: \"2\"",
        "If-Match: 1",
        "If-Match: W/\"1\"",
        "If-None-Match: *",
    ] {
        refused(&menshen, &call(header), 41200).await;
    }
    let absent = Call::put("lark", &json!({ "appId": "cli_1", "appSecret": "s" }));
    refused(&menshen, &absent.clone().header("If-Match: *"), 41200).await;
    super::data_of(&menshen, &call("If-Match: \"1\"")).await;
    super::data_of(&menshen, &absent.header("If-None-Match: *")).await;
}

#[tokio::test]
async fn a_large_body_is_not_read_and_another_type_is_refused() {
    let menshen = start().await;
    let large = Call::put("wechat-work", &json!({ "key": "x".repeat(1 << 20) }));
    refused(&menshen, &large, 41300).await;
    // Ten megabytes are announced, and none of them is waited for.
    let head = format!(
        "PUT {PREFIX}wechat-work HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: 10485760\r\nConnection: close\r\n\r\n"
    );
    let address = menshen.running.admin_address().unwrap();
    let answer = wire::send(address, head.as_bytes()).await;
    assert_eq!(envelope(&answer)["code"], 41300);
    for content_type in [
        "",
        "Content-Type: text/plain\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: application/json; charset=gbk\r\n",
        "Content-Type: application/json-patch+json\r\n",
    ] {
        let call = Call::put("wechat-work", &wecom_fields(&menshen));
        let headers = call
            .headers
            .replace("Content-Type: application/json\r\n", content_type);
        refused(&menshen, &Call { headers, ..call }, 41500).await;
    }
    for content_type in [
        "application/json; charset=utf-8",
        "Application/JSON;charset=\"UTF-8\"",
    ] {
        let call = Call::put("wechat-work", &wecom_fields(&menshen));
        let headers = call.headers.replace("application/json", content_type);
        super::data_of(&menshen, &Call { headers, ..call }).await;
    }
}

#[tokio::test]
async fn what_cannot_be_built_together_is_42200() {
    let menshen = start().await;
    // The responses of SAML are posted, which needs https.
    let saml = json!({ "idpMetadataUrl": "https://idp.corp.example/metadata" });
    let envelope = refused(&menshen, &Call::put("saml2", &saml), 42200).await;
    let message = envelope["data"]["problems"][0]["message"].as_str().unwrap();
    assert!(message.contains("https"), "{envelope}");
    // Two connectors start logins inside the client of WeCom.
    let call = Call::put("wechat-work?connector=second", &wecom_fields(&menshen));
    refused(&menshen, &call, 42200).await;
}

#[tokio::test]
async fn active_auth_of_what_is_not_there_is_40902() {
    let menshen = start().await;
    let choose = |name: &str| Call::put("active-auth", &json!({ "authType": name }));
    refused(&menshen, &choose("ldap"), 40902).await;
    for name in ["nonsense", ""] {
        let envelope = refused(&menshen, &choose(name), 40001).await;
        assert_eq!(super::problem_fields(&envelope), ["authType"]);
    }
    let address = menshen.running.admin_address().unwrap();
    let disable = format!(
        "POST /api/connectors/wechat-work/disable HTTP/1.1\r\nHost: 127.0.0.1\r\n\
         Authorization: Bearer {TOKEN}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let answer = wire::send(address, disable.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    refused(&menshen, &choose("wechat-work"), 40902).await;
}

#[tokio::test]
async fn every_refused_change_is_audited_once() {
    let menshen = start().await;
    let field = with(
        &wecom_fields(&menshen),
        &json!({ "corpIdd": "ww1", "secret": "hunter2-secret" }),
    );
    let put = |path: &str| Call::put(path, &field);
    let looker = Call {
        headers: format!("Authorization: Bearer looker-{TOKEN}\r\n"),
        ..put("wechat-work")
    };
    let calls = [
        (put("wechat-work").text("{"), 40000, "wechat-work"),
        (put("wechat-work"), 40001, "corpIdd"),
        (looker, 40300, "looker"),
        (
            Call::put("wechat-work", &wecom_fields(&menshen)).header("If-Match: 1"),
            41200,
            "wechat-work",
        ),
        (
            Call::put("wechat-work", &wecom_fields(&menshen)).header("If-Match: \"7\""),
            41200,
            "wechat-work",
        ),
        (
            Call::put("active-auth", &json!({ "authType": "cas" })),
            40902,
            "active-auth",
        ),
    ];
    for (call, code, part) in calls {
        let before = menshen.audit().len();
        refused(&menshen, &call, code).await;
        let audit = menshen.audit();
        let new: Vec<_> = audit.iter().skip(before).collect();
        assert_eq!(new.len(), 1, "{call:?}: {new:?}");
        assert_eq!(new[0]["event"], "config");
        let line = new[0].to_string();
        assert!(line.contains("refused: ") && line.contains(part), "{line}");
        assert!(!line.contains("hunter2"), "{line}");
    }
    // Reading changes nothing.
    let before = menshen.audit().len();
    Call::get("no-such-kind").send(&menshen).await;
    Call::put("jwt-param/generate-key", &json!({ "x": 1 }))
        .send(&menshen)
        .await;
    assert_eq!(menshen.audit().len(), before);
}
