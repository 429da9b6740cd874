//! The explorer: lets the events of a scenario happen in every order that makes a difference, or, if there are
//! too many, in some of them and in random orders.
//!
//! It runs each schedule from the beginning, depth first. Of schedules that differ only in the order of events
//! that commute it runs one (sleep sets, as in Godefroid's partial-order methods).

use std::fmt;

use tokio::runtime::Runtime;

use super::event::Event;
use super::fixture::Fixture;
use super::world::{Scenario, World};

/// What was explored.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Explored {
    pub(super) schedules: usize,
    /// Schedules that were given up, because each continuation is part of another schedule.
    pub(super) pruned: usize,
    pub(super) allowed: usize,
    pub(super) refused: usize,
    longest: usize,
    /// Scenarios of which every schedule was explored, and others.
    pub(super) whole: usize,
    partly: usize,
}

impl Explored {
    pub(super) fn add(&mut self, other: &Self) {
        self.schedules += other.schedules;
        self.pruned += other.pruned;
        self.allowed += other.allowed;
        self.refused += other.refused;
        self.longest = self.longest.max(other.longest);
        self.whole += other.whole;
        self.partly += other.partly;
    }
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            schedules,
            pruned,
            allowed,
            refused,
            longest,
            whole,
            partly,
        } = self;
        write!(
            f,
            "{schedules} schedules of up to {longest} events explored, {pruned} left out as the same \
             ({whole} scenarios explored whole, {partly} in part); {allowed} requests allowed, {refused} refused"
        )
    }
}

/// A point at which several events were possible.
struct Choice {
    events: Vec<Event>,
    /// Events that come next only in schedules that were explored already.
    asleep: Vec<Event>,
    chosen: usize,
}

impl Choice {
    /// The choice of the first event that is not asleep.
    fn first(events: Vec<Event>, asleep: Vec<Event>) -> Option<Self> {
        let chosen = events.iter().position(|event| !asleep.contains(event))?;
        Some(Self {
            events,
            asleep,
            chosen,
        })
    }

    fn event(&self) -> Event {
        self.events[self.chosen]
    }

    /// Chooses the next event; false if there is none.
    fn advance(&mut self) -> bool {
        self.asleep.push(self.event());
        let awake = |event: &Event| !self.asleep.contains(event);
        match self.events.iter().position(awake) {
            Some(next) => {
                self.chosen = next;
                true
            }
            None => false,
        }
    }

    /// The events that are asleep after the chosen one.
    fn asleep_after(&self) -> Vec<Event> {
        let chosen = self.event();
        let mut asleep = self.asleep.clone();
        asleep.retain(|event| event.commutes_with(&chosen));
        asleep
    }
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

/// The most choices of a random schedule; after them the first event is chosen.
const RANDOM_CHOICES: usize = 120;

/// Runs every schedule of a scenario; if there are more than `max`, only `max` of them, depth first, and as
/// many random ones, which are the same in each run.
///
/// # Panics
/// A promise is broken.
pub(super) fn explore(name: &str, scenario: &Scenario, max: usize) -> Explored {
    Fixture::get();
    let mut explored = Explored::default();
    let mut path: Vec<Choice> = Vec::new();
    while explored.schedules + explored.pruned < max {
        runtime().block_on(follow(name, scenario, &mut path, &mut explored));
        while path.last_mut().is_some_and(|choice| !choice.advance()) {
            path.pop();
        }
        if path.is_empty() {
            explored.whole = 1;
            return explored;
        }
    }
    explored.partly = 1;
    let mut random = Random(
        name.bytes()
            .fold(1, |seed, byte| Random(seed ^ u64::from(byte)).next_number()),
    );
    for _ in 0..max {
        let choices = std::iter::repeat_with(|| random.next_number().to_le_bytes()[7]);
        let choices: Vec<_> = choices.take(RANDOM_CHOICES).collect();
        let random = run_random(&format!("{name}, {choices:?}"), scenario, &choices);
        explored.add(&random);
    }
    explored
}

/// Numbers that look random (Steele and others' SplitMix64), the same in each run.
struct Random(u64);

impl Random {
    fn next_number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let number = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }
}

/// Repeats the choices of `path`, and continues with new ones until the schedule ends.
async fn follow(name: &str, scenario: &Scenario, path: &mut Vec<Choice>, explored: &mut Explored) {
    let mut world = World::start(scenario).await;
    for choice in path.iter() {
        let events = world.events().await;
        assert!(
            events == choice.events,
            "the nodes behave differently: {:#?}",
            world.trace
        );
        world.perform(&choice.event()).await;
    }
    loop {
        let events = world.events().await;
        if events.is_empty() {
            break;
        }
        let asleep = path.last().map_or_else(Vec::new, Choice::asleep_after);
        let Some(choice) = Choice::first(events, asleep) else {
            explored.pruned += 1;
            return;
        };
        world.perform(&choice.event()).await;
        path.push(choice);
    }
    explored.longest = explored.longest.max(path.len());
    finish(name, scenario, world, explored).await;
}

async fn finish(name: &str, scenario: &Scenario, mut world: World, explored: &mut Explored) {
    world.finish().await;
    let promises = world.shared.promises.lock().unwrap();
    if let Some(broken) = &promises.broken {
        panic!("{name}: {broken}\n{:#?}\n{:#?}", scenario.acts, world.trace);
    }
    explored.schedules += 1;
    explored.allowed += promises.allowed;
    explored.refused += promises.refused;
}

/// Runs one schedule. Each number of `choices` chooses one of the possible events; after the last one, the
/// first event is chosen.
///
/// # Panics
/// A promise is broken.
pub(super) fn run_random(name: &str, scenario: &Scenario, choices: &[u8]) -> Explored {
    Fixture::get();
    let mut explored = Explored::default();
    runtime().block_on(async {
        let mut world = World::start(scenario).await;
        let mut choices = choices.iter();
        loop {
            let events = world.events().await;
            if events.is_empty() {
                break;
            }
            let choice = choices.next().copied().unwrap_or(0);
            let event = events[usize::from(choice) % events.len()];
            world.perform(&event).await;
            explored.longest += 1;
        }
        finish(name, scenario, world, &mut explored).await;
    });
    explored
}
