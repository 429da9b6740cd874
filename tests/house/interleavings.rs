//! No order of loads, revocations, token refreshes, updates, reloads and reads of the log shows a stale
//! allow.
//!
//! The nodes run the real `Sessions`, `People` and `Refresher`. Their store is a model of the database
//! whose every call waits for the explorer, twice: until it is executed, and until its answer arrives. The
//! explorer tries all orders of a small scenario, and some orders of a large one. With
//! `MENSHEN_SCHEDULES=100000` it tries all orders of each scenario that ends within so many.

mod act;
mod agreement;
mod database;
mod event;
mod explorer;
mod finish;
mod fixture;
mod gated_store;
mod node;
mod promises;
mod record;
mod shared;
mod world;

use menshen::store::{LogoutTarget, RevocationScope};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

use act::Act;
use act::ActKind::{
    self, Check, Close, Find, LookUp, Refresh, Reload, Rename, Reopen, Restart, RetryPending,
    SignIn, SignInAs,
};
use explorer::{Explored, explore, run_random};
use fixture::{FIRST, Fixture, OF_OTHER_IDENTITY, SECOND, corp, zhang, zhang_account};
use gated_store::NODES_MAX;
use node::ProviderAnswer;
use world::Scenario;

/// How many schedules of one scenario are run depth first. If there are more, as many random ones are run.
const SCHEDULES_MAX: usize = 10;
/// Enough for every schedule of a logout whose response is lost.
const SCHEDULES_OF_A_LOST_RESPONSE: usize = 400;
/// How many random scenarios are run, each with one random schedule.
const RANDOM_SCENARIOS: u32 = 80;

fn schedules_max() -> usize {
    let given = std::env::var("MENSHEN_SCHEDULES").ok();
    given.map_or(SCHEDULES_MAX, |number| number.parse().unwrap())
}

/// The acts of a scenario, each with its node.
fn scenario(nodes: usize, acts: &[(usize, ActKind)]) -> Scenario {
    let act = |(node, kind): &(usize, ActKind)| Act {
        node: *node,
        kind: kind.clone(),
    };
    Scenario {
        nodes,
        acts: acts.iter().map(act).collect(),
        provider: ProviderAnswer::Group("refreshed"),
        failures: 0,
        failing: &[],
        immediate: &[],
        log_reads: [0; NODES_MAX],
    }
}

/// Explores a scenario; returns how much was explored.
fn check(name: &str, scenario: &Scenario) -> Explored {
    let explored = explore(name, scenario, schedules_max());
    assert!(explored.allowed > 0 && explored.refused > 0, "{name}");
    explored
}

/// Explores each scenario, and prints how much was explored.
fn check_all(promise: &str, scenarios: impl IntoIterator<Item = (String, Scenario)>) {
    let mut all = Explored::default();
    for (name, scenario) in scenarios {
        all.add(&check(&name, &scenario));
    }
    println!("{promise}: {all}");
}

fn scopes() -> [RevocationScope; 4] {
    [
        RevocationScope::Session(Fixture::get().sessions[FIRST].key),
        RevocationScope::Account(zhang_account()),
        RevocationScope::Connector(corp()),
        RevocationScope::Everyone,
    ]
}

/// All acts that end the first session.
fn ends() -> Vec<ActKind> {
    let logout = |target, is_signed| ActKind::Logout { target, is_signed };
    let sid = || "first".to_owned();
    let mut ends: Vec<_> = scopes().into_iter().map(ActKind::Revoke).collect();
    ends.extend([
        ActKind::Close,
        ActKind::Depart,
        logout(LogoutTarget::Session(sid()), false),
        logout(LogoutTarget::Session(sid()), true),
        logout(LogoutTarget::Subject(zhang()), true),
        logout(
            LogoutTarget::SessionAndSubject {
                sid: sid(),
                subject: zhang(),
            },
            true,
        ),
    ]);
    ends
}

/// One act for each way in which the cache learns that a session has ended.
fn some_ends() -> [ActKind; 3] {
    let [session, account, _, everyone] = scopes();
    [session, account, everyone].map(ActKind::Revoke)
}

