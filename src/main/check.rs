//! `menshen check`: whether a configuration can be served, and whether its sources and its store agree with it.

use std::path::Path;

use menshen::clock::Clock;
use menshen::config::{Config, Warning};
use menshen::run::DryRun;
use menshen::site::Site;
use menshen::site::settings::{Origin, Settings};
use menshen::store::StoreError;
use menshen::telemetry;
use menshen::text;
use menshen::wording::{self, Text};

use super::{Failure, exported, print, read_content, warnings};

/// `menshen check`: reports all problems of the configuration and its files, builds everything and prints
/// warnings; contacts the sources and the store if `online`. `export`: a file of `menshen export` that is a part
/// of the configuration.
pub(super) async fn run(path: &Path, export: Option<&Path>, online: bool) -> Result<(), Failure> {
    let mut content = (read_content(path).await?, path.display().to_string());
    if let Some(export) = export {
        content = exported::content_with(content, export).await?;
    }
    let config = parse_and_check(&content.0, &content.1)?;
    let of_certificates = config.certificate_warnings(Clock::system().now());
    print_warnings(warnings(&config).chain(of_certificates))?;
    config
        .check_files()
        .map_err(|error| Failure::invalid(&error))?;
    let DryRun {
        site, unread_store, ..
    } = menshen::run::dry_run(&config).await?;
    match &unread_store {
        // It may have connectors.
        Some(error) => note_unread_store(error)?,
        None => {
            print_warnings(config.absent_caller_warnings(&site.settings).into_iter())?;
        }
    }
    let mut all_work = true;
    for line in state_lines(&site.settings) {
        print(format_args!("{}: {}", warning_label(), line.for_operator()))?;
    }
    for entry in site.login.entries().iter().filter(|_| online) {
        let (id, kind) = (&entry.id, entry.kind);
        let how = match entry.features.callback() {
            _ if entry.uses_password_form() => text!(
                " people sign in with menshen's own form",
                "用 menshen 自己的表单登录"
            ),
            Some(_) => text!(" logins return to {}", "登录后返回 {}", entry.callback),
            None => Text::default(),
        };
        let head = text!(
            "connector {id} ({kind}):{how}",
            "认证源 {id}（{kind}）：{how:#}"
        );
        print(head.for_operator())?;
        for finding in entry.connector.examine().await {
            all_work &= finding.good;
            let mark = if finding.good { "ok" } else { "!!" };
            print(format_args!("  {mark} {}", finding.text.for_operator()))?;
        }
    }
    if online {
        all_work &= examine_issuers(&site).await?;
    }
    let store_works = !online || examine_store(&config).await?;
    Err(Failure::because(&match (all_work, store_works) {
        (true, true) => {
            let fine = text!("{}: fine", "{}：没有问题", path.display());
            return print(fine.for_operator());
        }
        (false, _) => text!(
            "a source does not agree with the configuration: see !! above",
            "有认证源与配置不一致：见上面的 !!"
        ),
        (true, false) => text!(
            "the store cannot be used: see !! above",
            "数据库无法使用：见上面的 !!"
        ),
    }))
}

/// A line for each connector that is not in force.
fn state_lines(settings: &Settings) -> Vec<Text> {
    let infos = settings.connectors().into_iter();
    let lines = infos.filter_map(|info| {
        let id = &info.id;
        let from = match &info.origin {
            Origin::File(at) => text!("{at}: connector {id}", "{at}：认证源 {id}"),
            Origin::Managed => text!("managed connector {id}", "托管的认证源 {id}"),
        };
        match (info.shadowed, info.broken, info.enabled) {
            (true, ..) => Some(text!(
                "{from} is shadowed by the one of the file: delete it, or rename that of the file",
                "{from:#} 被配置文件中同名的认证源取代：请删除它，或给配置文件中的改名"
            )),
            (_, Some(reason), _) => Some(text!(
                "{from} is out of force: {reason}",
                "{from:#} 无法使用：{reason:#}"
            )),
            (_, None, false) => Some(text!(
                "{from} is disabled: nobody signs in with it",
                "{from:#} 已停用：没有人能用它登录"
            )),
            (_, None, true) => None,
        }
    });
    lines.collect()
}

/// Prints why managed connectors are not checked.
fn note_unread_store(error: &StoreError) -> Result<(), Failure> {
    let why = telemetry::error_chain(error);
    let note = text!(
        "note: managed connectors are not checked: {why}",
        "注意：没有检查托管的认证源：{why:#}"
    );
    print(format_args!("{}", note.for_operator()))
}

/// Parses the configuration. Of one with problems the files are opened, too, and the warnings are printed, so that
/// one run finds everything.
fn parse_and_check(content: &[u8], name: &str) -> Result<Config, Failure> {
    if let Ok(config) = Config::parse_bytes(content, name) {
        return Ok(config);
    }
    let now = Clock::system().now();
    print_warnings(Config::warnings_beside_problems(content, name, now).into_iter())?;
    Config::parse_and_check_files(content, name).map_err(|error| Failure::invalid(&error))
}

fn warning_label() -> String {
    text!("warning", "警告").for_operator().to_string()
}

fn print_warnings(warnings: impl Iterator<Item = Warning>) -> Result<(), Failure> {
    let (language, label) = (wording::operator_language(), warning_label());
    for warning in warnings {
        print(format_args!("{label}: {}", warning.in_language(language)))?;
    }
    Ok(())
}

/// Contacts every issuer of bearer tokens, and returns whether all of them work.
async fn examine_issuers(site: &Site) -> Result<bool, Failure> {
    let mut all_work = true;
    for (id, found) in site.gate.bearers.examine().await {
        all_work &= found.is_ok();
        let (mark, found) = match found {
            Ok(found) => ("ok", found),
            Err(error) => ("!!", Text::of(&telemetry::error_chain(&*error))),
        };
        let head = text!("issuer {id}:", "签发方 {id}：");
        print(head.for_operator())?;
        print(format_args!("  {mark} {}", found.for_operator()))?;
    }
    Ok(all_work)
}

/// Contacts the database server, if the store has one, and returns whether it works.
async fn examine_store(config: &Config) -> Result<bool, Failure> {
    let Some(found) = menshen::run::examine_store(config).await? else {
        return Ok(true);
    };
    let head = text!("store {}:", "数据库 {}：", config.store.url);
    print(head.for_operator())?;
    let works = found.is_ok();
    let (mark, found) = match found {
        Ok(found) => ("ok", found),
        Err(error) => ("!!", Text::of(&telemetry::error_chain(&error))),
    };
    print(format_args!("  {mark} {}", found.for_operator()))?;
    Ok(works)
}
