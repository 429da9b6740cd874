//! Checks a [`ConnectorTable`] as the configuration file is checked.

use serde_json::Value;

use super::error::FieldProblem;
use super::table::ConnectorTable;
use super::types::PROBLEMS_MAX;
use super::{Config, RouteDestinations, seal};
use crate::login::connector::ConnectorConfig;
use crate::login::{ConnectorSurroundings, connector_problems};
use crate::secret::SecretSource;
use crate::setting::KeyPath;
use crate::store::ConnectorId;
use crate::text;

/// The longest text, in bytes; a PEM text has line breaks.
const TEXT_BYTES_MAX: usize = 8 * 1024;
const PEM_BYTES_MAX: usize = 64 * 1024;

/// The deepest nesting of tables and lists.
const DEPTH_MAX: usize = 16;

/// The most values in a table.
const VALUES_MAX: usize = 4_096;

/// The problems of the JSON itself: too large, control characters, or what stands for sealed secrets; at most
/// [`PROBLEMS_MAX`] and one more.
///
/// # Errors
/// There are too many values or problems to look at all of them: nothing else of the table is checked.
pub(super) fn json_problems(
    table: &ConnectorTable,
) -> Result<Vec<FieldProblem>, Vec<FieldProblem>> {
    let mut found = JsonProblems {
        list: Vec::new(),
        values: 0,
    };
    for (key, value) in table.expose() {
        found.check(key, value, 1);
    }
    if found.values > VALUES_MAX {
        let help = text!("at most {VALUES_MAX}", "最多 {VALUES_MAX} 个");
        found.list.push(FieldProblem::new(
            "",
            text!("there are too many values", "值太多"),
            help,
        ));
    }
    match found.is_full() {
        true => Err(found.list),
        false => Ok(found.list),
    }
}

/// The path of a key in the table at this path.
pub(super) fn below(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

struct JsonProblems {
    list: Vec<FieldProblem>,
    values: usize,
}

impl JsonProblems {
    /// Whether no further value is looked at. Otherwise a body of 1 MiB would have an answer of 100 MB.
    fn is_full(&self) -> bool {
        self.values > VALUES_MAX || self.list.len() >= PROBLEMS_MAX
    }

    fn check(&mut self, path: &str, value: &Value, depth: usize) {
        if self.is_full() {
            return;
        }
        self.values += 1;
        if self.values > VALUES_MAX {
            return;
        }
        if depth > DEPTH_MAX {
            let message = text!("it is nested too deeply", "嵌套太深");
            self.list.push(FieldProblem::new(
                path,
                message,
                text!("remove some", "请删除一些"),
            ));
            return;
        }
        match value {
            Value::String(text) => self.check_text(path, text),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    if self.is_full() {
                        return;
                    }
                    self.check(&format!("{path}[{index}]"), item, depth + 1);
                }
            }
            Value::Object(members) => {
                for (key, member) in members {
                    if self.is_full() {
                        return;
                    }
                    let path = below(path, key);
                    if key == seal::SEALED {
                        let help = text!(
                            "it stands for secrets that are stored",
                            "它代表已保存的密钥"
                        );
                        let problem = FieldProblem::new(
                            &*path,
                            text!("this key cannot be used", "这个键不能用"),
                            help,
                        );
                        self.list.push(problem);
                    }
                    self.check(&path, member, depth + 1);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn check_text(&mut self, path: &str, text: &str) {
        let is_pem = text.trim_start().starts_with("-----BEGIN ");
        let bytes_max = match is_pem {
            true => PEM_BYTES_MAX,
            false => TEXT_BYTES_MAX,
        };
        if text.len() > bytes_max {
            let help = text!("at most {bytes_max} bytes", "最多 {bytes_max} 字节");
            self.list.push(FieldProblem::new(
                path,
                text!("it is too long", "太长"),
                help,
            ));
        }
        // Expressions and PEM have several lines.
        let is_refused = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        if text.chars().any(is_refused) {
            let message = text!("it has a control character", "含有控制字符");
            self.list.push(FieldProblem::new(
                path,
                message,
                text!("remove it", "请删除它"),
            ));
        }
    }
}

/// The problems of the settings: everything that the file is checked for, and what only the file may say.
pub(super) fn problems(
    id: &ConnectorId,
    connector: &ConnectorConfig,
    site: &Config,
) -> Vec<FieldProblem> {
    let files: Vec<_> = site.verification_files.keys().map(String::as_str).collect();
    let destinations = RouteDestinations {
        external_url: &site.external_url,
        prefix: &site.prefix,
        routes: &site.routes,
        files: &files,
    };
    let surroundings = ConnectorSurroundings {
        external_url: &site.external_url,
        prefix: &site.prefix,
        own_pages: site.own_pages,
        destinations: &destinations,
    };
    let found = connector_problems(id, connector, surroundings);
    let mut problems: Vec<_> = found.into_iter().map(FieldProblem::from).collect();
    problems.extend(machine_problems(connector));
    if !site.managed.allow_local_sockets {
        problems.extend(socket_problems(connector));
    }
    problems
}

/// Refuses sockets of this machine: who listens there may trust the user of menshen.
fn socket_problems(connector: &ConnectorConfig) -> Option<FieldProblem> {
    let mut kinds = connector.configured_kinds();
    let socket = kinds.find_map(|kind| kind.local_sockets().first().map(KeyPath::to_string))?;
    let message = text!(
        "managed settings connect to no socket of the machine: see [managed] allow_local_sockets",
        "托管的设置不连接这台机器上的套接字：见 [managed] allow_local_sockets"
    );
    let help = text!(
        "write ldaps:// or ldap://, or set the connector in the file",
        "请写 ldaps:// 或 ldap://，或在配置文件中设置这个认证源"
    );
    Some(FieldProblem::new(socket, message, help))
}

/// Refuses what reads files or the environment of this machine: whoever may change settings need not be
/// allowed to read them.
fn machine_problems(connector: &ConnectorConfig) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    let message = text!(
        "managed settings read no file and no environment variable of the machine",
        "托管的设置不读取这台机器上的文件和环境变量"
    );
    if connector.ca.is_some() {
        let help = text!(
            "give the certificates themselves, as PEM in `ca_pem`",
            "请在 `ca_pem` 中给出 PEM 格式的证书本身"
        );
        problems.push(FieldProblem::new("ca", message.clone(), help));
    }
    for kind in connector.configured_kinds() {
        let secrets = kind.secrets().into_iter().chain(kind.public_keys());
        let is_elsewhere = |source: &SecretSource| !matches!(source, SecretSource::Literal(_));
        for (key_path, _) in secrets.filter(|(_, source)| is_elsewhere(source)) {
            let help = text!("give the text itself", "请给出文本本身");
            problems.push(FieldProblem::new(
                key_path.to_string(),
                message.clone(),
                help,
            ));
        }
        for (key_path, _) in kind.files() {
            let field = key_path.to_string();
            if problems.iter().all(|problem| problem.field != field) {
                let help = text!(
                    "give the content itself or a URL, or set the connector in the file",
                    "请给出内容本身或 URL，或在配置文件中设置这个认证源"
                );
                problems.push(FieldProblem::new(field, message.clone(), help));
            }
        }
    }
    problems
}
