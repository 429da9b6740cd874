//! `menshen run`: serves until a signal stops it, and reloads the configuration.

use std::path::{Path, PathBuf};

use menshen::clock::Clock;
use menshen::config::{Config, Warning};
use menshen::run::watch::FileWatcher;
use menshen::run::{self, Running};
use menshen::telemetry;
use menshen::wording::Text;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::failure::without_label;
use super::{Failure, load, warnings};

/// Serves until a signal stops it.
pub(super) async fn run(path: &Path) -> Result<(), Failure> {
    // The watcher starts before the file is read, so that no change in between is lost.
    let mut watch = FileWatcher::new(vec![path.to_owned()]).await;
    let config = load(path).await?;
    telemetry::init(&config.log).map_err(|error| Failure::refused(&error))?;
    for warning in warnings(&config) {
        log_warning(&warning);
    }
    let mut signals = Signals::new()?;
    watch.set_files(watched_files(path, &config)).await;
    let running = run::start(config, Clock::system()).await?;
    for warning in running.absent_caller_warnings() {
        log_warning(&warning);
    }
    notify_systemd(&[NotifyState::Ready]);
    let admin = running.admin_address().map(tracing::field::display);
    let console = running.console_address().map(tracing::field::display);
    tracing::info!(addresses = ?running.addresses(), admin, console, "serving");
    loop {
        tokio::select! {
            _ = signals.hangup.recv() => reload(path, &running, &mut watch).await,
            () = watch.changed() => reload(path, &running, &mut watch).await,
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
        }
    }
    notify_systemd(&[NotifyState::Stopping]);
    tracing::info!("draining; another signal stops at once");
    tokio::select! {
        () = running.stop() => {}
        _ = signals.terminate.recv() => {}
        _ = signals.interrupt.recv() => {}
    }
    Ok(())
}

/// Applies the current configuration file, or logs why it is refused.
async fn reload(path: &Path, running: &Running, watch: &mut FileWatcher) {
    let config = match load(path).await {
        Ok(config) => config,
        Err(failure) => {
            running.note_unparsable_config();
            let error = without_label(failure.why());
            tracing::error!(error, "the configuration was not reloaded");
            return;
        }
    };
    // Even if the configuration is refused below: a file that it names may need the fix.
    watch.set_files(watched_files(path, &config)).await;
    match running.reload(config).await {
        Ok(needed) if needed.is_empty() => tracing::info!("the configuration was reloaded"),
        Ok(needed) => tracing::warn!(
            ?needed,
            "the configuration was reloaded; these changes need a restart"
        ),
        Err(error) => {
            let error = Text::of(&telemetry::error_chain(&error));
            let error = error.for_operator();
            tracing::error!(error, "the configuration was not reloaded");
        }
    }
}

fn log_warning(warning: &Warning) {
    let text = warning.text.for_operator();
    tracing::warn!(key = warning.key, line = warning.line, "{text}");
}

/// The configuration file and every file that it names.
fn watched_files(path: &Path, config: &Config) -> Vec<PathBuf> {
    let mut files = config.files();
    files.push(path.to_owned());
    files
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let on = |kind| signal(kind).map_err(|error| Failure::refused(&error));
        Ok(Self {
            hangup: on(SignalKind::hangup())?,
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
        })
    }
}

/// Notifies systemd; does nothing if menshen was not started by it.
fn notify_systemd(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd was not notified");
    }
}
