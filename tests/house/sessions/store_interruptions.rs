//! Open streams continue during a short store outage, while their session cannot be checked.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, sleep_until};

use super::long_responses::{assert_continues, assert_cut_off, open_events_at, setup};
use super::watched::{Fault, WatchedMenshen};
use crate::frames::{HTTP2_WITHOUT_TLS, TRUST_ONLY_ANOTHER_HOST};
use crate::raw_connection::RawConnection;
use crate::test_request::{TestRequest, repeat_until};
use crate::upstream::{accept, bind_listener, ok};

/// A little more than `judged_again_after`, when open streams are checked for the first time.
const FIRST_RECHECK: Duration = Duration::from_millis(3_500);

/// An instance of menshen with a `store_outage_grace` of one second, and with these lines of `[session]` and
/// of the route.
async fn start_menshen(socket: &TcpListener, session: &str, lines: &str) -> WatchedMenshen {
    let session = format!("store_outage_grace = \"1s\"\n{session}");
    let server = format!("{TRUST_ONLY_ANOTHER_HOST}limits.judged_again_after = \"3s\"\n");
    let setup = setup(socket, &session, lines).server(&server);
    WatchedMenshen::start(setup.tables(HTTP2_WITHOUT_TLS)).await
}

/// The open exchanges at the start of the outage: an event stream and a page without a response.
struct OpenExchanges {
    stream: (RawConnection<TcpStream>, RawConnection<TcpStream>),
    page: (RawConnection<TcpStream>, RawConnection<TcpStream>),
}

/// Opens both exchanges, makes the store fail, and waits until both were checked without it.
async fn open_without_store(
    menshen: &WatchedMenshen,
    socket: &TcpListener,
    cookie: &str,
) -> OpenExchanges {
    let mut stream = open_events_at(menshen.address, socket, cookie).await;
    let mut client = RawConnection::open(menshen.address).await;
    let ask = TestRequest::get("/slow").session(cookie);
    client.send(ask.to_bytes()).await;
    let mut upstream = accept(socket).await;
    upstream.read_request().await.unwrap();
    let rechecked_at = Instant::now() + FIRST_RECHECK;
    menshen.store.fail(Some(Fault::Failed));
    let ask = TestRequest::get("/echo").session(cookie);
    repeat_until(&ask, menshen.address, |answer| answer.status == 503).await;
    sleep_until(rechecked_at).await;
    assert_continues(&mut stream.0, &mut stream.1).await;
    upstream.send(ok("the figures")).await;
    OpenExchanges {
        stream,
        page: (client, upstream),
    }
}

#[tokio::test]
async fn open_streams_continue_during_a_short_store_outage() {
    for lines in ["", "access = 'public'\n"] {
        let socket = bind_listener().await;
        let menshen = start_menshen(&socket, "", lines).await;
        let cookie = menshen.session_cookie_of("zhangsan").await;
        let OpenExchanges {
            mut stream,
            mut page,
        } = open_without_store(&menshen, &socket, &cookie).await;
        menshen.store.fail(None);
        // The response was delayed until the session was checked.
        let answer = page.0.read_answer().await;
        assert_eq!((answer.status, &*answer.text()), (200, "the figures"));
        assert_continues(&mut stream.0, &mut stream.1).await;
        let out = TestRequest::get("/.menshen/sign_out")
            .navigating()
            .session(&cookie);
        assert_eq!(out.send_to(menshen.address).await.status, 200);
        assert_cut_off(stream.0, stream.1).await;
    }
}

#[tokio::test]
async fn open_streams_end_after_a_long_store_outage_or_with_their_session() {
    let short = "lifetime = \"20s\"\nidle_timeout = \"20s\"";
    for (session, lines, passes_s) in [("", "access = 'public'\n", 31), (short, "", 21)] {
        let socket = bind_listener().await;
        let menshen = start_menshen(&socket, session, lines).await;
        let cookie = menshen.session_cookie_of("zhangsan").await;
        let OpenExchanges { stream, mut page } =
            open_without_store(&menshen, &socket, &cookie).await;
        let time_passes = async {
            loop {
                menshen.clock.advance(Duration::from_secs(passes_s));
                sleep(Duration::from_secs(1)).await;
            }
        };
        let ends = async {
            assert_cut_off(stream.0, stream.1).await;
            page.0.read_answer().await
        };
        let answer = tokio::select! {
            answer = ends => answer,
            () = time_passes => unreachable!(),
        };
        assert!(answer.status != 200 && !answer.text().contains("figures"));
    }
}
