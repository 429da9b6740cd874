//! What anybody writes into an audit line is text.

use serde_json::json;

use super::*;
use crate::wire;

#[tokio::test]
async fn hostile_values_are_text_in_the_store_the_list_and_the_download() {
    let menshen = setup().start().await;
    let reason = "x'); DELETE FROM menshen_audit_line; --\u{202e}\u{200b}财务👩‍💻";
    sign_in_as(&menshen, "zhangsan").await;
    let path = "/api/people/zhangsan/close";
    let closed = call_api(&menshen, "POST", path, &json!({ "reason": reason })).await;
    assert_eq!(closed.status, 200, "{}", closed.text());
    // A byte that is not UTF-8, a quote and a character that turns the text around.
    let agent: &[u8] = b"</script>\"}\xff\xe2\x80\xae{\"event\":\"login\"";
    let request = [
        b"GET /.menshen/callback/corp?code=x&state=y HTTP/1.1\r\nHost: sso.test\r\n\
          Connection: close\r\nUser-Agent: "
            .as_slice(),
        agent,
        b"\r\n\r\n",
    ];
    let refused = wire::send(menshen.address(), &request.concat()).await;
    assert!((400..500).contains(&refused.status), "{}", refused.status);
    list_once(&menshen, "", 3).await;
    let lines = list(&menshen, "event=closed").await;
    let stored = lines[0]["reason"].as_str().unwrap();
    assert!(stored.ends_with(reason), "{stored:?}");
    let lines = list(&menshen, "event=refused").await;
    let stored = lines[0]["user_agent"].as_str().unwrap();
    assert_eq!(stored, String::from_utf8_lossy(agent));
    for path in ["/api/audit", "/api/audit/download"] {
        let text = call_api(&menshen, "GET", path, &Value::Null).await.text();
        let hidden = ['\u{202e}', '\u{200b}', '\u{1b}'];
        assert!(!text.contains(hidden), "{text:?}");
    }
    // An event that only the text of a request names is not found.
    assert_eq!(list(&menshen, "event=login").await.len(), 1);
}