#[test]
fn a_session_that_is_loaded_beside_its_end_is_refused_after_it() {
    let two_requests = |end: ActKind| {
        let acts = [(0, Find(FIRST)), (0, end.clone()), (0, Check(FIRST))];
        (format!("load, {end:?}"), scenario(1, &acts))
    };
    let three_requests = |end: ActKind| {
        let (name, mut scenario) = two_requests(end);
        scenario.acts.push(Act {
            node: 0,
            kind: Check(FIRST),
        });
        (format!("{name}, twice"), scenario)
    };
    let scenarios = ends().into_iter().map(two_requests);
    let scenarios = scenarios.chain(some_ends().into_iter().map(three_requests));
    check_all("loads and ends", scenarios);
}

#[test]
fn a_node_that_has_applied_the_log_refuses_the_sessions_that_another_node_ended() {
    let scenarios = ends().into_iter().map(|end| {
        let acts = [(0, end.clone()), (1, Find(FIRST)), (1, Check(FIRST))];
        let scenario = Scenario {
            log_reads: [0, 1, 0],
            ..scenario(2, &acts)
        };
        (format!("{end:?} on another node"), scenario)
    });
    check_all("loads on one node, ends on another", scenarios);
}

#[test]
fn a_token_refresh_never_brings_a_session_back() {
    let scenarios = ends().into_iter().map(|end| {
        let acts = [(0, Refresh(FIRST)), (0, end.clone()), (0, Check(FIRST))];
        let scenario = Scenario {
            immediate: &["lease"],
            ..scenario(1, &acts)
        };
        (format!("refresh, {end:?}"), scenario)
    });
    check_all("token refreshes and ends", scenarios);
}

#[test]
fn a_session_that_the_provider_ended_at_a_refresh_is_refused_after_it() {
    let acts = [(0, Refresh(FIRST)), (0, Find(FIRST)), (0, Check(FIRST))];
    let scenario = Scenario {
        provider: ProviderAnswer::Gone,
        ..scenario(1, &acts)
    };
    println!("a refused token refresh: {}", check("gone", &scenario));
}

#[test]
fn a_reload_never_brings_a_session_back() {
    let scenarios = some_ends().into_iter().flat_map(|end| {
        [1, 2].map(|ring| {
            let acts = [
                (0, Find(FIRST)),
                (0, Reload(ring)),
                (0, end.clone()),
                (0, Check(FIRST)),
            ];
            let name = format!("key ring {ring}, {end:?}");
            (name, scenario(1, &acts))
        })
    });
    check_all("reloads and ends", scenarios);
}

#[test]
fn an_update_never_brings_a_session_back() {
    let updates = [SignIn("b"), LookUp("b"), Rename("zhang3")];
    let scenarios = updates.into_iter().flat_map(|update| {
        some_ends().map(|end| {
            let acts = [(0, update.clone()), (0, end.clone()), (0, Check(FIRST))];
            let name = format!("{update:?}, {end:?}");
            (name, scenario(1, &acts))
        })
    });
    check_all("updates and ends", scenarios);
}

#[test]
fn a_restarted_node_refuses_what_was_ended() {
    let scenarios = some_ends().into_iter().flat_map(|end| {
        [0, 1].map(|restarted| {
            let acts = [
                (0, end.clone()),
                (restarted, Restart),
                (restarted, Check(FIRST)),
            ];
            let name = format!("restart of node {restarted}, {end:?}");
            (name, scenario(2, &acts))
        })
    });
    check_all("restarts and ends", scenarios);
}

#[test]
fn a_reopened_account_gets_no_old_session_back() {
    let acts = [(0, Close), (0, Reopen), (0, Check(FIRST))];
    let one_node = scenario(1, &acts);
    let acts = [(0, Close), (1, Reopen), (1, Check(FIRST))];
    let two_nodes = scenario(2, &acts);
    let scenarios = [("one node", one_node), ("two nodes", two_nodes)];
    let scenarios = scenarios.map(|(name, it)| (name.to_owned(), it));
    check_all("closed and reopened accounts", scenarios);
}

#[test]
fn an_end_that_the_database_did_not_take_holds_on_its_node() {
    let failing = &["revoke", "close_account", "apply_provider_logout"];
    let scenarios = ends().into_iter().map(|end| {
        let acts = [
            (0, Find(FIRST)),
            (0, end.clone()),
            (0, RetryPending),
            (0, Check(FIRST)),
        ];
        let scenario = Scenario {
            failures: 1,
            failing,
            ..scenario(1, &acts)
        };
        (format!("{end:?} fails"), scenario)
    });
    check_all("ends that fail", scenarios);
}

