//! `menshen explain`: whether a request would be allowed, and why.

use std::path::Path;

use menshen::face::explanation;
use menshen::request::explain::{ExplainArguments, ExplainQuery};
use menshen::run;
use menshen::telemetry::escape;
use menshen::wording::{self, Text};

use super::{Failure, load, print};

/// The request to explain.
#[derive(Debug, clap::Args)]
pub(super) struct ExplainOptions {
    /// The URL, as a browser shows it.
    url: String,
    /// The login of a person who is assumed to have just signed in; absent: a request without a session.
    #[arg(long = "as", value_name = "LOGIN")]
    login: Option<String>,
    /// The connector the person signs in with; absent: the one of their last login.
    #[arg(long, value_name = "CONNECTOR")]
    via: Option<String>,
    /// The HTTP method.
    #[arg(long, default_value = "GET")]
    method: String,
    /// The IP address of the peer.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    from: String,
    /// A header of the request; may be given more than once.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
}

pub(super) async fn run(path: &Path, request: ExplainOptions, json: bool) -> Result<(), Failure> {
    let query = ExplainQuery::parse(ExplainArguments {
        url: request.url,
        login: request.login,
        via: request.via,
        method: Some(request.method),
        from: Some(request.from),
        headers: request.header,
    });
    let query = query.map_err(|error| Failure::Usage(Text::of(&error)))?;
    let config = load(path).await?;
    let explained = run::explain(&config, &query).await;
    let explanation = explained.map_err(|error| Failure::refused(&error))?;
    match json {
        true => {
            let json = format!("{:#}", explanation::json(&explanation));
            print(escape::json_for_terminal(&json))
        }
        false => {
            let text = explanation::text(&explanation, wording::operator_language());
            print(text.trim_end())
        }
    }
}
