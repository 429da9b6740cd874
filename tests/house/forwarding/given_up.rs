//! A request that its client gives up still counts while the upstream works on it: asking and giving
//! up gives nobody more of an upstream than asking and waiting.

use std::pin::pin;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::frames::{DATA, Frames, PLAIN_HTTP2, RST_STREAM};
use crate::raw_connection::{PATIENCE, RawConnection};
use crate::setup::{Menshen, Setup};
use crate::upstream::{UP, accept, get, listener, ok, open_route};

/// One percent of 1024.
const SHARE: u32 = 10;
const CANCEL: [u8; 4] = 8_u32.to_be_bytes();

/// Longer than any test waits.
const NEVER: &str = "[route.limits]\nabandoned = \"1h\"";

/// How a client gives its requests up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// It closes its connection.
    Http1,
    /// It resets the stream.
    Http2,
}

/// When it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Before anything was answered.
    Unanswered,
    /// When the upstream said that it is at work.
    Interim,
    /// Within the answer's body.
    Answering,
    /// Within the request's body.
    Uploading,
}

async fn start_menshen(socket: &TcpListener, limits: &str) -> Menshen {
    let url = format!("http://{}", socket.local_addr().unwrap());
    let setup = Setup::default().routes(&open_route(&url, limits));
    let server = "trusted_proxies = [\"127.0.0.1\"]\nlimits.upstream_share = 1";
    setup.more(PLAIN_HTTP2).server(server).start().await
}

fn named(client: &str) -> String {
    format!("X-Forwarded-For: {client}\r\n")
}

/// Asks, lets the upstream get it, and gives it up; answers the upstream's end once it has heard that.
async fn give_up(
    menshen: &Menshen,
    socket: &TcpListener,
    by: By,
    moment: Moment,
) -> RawConnection<TcpStream> {
    let uploads = moment == Moment::Uploading;
    let client = ("x-forwarded-for", "203.0.113.7");
    let mut upstream;
    match by {
        By::Http1 => {
            let mut connection = RawConnection::open(menshen.address()).await;
            let request = match uploads {
                true => format!(
                    "POST / HTTP/1.1\r\nHost: {UP}\r\n{}Content-Length: 9\r\n\r\nhalf",
                    named(client.1)
                ),
                false => get("/", &named(client.1)),
            };
            connection.send(request).await;
            upstream = begun(socket, moment).await;
            if moment == Moment::Answering {
                assert_eq!(connection.answer_head().await.status, 200);
            }
            drop(connection);
        }
        By::Http2 => {
            let mut frames = Frames::open(menshen.address(), 1 << 20).await;
            let (method, flags) = if uploads { ("POST", 0) } else { ("GET", 1) };
            frames.ask(1, flags, (method, UP, "/"), &[client]).await;
            if uploads {
                frames.send(DATA, 0, 1, b"half").await;
            }
            upstream = begun(socket, moment).await;
            if moment == Moment::Answering {
                frames.next_of(1).await.expect("the head of the answer");
            }
            frames.send(RST_STREAM, 0, 1, &CANCEL).await;
            hear_the_end(&mut upstream, uploads).await;
            // The client's connection is open until then.
            drop(frames);
            return upstream;
        }
    }
    hear_the_end(&mut upstream, uploads).await;
    upstream
}

/// Reads on to the end that tells an upstream that nobody waits any more.
async fn hear_the_end(upstream: &mut RawConnection<TcpStream>, uploads: bool) {
    let rest = upstream.rest().await;
    assert!(uploads || rest.is_empty(), "{rest:?}");
}

/// The upstream's end of a request that it has got.
async fn begun(socket: &TcpListener, moment: Moment) -> RawConnection<TcpStream> {
    let mut upstream = accept(socket).await;
    upstream.head().await.unwrap();
    match moment {
        // A piece of known length, or a chunk.
        Moment::Uploading => drop(upstream.bytes(4).await.unwrap()),
        Moment::Interim => upstream.send("HTTP/1.1 102 Processing\r\n\r\n").await,
        Moment::Answering => {
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
            upstream.send(head).await;
        }
        Moment::Unanswered => {}
    }
    upstream
}

