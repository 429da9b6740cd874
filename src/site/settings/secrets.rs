//! Which values of a connector are secrets, and which of them a change keeps.

use serde_json::{Map, Value};
use url::Url;

use super::error::FieldProblem;
use super::table::ConnectorTable;
use super::{parse, types};
use crate::keys;
use crate::login::connector::ConnectorConfig;
use crate::outbound::{ProxyUrl, ca_pem_certificates};
use crate::secret::SecretSource;
use crate::setting::{KeyPath, Step};
use crate::text;
use crate::wording::Text;

/// The key whose URL may contain a password.
const PROXY: &str = "proxy";

/// Whether a text stands for a secret that is kept: asterisks or bullets only.
pub fn is_marker(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| matches!(c, '*' | '\u{2022}' | '\u{25cf}'))
}

/// The paths of all secrets of a connector, without those that are read from a file or the environment.
pub(in crate::site) fn secret_paths(connector: &ConnectorConfig) -> Vec<Vec<Step<'_>>> {
    let mut paths: Vec<_> = literals(connector)
        .map(|(path, _)| path.steps().to_vec())
        .collect();
    let proxy = connector.proxy.as_ref();
    if proxy.is_some_and(|proxy| proxy.has_password()) {
        paths.push(vec![Step::Key(PROXY)]);
    }
    paths
}

/// The secrets that the settings themselves contain.
fn literals(connector: &ConnectorConfig) -> impl Iterator<Item = (KeyPath<'_>, &str)> {
    let secrets = connector.configured_kinds().flat_map(|kind| kind.secrets());
    secrets.filter_map(|(path, source)| match source {
        SecretSource::Literal(secret) => Some((path, secret.expose().as_str())),
        SecretSource::File(_) | SecretSource::Env(_) => None,
    })
}

/// The former settings of a connector, with their secrets.
pub(super) struct Former {
    pub(super) table: ConnectorTable,
    pub(super) connector: ConnectorConfig,
}

/// New settings, with the secrets that they keep of the former ones.
pub(super) struct Merged {
    pub(super) table: ConnectorTable,
    pub(super) connector: ConnectorConfig,
}

/// Reads new settings and fills in the secrets that they keep: those that are absent, and those for which a
/// marker stands. An empty text removes a secret.
///
/// # Errors
/// All values that have the wrong type, or that cannot be used; a marker stands for nothing, or the place to
/// which a kept secret is sent has changed.
pub(super) fn merge(
    table: ConnectorTable,
    former: Option<&Former>,
) -> Result<Merged, Vec<FieldProblem>> {
    let mut table = table;
    remove_nulls(table.members_mut());
    let of_json = parse::json_problems(&table)?;
    let mut kept = Vec::new();
    if let Some(former) = former {
        kept.extend(keep_absent(&mut table, former));
        kept.extend(keep_proxy(&mut table, former));
    }
    let connector = match (types::read(&table), of_json.is_empty()) {
        (Ok(connector), true) => connector,
        (Ok(_), false) => return Err(of_json),
        (Err(of_types), _) => return Err(with_others(of_json, of_types)),
    };
    let (problems, is_changed) = resolve_markers(&mut table, &connector, former, &mut kept);
    if !problems.is_empty() {
        return Err(problems);
    }
    let connector = match is_changed {
        true => types::read(&table)?,
        false => connector,
    };
    let moved = former.map(|former| moved_problems(&kept, &connector, former));
    match moved.unwrap_or_default() {
        problems if problems.is_empty() => Ok(Merged { table, connector }),
        problems => Err(problems),
    }
}

/// Both lists, without a second problem of the same field.
fn with_others(mut problems: Vec<FieldProblem>, others: Vec<FieldProblem>) -> Vec<FieldProblem> {
    for other in others {
        if problems.iter().all(|problem| problem.field != other.field) {
            problems.push(other);
        }
    }
    problems
}

/// Removes members that are null: they are as absent ones.
fn remove_nulls(members: &mut Map<String, Value>) {
    members.retain(|_, value| !value.is_null());
    for value in members.values_mut() {
        remove_nulls_within(value);
    }
}

