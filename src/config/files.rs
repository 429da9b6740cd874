//! The files that a configuration names.

use std::borrow::Cow;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::document::Document;
use super::error::Problem;
use super::parse_error::other_problem;
use super::text::ConfigText;
use super::{Config, ConfigError, TlsConfig, syntax};
use crate::keys;
use crate::login::connector::{ConnectorConfig, FileProblems};
use crate::secret::{SecretError, SecretSource};
use crate::setting::KeyPath;
use crate::site::{LOGO_BYTES_MAX, Logo, LogoError};
use crate::store::StoreUrl;
use crate::telemetry::error_chain;
use crate::text;
use crate::wording::{Text, full_path};

const FILE: Text = Text::fixed("file", "文件");
const SECRET_FILE: Text = Text::fixed("secret file", "密钥文件");

/// The most problems that are reported of one file that a connector reads.
const PROBLEMS_IN_FILE_MAX: usize = 20;

/// A file, and the setting that names it.
struct NamedFile<'a> {
    key_path: KeyPath<'a>,
    path: Cow<'a, Path>,
    /// `file` or `secret file`, for error messages.
    kind: Text,
}

/// The paths of all files, sorted.
pub(super) fn paths(config: &Config) -> Vec<PathBuf> {
    let mut paths: Vec<_> = named_files(config)
        .into_iter()
        .map(|file| file.path.into_owned())
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

/// Opens all files and reports those that cannot be opened or used, and secrets that are empty or malformed.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    let problems = problems(config);
    match problems.is_empty() {
        true => Ok(()),
        false => Err(ConfigError::new(&config.source, problems)),
    }
}

/// The problems of files that cannot be opened or used, and of secrets that are empty or malformed.
pub(super) fn problems(config: &Config) -> Vec<Problem> {
    let files = named_files(config);
    let unreadable = files.iter().filter_map(|file| problem(config, file));
    let secrets = config.secrets().into_iter();
    let absent = secrets.filter_map(|(key_path, secret)| absent_secret(config, &key_path, secret));
    unreadable
        .chain(absent)
        .chain(unusable_certificates(config))
        .chain(malformed_secrets(config))
        .chain(unusable_logo(config))
        .chain(problems_in_files(config))
        .collect()
}

/// The certificates and keys of the listeners that can be read and cannot be used.
fn unusable_certificates(config: &Config) -> Vec<Problem> {
    let tls = config.server.tls.iter();
    let problems = tls.flat_map(TlsConfig::problems).map(|(relative, error)| {
        let key_path = KeyPath::of(["server", "tls"]).join(relative);
        let message = Text::of(&error_chain(&error));
        let problem = Problem::at_value(&config.source, &key_path, message);
        problem.with_help(text!(
            "certificate names a PEM file with the certificate first, and key one with its private \
             key, without a password",
            "certificate 应指向 PEM 文件，证书在最前；key 应指向它的私钥文件，PEM 格式，没有密码"
        ))
    });
    problems.collect()
}

/// The secrets that can be read and do not have the form that they must have.
fn malformed_secrets(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, source) in config.session.keys.iter().enumerate() {
        let error = source.read().ok().and_then(|key| keys::problem_of(&key));
        if let Some(error) = error {
            let key_path = KeyPath::of(["session", "keys"]).item(index);
            let problem = Problem::at_value(&config.source, &key_path, Text::of(&error));
            problems.push(problem.with_help(text!(
                "make one with: menshen keygen > FILE",
                "用 menshen keygen > 文件 生成"
            )));
        }
    }
    for (id, connector) in &config.connector {
        for kind in connector.configured_kinds() {
            for (relative, source) in kind.secrets() {
                let text = source.read().ok();
                let found = text.and_then(|text| kind.malformed_secret(relative.steps(), &text));
                let Some((message, help)) = found else {
                    continue;
                };
                let key_path = KeyPath::of(["connector", id.as_str()]).join(relative);
                let problem = Problem::at_value(&config.source, &key_path, message);
                problems.push(problem.with_help(help));
            }
        }
    }
    problems
}

fn problem(config: &Config, file: &NamedFile<'_>) -> Option<Problem> {
    let error = File::open(&file.path).err()?;
    let (kind, path) = (&file.kind, full_path(&file.path));
    let message = text!(
        "read the {kind} {path}: {error}",
        "无法读取{kind:#} {path}：{error}"
    );
    let problem = Problem::at_value(&config.source, &file.key_path, message);
    let help = text!(
        "the file must exist, and the user of menshen must be allowed to read it",
        "文件必须存在，运行 menshen 的用户必须有权读取"
    );
    Some(problem.with_help(match relative_path_help(&file.path) {
        Some(folder) => text!("{help}; {folder}", "{help:#}；{folder:#}"),
        None => help,
    }))
}

