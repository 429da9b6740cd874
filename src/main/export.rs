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
use menshen::store::{self, Store};
use menshen::telemetry::{AuditEvent, AuditRecord};
use menshen::text;
use menshen::wording::Text;

use super::failure::{Failure, chain};
use super::{command_audit, print};

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
    let store: Arc<dyn Store> = store.map_err(|error| Failure::unavailable(&error))?;
    let fields = exported.secrets.iter().map(|secret| secret.field.as_str());
    let fields: Vec<_> = fields.collect();
    let (folder, fields) = (folder.display(), fields.join(", "));
    let reason = text!(
        "the secrets of the managed settings were exported to {folder}: {fields}",
        "托管设置的密钥已导出到 {folder}：{fields}"
    );
    let record = AuditRecord {
        by: Some("menshen export"),
        reason: Some(&reason),
        version: Some(exported.version),
        ..AuditRecord::new(AuditEvent::Config, Clock::system().now())
    };
    match command_audit::store_line(&store, &record).await {
        true => Ok(()),
        false => Err(Failure::Unavailable(text!(
            "no secret was exported: the audit trail takes no line about it",
            "没有导出密钥：无法写入审计日志"
        ))),
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
        let refuse = |why: Text| {
            let path = path.display();
            Err(Failure::Refused(text!(
                "the folder {path} {why}",
                "{path} {why:#}"
            )))
        };
        let absolute = std::path::absolute(path);
        let absolute = absolute.map_err(|error| failed(&USE, path, &error))?;
        let Some(text) = absolute.to_str() else {
            return refuse(text!(
                "has a name that is not UTF-8: choose another one",
                "的名称不是 UTF-8：请换一个"
            ));
        };
        let is_there = match std::fs::symlink_metadata(&absolute) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(failed(&LOOK_AT, path, &error)),
            Ok(found) if !found.is_dir() => {
                return refuse(text!(
                    "is not a folder: choose one that is empty or does not exist",
                    "不是目录：请选择空的或还不存在的目录"
                ));
            }
            Ok(found) if found.uid() != rustix::process::geteuid().as_raw() => {
                return refuse(text!(
                    "belongs to another user: choose one that does not exist yet",
                    "属于别的用户：请选择还不存在的目录"
                ));
            }
            Ok(found) if found.mode() & 0o077 != 0 => {
                return refuse(text!(
                    "can be read by others: run `chmod 700` on it first",
                    "可以被别人读取：请先对它执行 `chmod 700`"
                ));
            }
            Ok(_) => true,
        };
        if is_there {
            let mut entries = std::fs::read_dir(&absolute);
            let first = entries.as_mut().map(Iterator::next);
            if first.map_err(|error| failed(&READ, path, error))?.is_some() {
                return refuse(text!(
                    "is not empty: choose one that is empty or does not exist",
                    "不是空的：请选择空的或还不存在的目录"
                ));
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
            let field = &secret.field;
            match is_within && path.components().count() == self.path.components().count() + 1 {
                true => Ok((path, secret)),
                false => Err(Failure::Refused(text!(
                    "{field} cannot be the name of a file: rename the secret",
                    "{field} 不能作为文件名：请给这个密钥改名"
                ))),
            }
        });
        files.collect()
    }

    /// Writes all files, or none.
    fn write(&self, files: &[(PathBuf, &StoredSecret)]) -> Result<(), Failure> {
        if !self.is_there {
            let made = std::fs::DirBuilder::new().mode(0o700).create(&self.path);
            made.map_err(|error| failed(&MAKE, &self.path, &error))?;
        }
        for (number, (path, secret)) in files.iter().enumerate() {
            if let Err(error) = write_new(path, secret) {
                for (written, _) in &files[..=number] {
                    // What cannot be removed is left.
                    let _ = std::fs::remove_file(written);
                }
                return Err(failed(&WRITE, path, &error));
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

const USE: Text = Text::fixed("use", "无法使用");
const LOOK_AT: Text = Text::fixed("look at", "无法查看");
const READ: Text = Text::fixed("read", "无法读取");
const MAKE: Text = Text::fixed("make", "无法建立");
const WRITE: Text = Text::fixed("write", "无法写入");

fn failed(what: &Text, path: &Path, error: &std::io::Error) -> Failure {
    let path = path.display();
    Failure::Refused(text!("{what} {path}: {error}", "{what:#} {path}：{error}"))
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        let why = chain(&error);
        match error {
            ExportError::Start(StartError::Store(_)) => Self::Unavailable(why),
            ExportError::Start(_)
            | ExportError::Settings(_)
            | ExportError::NoVersion(_)
            | ExportError::Keys(_) => Self::Refused(why),
        }
    }
}
