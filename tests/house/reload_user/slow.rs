//! A response that takes longer than `reload_after` is still delivered: a confirmation that becomes due
//! affects only the next request.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::authorize_visits;
use crate::browser::Browser;
use crate::logging_in::{OWN_PAGES, WECOM_PHONE_APP};
use crate::raw_connection::RawConnection;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::test_request::{TestRequest, session_cookie_of};
use crate::upstream::{accept, bind_listener, ok};
use crate::wire::Answer;

const ROUTES: &str = r#"
[[route]]
name = "report"
host = "sso.test"
path = "/report"
upstream = ["{url}"]
reload_user = "always"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{app}"]
"#;

/// After this time a confirmation is due.
const DUE: Duration = Duration::from_secs(31);

/// After this time open responses have been checked again: twice the configured interval.
const RECHECKED: Duration = Duration::from_millis(100);

/// An instance of menshen that checks open responses every 50 ms, and the upstream behind `/report`.
async fn start_menshen() -> (Menshen, TcpListener) {
    let socket = bind_listener().await;
    let url = format!("http://{}", socket.local_addr().unwrap());
    let setup = Setup::default()
        .routes(&ROUTES.replace("{url}", &url))
        .server("limits.judged_again_after = \"50ms\"")
        .connector("auto_login = 'never'")
        .tables(NO_LOGIN_LIMITS);
    let menshen = setup.start().await;
    menshen.wecom.set_phone_owner("zhangsan");
    (menshen, socket)
}

/// Signs another person out, so that all open responses are checked again.
async fn trigger_recheck_by_other_sign_out(menshen: &Menshen) {
    let other = session_cookie_of(menshen, "lisi").await;
    sign_out(menshen, &other).await;
}

async fn sign_out(menshen: &Menshen, cookie: &str) {
    let request = TestRequest::get("/.menshen/sign_out")
        .navigating()
        .session(cookie);
    assert_eq!(request.send(menshen).await.status, 200);
}

/// Requests the report; returns the connections of the client and of the upstream.
async fn start_loading(
    menshen: &Menshen,
    socket: &TcpListener,
    cookie: &str,
) -> (RawConnection<TcpStream>, RawConnection<TcpStream>) {
    let mut client = RawConnection::open(menshen.address()).await;
    let request = TestRequest::get("/report").navigating().session(cookie);
    client.send(request.to_bytes()).await;
    let mut upstream = accept(socket).await;
    upstream.read_request().await.unwrap();
    (client, upstream)
}

#[tokio::test]
async fn a_slow_page_is_delivered_although_a_confirmation_became_due() {
    let (menshen, socket) = start_menshen().await;
    for signs_out in [false, true] {
        let cookie = session_cookie_of(&menshen, "zhangsan").await;
        let (mut client, mut upstream) = start_loading(&menshen, &socket, &cookie).await;
        menshen.advance(DUE);
        match signs_out {
            false => trigger_recheck_by_other_sign_out(&menshen).await,
            true => sign_out(&menshen, &cookie).await,
        }
        sleep(RECHECKED).await;
        upstream.send(ok("the figures")).await;
        let Answer { status, body, .. } = client.read_answer().await;
        let is_delivered = body.as_slice() == b"the figures";
        assert_eq!(
            (status == 200, is_delivered),
            (!signs_out, !signs_out),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_download_continues_although_a_confirmation_became_due() {
    let (menshen, socket) = start_menshen().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let (mut client, mut upstream) = start_loading(&menshen, &socket, &cookie).await;
    let first_chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfir\r\n";
    upstream.send(first_chunk).await;
    assert_eq!(client.read_answer_head().await.status, 200);
    assert_eq!(client.read_chunk().await.unwrap(), b"fir");
    sleep(RECHECKED).await;
    menshen.advance(DUE);
    trigger_recheck_by_other_sign_out(&menshen).await;
    sleep(RECHECKED).await;
    upstream.send("3\r\nst!\r\n").await;
    assert_eq!(client.read_chunk().await.unwrap(), b"st!");
    // When the person signs out, the download ends.
    sign_out(&menshen, &cookie).await;
    assert!(client.read_to_end().await.is_empty());
    assert!(upstream.read_to_end().await.is_empty());
}

#[tokio::test]
async fn a_page_slower_than_reload_after_is_confirmed_once() {
    let (menshen, socket) = start_menshen().await;
    let mut phone = Browser::new(&menshen).with_user_agent(WECOM_PHONE_APP);
    let start = format!("{OWN_PAGES}/start?connector=corp&rd=/echo");
    assert_eq!(phone.follow(&start).await.answer.status, 200);
    phone.visited.clear();
    menshen.advance(DUE);
    let serve_reports = async {
        for count in 1.. {
            let mut upstream = accept(&socket).await;
            upstream.read_request().await.unwrap();
            sleep(RECHECKED).await;
            menshen.advance(DUE);
            upstream.send(ok(format!("report {count}"))).await;
        }
    };
    let page_url = format!("{SSO_URL}/report");
    let page = tokio::select! {
        page = phone.follow(&page_url) => page,
        () = serve_reports => unreachable!(),
    };
    assert_eq!((page.answer.status, page.url.as_str()), (200, &*page_url));
    assert_eq!(page.answer.text(), "report 1");
    assert_eq!(authorize_visits(&phone), 1);
}
