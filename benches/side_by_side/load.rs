//! `Load`: concurrent clients that send requests one after another, at full speed or at a fixed
//! rate.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::grpc::{self, GrpcClient};
use crate::http1::Http1Client;

/// The result of a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The number of expected responses.
    pub(crate) answered: u64,
    /// The number of other responses and errors.
    pub(crate) failed: u64,
    /// The duration of the run.
    pub(crate) elapsed: Duration,
    /// The latency of each response in nanoseconds, unordered.
    pub(crate) latencies_ns: Vec<u32>,
}

/// The request that a load sends.
#[derive(Clone, Debug)]
pub(crate) enum LoadRequest {
    /// A request and the expected status; each client has its own connection.
    Http(Vec<u8>, u16),
    /// A `CheckRequest` that must be allowed, and the number of connections that the clients share.
    Grpc(Vec<u8>, usize),
}

/// Connected clients.
#[derive(Debug)]
pub(crate) struct Load(Vec<Client>);

/// A client that sends one request at a time.
#[derive(Debug)]
enum Client {
    Http(Http1Client),
    Grpc(GrpcClient),
}

impl Client {
    /// Sends the request; returns whether the response is the expected one.
    async fn exchange(&mut self) -> io::Result<bool> {
        match self {
            Self::Http(client) => client.exchange().await,
            Self::Grpc(client) => client.exchange().await,
        }
    }
}

impl Load {
    /// Connects the clients.
    pub(crate) async fn open(
        to: SocketAddr,
        request: &LoadRequest,
        clients: usize,
    ) -> io::Result<Self> {
        let mut connected = Vec::with_capacity(clients);
        match request {
            LoadRequest::Http(request, status) => {
                for _ in 0..clients {
                    let client = Http1Client::open(to, request.as_slice().into(), *status).await?;
                    connected.push(Client::Http(client));
                }
            }
            LoadRequest::Grpc(check_request, connections) => {
                let clients = grpc::open(to, check_request, clients, *connections).await?;
                connected.extend(clients.into_iter().map(Client::Grpc));
            }
        }
        Ok(Self(connected))
    }

    /// Sends one request with every client and returns the last response.
    pub(crate) async fn request_once(&mut self) -> io::Result<Vec<u8>> {
        let mut answer = Vec::new();
        for client in &mut self.0 {
            let is_expected = client.exchange().await?;
            answer = match client {
                Client::Http(client) => client.answer().to_vec(),
                Client::Grpc(client) => client.answer().to_vec(),
            };
            if !is_expected {
                let output = String::from_utf8_lossy(&answer);
                return Err(io::Error::other(format!("unexpected response:\n{output}")));
            }
        }
        Ok(answer)
    }

    /// Sends requests with every client for a duration, at least one each and at most
    /// `requests_max` in total.
    pub(crate) async fn run(&mut self, duration: Duration, requests_max: u64) -> io::Result<Tally> {
        let ends_at = Instant::now() + duration;
        let requests_per_client = requests_max.div_ceil(self.0.len() as u64);
        self.run_all(|_, client| run_unpaced(client, ends_at, requests_per_client))
            .await
    }

    /// Sends requests at a fixed rate. Latencies are measured from the scheduled time, so that a
    /// late response also counts in the latency of the requests after it.
    pub(crate) async fn run_at_rate(
        &mut self,
        per_second: u32,
        duration: Duration,
    ) -> io::Result<Tally> {
        let clients = u32::try_from(self.0.len()).map_err(io::Error::other)?;
        let requests_per_client =
            (f64::from(per_second) * duration.as_secs_f64() / f64::from(clients)) as u32;
        let between = Duration::from_secs(1) / per_second;
        let begin = Instant::now() + Duration::from_millis(10);
        let schedule = |index: u32| Schedule {
            first: begin + between * index,
            between: between * clients,
            requests: requests_per_client,
        };
        self.run_all(|index, client| run_scheduled(client, schedule(index)))
            .await
    }

    /// Runs all clients concurrently and sums their results.
    async fn run_all<F>(&mut self, run: impl Fn(u32, Client) -> F) -> io::Result<Tally>
    where
        F: Future<Output = (Client, Tally)> + Send + 'static,
    {
        let started_at = Instant::now();
        let mut tasks = JoinSet::new();
        for (index, client) in (0..).zip(self.0.drain(..)) {
            tasks.spawn(run(index, client));
        }
        let mut total = Tally::default();
        while let Some(joined) = tasks.join_next().await {
            let (client, tally) = joined.map_err(io::Error::other)?;
            total.answered += tally.answered;
            total.failed += tally.failed;
            total.latencies_ns.extend(tally.latencies_ns);
            self.0.push(client);
        }
        total.elapsed = started_at.elapsed();
        Ok(total)
    }
}

impl Tally {
    /// Counts a response; returns whether its client can go on.
    fn count(&mut self, answer: io::Result<bool>, since: Instant, now: Instant) -> bool {
        match answer {
            Ok(true) => self.answered += 1,
            Ok(false) | Err(_) => self.failed += 1,
        }
        let latency_ns = u32::try_from((now - since).as_nanos()).unwrap_or(u32::MAX);
        self.latencies_ns.push(latency_ns);
        answer.is_ok()
    }
}

async fn run_unpaced(mut client: Client, ends_at: Instant, requests_max: u64) -> (Client, Tally) {
    let mut tally = Tally::default();
    let mut sent_at = Instant::now();
    for _ in 0..requests_max {
        let answer = client.exchange().await;
        let now = Instant::now();
        if !tally.count(answer, sent_at, now) || now >= ends_at {
            break;
        }
        sent_at = now;
    }
    (client, tally)
}

/// The schedule of one client.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    first: Instant,
    between: Duration,
    requests: u32,
}

async fn run_scheduled(mut client: Client, schedule: Schedule) -> (Client, Tally) {
    let mut tally = Tally::default();
    for index in 0..schedule.requests {
        let due_at = schedule.first + schedule.between * index;
        // A timer would be up to a millisecond late.
        while Instant::now() < due_at {
            tokio::task::yield_now().await;
        }
        let answer = client.exchange().await;
        if !tally.count(answer, due_at, Instant::now()) {
            break;
        }
    }
    (client, tally)
}