/// The help for a relative path: the folder in which it begins.
fn relative_path_help(path: &Path) -> Option<Text> {
    let folder = path.is_relative().then(std::env::current_dir)?.ok()?;
    let folder = folder.display();
    Some(text!(
        "a path without a leading / begins in the folder in which menshen was started: {folder}",
        "不以 / 开头的路径从启动 menshen 的目录算起：{folder}"
    ))
}

/// The problem of an environment variable that is not set, or of an empty secret: nobody is authenticated with one, and
/// some sources take an empty password for no password.
fn absent_secret(
    config: &Config,
    key_path: &KeyPath<'_>,
    secret: &SecretSource,
) -> Option<Problem> {
    let error = secret.read().err()?;
    let message = Text::of(&error);
    match error {
        SecretError::Empty { .. } => {
            let problem = Problem::at_value(&config.source, key_path, message);
            Some(problem.with_help(text!("write the secret there", "请把密钥写到那里")))
        }
        SecretError::Env { .. } => {
            let span = config.source.value_span(key_path);
            Some(other_problem(&config.source, span, &message))
        }
        // It is reported with the other files.
        SecretError::File { .. } => None,
    }
}

/// What is wrong inside of the files that connectors read.
fn problems_in_files(config: &Config) -> Vec<Problem> {
    let connectors = config.connector.values();
    let kinds = connectors.flat_map(ConnectorConfig::configured_kinds);
    let mut problems = Vec::new();
    for FileProblems {
        name,
        text,
        problems: found,
    } in kinds.filter_map(|kind| kind.file_problems())
    {
        let text = text.expose();
        let document = Document::parse(text);
        let source = ConfigText::new(text, &name, Document::default());
        let found = match document {
            Ok(_) => found
                .into_iter()
                .map(|(span, message)| other_problem(&source, span, &message))
                .collect(),
            Err(error) => syntax::problems(&source, &error),
        };
        let found = found.into_iter().take(PROBLEMS_IN_FILE_MAX);
        problems.extend(found.map(|problem| problem.in_file(&source)));
    }
    problems
}

fn unusable_logo(config: &Config) -> Option<Problem> {
    let path = config.pages.logo.as_deref()?;
    let error = Logo::read(path).err()?;
    if matches!(error, LogoError::Read { .. }) {
        // It is reported with the other files.
        return None;
    }
    let key_path = KeyPath::of(["pages", "logo"]);
    let problem = Problem::at_value(&config.source, &key_path, error.text());
    Some(problem.with_help(text!(
        "an SVG without scripts, or a PNG, of at most {LOGO_BYTES_MAX} bytes",
        "请使用不含脚本的 SVG 或 PNG，不超过 {LOGO_BYTES_MAX} 字节"
    )))
}

fn named_files<'a>(config: &'a Config) -> Vec<NamedFile<'a>> {
    let mut files = Vec::new();
    if let StoreUrl::Postgres(url) = &config.store.url {
        files.extend(url.files().map(|path| NamedFile {
            key_path: KeyPath::of(["store", "url"]),
            path: path.into(),
            kind: FILE,
        }));
    }
    let mut add = |key_path: KeyPath<'a>, path: &'a Path, kind: Text| {
        files.push(NamedFile {
            key_path,
            path: path.into(),
            kind,
        });
    };
    let tls = config.server.tls.iter();
    for (relative, path) in tls.flat_map(TlsConfig::named_files) {
        add(KeyPath::of(["server", "tls"]).join(relative), path, FILE);
    }
    for (id, connector) in &config.connector {
        let table = KeyPath::of(["connector", id.as_str()]);
        if let Some(ca) = &connector.ca {
            add(table.clone().key("ca"), ca, FILE);
        }
        for (relative, path) in connector.configured_kinds().flat_map(|kind| kind.files()) {
            add(table.clone().join(relative), path, FILE);
        }
    }
    for (id, issuer) in &config.issuer {
        if let Some(ca) = &issuer.ca {
            add(KeyPath::of(["issuer", id.as_str(), "ca"]), ca, FILE);
        }
    }
    if let Some(logo) = &config.pages.logo {
        add(KeyPath::of(["pages", "logo"]), logo, FILE);
    }
    for (index, route) in config.route.iter().enumerate() {
        let tls = route.upstream_tls.iter();
        for path in tls.flat_map(|tls| tls.files()) {
            let key_path = KeyPath::of(["route"]).item(index).key("upstream_tls");
            add(key_path, path, FILE);
        }
    }
    for (key_path, secret) in config.secrets() {
        if let Some(path) = secret.file() {
            add(key_path, path, SECRET_FILE);
        }
    }
    files
}
