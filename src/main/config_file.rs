//! Reads the configuration file and collects its warnings.

use std::io::ErrorKind;
use std::path::Path;

use menshen::config::{Config, Warning};
use menshen::open_files::OpenFiles;
use menshen::text;

use super::Failure;

/// The longest configuration file that is accepted, in bytes.
const CONFIG_BYTES_MAX: u64 = 4 << 20;

/// Reads and parses the configuration.
pub(super) async fn load(path: &Path) -> Result<Config, Failure> {
    let content = read_content(path).await?;
    let parsed = Config::parse_bytes(&content, &path.display().to_string());
    parsed.map_err(|error| Failure::invalid(&error))
}

/// Reads the configuration file.
pub(super) async fn read_content(path: &Path) -> Result<Vec<u8>, Failure> {
    let name = path.display();
    let unreadable = |error: std::io::Error| {
        Failure::because(&match error.kind() {
            ErrorKind::PermissionDenied => text!(
                "read {name}: {error}; the user that menshen runs as must be able to read it (chgrp menshen, \
                 chmod 640)",
                "无法读取 {name}：{error}；运行 menshen 的用户必须有权读取（chgrp menshen，chmod 640）"
            ),
            ErrorKind::NotFound => text!(
                "read {name}: {error}; name one with -c FILE or MENSHEN_CONFIG; conf/minimal.toml is the \
                 smallest",
                "无法读取 {name}：{error}；用 -c 文件 或 MENSHEN_CONFIG 指定；最小的例子是 conf/minimal.toml"
            ),
            _ => text!("read {name}: {error}", "无法读取 {name}：{error}"),
        })
    };
    let size = tokio::fs::metadata(path).await.map_err(unreadable)?.len();
    if size > CONFIG_BYTES_MAX {
        return Err(Failure::because(&text!(
            "{name} is longer than {CONFIG_BYTES_MAX} bytes",
            "{name} 超过 {CONFIG_BYTES_MAX} 字节"
        )));
    }
    tokio::fs::read(path).await.map_err(unreadable)
}

/// The warnings about a configuration, the files it names and the limits of the system.
pub(super) fn warnings(config: &Config) -> impl Iterator<Item = Warning> {
    let of_files = config.file_warnings();
    let of_system = config.system_warnings(OpenFiles::of_process());
    let all = config.warnings().into_iter().chain(of_files);
    all.chain(of_system)
}
