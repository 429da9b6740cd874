//! Connections to upstreams: used again, replaced when they went stale, shared among several.

use crate::line::Line;
use crate::upstream::{
    Folder, Reply, UP, Upstream, accept, get, house_before, listener, ok, open_route, post,
};
use crate::wire;

/// Closes its first connection at the second request, without a word; each further one serves.
async fn goes_stale() -> Upstream {
    Upstream::start(|asked| match (asked.connection, asked.nth) {
        (1, 2..) => Reply::Close(Vec::new()),
        _ => Reply::Keep(ok("fine")),
    })
    .await
}

#[tokio::test]
async fn a_stale_connection_is_replaced_where_nothing_can_happen_twice() {
    for (request, status, times) in [
        (get("/second", "").into_bytes(), 200, 2),
        (post("/second", "", "once only"), 502, 1),
        // POST is not idempotent even without a body.
        (post("/second", "", ""), 502, 1),
    ] {
        let upstream = goes_stale().await;
        let house = house_before(upstream.url(), "").await;
        assert_eq!(
            wire::raw(house.address(), get("/", "").as_bytes())
                .await
                .status,
            200
        );
        let answer = wire::raw(house.address(), &request).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        let asked = upstream.asked();
        let second = |asked: &&crate::upstream::Asked| asked.message.target() == "/second";
        assert_eq!(asked.iter().filter(second).count(), times);
    }
}

#[tokio::test]
async fn a_request_is_repeated_once_and_no_more() {
    let upstream = Upstream::start(|asked| match asked.message.target() {
        "/" => Reply::Keep(ok("fine")),
        _ => Reply::Close(Vec::new()),
    })
    .await;
    let house = house_before(upstream.url(), "").await;
    let mut line = Line::open(house.address()).await;
    line.send(get("/", "")).await;
    assert_eq!(line.answer().await.status, 200);
    line.send(get("/broken", "")).await;
    assert_eq!(line.answer().await.status, 502);
    assert_eq!(upstream.asked().len(), 3);
    // On a fresh connection there is nothing stale to blame.
    line.send(get("/broken", "")).await;
    assert_eq!(line.answer().await.status, 502);
    assert_eq!(upstream.asked().len(), 4);
}

#[tokio::test]
async fn a_connection_that_was_closed_while_it_waited_costs_nobody_a_request() {
    let upstream = Upstream::start(|_| Reply::Close(ok("and goodbye"))).await;
    let house = house_before(upstream.url(), "").await;
    for _ in 0..10 {
        // A body that is not yet sent when the connection turns out to be closed may go again.
        let answer = wire::raw(house.address(), get("/", "").as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_unix_socket_serves_like_a_port() {
    let folder = Folder::new();
    let upstream = Upstream::start_unix(&folder.path("app.sock"), |_| Reply::Keep(ok("unix")));
    let house = house_before(upstream.url(), "").await;
    for _ in 0..3 {
        let answer = wire::raw(house.address(), &post("/", "", "body")).await;
        assert_eq!(answer.text(), "unix");
    }
    assert_eq!(upstream.connections(), 1);
    assert_eq!(upstream.last().one("host"), Some(UP));
}

#[tokio::test]
async fn the_upstream_with_the_least_to_do_is_asked() {
    let busy = |asked: &crate::upstream::Asked| match asked.message.target() {
        "/long" => Reply::Hang(Vec::new()),
        _ => Reply::Keep(ok("quick")),
    };
    let (one, two) = (Upstream::start(busy).await, Upstream::start(busy).await);
    let both = format!("{}\", \"{}", one.url(), two.url());
    let house = house_before(&both, "").await;
    let mut long = Line::open(house.address()).await;
    long.send(get("/long", "")).await;
    crate::upstream::until("the long request is under way", || {
        one.asked().len() + two.asked().len() == 1
    })
    .await;
    let (held, free) = match one.asked().len() {
        1 => (&one, &two),
        _ => (&two, &one),
    };
    let mut line = Line::open(house.address()).await;
    for _ in 0..8 {
        line.send(get("/", "")).await;
        assert_eq!(line.answer().await.status, 200);
    }
    assert_eq!((held.asked().len(), free.asked().len()), (1, 8));
    // With nothing under way they take turns.
    drop(long);
    line.send(get("/", "")).await;
    line.answer().await;
    for _ in 0..8 {
        line.send(get("/", "")).await;
        assert_eq!(line.answer().await.status, 200);
    }
    assert!(held.asked().len() > 1);
}

#[tokio::test]
async fn one_of_several_that_is_down_is_not_noticed() {
    let down = listener().await;
    let gone = format!("http://{}", down.local_addr().unwrap());
    drop(down);
    let upstream = Upstream::start(|_| Reply::Keep(ok("up"))).await;
    let house = house_before(&format!("{gone}\", \"{}", upstream.url()), "").await;
    for number in 0..10 {
        // Nothing was sent to the one that is down, so a body is no hindrance.
        let answer = wire::raw(house.address(), &post("/", "", "body")).await;
        assert_eq!(answer.status, 200, "request {number}: {}", answer.text());
    }
    assert_eq!(upstream.asked().len(), 10);
}

#[tokio::test]
async fn two_routes_never_share_an_answer_or_a_connection_to_different_upstreams() {
    let one = Upstream::start(|_| Reply::Keep(ok("one"))).await;
    let two = Upstream::start(|_| Reply::Keep(ok("two"))).await;
    let more = format!(
        "[[route]]\nname = \"two\"\nhost = \"{UP}\"\npath = \"/two\"\naccess = \"public\"\n\
         upstream = [\"{}\"]",
        two.url()
    );
    let routes = open_route(one.url(), &more);
    let house = crate::house::Plan::default().routes(&routes).start().await;
    let mut line = Line::open(house.address()).await;
    for (target, expected) in [("/", "one"), ("/two", "two"), ("/twofold", "one")] {
        line.send(get(target, "")).await;
        assert_eq!(line.answer().await.text(), expected, "{target}");
    }
}

#[tokio::test]
async fn bytes_an_upstream_sends_unasked_answer_nobody() {
    let socket = listener().await;
    let house = house_before(&format!("http://{}", socket.local_addr().unwrap()), "").await;
    let mut line = Line::open(house.address()).await;
    line.send(get("/first", "")).await;
    let mut upstream = accept(&socket).await;
    upstream.request().await.unwrap();
    // A second answer right behind the first: it would poison whoever comes next.
    upstream.send([ok("first"), ok("poison")].concat()).await;
    assert_eq!(line.answer().await.text(), "first");
    line.send(get("/second", "")).await;
    let second = async {
        let mut fresh = accept(&socket).await;
        let asked = fresh.request().await.unwrap();
        fresh.send(ok(asked.target())).await;
    };
    second.await;
    assert_eq!(line.answer().await.text(), "/second");
}
