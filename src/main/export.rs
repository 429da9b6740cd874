//! `menshen export`: prints managed connectors as TOML, and writes their secrets into a folder. Reads the store
//! itself, so it works beside a running server and without one.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use menshen::clock::Clock;
use menshen::config::Config;
use menshen::run::{self, Export, ExportError, StartError};
use menshen::site::settings::{SecretPlaces, StoredSecret};
use menshen::store::{self, Store, StoreError};
use menshen::telemetry::{AuditEvent, AuditRecord, error_chain};

use super::{Failure, command_audit, print};

/// Which settings are exported, and where their secrets go.
#[derive(Debug, clap::Args)]
pub(super) struct ExportArguments {
    /// An older version.
    #[arg(long, value_name = "N")]
    version: Option<u64>,
    /// Write the secrets into files in this folder, which must be empty or not exist yet. Absent: comments
    /// name the environment variables for them.
    #[arg(long, value_name = "DIR")]
    secrets: Option<PathBuf>,
}

pub(super) async fn run(config: &Config, arguments: ExportArguments) -> Result<(), Failure> {
    let version = arguments.version;
    let Some(folder) = arguments.secrets else {
        let exported = run::export(config, version, &SecretPlaces::Environment).await?;
        return print(exported.toml.trim_end());
    };
    let folder = SecretFolder::check(&folder)?;
    let exported = run::export(config, version, &folder.places).await?;
    let files = folder.files(&exported.secrets)?;
    if !files.is_empty() {
        note_in_audit_trail(config, &exported, &folder.path).await?;
    }
    folder.write(&files)?;
    print(exported.toml.trim_end())
}

/// Adds the line about the secrets to the audit trail. Without it nothing is exported.
async fn note_in_audit_trail(
    config: &Config,
    exported: &Export,
    folder: &Path,
) -> Result<(), Failure> {
    let options = config.store.options();
    let options = options.map_err(|error| Failure::refused(&error))?;
    let store = store::open(&config.store.url, &options).await;
    let store: Arc<dyn Store> = store.map_err(|error| unavailable(&error))?;
    let fields = exported.secrets.iter().map(|secret| secret.field.as_str());
    let fields: Vec<_> = fields.collect();
    let reason = format!(
        "the secrets of the managed settings were exported to {}: {}",
        folder.display(),
        fields.join(", ")
    );
    let record = AuditRecord {
        by: Some("menshen export"),
        reason: Some(&reason),
        version: Some(exported.version),
        ..AuditRecord::new(AuditEvent::Config, Clock::system().now())
    };
    match command_audit::store_line(&store, &record).await {
        true => Ok(()),
        false => Err(Failure::Unavailable(
            "no secret was exported: the audit trail takes no line about it".to_owned(),
        )),
    }
}

/// The folder for the secrets.
struct SecretFolder {
    path: PathBuf,
    places: SecretPlaces,
    is_there: bool,
}

impl SecretFolder {
    /// Accepts a folder that is missing, or empty and of this user alone.
    fn check(path: &Path) -> Result<Self, Failure> {
        let refuse = |why: &str| {
            let path = path.display();
            Err(Failure::Refused(format!("the folder {path} {why}")))
        };
        let absolute = std::path::absolute(path);
        let absolute = absolute.map_err(|error| failed("use", path, &error))?;
        let Some(text) = absolute.to_str() else {
            return refuse("has a name that is not UTF-8: choose another one");
        };
        let is_there = match std::fs::symlink_metadata(&absolute) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(failed("look at", path, &error)),
            Ok(found) if !found.is_dir() => {
                return refuse("is not a folder: choose one that is empty or does not exist");
            }
            Ok(found) if found.uid() != rustix::process::geteuid().as_raw() => {
                return refuse("belongs to another user: choose one that does not exist yet");
            }
            Ok(found) if found.mode() & 0o077 != 0 => {
                return refuse("can be read by others: run `chmod 700` on it first");
            }
            Ok(_) => true,
        };
        if is_there {
            let mut entries = std::fs::read_dir(&absolute);
            let first = entries.as_mut().map(Iterator::next);
            if first
                .map_err(|error| failed("read", path, error))?
                .is_some()
            {
                return refuse("is not empty: choose one that is empty or does not exist");
            }
        }
        Ok(Self {
            places: SecretPlaces::Files(text.to_owned()),
            path: absolute,
            is_there,
        })
    }

    /// The files of the secrets. Each is in this folder itself.
    fn files<'s>(
        &self,
        secrets: &'s [StoredSecret],
    ) -> Result<Vec<(PathBuf, &'s StoredSecret)>, Failure> {
        let files = secrets.iter().map(|secret| {
            let path = PathBuf::from(&secret.place);
            let is_within = path.parent() == Some(&*self.path) && path.file_name().is_some();
            match is_within && path.components().count() == self.path.components().count() + 1 {
                true => Ok((path, secret)),
                false => Err(Failure::Refused(format!(
                    "{} cannot be the name of a file: rename the secret",
                    secret.field
                ))),
            }
        });
        files.collect()
    }

    /// Writes all files, or none.
    fn write(&self, files: &[(PathBuf, &StoredSecret)]) -> Result<(), Failure> {
        if !self.is_there {
            let made = std::fs::DirBuilder::new().mode(0o700).create(&self.path);
            made.map_err(|error| failed("make", &self.path, &error))?;
        }
        for (number, (path, secret)) in files.iter().enumerate() {
            if let Err(error) = write_new(path, secret) {
                for (written, _) in &files[..=number] {
                    // What cannot be removed is left.
                    let _ = std::fs::remove_file(written);
                }
                return Err(failed("write", path, &error));
            }
        }
        Ok(())
    }
}

fn write_new(path: &Path, secret: &StoredSecret) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(secret.secret.expose().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::Refused(format!("{what} {}: {error}", path.display()))
}

fn unavailable(error: &StoreError) -> Failure {
    Failure::Unavailable(error_chain(error).to_string())
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        let why = error_chain(&error).to_string();
        match error {
            ExportError::Start(StartError::Store(_)) => Self::Unavailable(why),
            ExportError::Start(_)
            | ExportError::Settings(_)
            | ExportError::NoVersion(_)
            | ExportError::Keys(_) => Self::Refused(why),
        }
    }
}
