//! Bad requests of the admin API: a clear answer that names the place, and nothing changes.

use std::sync::Arc;

use super::*;

/// What must not change: the version in force, the site, the stored version, and the tag.
async fn everything(site: &ManagedSite) -> (u64, usize, u64, Option<String>) {
    let live = site.running.live();
    let stored = live.services().store.newest_managed_version().await;
    let built = Arc::as_ptr(&live.site()) as usize;
    let (version, etag) = site.state_of("corp").await;
    (version, built, stored.unwrap(), etag)
}

/// A site with the connector `corp`, in version 1.
async fn start() -> ManagedSite {
    let site = ManagedSite::start().await;
    site.put("corp", &site.wecom_table()).await;
    site
}

/// Sends a request that must be refused with this status and these words, and change nothing.
async fn refused(
    site: &ManagedSite,
    headers: &str,
    (method, path): (&str, &str),
    body: &str,
    (status, words): (u16, &[&str]),
) -> Answer {
    let before = everything(site).await;
    let body = Value::String(body.to_owned());
    let answer = site.api_with(headers, method, path, &body).await;
    let text = answer.text();
    assert_eq!(answer.status, status, "{method} {path} {body}: {text}");
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!text.contains(SECRET), "{text}");
    assert_eq!(everything(site).await, before, "{method} {path} {body}");
    answer
}

#[tokio::test]
async fn a_member_that_is_there_twice_is_named_with_its_place() {
    let site = start().await;
    let text = site.wecom_table().to_string();
    let twice = text.replace("\"secret\":", "\"secret\":\"other\",\n\"secret\":");
    let put = ("PUT", "/api/connectors/corp");
    let answer = refused(&site, "", put, &twice, (400, &["wecom.secret", "line 2"])).await;
    assert_eq!(answer.json()["fields"][0]["field"], "wecom.secret");
    for (request, body, field) in [
        (put, "{\"mapping\": {}, \"mapping\": {}}", "mapping"),
        (
            ("POST", "/api/connectors/corp/test"),
            "{\"custom\": {\"step\": [{}, {\"url\": 1, \"url\": 2}]}}",
            "custom.step[1].url",
        ),
        (
            ("POST", "/api/config/import"),
            "{\"connector\": {\"a\": {}, \"b\": {\"cas\": {\"url\": \"a\", \"url\": \"b\"}}}}",
            "connector.b.cas.url",
        ),
        (
            ("PUT", "/api/login"),
            "{\"default\": \"corp\", \"default\": null}",
            "default",
        ),
        (
            ("POST", "/api/config/rollback"),
            "{\"version\": 1, \"version\": 1}",
            "version",
        ),
        (
            ("POST", "/api/mapping/preview"),
            "{\"connector\": \"corp\", \"profile\": {\"a\": 1, \"a\": 2}}",
            "profile.a",
        ),
    ] {
        let answer = refused(&site, "", request, body, (400, &["line 1", "twice"])).await;
        let fields = answer.json()["fields"].clone();
        assert_eq!(fields[0]["field"], field, "{body}: {fields}");
    }
}

#[tokio::test]
async fn everything_that_does_not_fit_is_named_at_once() {
    let site = start().await;
    let table = json!({
        "display_name": 7,
        "auto_login": "sometimes",
        "link_by": [1, "mobile", "nonsense"],
        "home": { "desktop": [], "watch": "/" },
        "no_such_key": true,
        "wecom": { "agent_id": "seven", "api_base": 3, "mode": "none", "secrett": "x" },
        "custom": { "step": [{ "name": 1 }, { "name": "a", "url": 2 }] },
    });
    let put = ("PUT", "/api/connectors/corp");
    let answer = refused(&site, "", put, &table.to_string(), (400, &[])).await;
    let fields = answer.json()["fields"].as_array().unwrap().clone();
    let mut named: Vec<_> = fields
        .iter()
        .map(|problem| problem["field"].as_str().unwrap())
        .collect();
    named.sort_unstable();
    let expected = [
        "auto_login",
        "custom.profile",
        "custom.step[0].name",
        "custom.step[0].url",
        "custom.step[1].url",
        "custom.subject",
        "display_name",
        "home.desktop",
        "home.watch",
        "link_by[0]",
        "link_by[2]",
        "no_such_key",
        "wecom.agent_id",
        "wecom.api_base",
        "wecom.corp_id",
        "wecom.mode",
        "wecom.secrett",
    ];
    assert_eq!(named, expected, "{fields:?}");
    for problem in &fields {
        assert!(
            !problem["message"].as_str().unwrap().is_empty(),
            "{problem}"
        );
        assert!(!problem["help"].as_str().unwrap().is_empty(), "{problem}");
    }
    // The same of several connectors at once.
    let import = json!({ "connector": { "a": { "cas": { "url": 1 } }, "b": { "cas": {} } } });
    let request = ("POST", "/api/config/import");
    let answer = refused(&site, "", request, &import.to_string(), (400, &[])).await;
    let fields = answer.json()["fields"].as_array().unwrap().clone();
    let named = fields
        .iter()
        .map(|problem| (&problem["connector"], &problem["field"]));
    let url = json!("cas.url");
    assert_eq!(
        named.collect::<Vec<_>>(),
        [(&json!("a"), &url), (&json!("b"), &url)]
    );
}