/// What one more request comes to: 503 when too many are under way.
async fn one_more(menshen: &Menshen, socket: &TcpListener, client: &str) -> u16 {
    let mut connection = RawConnection::open(menshen.address()).await;
    connection.send(get("/", &named(client))).await;
    let answering = async {
        let mut upstream = accept(socket).await;
        upstream.head().await.unwrap();
        upstream.send(ok("fine")).await;
        upstream
    };
    let mut answer = pin!(connection.answer());
    tokio::select! {
        answer = &mut answer => answer.status,
        upstream = answering => {
            let status = answer.await.status;
            drop(upstream);
            status
        }
    }
}

#[tokio::test]
async fn whoever_asks_and_gives_up_has_no_more_under_way_than_whoever_waits() {
    for by in [By::Http1, By::Http2] {
        for moment in [
            Moment::Unanswered,
            Moment::Interim,
            Moment::Answering,
            Moment::Uploading,
        ] {
            let socket = listener().await;
            let menshen = start_menshen(&socket, NEVER).await;
            let mut at_work = Vec::new();
            for _ in 0..SHARE {
                at_work.push(give_up(&menshen, &socket, by, moment).await);
            }
            let same = one_more(&menshen, &socket, "203.0.113.7").await;
            assert_eq!(same, 503, "{by:?} {moment:?}");
            let other = one_more(&menshen, &socket, "203.0.113.8").await;
            assert_eq!(other, 200, "{by:?} {moment:?}");
        }
    }
}

/// Asks until it is answered.
async fn until_there_is_room(menshen: &Menshen, socket: &TcpListener, what: &str) {
    let asking = async { while one_more(menshen, socket, "203.0.113.7").await != 200 {} };
    timeout(PATIENCE, asking)
        .await
        .unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test]
async fn what_was_given_up_counts_no_longer_when_the_upstream_is_done_with_it() {
    let long = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(2 << 20));
    let said = [
        (Moment::Unanswered, "HTTP/1.1 204 No Content\r\n\r\n"),
        (
            Moment::Interim,
            "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno",
        ),
        (Moment::Unanswered, "no HTTP at all\r\n\r\n"),
        (Moment::Answering, &"x".repeat(96)),
        (Moment::Unanswered, long.as_str()),
    ];
    for by in [By::Http1, By::Http2] {
        for (moment, said) in &said {
            let socket = listener().await;
            let menshen = start_menshen(&socket, NEVER).await;
            let mut at_work = Vec::new();
            for _ in 0..SHARE {
                at_work.push(give_up(&menshen, &socket, by, *moment).await);
            }
            let last = at_work.last_mut().unwrap();
            // It may be closed before all of it is said.
            let _ = last.try_send(said).await;
            let what = format!("{by:?} {moment:?} {:.30}", said);
            until_there_is_room(&menshen, &socket, &what).await;
            assert!(at_work.pop().is_some());
            // Closing is an answer, too.
            drop(at_work);
            until_there_is_room(&menshen, &socket, "all are closed").await;
        }
    }
}

#[tokio::test]
async fn an_upstream_that_never_ends_is_waited_for_as_long_as_the_route_says() {
    let socket = listener().await;
    let menshen = start_menshen(&socket, "[route.limits]\nabandoned = \"300ms\"").await;
    let mut at_work = Vec::new();
    for moment in [Moment::Unanswered, Moment::Interim, Moment::Answering] {
        for _ in 0..SHARE {
            until_there_is_room(&menshen, &socket, "before").await;
            at_work.push(give_up(&menshen, &socket, By::Http2, moment).await);
        }
    }
    until_there_is_room(&menshen, &socket, "after").await;
    // Its connection is closed: it says so where the upstream writes.
    let mut last = at_work.pop().unwrap();
    let writing = async {
        while last.try_send("x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, writing).await.expect("it is closed");
}
