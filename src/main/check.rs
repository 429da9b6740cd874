//! `menshen check`: whether a configuration can be served, and whether its sources and its store agree with it.

use std::path::Path;

use menshen::config::Config;
use menshen::site::Site;
use menshen::telemetry;

use super::{Failure, connector, load, print, warnings};

/// `menshen check`: builds everything and prints warnings; contacts the sources and the store if `online`.
pub(super) async fn run(path: &Path, online: bool) -> Result<(), Failure> {
    let config = load(path).await?;
    for warning in warnings(&config) {
        print(format_args!("warning: {warning}"))?;
    }
    let files = config.check_files();
    files.map_err(|error| Failure::Refused(error.to_string()))?;
    let (site, _services) = menshen::run::dry_run(&config).await?;
    let mut all_work = true;
    for line in connector::state_lines(&site.settings) {
        print(format_args!("warning: {line}"))?;
    }
    for entry in site.login.entries().iter().filter(|_| online) {
        let (id, kind) = (&entry.id, entry.kind);
        let how = match entry.features.callback() {
            _ if entry.uses_password_form() => " people sign in with menshen's own form".to_owned(),
            Some(_) => format!(" logins return to {}", entry.callback),
            None => String::new(),
        };
        print(format_args!("connector {id} ({kind}):{how}"))?;
        for finding in entry.connector.examine().await {
            all_work &= finding.good;
            let mark = if finding.good { "ok" } else { "!!" };
            print(format_args!("  {mark} {}", finding.text))?;
        }
    }
    if online {
        all_work &= examine_issuers(&site).await?;
    }
    let store_works = !online || examine_store(&config).await?;
    let why = match (all_work, store_works) {
        (true, true) => return print(format_args!("{}: fine", path.display())),
        (false, _) => "a source does not agree with the configuration: see !! above",
        (true, false) => "the store cannot be used: see !! above",
    };
    Err(Failure::Refused(why.to_owned()))
}

/// Contacts every issuer of bearer tokens, and returns whether all of them work.
async fn examine_issuers(site: &Site) -> Result<bool, Failure> {
    let mut all_work = true;
    for (id, found) in site.gate.bearers.examine().await {
        all_work &= found.is_ok();
        match found {
            Ok(text) => print(format_args!("issuer {id}:\n  ok {text}"))?,
            Err(error) => {
                let error = telemetry::error_chain(&*error);
                print(format_args!("issuer {id}:\n  !! {error}"))?;
            }
        }
    }
    Ok(all_work)
}

/// Contacts the database server, if the store has one, and returns whether it works.
async fn examine_store(config: &Config) -> Result<bool, Failure> {
    let Some(found) = menshen::run::examine_store(config).await? else {
        return Ok(true);
    };
    print(format_args!("store {}:", config.store.url))?;
    match &found {
        Ok(text) => print(format_args!("  ok {text}"))?,
        Err(error) => print(format_args!("  !! {}", telemetry::error_chain(error)))?,
    }
    Ok(found.is_ok())
}