#[tokio::test]
async fn requests_without_a_right_to_change_change_nothing() {
    let site = start().await;
    let put = ("PUT", "/api/connectors/corp");
    let body = site.wecom_table().to_string();
    for header in [
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
    ] {
        refused(&site, header, put, &body, (403, &["cross-origin"])).await;
    }
    for (header, status) in [
        ("If-Match: \"7\"\r\n", 412),
        ("If-None-Match: *\r\n", 412),
        ("Content-Type: text/plain\r\n", 415),
        ("Content-Type: application/x-www-form-urlencoded\r\n", 415),
    ] {
        refused(&site, header, put, &body, (status, &[])).await;
    }
    let before = everything(&site).await;
    for headers in [
        "",
        "Authorization: Bearer wrong\r\n",
        "Cookie: menshen-console=x\r\n",
    ] {
        let length = body.len();
        let request = format!(
            "PUT /api/connectors/corp HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        let address = site.running.admin_address().unwrap();
        let answer = wire::send(address, request.as_bytes()).await;
        assert_eq!(answer.status, 401, "{headers}");
    }
    assert_eq!(everything(&site).await, before);
}

#[tokio::test]
async fn ten_megabytes_are_refused_and_a_body_that_is_no_json_names_its_line() {
    let site = start().await;
    let put = ("PUT", "/api/connectors/corp");
    for (body, words) in [
        ("{\n\"wecom\": {,}}", "line 2, column"),
        ("{\"wecom\":", "ends too early"),
        ("corp_id=ww1", "line 1"),
        ("[]", "one JSON object"),
    ] {
        refused(&site, "", put, body, (400, &[words])).await;
    }
    let deep = format!("{{\"home\": {}{}}}", "[".repeat(40), "]".repeat(40));
    refused(&site, "", put, &deep, (400, &["nested"])).await;
    let long = format!("{{\"display_name\": \"{}\"}}", "x".repeat(10 << 20));
    let length = long.len();
    let before = everything(&site).await;
    let request = format!(
        "PUT /api/connectors/corp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{}",
        &long[..4096]
    );
    // Ten megabytes are announced, and a part of them is sent.
    let address = site.running.admin_address().unwrap();
    let answer = wire::send(address, request.as_bytes()).await;
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert_eq!(everything(&site).await, before);
}

#[tokio::test]
async fn the_answer_to_a_flood_of_wrong_values_stays_short() {
    const ANSWER_BYTES_MAX: usize = 64 * 1024;
    let site = start().await;
    let put = ("PUT", "/api/connectors/corp");
    let import = ("POST", "/api/config/import");
    let list = |item: &str, count| vec![item; count].join(",");
    let unknown_keys: Vec<_> = (0..40_000).map(|n| format!("\"k{n}\":0")).collect();
    let connectors: Vec<_> = (0..20_000).map(|n| format!("\"c{n}\":{{}}")).collect();
    for (request, body, words) in [
        (
            put,
            format!("{{\"link_by\":[{}]}}", list("0", 200_000)),
            "too many values",
        ),
        (
            put,
            format!("{{{}}}", unknown_keys.join(",")),
            "too many values",
        ),
        (
            put,
            format!("{{\"link_by\":[{}]}}", list("\"\\u0001\"", 2_000)),
            "control character",
        ),
        (
            import,
            format!("{{\"connector\":{{{}}}}}", connectors.join(",")),
            "too many connectors",
        ),
    ] {
        let start: String = body.chars().take(40).collect();
        let before = everything(&site).await;
        let sent = Value::String(body);
        let answer = site.api_with("", request.0, request.1, &sent).await;
        let text = answer.text();
        assert_eq!(answer.status, 400, "{start}");
        assert!(text.contains(words), "{start}: {words}");
        assert!(text.len() < ANSWER_BYTES_MAX, "{start}: {}", text.len());
        assert_eq!(everything(&site).await, before, "{start}");
    }
}
