//! What lasts goes on while it cannot be found out for a moment whether its session still counts.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::lasting::{events_at, goes_on, is_cut_off, plan};
use super::watched::{Fault, WatchedHouse};
use crate::asking::{Ask, until};
use crate::line::Line;
use crate::upstream::{accept, listener, ok};

/// The same route for whoever is signed in, and for everybody.
const ROUTES_OF: [&str; 2] = ["", "access = 'public'\n"];

async fn house(socket: &TcpListener, session: &str, lines: &str) -> WatchedHouse {
    let session = format!("store_outage_grace = \"1s\"\n{session}");
    WatchedHouse::start(plan(socket, &session, lines)).await
}

/// How long it takes at most until what lasts was judged, twice what is configured.
const JUDGED: Duration = Duration::from_millis(100);

/// Makes the store fail, and waits until nobody is let in from memory any more.
async fn take_the_store_away(house: &WatchedHouse, cookie: &str) {
    house.store.fail(Some(Fault::Failed));
    let ask = Ask::get("/echo").session(cookie);
    until(&ask, house.address, |answer| answer.status == 503).await;
}

/// Signs somebody out, which has everything that lasts judged again.
async fn sign_out(house: &WatchedHouse, cookie: &str) {
    let out = Ask::get("/.menshen/sign_out").navigating().session(cookie);
    assert_eq!(out.at(house.address).await.status, 503);
    sleep(JUDGED).await;
}

/// Somebody who waits for an answer, and their upstream.
async fn waiting(
    house: &WatchedHouse,
    socket: &TcpListener,
    cookie: &str,
) -> (Line<TcpStream>, Line<TcpStream>) {
    let mut client = Line::open(house.address).await;
    let ask = Ask::get("/slow").session(cookie);
    client.send(ask.on_the_wire()).await;
    let mut upstream = accept(socket).await;
    upstream.request().await.unwrap();
    (client, upstream)
}

#[tokio::test]
async fn what_lasts_goes_on_when_the_store_is_away_for_a_moment() {
    for lines in ROUTES_OF {
        let socket = listener().await;
        let house = house(&socket, "", lines).await;
        let [zhang, li] = [
            house.signed_in("zhangsan").await,
            house.signed_in("lisi").await,
        ];
        let zhangs = events_at(house.address, &socket, &zhang).await;
        let mut lis = events_at(house.address, &socket, &li).await;
        let mut page = waiting(&house, &socket, &li).await;
        take_the_store_away(&house, &li).await;
        sign_out(&house, &zhang).await;
        goes_on(&mut lis.0, &mut lis.1).await;
        // An answer is held back until it is known.
        page.1.send(ok("the figures")).await;
        sleep(JUDGED).await;
        house.store.fail(None);
        let answer = page.0.answer().await;
        assert_eq!((answer.status, &*answer.text()), (200, "the figures"));
        goes_on(&mut lis.0, &mut lis.1).await;
        is_cut_off(zhangs.0, zhangs.1).await;
    }
}

#[tokio::test]
async fn what_lasts_ends_when_the_store_stays_away_or_its_session_ends() {
    let short = "lifetime = \"20s\"\nidle_timeout = \"20s\"";
    for (session, passes_s) in [("", 31), (short, 21)] {
        for lines in ROUTES_OF {
            let socket = listener().await;
            let house = house(&socket, session, lines).await;
            let [zhang, li] = [
                house.signed_in("zhangsan").await,
                house.signed_in("lisi").await,
            ];
            let mut lis = events_at(house.address, &socket, &li).await;
            let mut page = waiting(&house, &socket, &li).await;
            take_the_store_away(&house, &li).await;
            sign_out(&house, &zhang).await;
            goes_on(&mut lis.0, &mut lis.1).await;
            page.1.send(ok("the figures")).await;
            sleep(JUDGED).await;
            house.clock.advance(Duration::from_secs(passes_s));
            is_cut_off(lis.0, lis.1).await;
            let answer = page.0.answer().await;
            assert!(answer.status != 200 && !answer.text().contains("figures"));
        }
    }
}