fn remove_nulls_within(value: &mut Value) {
    match value {
        Value::Object(members) => remove_nulls(members),
        Value::Array(items) => items.iter_mut().for_each(remove_nulls_within),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Copies former secrets that are absent in the new settings, if the table around them is there. A list of
/// secrets is one: it is kept if it is absent as a whole. Returns the paths of those that were copied.
fn keep_absent(table: &mut ConnectorTable, former: &Former) -> Vec<String> {
    let mut kept = Vec::new();
    for (path, _) in literals(&former.connector) {
        let steps = path.steps();
        let whole = steps
            .iter()
            .position(|step| matches!(step, Step::Item(_)))
            .map_or(steps, |first_item| &steps[..first_item]);
        let is_copied_list = whole.len() < steps.len() && kept.contains(&text_of(whole));
        if table.get(whole).is_none()
            && let Some(secret) = former.table.get(whole)
            && table.set(whole, secret.clone())
        {
            kept.push(text_of(whole));
            kept.push(text_of(steps));
        } else if is_copied_list {
            kept.push(text_of(steps));
        }
    }
    kept
}

/// Keeps the password of a proxy for which a marker stands.
fn keep_proxy(table: &mut ConnectorTable, former: &Former) -> Option<String> {
    let steps = [Step::Key(PROXY)];
    let written = table.get(&steps)?.as_str()?;
    let old = former.table.get(&steps)?.as_str()?;
    let is_kept = is_marker(written) || has_same_proxy(written, old);
    let old = old.to_owned();
    (is_kept && table.set(&steps, old.into())).then(|| PROXY.to_owned())
}

/// Whether a URL is that of a proxy, with a marker in place of its password.
fn has_same_proxy(written: &str, former: &str) -> bool {
    let (Ok(mut written), Ok(mut former)) = (Url::parse(written), Url::parse(former)) else {
        return false;
    };
    let has_marker = written.password().is_some_and(is_marker);
    let are_parsed = written.set_password(None).is_ok() && former.set_password(None).is_ok();
    has_marker && are_parsed && written == former
}

/// Puts former secrets in place of markers, and removes empty ones. Returns the problems, and whether
/// anything was replaced.
fn resolve_markers(
    table: &mut ConnectorTable,
    connector: &ConnectorConfig,
    former: Option<&Former>,
    kept: &mut Vec<String>,
) -> (Vec<FieldProblem>, bool) {
    let (mut problems, mut is_changed) = (Vec::new(), false);
    for (path, secret) in literals(connector) {
        let steps = path.steps();
        if secret.is_empty() {
            table.remove(steps);
            is_changed = true;
        } else if is_marker(secret) {
            let old = former.and_then(|former| former.table.get(steps));
            match old.filter(|old| old.is_string()) {
                Some(old) => {
                    is_changed |= table.set(steps, old.clone());
                    kept.push(text_of(steps));
                }
                None => {
                    let message = text!(
                        "no secret is kept for which this could stand",
                        "没有保存过可以用它代表的密钥"
                    );
                    let help = text!("give the secret itself", "请给出密钥本身");
                    problems.push(FieldProblem::new(path.to_string(), message, help));
                }
            }
        }
    }
    let has_marker =
        |proxy: &str| Url::parse(proxy).is_ok_and(|url| url.password().is_some_and(is_marker));
    let proxy = table.get(&[Step::Key(PROXY)]).and_then(Value::as_str);
    if proxy.is_some_and(has_marker) {
        let message = text!(
            "the place to which the password is sent has changed, or there is none",
            "密码要发往的地方变了，或没有"
        );
        problems.push(FieldProblem::new(
            PROXY,
            message,
            text!("give the password itself", "请给出密码本身"),
        ));
    }
    (problems, is_changed)
}

/// Refuses to keep a secret that would be sent to another place than before: whoever may change settings
/// could read it there.
fn moved_problems(
    kept: &[String],
    connector: &ConnectorConfig,
    former: &Former,
) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    for (path, _) in literals(connector) {
        let is_kept = kept.contains(&text_of(path.steps()));
        let before = destinations(&former.connector, path.steps());
        let mut now = destinations(connector, path.steps()).into_iter();
        if is_kept && now.any(|place| !before.contains(&place)) {
            let message = text!(
                "the place to which this secret is sent has changed",
                "这个密钥要发往的地方变了"
            );
            problems.push(give_again(&path.to_string(), message));
        }
    }
    let has_tls = |proxy: &ProxyUrl| proxy.to_string().starts_with("https:");
    let keeps_password = kept.iter().any(|path| path == PROXY);
    let before = authorities(&former.connector);
    let mut now = authorities(connector).into_iter();
    if keeps_password
        && connector.proxy.as_ref().is_some_and(has_tls)
        && now.any(|authority| !before.contains(&authority))
    {
        let message = text!(
            "another certificate authority can vouch for the proxy",
            "又多了一个可以为代理签发证书的机构"
        );
        problems.push(give_again(PROXY, message));
    }
    problems
}

fn give_again(field: &str, message: Text) -> FieldProblem {
    FieldProblem::new(
        field,
        message,
        text!("give the secret again", "请重新给出密钥"),
    )
}

/// The places to which a secret is sent, with the proxy between and the authorities that may vouch for them.
fn destinations(connector: &ConnectorConfig, secret: &[Step<'_>]) -> Vec<String> {
    let kinds = connector.configured_kinds();
    let mut places: Vec<_> = kinds
        .flat_map(|kind| kind.secret_destinations(secret))
        .collect();
    if !places.is_empty() {
        let proxy = connector.proxy.iter();
        places.extend(proxy.map(|proxy| format!("proxy {proxy}")));
        places.extend(authorities(connector));
    }
    places
}

/// Each certificate of `ca_pem`. Whoever has the key of one can pass for every place with TLS.
fn authorities(connector: &ConnectorConfig) -> Vec<String> {
    let certificates = connector.ca_pem.iter();
    let certificates = certificates.flat_map(|text| ca_pem_certificates(text));
    certificates
        .map(|certificate| format!("authority {:02x?}", keys::fingerprint(&[&certificate])))
        .collect()
}

fn text_of(steps: &[Step<'_>]) -> String {
    let mut text = String::new();
    for step in steps {
        match step {
            Step::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Step::Item(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}
