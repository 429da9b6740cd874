//! The load: so many lines, each asking again as soon as it was answered, or when it is time.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::grpc::{self, Call};
use crate::wire::Wire;

/// What came of a load.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Answers as they were to be, read to their end.
    pub(crate) answered: u64,
    /// Everything else.
    pub(crate) failed: u64,
    /// How long it went on.
    pub(crate) elapsed: Duration,
    /// How long each answer took, in nanoseconds, in no order.
    pub(crate) latencies_ns: Vec<u32>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// A request, and the status that is to be answered; one connection a line.
    Http(Vec<u8>, u16),
    /// A `CheckRequest`, to be answered with OK; the lines share so many connections.
    Grpc(Vec<u8>, usize),
}

/// Open lines to whom is asked.
#[derive(Debug)]
pub(crate) struct Load(Vec<Line>);

/// One question at a time.
#[derive(Debug)]
enum Line {
    Http(Wire),
    Grpc(Call),
}

impl Line {
    /// Asks; whether the answer is what it is to be.
    async fn exchange(&mut self) -> io::Result<bool> {
        match self {
            Self::Http(wire) => wire.exchange().await,
            Self::Grpc(call) => call.exchange().await,
        }
    }
}

impl Load {
    /// Opens the lines.
    pub(crate) async fn open(to: SocketAddr, ask: &Ask, lines: usize) -> io::Result<Self> {
        let mut open = Vec::with_capacity(lines);
        match ask {
            Ask::Http(request, status) => {
                for _ in 0..lines {
                    let wire = Wire::open(to, request.as_slice().into(), *status).await?;
                    open.push(Line::Http(wire));
                }
            }
            Ask::Grpc(question, connections) => {
                let calls = grpc::open(to, question, lines, *connections).await?;
                open.extend(calls.into_iter().map(Line::Grpc));
            }
        }
        Ok(Self(open))
    }

    /// Asks once on every line; the bytes of one answer.
    pub(crate) async fn once(&mut self) -> io::Result<Vec<u8>> {
        let mut answer = Vec::new();
        for line in &mut self.0 {
            let good = line.exchange().await?;
            answer = match line {
                Line::Http(wire) => wire.answer().to_vec(),
                Line::Grpc(call) => call.answer().to_vec(),
            };
            if !good {
                let said = String::from_utf8_lossy(&answer);
                return Err(io::Error::other(format!("it was answered\n{said}")));
            }
        }
        Ok(answer)
    }

    /// Asks on every line for so long, and at least once; at most `requests_max` in all.
    pub(crate) async fn run(&mut self, lasting: Duration, requests_max: u64) -> io::Result<Tally> {
        let until = Instant::now() + lasting;
        let each = requests_max.div_ceil(self.0.len() as u64);
        self.spread(|_, line| ask(line, until, each)).await
    }

    /// Asks so often a second, by a schedule that waits for nobody: whatever is late, also because
    /// the answer before was, is late by the schedule.
    pub(crate) async fn paced(&mut self, per_second: u32, lasting: Duration) -> io::Result<Tally> {
        let lines = u32::try_from(self.0.len()).map_err(io::Error::other)?;
        let each = (f64::from(per_second) * lasting.as_secs_f64() / f64::from(lines)) as u32;
        let between = Duration::from_secs(1) / per_second;
        let begin = Instant::now() + Duration::from_millis(10);
        let schedule = |place: u32| Schedule {
            first: begin + between * place,
            between: between * lines,
            times: each,
        };
        self.spread(|place, line| ask_on_time(line, schedule(place)))
            .await
    }

    /// Lets every line ask at once, and adds up.
    async fn spread<F>(&mut self, asks: impl Fn(u32, Line) -> F) -> io::Result<Tally>
    where
        F: Future<Output = (Line, Tally)> + Send + 'static,
    {
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for (place, line) in (0..).zip(self.0.drain(..)) {
            tasks.spawn(asks(place, line));
        }
        let mut total = Tally::default();
        while let Some(joined) = tasks.join_next().await {
            let (line, tally) = joined.map_err(io::Error::other)?;
            total.answered += tally.answered;
            total.failed += tally.failed;
            total.latencies_ns.extend(tally.latencies_ns);
            self.0.push(line);
        }
        total.elapsed = began.elapsed();
        Ok(total)
    }
}

impl Tally {
    /// Counts an answer; whether more can be asked on its line.
    fn count(&mut self, answer: io::Result<bool>, since: Instant, now: Instant) -> bool {
        match answer {
            Ok(true) => self.answered += 1,
            Ok(false) | Err(_) => self.failed += 1,
        }
        let took = u32::try_from((now - since).as_nanos()).unwrap_or(u32::MAX);
        self.latencies_ns.push(took);
        answer.is_ok()
    }
}

async fn ask(mut line: Line, until: Instant, requests_max: u64) -> (Line, Tally) {
    let mut tally = Tally::default();
    let mut sent = Instant::now();
    for _ in 0..requests_max {
        let answer = line.exchange().await;
        let now = Instant::now();
        if !tally.count(answer, sent, now) || now >= until {
            break;
        }
        sent = now;
    }
    (line, tally)
}

/// When one line asks.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    first: Instant,
    between: Duration,
    times: u32,
}

async fn ask_on_time(mut line: Line, schedule: Schedule) -> (Line, Tally) {
    let mut tally = Tally::default();
    for place in 0..schedule.times {
        let due = schedule.first + schedule.between * place;
        // A timer would be late by up to a millisecond.
        while Instant::now() < due {
            tokio::task::yield_now().await;
        }
        let answer = line.exchange().await;
        if !tally.count(answer, due, Instant::now()) {
            break;
        }
    }
    (line, tally)
}