/// The store has the end, but its response was lost, and the second response names no sessions.
#[test]
fn a_logout_at_the_provider_whose_response_is_lost_holds_on_its_node() {
    let logout = ActKind::Logout {
        target: LogoutTarget::Session("first".to_owned()),
        is_signed: true,
    };
    let acts = [(0, Find(FIRST)), (0, logout), (0, RetryPending)];
    let scenario = Scenario {
        failures: 1,
        failing: &["apply_provider_logout"],
        ..scenario(1, &acts)
    };
    let explored = explore("lost response", &scenario, SCHEDULES_OF_A_LOST_RESPONSE);
    assert!(explored.whole == 1 && explored.refused > 0, "{explored}");
    println!("a logout whose response is lost: {explored}");
}

/// The expected order is that of the database, even if a value comes back.
#[test]
fn old_fields_never_replace_new_ones() {
    let updates = [
        SignIn("b"),
        SignIn("initial"),
        LookUp("b"),
        LookUp("initial"),
        Rename("zhang3"),
    ];
    let mut all = Explored::default();
    for update in updates {
        let acts = [(0, Refresh(FIRST)), (0, update.clone()), (0, Check(SECOND))];
        let name = format!("refresh, {update:?}");
        all.add(&explore(&name, &scenario(1, &acts), schedules_max()));
    }
    println!("token refreshes and updates: {all}");
}

#[test]
fn a_login_name_that_an_administrator_gives_stays() {
    let update = |update: ActKind, node| {
        let name = format!("{update:?} on node {node}, rename");
        let acts = [(node, update), (0, Rename("zhang3")), (0, Check(FIRST))];
        let scenario = Scenario {
            log_reads: [0, 1, 0],
            ..scenario(2, &acts)
        };
        (name, scenario)
    };
    let mut all = Explored::default();
    for node in [0, 1] {
        for act in [SignIn("b"), LookUp("b"), Refresh(FIRST)] {
            let (name, scenario) = update(act, node);
            all.add(&explore(&name, &scenario, schedules_max()));
        }
    }
    println!("renames and updates: {all}");
}

/// The sessions of every identity of the account have a copy of the login name.
#[test]
fn a_login_name_that_a_sign_in_changes_is_shown_from_then_on() {
    let mut all = Explored::default();
    for session in [SECOND, OF_OTHER_IDENTITY] {
        for of_session in [0, 1] {
            let acts = [
                (of_session, Find(session)),
                (0, SignInAs("zhang4")),
                (of_session, Check(session)),
            ];
            let scenario = Scenario {
                log_reads: [0, 1, 0],
                ..scenario(2, &acts)
            };
            let name = format!("a sign-in that renames, session {session} on node {of_session}");
            all.add(&explore(&name, &scenario, schedules_max()));
        }
    }
    println!("sign-ins that rename: {all}");
}

/// Any act on one of three nodes.
fn any_act() -> impl Strategy<Value = (usize, ActKind)> {
    let end = prop::sample::select(ends());
    let kind = prop_oneof![
        3 => (0..4_usize).prop_map(Find),
        2 => (0..4_usize).prop_map(Check),
        3 => end,
        1 => Just(Reopen),
        2 => prop::sample::select(vec!["b", "c", "initial"]).prop_map(SignIn),
        1 => prop::sample::select(vec!["b", "c", "initial"]).prop_map(LookUp),
        1 => Just(Rename("zhang3")),
        1 => Just(SignInAs("zhang4")),
        2 => Just(Refresh(FIRST)),
        1 => (1..3_usize).prop_map(Reload),
        1 => Just(Restart),
    ];
    (0..3_usize, kind)
}

#[test]
fn no_random_order_of_many_acts_on_three_nodes_shows_a_stale_allow() {
    let acts = prop::collection::vec(any_act(), 4..12);
    let choices = prop::collection::vec(any::<u8>(), 120);
    let config = Config {
        cases: RANDOM_SCENARIOS,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let all = std::cell::Cell::new(Explored::default());
    proptest!(config, |(acts in acts, choices in choices)| {
        let scenario = Scenario {
            log_reads: [3; NODES_MAX],
            ..scenario(3, &acts)
        };
        let mut sum = all.get();
        sum.add(&run_random("random", &scenario, &choices));
        all.set(sum);
    });
    println!("random orders: {}", all.get());
}
